//! Files that somebody writes, replaces or deletes while they are read.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    thread,
    time::{Duration, SystemTime},
};

use super::*;

type Change = fn(&Path);

const LENGTH: usize = 600_000;

fn open(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

/// What comes of a body after its first piece, between which and the next the file is changed.
async fn read_across(change: Change) -> (LocalFolder, TempDir, Result<Vec<u8>>) {
    let (base, root, store) = folder();
    let path = root.join("file");
    fs::write(&path, vec![b'x'; LENGTH]).unwrap();
    let mut body = store.get(&key("file")).await.unwrap().body;
    let mut bytes = body.next().await.unwrap().unwrap().to_vec();
    // Longer than the ticks in which a file system counts.
    thread::sleep(Duration::from_millis(20));
    change(&path);
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (store, base, Err(error)),
        }
    }
    (store, base, Ok(bytes))
}

#[tokio::test]
async fn a_file_that_is_written_to_while_it_is_read_is_an_error() {
    let changes: [(&str, Change); 8] = [
        ("longer", |path| OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap()),
        ("longer by a hole", |path| open(path).set_len(10_000_000).unwrap()),
        ("shorter than what is read next", |path| open(path).set_len(300_000).unwrap()),
        ("shorter by a byte", |path| open(path).set_len(LENGTH as u64 - 1).unwrap()),
        ("empty", |path| open(path).set_len(0).unwrap()),
        ("written anew", |path| fs::write(path, vec![b'y'; LENGTH]).unwrap()),
        ("other in bytes that have been read", |path| open(path).write_all(b"other").unwrap()),
        ("of another time", |path| open(path).set_modified(SystemTime::UNIX_EPOCH).unwrap()),
    ];
    for (name, change) in changes {
        let (store, _base, outcome) = read_across(change).await;
        assert!(matches!(&outcome, Err(Error::Changed { key: found }) if *found == key("file")), "{name}: {outcome:?}");
        assert!(read(&store, "file").await.is_ok(), "{name}: another try finds what is there now");
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_or_deleted_while_it_is_read_comes_whole() {
    let replace = |path: &Path| {
        fs::write(path.with_extension("new"), b"new").unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    };
    let (store, _base, outcome) = read_across(replace).await;
    assert!(outcome.unwrap() == vec![b'x'; LENGTH]);
    assert_eq!(read(&store, "file").await.unwrap(), b"new");
    let (store, _base, outcome) = read_across(|path| fs::remove_file(path).unwrap()).await;
    assert!(outcome.unwrap() == vec![b'x'; LENGTH]);
    assert!(matches!(read(&store, "file").await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn what_is_gone_when_it_is_opened_is_not_found() {
    let changes: [Change; 5] = [
        |root| fs::remove_file(root.join("a/b/file")).unwrap(),
        |root| fs::remove_dir_all(root.join("a/b")).unwrap(),
        |root| fs::remove_dir_all(root).unwrap(),
        |root| {
            fs::remove_dir_all(root.join("a")).unwrap();
            fs::write(root.join("a"), b"a file where a folder was").unwrap();
        },
        |root| {
            fs::remove_file(root.join("a/b/file")).unwrap();
            fs::create_dir(root.join("a/b/file")).unwrap();
        },
    ];
    for change in changes {
        let (_base, root, store) = folder();
        put(&store, "a/b/file", b"x").await.unwrap();
        let listed = list(&store).await.unwrap();
        change(&root);
        let outcome = store.get(&listed[0]).await;
        assert!(matches!(outcome.err(), Some(Error::NotFound { .. })));
    }
}
