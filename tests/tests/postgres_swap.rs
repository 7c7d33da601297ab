//! Imports into PostgreSQL that replace an app: what its users see meanwhile and afterwards, undo, and what is left by whoever dies half-way.

#[path = "postgres_swap/dependents.rs"]
mod dependents;
#[path = "postgres_swap/likeness.rs"]
mod likeness;
#[path = "postgres_swap/recovery.rs"]
mod recovery;
#[path = "postgres_swap/rights.rs"]
mod rights;
#[path = "postgres_swap/traffic.rs"]
mod traffic;

use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_storage::{
    Blueprint, Database, Import, ImportId, Landing, Load, Loaded, PostgresAddress, PostgresDatabase, PostgresOptions,
    PostgresPlace, PostgresScope, RowChunk,
};
use coffer_tests::postgres::{Db, Postgres};

/// The app's schema in every test.
const SCHEMA: &str = "tenant_a";
const CODE: PostgresOptions =
    PostgresOptions { skip_unsupported: false, allow_code: true, rewrite_bodies: false, grants: false };

/// An app that was exported.
struct Archive {
    blueprint: Blueprint,
    chunks: Vec<RowChunk>,
    sequences: bytes::Bytes,
}

impl Archive {
    async fn of(db: &Db<'_>) -> Result<Self> {
        let mut dump = app(db)?.dump().await?;
        let (blueprint, sequences) = (dump.blueprint().clone(), dump.sequences());
        let mut chunks = Vec::new();
        while let Some(chunk) = dump.next().await? {
            chunks.push(chunk);
        }
        Ok(Self { blueprint, chunks, sequences })
    }

    /// Of an app that SQL makes in a database of its own.
    async fn made_by(server: &Postgres, sql: &str) -> Result<Self> {
        let db = server.fresh_database("source")?;
        seed(&db, sql)?;
        Self::of(&db).await
    }

    /// Sends the rows.
    async fn load(&self, database: &PostgresDatabase, import: &Import) -> coffer_storage::Result<Box<dyn Load>> {
        let mut load = database.load_for(self.blueprint.clone(), import).await?;
        for chunk in &self.chunks {
            load.write(&chunk.table, chunk.bytes.clone()).await?;
        }
        Ok(load)
    }

    /// Loads it up to where it waits.
    async fn stage(&self, database: &PostgresDatabase, import: &Import) -> coffer_storage::Result<Box<dyn Loaded>> {
        self.load(database, import).await?.finish(self.sequences.clone()).await
    }

    /// Replaces what is there.
    async fn replace(&self, database: &PostgresDatabase) -> Result<ImportId> {
        let import = replacing()?;
        self.stage(database, &import).await?.commit().await?;
        Ok(import.id)
    }
}

fn replacing() -> Result<Import> {
    Ok(Import { id: ImportId::random()?, landing: Landing::Replace })
}

fn seed(db: &Db<'_>, sql: &str) -> Result<()> {
    db.psql(&format!("CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}; {sql}")).map(drop)
}

fn app(db: &Db<'_>) -> Result<PostgresDatabase> {
    app_as(&db.superuser_url())
}

fn app_as(url: &str) -> Result<PostgresDatabase> {
    Ok(PostgresDatabase::new(place(url)?, CODE))
}

fn place(url: &str) -> Result<PostgresPlace> {
    let address = PostgresAddress::new(url, None)?;
    Ok(PostgresPlace { address, schema: SCHEMA.into(), scope: PostgresScope::Schema, import_address: None })
}

/// What `pg_dump` tells of the app, without what it says anew each time.
fn picture(db: &Db<'_>) -> Result<String> {
    let told = db.pg_dump(&["-n", SCHEMA])?;
    let lines = told.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The schemas of ours.
fn remains(db: &Db<'_>) -> Result<String> {
    db.query("SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace WHERE starts_with(nspname, 'coffer_')")
}

fn refused<T>(result: coffer_storage::Result<T>, words: &[&str]) -> Result<()> {
    let told = result.err().context("it was not refused")?.to_string();
    for word in words {
        ensure!(told.contains(word), "{word:?} is not in {told:?}");
    }
    Ok(())
}

/// A session of somebody else's, fed with SQL.
struct Psql {
    child: Child,
    input: ChildStdin,
}

impl Psql {
    fn open(db: &Db<'_>) -> Result<Self> {
        let mut command = db.server().client("psql", db.name())?;
        command.args(["-X", "-q", "-A", "-t"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().context("no input")?;
        Ok(Self { child, input })
    }

    /// Runs SQL without waiting for it.
    fn send(&mut self, sql: &str) -> Result<()> {
        use std::io::Write;
        Ok(writeln!(self.input, "{sql}")?)
    }

    /// Runs SQL, and waits until it is done and the session idle.
    async fn run(&mut self, db: &Db<'_>, sql: &str) -> Result<()> {
        let mark = ImportId::random()?;
        self.send(&format!("{sql}\nSET application_name = 'did_{mark}';"))?;
        let done = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'did_{mark}'");
        for _ in 0..200 {
            if db.query(&done)? == "1" {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("it does not come through: {sql}")
    }

    /// Ends it, and gives what it wrote.
    fn end(self) -> Result<String> {
        drop(self.input);
        let output = self.child.wait_with_output()?;
        Ok(String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?)
    }
}
