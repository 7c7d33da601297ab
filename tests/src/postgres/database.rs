//! One database of a server.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Postgres, SUPERUSER};

/// A database of its own for a test. It goes when its server goes.
pub struct Db<'a> {
    server: &'a Postgres,
    name: String,
}

impl<'a> Db<'a> {
    pub(super) fn new(server: &'a Postgres, name: String) -> Self {
        Self { server, name }
    }

    /// A database that is there already, such as one on a standby.
    #[must_use]
    pub fn on(server: &'a Postgres, name: &str) -> Self {
        Self::new(server, name.to_owned())
    }

    /// Its server.
    #[must_use]
    pub fn server(&self) -> &'a Postgres {
        self.server
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL for a login whose password is its name.
    #[must_use]
    pub fn url(&self, user: &str) -> String {
        self.server.url(&self.name, user)
    }

    /// Its URL for the superuser.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        self.url(SUPERUSER)
    }

    /// [`Postgres::psql`] here.
    ///
    /// # Errors
    /// A statement failed.
    pub fn psql(&self, sql: &str) -> Result<String> {
        self.server.psql(&self.name, sql)
    }

    /// [`Postgres::query`] here.
    ///
    /// # Errors
    /// It failed.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.server.query(&self.name, sql)
    }

    /// [`Postgres::pg_dump`] here.
    ///
    /// # Errors
    /// It failed.
    pub fn pg_dump(&self, arguments: &[&str]) -> Result<String> {
        self.server.pg_dump(&self.name, arguments)
    }
}

/// Feeds SQL to a `psql`, which has to end with 0.
pub(super) fn psql(mut command: Command, sql: &str) -> Result<String> {
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("psql can't be run")?;
    let mut input = child.stdin.take().context("no input")?;
    let output = std::thread::scope(|scope| {
        // It leaves at the first failure, with the rest unread: how it ended says more than the broken pipe.
        scope.spawn(move || input.write_all(sql.as_bytes()).ok());
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "psql: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
