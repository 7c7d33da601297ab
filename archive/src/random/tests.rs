//! Reading at random against reading in one pass.

mod chosen;

use std::cell::Cell;

use super::*;
use crate::{Compression, Engine, FORMAT, ObjectHeader, RowEncoding, Signature, Writer, fingerprint};

/// Bytes whose reading is counted.
struct Counted<'a> {
    bytes: &'a [u8],
    ranges: Cell<u32>,
    read: Cell<u64>,
}

impl<'a> Counted<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, ranges: Cell::new(0), read: Cell::new(0) }
    }

    /// How many ranges were read, and how many bytes in them, since it was asked before.
    fn take(&self) -> (u32, u64) {
        (self.ranges.take(), self.read.take())
    }
}

impl ReadAt for &Counted<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let bytes = self.bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        self.ranges.set(self.ranges.get() + 1);
        self.read.set(self.read.get() + out.len() as u64);
        Ok(())
    }
}

impl ReadAt for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (&Counted::new(self)).read_exact_at(offset, out)
    }
}

fn content(n: u32) -> Vec<u8> {
    // Neither all alike nor all noise.
    (0..n % 3_000).flat_map(|k| (k.wrapping_mul(n) % 251).to_string().into_bytes()).collect()
}

fn key(n: u32) -> Vec<u8> {
    format!("{:02}/{n:05}", n / 1_000).into_bytes()
}

const SCHEMA: &[u8] = br#"{"tables":[{"name":"t"}]}"#;

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT.into(),
        archive_id: "0".repeat(32),
        created: "2026-01-01T00:00:00Z".into(),
        generator: "test".into(),
        source: "notes".into(),
        app: "acme".into(),
        engine: Engine { kind: "sqlite".into(), version: "3".into() },
        row_encoding: RowEncoding::Jsonl,
        fingerprint: fingerprint(SCHEMA, b"", b""),
        extensions: vec![],
        skipped: vec![],
    }
}

fn writer(compression: &str) -> Writer<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), &manifest(), compression.parse::<Compression>().unwrap()).unwrap();
    writer.structure(SCHEMA, b"", b"").unwrap();
    writer.rows("t", b"[1]\n").unwrap();
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    writer
}

fn add(writer: &mut Writer<Vec<u8>>, key: Vec<u8>, content: &[u8]) {
    writer.begin_object(&ObjectHeader { key, size: content.len() as u64, ..Default::default() }).unwrap();
    writer.object_bytes(content).unwrap();
    writer.end_object().unwrap();
}

/// 12,000 objects in several index blocks; number 5 changed once, number 7 had vanished, the last one is large.
fn archive(compression: &str) -> Vec<u8> {
    let mut writer = writer(compression);
    for n in 0..12_000 {
        match n {
            5 => {
                writer.begin_object(&ObjectHeader { key: key(n), size: 99, ..Default::default() }).unwrap();
                writer.void_object().unwrap();
            }
            7 => writer.vanished_object(&key(n)).unwrap(),
            _ => {}
        }
        if n != 7 {
            add(&mut writer, key(n), &content(n));
        }
    }
    add(&mut writer, b"large".to_vec(), &large());
    writer.finish(|_| None).unwrap().0
}

fn large() -> Vec<u8> {
    (0..1_500_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn open<'a>(counted: &'a Counted<'a>) -> RandomReader<&'a Counted<'a>> {
    RandomReader::open(counted, Limits::default()).unwrap()
}

fn found<R: ReadAt>(reader: &RandomReader<R>, path: &str) -> Entry {
    match reader.find(path).unwrap() {
        Found::Entry(entry) => entry,
        other => panic!("{path}: {other:?}"),
    }
}

fn read<R: ReadAt>(reader: &RandomReader<R>, path: &str) -> Vec<u8> {
    let mut content = Vec::new();
    reader.read(&found(reader, path), &mut content).unwrap();
    content
}

#[test]
fn single_entries_come_out_by_three_ranges() {
    for compression in ["gzip", "zstd", "none"] {
        let archive = archive(compression);
        assert!(can_be_read_at_random(&archive[..20]));
        for n in [0, 1, 5, 6, 4_083, 4_084, 4_085, 7_777] {
            let counted = Counted::new(&archive);
            let reader = open(&counted);
            let path = format!("objects/{:02}/{n:05}", n / 1_000);
            assert_eq!(read(&reader, &path), content(n), "{compression} {path}");
            // Paths of one block may stand in two, where these overlap.
            let (ranges, bytes) = counted.take();
            assert!(ranges <= 3, "{compression} {path}: {ranges} ranges");
            assert!(bytes < 256 * 1_024 + 1_600_000, "{compression} {path}: {bytes} bytes");
        }
        let counted = Counted::new(&archive);
        let reader = open(&counted);
        assert_eq!(read(&reader, "objects/large"), large());
        assert_eq!(read(&reader, "database/rows/t/00000000.jsonl"), b"[1]\n");
        assert_eq!(reader.find("objects/00/00007").unwrap(), Found::Vanished);
        assert_eq!(reader.find("objects/00/0000").unwrap(), Found::Missing);
        counted.take();
        assert_eq!(reader.manifest().unwrap().app, "acme");
        assert_eq!(counted.take().0, 1);
    }
}

#[test]
fn entries_that_stand_together_are_read_together() {
    let archive = archive("gzip");
    let counted = Counted::new(&archive);
    let reader = open(&counted);
    counted.take();
    let mut next = 1_000;
    reader
        .find_all_under("objects/01/", |entry| {
            let mut found = Vec::new();
            reader.read(&entry, &mut found)?;
            assert_eq!((entry.path.as_str(), found), (format!("objects/01/{next:05}").as_str(), content(next)));
            next += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(next, 2_000);
    let (ranges, bytes) = counted.take();
    assert!(ranges < 40 && bytes < 4 << 20, "{ranges} ranges, {bytes} bytes");
}

#[test]
fn all_is_listed_as_it_stands_and_vouched_for() {
    let archive = archive("zstd");
    let reader = RandomReader::open(archive.as_slice(), Limits::default()).unwrap();
    let (mut entries, mut voids, mut vanished) = (0, Vec::new(), Vec::new());
    let mut listed = Vec::new();
    reader
        .list(|record| {
            match &record {
                Listed::Entry(_) => entries += 1,
                Listed::Void(entry) => voids.push(entry.path.clone()),
                Listed::Vanished(path) => vanished.push(path.clone()),
            }
            listed.push(record.path().to_owned());
            Ok(())
        })
        .unwrap();
    assert_eq!(entries, 6 + 12_000);
    assert_eq!((voids, vanished), (vec!["objects/00/00005".to_owned()], vec!["objects/00/00007".to_owned()]));
    assert_eq!(listed[..3], ["manifest.json", "database/schema.json", "database/pre-data.sql"]);
    assert_eq!(reader.summary().objects.count, 12_000);
}

#[test]
fn a_small_archive_is_read_once() {
    let mut writer = writer("gzip");
    add(&mut writer, b"a".to_vec(), b"hello");
    let signature = Signature { key: "ab".repeat(32), value: "cd".repeat(64) };
    let archive = writer.finish(|_| Some(signature.clone())).unwrap().0;
    let counted = Counted::new(&archive);
    let reader = open(&counted);
    assert_eq!(read(&reader, "objects/a"), b"hello");
    assert_eq!(reader.manifest().unwrap().app, "acme");
    assert_eq!(reader.summary().signature, Some(signature));
    assert_eq!(counted.take(), (1, archive.len() as u64));
}

/// Whatever is done to an archive: what comes out is what was in it, or an error.
#[test]
fn a_changed_or_cut_archive_never_gives_other_content() {
    let mut writer = writer("gzip");
    add(&mut writer, b"a".to_vec(), b"hello");
    writer.vanished_object(b"b").unwrap();
    add(&mut writer, b"c".to_vec(), &content(700));
    let archive = writer.finish(|_| None).unwrap().0;
    let try_all = |bytes: &[u8]| -> Result<()> {
        let reader = RandomReader::open(bytes, Limits::default())?;
        for (path, expected) in [("objects/a", b"hello".to_vec()), ("objects/c", content(700))] {
            let mut content = Vec::new();
            match reader.find(path)? {
                Found::Entry(entry) => reader.read(&entry, &mut content)?,
                other => panic!("{path}: {other:?}"),
            }
            assert_eq!(content, expected);
        }
        reader.list(|_| Ok(()))
    };
    try_all(&archive).unwrap();
    let mut survived = 0;
    for at in 0..archive.len() {
        for bit in [1, 0x80] {
            let mut changed = archive.clone();
            changed[at] ^= bit;
            survived += u32::from(try_all(&changed).is_ok());
        }
        assert!(try_all(&archive[..at]).is_err(), "cut at {at}");
    }
    assert!(survived < 20, "{survived} changes were not seen");
    assert!(try_all(&[&archive[..], b"x"].concat()).is_err());
}
