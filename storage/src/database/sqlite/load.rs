//! An import: a thread that builds a database beside the target, fed through a channel of one piece.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    blocking, blueprint, check_target,
    commit::Publication,
    connection, guard,
    guard::Permit,
    rows,
    rows::Command,
    scan,
    schema::{Schema, Settings},
    sequences,
    staging::{Claim, Staging},
    stop::{StopFlag, StopOnDrop},
};
use crate::{Blueprint, Error, Import, Landing, Load, Loaded, Occupancy, Result, TableSummary};

const WHAT: &str = "loading a database";

/// An import into a SQLite database. The thread owns the file and takes it away, unless it has been handed on.
pub(super) struct SqliteLoad {
    commands: mpsc::Sender<Command>,
    /// None once it has come.
    outcome: Option<Outcome>,
    _stop: StopOnDrop,
}

/// Comes once: what was built, or why not.
type Outcome = oneshot::Receiver<Result<SqliteLoaded>>;

impl SqliteLoad {
    /// Makes the new database and its tables.
    pub(super) async fn start(path: PathBuf, blueprint: Blueprint, import: Import, patience: Duration) -> Result<Self> {
        let stop = StopOnDrop::default();
        let flag = stop.flag();
        let (ready, is_ready) = oneshot::channel();
        let (commands, receiver) = mpsc::channel(1);
        let (sender, outcome) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            // Where nobody waits any longer, what was built is dropped here, and its file with it.
            let built = build(&path, &blueprint, &import, &flag, ready, receiver);
            drop(sender.send(built.map(|(staging, tables)| SqliteLoaded::new(staging, tables, patience))));
        });
        let mut load = Self { commands, outcome: Some(outcome), _stop: stop };
        match is_ready.await {
            Ok(()) => Ok(load),
            Err(_) => Err(load.failure().await),
        }
    }
}

impl SqliteLoad {
    /// How the thread ended. It is told once, and not lost where the wait for it is given up.
    async fn outcome(&mut self) -> Result<SqliteLoaded> {
        let Some(outcome) = &mut self.outcome else { return Err(Error::Stopped { what: WHAT }) };
        let told = outcome.await.unwrap_or(Err(Error::Stopped { what: WHAT }));
        self.outcome = None;
        told
    }

    /// Why the thread takes no more.
    async fn failure(&mut self) -> Error {
        self.outcome().await.err().unwrap_or(Error::Stopped { what: WHAT })
    }
}

#[async_trait]
impl Load for SqliteLoad {
    async fn write(&mut self, table: &str, bytes: Bytes) -> Result<()> {
        match self.commands.send(Command::Write { table: table.to_owned(), bytes }).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    async fn finish(&mut self, sequences: Bytes) -> Result<Box<dyn Loaded>> {
        // A thread that takes no more says why as it ends.
        drop(self.commands.send(Command::Finish(sequences)).await);
        Ok(Box::new(self.outcome().await?))
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        let Self { commands, outcome, _stop: stop } = *self;
        drop((commands, stop));
        let Some(outcome) = outcome else { return Ok(()) };
        match outcome.await {
            Ok(Ok(loaded)) => Box::new(loaded).discard().await,
            // The thread has taken its file away before it told why it ended.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}

/// A database that is complete and waits beside its target.
#[derive(Debug)]
pub(super) struct SqliteLoaded {
    publication: Arc<Mutex<Publication>>,
    tables: Vec<TableSummary>,
}

impl SqliteLoaded {
    pub(super) fn new(staging: Staging, tables: Vec<TableSummary>, patience: Duration) -> Self {
        Self { publication: Arc::new(Mutex::new(Publication::new(staging, patience))), tables }
    }

    /// Does something with the file on a thread that may block. Whoever comes after a wait that was given up waits for its end.
    async fn with_publication<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Publication) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let publication = self.publication.clone();
        blocking(what, move || work(&mut publication.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

#[async_trait]
impl Loaded for SqliteLoaded {
    fn tables(&self) -> &[TableSummary] {
        &self.tables
    }

    async fn prepare(&mut self) -> Result<()> {
        self.with_publication("preparing a commit", Publication::prepare).await
    }

    async fn mark(&mut self) -> Result<String> {
        self.with_publication("marking a database", Publication::mark).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.with_publication("committing a database", Publication::commit).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.with_publication("discarding a database", |publication| {
            publication.discard();
            Ok(())
        })
        .await
    }
}

/// The thread.
fn build(
    target: &Path,
    blueprint: &Blueprint,
    import: &Import,
    flag: &StopFlag,
    ready: oneshot::Sender<()>,
    mut commands: mpsc::Receiver<Command>,
) -> Result<(Staging, Vec<TableSummary>)> {
    let mut schema = Schema::from_json(&blueprint.schema)?;
    // Looked at first, so that one who can't come here makes no folders.
    let found = check_target(target, import.landing)?;
    if import.landing == Landing::Replace && found != Occupancy::Missing {
        keep_settings(target, &mut schema.sqlite)?;
    }
    let staging = Staging::create(Claim::take(target, import)?)?;
    let what = format!("building {}", staging.path().display());
    let connection = connection::open_staging(staging.path(), &schema.sqlite).map_err(Error::sqlite(&what))?;
    flag.watch(&connection).map_err(Error::sqlite(&what))?;
    blueprint::build_tables(&connection, &schema, &blueprint.pre_data)?;
    ready.send(()).map_err(|()| Error::Stopped { what: WHAT })?;
    connection.execute_batch("BEGIN").map_err(Error::sqlite(&what))?;
    let sequences = rows::store_all(&connection, &schema, &mut commands)?;
    // Closed only now, so that whoever sends after a failure finds out.
    drop(commands);
    connection.execute_batch("COMMIT").map_err(Error::sqlite(&what))?;
    guard::run(&connection, &blueprint.post_data, Permit::Rest)?;
    sequences::write(&connection, &sequences, schema.sqlite.sequence_table)?;
    check_integrity(&connection, &what)?;
    let tables = schema.tables.iter().map(|table| scan::summarize(&connection, table)).collect::<Result<_>>()?;
    blueprint::confirm(&connection, &schema)?;
    settle(&connection, &schema).map_err(Error::sqlite(&what))?;
    connection.close().map_err(|(_, error)| Error::sqlite(&what)(error))?;
    Ok((staging, tables))
}

/// Takes those settings from the database that is there which whoever has it open could not see changed: a log keeps the size of its
/// pages, and a connection the encoding. The journal's mode is the file's that is there: the one that waits needs none.
fn keep_settings(target: &Path, settings: &mut Settings) -> Result<()> {
    let live = connection::open_source(target)?;
    let mut read = || -> rusqlite::Result<()> {
        settings.journal_mode = "delete".into();
        if live.pragma_query_value(None, "page_count", |row| row.get::<_, u32>(0))? > 0 {
            settings.page_size = live.pragma_query_value(None, "page_size", |row| row.get(0))?;
            settings.encoding = live.pragma_query_value(None, "encoding", |row| row.get(0))?;
        }
        Ok(())
    };
    read().map_err(Error::sqlite(format!("reading {}", target.display())))
}

/// Reads the whole database once. Violated foreign keys are no reason to refuse: the app may have had them.
fn check_integrity(connection: &Connection, what: &str) -> Result<()> {
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(Error::sqlite(what))?;
    if found == "ok" { Ok(()) } else { Err(Error::Corrupt { what: what.to_owned(), why: found }) }
}

/// Sets what the file's header says. The journal's mode comes last, as it takes effect at once.
fn settle(connection: &Connection, schema: &Schema) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", schema.sqlite.user_version)?;
    connection.pragma_update(None, "application_id", schema.sqlite.application_id)?;
    let mode = &schema.sqlite.journal_mode;
    let set: String = connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))?;
    if set == *mode { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) }
}
