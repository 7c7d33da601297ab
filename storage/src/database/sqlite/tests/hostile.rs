//! Archives that nobody honest wrote: refused, stopped, and never a way to memory or files.

use super::*;

/// A load of what `with_settings` makes, at most with other scripts.
async fn load_with(
    [from, to]: [PathBuf; 2],
    pre_data: Option<&'static str>,
    post_data: Option<&'static str>,
) -> Box<dyn Load> {
    let good = SqliteDatabase::new(from).dump().await.unwrap().blueprint().clone();
    let or_good = |sql: Option<&'static str>, good: Bytes| sql.map_or(good, |sql| Bytes::from_static(sql.as_bytes()));
    let (pre_data, post_data) = (or_good(pre_data, good.pre_data), or_good(post_data, good.post_data));
    SqliteDatabase::new(to).load(Blueprint { pre_data, post_data, ..good }).await.unwrap()
}

const NO_SEQUENCES: Bytes = Bytes::from_static(b"{\"sequences\":[]}");

#[tokio::test]
async fn an_index_that_takes_forever_is_given_up_promptly() {
    let bench = Bench::new();
    let slow = "CREATE INDEX slow ON t (length(hex(zeroblob(7000000 + a))));";
    let from = bench.seeded(&with_settings(""));
    let before = bench.traces();
    let mut load = load_with([from, bench.fresh()], None, Some(slow)).await;
    let rows: String = (0..20_000).map(|n| format!("[{n},null]\n")).collect();
    load.write("t", rows.into()).await.unwrap();
    tokio::time::timeout(Duration::from_millis(300), load.finish(NO_SEQUENCES)).await.err().unwrap();
    let started = Instant::now();
    load.discard().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(bench.traces(), before);
}

#[tokio::test]
async fn an_expression_that_wants_much_memory_is_refused() {
    let bench = Bench::new();
    let column = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c AS (length(hex(zeroblob(499999990 + a)))) STORED);";
    let index = "CREATE INDEX i ON t (length(hex(zeroblob(499999990))));";
    for (pre_data, post_data) in [(Some(column), None), (None, Some(index))] {
        let mut load = load_with([bench.seeded(&with_settings("")), bench.fresh()], pre_data, post_data).await;
        load.write("t", Bytes::from_static(b"[1,null]\n")).await.unwrap();
        let error = load.finish(NO_SEQUENCES).await.err().unwrap();
        assert!(matches!(&error, Error::Refused { why, .. } if why.contains("too big")), "{error}");
    }
}

#[tokio::test]
async fn what_its_rows_need_a_large_value_gets() {
    let bench = Bench::new();
    let large = [
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB); CREATE INDEX i ON t (b); INSERT INTO t VALUES (1, zeroblob(209715200));",
        "CREATE TABLE t (a BLOB, b AS (hex(a)) STORED); CREATE INDEX i ON t (b); INSERT INTO t VALUES (zeroblob(20000000));",
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a TEXT, b AS (lower(a)) STORED); CREATE INDEX i ON t (upper(a));
         INSERT INTO t VALUES (printf('%.*c', 20000000, 'x'));",
    ];
    for sql in large {
        let (from, to) = (bench.seeded(sql), bench.fresh());
        copy(&from, &to).await.unwrap();
        assert!(rows(&from).await.unwrap() == rows(&to).await.unwrap(), "{sql}");
        let open = Connection::open(&to).unwrap();
        let check: String = open.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
}

#[tokio::test]
async fn what_is_no_row_is_refused_before_its_end() {
    let bench = Bench::new();
    for beginning in ["x", " [", "[1,null]\n{"] {
        let mut load = load_with([bench.seeded(&with_settings("")), bench.fresh()], None, None).await;
        load.write("t", beginning.into()).await.unwrap();
        let mut outcome = Ok(());
        for _ in 0..3 {
            outcome = load.write("t", Bytes::from_static(b"[")).await;
            if outcome.is_err() {
                break;
            }
        }
        assert!(matches!(&outcome, Err(Error::Refused { why, .. }) if why.contains("begin with [")), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_row_that_stands_twice_is_refused_and_not_replaced() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings(""));
    let dump = SqliteDatabase::new(&from).dump().await.unwrap();
    let mut load = SqliteDatabase::new(bench.fresh()).load(dump.blueprint().clone()).await.unwrap();
    load.write("t", Bytes::from_static(b"[1,\"a\"]\n[2,null]\n[1,\"b\"]\n")).await.unwrap();
    let error = load.finish(dump.sequences()).await.err().unwrap();
    assert!(error.to_string().starts_with("refused row 3 of table \"t\""), "{error}");
}

#[tokio::test]
async fn a_hostile_blueprint_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let from = bench.seeded(&with_settings(""));
    let good = SqliteDatabase::new(&from).dump().await.unwrap().blueprint().clone();
    let before = bench.traces();
    let schema = |from: &str, to: &str| {
        let changed = String::from_utf8(good.schema.to_vec()).unwrap().replace(from, to);
        assert_ne!(changed.as_bytes(), good.schema);
        Blueprint { schema: Bytes::from(changed), ..good.clone() }
    };
    let pre_data = |sql: &'static str| Blueprint { pre_data: Bytes::from_static(sql.as_bytes()), ..good.clone() };
    let hostile = [
        schema("4096", "4095"),
        schema("4096", "131072"),
        schema("UTF-8", "UTF-7"),
        schema("\"auto_vacuum\":0", "\"auto_vacuum\":3"),
        schema("\"delete\"", "\"memory\""),
        schema("\"b\"", "\"c\""),
        schema("\"t\"", "\"u\""),
        schema("TEXT", "BLOB"),
        schema("\"rowid\":null", "\"rowid\":\"rowid) VALUES (1); --\""),
        pre_data(""),
        pre_data("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE u (a);"),
        pre_data("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); PRAGMA journal_mode = WAL;"),
        pre_data("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); VACUUM INTO '/tmp/coffer-hostile';"),
    ];
    for blueprint in hostile {
        let error = SqliteDatabase::new(bench.fresh()).load(blueprint.clone()).await.err();
        assert!(matches!(error, Some(Error::Refused { .. })), "{blueprint:?}: {error:?}");
        assert_eq!(bench.traces(), before);
    }
    assert!(!Path::new("/tmp/coffer-hostile").exists());
    let late = Blueprint { post_data: Bytes::from_static(b"CREATE TABLE late (a);"), ..good };
    let mut load = SqliteDatabase::new(bench.fresh()).load(late).await.unwrap();
    assert!(matches!(load.finish(Bytes::from_static(b"{\"sequences\":[]}")).await.err(), Some(Error::Refused { .. })));
    assert_eq!(bench.traces(), before);
}
