//! What an export refuses, by name, before it gives a byte.

use super::*;

async fn refused(sql: &str, wanted: &str) {
    let bench = Bench::new();
    let path = bench.seeded(sql);
    let error = match rows(&path).await {
        Err(error) => error,
        Ok(rows) => panic!("{sql}: {rows}"),
    };
    assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(wanted), "{sql}: {error}");
}

#[tokio::test]
async fn what_can_not_be_carried_is_named() {
    let virtual_tables = "CREATE VIRTUAL TABLE search USING fts4(a); CREATE VIRTUAL TABLE terms USING fts4aux(search);
                          CREATE VIRTUAL TABLE \"more \" USING dbstat";
    refused(virtual_tables, "virtual table \"terms\" (its module \"fts4aux\" is none of fts3, fts4, fts5").await;
    refused(virtual_tables, "virtual table \"more \" (its module \"dbstat\" is none of").await;
    let edit = |from: &str, to: &str| {
        format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}'); PRAGMA writable_schema = RESET;"
        )
    };
    refused(
        &format!("CREATE TABLE t (a BLOB); INSERT INTO t VALUES (1); {}", edit("BLOB", "TEXT")),
        "column \"a\" of table \"t\", rowid 1",
    )
    .await;
    refused(
        &format!("CREATE TABLE t (a BLOB); INSERT INTO t VALUES ('12'); {}", edit("BLOB", "NUMERIC")),
        "column \"a\"",
    )
    .await;
    refused(&format!("CREATE TABLE t (a BLOB); INSERT INTO t VALUES (1.0); {}", edit("BLOB", "INT")), "column \"a\"")
        .await;
    refused(
        &format!("CREATE TABLE t (a BLOB); INSERT INTO t VALUES (NULL); {}", edit("BLOB", "BLOB NOT NULL")),
        "null",
    )
    .await;
    refused(
        "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO sqlite_sequence VALUES ('t', 'x')",
        "sqlite_sequence",
    )
    .await;
    refused(&format!("CREATE TABLE t (a CHECK (lower(a) = a)); {}", edit("lower", "ours")), "ours").await;
    refused(&format!("CREATE TABLE t (a); CREATE INDEX i ON t (lower(a)); {}", edit("lower", "ours")), "ours").await;
}

#[tokio::test]
async fn text_that_sqlite_would_change_is_named() {
    let utf16 = "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a, b TEXT); INSERT INTO t";
    refused(&format!("{utf16} VALUES (1, CAST(x'3dd8' AS TEXT))"), "column \"b\" of table \"t\"").await;
    refused(&format!("{utf16} VALUES (CAST(x'00dc6100' AS TEXT), 1)"), "column \"a\" of table \"t\"").await;
    refused(&format!("{utf16} VALUES (CAST(x'feff' AS TEXT), 1)"), "column \"a\" of table \"t\"").await;
}
