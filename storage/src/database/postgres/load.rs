//! An import: a task that builds the app in one transaction, fed through a channel of one piece.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::replacement::Replacement;
use super::session::{Backend, Session};
use super::stage::Stage;
use super::{PostgresAddress, PostgresDatabase, build, remains, target};
use crate::{Blueprint, Error, Import, Landing, Load, Loaded, Occupancy, Result, TableSummary};

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
    database: PostgresDatabase,
    import: Import,
    /// Whether what was built is somebody else's now.
    is_built: bool,
}

/// Comes once: what was built, or why not.
type Outcome = oneshot::Receiver<Result<Box<dyn Loaded>>>;

/// The server's side of a session, to end it from outside.
#[derive(Clone)]
struct SessionPlace {
    address: PostgresAddress,
    backend: Backend,
}

impl PostgresLoad {
    /// Makes the schema and its tables.
    pub(super) async fn start(database: &PostgresDatabase, blueprint: Blueprint, import: &Import) -> Result<Self> {
        let place = &database.place;
        let session = target::open(place).await?;
        let place = SessionPlace { address: place.import_login().clone(), backend: session.backend() };
        let (ready, is_ready) = oneshot::channel();
        let (commands, receiver) = mpsc::channel(1);
        let (sender, outcome) = oneshot::channel();
        let feed = Feed { blueprint, ready, commands: receiver };
        let (of_task, landing_place, import) = (database.clone(), place.clone(), import.clone());
        let known = import.clone();
        let task = tokio::spawn(async move {
            // Where nobody waits any longer, what was built is dropped here, and undone.
            drop(sender.send(match known.landing {
                Landing::New => load_new(session, &of_task, &known, feed, landing_place).await,
                Landing::Replace => load_beside(session, of_task, known, feed).await,
            }));
        });
        let database = database.clone();
        let mut load = Self { commands, outcome: Some(outcome), task, place, database, import, is_built: false };
        match is_ready.await {
            Ok(()) => Ok(load),
            Err(_) => Err(load.failure().await),
        }
    }

    /// How the task ended. It is told once, and not lost where the wait for it is given up.
    async fn outcome(&mut self) -> Result<Box<dyn Loaded>> {
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
        let loaded = self.outcome().await?;
        self.is_built = true;
        Ok(loaded)
    }

    async fn discard(mut self: Box<Self>) -> Result<()> {
        if self.outcome.take().is_some() {
            self.task.abort();
            self.place.backend.end(&self.place.address).await?;
        }
        match self.import.landing {
            Landing::Replace if !self.is_built => remains::roll_back(&self.database, &self.import).await,
            _ => Ok(()),
        }
    }
}

/// What a task is given to build, and by and by.
struct Feed {
    blueprint: Blueprint,
    /// Says that rows can come.
    ready: oneshot::Sender<()>,
    commands: mpsc::Receiver<Command>,
}

/// The task, where nothing is to be replaced.
async fn load_new(
    mut session: Session,
    database: &PostgresDatabase,
    import: &Import,
    feed: Feed,
    place: SessionPlace,
) -> Result<Box<dyn Loaded>> {
    let found = target::begin(&mut session, &database.place, &import.id).await?;
    let tables = build(&mut session, database, feed).await?;
    let schema = (found == Occupancy::Empty).then(|| Arc::from(database.place.schema.as_str()));
    Ok(Box::new(PostgresLoaded { session, tables, schema, place }))
}

/// The task, where it is to replace what is there.
async fn load_beside(
    mut session: Session,
    database: PostgresDatabase,
    import: Import,
    feed: Feed,
) -> Result<Box<dyn Loaded>> {
    let stage = Stage::begin(&mut session, &database, &import).await?;
    let tables = build(&mut session, &database, feed).await?;
    let swap = stage.finish(&mut session, &database).await?;
    Ok(Box::new(Replacement::new((session, swap), tables, database, import)))
}

/// Builds the app in the transaction that is open.
async fn build(session: &mut Session, database: &PostgresDatabase, mut feed: Feed) -> Result<Vec<TableSummary>> {
    let plan = build::Plan::read(session, database, &feed.blueprint).await?;
    plan.before_rows(session).await?;
    if feed.ready.send(()).is_err() {
        return Err(Error::Stopped { what: WHAT });
    }
    let sequences = plan.rows(session, &mut feed.commands).await?;
    let tables = plan.read_back(session).await?;
    plan.after_rows(session, &sequences).await?;
    Ok(tables)
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

    async fn mark(&mut self) -> Result<String> {
        self.session.transaction().await.map(|transaction| transaction.as_str().to_owned())
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.prepare().await?;
        let transaction = self.session.transaction().await?;
        transaction.commit(&mut self.session, &self.place.address).await?;
        self.session.close().await.or(Ok(()))
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
