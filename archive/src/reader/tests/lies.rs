//! Archives whose members, checksums and padding are right, and which lie: each rule of the format, broken alone.

use serde_json::{Value, json};

use super::*;
use crate::header::{object_entry, plain_entry};
use crate::index::{Block, Record};
use crate::manifest::hex;
use crate::member::{Footer, Packer};
use crate::{Compression, Found, RandomReader};

struct Entry {
    path: String,
    header: Vec<u8>,
    content: Vec<u8>,
    padding: u8,
}

fn entry(path: &str, content: &[u8]) -> Entry {
    let name = EntryName::parse(path).unwrap();
    let size = content.len() as u64;
    let header = match &name {
        EntryName::Object(key) => {
            object_entry(&ObjectHeader { key: key.clone(), size, ..Default::default() }, Attempt::FIRST)
        }
        _ => plain_entry(&name, size),
    };
    Entry { path: path.into(), header: header.unwrap(), content: content.to_vec(), padding: 0 }
}

/// An archive in one member, honest but for what a test changes.
struct Draft {
    entries: Vec<Entry>,
    records: fn(&mut Vec<EntryRecord>),
    blocks: fn(Vec<u8>) -> Vec<Vec<u8>>,
    summary: fn(&mut Value),
    footer: fn(&mut Footer),
    end: Vec<u8>,
}

impl Draft {
    fn new() -> Self {
        let (schema, pre, post) = structure();
        let entries = vec![
            entry("manifest.json", &serde_json::to_vec(&manifest()).unwrap()),
            entry("database/schema.json", schema),
            entry("database/pre-data.sql", pre),
            entry("database/post-data.sql", post),
            entry("database/rows/a/00000000.jsonl", b"[1]\n[2]\n"),
            entry("database/rows/a/00000001.jsonl", b"[3]\n"),
            entry("database/sequences.json", br#"{"sequences":[]}"#),
            entry("objects/a", b"hello"),
            entry("objects/b", b""),
        ];
        let end = vec![0; 2 * BLOCK];
        Self { entries, records: |_| (), blocks: |block| vec![block], summary: |_| (), footer: |_| (), end }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut draft = Self::new();
        change(&mut draft);
        draft.build()
    }

    fn entry(&mut self, path: &str) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.path == path).unwrap()
    }

    fn replace(&mut self, path: &str, content: &[u8]) {
        *self.entry(path) = entry(path, content);
    }

    fn swap(&mut self, one: &str, other: &str) {
        let place = |path| self.entries.iter().position(|entry| entry.path == path).unwrap();
        let (one, other) = (place(one), place(other));
        self.entries.swap(one, other);
    }

    fn build(self) -> Vec<u8> {
        let mut tar = Vec::new();
        let mut records = Vec::new();
        for entry in &self.entries {
            let at = put(&mut tar, entry);
            let size = entry.content.len() as u64;
            let sha256 = Sha256::digest(&entry.content).into();
            records.push(EntryRecord { path: entry.path.clone(), size, at, sha256, void: false });
        }
        (self.records)(&mut records);
        let mut digest = IndexDigest::default();
        records.iter().for_each(|record| digest.add_entry(record));
        let line = |record: &EntryRecord| Record::Entry(record.clone()).to_line();
        let mut index = Vec::new();
        for (number, block) in (self.blocks)(records.iter().flat_map(line).collect()).into_iter().enumerate() {
            let at = put(&mut tar, &entry(&format!("index/{number:08}.jsonl"), &block));
            index.push(Block::parse(&block, |_| Ok(())).unwrap().summary(at, block.len() as u64));
        }
        let mut summary = json!({
            "complete": true,
            "tables": [
                {"name": "a", "rows": 3, "bytes": 12, "digest": table_digest(&["[1]", "[2]", "[3]"])},
                {"name": "none", "rows": 0, "bytes": 0, "digest": table_digest(&[])},
                {"name": "b", "rows": 0, "bytes": 0, "digest": table_digest(&[])},
            ],
            "objects": {"count": 2, "bytes": 5, "vanished": 0},
            "index": index,
            "index_digest": hex(&digest.finish()),
        });
        (self.summary)(&mut summary);
        let at = put(&mut tar, &entry("summary.json", &serde_json::to_vec(&summary).unwrap()));
        tar.extend_from_slice(&self.end);
        let mut archive = Vec::new();
        let mut packer = Packer::new(Compression::default()).unwrap();
        packer.pack(&tar, &mut archive).unwrap();
        let mut footer = Footer { member: at.member, skip: at.skip };
        (self.footer)(&mut footer);
        packer.footer(footer, &mut archive);
        archive
    }
}

fn put(tar: &mut Vec<u8>, entry: &Entry) -> Position {
    let at = Position { member: 0, skip: u32::try_from(tar.len()).unwrap() };
    tar.extend_from_slice(&entry.header);
    tar.extend_from_slice(&entry.content);
    tar.resize(tar.len().next_multiple_of(BLOCK), entry.padding);
    at
}

fn table_digest(rows: &[&str]) -> String {
    let half = |row: &&str| u128::from_le_bytes(*Sha256::digest(row).first_chunk().unwrap());
    format!("{:032x}", rows.iter().map(half).fold(0_u128, u128::wrapping_add))
}

#[test]
fn an_honest_draft_is_an_archive() {
    assert!(matches!(chosen(&Draft::with(|_| ())), (Ok(()), 2)));
    let (objects, rows, summary) = read(Draft::with(|_| ()).as_slice()).unwrap();
    assert_eq!((objects.len(), rows.as_slice(), summary.objects.count), (2, &b"[1]\n[2]\n[3]\n"[..], 2));
}

fn refused(why: &str, change: impl FnOnce(&mut Draft)) {
    match read(Draft::with(change).as_slice()) {
        Ok(_) => panic!("taken, and should be refused: {why}"),
        Err(error) => assert!(error.to_string().contains(why), "{why:?} is not why: {error}"),
    }
}

/// The same of an archive that both readers refuse: the one in one pass, and the one of what is chosen, here all.
fn refused_by_both(why: &str, change: impl Fn(&mut Draft)) {
    refused(why, &change);
    assert!(chosen(&Draft::with(change)).0.is_err(), "taken by choice, and should be refused: {why}");
}

/// How reading all by choice ends, and how many objects came to their end.
fn chosen(archive: &[u8]) -> (Result<()>, u32) {
    let mut ends = 0;
    let each = |event| {
        ends += u32::from(matches!(event, Event::ObjectEnd));
        Ok(())
    };
    let read = RandomReader::open(archive, Limits::default()).and_then(|reader| {
        let index = reader.check_index(|_| Ok(true))?;
        reader.read_chosen(&index, |_| Ok(true), each)
    });
    (read, ends)
}

/// An archive whose every checksum is right, but for the hash of an object in its index.
#[test]
fn an_end_is_not_told_of_an_object_with_another_hash() {
    let (read, ends) = chosen(&Draft::with(|draft| draft.records = |records| records[8].sha256 = [0; 32]));
    let error = read.unwrap_err().to_string();
    assert!(error.contains("objects/b") && error.contains("SHA-256") && ends == 1, "{error}");
}

#[test]
fn a_summary_that_lies_is_refused() {
    refused_by_both("not complete", |draft| draft.summary = |summary| summary["complete"] = false.into());
    refused_by_both("where the archive holds", |draft| {
        draft.summary = |summary| summary["tables"][0]["rows"] = 4.into()
    });
    refused_by_both("where the archive holds", |draft| {
        draft.summary = |summary| summary["tables"][0]["bytes"] = 13.into()
    });
    refused_by_both("where the archive holds", |draft| {
        draft.summary = |summary| summary["tables"][0]["digest"] = "0".repeat(32).into();
    });
    refused_by_both("where the archive holds", |draft| draft.replace("database/rows/a/00000001.jsonl", b"[4]\n"));
    refused_by_both("tables are not those", |draft| {
        draft.summary = |summary| drop(summary["tables"].as_array_mut().unwrap().pop());
    });
    for key in ["count", "bytes", "vanished"] {
        let archive = |summary: fn(&mut Value)| read(Draft::with(|draft| draft.summary = summary).as_slice());
        let lie = match key {
            "count" => archive(|summary| summary["objects"]["count"] = 3.into()),
            "bytes" => archive(|summary| summary["objects"]["bytes"] = 6.into()),
            _ => archive(|summary| summary["objects"]["vanished"] = 1.into()),
        };
        assert!(lie.unwrap_err().to_string().contains("other objects"), "{key}");
    }
    refused_by_both("other index blocks", |draft| draft.summary = |summary| summary["index"][0]["count"] = 8.into());
    refused_by_both("other index blocks", |draft| draft.summary = |summary| summary["index"] = json!([]));
    refused_by_both("index digest", |draft| draft.summary = |summary| summary["index_digest"] = "0".repeat(64).into());
}

#[test]
fn an_index_that_lies_is_refused() {
    let does_not_describe = "does not describe the entries";
    refused_by_both(does_not_describe, |draft| draft.records = |records| records[7].size += 1);
    refused_by_both(does_not_describe, |draft| draft.records = |records| records[7].at.member += 1);
    refused_by_both(does_not_describe, |draft| draft.records = |records| records[7].at.skip += 1);
    refused_by_both(does_not_describe, |draft| draft.records = |records| records[7].sha256 = [0; 32]);
    refused_by_both(does_not_describe, |draft| draft.records = |records| records[7].path.push('x'));
    refused_by_both("out of its order", |draft| draft.records = |records| records.swap(7, 8));
    refused_by_both(does_not_describe, |draft| draft.records = |records| records.swap(4, 5));
    refused_by_both("behind those of objects", |draft| draft.records = |records| records.swap(6, 7));
    refused_by_both("out of its order", |draft| draft.records = |records| records[7].void = true);
    refused_by_both(does_not_describe, |draft| draft.records = |records| drop(records.pop()));
    refused_by_both("more entries than stand before", |draft| {
        draft.records = |records| {
            let mut last = records.last().cloned().unwrap();
            last.path.push('x');
            records.push(last);
        };
    });
    refused_by_both("before it is not full", |draft| {
        draft.blocks = |block| {
            let cut = block.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            vec![block[..cut].to_vec(), block[cut..].to_vec()]
        };
    });
}

/// Nothing signed says which records are void: the last object must not go by such a word.
#[test]
fn the_last_record_is_not_void() {
    let archive = Draft::with(|draft| {
        draft.records = |records| records[8].void = true;
        draft.summary = |summary| summary["objects"]["count"] = 1.into();
    });
    let reader = RandomReader::open(archive.as_slice(), Limits::default()).unwrap();
    for error in [
        read(archive.as_slice()).unwrap_err(),
        reader.list(|_| Ok(())).unwrap_err(),
        reader.find_all_under("objects/", |_| Ok(())).unwrap_err(),
        reader.find("objects/b").unwrap_err(),
    ] {
        assert!(error.to_string().contains("not come again"), "{error}");
    }
}

#[test]
fn entries_that_overlap_are_not_read_at_random() {
    let archive = Draft::with(|draft| {
        let inner = entry("objects/b", b"");
        draft.replace("objects/a", &inner.header);
        draft.records = |records| records[8].at.skip = records[7].at.skip + 512;
        draft.summary = |summary| summary["objects"]["bytes"] = 512.into();
    });
    let reader = RandomReader::open(archive.as_slice(), Limits::default()).unwrap();
    let Ok(Found::Entry(outer)) = reader.find("objects/a") else { panic!("objects/a is not found") };
    let error = reader.read(&outer, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("runs on into"), "{error}");
    let archive = Draft::with(|draft| draft.records = |records| records[8].at = records[7].at);
    let reader = RandomReader::open(archive.as_slice(), Limits::default()).unwrap();
    assert!(reader.find("objects/a").unwrap_err().to_string().contains("one behind the other"));
}

#[test]
fn index_blocks_out_of_place_are_not_read_at_random() {
    for (blocks, why) in [(2, "not full"), (1, "")] {
        let archive = Draft::with(|draft| {
            if blocks == 2 {
                draft.summary = |summary| {
                    let block = summary["index"][0].clone();
                    summary["index"].as_array_mut().unwrap().push(block);
                };
            }
        });
        match RandomReader::open(archive.as_slice(), Limits::default()) {
            Ok(_) => assert_eq!(blocks, 1),
            Err(error) => assert!(blocks == 2 && error.to_string().contains(why), "{error}"),
        }
    }
}

#[test]
fn an_end_that_lies_is_refused() {
    refused_by_both("does not point to summary.json", |draft| draft.footer = |footer| footer.skip += 512);
    refused_by_both("does not point to summary.json", |draft| draft.footer = |footer| footer.member += 1);
    refused_by_both("behind the end", |draft| draft.end.resize(3 * BLOCK, 0));
    refused_by_both("no place for an index block", |draft| {
        let mut end = Vec::new();
        put(&mut end, &entry("index/00000001.jsonl", b"{\"path\":\"objects/z\",\"vanished\":true}\n"));
        end.append(&mut draft.end);
        draft.end = end;
    });
    refused_by_both("cut short", |draft| draft.end.truncate(BLOCK));
    refused_by_both("padding", |draft| draft.end[BLOCK] = 1);
}

#[test]
fn entries_that_break_a_rule_are_refused() {
    refused_by_both("fingerprint", |draft| draft.replace("database/pre-data.sql", b"CREATE TABLE other(x);\n"));
    refused_by_both("padding is not zero", |draft| draft.entry("objects/a").padding = 1);
    refused_by_both("checksum", |draft| draft.entry("objects/a").header[8] ^= 1);
    refused_by_both("order", |draft| draft.swap("objects/a", "objects/b"));
    refused_by_both("order", |draft| draft.swap("database/rows/a/00000001.jsonl", "database/sequences.json"));
    refused_by_both("order", |draft| draft.swap("database/sequences.json", "objects/a"));
    refused_by_both("order", |draft| draft.swap("database/schema.json", "database/pre-data.sql"));
    refused_by_both("numbered without gaps", |draft| {
        draft.swap("database/rows/a/00000000.jsonl", "database/rows/a/00000001.jsonl");
    });
    refused_by_both("no such table", |draft| {
        *draft.entry("database/rows/a/00000001.jsonl") = entry("database/rows/c/00000000.jsonl", b"[3]\n");
    });
    refused_by_both("encoding", |draft| {
        *draft.entry("database/rows/a/00000001.jsonl") = entry("database/rows/a/00000001.copy", b"[3]\n");
    });
    refused_by_both("cut after a newline", |draft| draft.replace("database/rows/a/00000001.jsonl", b"[3]"));
    refused_by_both("out of the order", |draft| draft.entries.push(entry("objects/a", b"again")));
    refused_by_both("further attempt", |draft| {
        let object = ObjectHeader { key: b"b".to_vec(), ..Default::default() };
        draft.entry("objects/b").header = object_entry(&object, Attempt::FIRST.next().unwrap()).unwrap();
    });
    refused_by_both("not a Coffer archive", |draft| drop(draft.entries.remove(0)));
    refused_by_both("twice", |draft| draft.entries.insert(7, entry("database/sequences.json", br#"{"sequences":[]}"#)));
    refused_by_both("bytes in manifest.json", |draft| {
        draft.entry("manifest.json").header = plain_entry(&EntryName::Manifest, (1 << 20) + 1).unwrap();
    });
    refused_by_both("use a newer one", |draft| {
        let later = Manifest { format: "coffer/2".into(), ..manifest() };
        draft.replace("manifest.json", &serde_json::to_vec(&later).unwrap());
    });
}
