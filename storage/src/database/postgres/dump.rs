//! An export: a task that reads one snapshot, joined to its consumer by a channel of one chunk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::chunk::{Chunker, RowSink};
use super::copy_out::{Outlet, copy_out};
use super::documents::{Schema, blueprint};
use super::grants::Grants;
use super::session::Session;
use super::snapshot::Own;
use super::{PostgresDatabase, draw, sequences, snapshot};
use crate::{Blueprint, Dump, Error, Result, RowChunk};

const WHAT: &str = "reading a database";

/// An export of a schema.
pub(super) struct PostgresDump {
    blueprint: Blueprint,
    sequences: Bytes,
    /// An explicit `None` is the end; a channel that closes without it is an error.
    chunks: mpsc::Receiver<Result<Option<RowChunk>>>,
    ended: bool,
    task: JoinHandle<()>,
}

impl PostgresDump {
    /// Takes the snapshot and reads all but the rows.
    pub(super) async fn start(database: &PostgresDatabase) -> Result<Self> {
        let place = &database.place;
        let (mut session, catalog) = snapshot::open(place).await?;
        let (skip, version) = (database.options.skip_unsupported, session.version_text().to_owned());
        let drawing = move || {
            let drawn = draw::draw(&catalog, skip)?;
            blueprint(&catalog, &drawn, &version).map(|blueprint| (catalog, drawn, blueprint))
        };
        let drawing = tokio::task::spawn_blocking(drawing).await;
        let (catalog, drawn, blueprint) = drawing.unwrap_or(Err(Error::Stopped { what: WHAT }))?;
        let grants = Grants::read(&mut session, &catalog, &drawn).await?;
        let own = Own::of(&catalog);
        drop(catalog);
        let sequences = sequences::read(&mut session, &place.schema, &drawn.sequences, grants).await?;
        let schema: Schema = serde_json::from_slice(&blueprint.schema).map_err(|_| Error::Stopped { what: WHAT })?;
        let (sender, chunks) = mpsc::channel(1);
        let app = place.schema.clone();
        let task = tokio::spawn(async move {
            let read = read(session, (&app, &own), &schema, &sender).await;
            // That nobody listens any longer is no news.
            drop(sender.send(read.map(|()| None)).await);
        });
        Ok(Self { blueprint, sequences, chunks, ended: false, task })
    }
}

impl Drop for PostgresDump {
    /// The connection goes with the task, and the server ends what it does for it.
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Dump for PostgresDump {
    fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    fn sequences(&self) -> Bytes {
        self.sequences.clone()
    }

    async fn next(&mut self) -> Result<Option<RowChunk>> {
        if self.ended {
            return Ok(None);
        }
        let chunk = self.chunks.recv().await.unwrap_or(Err(Error::Stopped { what: WHAT }))?;
        self.ended = chunk.is_none();
        Ok(chunk)
    }

    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// The task. Values read as they did when the schema was in the path, and nothing of the schema is called.
async fn read(
    mut session: Session,
    (app, own): (&str, &Own),
    schema: &Schema,
    chunks: &mpsc::Sender<Result<Option<RowChunk>>>,
) -> Result<()> {
    session.in_schema(app).await?;
    for table in &schema.tables {
        let mut chunked = Chunked::new(&table.name, chunks);
        copy_out(&mut session, app, table, &mut chunked).await?;
        chunked.finish().await?;
    }
    session.in_catalog().await?;
    snapshot::check_was_the_same(&mut session, app, own).await?;
    session.run("COMMIT", "ending a snapshot").await?;
    session.close().await
}

type Queue = Arc<Mutex<VecDeque<Bytes>>>;

/// Rows of one table, cut into chunks and sent.
struct Chunked<'a> {
    table: Arc<str>,
    chunker: Chunker<Box<dyn FnMut(Bytes) -> Result<()> + Send>>,
    queue: Queue,
    chunks: &'a mpsc::Sender<Result<Option<RowChunk>>>,
}

impl<'a> Chunked<'a> {
    fn new(table: &str, chunks: &'a mpsc::Sender<Result<Option<RowChunk>>>) -> Self {
        let queue = Queue::default();
        let filled = Arc::clone(&queue);
        let emit = move |bytes| {
            filled.lock().unwrap_or_else(PoisonError::into_inner).push_back(bytes);
            Ok(())
        };
        Self { table: Arc::from(table), chunker: Chunker::new(Box::new(emit)), queue, chunks }
    }

    async fn finish(self) -> Result<()> {
        let Self { table, chunker, queue, chunks } = self;
        chunker.finish()?;
        send(&table, &queue, chunks).await
    }
}

async fn send(table: &Arc<str>, queue: &Queue, chunks: &mpsc::Sender<Result<Option<RowChunk>>>) -> Result<()> {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(bytes) = next else { return Ok(()) };
        let chunk = RowChunk { table: Arc::clone(table), bytes };
        chunks.send(Ok(Some(chunk))).await.map_err(|_| Error::Stopped { what: WHAT })?;
    }
}

impl RowSink for Chunked<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.chunker.push(bytes)
    }

    fn end_row(&mut self) -> Result<()> {
        self.chunker.end_row()
    }
}

#[async_trait]
impl Outlet for Chunked<'_> {
    fn is_ready(&self) -> bool {
        !self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    async fn pass_on(&mut self) -> Result<()> {
        send(&self.table, &self.queue, self.chunks).await
    }
}
