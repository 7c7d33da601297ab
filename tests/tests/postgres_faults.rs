//! PostgreSQL servers, logins and clients that fail half-way, are set up wrong or stand in each other's way.

#[path = "postgres_faults/others.rs"]
mod others;
#[path = "postgres_faults/rights.rs"]
mod rights;
#[path = "postgres_faults/servers.rs"]
mod servers;
#[path = "postgres_faults/ways_in.rs"]
mod ways_in;

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use coffer_tests::postgres::Postgres;
use coffer_tests::postgres::hostile::Tenants;
use coffer_tests::{Outcome, RawExchange, Service, tool};

const SOON: Duration = Duration::from_secs(10);

/// A password that can't stand in a message by accident.
const PASSWORD: &str = "geheim-4711-öäü";

static SERVER: LazyLock<Result<&'static Postgres>> = LazyLock::new(|| {
    let server = Postgres::shared()?;
    for login in ["reader", "owner_of_one", "bypassing", "secretive"] {
        server.create_login(login)?;
    }
    server.psql(
        "postgres",
        &format!("ALTER ROLE bypassing BYPASSRLS; ALTER ROLE secretive SUPERUSER PASSWORD '{PASSWORD}'"),
    )?;
    Ok(server)
});

/// A small app in `tenant_one`.
const SMALL: &str = "
    CREATE SCHEMA tenant_one;
    SET search_path = tenant_one;
    CREATE SEQUENCE counter;
    CREATE TABLE notes (id int PRIMARY KEY DEFAULT nextval('counter'), title text, body text);
    CREATE TABLE orders (id int PRIMARY KEY, note int REFERENCES notes);
    CREATE INDEX ON notes (title);
    INSERT INTO notes (title, body) SELECT 't' || n, 'b' || n FROM generate_series(1, 500) n;
    INSERT INTO orders SELECT n, n FROM generate_series(1, 100) n;";

/// An app in `tenant_one` that is larger than every buffer on its way: 96 MiB of rows, then more tables.
const LARGE: &str = "
    CREATE SCHEMA tenant_one;
    SET search_path = tenant_one;
    CREATE TABLE events (id int, payload text);
    INSERT INTO events SELECT n, repeat(md5(n::text), 31) FROM generate_series(1, 98304) n;
    ALTER TABLE events ADD PRIMARY KEY (id);
    CREATE TABLE kinds (id int PRIMARY KEY);
    INSERT INTO kinds VALUES (1), (2);
    CREATE TABLE last (id int PRIMARY KEY, kind int REFERENCES kinds);
    INSERT INTO last VALUES (1, 1);";

fn server() -> Result<&'static Postgres> {
    SERVER.as_ref().copied().map_err(|error| anyhow!("{error:#}"))
}

/// A database with an app `crm/one`.
fn with_app<'a>(server: &'a Postgres, name: &str, app: &str) -> Result<Tenants<'a>> {
    let tenants = Tenants::new(env!("CARGO_BIN_EXE_coffer"), server.fresh_database(name)?, "")?;
    tenants.db.psql(app)?;
    Ok(tenants)
}

/// The source's lines with another login or server.
fn source(url: &str) -> String {
    format!("database = {url:?}\nschema = \"tenant_{{app}}\"")
}

/// An export that has to fail with these words, and leaves no file.
fn ensure_no_export(tenants: &Tenants<'_>, flags: &[&str], words: &[&str]) -> Result<()> {
    let outcome = tenants.export("one", "x.tar.gz", flags)?;
    outcome.ends_with(1, words)?;
    ensure!(!tenants.coffer.path("x.tar.gz").exists(), "an export that failed left its file");
    Ok(())
}

/// Restores `x.tar.gz` into the app `two`, and counts what is there.
fn ensure_comes_back(tenants: &Tenants<'_>, table: &str) -> Result<()> {
    tenants.restore("x.tar.gz", "two", &[])?.ends_with(0, &[])?;
    let count = |schema: &str| {
        tenants.db.query(&format!("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY id)) FROM {schema}.{table} t"))
    };
    ensure!(count("tenant_one")? == count("tenant_two")?, "what came back differs");
    Ok(())
}

/// The binary at work, with a pipe to it or from it.
struct Running(Child);

impl Running {
    fn export(tenants: &Tenants<'_>) -> Result<Self> {
        let mut command = tenants.coffer.command();
        command.args(["export", "crm/one", "--no-encryption", "--compression", "none"]);
        Ok(Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
    }

    fn import(tenants: &Tenants<'_>, flags: &[&str]) -> Result<Self> {
        let mut command = tenants.coffer.command();
        command.args(["restore", "-", "--into", "crm/two"]).args(flags);
        Ok(Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?))
    }

    fn read(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        self.0.stdout.as_mut().context("no output")?.read_exact(&mut read)?;
        Ok(read)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.stdin.as_mut().context("no input")?.write_all(bytes)?)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        tool("kill", [signal, &self.0.id().to_string()]).map(drop)
    }

    /// Takes what is still written, to the end.
    fn end(mut self) -> Result<Outcome> {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr })
    }
}

/// A large app's archive, in one piece.
fn archive_of(tenants: &Tenants<'_>) -> Result<Vec<u8>> {
    tenants.export("one", "x.tar.gz", &["--compression", "none"])?.ends_with(0, &[])?;
    Ok(std::fs::read(tenants.coffer.path("x.tar.gz"))?)
}

/// A client that has sent `bytes` of an archive into the app `two`, and holds.
fn sent(service: &Service, archive: &[u8], bytes: usize) -> Result<RawExchange> {
    let mut client = RawExchange::post(service, "/v1/apps/crm/two/import", archive.len() as u64)?;
    client.send(archive.get(..bytes).context("so long it is not")?)?;
    Ok(client)
}

/// Waits until an import copies rows, of which nobody sees any.
fn wait_for_rows(tenants: &Tenants<'_>) -> Result<()> {
    wait_for_copy(tenants)?;
    ensure!(tenants.things_in("tenant_two")? == 0, "half an import can be seen");
    Ok(())
}

fn wait_for_copy(tenants: &Tenants<'_>) -> Result<()> {
    tenants.wait_for(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database() \
         AND query LIKE 'COPY%FROM STDIN%'",
        "1",
    )
}
