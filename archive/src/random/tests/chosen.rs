//! What is chosen of an archive against a whole reading of it.

use std::collections::BTreeMap;

use super::*;
use crate::{Event, Reader};

/// What events bring: the documents, each table's rows, each object and whether its end was told.
#[derive(Debug, Default, PartialEq)]
struct Brought {
    documents: Vec<Vec<u8>>,
    rows: BTreeMap<String, Vec<u8>>,
    objects: Vec<(ObjectHeader, Vec<u8>, bool)>,
}

impl Brought {
    fn take(&mut self, event: Event) {
        match event {
            Event::Manifest(manifest) => self.documents.push(serde_json::to_vec(&*manifest).unwrap()),
            Event::Structure { schema, pre_data, post_data } => {
                self.documents.extend([schema, pre_data, post_data].map(|document| document.to_vec()));
            }
            Event::Sequences(sequences) => self.documents.push(sequences.to_vec()),
            Event::Rows { table, bytes } => self.rows.entry(table.to_string()).or_default().extend_from_slice(&bytes),
            Event::Object(header) => self.objects.push((*header, Vec::new(), false)),
            Event::ObjectAgain(header) => *self.objects.last_mut().unwrap() = (*header, Vec::new(), false),
            Event::ObjectBytes(bytes) => self.objects.last_mut().unwrap().1.extend_from_slice(&bytes),
            Event::ObjectEnd => self.objects.last_mut().unwrap().2 = true,
        }
    }
}

fn whole(archive: &[u8]) -> Brought {
    let (mut reader, mut brought) = (Reader::new(archive, Limits::default()), Brought::default());
    while let Some(event) = reader.next_event().unwrap() {
        brought.take(event);
    }
    brought
}

fn choose<R: ReadAt>(layer: R, takes: impl Fn(&str) -> bool) -> Result<Brought> {
    let mut brought = Brought::default();
    choose_into(layer, takes, &mut brought).map(|()| brought)
}

fn choose_into<R: ReadAt>(layer: R, takes: impl Fn(&str) -> bool, brought: &mut Brought) -> Result<()> {
    let reader = RandomReader::open(layer, Limits::default())?;
    let index = reader.check_index(|listed| Ok(takes(listed.path())))?;
    let take = |event| {
        brought.take(event);
        Ok(())
    };
    reader.read_chosen(&index, |entry| Ok(takes(&entry.path)), take)
}

fn rows_of(n: u32) -> Vec<u8> {
    (0..n).flat_map(|row| format!("[{row},\"{}\"]\n", row.wrapping_mul(2_654_435_761)).into_bytes()).collect()
}

/// Two tables of three chunks, one of none; `b` came three times and `c` twice, `d` had vanished, `e` has all that an object can have.
fn rich(compression: &str) -> Vec<u8> {
    let (schema, pre) = (br#"{"tables":[{"name":"t"},{"name":"none"},{"name":"a/b"}]}"#, b"CREATE TABLE t(x);\n");
    let manifest = Manifest { fingerprint: fingerprint(schema, pre, b"x"), ..manifest() };
    let mut writer = Writer::new(Vec::new(), &manifest, compression.parse::<Compression>().unwrap()).unwrap();
    writer.structure(schema, pre, b"x").unwrap();
    for table in ["t", "a/b"] {
        [1, 40_000, 7].iter().for_each(|n| writer.rows(table, &rows_of(*n)).unwrap());
    }
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    add(&mut writer, b"a".to_vec(), b"hello");
    for (key, voids) in [("b", 2), ("c", 1)] {
        for number in 0..voids {
            let header = ObjectHeader { key: key.into(), size: 300_000 * number + 9, ..Default::default() };
            writer.begin_object(&header).unwrap();
            writer.void_object().unwrap();
        }
        add(&mut writer, key.into(), &content(900));
    }
    writer.vanished_object(b"d").unwrap();
    let header = ObjectHeader {
        key: b"e\xff/\n".to_vec(),
        size: 0,
        modified: 1_700_000_000,
        content_type: Some("text/plain".into()),
        etag: Some("\"x\"".into()),
        headers: [("cache-control".to_owned(), "no-cache".to_owned())].into(),
        user: [("owner".to_owned(), "Zoë".to_owned())].into(),
    };
    writer.begin_object(&header).unwrap();
    writer.end_object().unwrap();
    add(&mut writer, b"large".to_vec(), &large());
    writer.finish(|_| None).unwrap().0
}

#[test]
fn all_of_it_is_what_a_whole_reading_gives() {
    for compression in ["gzip", "zstd", "none"] {
        for archive in [rich(compression), archive(compression)] {
            assert!(choose(archive.as_slice(), |_| true).unwrap() == whole(&archive), "{compression}");
        }
    }
}

#[test]
fn what_is_not_chosen_is_left_out_and_documents_are_not() {
    let archive = rich("gzip");
    let all = whole(&archive);
    let none = choose(archive.as_slice(), |_| false).unwrap();
    assert_eq!(none, Brought { documents: all.documents.clone(), ..Default::default() });
    let takes = |path: &str| path.starts_with("database/rows/a%2Fb/") || path == "objects/b";
    let some = choose(archive.as_slice(), takes).unwrap();
    assert_eq!(some.rows, [("a/b".to_owned(), all.rows["a/b"].clone())].into());
    assert_eq!(some.objects, all.objects[1..2]);
    assert_eq!(some.documents, all.documents);
    // What is left of a table once its other chunks have been read.
    let rest = choose(archive.as_slice(), |path| path.ends_with("00000002.jsonl")).unwrap();
    assert_eq!(rest.rows["t"], rows_of(7));
}

#[test]
fn neighbours_are_read_by_few_ranges_and_what_is_far_is_not_read() {
    let archive = archive("none");
    let read = |takes: &dyn Fn(&str) -> bool| {
        let counted = Counted::new(&archive);
        let brought = choose(&counted, takes).unwrap();
        let (ranges, bytes) = counted.take();
        (brought.objects.len(), u64::from(ranges), bytes)
    };
    let (nothing, index_ranges, index_bytes) = read(&|_| false);
    assert!(nothing == 0 && index_ranges < 12 && index_bytes < 6 << 20, "{index_ranges} ranges, {index_bytes} bytes");
    // 4,000 objects that stand together.
    let inside = |path: &str| ("objects/02/".."objects/06/").contains(&path);
    let (count, ranges, bytes) = read(&inside);
    let size: u64 = (2_000..6_000).map(|n| content(n).len() as u64 + 1_024).sum();
    assert!(count == 4_000 && bytes < index_bytes + size * 5 / 4 + (8 << 20), "{bytes} bytes of {size}");
    assert!(ranges < index_ranges + size / (1 << 20) + 6, "{ranges} ranges");
    // Each tenth is nearer than a range is worth.
    let (count, tenths, _) = read(&|path| inside(path) && path.ends_with('0'));
    assert!(count == 400 && tenths <= ranges + 2, "{tenths} ranges, and {ranges} for all");
    // Two that are far from one another.
    let (count, _, bytes) = read(&|path| ["objects/02/02000", "objects/09/09000"].contains(&path));
    assert!(count == 2 && bytes < index_bytes + (4 << 20), "{bytes} bytes, and {index_bytes} of the index");
}

/// The index is never held whole: what one block tells of is passed on before the next one is read again.
#[test]
fn blocks_are_read_one_at_a_time_and_needed_ones_alone() {
    let archive = archive("none");
    let counted = Counted::new(&archive);
    let reader = open(&counted);
    assert!(reader.summary().index.len() > 2);
    let index = reader.check_index(|listed| Ok(listed.path() == "objects/11/11999")).unwrap();
    assert_eq!(index.blocks.iter().filter(|block| block.is_some()).count(), 2);
    let index = reader.check_index(|_| Ok(true)).unwrap();
    let (asked, heard) = (Cell::new(0_u32), Cell::new(0));
    let mut most = 0;
    let takes = |_: &Entry| {
        asked.set(asked.get() + 1);
        most = most.max(asked.get() - heard.get());
        Ok(true)
    };
    let each = |event| {
        heard.set(heard.get() + u32::from(matches!(event, Event::ObjectEnd | Event::Rows { .. })));
        Ok(())
    };
    reader.read_chosen(&index, takes, each).unwrap();
    assert_eq!((asked.get(), heard.get()), (12_001, 12_001));
    assert!(most <= 4_096, "{most} records at once");
}

/// A block of 4,096 records ends between an attempt and the one that counts.
#[test]
fn attempts_in_two_blocks_are_one_object() {
    let mut writer = writer("zstd");
    (0..4_089).for_each(|n| add(&mut writer, key(n), b"x"));
    writer.begin_object(&ObjectHeader { key: b"again".to_vec(), size: 9, ..Default::default() }).unwrap();
    writer.void_object().unwrap();
    add(&mut writer, b"again".to_vec(), b"new");
    add(&mut writer, b"z".to_vec(), b"last");
    let archive = writer.finish(|_| None).unwrap().0;
    let reader = RandomReader::open(archive.as_slice(), Limits::default()).unwrap();
    let blocks: Vec<_> = reader.summary().index.iter().map(|block| (block.count, block.first.as_str())).collect();
    assert_eq!(blocks, [(4_096, "database/post-data.sql"), (2, "objects/again")]);
    for chosen in ["again", "z"] {
        let brought = choose(archive.as_slice(), |path| path.strip_prefix("objects/") == Some(chosen)).unwrap();
        let keys: Vec<_> = brought.objects.iter().map(|(header, ..)| header.key.as_slice()).collect();
        assert_eq!(keys, [chosen.as_bytes()]);
    }
}

/// A file that is another one from some moment on.
struct Changing<'a> {
    files: [&'a [u8]; 2],
    now: &'a Cell<usize>,
}

impl ReadAt for Changing<'_> {
    fn size(&self) -> u64 {
        self.files[0].len() as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.files[self.now.get()].read_exact_at(offset, out)
    }
}

/// An archive whose first index block lies before its last 256 KiB.
fn long(object: &[u8]) -> Vec<u8> {
    let mut writer = writer("none");
    add(&mut writer, b"a".to_vec(), object);
    (0..4_200).for_each(|n| add(&mut writer, format!("b{n:05}").into_bytes(), b""));
    (0..4).for_each(|n| add(&mut writer, format!("c{n}").into_bytes(), &[&large(), object].concat()));
    writer.finish(|_| None).unwrap().0
}

#[test]
fn an_archive_that_changes_after_its_index_was_checked_is_seen() {
    let (one, other) = (long(b"one"), long(b"two"));
    assert_eq!(one.len(), other.len());
    let now = Cell::new(0);
    let reader = RandomReader::open(Changing { files: [&one, &other], now: &now }, Limits::default()).unwrap();
    let index = reader.check_index(|_| Ok(true)).unwrap();
    reader.read_chosen(&index, |_| Ok(true), |_| Ok(())).unwrap();
    now.set(1);
    let error = reader.read_chosen(&index, |_| Ok(true), |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("another one than when"), "{error}");
    // Under the reading itself, once the block has been read again.
    now.set(0);
    let change = |event| {
        if let Event::Sequences(_) = event {
            now.set(1);
        }
        Ok(())
    };
    assert!(reader.read_chosen(&index, |_| Ok(true), change).is_err());
}

/// Whatever is done to an archive: what comes out is what was in it, or an error.
#[test]
fn damage_anywhere_that_is_read_is_an_error() {
    let mut writer = writer("gzip");
    add(&mut writer, b"a".to_vec(), b"hello");
    writer.begin_object(&ObjectHeader { key: b"b".to_vec(), size: 3, ..Default::default() }).unwrap();
    writer.void_object().unwrap();
    add(&mut writer, b"b".to_vec(), &content(700));
    let archive = writer.finish(|_| None).unwrap().0;
    let all = whole(&archive);
    for at in 0..archive.len() {
        for bit in [1, 0x80] {
            let mut changed = archive.clone();
            changed[at] ^= bit;
            // What nothing covers, such as the time in a gzip header, the other reader takes too.
            if let Ok(brought) = choose(changed.as_slice(), |_| true) {
                assert!(brought == all && whole(&changed) == all, "byte {at}");
            }
        }
        assert!(choose(&archive[..at], |_| true).is_err(), "cut at {at}");
    }
}
