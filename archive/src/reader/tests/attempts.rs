//! Objects that changed while they were read, and objects that were gone.

use super::*;

fn header(key: &str, size: u64) -> ObjectHeader {
    ObjectHeader { key: key.into(), size, ..Default::default() }
}

/// `b` changes twice, `c` has vanished.
fn restless() -> Vec<u8> {
    let mut writer = writer("gzip");
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    add(&mut writer, &header("a", 1), b"a");
    for size in [700, 300_000] {
        writer.begin_object(&header("b", size)).unwrap();
        writer.object_bytes(b"half").unwrap();
        writer.void_object().unwrap();
    }
    add(&mut writer, &header("b", 3), b"new");
    writer.vanished_object(b"c").unwrap();
    add(&mut writer, &header("d", 1), b"d");
    writer.finish(|_| None).unwrap().0
}

#[test]
fn the_last_attempt_counts() {
    let (objects, _, summary) = read(restless().as_slice()).unwrap();
    let contents: Vec<_> =
        objects.iter().map(|(header, content)| (header.key.as_slice(), content.as_slice())).collect();
    assert_eq!(contents, [(&b"a"[..], &b"a"[..]), (b"b", b"new"), (b"d", b"d")]);
    assert_eq!(summary.objects, ObjectTotals { count: 3, bytes: 5, vanished: 1 });
    assert_eq!(summary.index[0].count, 5 + 6);
}

#[test]
fn a_watcher_sees_each_entry_as_it_stands() {
    let archive = restless();
    let (sender, seen) = std::sync::mpsc::channel();
    let mut reader = Reader::new(archive.as_slice(), Limits::default());
    reader.watch(move |passing| {
        let told = match passing {
            Passing::Begin { path, size } => format!("{path} {size}"),
            Passing::Bytes(bytes) => format!("+{}", bytes.len()),
            Passing::End => "end".into(),
        };
        sender.send(told).map_err(|_| Error::Io(io::ErrorKind::BrokenPipe.into()))
    });
    take(reader).unwrap();
    let seen: Vec<_> = seen.iter().collect();
    let from = seen.iter().position(|told| told == "objects/a 1").unwrap();
    assert_eq!(seen[from..from + 5], ["objects/a 1", "+1", "end", "objects/b 700", "+700"]);
    assert_eq!(seen.iter().filter(|told| told.starts_with("objects/b")).count(), 3);
    assert_eq!(seen.last().unwrap(), "end");
    let mut reader = Reader::new(archive.as_slice(), Limits::default());
    reader.watch(|_| Err(Error::Io(io::ErrorKind::StorageFull.into())));
    assert!(matches!(reader.next_event(), Err(Error::Io(error)) if error.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn three_attempts_are_all() {
    let mut writer = writer("gzip");
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    for _ in 0..2 {
        writer.begin_object(&header("a", 10)).unwrap();
        writer.void_object().unwrap();
    }
    writer.begin_object(&header("a", 10)).unwrap();
    assert!(matches!(writer.void_object(), Err(Error::Restless { entry }) if entry == "objects/a"));
}

#[test]
fn what_is_void_must_come_again_at_once() {
    let void = || {
        let mut writer = writer("gzip");
        writer.sequences(br#"{"sequences":[]}"#).unwrap();
        writer.begin_object(&header("a", 10)).unwrap();
        writer.void_object().unwrap();
        writer
    };
    assert!(void().begin_object(&header("b", 1)).is_err());
    assert!(void().vanished_object(b"a").is_err());
    assert!(void().finish(|_| None).is_err());
    assert!(void().begin_object(&header("a", 1)).is_ok());
}

#[test]
fn what_vanished_stands_in_its_order() {
    let mut writer = writer("gzip");
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    writer.vanished_object(b"b").unwrap();
    assert!(writer.vanished_object(b"a").is_err());
    assert!(writer.begin_object(&header("b", 1)).is_err());
    assert!(writer.begin_object(&header("c", 1)).is_ok());
}

#[test]
fn a_signature_is_carried() {
    let mut writer = writer("gzip");
    writer.sequences(br#"{"sequences":[]}"#).unwrap();
    let mut signed = None;
    let signature = Signature { key: "ab".repeat(32), value: "cd".repeat(64) };
    let (archive, _) = writer
        .finish(|digest| {
            signed = Some(*digest);
            Some(signature.clone())
        })
        .unwrap();
    let summary = read(archive.as_slice()).unwrap().2;
    assert_eq!((summary.index_digest(), summary.signature), (signed, Some(signature)));
}

#[test]
fn a_malformed_signature_is_refused() {
    for (key, value) in
        [("ab".repeat(31), "cd".repeat(64)), ("AB".repeat(32), "cd".repeat(64)), ("ab".repeat(32), "".into())]
    {
        let mut writer = writer("gzip");
        writer.sequences(br#"{"sequences":[]}"#).unwrap();
        let archive = writer.finish(|_| Some(Signature { key, value })).unwrap().0;
        assert!(matches!(read(archive.as_slice()), Err(Error::Entry { entry, .. }) if entry == "summary.json"));
    }
}
