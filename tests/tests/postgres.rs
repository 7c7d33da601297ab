//! The suite that every database must pass, on a PostgreSQL of the tests' own and on any other that is named.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use coffer_storage::testing::database_conformance;
use coffer_storage::{PostgresAddress, PostgresDatabase, PostgresOptions, PostgresPlace, PostgresScope};
use coffer_tests::postgres::{Postgres, identifier, literal};
use coffer_tests::tool;

/// The URL of a database on another server, for a login that may make schemas there.
const OTHER: &str = "COFFER_TEST_POSTGRES_URL";

/// What can be carried without running code: awkward values, a row of over 4 MiB, an empty table, a sequence.
const TABLES: &str = r#"
    CREATE TYPE mood AS ENUM ('glad', 'it''s');
    CREATE DOMAIN small AS int CHECK (VALUE < 100000);
    CREATE SEQUENCE counter START 7;
    CREATE TABLE a_first (id int PRIMARY KEY, words text, feels mood, n small DEFAULT 3, g int GENERATED ALWAYS AS (id * 2) STORED);
    INSERT INTO a_first SELECT n, repeat('x', n % 90), 'glad', n FROM generate_series(1, 500) n;
    INSERT INTO a_first VALUES (1001, E'\\N\t\n\r\\.', 'it''s', NULL), (1002, NULL, NULL, 1), (1003, '', NULL, 1), (1004, '😀"''\', NULL, 1);
    CREATE TABLE big (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bytea, t text);
    INSERT INTO big (b, t) VALUES (decode(repeat('00ff5c0a', 1500000), 'hex'), repeat('ä', 3000000)), ('', ''), (NULL, NULL);
    CREATE TABLE child (id int REFERENCES a_first, day date, UNIQUE (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE "child ""2""" PARTITION OF child DEFAULT;
    INSERT INTO child VALUES (1, '2020-02-02'), (2, '2021-02-02'), (2, NULL);
    CREATE TABLE empty (a int);
    CREATE TABLE "odd /%name" (a int[]);
    INSERT INTO "odd /%name" VALUES ('{1,NULL}'), ('[0:1]={2,3}');
    SELECT nextval('counter');
"#;

/// What takes a login for imports, or its owner's word.
const CODE: &str = "
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
    CREATE VIEW seen AS SELECT id, twice(n) FROM a_first;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM seen;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trigger has run'; END $$;
    CREATE TRIGGER touched BEFORE INSERT ON a_first FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE INDEX by_twice ON a_first (twice(n));
    ALTER TABLE a_first ENABLE ROW LEVEL SECURITY;
    CREATE POLICY none ON a_first USING (false);
";

/// A database in which each app is a new schema.
struct Bench {
    url: String,
    import: Option<String>,
    options: PostgresOptions,
    made: AtomicU32,
}

impl Bench {
    fn new(url: &str) -> Self {
        Self { url: url.to_owned(), import: None, options: PostgresOptions::default(), made: AtomicU32::new(0) }
    }

    fn psql(&self, sql: &str) -> Result<String> {
        let answer = tool("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url])?;
        Ok(String::from_utf8(answer)?)
    }

    fn place(&self, schema: &str) -> Result<PostgresPlace> {
        let import_address = self.import.as_deref().map(|url| PostgresAddress::new(url, None)).transpose()?;
        let (address, schema, scope) =
            (PostgresAddress::new(&self.url, None)?, schema.to_owned(), PostgresScope::Schema);
        Ok(PostgresPlace { address, schema, scope, import_address })
    }

    /// The suite's schemas begin like this, so that others on a server do not count.
    const PREFIX: &str = "coffer test ";

    fn fresh(&self) -> Result<(String, PostgresDatabase)> {
        let schema =
            format!("{}{} \"{}\"", Self::PREFIX, std::process::id(), self.made.fetch_add(1, Ordering::Relaxed));
        Ok((schema.clone(), PostgresDatabase::new(self.place(&schema)?, self.options)))
    }

    /// Makes the app that the suite is to take with it. The first is its own.
    fn seed(&self, schema: &str, sql: &str) -> Result<()> {
        let name = identifier(schema);
        // An import gives everything to its login.
        let owner = if self.import.is_some() { "SET ROLE importer;" } else { "" };
        self.psql(&format!("{owner} CREATE SCHEMA {name}; SET search_path = {name}; {sql}")).map(drop)
    }

    /// What can be seen of imports: schemas, and sessions of ours.
    fn traces(&self) -> Result<Vec<String>> {
        let schemas = format!(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, {}) ORDER BY 1",
            literal(Self::PREFIX)
        );
        let sessions = "SELECT 'session ' || state FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database()";
        let told = self.psql(&format!("({schemas}) UNION ALL {sessions}"))?;
        Ok(told.lines().map(str::to_owned).collect())
    }

    fn remove(&self) -> Result<()> {
        for schema in self.traces()?.iter().filter(|trace| trace.starts_with(Self::PREFIX)) {
            self.psql(&format!("DROP SCHEMA {} CASCADE", identifier(schema)))?;
        }
        Ok(())
    }

    /// Runs the suite.
    #[expect(clippy::unwrap_used, reason = "a suite fails by panicking")]
    #[expect(clippy::future_not_send, reason = "a test stays on its thread")]
    async fn conforms(&self, sql: &str) {
        let last = std::cell::RefCell::new(String::new());
        let fresh = || {
            let (schema, database) = self.fresh().unwrap();
            last.replace(schema);
            database
        };
        let seed = async |database| {
            self.seed(&last.borrow(), sql).unwrap();
            database
        };
        database_conformance(fresh, seed, || self.traces().unwrap()).await;
        self.remove().unwrap();
    }
}

#[tokio::test]
async fn conforms() -> Result<()> {
    let db = Postgres::shared()?.fresh_database("conform")?;
    Bench::new(&db.superuser_url()).conforms(TABLES).await;
    Ok(())
}

#[tokio::test]
async fn conforms_where_code_is_allowed() -> Result<()> {
    let db = Postgres::shared()?.fresh_database("conform")?;
    let options = PostgresOptions { allow_code: true, ..PostgresOptions::default() };
    Bench { options, ..Bench::new(&db.superuser_url()) }.conforms(&format!("{TABLES}{CODE}")).await;
    Ok(())
}

#[tokio::test]
async fn conforms_with_a_login_for_imports() -> Result<()> {
    let server = Postgres::shared()?;
    let db = server.fresh_database("conform")?;
    server.create_login("importer")?;
    db.psql(&format!("GRANT CREATE ON DATABASE {} TO importer", identifier(db.name())))?;
    let bench = Bench { import: Some(db.url("importer")), ..Bench::new(&db.superuser_url()) };
    bench.conforms(&format!("{TABLES}{CODE}")).await;
    Ok(())
}

#[tokio::test]
async fn conforms_on_another_server() -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a server that the tests do not start is named from outside")]
    let Ok(url) = std::env::var(OTHER) else {
        coffer_tests::say(format!("SKIPPED: {OTHER} names no other server"));
        return Ok(());
    };
    let bench = Bench::new(&url);
    bench.psql("SELECT 1").context("the server that is named can't be reached")?;
    bench.conforms(TABLES).await;
    Ok(())
}
