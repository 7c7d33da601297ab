//! Where AUTOINCREMENT goes on.

use super::*;

const COUNTED: &str =
    "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT);
                       INSERT INTO a VALUES (7); INSERT INTO b VALUES (9);";

async fn load_with(sequences: &'static str, bench: &Bench) -> Result<Box<dyn Loaded>> {
    let dump = SqliteDatabase::new(bench.seeded(COUNTED)).dump().await?;
    SqliteDatabase::new(bench.fresh()).load(dump.blueprint().clone()).await?.finish(sequences.into()).await
}

#[tokio::test]
async fn a_sequence_that_stands_twice_is_refused() {
    let bench = Bench::new();
    let twice = r#"{"sequences":[{"name":"a","value":7,"called":true},{"name":"b","value":9,"called":true},{"name":"a","value":8,"called":true}]}"#;
    let error = load_with(twice, &bench).await.err().unwrap();
    assert!(matches!(&error, Error::Refused { what, .. } if what == "sequences.json"), "{error}");
    assert!(error.to_string().contains("sequence \"a\" stands twice"), "{error}");
    assert!(bench.traces().iter().all(|name| !name.contains(".coffer-")));
    let once = r#"{"sequences":[{"name":"A","value":1,"called":true},{"name":"a","value":8,"called":true}]}"#;
    load_with(once, &bench).await.unwrap().discard().await.unwrap();
}

#[tokio::test]
async fn a_sequence_that_stands_twice_in_an_app_is_named_before_it_is_exported() {
    let bench = Bench::new();
    let path = bench.seeded(&format!("{COUNTED} INSERT INTO sqlite_sequence VALUES ('b', 3), ('c', 1)"));
    let error = rows(&path).await.err().unwrap();
    assert!(matches!(&error, Error::Unsupported { what } if what.len() == 1), "{error}");
    assert!(error.to_string().contains("sequence \"b\""), "{error}");
    Connection::open(&path).unwrap().execute("DELETE FROM sqlite_sequence WHERE seq = 3", []).unwrap();
    rows(&path).await.unwrap();
}
