//! The main job on PostgreSQL at a size, with its figures.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{Crm, Db};
use crate::{mebibytes, peak_of, say};

/// Rows of about a kibibyte as COPY writes them.
const FILL: &str = "CREATE TABLE large (id bigint PRIMARY KEY, t text NOT NULL, b bytea, at timestamptz DEFAULT now());
    INSERT INTO large SELECT i, repeat(encode(sha512(int8send(i)), 'hex'), 6), sha512(int8send(-i)), 'epoch'::timestamptz + i * interval '1 s'
        FROM generate_series(1, ";

/// Exports an app whose one table has about `size_mebibytes` and restores it as another, checks that both say the same of their rows
/// and that the command never held `bound_bytes`, and says how fast it was.
///
/// # Errors
/// One of these did not hold.
pub fn measure_table(crm: &Crm<'_>, size_mebibytes: u64, bound_bytes: u64) -> Result<()> {
    crm.seed("large", &format!("{FILL}{}::bigint) i;", size_mebibytes << 10))?;
    let coffer = crm.coffer();
    for (job, arguments) in [
        ("export", ["export", "crm/large", "-o", "large.tar.gz", "--no-encryption"].as_slice()),
        ("restore", &["restore", "large.tar.gz", "--into", "crm/again"]),
    ] {
        let started = Instant::now();
        let peak = peak_of(coffer, arguments)?;
        let seconds = started.elapsed().as_secs_f64();
        let rate = size_mebibytes as f64 / seconds;
        say(format!(
            "{job} of a table of {size_mebibytes} MiB: {seconds:.1} s, {rate:.0} MiB/s, {} at most",
            mebibytes(peak)
        ));
        ensure!(peak < bound_bytes, "{job} of {size_mebibytes} MiB took {}", mebibytes(peak));
    }
    crm.assert_tells_the_same("large.tar.gz", "again")
}

/// What PostgreSQL had to do for an export of one schema among others.
#[derive(Debug)]
pub struct Effort {
    /// How long the whole command took.
    pub seconds: f64,
    /// Rows of catalogs and tables that the server touched.
    pub rows: u64,
}

/// Exports an app among `others` schemas of two tables each, and tells what it took.
///
/// # Errors
/// It failed.
pub fn effort_among(crm: &Crm<'_>, app: &str, others: u64) -> Result<Effort> {
    let db = crm.db();
    for block in 0..others.div_ceil(100) {
        let range = block * 100..others.min(block * 100 + 100);
        let schemas = range.map(|n| {
            format!(
                "CREATE SCHEMA tenant_other{n}; CREATE TABLE tenant_other{n}.a (id serial PRIMARY KEY, t text NOT NULL); \
                 CREATE TABLE tenant_other{n}.b (id int PRIMARY KEY, a int REFERENCES tenant_other{n}.a, at timestamptz DEFAULT now());"
            )
        });
        db.psql(&format!("BEGIN; {} COMMIT;", schemas.collect::<String>()))?;
    }
    db.psql("ANALYZE")?;
    // The first run of a server fills its caches.
    crm.export(app, "first.tar.gz", &[])?.ends_with(0, &[])?;
    let before = rows_touched(db)?;
    let started = Instant::now();
    crm.export(app, "second.tar.gz", &[])?.ends_with(0, &[])?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Effort { seconds, rows: rows_touched(db)?.saturating_sub(before) })
}

/// Makes an app of `tables` tables that refer to each other, of 16 columns, with two indexes each.
///
/// # Errors
/// It failed.
pub fn seed_wide(crm: &Crm<'_>, app: &str, tables: u64) -> Result<()> {
    let types = ["text", "integer NOT NULL DEFAULT 0", "numeric(10,2)"];
    let columns: Vec<_> = types.iter().cycle().take(15).enumerate().map(|(n, kind)| format!("c{n} {kind}")).collect();
    let columns = columns.join(", ");
    let all = (0..tables).map(|n| {
        let parent = n.saturating_sub(1);
        format!(
            "CREATE TABLE t{n} (id serial PRIMARY KEY, {columns}, parent integer REFERENCES t{parent}, CHECK (c1 >= 0)); \
             CREATE INDEX ON t{n} (c0); CREATE INDEX ON t{n} (c3);"
        )
    });
    crm.seed(app, &all.collect::<String>())
}

/// A server counts what a session has done when it ends.
fn rows_touched(db: &Db<'_>) -> Result<u64> {
    let count = db.query("SELECT tup_returned FROM pg_stat_database WHERE datname = current_database()")?;
    count.trim().parse().context("no count")
}
