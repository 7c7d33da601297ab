//! Where a database is and who logs in, without ever showing a password.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::session::Session;
use crate::{Error, Result};

/// A server, a database in it, and a login. Neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub struct PostgresAddress {
    options: PgConnectOptions,
}

impl PostgresAddress {
    /// Reads a URL, `postgres://user@host:port/database?sslmode=verify-full&sslrootcert=…`. What it leaves out comes from the
    /// standard variables (`PGHOST`, `PGUSER`, …); the password, where `password` gives none, from the URL, `PGPASSWORD` or
    /// `.pgpass`.
    ///
    /// # Errors
    /// `Setup` where it is no such URL; its text, which may hold a password, is not repeated.
    pub fn new(url: &str, password: Option<&str>) -> Result<Self> {
        let wrong = |why: String| Error::Setup { what: "the database's URL".into(), why };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(wrong("it does not begin with postgres://".into()));
        }
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| wrong("it is not of the form postgres://user@host:port/database?option=value".into()))?;
        let options = options.extra_float_digits(None).application_name("coffer");
        Ok(Self { options: password.iter().fold(options, |options, password| options.password(password)) })
    }

    /// The same server and login, and another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self { options: self.options.clone().database(name) }
    }

    /// What the driver takes.
    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        // PostgreSQL's own rule: a login's name is that of its database.
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    /// The login's name.
    #[must_use]
    pub fn login(&self) -> &str {
        self.options.get_username()
    }

    /// The schemas of the database, without those of the engine and those that imports of ours made.
    ///
    /// # Errors
    /// `Unreachable`, `Denied`.
    pub async fn schemas(&self) -> Result<Vec<String>> {
        const SCHEMAS: &str = "SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^(pg|coffer)_' AND nspname <> 'information_schema'";
        self.names(SCHEMAS, "listing schemas").await
    }

    /// The databases of the server that take connections, without templates.
    ///
    /// # Errors
    /// `Unreachable`, `Denied`.
    pub async fn databases(&self) -> Result<Vec<String>> {
        const DATABASES: &str = "SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate";
        self.names(DATABASES, "listing databases").await
    }

    /// The names that a query gives, in the order of their bytes.
    async fn names(&self, query: &str, what: &str) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Named {
            name: String,
        }
        let mut session = Session::open(self).await?;
        let named: Vec<Named> = session.fetch(query, "", &format!("{what} of {self}")).await?;
        let mut names: Vec<_> = named.into_iter().map(|named| named.name).collect();
        names.sort_unstable();
        session.close().await?;
        Ok(names)
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        write!(f, "postgres://{}@{host}:{port}/{}", self.login(), self.database())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
