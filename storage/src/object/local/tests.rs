//! A folder's own cases, beside the suite that all stores must pass.

mod changes;
mod crashes;

use std::{
    cell::Cell,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::LocalFolder;
use crate::{
    Buffers, Error, ObjectKey, ObjectMeta, ObjectStore, Result,
    testing::{self, Fault, FaultPoint, Faulty, StoreKind},
};

fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            names.push(String::from_utf8_lossy(entry.path().as_os_str().as_bytes()).into_owned());
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    names.sort();
    names
}

fn key(bytes: impl AsRef<[u8]>) -> ObjectKey {
    ObjectKey::try_from(bytes.as_ref()).unwrap()
}

async fn put(store: &impl ObjectStore, name: impl AsRef<[u8]>, body: &'static [u8]) -> Result<()> {
    let meta = ObjectMeta { size: body.len() as u64, ..ObjectMeta::default() };
    store.put(&key(name), meta, stream::once(async move { Ok(Bytes::from_static(body)) }).boxed()).await
}

async fn read(store: &impl ObjectStore, name: &str) -> Result<Vec<u8>> {
    let mut body = store.get(&key(name)).await?.body;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

async fn list(store: &impl ObjectStore) -> Result<Vec<ObjectKey>> {
    let mut listing = store.list().await?;
    let mut keys = Vec::new();
    loop {
        let page = listing.next_page().await?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page.into_iter().map(|line| line.key));
    }
}

fn folder() -> (TempDir, PathBuf, LocalFolder) {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("files");
    fs::create_dir(&root).unwrap();
    (base, root.clone(), LocalFolder::new(root))
}

#[tokio::test]
async fn conforms() {
    let base = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let fresh = || {
        made.set(made.get() + 1);
        LocalFolder::new(base.path().join(format!("app-{}/deep/files", made.get())))
    };
    let awkward: [&[u8]; 2] = [b"not \xff utf-8/\xfe", b"\x80"];
    testing::object_store_conformance(fresh, &awkward, StoreKind::Folder, || names(base.path())).await;
}

#[tokio::test]
async fn swaps_conform() {
    let base = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let fresh = || {
        made.set(made.get() + 1);
        LocalFolder::new(base.path().join(format!("app-{}/deep/files", made.get())))
    };
    let awkward: [&[u8]; 4] = [b"not \xff utf-8/\xfe", b"\x80", b"\xff", b"a/\xff"];
    testing::object_swap_conformance(fresh, &awkward, StoreKind::Folder, || names(base.path())).await;
}

#[tokio::test]
async fn no_link_is_followed_and_nothing_odd_is_opened() {
    let (base, root, store) = folder();
    fs::write(base.path().join("secret"), b"secret").unwrap();
    fs::create_dir(base.path().join("outside")).unwrap();
    fs::write(base.path().join("outside/file"), b"secret").unwrap();
    for (name, make) in [
        ("link", (&|path: &Path| symlink("../secret", path).unwrap()) as &dyn Fn(&Path)),
        ("folder", &|path| symlink("../outside", path).unwrap()),
        ("pipe", &|path| rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap()),
        ("socket", &|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    ] {
        make(&root.join(name));
        for outcome in [
            list(&store).await.map(drop),
            store.is_empty().await.map(drop),
            read(&store, name).await.map(drop),
            put(&store, name, b"x").await,
            store.delete(&key(name)).await,
        ] {
            assert!(
                matches!(&outcome, Err(error @ Error::Unsupported { .. }) if error.to_string().contains(name)),
                "{name}: {outcome:?}"
            );
        }
        fs::remove_file(root.join(name)).unwrap();
    }
    symlink("../outside", root.join("folder")).unwrap();
    assert!(matches!(read(&store, "folder/file").await, Err(Error::Unsupported { .. })));
    assert!(matches!(put(&store, "folder/new", b"x").await, Err(Error::Unsupported { .. })));
    assert!(store.delete(&key("folder/file")).await.is_err());
    let linked = LocalFolder::new(root.join("folder"));
    assert!(matches!(list(&linked).await, Err(Error::Unsupported { .. })));
    assert_eq!(fs::read_dir(base.path().join("outside")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_key_that_can_not_be_a_file_is_refused() {
    let (base, _, store) = folder();
    let long = "x".repeat(256);
    let deep = "x/".repeat(256) + "x";
    for name in [
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../../b",
        "a/./b",
        "nul\0",
        &long,
        &deep,
        ".coffer-tmp-0123456789abcdef",
    ] {
        let outcome = put(&store, name, b"x").await;
        assert!(matches!(outcome, Err(Error::Refused { .. })), "{name}: {outcome:?}");
        assert!(read(&store, name).await.is_err() && store.delete(&key(name)).await.is_err());
    }
    assert_eq!(names(base.path()).len(), 1);
    put(&store, "a", b"x").await.unwrap();
    let outcome = put(&store, "a/b", b"x").await.unwrap_err().to_string();
    assert!(outcome.contains("object a/b") && outcome.contains("object a is"), "{outcome}");
    put(&store, "c/d", b"x").await.unwrap();
    assert!(matches!(put(&store, "c", b"x").await, Err(Error::Refused { .. })));
    assert!(matches!(read(&store, "c").await, Err(Error::NotFound { .. })));
    assert!(matches!(read(&store, "a/b").await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_folder_larger_than_the_budget_is_listed_in_order() {
    let (_base, root, store) = folder();
    let mut wanted = Vec::new();
    for number in 0..9_000 {
        let name = format!("{:0>200}", (number * 7_919) % 9_000);
        fs::write(root.join(&name), b"").unwrap();
        wanted.push(key(name));
    }
    let mut deep = root.clone();
    let mut prefix = String::new();
    for level in 0..100 {
        deep = deep.join("d");
        prefix += "d/";
        fs::create_dir(&deep).unwrap();
        for name in ["a", "z", "d-"] {
            fs::write(deep.join(name), b"").unwrap();
            wanted.push(key(format!("{prefix}{name}")));
        }
        fs::write(deep.join(".coffer-tmp-0123456789abcdef"), b"").unwrap();
        fs::create_dir(deep.join(format!("empty{level}"))).unwrap();
    }
    wanted.sort();
    let before = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    assert_eq!(list(&store).await.unwrap(), wanted);
    let after = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    assert!(after < before + 64);
}

#[tokio::test]
async fn a_commit_takes_the_place_of_an_empty_folder_alone() {
    let (_base, root, store) = folder();
    fs::create_dir_all(root.join("empty/empty")).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
    let stage = store.stage(&Buffers::new(1 << 20)).await.unwrap();
    stage.put(&key("a"), ObjectMeta::default(), stream::empty().boxed()).await.unwrap();
    stage.commit().await.unwrap();
    assert_eq!(list(&store).await.unwrap(), [key("a")]);
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o750);
    stage.discard().await.unwrap();
    assert!(root.exists() && store.is_empty().await.unwrap());
    fs::write(root.join("late"), b"").unwrap();
    assert!(matches!(store.stage(&Buffers::new(1 << 20)).await.err(), Some(Error::NotEmpty { .. })));
}

/// A stage of `a` and `b/c`, committed over an empty folder of mode 0710.
async fn committed(root: &Path, store: &LocalFolder) -> std::sync::Arc<dyn crate::StagedObjects> {
    fs::set_permissions(root, fs::Permissions::from_mode(0o710)).unwrap();
    let stage = store.stage(&Buffers::new(1 << 20)).await.unwrap();
    for name in ["a", "b/c"] {
        stage.put(&key(name), ObjectMeta::default(), stream::empty().boxed()).await.unwrap();
    }
    stage.commit().await.unwrap();
    stage
}

#[tokio::test]
async fn a_commit_is_not_taken_back_over_what_somebody_has_written_since() {
    type Change = fn(&Path);
    let changes: [Change; 6] = [
        |root| fs::write(root.join("theirs"), b"theirs").unwrap(),
        |root| fs::write(root.join("b/c"), b"theirs").unwrap(),
        |root| fs::rename(root.join("a"), root.join("theirs")).unwrap(),
        |root| fs::remove_file(root.join("a")).unwrap(),
        |root| symlink("a", root.join("theirs")).unwrap(),
        |root| {
            fs::remove_file(root.join("a")).unwrap();
            fs::write(root.join("a"), b"").unwrap();
        },
    ];
    for change in changes {
        let (base, root, store) = folder();
        let stage = committed(&root, &store).await;
        std::thread::sleep(std::time::Duration::from_millis(20));
        change(&root);
        let before = names(base.path());
        for _ in 0..2 {
            let error = stage.discard().await.unwrap_err().to_string();
            assert!(error.contains(root.to_str().unwrap()), "{error}");
        }
        drop(stage);
        assert_eq!(names(base.path()), before);
    }
}

#[tokio::test]
async fn a_commit_taken_back_leaves_the_empty_folder_as_it_was() {
    let (base, root, store) = folder();
    let stage = committed(&root, &store).await;
    fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    stage.discard().await.unwrap();
    stage.discard().await.unwrap();
    assert_eq!(names(base.path()), [root.to_str().unwrap()]);
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o710);
}

#[tokio::test]
async fn a_time_before_1970_is_its_beginning() {
    let (_base, root, store) = folder();
    put(&store, "old", b"").await.unwrap();
    let old = std::time::UNIX_EPOCH - std::time::Duration::from_secs(86_400);
    fs::File::open(root.join("old")).unwrap().set_modified(old).unwrap();
    let meta = store.get(&key("old")).await.unwrap().meta;
    assert_eq!(meta.modified, Some(0));
    store.put(&key("old"), meta, stream::empty().boxed()).await.unwrap();
    assert_eq!(fs::metadata(root.join("old")).unwrap().modified().unwrap(), std::time::UNIX_EPOCH);
}

#[tokio::test]
async fn faults_come_where_they_were_asked_for() {
    let (_base, _, store) = folder();
    put(&store, "a", b"0123456789").await.unwrap();
    let fault = |point| Fault::new(point, || Error::Stopped { what: "a test" });
    let faulty = Faulty::new(store.clone(), fault(FaultPoint::GetByte(13)));
    assert_eq!(read(&faulty, "a").await.unwrap(), b"0123456789");
    let mut body = faulty.get(&key("a")).await.unwrap().body;
    assert_eq!(&body.next().await.unwrap().unwrap()[..], b"012");
    assert!(matches!(body.next().await, Some(Err(Error::Stopped { .. }))));
    let faulty = Faulty::new(store, fault(FaultPoint::Put(1)));
    put(&faulty, "b", b"x").await.unwrap();
    put(&faulty, "c", b"x").await.unwrap_err();
    put(&faulty, "d", b"x").await.unwrap();
}
