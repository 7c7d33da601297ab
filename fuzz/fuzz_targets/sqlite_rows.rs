//! Rows of a SQLite table as an archive brings them: any bytes are loaded, or refused with nothing left behind. What was
//! loaded under the digest of its bytes comes out again as these bytes.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use coffer_storage::{Blueprint, Database, SqliteDatabase};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

/// A table of each kind: with a rowid of its own and without, typed and strict.
const STRUCTURE: &str = "
    CREATE TABLE plain(a, b INTEGER, c REAL, d TEXT, e BLOB, f NUMERIC);
    CREATE TABLE keyed(id INTEGER PRIMARY KEY, a TEXT UNIQUE);
    CREATE TABLE bare(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE strict(i INT, r REAL, t TEXT, b BLOB, x ANY) STRICT;
";

static BLUEPRINT: LazyLock<Blueprint> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.db");
    rusqlite::Connection::open(&path).and_then(|database| database.execute_batch(STRUCTURE)).expect("a database");
    RUNTIME.block_on(async { SqliteDatabase::new(path).dump().await.expect("a dump").blueprint().clone() })
});

/// The first byte chooses the table.
async fn load(table: &Arc<str>, rows: Bytes, folder: &std::path::Path) -> Option<()> {
    let database = SqliteDatabase::new(folder.join("data.db"));
    let mut load = database.load(BLUEPRINT.clone()).await.expect("an empty place");
    let half = rows.len() / 2;
    for piece in [rows.slice(..half), rows.slice(half..)] {
        if load.write(table, piece).await.is_err() {
            load.discard().await.expect("nothing left");
            return None;
        }
    }
    let loaded = load.finish(Bytes::from_static(br#"{"sequences":[]}"#)).await;
    let Ok(loaded) = loaded else {
        load.discard().await.expect("nothing left");
        return None;
    };
    let digests = loaded.tables().to_vec();
    loaded.commit().await.expect("a commit");
    let mut dump = database.dump().await.expect("what was loaded can be dumped");
    let mut came = Vec::new();
    while let Some(chunk) = dump.next().await.expect("rows") {
        came.extend_from_slice(&chunk.bytes);
    }
    let found = digests.iter().find(|summary| *summary.name == **table).expect("the table");
    assert_eq!(found.bytes, came.len() as u64);
    Some(())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rows)) = bytes.split_first() else { return };
    let tables = &BLUEPRINT.tables;
    let table = &tables[usize::from(*choice) % tables.len()];
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let loaded = RUNTIME.block_on(load(table, Bytes::copy_from_slice(rows), folder.path()));
    let left = folder.path().read_dir().expect("the folder").count();
    assert!(loaded.is_some() || left == 0, "{left} files are left");
});
