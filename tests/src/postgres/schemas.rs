//! Schemas that nobody here wrote, out of public packages, each loaded under whatever name a test wants.
//!
//! Packages come from their registries at the first use and are kept beside the build: nothing of theirs is in this
//! repository. Where a package brings no rows, a few are made for most of its tables. What a package names without its
//! schema it finds by `search_path`, here and wherever its rows are written.

mod fetch;
mod packages;
mod regression;

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{Db, identifier, literal};

pub use regression::load_regression;

const FILL: &str = include_str!("schemas/fill.sql");

const COUNTS: &str = "
    WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = current_setting('coffer.schema')::regnamespace),
    constraints AS (SELECT contype FROM pg_constraint WHERE connamespace = current_setting('coffer.schema')::regnamespace),
    types AS (SELECT * FROM pg_type WHERE typnamespace = current_setting('coffer.schema')::regnamespace)
    SELECT 'tables', count(*) FROM ours WHERE relkind IN ('r', 'p') UNION ALL
    SELECT 'partitioned tables', count(*) FROM ours WHERE relkind = 'p' UNION ALL
    SELECT 'partitions', count(*) FROM ours WHERE relispartition AND relkind IN ('r', 'p') UNION ALL
    SELECT 'views', count(*) FROM ours WHERE relkind = 'v' UNION ALL
    SELECT 'materialized views', count(*) FROM ours WHERE relkind = 'm' UNION ALL
    SELECT 'sequences', count(*) FROM ours WHERE relkind = 'S' UNION ALL
    SELECT 'indexes', count(*) FROM ours WHERE relkind IN ('i', 'I') UNION ALL
    SELECT 'foreign keys', count(*) FROM constraints WHERE contype = 'f' UNION ALL
    SELECT 'check constraints', count(*) FROM constraints WHERE contype = 'c' UNION ALL
    SELECT 'exclusion constraints', count(*) FROM constraints WHERE contype = 'x' UNION ALL
    SELECT 'domains', count(*) FROM types WHERE typtype = 'd' UNION ALL
    SELECT 'enums', count(*) FROM types WHERE typtype = 'e' UNION ALL
    SELECT 'ranges', count(*) FROM types WHERE typtype = 'r' UNION ALL
    SELECT 'composite types', count(*) FROM ours WHERE relkind = 'c' UNION ALL
    SELECT 'functions', count(*) FROM pg_proc WHERE pronamespace = current_setting('coffer.schema')::regnamespace UNION ALL
    SELECT 'triggers', count(*) FROM pg_trigger JOIN ours ON ours.oid = tgrelid WHERE NOT tgisinternal UNION ALL
    SELECT 'policies', count(*) FROM pg_policy JOIN ours ON ours.oid = polrelid UNION ALL
    SELECT 'generated columns', count(*) FROM pg_attribute JOIN ours ON ours.oid = attrelid WHERE attgenerated <> '' UNION ALL
    SELECT 'identity columns', count(*) FROM pg_attribute JOIN ours ON ours.oid = attrelid WHERE attidentity <> ''";

/// A schema of a public package.
pub struct Fixture {
    /// What it is called here.
    pub name: &'static str,
    /// Extensions that it needs, which are put into the schema `public`.
    extensions: &'static [&'static str],
    load: fn(&Db<'_>, &str) -> Result<()>,
    /// Are rows made where the package brings none?
    rows: Rows,
}

#[derive(PartialEq, Eq)]
enum Rows {
    Brought,
    Made,
}

/// All of them. PostgreSQL's own regression tests, much of which nobody can carry, are [`load_regression`]'s.
pub const FIXTURES: [Fixture; 8] = [
    Fixture { name: "zabbix", extensions: &[], load: packages::zabbix, rows: Rows::Brought },
    Fixture { name: "kea", extensions: &[], load: packages::kea, rows: Rows::Made },
    Fixture { name: "icingadb", extensions: &["citext"], load: packages::icingadb, rows: Rows::Made },
    Fixture { name: "procrastinate", extensions: &[], load: packages::procrastinate, rows: Rows::Made },
    Fixture { name: "graphile-worker", extensions: &[], load: packages::graphile_worker, rows: Rows::Made },
    Fixture { name: "pg-boss", extensions: &[], load: packages::pg_boss, rows: Rows::Made },
    Fixture { name: "features", extensions: &[], load: regression::features, rows: Rows::Made },
    Fixture { name: "row-security", extensions: &[], load: regression::row_security, rows: Rows::Made },
];

impl Fixture {
    /// The one of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<&'static Self> {
        const ALL: &[Fixture] = &FIXTURES;
        ALL.iter().find(|fixture| fixture.name == name).with_context(|| format!("no fixture is called {name}"))
    }

    /// Makes the schema, which must not be there, and its rows. It takes seconds; the first time, a download more.
    ///
    /// # Errors
    /// The package can't be had, or PostgreSQL refuses what it brings.
    pub fn load(&self, db: &Db<'_>, schema: &str) -> Result<()> {
        for extension in self.extensions {
            db.psql(&format!("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public", identifier(extension)))?;
        }
        (self.load)(db, schema).with_context(|| format!("the fixture {} can't be loaded", self.name))?;
        match self.rows {
            Rows::Brought => Ok(()),
            Rows::Made => fill(db, schema),
        }
    }
}

/// How many things of each kind a schema holds, those of no kind left out.
///
/// # Errors
/// The schema is not there.
pub fn counts(db: &Db<'_>, schema: &str) -> Result<BTreeMap<String, u64>> {
    let told = db.query(&format!("SET coffer.schema = {}; {COUNTS}", literal(&identifier(schema))))?;
    let counts = told.lines().map(|line| {
        let (kind, number) = line.split_once('|').context("two columns")?;
        Ok((kind.to_owned(), number.parse()?))
    });
    counts.filter(|count| !matches!(count, Ok((_, 0)))).collect()
}

fn fill(db: &Db<'_>, schema: &str) -> Result<()> {
    run(db, schema, &format!("SET coffer.schema = {}; {FILL}", literal(&identifier(schema))))
}

fn create_schema(db: &Db<'_>, schema: &str) -> Result<()> {
    db.psql(&format!("CREATE SCHEMA {}", identifier(schema))).map(drop)
}

/// Runs a package's SQL, up to its first failure, where names without a schema mean this one.
fn run(db: &Db<'_>, schema: &str, sql: &str) -> Result<()> {
    let session = format!("SET client_min_messages = warning; SET search_path = {}, public;", identifier(schema));
    db.psql(&format!("{session}\n{sql}")).map(drop)
}
