//! What every database must do.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::future_not_send,
    reason = "a suite fails by panicking, and stays on its test's thread"
)]

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::FutureExt;
use sha2::{Digest, Sha256};

use super::expect_traces;
use crate::{Blueprint, Database, Error, Load, Loaded, Occupancy, RowsDigest, TableSummary};

/// An export, collected.
struct Collected {
    blueprint: Blueprint,
    sequences: Bytes,
    rows: BTreeMap<String, Vec<u8>>,
}

/// Runs the suite. `seed` fills a database that `fresh` made: with two tables or more, one of them empty, and rows of awkward
/// values, best one over 4 MiB as well.
pub async fn database_conformance<D, F>(fresh: impl Fn() -> D, seed: impl Fn(D) -> F, traces: impl Fn() -> Vec<String>)
where
    D: Database,
    F: Future<Output = D>,
{
    let source = seed(fresh()).await;
    let collected = collect(&source).await;
    assert!(collected.rows.len() < collected.blueprint.tables.len(), "the seed has no empty table");
    missing(&fresh()).await;
    round_trip(&fresh(), &source, &collected).await;
    let before = traces();
    occupied(&source, &collected).await;
    expect_traces(&traces, &before, "a load into what is occupied").await;
    dropped(&fresh, &collected, &traces).await;
    given_up(&fresh, &collected, &traces).await;
    failed(&fresh, &collected, &traces).await;
    left_early(&source).await;
    assert_same(&collected, &collect(&source).await);
}

async fn missing(database: &impl Database) {
    assert_eq!(database.occupancy().await.unwrap(), Occupancy::Missing);
    assert!(matches!(database.dump().await.err(), Some(Error::NotFound { .. })));
}

/// What is loaded in pieces of any size is what was dumped, and can be seen from the commit on and not before.
async fn round_trip(target: &impl Database, source: &impl Database, collected: &Collected) {
    let mut load = target.load(collected.blueprint.clone()).await.unwrap();
    for (table, rows) in &collected.rows {
        let piece_bytes = if rows.len() < 20_000 { 1 } else { 65_537 };
        for piece in rows.chunks(piece_bytes) {
            load.write(table, Bytes::copy_from_slice(piece)).await.unwrap();
        }
    }
    let mut loaded = load.finish(collected.sequences.clone()).await.unwrap();
    assert_eq!(loaded.tables(), summaries(collected));
    loaded.prepare().await.unwrap();
    loaded.prepare().await.unwrap();
    assert_ne!(target.occupancy().await.unwrap(), Occupancy::Occupied, "visible before its commit");
    loaded.commit().await.unwrap();
    assert_eq!(target.occupancy().await.unwrap(), Occupancy::Occupied);
    assert_same(collected, &collect(target).await);
    assert_same(collected, &collect(source).await);
}

async fn occupied(source: &impl Database, collected: &Collected) {
    assert!(matches!(source.load(collected.blueprint.clone()).await.err(), Some(Error::NotEmpty { .. })));
}

/// Whatever is dropped, nothing stays.
async fn dropped<D: Database>(fresh: &impl Fn() -> D, collected: &Collected, traces: &impl Fn() -> Vec<String>) {
    let before = traces();
    for writes in [0, 1, 2, usize::MAX] {
        let database = fresh();
        let mut load = database.load(collected.blueprint.clone()).await.unwrap();
        for (table, rows) in collected.rows.iter().take(writes) {
            load.write(table, Bytes::copy_from_slice(rows)).await.unwrap();
        }
        drop(load);
        expect_traces(traces, &before, "a dropped load").await;
        let mut load = database.load(collected.blueprint.clone()).await.unwrap();
        for (table, rows) in collected.rows.iter().take(writes) {
            load.write(table, Bytes::copy_from_slice(rows)).await.unwrap();
        }
        load.discard().await.unwrap();
        assert_eq!(traces(), before, "a discarded load is gone at once");
        assert_eq!(database.occupancy().await.unwrap(), Occupancy::Missing);
    }
    drop(load_whole(&fresh(), collected).await);
    expect_traces(traces, &before, "a load dropped before its commit").await;
    load_whole(&fresh(), collected).await.discard().await.unwrap();
    expect_traces(traces, &before, "a discarded load").await;
}

/// A finish that is given up, at any point, and a discard leave nothing, and soon.
async fn given_up<D: Database>(fresh: &impl Fn() -> D, collected: &Collected, traces: &impl Fn() -> Vec<String>) {
    let before = traces();
    for wait_ms in [0, 1, 5, 25, 125] {
        let mut load = load_rows(&fresh(), collected).await;
        let finish = load.finish(collected.sequences.clone());
        let finished = match wait_ms {
            0 => finish.now_or_never().transpose(),
            _ => tokio::time::timeout(Duration::from_millis(wait_ms), finish).await.ok().transpose(),
        };
        let given_up = Instant::now();
        match finished.unwrap() {
            Some(loaded) => loaded.discard().await.unwrap(),
            None => load.discard().await.unwrap(),
        }
        assert!(given_up.elapsed() < Duration::from_secs(5), "a discard took {:?}", given_up.elapsed());
        assert_eq!(traces(), before, "a finish given up and discarded is gone at once");
    }
    let mut prepared = load_whole(&fresh(), collected).await;
    prepared.prepare().await.unwrap();
    prepared.discard().await.unwrap();
    assert_eq!(traces(), before, "what was prepared and discarded is gone at once");
    let mut prepared = load_whole(&fresh(), collected).await;
    prepared.prepare().now_or_never();
    drop(prepared);
    expect_traces(traces, &before, "a load dropped while it is prepared").await;
}

/// Whatever fails, nothing stays.
async fn failed<D: Database>(fresh: &impl Fn() -> D, collected: &Collected, traces: &impl Fn() -> Vec<String>) {
    let before = traces();
    let (table, rows) = collected.rows.iter().find(|(_, rows)| rows.len() > 2).unwrap();
    let half = rows.split_last().unwrap().1;
    let cases: [(&str, &str, &[u8]); 4] = [
        ("nonsense", table, b"nonsense\n"),
        ("a table that is not there", "no such table", rows),
        ("a row that does not end", table, half),
        ("a row of too many values", table, b"[1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9]\n"),
    ];
    for (name, table, rows) in cases {
        let mut load = fresh().load(collected.blueprint.clone()).await.unwrap();
        let outcome = match load.write(table, Bytes::copy_from_slice(rows)).await {
            Ok(()) => load.finish(collected.sequences.clone()).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(Error::Refused { .. })), "{name}: {outcome:?}");
        expect_traces(traces, &before, name).await;
    }
    let blueprint = Blueprint { pre_data: Bytes::from_static(b"DROP TABLE x;"), ..collected.blueprint.clone() };
    assert!(matches!(fresh().load(blueprint).await.err(), Some(Error::Refused { .. })));
    let blueprint = Blueprint { schema: Bytes::from_static(b"{}"), ..collected.blueprint.clone() };
    assert!(matches!(fresh().load(blueprint).await.err(), Some(Error::Refused { .. })));
    expect_traces(traces, &before, "a refused blueprint").await;
}

/// A dump can be dropped at any point.
async fn left_early(source: &impl Database) {
    for chunks in 0..3 {
        let mut dump = source.dump().await.unwrap();
        for _ in 0..chunks {
            dump.next().await.unwrap();
        }
    }
}

async fn load_whole(database: &impl Database, collected: &Collected) -> Box<dyn Loaded> {
    load_rows(database, collected).await.finish(collected.sequences.clone()).await.unwrap()
}

async fn load_rows(database: &impl Database, collected: &Collected) -> Box<dyn Load> {
    let mut load = database.load(collected.blueprint.clone()).await.unwrap();
    for (table, rows) in &collected.rows {
        load.write(table, Bytes::copy_from_slice(rows)).await.unwrap();
    }
    load
}

/// Reads a whole dump and holds it to the law of chunks.
async fn collect(database: &impl Database) -> Collected {
    const MAX_BYTES: usize = 4 << 20;
    let mut dump = database.dump().await.unwrap();
    let (blueprint, sequences) = (dump.blueprint().clone(), dump.sequences());
    let mut rows: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut order = Vec::new();
    while let Some(chunk) = dump.next().await.unwrap() {
        let ends_a_row = chunk.bytes.ends_with(b"\n");
        assert!(!chunk.bytes.is_empty() && chunk.bytes.len() <= MAX_BYTES);
        assert!(ends_a_row || (chunk.bytes.len() == MAX_BYTES && !chunk.bytes.contains(&b'\n')));
        if order.last() != Some(&chunk.table) {
            order.push(chunk.table.clone());
        }
        rows.entry(chunk.table.to_string()).or_default().extend_from_slice(&chunk.bytes);
    }
    let with_rows: Vec<_> = blueprint.tables.iter().filter(|table| rows.contains_key(&***table)).cloned().collect();
    assert_eq!(order, with_rows, "tables out of order");
    assert!(rows.values().all(|rows| rows.ends_with(b"\n")));
    Collected { blueprint, sequences, rows }
}

/// What a load must say that it holds.
fn summaries(collected: &Collected) -> Vec<TableSummary> {
    let summarize = |table: &std::sync::Arc<str>| {
        let bytes = collected.rows.get(&**table).map(Vec::as_slice).unwrap_or_default();
        let mut digest = RowsDigest::default();
        let mut rows = 0;
        for row in bytes.split_inclusive(|&byte| byte == b'\n') {
            digest.add_row(Sha256::digest(row.strip_suffix(b"\n").unwrap()).into());
            rows += 1;
        }
        TableSummary { name: table.to_string(), rows, bytes: bytes.len() as u64, digest }
    };
    collected.blueprint.tables.iter().map(summarize).collect()
}

fn assert_same(one: &Collected, other: &Collected) {
    assert_eq!(one.blueprint, other.blueprint);
    assert_eq!(one.sequences, other.sequences);
    for (table, rows) in &one.rows {
        if other.rows.get(table) != Some(rows) {
            panic!("table {table:?} is not what it was");
        }
    }
    assert_eq!(one.rows.len(), other.rows.len());
}
