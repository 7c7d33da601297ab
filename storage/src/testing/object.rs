//! What every object store must do.
#![expect(
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "a suite fails by panicking, and stays on its test's thread"
)]

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::expect_traces;
use crate::{Buffers, Error, Object, ObjectBody, ObjectKey, ObjectMeta, ObjectStore, Result};

/// The longest piece of a body.
const PIECE_BYTES: usize = 256 << 10;
/// Enough for more pages than one, and for a rest.
const MANY: usize = 3_050;

/// What a store is, where that makes a difference to its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Objects of an import wait aside, and times are kept; `a` can't be beside `a/b`, and metadata not be kept.
    Folder,
    /// Objects of an import stand under their keys, in a place that the import has for itself. The time is the server's.
    Bucket,
}

/// Runs the suite. `awkward` are keys beyond those that every store must take: bytes that are not UTF-8, for one that takes them.
pub async fn object_store_conformance<S: ObjectStore>(
    fresh: impl Fn() -> S,
    awkward: &[&[u8]],
    kind: StoreKind,
    traces: impl Fn() -> Vec<String>,
) {
    let before = traces();
    nothing(&fresh()).await;
    expect_traces(&traces, &before, "looking").await;
    keys(&fresh(), awkward).await;
    bodies(&fresh(), kind).await;
    if kind == StoreKind::Bucket {
        metadata(&fresh()).await;
    }
    broken(&fresh()).await;
    changing(&fresh()).await;
    many(&fresh()).await;
    staged(&fresh, kind, &traces).await;
    staged_again(&fresh, kind, &traces).await;
}

async fn nothing(store: &impl ObjectStore) {
    assert!(store.is_empty().await.unwrap());
    assert!(keys_of(store).await.is_empty());
    assert!(matches!(store.get(&key(b"a")).await.err(), Some(Error::NotFound { .. })));
    assert!(matches!(store.get(&key(b"a/b")).await.err(), Some(Error::NotFound { .. })));
    store.delete(&key(b"a/b")).await.unwrap();
}

/// Keys come back as they are, in the order of their bytes.
async fn keys(store: &impl ObjectStore, awkward: &[&[u8]]) {
    let long = [b'x'; 240];
    let mut wanted: Vec<_> = [
        b"plain.txt".as_slice(),
        b"with space",
        b"quote'\"`",
        "emoji \u{1f600}/\u{e9}".as_bytes(),
        b"100%/%41%2f",
        b"..a/b..",
        b".hidden",
        b"a/b/c/d",
        b"a-/x",
        b"a.b",
        b"a0",
        b"new\nline",
        b"back\\slash",
        b"tab\t",
        &long,
        b"deep/deep/deep/deep/deep/x",
        b"a/b.c",
        b"a/b-",
        b"*?[x]",
        b"~",
        b"-rf",
    ]
    .iter()
    .chain(awkward)
    .map(|bytes| key(bytes))
    .collect();
    for key in &wanted {
        put(store, key, key.as_bytes()).await.unwrap();
    }
    wanted.sort();
    assert_eq!(keys_of(store).await, wanted);
    assert!(!store.is_empty().await.unwrap());
    for key in &wanted {
        assert_eq!(read(store.get(key).await.unwrap()).await.unwrap(), key.as_bytes());
        store.delete(key).await.unwrap();
        assert!(matches!(store.get(key).await.err(), Some(Error::NotFound { .. })));
    }
    assert!(store.is_empty().await.unwrap());
    assert!(keys_of(store).await.is_empty());
    put(store, &key(b"deep"), b"where folders were").await.unwrap();
}

/// Bodies come back as they are, in pieces that fit, with their time.
async fn bodies(store: &impl ObjectStore, kind: StoreKind) {
    let key = key(b"body.json");
    let long: Vec<u8> = (0..700_001_u32).map(|n| n.to_le_bytes()[0]).collect();
    for body in [&b""[..], b"short", &long, b"short again"] {
        put(store, &key, body).await.unwrap();
        let object = store.get(&key).await.unwrap();
        assert_eq!(object.meta.size, body.len() as u64);
        assert_time(&object.meta, kind);
        assert_eq!(object.meta.content_type.as_deref(), Some("application/json"));
        assert_eq!(read(object).await.unwrap(), body);
    }
    assert_eq!(keys_of(store).await.len(), 1);
}

/// What a bucket knows of an object comes back as it was, and a key may be the beginning of another.
async fn metadata(store: &impl ObjectStore) {
    let text = |text: &str| text.to_owned();
    let headers = [
        ("cache-control", "max-age=60, private"),
        ("content-disposition", "attachment; filename=\"a b.txt\""),
        ("content-encoding", "gzip"),
        ("content-language", "de, en"),
        ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
    ];
    let user = [("owner", "somebody"), ("with-dash", "a, b;  c=\"d\""), ("x.y", "~!@#$%^&*()")];
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| (text(name), text(value))).collect();
    for (name, size) in [("a", 10), ("a/b", 0), ("a/", 3), ("a//b", 6 << 20)] {
        let key = key(name.as_bytes());
        let meta = ObjectMeta {
            headers: pairs(&headers),
            user: pairs(&user),
            content_type: Some(text("text/x-y; charset=utf-8")),
            ..meta(size)
        };
        assert!(store.keeps(&meta));
        let bytes: Vec<_> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        store.put(&key, meta.clone(), body(&bytes)).await.unwrap();
        let object = store.get(&key).await.unwrap();
        let found = ObjectMeta { modified: meta.modified, etag: None, ..object.meta.clone() };
        assert_eq!(found, meta);
        assert!(object.meta.etag.is_some());
        assert!(read(object).await.unwrap() == bytes);
    }
    assert_eq!(keys_of(store).await.len(), 4);
    let kept = |name: &str, value: &str| store.keeps(&ObjectMeta { user: pairs(&[(name, value)]), ..meta(0) });
    assert!(!kept("a\r\nx-amz-acl", "x") && !kept("a", "x\r\nx-amz-acl: public-read") && !kept("a", "\u{e9}"));
}

/// What fails half-way leaves what was there.
async fn broken(store: &impl ObjectStore) {
    let old = key(b"old");
    put(store, &old, b"old").await.unwrap();
    for key in [&old, &key(b"new"), &key(b"folder/new")] {
        for (size, pieces) in [
            (10, vec![Ok(5), Err(())]),
            (10, vec![Ok(9)]),
            (10, vec![Ok(11)]),
            (10, vec![Ok(5), Ok(6)]),
            (0, vec![Ok(1)]),
            (1, vec![]),
        ] {
            let body = stream::iter(pieces).map(|piece| match piece {
                Ok(length) => Ok(Bytes::from(vec![b'x'; length])),
                Err(()) => Err(Error::Stopped { what: "a test" }),
            });
            store.put(key, meta(size), body.boxed()).await.unwrap_err();
        }
        let stuck = stream::once(async { Ok(Bytes::from_static(b"begun")) }).chain(stream::pending());
        let put = store.put(key, meta(100), stuck.boxed());
        tokio::time::timeout(std::time::Duration::from_millis(50), put).await.unwrap_err();
    }
    assert_eq!(keys_of(store).await, std::slice::from_ref(&old));
    assert_eq!(read(store.get(&old).await.unwrap()).await.unwrap(), b"old");
}

/// What is replaced or deleted while it is read comes whole, as it was, or ends in `Changed`; and is then what it is now.
async fn changing(store: &impl ObjectStore) {
    let changed = key(b"changed");
    let long = vec![b'x'; 4 * PIECE_BYTES];
    let others = [Some(vec![b'y'; long.len()]), Some(b"shorter".to_vec()), Some(vec![b'y'; 2 * long.len()]), None];
    for other in others {
        put(store, &changed, &long).await.unwrap();
        let mut object = store.get(&changed).await.unwrap();
        let first = object.body.next().await.unwrap().unwrap();
        match &other {
            Some(other) => put(store, &changed, other).await.unwrap(),
            None => store.delete(&changed).await.unwrap(),
        }
        object.meta.size -= first.len() as u64;
        match read(object).await {
            Ok(rest) => assert!([&first, &rest[..]].concat() == long, "a body of two states"),
            Err(error) => assert!(matches!(&error, Error::Changed { key } if *key == changed), "{error}"),
        }
        match (other, store.get(&changed).await) {
            (Some(other), found) => assert!(read(found.unwrap()).await.unwrap() == other),
            (None, found) => assert!(matches!(found.err(), Some(Error::NotFound { .. }))),
        }
    }
}

/// A listing comes in pages, and can be left.
async fn many(store: &impl ObjectStore) {
    let mut wanted: Vec<_> = (0..MANY).map(|n| key(format!("{}/{n}", n % 7).as_bytes())).collect();
    for key in &wanted {
        put(store, key, b"x").await.unwrap();
    }
    wanted.sort();
    let mut listing = store.list().await.unwrap();
    let mut listed = Vec::new();
    loop {
        let page = listing.next_page().await.unwrap();
        assert!(page.len() <= 1_000);
        if page.is_empty() {
            break;
        }
        assert!(page.iter().all(|line| line.size == 1));
        listed.extend(page.into_iter().map(|line| line.key));
    }
    assert_eq!(listed, wanted);
    assert!(listing.next_page().await.unwrap().is_empty());
    drop(store.list().await.unwrap());
}

/// What is staged can be seen from its commit on, whole, and until it is taken back.
async fn staged<S: ObjectStore>(fresh: &impl Fn() -> S, kind: StoreKind, traces: &impl Fn() -> Vec<String>) {
    let before = traces();
    let names = [key(b"a"), key(b"b/c"), key(b"b/d")];
    let stage = async |store: &S| {
        let stage = store.stage(&memory()).await.unwrap();
        for key in &names {
            stage.put(key, meta(1), body(b"x")).await.unwrap();
        }
        stage.put(&names[0], meta(2), body(b"x")).await.unwrap_err();
        assert_eq!(store.is_empty().await.unwrap(), kind == StoreKind::Folder, "visible before its commit");
        stage
    };
    drop(stage(&fresh()).await);
    expect_traces(traces, &before, "a dropped stage").await;
    stage(&fresh()).await.discard().await.unwrap();
    expect_traces(traces, &before, "a discarded stage").await;
    let store = fresh();
    let undone = stage(&store).await;
    undone.commit().await.unwrap();
    assert_eq!(keys_of(&store).await, names);
    undone.discard().await.unwrap();
    assert!(store.is_empty().await.unwrap());
    drop(undone);
    expect_traces(traces, &before, "a commit taken back").await;
    match kind {
        StoreKind::Folder => {
            let late = stage(&store).await;
            let kept = stage(&store).await;
            kept.commit().await.unwrap();
            drop(kept);
            assert!(matches!(late.commit().await, Err(Error::NotEmpty { .. })));
            late.discard().await.unwrap();
        }
        StoreKind::Bucket => {
            let kept = stage(&store).await;
            assert!(matches!(store.stage(&memory()).await.err(), Some(Error::Taken { .. })));
            kept.commit().await.unwrap();
            drop(kept);
        }
    }
    assert!(matches!(store.stage(&memory()).await.err(), Some(Error::NotEmpty { .. })));
    assert_eq!(keys_of(&store).await, names);
    assert_eq!(read(store.get(&names[1]).await.unwrap()).await.unwrap(), b"x");
}

/// The last of several puts under one key counts, and of the others nothing is left: no byte and no metadata.
async fn staged_again<S: ObjectStore>(fresh: &impl Fn() -> S, kind: StoreKind, traces: &impl Fn() -> Vec<String>) {
    let before = traces();
    let store = fresh();
    let stage = store.stage(&memory()).await.unwrap();
    let (again, beside) = (key(b"b/again.json"), key(b"b/beside"));
    stage.put(&beside, meta(1), body(b"x")).await.unwrap();
    let noted = |name: &str| [(name.to_owned(), name.to_owned())].into();
    let attempt =
        ObjectMeta { modified: Some(1_000), headers: noted("cache-control"), user: noted("attempt"), ..meta(700_000) };
    let attempt = if store.keeps(&attempt) { attempt } else { ObjectMeta { modified: Some(1_000), ..meta(700_000) } };
    for last in [&b"the last"[..], b""] {
        stage.put(&again, attempt.clone(), body(&vec![0; 700_000])).await.unwrap();
        stage.put(&again, meta(9), body(b"short")).await.unwrap_err();
        stage.put(&again, meta(last.len() as u64), body(last)).await.unwrap();
    }
    stage.put(&again, meta(10), body(b"still less")).await.unwrap();
    stage.put(&again, meta(10), body(b"cut short")).await.unwrap_err();
    stage.commit().await.unwrap();
    assert_eq!(keys_of(&store).await, [again.clone(), beside]);
    let object = store.get(&again).await.unwrap();
    let (found, wanted) = (&object.meta, meta(10));
    assert_eq!(found.size, wanted.size);
    assert_time(found, kind);
    assert_eq!((&found.headers, &found.user), (&wanted.headers, &wanted.user));
    assert_eq!(read(object).await.unwrap(), b"still less");
    stage.discard().await.unwrap();
    drop(stage);
    expect_traces(traces, &before, "objects that were staged again").await;
}

/// A folder keeps what it is told; a bucket has its own.
fn assert_time(meta: &ObjectMeta, kind: StoreKind) {
    let modified = meta.modified.unwrap();
    match kind {
        StoreKind::Folder => assert_eq!(modified, 1_234_567_890),
        StoreKind::Bucket => assert!(modified > 1_700_000_000),
    }
}

fn memory() -> Buffers {
    Buffers::new(8 << 20)
}

fn key(bytes: &[u8]) -> ObjectKey {
    ObjectKey::try_from(bytes).unwrap()
}

fn meta(size: u64) -> ObjectMeta {
    ObjectMeta {
        size,
        modified: Some(1_234_567_890),
        content_type: Some("application/json".into()),
        ..ObjectMeta::default()
    }
}

fn body(bytes: &[u8]) -> ObjectBody {
    let pieces: Vec<_> = bytes.chunks(10_007).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

async fn put(store: &impl ObjectStore, key: &ObjectKey, bytes: &[u8]) -> Result<()> {
    store.put(key, meta(bytes.len() as u64), body(bytes)).await
}

async fn read(mut object: Object) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = object.body.next().await {
        let piece = piece?;
        assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES);
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes.len() as u64, object.meta.size);
    Ok(bytes)
}

async fn keys_of(store: &impl ObjectStore) -> Vec<ObjectKey> {
    let mut listing = store.list().await.unwrap();
    let mut keys = Vec::new();
    loop {
        let page = listing.next_page().await.unwrap();
        if page.is_empty() {
            return keys;
        }
        keys.extend(page.into_iter().map(|line| line.key));
    }
}
