//! The database of the service's own: opened, and brought to this version's tables.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection, SqlStr};

use super::worker::Heartbeat;
use crate::config::{StateLogin, StatePlace};
use crate::{Error, Result};

/// Connections of one process: what is asked for is small.
const CONNECTIONS: u32 = 4;
/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// SQLite's codes of a file that is damaged, or no database.
const UNREADABLE: [&str; 2] = ["11", "26"];
/// How often, and after which pause, the tables are looked at again that another process is making.
const MIGRATE_AGAIN: u32 = 50;
const MIGRATE_PAUSE: Duration = Duration::from_millis(100);
/// The tables as they grew; what is here stays as it is, and more comes behind.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "backups", include_str!("../../migrations/0001_backups.sql")),
    (2, "imports", include_str!("../../migrations/0002_imports.sql")),
];

/// What the service knows of backups and jobs. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    pub(super) pool: AnyPool,
    pub(super) kind: Kind,
    place: String,
    /// Says that this process is there as long as anybody holds the catalogue.
    _heartbeat: Option<Arc<Heartbeat>>,
}

/// The engines, whose clocks are asked in different words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Catalog {
    /// Opens the database, makes it where it is a file that is not there, and brings it to this version's tables.
    ///
    /// # Errors
    /// [`Error::State`] naming it: it can't be reached or made, or a later version has written it.
    pub async fn open(place: &StatePlace) -> Result<Self> {
        install_default_drivers();
        let name = place.masked();
        let failed = |error: sqlx::Error| Error::State { place: name.clone(), why: told(&error) };
        let options = match place {
            StatePlace::Sqlite(path) => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    let made = std::fs::create_dir_all(folder);
                    made.map_err(|error| Error::file(format!("making folder {}", folder.display()), error))?;
                }
                // It tells who has which apps, and what commands said: nobody else's affair.
                let made = File::options().append(true).create(true).mode(0o600).open(path);
                made.map_err(|error| Error::file(format!("opening the state in {name}"), error))?;
                sqlite(path).map_err(failed)?
            }
            StatePlace::Postgres(login) => postgres(login)?.map_err(failed)?,
        };
        let kind = match place {
            StatePlace::Sqlite(_) => Kind::Sqlite,
            StatePlace::Postgres(_) => Kind::Postgres,
        };
        let pool = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        let pool = pool.after_connect(move |connection, _| {
            Box::pin(async move {
                if kind == Kind::Sqlite {
                    for pragma in
                        ["PRAGMA busy_timeout = 20000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"]
                    {
                        sqlx::query(pragma).execute(&mut *connection).await?;
                    }
                }
                Ok(())
            })
        });
        // What is wrong with the place is told at once; the pool would try again until its patience ends.
        let mut first = AnyConnection::connect_with(&options).await.map_err(failed)?;
        let looked = sqlx::query(looking(kind)).execute(&mut first).await.map(drop);
        looked.and(first.close().await).map_err(failed)?;
        let pool = pool.connect_with(options).await.map_err(failed)?;
        migrate(&pool, kind).await.map_err(|error| Error::State { place: name.clone(), why: outdated(&error) })?;
        let catalog = Self { pool, kind, place: name, _heartbeat: None };
        let heartbeat = Some(Arc::new(catalog.heartbeat().await?));
        Ok(Self { _heartbeat: heartbeat, ..catalog })
    }

    /// Asks the database whether it is there.
    ///
    /// # Errors
    /// [`Error::State`].
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Says where it went wrong.
    pub(super) fn failed(&self, error: sqlx::Error) -> Error {
        Error::State { place: self.place.clone(), why: told(&error) }
    }
}

fn sqlite(path: &std::path::Path) -> sqlx::Result<AnyConnectOptions> {
    // What a URL would take for something else.
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}?mode=rwc").parse()
}

fn postgres(login: &StateLogin) -> Result<sqlx::Result<AnyConnectOptions>> {
    let (url, password) = login.open()?;
    let Some(password) = password else { return Ok(url.parse()) };
    let escaped: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{separator}password={escaped}").parse())
}

/// Brings the tables to this version. In PostgreSQL a lock keeps two from doing so at once; in SQLite the second one fails, and finds
/// the work done when it looks again.
async fn migrate(pool: &AnyPool, kind: Kind) -> std::result::Result<(), MigrateError> {
    let mut again = if kind == Kind::Sqlite { MIGRATE_AGAIN } else { 0 };
    loop {
        match migrations().run(pool).await {
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) if again > 0 => {
                again -= 1;
                tokio::time::sleep(MIGRATE_PAUSE).await;
            }
            done => return done,
        }
    }
}

fn migrations() -> Migrator {
    let migration = |(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator { migrations: MIGRATIONS.into_iter().map(migration).collect(), ..Migrator::DEFAULT }
}

fn outdated(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(version) => {
            format!("a later version of coffer has written it (its tables are of version {version}): use that one")
        }
        error => format!("its tables can't be brought to this version: {error}"),
    }
}

/// What only a database that can be read answers.
const fn looking(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "SELECT count(*) FROM sqlite_master",
        Kind::Postgres => "SELECT 1",
    }
}

/// What went wrong, without the URL.
fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => format!("no connection within {PATIENCE:?}"),
        sqlx::Error::Database(error) if UNREADABLE.contains(&error.code().as_deref().unwrap_or_default()) => {
            format!("{error}: move it away, and `coffer backups rescan` makes it again from the vaults")
        }
        sqlx::Error::Configuration(_) => "its address is not understood".into(),
        error => error.to_string(),
    }
}
