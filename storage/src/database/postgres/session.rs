//! One connection: settings of our own, statements that are one each, answers as JSON, errors with names.

use std::time::Duration;

use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};

use super::PostgresAddress;
use crate::{Error, Result};

/// How long a server may take to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The oldest release whose catalogs are known here.
const OLDEST: u32 = 140_000;

/// What values look like and how statements run, whatever the server, the database or the login has set.
const SETTINGS: &[(&str, &str)] = &[
    ("search_path", "pg_catalog, pg_temp"),
    ("array_nulls", "on"),
    ("backslash_quote", "safe_encoding"),
    ("bytea_output", "hex"),
    ("check_function_bodies", "off"),
    ("client_connection_check_interval", "'2s'"),
    ("client_min_messages", "warning"),
    ("datestyle", "ISO, MDY"),
    ("default_table_access_method", "heap"),
    ("default_tablespace", "''"),
    ("extra_float_digits", "3"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("intervalstyle", "postgres"),
    ("jit", "off"),
    ("lc_monetary", "'C'"),
    ("lock_timeout", "'60s'"),
    ("quote_all_identifiers", "off"),
    ("row_security", "off"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronize_seqscans", "off"),
    ("timezone", "'UTC'"),
    ("transform_null_equals", "off"),
    ("xmloption", "content"),
];

/// A connection and what it is for.
pub(super) struct Session {
    connection: PgConnection,
    backend: Backend,
    version_text: String,
    can_restrict: bool,
}

/// A server's process, which another connection can look for and end.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pid: i64,
    started: String,
}

#[derive(serde::Deserialize)]
struct Told {
    pid: i64,
    started: String,
    version: String,
    version_text: String,
    encoding: String,
    /// Whether views and foreign tables can be kept from being read.
    can_restrict: bool,
}

impl Session {
    /// Logs in, and makes the session's settings ours.
    ///
    /// # Errors
    /// `Unreachable`, `Denied`, `NotFound` where there is no such database, `Setup` for a server that is too old.
    pub(super) async fn open(address: &PostgresAddress) -> Result<Self> {
        let what = || format!("connecting to {address}");
        let options: PgConnectOptions = address.options().clone().disable_statement_logging();
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
        let mut connection = match connected {
            Ok(connected) => connected.map_err(failed(what()))?,
            Err(_) => {
                let why = format!("no answer in {} s", CONNECT_TIMEOUT.as_secs());
                return Err(Error::Unreachable { what: what(), why });
            }
        };
        // No function is looked up before this, so that nobody's own can stand in for PostgreSQL's.
        let settings: String = SETTINGS.iter().map(|(name, value)| format!("SET {name} = {value};")).collect();
        sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut connection).await.map_err(failed(what()))?;
        let mut session = Self { connection, backend: Backend::NONE, version_text: String::new(), can_restrict: false };
        session.settle(address).await?;
        Ok(session)
    }

    async fn settle(&mut self, address: &PostgresAddress) -> Result<()> {
        const ASK: &str = "SELECT pg_backend_pid()::int8 AS pid, pg_current_setting.*, \
             (SELECT backend_start::text FROM pg_stat_get_activity(pg_backend_pid())) AS started, \
             current_setting('server_encoding') AS encoding, \
             current_setting('restrict_nonsystem_relation_kind', true) IS NOT NULL AS can_restrict, current_setting('server_version') AS version_text \
             FROM (SELECT current_setting('server_version_num') AS version) pg_current_setting";
        let what = || format!("setting up a session with {address}");
        let told: Told = self.fetch_one(ASK, "", &what()).await?;
        self.backend = Backend { pid: told.pid, started: told.started };
        self.can_restrict = told.can_restrict;
        self.version_text = told.version_text.split_whitespace().next().unwrap_or_default().to_owned();
        if told.version.parse::<u32>().unwrap_or_default() < OLDEST {
            let why = format!("it is PostgreSQL {}: 14 and later are known", self.version_text);
            return Err(Error::Setup { what: address.to_string(), why });
        }
        if told.version.parse::<u32>().unwrap_or_default() >= 170_000 {
            self.set("transaction_timeout", "0").await?;
        }
        if told.encoding == "SQL_ASCII" {
            let why = "its encoding is SQL_ASCII, so that nobody knows what its text means: give it one, such as UTF8";
            return Err(Error::Setup { what: address.to_string(), why: why.into() });
        }
        Ok(())
    }

    /// The release as the server tells it.
    pub(super) fn version_text(&self) -> &str {
        &self.version_text
    }

    /// The server's process.
    pub(super) fn backend(&self) -> Backend {
        self.backend.clone()
    }

    /// The connection itself, for COPY.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// From here on nothing but tables and sequences of an app can be read: a view put in their place by its owner would run that
    /// owner's code with our rights (CVE-2024-7348).
    ///
    /// # Errors
    /// `Setup` where the server is too old to know of it.
    pub(super) async fn read_tables_alone(&mut self, address: &PostgresAddress) -> Result<()> {
        if self.can_restrict {
            return self.set("restrict_nonsystem_relation_kind", "view, foreign-table").await;
        }
        let why = format!(
            "PostgreSQL {} lets an app run code with the rights of who reads it (CVE-2024-7348): update it to 14.13, 15.8, 16.4 or later",
            self.version_text
        );
        Err(Error::Setup { what: address.to_string(), why })
    }

    /// Runs one statement; the protocol refuses a second in the same text.
    pub(super) async fn run(&mut self, sql: &str, what: &str) -> Result<()> {
        let query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
        query.execute(&mut self.connection).await.map(drop).map_err(failed(what))
    }

    /// Makes a setting for the session.
    pub(super) async fn set(&mut self, name: &str, value: &str) -> Result<()> {
        const SET: &str = "SELECT pg_catalog.set_config($1::pg_catalog.text, $2::pg_catalog.text, false)";
        let query = sqlx::query(SET).persistent(false).bind(name.to_owned()).bind(value.to_owned());
        query.execute(&mut self.connection).await.map(drop).map_err(failed(format!("setting {name}")))
    }

    /// From here on a commit that we were told of is there after a crash of the server, even where its setting is to be faster.
    pub(super) async fn make_commits_last(&mut self) -> Result<()> {
        const LAST: &str = "SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'";
        self.run(LAST, "making commits last").await
    }

    /// From here on names mean PostgreSQL's own things alone.
    pub(super) async fn in_catalog(&mut self) -> Result<()> {
        self.set("search_path", "pg_catalog, pg_temp").await
    }

    /// From here on names may mean things of a schema: only for what names everything else in full.
    pub(super) async fn in_schema(&mut self, schema: &str) -> Result<()> {
        self.set("search_path", &super::quote::ident(schema)).await
    }

    /// The rows of a query with at most one parameter, each as an object by the names of its columns.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &mut self,
        sql: &str,
        parameter: &str,
        what: &str,
    ) -> Result<Vec<T>> {
        let sql = format!("SELECT pg_catalog.row_to_json(r)::pg_catalog.text FROM ({sql}) r");
        let takes_one = sql.contains("$1");
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let query = if takes_one { query.bind(parameter.to_owned()) } else { query };
        let rows = query.fetch_all(&mut self.connection).await.map_err(failed(what))?;
        rows.iter().map(|row| parse(row, what)).collect()
    }

    /// The one row of a query.
    pub(super) async fn fetch_one<T: DeserializeOwned>(&mut self, sql: &str, parameter: &str, what: &str) -> Result<T> {
        let rows = self.fetch(sql, parameter, what).await?;
        let one = rows.into_iter().next();
        one.ok_or_else(|| Error::Postgres { what: what.to_owned(), why: "the server gave no row".into() })
    }

    /// The transaction that is open, to ask for it later.
    pub(super) async fn transaction(&mut self) -> Result<TransactionId> {
        self.fetch_one(
            "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS id",
            "",
            "asking for the transaction",
        )
        .await
    }

    /// Says goodbye, so that the server lets go of everything at once.
    pub(super) async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(failed("closing a connection"))
    }
}

fn parse<T: DeserializeOwned>(row: &PgRow, what: &str) -> Result<T> {
    let text: String = row.try_get(0).map_err(failed(what))?;
    serde_json::from_str(&text)
        .map_err(|error| Error::Postgres { what: what.to_owned(), why: format!("an answer of the catalogs: {error}") })
}

/// A transaction that writes.
#[derive(serde::Deserialize)]
pub(super) struct TransactionId {
    id: String,
}

impl TransactionId {
    /// Reads what [`TransactionId::as_str`] gave.
    ///
    /// # Errors
    /// `Corrupt` where it is none.
    pub(super) fn of_mark(mark: &str) -> Result<Self> {
        match mark.parse::<u64>() {
            Ok(_) => Ok(Self { id: mark.to_owned() }),
            Err(_) => {
                let why = format!("{mark:?} is not the number of a transaction");
                Err(Error::Corrupt { what: "the mark of an import".into(), why })
            }
        }
    }

    /// Its number.
    pub(super) fn as_str(&self) -> &str {
        &self.id
    }

    /// Ends the transaction, which is the one that is open in a session. Where the connection breaks over it, the server is asked what
    /// became of it.
    ///
    /// # Errors
    /// It did not come through; or nobody knows, which is said.
    pub(super) async fn commit(&self, session: &mut Session, address: &PostgresAddress) -> Result<()> {
        let (what, why) = match session.run("COMMIT", "committing an import").await {
            Err(Error::Unreachable { what, why }) => (what, why),
            ended => return ended,
        };
        match self.is_committed(address).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Unreachable { what, why }),
            Err(_) => Err(Error::Unreachable {
                what: format!("{what}: nobody knows whether it came through; look at the app before another try"),
                why,
            }),
        }
    }

    /// Whether it came through, asked of a connection of its own.
    async fn is_committed(&self, address: &PostgresAddress) -> Result<bool> {
        self.has_committed(&mut Session::open(address).await?).await
    }

    /// Whether it came through.
    ///
    /// # Errors
    /// `Busy` where it goes on, or is of a time that the server has forgotten.
    pub(super) async fn has_committed(&self, session: &mut Session) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct Status {
            status: Option<String>,
        }
        const STATUS: &str = "SELECT pg_xact_status($1::text::xid8) AS status";
        let Status { status } = session.fetch_one(STATUS, &self.id, "asking whether an import came through").await?;
        let why = match status.as_deref() {
            Some("committed") => return Ok(true),
            Some("aborted") => return Ok(false),
            Some(_) => "which has not ended,",
            None => "which is too old for the server to know what became of it: look at the app,",
        };
        Err(Error::Busy { what: format!("the transaction {} of an import, {why}", self.id) })
    }
}

impl Backend {
    const NONE: Self = Self { pid: 0, started: String::new() };

    /// Ends what the process is doing, where it is still there, and waits until it has gone.
    pub(super) async fn end(&self, address: &PostgresAddress) -> Result<()> {
        const END: &str = "SELECT count(pg_terminate_backend(a.pid)) AS found FROM pg_stat_get_activity(NULL) a \
             WHERE a.pid = ($1::text::json ->> 0)::int8 AND a.backend_start::text = $1::text::json ->> 1";
        #[derive(serde::Deserialize)]
        struct Found {
            found: i64,
        }
        let mut session = Session::open(address).await?;
        let parameter = serde_json::json!([self.pid, self.started]).to_string();
        for _ in 0..600 {
            let Found { found } = session.fetch_one(END, &parameter, "ending a session of ours").await?;
            if found == 0 {
                return session.close().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Error::Busy { what: format!("a session of ours at {address}") })
    }
}

/// Makes an error of the driver ours, for `map_err`. No value of a row gets into it.
pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Error {
    let what = what.into();
    move |error| match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => told(what, error),
            None => Error::Postgres { what, why: error.to_string() },
        },
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            Error::Unreachable { what, why: error.to_string() }
        }
        error => Error::Postgres { what, why: error.to_string() },
    }
}

/// What the server said, by its code (PostgreSQL's manual, appendix A).
fn told(what: String, error: &PgDatabaseError) -> Error {
    let why = without_values(error);
    match error.code() {
        "42501" if error.message().contains("row-level security") => Error::Denied {
            what,
            why: format!(
                "{why}, which would hide rows: use a login with BYPASSRLS, or the table's owner without FORCE"
            ),
        },
        "28000" | "28P01" | "42501" => Error::Denied { what, why },
        "3D000" => Error::NotFound { what: format!("{what}: the database") },
        "53100" => Error::NoSpace { what },
        "55P03" => Error::Busy { what },
        "08000" | "08003" | "08006" | "08P01" | "53300" | "57P01" | "57P02" | "57P03" => {
            Error::Unreachable { what, why }
        }
        "26000" | "25P01" => Error::Setup {
            what,
            why: format!("{why}: is there a pooler in transaction mode? Give the database's own address"),
        },
        "25006" | "0A000" if error.message().contains("read-only") || error.message().contains("during recovery") => {
            Error::Setup { what, why: format!("{why}: it is a standby or set to read-only") }
        }
        _ => Error::Postgres { what, why },
    }
}

/// The message with where it happened, without the values that PostgreSQL quotes in errors of data.
fn without_values(error: &PgDatabaseError) -> String {
    let is_data = error.code().starts_with("22") || error.code().starts_with("23");
    let cut = |text: &str| match text.split_once(": \"") {
        Some((before, _)) => before.to_owned(),
        None => text.to_owned(),
    };
    let message = if is_data { cut(error.message()) } else { error.message().to_owned() };
    let place = error.r#where().and_then(|place| place.lines().next()).filter(|place| place.starts_with("COPY "));
    let place = place.map(|place| format!(" ({})", cut(place))).unwrap_or_default();
    let hint = error.hint().filter(|_| !is_data).map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{message}{place}{hint} [{}]", error.code())
}
