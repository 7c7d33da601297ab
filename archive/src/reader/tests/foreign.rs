//! Archives that other programs packed: whole streams of gzip and zstd, and tar as GNU tar writes it.

use std::io::Write;

use tar::{EntryType, Header};

use super::*;

/// How the tar of an archive is made again.
struct Packing {
    gnu: bool,
    folders: bool,
    index: bool,
    padding: usize,
}

const LIKE_GNU_TAR: Packing = Packing { gnu: true, folders: true, index: true, padding: 18 * BLOCK };

/// Takes an archive of ours apart, and makes the tar anew.
fn tar(archive: &[u8], packing: &Packing) -> Vec<u8> {
    let entries = entries(archive);
    let mut tar = Vec::new();
    let mut add = |kind: EntryType, name: &[u8], content: &[u8]| {
        let mut header = if packing.gnu { Header::new_gnu() } else { Header::new_ustar() };
        header.as_old_mut().name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_uid(1_000);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    };
    if packing.folders {
        add(EntryType::Directory, b"./", b"");
    }
    for (path, content) in entries {
        if path.starts_with("index/") && !packing.index {
            continue;
        }
        if packing.folders && path == "objects/a.txt" {
            add(EntryType::Directory, b"./objects/", b"");
        }
        let path = if packing.folders { format!("./{path}") } else { path };
        if path.len() > 100 {
            add(EntryType::GNULongName, b"././@LongLink", format!("{path}\0").as_bytes());
        }
        add(EntryType::Regular, path.as_bytes(), &content);
    }
    tar.resize(tar.len() + 2 * BLOCK + packing.padding, 0);
    tar
}

fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (sender, seen) = std::sync::mpsc::channel();
    let mut reader = Reader::new(archive, Limits::default());
    reader.watch(move |passing| {
        let told = match passing {
            Passing::Begin { path, .. } => (Some(path.to_owned()), Vec::new()),
            Passing::Bytes(bytes) => (None, bytes.to_vec()),
            Passing::End => (None, Vec::new()),
        };
        sender.send(told).map_err(|_| Error::Io(io::ErrorKind::BrokenPipe.into()))
    });
    take(reader).unwrap();
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    for (path, bytes) in seen {
        match path {
            Some(path) => entries.push((path, bytes)),
            None => entries.last_mut().unwrap().1.extend(bytes),
        }
    }
    entries
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(plain, 19).unwrap()
}

fn long() -> Vec<(ObjectHeader, Vec<u8>)> {
    let mut objects = objects();
    let key = [b"d/".to_vec(), vec![b'x'; 150]].concat();
    objects.push((ObjectHeader { key, size: 4, ..Default::default() }, b"long".to_vec()));
    objects
}

fn read_plain(bytes: &[u8]) -> Result<Contents> {
    take(Reader::plain(bytes, Limits::default()))
}

#[test]
fn what_gnu_tar_packed_is_taken() {
    let ours = write(&long());
    let whole = read(ours.as_slice()).unwrap();
    for index in [true, false] {
        let tar = tar(&ours, &Packing { index, ..LIKE_GNU_TAR });
        let tar = if index { tar } else { without_index(&tar) };
        for packed in [gzip(&tar), zstd(&tar), [gzip(&tar[..1_000]), gzip(&tar[1_000..])].concat()] {
            let (objects, rows, summary) = read_plain(&packed).unwrap();
            let contents = |objects: Vec<(ObjectHeader, Vec<u8>)>| -> Vec<_> {
                objects.into_iter().map(|(header, content)| (header.key, content)).collect()
            };
            assert_eq!(contents(objects), contents(whole.0.clone()));
            assert_eq!((rows, summary.tables), (whole.1.clone(), whole.2.tables.clone()));
        }
    }
}

/// The summary of a program that makes no index.
fn without_index(tar: &[u8]) -> Vec<u8> {
    replace_summary(tar, |summary| {
        summary.as_object_mut().unwrap().remove("index");
        summary.as_object_mut().unwrap().remove("index_digest");
    })
}

fn replace_summary(tar: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let name = b"./summary.json";
    let at = tar.windows(name.len()).rposition(|window| window == name).unwrap();
    let mut header = Header::from_byte_slice(&tar[at..at + BLOCK]).clone();
    let size = usize::try_from(header.entry_size().unwrap()).unwrap();
    let mut summary = serde_json::from_slice(&tar[at + BLOCK..at + BLOCK + size]).unwrap();
    change(&mut summary);
    let content = serde_json::to_vec(&summary).unwrap();
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut changed = [&tar[..at], header.as_bytes(), &content].concat();
    changed.resize(changed.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    changed
}

#[test]
fn sealed_archives_hold_members_of_ours_alone() {
    let tar = tar(&write(&objects()), &LIKE_GNU_TAR);
    for packed in [gzip(&tar), zstd(&tar)] {
        assert!(matches!(read(packed.as_slice()), Err(Error::NotAnArchive(_))));
    }
}

#[test]
fn members_of_ours_are_held_to_the_format_in_a_plain_archive_too() {
    let ours = write(&objects());
    assert_eq!(read_plain(&ours).unwrap(), read(ours.as_slice()).unwrap());
    assert!(matches!(read_plain(&ours[..ours.len() - 46]), Err(Error::CutShort { .. })));
}

#[test]
fn foreign_archives_that_are_not_whole_or_lie_are_refused() {
    let ours = write(&objects());
    let honest = tar(&ours, &LIKE_GNU_TAR);
    let refused = |tar: &[u8], why: &str| {
        for packed in [gzip(tar), zstd(tar)] {
            let error = read_plain(&packed).unwrap_err();
            assert!(error.to_string().contains(why), "{why:?} is not why: {error}");
        }
    };
    refused(&honest[..honest.len() - 20 * BLOCK], "summary");
    refused(&[&honest[..], b"x"].concat(), "behind the end");
    refused(&replace_summary(&honest, |summary| summary["complete"] = false.into()), "not complete");
    refused(&replace_summary(&honest, |summary| summary["objects"]["count"] = 4.into()), "other objects");
    refused(&replace_summary(&honest, |summary| summary["index"] = serde_json::json!([])), "other index blocks");
    refused(&replace_summary(&honest, |summary| summary["index_digest"] = "0".repeat(64).into()), "index digest");
    let at = honest.windows(5).position(|window| window == b"hello").unwrap();
    let mut changed = honest.clone();
    changed[at] ^= 1;
    refused(&changed, "does not describe");
    let bare = tar(&ours, &Packing { index: false, ..LIKE_GNU_TAR });
    refused(&bare, "holds no index blocks");
    let padded = tar(&ours, &Packing { padding: 3 << 20, ..LIKE_GNU_TAR });
    refused(&padded, "behind the end");
    for (packed, why) in [(gzip(&honest), "gzip"), (zstd(&honest), "zstd")] {
        for cut in [1, 3, 9, 30, packed.len() / 2, packed.len() - 1] {
            let error = read_plain(&packed[..cut]).unwrap_err();
            assert!(matches!(error, Error::CutShort { .. }), "{why} cut at {cut}: {error}");
        }
        let mut changed = packed.clone();
        let last = changed.len() - 6;
        changed[last] ^= 1;
        assert!(read_plain(&changed).is_err(), "{why}");
        assert!(matches!(
            read_plain(&[&packed[..], b"garbage"].concat()),
            Err(Error::Member { .. } | Error::CutShort { .. })
        ));
    }
}

/// A pax header with one record, of a kind.
fn pax(kind: u8, record: &str) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::new(kind));
    header.set_size(record.len() as u64);
    header.set_cksum();
    let mut blocks = [header.as_bytes(), record.as_bytes()].concat();
    blocks.resize(2 * BLOCK, 0);
    blocks
}

#[test]
fn global_headers_that_rename_what_follows_are_refused() {
    let tar = tar(&write(&objects()), &LIKE_GNU_TAR);
    let with = |header: Vec<u8>| gzip(&[&tar[..BLOCK], &header, &tar[BLOCK..]].concat());
    let whole = read_plain(&gzip(&tar)).unwrap();
    assert_eq!(read_plain(&with(pax(b'g', "13 comment=x\n"))).unwrap(), whole);
    for record in ["10 path=x\n", "9 size=1\n", "21 GNU.sparse.major=1\n", "20 COFFER.attempt=2\n"] {
        assert!(read_plain(&with(pax(b'g', record))).is_err(), "{record}");
    }
}

/// What was signed in an archive of ours holds where others packed it: no object is taken away by a word that nothing
/// signs.
#[test]
fn the_last_record_is_not_void_either() {
    let ours = write(&objects());
    let mut entries = entries(&ours);
    let at = entries.iter().position(|(path, _)| path == "objects/c").unwrap();
    entries.remove(at);
    for (path, content) in &mut entries {
        let text = String::from_utf8_lossy(content).into_owned();
        if path.starts_with("index/") {
            let (rest, last) = text.trim_end().rsplit_once('\n').unwrap();
            *content = format!("{rest}\n{},\"void\":true}}\n", last.strip_suffix('}').unwrap()).into_bytes();
        } else if path == "summary.json" {
            let mut summary: serde_json::Value = serde_json::from_str(&text).unwrap();
            summary["objects"] = serde_json::json!({"count": 2, "bytes": 5, "vanished": 0});
            *content = serde_json::to_vec(&summary).unwrap();
        }
    }
    let mut tar = Vec::new();
    for (path, content) in &entries {
        let name = EntryName::parse(path).unwrap();
        tar.extend(crate::header::plain_entry(&name, content.len() as u64).unwrap());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    let error = read_plain(&gzip(&tar)).unwrap_err();
    assert!(error.to_string().contains("does not come again"), "{error}");
}

#[test]
fn a_window_that_needs_much_memory_is_refused() {
    let tar = tar(&write(&objects()), &LIKE_GNU_TAR);
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&tar).unwrap();
    assert!(matches!(read_plain(&encoder.finish().unwrap()), Err(Error::Member { .. })));
}

#[test]
fn a_failing_input_is_no_damage() {
    let packed = gzip(&tar(&write(&objects()), &LIKE_GNU_TAR));
    for stop in [0, 5, 50, packed.len() / 2] {
        let input = Hostile { bytes: &packed, at: 0, stop, fails: true, interrupt: false };
        assert!(matches!(take(Reader::plain(input, Limits::default())), Err(Error::Io(_))), "{stop}");
    }
}
