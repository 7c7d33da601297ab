//! PostgreSQL's own regression tests, for what they leave behind: hundreds of odd things.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::fetch::{copy_for_server, regression_tests};
use super::{create_schema, run};
use crate::postgres::{Db, identifier, literal, path};

/// Left out: what works on the server as a whole, or takes long and leaves nothing.
const LEFT_OUT: [&str; 22] = [
    "aggregates",
    "database",
    "event_trigger",
    "groupingsets",
    "incremental_sort",
    "infinite_recurse",
    "join_hash",
    "maintain_every",
    "numeric_big",
    "opr_sanity",
    "partition_aggregate",
    "partition_prune",
    "prepared_xacts",
    "random",
    "select_parallel",
    "stats",
    "tablespace",
    "tuplesort",
    "type_sanity",
    "vacuum_parallel",
    "window",
    "write_parallel",
];

/// Those that leave behind nothing but what an export is to carry.
const FEATURES: [&str; 12] = [
    "enum",
    "domain",
    "generated",
    "identity",
    "rangetypes",
    "matview",
    "constraints",
    "hash_part",
    "partition_info",
    "insert_conflict",
    "indexing",
    "partition_join",
];

/// Runs PostgreSQL's regression tests, which have to leave hundreds of things in the schema: tables, types, operators,
/// casts, aggregates, rules, foreign tables, statistics and more. They make roles, too, and work outside of the schema:
/// give them a server of their own. A minute or two.
///
/// # Errors
/// Their source can't be had, or they did not run.
pub fn load_regression(db: &Db<'_>, schema: &str) -> Result<()> {
    let tests = tests_for_server(db)?;
    if schema != "public" {
        create_schema(db, schema)?;
    }
    let schedule = std::fs::read_to_string(tests.join("parallel_schedule"))?;
    let names = schedule.lines().filter_map(|line| line.strip_prefix("test: ")).flat_map(str::split_whitespace);
    for name in names.filter(|name| !LEFT_OUT.contains(name)) {
        run_test(db, schema, &tests, &tests.join(format!("sql/{name}.sql")))?;
    }
    let tables = db.query(&format!("SELECT count(*) FROM pg_tables WHERE schemaname = {}", literal(schema)))?;
    ensure!(tables.parse::<u32>()? > 300, "the regression tests left {tables} tables");
    Ok(())
}

/// What some of PostgreSQL's regression tests leave behind: generated and identity columns, domains over domains, range
/// types, materialized views, exclusion constraints, partitions by hash, nested ones, inheritance.
pub(super) fn features(db: &Db<'_>, schema: &str) -> Result<()> {
    let tests = tests_for_server(db)?;
    create_schema(db, schema)?;
    for name in FEATURES {
        run_test(db, schema, &tests, &tests.join(format!("sql/{name}.sql")))?;
    }
    // Its columns were inherited in another order than they are declared in, which `pg_dump` can't say either.
    run(db, schema, "DROP TABLE IF EXISTS gtestxx_4")
}

/// PostgreSQL's tests of row-level security, up to where they clean up: tables of several owners with policies of each
/// kind, partitions, views that go by a policy.
pub(super) fn row_security(db: &Db<'_>, schema: &str) -> Result<()> {
    let tests = tests_for_server(db)?;
    let sql = std::fs::read_to_string(tests.join("sql/rowsecurity.sql"))?;
    let (kept, _) = sql.rsplit_once("-- Clean up objects").context("rowsecurity.sql does not clean up")?;
    let file = tests.join("sql/rowsecurity_kept.sql");
    std::fs::write(&file, kept)?;
    run_test(db, "public", &tests, &file)?;
    db.psql(&format!("ALTER SCHEMA regress_rls_schema RENAME TO {}", identifier(schema))).map(drop)
}

/// A copy in the server's folder: the tests have the server read their files.
fn tests_for_server(db: &Db<'_>) -> Result<PathBuf> {
    let tests = db.server().folder().join("regress");
    if !tests.exists() {
        copy_for_server(&regression_tests()?, &tests)?;
    }
    Ok(tests)
}

/// Runs a test to its end: it is full of statements that are to fail.
fn run_test(db: &Db<'_>, schema: &str, tests: &Path, file: &Path) -> Result<()> {
    let mut psql = db.server().client("psql", db.name())?;
    // A schema of another name is found as `public` would be.
    let options =
        format!("-c search_path={} -c intervalstyle=postgres_verbose -c statement_timeout=10s", escaped(schema));
    psql.env("PGOPTIONS", options).env("PGTZ", "PST8PDT").env("PGDATESTYLE", "Postgres, MDY");
    psql.env("PG_ABS_SRCDIR", tests).env("PG_ABS_BUILDDIR", tests).env("PG_LIBDIR", tests).env("PG_DLSUFFIX", ".so");
    psql.args(["-X", "-q", "-f", path(file)]).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(tests);
    let status = psql.status().context("psql can't be run")?;
    ensure!(status.success(), "{}: psql: {status}", file.display());
    Ok(())
}

/// A schema's name as the option `-c search_path` takes it.
fn escaped(schema: &str) -> String {
    identifier(schema).replace('\\', "\\\\").replace(' ', "\\ ")
}
