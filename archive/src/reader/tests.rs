//! The reader against what the writer makes, whole and hurt.

mod attempts;
mod foreign;
mod lies;

use std::io::{self, Read};

use super::*;

use crate::{Compression, Engine, FORMAT, RowEncoding, Signature, Writer, fingerprint};

fn manifest() -> Manifest {
    let (schema, pre, post) = structure();
    Manifest {
        format: FORMAT.into(),
        archive_id: "0".repeat(32),
        created: "2026-01-01T00:00:00Z".into(),
        generator: "test".into(),
        source: "notes".into(),
        app: "acme".into(),
        engine: Engine { kind: "sqlite".into(), version: "3".into() },
        row_encoding: RowEncoding::Jsonl,
        fingerprint: fingerprint(schema, pre, post),
        extensions: vec![],
        skipped: vec![],
    }
}

fn structure() -> (&'static [u8], &'static [u8], &'static [u8]) {
    (br#"{"tables":[{"name":"a"},{"name":"none"},{"name":"b"}]}"#, b"CREATE TABLE a(x);\n", b"")
}

fn objects() -> Vec<(ObjectHeader, Vec<u8>)> {
    let object = |key: &[u8], content: Vec<u8>| {
        (ObjectHeader { key: key.to_vec(), size: content.len() as u64, ..Default::default() }, content)
    };
    vec![object(b"a.txt", b"hello".to_vec()), object(b"b\xff\n", vec![]), object(b"c", vec![9; 600_000])]
}

fn writer(compression: &str) -> Writer<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), &manifest(), compression.parse().unwrap()).unwrap();
    let (schema, pre, post) = structure();
    writer.structure(schema, pre, post).unwrap();
    writer
}

fn write(objects: &[(ObjectHeader, Vec<u8>)]) -> Vec<u8> {
    write_as("gzip", objects)
}

fn write_as(compression: &str, objects: &[(ObjectHeader, Vec<u8>)]) -> Vec<u8> {
    let mut writer = writer(compression);
    writer.rows("a", b"[1]\n[2]\n").unwrap();
    writer.rows("a", b"[3]\n").unwrap();
    writer.rows("b", b"[\"x\"]\n").unwrap();
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    objects.iter().for_each(|(header, content)| add(&mut writer, header, content));
    writer.finish(|_| None).unwrap().0
}

fn add(writer: &mut Writer<Vec<u8>>, header: &ObjectHeader, content: &[u8]) {
    writer.begin_object(header).unwrap();
    content.chunks(100_000).for_each(|piece| writer.object_bytes(piece).unwrap());
    writer.end_object().unwrap();
}

type Contents = (Vec<(ObjectHeader, Vec<u8>)>, Vec<u8>, Summary);

fn read(input: impl Read) -> Result<Contents> {
    take(Reader::new(input, Limits::default()))
}

fn take(mut reader: Reader<impl Read>) -> Result<Contents> {
    let (mut objects, mut rows) = (Vec::new(), Vec::new());
    while let Some(event) = reader.next_event()? {
        match event {
            Event::Object(header) => objects.push((*header, Vec::new())),
            Event::ObjectAgain(header) => *objects.last_mut().unwrap() = (*header, Vec::new()),
            Event::ObjectBytes(bytes) => objects.last_mut().unwrap().1.extend_from_slice(&bytes),
            Event::Rows { bytes, .. } => rows.extend_from_slice(&bytes),
            _ => {}
        }
    }
    Ok((objects, rows, reader.into_verified_summary().unwrap()))
}

#[test]
fn an_archive_comes_back() {
    for compression in ["gzip", "zstd", "none"] {
        let archive = write_as(compression, &objects());
        let (objects, rows, summary) = read(archive.as_slice()).unwrap();
        assert_eq!(objects, super::tests::objects());
        assert_eq!(rows, b"[1]\n[2]\n[3]\n[\"x\"]\n");
        let counts: Vec<_> = summary.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
        assert_eq!(counts, [("a", 3), ("none", 0), ("b", 1)]);
        assert_eq!((summary.objects.count, summary.objects.bytes), (3, 600_005));
    }
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    assert_eq!(write(&objects()), write(&objects()));
}

/// Gives one byte a call, an interruption before each, and an error or the end at byte N.
struct Hostile<'a> {
    bytes: &'a [u8],
    at: usize,
    stop: usize,
    fails: bool,
    interrupt: bool,
}

impl Read for Hostile<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.at == self.stop.min(self.bytes.len()) {
            return if self.fails { Err(io::Error::other("broken")) } else { Ok(0) };
        }
        space[0] = self.bytes[self.at];
        self.at += 1;
        Ok(1)
    }
}

#[test]
fn an_error_or_an_end_at_any_byte_is_never_a_whole_archive() {
    for compression in ["gzip", "zstd"] {
        let archive = write_as(compression, &objects()[..2]);
        let hostile = |stop, fails| Hostile { bytes: &archive, at: 0, stop, fails, interrupt: false };
        for stop in 0..archive.len() {
            let cut = read(hostile(stop, false)).unwrap_err();
            assert!(matches!(cut, Error::CutShort { .. }), "{stop}: {cut}");
            assert!(matches!(read(hostile(stop, true)), Err(Error::Io(_))), "{stop}");
        }
        read(hostile(usize::MAX, false)).unwrap();
    }
}

#[test]
fn what_was_changed_appended_or_doubled_is_refused() {
    let archive = write(&objects()[..2]);
    let whole = read(archive.as_slice()).unwrap();
    for at in 0..archive.len() {
        let mut other = archive.clone();
        other[at] ^= 1;
        // Deflate can say the same in several ways, and leaves bits of its last byte unused (RFC 1951): a change that
        // unpacks to the very same bytes is no damage. The sealed layer sees those too.
        if let Ok(other) = read(other.as_slice()) {
            assert_eq!(other, whole, "byte {at}");
        }
    }
    let mut longer = archive.clone();
    longer.push(0);
    assert!(matches!(read(longer.as_slice()), Err(Error::Member { .. })));
    longer.truncate(archive.len());
    longer.extend_from_slice(&archive);
    assert!(read(longer.as_slice()).is_err());
}

#[test]
fn limits_are_kept() {
    let archive = write(&objects());
    let limited = |limits: Limits| {
        let mut reader = Reader::new(archive.as_slice(), limits);
        loop {
            match reader.next_event() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no limit was met"),
                Err(error) => break matches!(error, Error::Limit { .. }),
            }
        }
    };
    assert!(limited(Limits { entries: 5, ..Limits::default() }));
    assert!(limited(Limits { bytes: 300_000, ..Limits::default() }));
    assert!(limited(Limits { document_bytes: 10, ..Limits::default() }));
    let summary = take(Reader::new(archive.as_slice(), Limits::default())).unwrap().2;
    let documents = [serde_json::to_vec(&summary).unwrap(), serde_json::to_vec(&manifest()).unwrap()];
    let longest = documents.iter().map(|document| document.len() as u64).max().unwrap();
    assert!(limited(Limits { document_bytes: longest - 1, ..Limits::default() }));
    take(Reader::new(archive.as_slice(), Limits { document_bytes: longest, ..Limits::default() })).unwrap();
}

#[test]
fn a_bomb_is_refused_by_its_rate_of_expansion() {
    let size = 80_u64 << 20;
    let mut writer = Writer::new(Vec::new(), &manifest(), Compression::default()).unwrap();
    let (schema, pre, post) = structure();
    writer.structure(schema, pre, post).unwrap();
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    writer.begin_object(&ObjectHeader { key: b"zeros".to_vec(), size, ..Default::default() }).unwrap();
    (0..80).for_each(|_| writer.object_bytes(&[0; 1 << 20]).unwrap());
    writer.end_object().unwrap();
    let archive = writer.finish(|_| None).unwrap().0;
    let mut reader = Reader::new(archive.as_slice(), Limits { expansion: 100, ..Limits::default() });
    let error = loop {
        match reader.next_event() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a bomb was taken"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Limit { limit: 100, .. }), "{error}");
}

#[test]
fn blocks_stand_between_entries_of_a_large_archive() {
    let objects: Vec<_> = (0..40_000_u32)
        .map(|n| {
            (
                ObjectHeader { key: format!("{n:05}").into_bytes(), size: 4, ..Default::default() },
                n.to_le_bytes().to_vec(),
            )
        })
        .collect();
    let archive = write(&objects);
    let mut reader = Reader::new(archive.as_slice(), Limits::default());
    while reader.next_event().unwrap().is_some() {}
    let summary = reader.into_verified_summary().unwrap();
    assert_eq!(summary.index.iter().map(|block| block.count).sum::<u64>(), 40_000 + 8);
    assert!(summary.index[..summary.index.len() - 1].iter().all(|block| block.count == 4_096));
}

#[test]
fn a_manifest_is_a_page() {
    let manifest = |bytes| Manifest { extensions: vec!["x".repeat(bytes)], ..manifest() };
    let none = serde_json::to_vec(&manifest(0)).unwrap().len();
    assert!(Writer::new(Vec::new(), &manifest((1 << 20) - none), Compression::default()).is_ok());
    assert!(Writer::new(Vec::new(), &manifest((1 << 20) - none + 1), Compression::default()).is_err());
}

#[test]
fn a_writer_refuses_what_no_reader_would_take() {
    let mut writer = Writer::new(Vec::new(), &manifest(), Compression::default()).unwrap();
    assert!(writer.structure(b"{}", b"", b"").is_err());
    let (schema, pre, post) = structure();
    writer.structure(schema, pre, post).unwrap();
    assert!(writer.rows("a", b"[1]").is_err());
    let mut writer = Writer::new(Vec::new(), &manifest(), Compression::default()).unwrap();
    writer.structure(schema, pre, post).unwrap();
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    let header = ObjectHeader { key: b"k".to_vec(), size: 2, ..Default::default() };
    writer.begin_object(&header).unwrap();
    assert!(writer.object_bytes(b"abc").is_err());
    let mut writer = Writer::new(Vec::new(), &manifest(), Compression::default()).unwrap();
    writer.structure(schema, pre, post).unwrap();
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    writer.begin_object(&header).unwrap();
    assert!(writer.end_object().is_err());
}
