//! Imports that replace a database.

use super::*;

const OLD: &str = "CREATE TABLE old (a); INSERT INTO old VALUES ('old'); CREATE TABLE t (a); INSERT INTO t VALUES (0);";

const MODES: [&str; 2] = ["PRAGMA journal_mode = WAL;", "PRAGMA journal_mode = DELETE;"];

#[tokio::test]
async fn everything_is_replaced_and_kept() {
    for mode in MODES {
        let bench = Bench::new();
        let (from, to) = (bench.seeded(EVERYTHING), bench.seeded(&format!("{mode}{OLD}")));
        let (old, new) = (exported(&to).await, exported(&from).await);
        let id = replace(&from, &to).await.unwrap();
        let found = exported(&to).await;
        assert_eq!((found.1, found.2, found.3, found.4), (new.1, new.2, new.3, new.4));
        assert_eq!(beside(&to), [format!(".data.db.coffer-replaced-{id}")]);
        if let (Some(ours), Some(theirs)) = (shell_dump(&to), shell_dump(&from)) {
            assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
        }
        is_whole(&to);
        let kept = to.with_file_name(format!(".data.db.coffer-replaced-{id}"));
        assert_eq!(exported(&kept).await, old);
        is_whole(&kept);
        let database = SqliteDatabase::new(&to);
        assert_eq!(database.replaced_bytes(&id).await.unwrap(), Some(fs::metadata(&kept).unwrap().len()));
        database.drop_replaced(&id).await.unwrap();
        database.drop_replaced(&id).await.unwrap();
        assert_eq!(database.replaced_bytes(&id).await.unwrap(), None);
        assert!(beside(&to).is_empty());
    }
}

#[tokio::test]
async fn whoever_has_the_database_open_goes_on() {
    let settings = [
        "",
        "PRAGMA page_size = 1024;",
        "PRAGMA page_size = 65536;",
        "PRAGMA auto_vacuum = 1;",
        "PRAGMA auto_vacuum = 2;",
        "PRAGMA encoding = 'UTF-16le';",
        "PRAGMA journal_mode = WAL;",
        "PRAGMA page_size = 512; PRAGMA journal_mode = WAL;",
    ];
    for old in settings {
        for new in settings {
            let bench = Bench::new();
            let from = bench.seeded(&format!("{new} {}", with_settings("PRAGMA user_version = 9")));
            let to = bench.seeded(&format!("{old}{OLD}"));
            let open = Connection::open(&to).unwrap();
            let count = |sql: &str| open.query_row(sql, [], |row| row.get::<_, i64>(0));
            assert_eq!(count("SELECT count(*) FROM t").unwrap(), 1);
            let kept_settings = ["encoding", "page_size", "journal_mode"].map(|name| pragma(&to, name));
            replace(&from, &to).await.unwrap();
            assert_eq!(count("SELECT count(*) FROM t").unwrap(), 2, "{old} to {new}");
            assert!(count("SELECT count(*) FROM old").is_err());
            open.execute("INSERT INTO t VALUES (6, ?1)", ["x".repeat(200_000)]).unwrap();
            open.execute_batch("DELETE FROM t WHERE a = 6; PRAGMA incremental_vacuum").unwrap();
            is_whole(&to);
            let expected = kept_settings.iter().map(String::as_str).collect::<Vec<_>>();
            assert_eq!(["encoding", "page_size", "journal_mode"].map(|name| pragma(&to, name)).to_vec(), expected);
            for name in ["user_version", "application_id", "auto_vacuum"] {
                assert_eq!(pragma(&to, name), pragma(&from, name), "{old} to {new}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_snapshot_stays_what_it_is_and_the_next_is_new() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings(""));
    let to = bench.seeded(&format!("PRAGMA journal_mode = WAL; {OLD}"));
    let reader = Connection::open(&to).unwrap();
    let count = |sql: &str| reader.query_row(sql, [], |row| row.get::<_, i64>(0));
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count("SELECT count(*) FROM old").unwrap(), 1);
    replace(&from, &to).await.unwrap();
    assert_eq!(count("SELECT count(*) FROM old").unwrap(), 1);
    let check: String = reader.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    reader.execute_batch("COMMIT").unwrap();
    assert!(count("SELECT count(*) FROM old").is_err());
    assert_eq!(count("SELECT count(*) FROM t").unwrap(), 2);
}

#[tokio::test]
async fn one_who_holds_a_lock_too_long_is_told_of_and_nothing_has_changed() {
    let cases = [(MODES[0], "BEGIN IMMEDIATE"), (MODES[1], "BEGIN; SELECT count(*) FROM t")];
    for (mode, holds) in cases {
        let bench = Bench::new();
        let (from, to) = (bench.seeded(&with_settings("")), bench.seeded(&format!("{mode}{OLD}")));
        let before = exported(&to).await;
        let database = SqliteDatabase { path: to.clone(), patience: Duration::from_secs(3) };
        let holder = Connection::open(&to).unwrap();
        holder.execute_batch(holds).unwrap();
        let import = replacing();
        let mut loaded = load_over(&from, &database, &import).await.unwrap();
        let mark = loaded.mark().await.unwrap();
        let commit = tokio::spawn(loaded.commit());
        let mut slowest = Duration::ZERO;
        while !commit.is_finished() {
            let reader = Connection::open(&to).unwrap();
            let started = Instant::now();
            let count: i64 = reader.query_row("SELECT count(*) FROM old", [], |row| row.get(0)).unwrap();
            slowest = slowest.max(started.elapsed());
            assert_eq!(count, 1);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(matches!(commit.await.unwrap(), Err(Error::Busy { .. })));
        assert!(slowest < Duration::from_secs(8), "{mode}: somebody waited {slowest:?}");
        holder.execute_batch("COMMIT").unwrap();
        assert!(!database.has_landed(&import, &mark).await.unwrap());
        database.roll_back(&import).await.unwrap();
        assert_eq!(exported(&to).await, before);
        assert!(beside(&to).is_empty(), "{:?}", beside(&to));
        replace(&from, &to).await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_ends_in_time_is_waited_for() {
    let bench = Bench::new();
    let (from, to) = (bench.seeded(&with_settings("")), bench.seeded(OLD));
    let reader = Connection::open(&to).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(3));
        reader.execute_batch("COMMIT").unwrap();
    });
    replace(&from, &to).await.unwrap();
    ends.join().unwrap();
    assert!(!to.with_extension("db-journal").exists());
}

#[tokio::test]
async fn two_imports_of_one_database_do_not_run_at_once() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings(""));
    for (to, landing) in [(bench.seeded(OLD), Landing::Replace), (bench.fresh(), Landing::New)] {
        let database = SqliteDatabase::new(&to);
        let import = |landing| Import { id: ImportId::random().unwrap(), landing };
        let first = load_over(&from, &database, &import(landing)).await.unwrap();
        for other in [Landing::New, Landing::Replace] {
            let second = load_over(&from, &database, &import(other)).await;
            let is_kept_out = matches!(second, Err(Error::Taken { .. } | Error::NotEmpty { .. }));
            assert!(is_kept_out, "{:?}", second.err());
        }
        first.discard().await.unwrap();
        assert!(!to.parent().unwrap().exists() || beside(&to).is_empty());
        load_over(&from, &database, &import(landing)).await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_mark_is_not_the_apps() {
    let bench = Bench::new();
    for mode in MODES {
        let (from, to) = (bench.seeded(&with_settings("")), bench.seeded(&format!("{mode}{OLD}")));
        let (database, import) = (SqliteDatabase::new(&to), replacing());
        let mut loaded = load_over(&from, &database, &import).await.unwrap();
        let mark = loaded.mark().await.unwrap();
        loaded.commit().await.unwrap();
        let marks = || -> i64 {
            let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'coffer%'";
            Connection::open(&to).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(marks(), 1);
        let (found, expected) = (exported(&to).await, exported(&from).await);
        assert_eq!((found.1, found.4), (expected.1, expected.4));
        // A roll-back of what has come through would take away the only copy of the old rows.
        assert!(matches!(database.roll_back(&import).await, Err(Error::Refused { .. })));
        assert!(database.replaced_bytes(&import.id).await.unwrap().is_some());
        assert!(database.has_landed(&import, &mark).await.unwrap());
        database.settle(&import).await.unwrap();
        assert_eq!(marks(), 0);
        assert!(database.replaced_bytes(&import.id).await.unwrap().is_some());
    }
    let empty = bench.seeded("CREATE TABLE coffer_mark_0123456789abcdef (undoes TEXT)");
    assert_eq!(SqliteDatabase::new(&empty).occupancy().await.unwrap(), Occupancy::Empty);
    Connection::open(&empty).unwrap().execute_batch("CREATE TABLE coffer_mark_0123 (a)").unwrap();
    assert_eq!(SqliteDatabase::new(&empty).occupancy().await.unwrap(), Occupancy::Occupied);
}

#[tokio::test]
async fn a_new_database_bears_its_imports_id_while_it_waits() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL"));
    for to in [bench.fresh(), bench.seeded("")] {
        let (database, import) = (SqliteDatabase::new(&to), Import::new().unwrap());
        let mut loaded = load_over(&from, &database, &import).await.unwrap();
        loaded.prepare().await.unwrap();
        let mark = loaded.mark().await.unwrap();
        assert_eq!(beside(&to), [format!(".data.db.coffer-{}", import.id), ".data.db.coffer-lock".into()]);
        loaded.commit().await.unwrap();
        assert!(database.has_landed(&import, &mark).await.unwrap());
        assert!(!database.has_landed(&Import::new().unwrap(), "copy").await.unwrap());
        assert!(!database.has_landed(&import, "rename 1 2").await.unwrap());
        database.settle(&import).await.unwrap();
        assert!(beside(&to).is_empty());
        assert_eq!(exported(&to).await, exported(&from).await);
    }
}

#[tokio::test]
async fn what_is_empty_or_missing_can_be_replaced_and_brought_back() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL"));
    let zero = bench.seeded("");
    fs::write(&zero, b"").unwrap();
    let empty = bench.seeded("PRAGMA journal_mode = WAL; PRAGMA page_size = 8192; CREATE TABLE x (y); DROP TABLE x;");
    for to in [bench.fresh(), zero, empty] {
        let id = replace(&from, &to).await.unwrap();
        assert_eq!(rows(&to).await.unwrap(), rows(&from).await.unwrap());
        // Somebody turns the log on.
        Connection::open(&to).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
        let undo_id = undo(&to, &id).await.unwrap();
        assert_eq!(SqliteDatabase::new(&to).occupancy().await.unwrap(), Occupancy::Empty);
        undo(&to, &undo_id).await.unwrap();
        assert_eq!(rows(&to).await.unwrap(), rows(&from).await.unwrap());
        is_whole(&to);
    }
}

#[tokio::test]
async fn pages_of_another_size_do_not_get_through_a_log() {
    let bench = Bench::new();
    let (from, to) = (bench.seeded(&with_settings("PRAGMA page_size = 1024")), bench.fresh());
    let mut loaded = load_over(&from, &SqliteDatabase::new(&to), &replacing()).await.unwrap();
    Connection::open(&to).unwrap().execute_batch(&format!("PRAGMA journal_mode = WAL; {OLD}")).unwrap();
    assert!(matches!(loaded.prepare().await, Err(Error::Refused { .. })));
    drop(loaded);
    assert_eq!(rows(&to).await.unwrap(), "[1,\"old\"]\n[1,0]\n");
}
