//! PostgreSQL servers of the tests' own, and what judges the service that reads and writes them.
//!
//! [`Postgres::shared`] is one server for all tests of a binary, [`Postgres::start`] one that a test may break. Either is
//! gone when its value is dropped or the test process ends, whichever way it ends.

mod bouncer;
mod cluster;
mod crm;
mod database;
pub mod hostile;
mod measure;
pub mod oracle;
mod remainder;
pub mod schemas;
mod uncarried;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

pub use bouncer::Bouncer;
pub use cluster::binaries;
pub use crm::{Crm, Told};
pub use database::Db;
pub use measure::{Effort, effort_among, measure_table, seed_wide};
pub use remainder::assert_same_but_skipped;
pub use uncarried::Uncarried;

use crate::guardian::Guardian;
use crate::tool;

/// The superuser of every server; like each login that [`Postgres::create_login`] makes, its password is its name.
pub const SUPERUSER: &str = "pg";

static SHARED: LazyLock<Result<Postgres>> = LazyLock::new(Postgres::start);
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A server on a port of 127.0.0.1 and on a socket, with a folder of its own; dropped, it is killed and the folder removed.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    _guardian: Guardian,
}

impl Postgres {
    /// The server that all tests of this process share. Let it live: a test that stops it needs one of its own.
    ///
    /// # Errors
    /// It did not start; every call says why.
    pub fn shared() -> Result<&'static Self> {
        SHARED.as_ref().map_err(|error| anyhow!("the shared server: {error:#}"))
    }

    /// A new server with nothing in it.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// A new server with further settings of `postgresql.conf`.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or does not start with these settings.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let (folder, guardian) = cluster::guarded_folder()?;
        cluster::make_data(&folder)?;
        cluster::configure(&folder, settings)?;
        let port = cluster::start(&folder, None)?;
        Ok(Self { folder, port, _guardian: guardian })
    }

    /// A new server that also takes connections by TLS, with the certificate at [`Postgres::certificate`], which it signed
    /// itself for `localhost` and 127.0.0.1.
    ///
    /// # Errors
    /// `openssl` is missing, or the server does not start.
    pub fn start_with_tls() -> Result<Self> {
        let server = Self::start()?;
        cluster::make_certificate(&server.folder)?;
        let (certificate, key) = (server.certificate(), server.folder.join("server.key"));
        let settings = [("ssl", "on"), ("ssl_cert_file", path(&certificate)), ("ssl_key_file", path(&key))];
        cluster::configure(&server.folder, &settings)?;
        server.restart()?;
        Ok(server)
    }

    /// A new streaming standby of this server. It follows: [`Postgres::wait_for_replay`] makes it level.
    ///
    /// # Errors
    /// It can't be copied, or does not start.
    pub fn standby(&self) -> Result<Self> {
        let (folder, guardian) = cluster::guarded_folder()?;
        let data = folder.join("data");
        let mut backup = cluster::as_server("pg_basebackup", &folder)?;
        backup.args(["-h", path(&self.folder), "-p", &self.port.to_string(), "-U", SUPERUSER, "-D", path(&data)]);
        cluster::ended_well(backup.args(["-R", "-c", "fast"]))?;
        let port = cluster::start(&folder, None)?;
        Ok(Self { folder, port, _guardian: guardian })
    }

    /// Waits until this standby shows all that `primary` has committed so far.
    ///
    /// # Errors
    /// It does not within 20 seconds.
    pub fn wait_for_replay(&self, primary: &Self) -> Result<()> {
        // Commits are flushed late, but not after one that waits for its own flush.
        let flushed =
            "SET synchronous_commit = local; DO $$ BEGIN PERFORM pg_logical_emit_message(true, '', ''); END $$;";
        let written = primary.query("postgres", &format!("{flushed} SELECT pg_current_wal_flush_lsn()"))?;
        let replayed = format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{written}', false)");
        let started = Instant::now();
        while self.query("postgres", &replayed)? != "t" {
            ensure!(started.elapsed() < Duration::from_secs(20), "the standby is not at {written} after 20 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A `pgbouncer` in front of this server, with `pool_mode` `transaction` or `session`, for the logins there are now.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn pgbouncer(&self, mode: &str) -> Result<Bouncer> {
        Bouncer::start(self, mode)
    }

    /// Ends the server at once, as a crash would: every connection breaks, nothing is flushed.
    ///
    /// # Errors
    /// It does not run.
    pub fn stop(&self) -> Result<()> {
        cluster::stop(&self.folder)
    }

    /// Ends the server at once, if it runs, and starts it again on the same port.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&self) -> Result<()> {
        if self.folder.join("data/postmaster.pid").exists() {
            self.stop()?;
        }
        cluster::start(&self.folder, Some(self.port)).map(drop)
    }

    /// Ends every other connection to a database, and says how many there were.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn kill_backends(&self, database: &str) -> Result<u32> {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = ";
        let ended = self.query("postgres", &format!("{sql}{} AND pid <> pg_backend_pid()", literal(database)))?;
        Ok(ended.parse()?)
    }

    /// A new, empty database, whose name begins with `name` and is like no other of this process.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn fresh_database(&self, name: &str) -> Result<Db<'_>> {
        let name = format!("{name}_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {} TEMPLATE template0", identifier(&name)))?;
        Ok(Db::new(self, name))
    }

    /// A login that may do what PUBLIC may, with its name as its password, made unless it is there.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn create_login(&self, user: &str) -> Result<()> {
        let known = self.query("postgres", &format!("SELECT 1 FROM pg_roles WHERE rolname = {}", literal(user)))?;
        if known.is_empty() {
            self.psql("postgres", &format!("CREATE ROLE {} LOGIN PASSWORD {}", identifier(user), literal(user)))?;
        }
        Ok(())
    }

    /// The URL of a database for a login whose password is its name.
    #[must_use]
    pub fn url(&self, database: &str, user: &str) -> String {
        format!("postgres://{user}:{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a database for the superuser.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(database, SUPERUSER)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, in which its socket is; what lies there is removed with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where [`Postgres::start_with_tls`] puts its certificate, which is its own authority.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    /// The process id of the server's first process.
    ///
    /// # Errors
    /// It does not run.
    pub fn process_id(&self) -> Result<u32> {
        cluster::process_id(&self.folder)
    }

    /// What the server has logged so far.
    ///
    /// # Errors
    /// It can't be read.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.folder.join("log"))?).into_owned())
    }

    /// Runs SQL by `psql` as the superuser, up to its first failure, and gives back what it wrote to standard output.
    ///
    /// # Errors
    /// A statement failed: the message is `psql`'s.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        database::psql(self.client("psql", database)?, sql)
    }

    /// The rows of a query, one a line, columns parted by `|`, without the last line's end.
    ///
    /// # Errors
    /// It failed.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = self.client("psql", database)?;
        psql.args(["-A", "-t"]);
        Ok(database::psql(psql, sql)?.trim_end_matches('\n').to_owned())
    }

    /// What `pg_dump` writes, called with further arguments.
    ///
    /// # Errors
    /// It failed: the message is its own.
    pub fn pg_dump(&self, database: &str, arguments: &[&str]) -> Result<String> {
        let output = cluster::ended_well(self.client("pg_dump", database)?.args(arguments))?;
        Ok(String::from_utf8(output)?)
    }

    /// One of PostgreSQL's programs, told to work on a database as the superuser by the socket, ready for arguments.
    ///
    /// # Errors
    /// PostgreSQL is not installed.
    pub fn client(&self, program: &str, database: &str) -> Result<Command> {
        let mut command = Command::new(binaries()?.join(program));
        command.args(["-h", path(&self.folder), "-p", &self.port.to_string(), "-U", SUPERUSER, "-d", database]);
        command.env("PGOPTIONS", "").env("PGCLIENTENCODING", "UTF8").stdin(std::process::Stdio::null());
        Ok(command)
    }
}

/// A name as an SQL identifier, quoted.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A path of ours, which are all of UTF-8.
fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// The folder in which builds keep what tests may use again; it is not the repository's.
fn cache_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or_else(|| anyhow!("{} is in no target folder", program.display()))?;
    let folder = target.join("tmp");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Puts a folder that is complete where all look for it; where another process was faster, its folder stays.
fn publish(made: &Path, wanted: &Path) -> Result<()> {
    match std::fs::rename(made, wanted) {
        Err(_) if wanted.is_dir() => tool("rm", ["-rf", path(made)]).map(drop),
        result => Ok(result?),
    }
}
