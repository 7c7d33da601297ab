//! SQLite's own cases, beside the suite that all databases must pass.

mod crash;
mod hostile;
mod hostile_catalog;
mod replace;
mod sequences;
mod undo;
mod unsupported;
mod virtual_tables;
mod writers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use super::SqliteDatabase;
use crate::{Blueprint, Database, Error, Import, ImportId, Landing, Load, Loaded, Occupancy, Result, testing};

/// Each thing that a schema can hold, and each value that a row can.
const EVERYTHING: &str = include_str!("tests/everything.sql");

struct Bench {
    folder: TempDir,
    made: AtomicUsize,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), made: AtomicUsize::new(0) }
    }

    fn fresh(&self) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("app-{number}/deep/data.db"))
    }

    fn seeded(&self, sql: &str) -> PathBuf {
        let path = self.fresh();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    }

    fn traces(&self) -> Vec<String> {
        let mut names = Vec::new();
        walk(self.folder.path(), &mut names);
        names.sort();
        names
    }
}

fn walk(folder: &Path, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        names.push(entry.path().display().to_string());
        walk(&entry.path(), names);
    }
}

/// Copies by a dump and a load, and gives the digests of both sides a chance to differ.
async fn copy(from: &Path, to: &Path) -> Result<()> {
    copy_to_loaded(from, to).await?.commit().await
}

async fn copy_to_loaded(from: &Path, to: &Path) -> Result<Box<dyn Loaded>> {
    let mut dump = SqliteDatabase::new(from).dump().await?;
    let mut load = SqliteDatabase::new(to).load(dump.blueprint().clone()).await?;
    while let Some(chunk) = dump.next().await? {
        load.write(&chunk.table, chunk.bytes).await?;
    }
    load.finish(dump.sequences()).await
}

/// As [`copy_to_loaded`], in the place of what is there.
async fn load_over(from: &Path, to: &SqliteDatabase, import: &Import) -> Result<Box<dyn Loaded>> {
    let mut dump = SqliteDatabase::new(from).dump().await?;
    let mut load = to.load_for(dump.blueprint().clone(), import).await?;
    while let Some(chunk) = dump.next().await? {
        load.write(&chunk.table, chunk.bytes).await?;
    }
    load.finish(dump.sequences()).await
}

/// A whole import, in the steps that the service makes.
async fn replace(from: &Path, to: &Path) -> Result<ImportId> {
    let (database, import) = (SqliteDatabase::new(to), replacing());
    let loaded = load_over(from, &database, &import).await?;
    land(&database, &import, loaded).await.map(|()| import.id)
}

/// The steps from the end of the rows on.
async fn land(database: &SqliteDatabase, import: &Import, mut loaded: Box<dyn Loaded>) -> Result<()> {
    loaded.prepare().await?;
    let mark = loaded.mark().await?;
    assert_eq!(loaded.mark().await?, mark);
    loaded.commit().await?;
    assert!(database.has_landed(import, &mark).await?);
    database.settle(import).await?;
    database.settle(import).await
}

/// A whole undo.
async fn undo(path: &Path, replaced: &ImportId) -> Result<ImportId> {
    let (database, import) = (SqliteDatabase::new(path), replacing());
    let loaded = database.bring_back(replaced, &import).await?;
    land(&database, &import, loaded).await.map(|()| import.id)
}

fn replacing() -> Import {
    Import { id: ImportId::random().unwrap(), landing: Landing::Replace }
}

/// All that an export says of a database.
async fn exported(path: &Path) -> (Bytes, Bytes, Bytes, Bytes, String) {
    let dump = SqliteDatabase::new(path).dump().await.unwrap();
    let (blueprint, sequences) = (dump.blueprint().clone(), dump.sequences());
    drop(dump);
    (blueprint.schema, blueprint.pre_data, blueprint.post_data, sequences, rows(path).await.unwrap())
}

/// What of ours is beside a database.
fn beside(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> =
        names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with('.')).collect();
    names.sort();
    names
}

fn is_whole(path: &Path) {
    let check: String =
        Connection::open(path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

/// The rows of a dump, as text.
async fn rows(path: &Path) -> Result<String> {
    let mut dump = SqliteDatabase::new(path).dump().await?;
    let mut rows = Vec::new();
    while let Some(chunk) = dump.next().await? {
        rows.extend_from_slice(&chunk.bytes);
    }
    Ok(String::from_utf8(rows).unwrap())
}

/// What the shell's own dump says, where there is a shell.
fn shell_dump(path: &Path) -> Option<Vec<u8>> {
    Command::new("sqlite3").arg(path).arg(".dump").output().ok().map(|output| output.stdout)
}

fn pragma(path: &Path, name: &str) -> String {
    let connection = Connection::open(path).unwrap();
    connection
        .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        .map(|value| format!("{value:?}"))
        .unwrap()
}

/// A statement that makes a database with these settings and a little in it.
fn with_settings(settings: &str) -> String {
    format!(
        "{settings}; CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'ä😀'), (5, ''); CREATE INDEX i ON t (b);"
    )
}

#[tokio::test]
async fn conforms() {
    let bench = Bench::new();
    let fresh = || SqliteDatabase::new(bench.fresh());
    let seed = async |database: SqliteDatabase| {
        fs::create_dir_all(database.path.parent().unwrap()).unwrap();
        let connection = Connection::open(&database.path).unwrap();
        connection.execute_batch(EVERYTHING).unwrap();
        connection
            .execute_batch(
                "INSERT INTO kinds VALUES (10001, randomblob(10485760)), (10002, printf('%.*c', 5242880, 'ä')); INSERT INTO kinds SELECT 20000 + value, zeroblob(900) FROM generate_numbers;",
            )
            .unwrap();
        database
    };
    testing::database_conformance(fresh, seed, || bench.traces()).await;
}

#[tokio::test]
async fn a_copy_is_what_the_shell_says_it_is() {
    let bench = Bench::new();
    let (from, to) = (bench.seeded(EVERYTHING), bench.fresh());
    let before = fs::read(&from).unwrap();
    copy(&from, &to).await.unwrap();
    assert_eq!(fs::read(&from).unwrap(), before, "the source has changed");
    assert_eq!(bench.traces().iter().filter(|name| name.contains("data.db")).count(), 2);
    if let (Some(ours), Some(theirs)) = (shell_dump(&to), shell_dump(&from)) {
        let (ours, theirs) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
        assert!(
            theirs.contains("after_analyze")
                && theirs.ends_with(
                    "COMMIT;
"
                ),
            "{theirs}"
        );
        assert_eq!(ours, theirs);
    }
    assert_eq!(rows(&from).await.unwrap(), rows(&to).await.unwrap());
    let check: String =
        Connection::open(&to).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    for name in ["user_version", "application_id"] {
        assert_eq!(pragma(&from, name), pragma(&to, name));
    }
}

#[tokio::test]
async fn settings_of_the_file_are_carried() {
    let settings = [
        "PRAGMA encoding = 'UTF-16le'",
        "PRAGMA encoding = 'UTF-16be'",
        "PRAGMA page_size = 512",
        "PRAGMA page_size = 65536",
        "PRAGMA auto_vacuum = 1",
        "PRAGMA auto_vacuum = 2",
        "PRAGMA journal_mode = WAL",
        "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL",
        "PRAGMA user_version = -7; PRAGMA application_id = 9",
    ];
    for setting in settings {
        let bench = Bench::new();
        let from = bench.seeded(&with_settings(setting));
        for to in [
            bench.fresh(),
            bench.seeded(""),
            bench.seeded("PRAGMA page_size = 4096; CREATE TABLE x (y); DROP TABLE x;"),
            bench.seeded("PRAGMA journal_mode = WAL; PRAGMA page_size = 8192; CREATE TABLE x (y); DROP TABLE x;"),
        ] {
            copy(&from, &to).await.unwrap();
            for name in ["encoding", "page_size", "auto_vacuum", "journal_mode", "user_version", "application_id"] {
                assert_eq!(pragma(&from, name), pragma(&to, name), "{setting}: {name}");
            }
            assert_eq!(rows(&from).await.unwrap(), "[1,\"ä😀\"]\n[5,\"\"]\n");
            assert_eq!(rows(&to).await.unwrap(), rows(&from).await.unwrap());
            assert!(
                bench
                    .traces()
                    .iter()
                    .all(|name| !name.contains("-wal") && !name.contains("-shm") && !name.contains(".coffer-")),
                "{:?}",
                bench.traces()
            );
        }
    }
}

#[tokio::test]
async fn an_empty_database_is_copied_as_one() {
    let bench = Bench::new();
    let (from, to) = (bench.seeded(""), bench.fresh());
    fs::write(&from, b"").unwrap();
    assert_eq!(SqliteDatabase::new(&from).occupancy().await.unwrap(), Occupancy::Empty);
    copy(&from, &to).await.unwrap();
    assert_eq!(SqliteDatabase::new(&to).occupancy().await.unwrap(), Occupancy::Empty);
    copy(&from, &from).await.unwrap();
}

#[tokio::test]
async fn whoever_has_the_empty_target_open_sees_the_import() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings("PRAGMA page_size = 1024"));
    for seed in ["", "CREATE TABLE x (y); DROP TABLE x"] {
        let to = bench.seeded(seed);
        let open = Connection::open(&to).unwrap();
        let count = |sql: &str| open.query_row(sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(count("SELECT count(*) FROM sqlite_schema").unwrap(), 0);
        copy(&from, &to).await.unwrap();
        assert_eq!(count("SELECT count(*) FROM t").unwrap(), 2);
        open.execute("INSERT INTO t VALUES (6, 'x')", []).unwrap();
    }
}

#[tokio::test]
async fn a_commit_loses_nothing_that_somebody_was_quicker_with() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings(""));
    let late =
        [bench.fresh(), bench.seeded(""), bench.seeded("PRAGMA journal_mode = WAL; CREATE TABLE x (y); DROP TABLE x")];
    for to in late {
        let loaded = copy_to_loaded(&from, &to).await.unwrap();
        Connection::open(&to).unwrap().execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (7)").unwrap();
        assert!(matches!(loaded.commit().await, Err(Error::NotEmpty { .. })));
        assert_eq!(rows(&to).await.unwrap(), "[1,7]\n");
        assert!(bench.traces().iter().all(|name| !name.contains(".coffer-")));
    }
    let to = bench.seeded("");
    let open = Connection::open(&to).unwrap();
    open.execute_batch("BEGIN IMMEDIATE; CREATE TABLE mine (a)").unwrap();
    let started = Instant::now();
    let mut loaded = copy_to_loaded(&from, &to).await.unwrap();
    assert!(matches!(loaded.prepare().await, Err(Error::Busy { .. })));
    assert!(started.elapsed().as_secs() < 60);
    open.execute_batch("ROLLBACK").unwrap();
    loaded.prepare().await.unwrap();
    loaded.commit().await.unwrap();
}

#[tokio::test]
async fn a_prepared_target_is_nobody_elses_until_it_is_given_back() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings(""));
    for seed in ["", "CREATE TABLE x (y); DROP TABLE x", "PRAGMA journal_mode = WAL; CREATE TABLE x (y); DROP TABLE x"]
    {
        let to = bench.seeded(seed);
        let mode = pragma(&to, "journal_mode");
        let before = bench.traces();
        for discard in [true, false] {
            let mut loaded = copy_to_loaded(&from, &to).await.unwrap();
            loaded.prepare().await.unwrap();
            let other = Connection::open(&to).unwrap();
            other.busy_timeout(Duration::ZERO).unwrap();
            other.execute_batch("CREATE TABLE mine (a)").unwrap_err();
            drop(other);
            if discard {
                loaded.discard().await.unwrap()
            } else {
                drop(loaded)
            }
            assert_eq!(bench.traces(), before);
            assert_eq!(pragma(&to, "journal_mode"), mode);
        }
        let mut loaded = copy_to_loaded(&from, &to).await.unwrap();
        loaded.prepare().await.unwrap();
        loaded.commit().await.unwrap();
        assert_eq!(rows(&to).await.unwrap(), rows(&from).await.unwrap());
    }
    let to = bench.fresh();
    let mut loaded = copy_to_loaded(&from, &to).await.unwrap();
    fs::write(to.with_extension("db-journal"), b"old").unwrap();
    assert!(matches!(loaded.prepare().await, Err(Error::NotEmpty { .. })));
}

#[tokio::test]
async fn a_comment_that_nothing_closes_is_closed() {
    let bench = Bench::new();
    let from = bench.seeded("CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    let open = Connection::open(&from).unwrap();
    for sql in [
        "CREATE TABLE w (a PRIMARY KEY) WITHOUT ROWID /* it's",
        "CREATE VIEW v AS SELECT '/*', a FROM t /* open -- and\nopen",
        "CREATE VIEW x AS SELECT 1 -- why",
        "CREATE INDEX i ON t (a) WHERE a > 1 /*/",
        "CREATE INDEX j ON t (a)",
    ] {
        open.execute_batch(sql).unwrap();
    }
    let (once, twice) = (bench.fresh(), bench.fresh());
    copy(&from, &once).await.unwrap();
    copy(&once, &twice).await.unwrap();
    let post_data = async |path: &Path| SqliteDatabase::new(path).dump().await.unwrap().blueprint().post_data.clone();
    assert!(post_data(&once).await.ends_with(b"CREATE INDEX j ON t (a);\n"));
    assert_eq!(post_data(&from).await, post_data(&once).await);
    assert_eq!(post_data(&once).await, post_data(&twice).await);
}

#[tokio::test]
async fn a_log_without_its_database_is_not_played_into_a_new_one() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings(""));
    let to = bench.seeded("");
    fs::remove_file(&to).unwrap();
    fs::write(to.with_extension("db-wal"), b"old").unwrap();
    assert!(matches!(copy(&from, &to).await, Err(Error::NotEmpty { .. })));
}

#[tokio::test]
async fn a_writer_goes_on_while_a_snapshot_is_read() {
    let bench = Bench::new();
    let from = bench.seeded("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    let writer = Connection::open(&from).unwrap();
    writer.execute("INSERT INTO t VALUES (2)", []).unwrap();
    let log = fs::read(from.with_extension("db-wal")).unwrap();
    let mut dump = SqliteDatabase::new(&from).dump().await.unwrap();
    assert_eq!(fs::read(from.with_extension("db-wal")).unwrap(), log);
    writer.execute("INSERT INTO t VALUES (3)", []).unwrap();
    let chunk = dump.next().await.unwrap().unwrap();
    assert_eq!(&chunk.bytes[..], b"[1,1]\n[2,2]\n");
    assert!(dump.next().await.unwrap().is_none());
    assert!(dump.notices().is_empty());
}

#[tokio::test]
async fn a_log_that_an_export_keeps_from_being_cut_back_is_told() {
    let bench = Bench::new();
    let path = bench.seeded(
        "PRAGMA journal_mode = WAL; CREATE TABLE t (a);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8)
         INSERT INTO t SELECT zeroblob(1000000) FROM n",
    );
    let mut dump = SqliteDatabase::new(&path).dump().await.unwrap();
    dump.next().await.unwrap().unwrap();
    assert!(dump.notices().is_empty());
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("CREATE TABLE u (a); INSERT INTO u VALUES (zeroblob(70000000))").unwrap();
    while dump.next().await.unwrap().is_some() {}
    let notices = dump.notices();
    assert!(matches!(notices.as_slice(), [notice] if notice.contains("write-ahead log")), "{notices:?}");
}

#[tokio::test]
async fn rows_come_in_the_order_of_their_table_and_not_of_an_index() {
    let bench = Bench::new();
    let wide =
        "CREATE TABLE t (a TEXT, wide AS (printf('%500s', a)) STORED); CREATE INDEX i ON t (a); INSERT INTO t VALUES";
    let path = bench.seeded(&format!("{wide} ('c'), ('a'), ('b')"));
    assert_eq!(rows(&path).await.unwrap(), "[1,\"c\"]\n[2,\"a\"]\n[3,\"b\"]\n");
}

#[tokio::test]
async fn what_is_no_database_is_said_to_be_none() {
    let bench = Bench::new();
    let path = bench.seeded("");
    fs::write(
        &path,
        "a text that is long enough for a header of SQLite's, but is none at all, whichever way one reads it"
            .repeat(20),
    )
    .unwrap();
    assert!(matches!(rows(&path).await, Err(Error::Corrupt { .. })));
    assert!(rows(path.parent().unwrap()).await.is_err());
}
