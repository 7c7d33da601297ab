//! An import: a task that builds the app in one transaction, fed through a channel of one piece.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::session::{Backend, Session};
use super::{PostgresAddress, PostgresDatabase, build, target};
use crate::{Blueprint, Error, Load, Loaded, Occupancy, Result, TableSummary};

const WHAT: &str = "loading a database";

/// What a loading task is told.
pub(super) enum Command {
    /// A piece of a table's rows.
    Write {
        /// The table.
        table: String,
        /// The piece.
        bytes: Bytes,
    },
    /// The rows are done; `sequences.json`.
    Finish(Bytes),
}

/// An import into a schema. The server undoes all of it when the connection ends before the commit.
pub(super) struct PostgresLoad {
    commands: mpsc::Sender<Command>,
    /// None once it has come.
    outcome: Option<Outcome>,
    task: JoinHandle<()>,
    place: SessionPlace,
}

/// Comes once: what was built, or why not.
type Outcome = oneshot::Receiver<Result<PostgresLoaded>>;

/// The server's side of a session, to end it from outside.
#[derive(Clone)]
struct SessionPlace {
    address: PostgresAddress,
    backend: Backend,
}

impl PostgresLoad {
    /// Makes the schema and its tables.
    pub(super) async fn start(database: &PostgresDatabase, blueprint: Blueprint) -> Result<Self> {
        let place = &database.place;
        let session = target::open(place).await?;
        let address = place.import_address.as_ref().unwrap_or(&place.address).clone();
        let place = SessionPlace { address, backend: session.backend() };
        let (ready, is_ready) = oneshot::channel();
        let (commands, receiver) = mpsc::channel(1);
        let (sender, outcome) = oneshot::channel();
        let (database, of_task) = (database.clone(), place.clone());
        let task = tokio::spawn(async move {
            // Where nobody waits any longer, what was built is dropped here, and undone by the server.
            drop(sender.send(load(session, &database, &blueprint, ready, receiver, of_task).await));
        });
        let mut load = Self { commands, outcome: Some(outcome), task, place };
        match is_ready.await {
            Ok(()) => Ok(load),
            Err(_) => Err(load.failure().await),
        }
    }

    /// How the task ended. It is told once, and not lost where the wait for it is given up.
    async fn outcome(&mut self) -> Result<PostgresLoaded> {
        let Some(outcome) = &mut self.outcome else { return Err(Error::Stopped { what: WHAT }) };
        let told = outcome.await.unwrap_or(Err(Error::Stopped { what: WHAT }));
        self.outcome = None;
        told
    }

    /// Why the task takes no more.
    async fn failure(&mut self) -> Error {
        self.outcome().await.err().unwrap_or(Error::Stopped { what: WHAT })
    }
}

impl Drop for PostgresLoad {
    /// The connection goes with the task.
    fn drop(&mut self) {
        if self.outcome.is_some() {
            self.task.abort();
        }
    }
}

#[async_trait]
impl Load for PostgresLoad {
    async fn write(&mut self, table: &str, bytes: Bytes) -> Result<()> {
        match self.commands.send(Command::Write { table: table.to_owned(), bytes }).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    async fn finish(&mut self, sequences: Bytes) -> Result<Box<dyn Loaded>> {
        // A task that takes no more says why as it ends.
        drop(self.commands.send(Command::Finish(sequences)).await);
        Ok(Box::new(self.outcome().await?))
    }

    async fn discard(mut self: Box<Self>) -> Result<()> {
        if self.outcome.take().is_none() {
            return Ok(());
        }
        self.task.abort();
        self.place.backend.end(&self.place.address).await
    }
}

/// The task.
async fn load(
    mut session: Session,
    database: &PostgresDatabase,
    blueprint: &Blueprint,
    ready: oneshot::Sender<()>,
    mut commands: mpsc::Receiver<Command>,
    place: SessionPlace,
) -> Result<PostgresLoaded> {
    let schema = database.place.schema.as_str();
    let found = target::begin(&mut session, &database.place).await?;
    let plan = build::Plan::read(&mut session, database, blueprint).await?;
    plan.before_rows(&mut session).await?;
    if ready.send(()).is_err() {
        return Err(Error::Stopped { what: WHAT });
    }
    let sequences = plan.rows(&mut session, &mut commands).await?;
    let tables = plan.read_back(&mut session).await?;
    plan.after_rows(&mut session, &sequences).await?;
    let schema = (found == Occupancy::Empty).then(|| Arc::from(schema));
    Ok(PostgresLoaded { session, tables, schema, place })
}

/// An import whose transaction only waits for its commit.
struct PostgresLoaded {
    session: Session,
    tables: Vec<TableSummary>,
    /// The schema, where it was there before and others could have come to it.
    schema: Option<Arc<str>>,
    place: SessionPlace,
}

#[async_trait]
impl Loaded for PostgresLoaded {
    fn tables(&self) -> &[TableSummary] {
        &self.tables
    }

    async fn prepare(&mut self) -> Result<()> {
        match &self.schema {
            Some(schema) => target::check_still_ours(&mut self.session, schema).await,
            None => self.session.run("SELECT 1", "looking whether the server is still there").await,
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.prepare().await?;
        let transaction = self.session.transaction().await?;
        match self.session.run("COMMIT", "committing an import").await {
            Ok(()) => self.session.close().await.or(Ok(())),
            Err(Error::Unreachable { what, why }) => match transaction.is_committed(&self.place.address).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Error::Unreachable { what, why }),
                Err(_) => Err(Error::Unreachable {
                    what: format!("{what}: nobody knows whether it came through; look at the app before another try"),
                    why,
                }),
            },
            Err(error) => Err(error),
        }
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        let Self { mut session, place, .. } = *self;
        match session.run("ROLLBACK", "undoing an import").await {
            Ok(()) => session.close().await,
            Err(_) => {
                drop(session);
                place.backend.end(&place.address).await
            }
        }
    }
}
