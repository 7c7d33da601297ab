//! What the fuzz targets share: an honest archive, its tar layer, and tar bytes as an archive.

use std::io::Write;

use coffer_archive::{
    Compression, Engine, Event, FORMAT, Limits, Manifest, ObjectHeader, Passing, Reader, RowEncoding, Writer,
    fingerprint,
};
use libdeflater::crc32;

/// Limits that end a fuzzer's run before its patience does.
pub fn limits() -> Limits {
    Limits { bytes: 64 << 20, entries: 10_000, document_bytes: 1 << 20, ..Limits::default() }
}

/// Reads to the end or to an error; whether all was whole.
pub fn read_all<R: std::io::Read>(mut reader: Reader<R>) -> bool {
    loop {
        match reader.next_event() {
            Ok(Some(Event::Rows { bytes, .. } | Event::ObjectBytes(bytes))) => assert!(!bytes.is_empty()),
            Ok(Some(_)) => {}
            Ok(None) => return reader.into_verified_summary().is_some(),
            Err(error) => {
                assert!(reader.next_event().is_err(), "after {error} nothing comes");
                assert!(reader.into_verified_summary().is_none());
                return false;
            }
        }
    }
}

/// A small archive with something of everything.
pub fn honest(compression: Compression) -> Vec<u8> {
    let schema = br#"{"tables":[{"name":"a"},{"name":"b"}]}"#;
    let manifest = Manifest {
        format: FORMAT.into(),
        archive_id: "0".repeat(32),
        created: "2026-01-01T00:00:00Z".into(),
        generator: "fuzz".into(),
        source: "notes".into(),
        app: "acme".into(),
        engine: Engine { kind: "sqlite".into(), version: "3".into() },
        row_encoding: RowEncoding::Jsonl,
        fingerprint: fingerprint(schema, b"", b""),
        extensions: vec![],
        skipped: vec![],
    };
    write(&manifest, schema, compression).expect("an honest archive")
}

fn write(manifest: &Manifest, schema: &[u8], compression: Compression) -> coffer_archive::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), manifest, compression)?;
    writer.structure(schema, b"", b"")?;
    writer.rows("a", b"[1]\n[2]\n")?;
    writer.sequences(br#"{"sequences":[]}"#)?;
    let object = |key: &str, size| ObjectHeader {
        key: key.as_bytes().to_vec(),
        size,
        content_type: Some("text/plain".into()),
        user: [("owner".to_owned(), "me".to_owned())].into(),
        ..ObjectHeader::default()
    };
    writer.begin_object(&object("a/%", 5))?;
    writer.void_object()?;
    writer.begin_object(&object("a/%", 5))?;
    writer.object_bytes(b"hello")?;
    writer.end_object()?;
    writer.vanished_object(b"b")?;
    writer.begin_object(&object("c", 0))?;
    writer.end_object()?;
    Ok(writer.finish(|_| None)?.0)
}

/// Tar bytes as the compressed layer of an archive: stored members, and a footer that points to the last entry named
/// `summary.json`.
pub fn packed(tar: &[u8]) -> Vec<u8> {
    const MEMBER: usize = 32 << 10;
    let mut layer = Vec::new();
    let summary = tar.chunks(512).rposition(|block| block.starts_with(b"summary.json\0")).unwrap_or(0) * 512;
    let mut footer = (0_u64, 0_u32);
    for (number, plain) in tar.chunks(MEMBER).enumerate() {
        if summary / MEMBER == number {
            footer = (layer.len() as u64, (summary % MEMBER) as u32);
        }
        let length = (20 + 5 + plain.len() + 8) as u32;
        layer.extend_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 8, 0, b'C', b'F', 4, 0]);
        layer.extend_from_slice(&length.to_le_bytes());
        layer.push(1);
        layer.extend_from_slice(&(plain.len() as u16).to_le_bytes());
        layer.extend_from_slice(&(!(plain.len() as u16)).to_le_bytes());
        layer.extend_from_slice(plain);
        layer.extend_from_slice(&crc32(plain).to_le_bytes());
        layer.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    }
    layer.extend_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 24, 0, b'C', b'F', 4, 0, 46, 0, 0, 0]);
    layer.extend_from_slice(&[b'C', b'X', 12, 0]);
    layer.extend_from_slice(&footer.0.to_le_bytes());
    layer.extend_from_slice(&footer.1.to_le_bytes());
    layer.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    layer
}

/// A tar entry.
pub fn entry(tar: &mut Vec<u8>, path: &str, content: &[u8]) {
    let mut header = [0_u8; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    with_checksum(&mut header);
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// Gives a header block the checksum that it should have.
pub fn with_checksum(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// The entries of an honest archive, in their order, as path and content.
pub fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (sender, seen) = std::sync::mpsc::channel();
    let mut reader = Reader::new(archive, Limits::default());
    reader.watch(move |passing| {
        let part = match passing {
            Passing::Begin { path, .. } => (Some(path.to_owned()), Vec::new()),
            Passing::Bytes(bytes) => (None, bytes.to_vec()),
            Passing::End => (None, Vec::new()),
        };
        drop(sender.send(part));
        Ok(())
    });
    assert!(read_all(reader));
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    for (path, bytes) in seen {
        match path {
            Some(path) => entries.push((path, bytes)),
            None => entries.last_mut().expect("an entry").1.write_all(&bytes).expect("memory"),
        }
    }
    entries
}
