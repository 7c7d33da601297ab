//! Import: an archive into an app that is new or empty, whole or not at all.

use std::sync::Arc;

use bytes::Bytes;
use coffer_archive::{Event, Manifest, ObjectHeader, RowEncoding, Summary};
use coffer_crypto::Unlock;
use coffer_storage::{
    Blueprint, Engine, EngineKind, Load, Loaded, ObjectBody, ObjectKey, ObjectMeta, StagedObjects, TableSummary,
};
use futures::StreamExt;
use futures::stream::unfold;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::archive_in::{Arrived, READING_BYTES, read_archive};
use super::pipe::{Receiver, Sender, pipe};
use super::{App, ArchiveInput, Budget, Transfer};
use crate::{Error, Result};

/// Objects that are being written at once.
const UPLOADS: usize = 4;
/// Pieces of an object on their way to its store.
const PIECES: usize = 2;
/// What an import's stages hold by construction beside the reading of the archive: the database's cache, a row.
const LOADING_BYTES: u64 = 4 << 20;

/// What an import brought.
#[derive(Debug)]
pub struct Imported {
    /// What the archive said at its front.
    pub manifest: Manifest,
    /// What now stands in the app.
    pub summary: Summary,
    /// What the user should know of it.
    pub notices: Vec<String>,
}

/// Brings an archive into an app that is new or empty. Nothing of it can be seen in the app before the whole archive has
/// been checked and what was loaded has been compared with it; after an error nothing of it is left.
///
/// # Errors
/// [`coffer_storage::Error::NotEmpty`] where the app holds something; whatever is wrong with the archive.
pub async fn import(
    app: &App,
    input: ArchiveInput,
    unlock: Unlock,
    budget: &Budget,
    transfer: &Arc<Transfer>,
) -> Result<Imported> {
    app.must_be_empty().await?;
    // Both at once: who held one and waited for the other could wait for ever.
    let _reserve = budget.reserve(READING_BYTES + LOADING_BYTES).await;
    let mut arriving = read_archive(input, unlock, budget, transfer);
    let mut target = Target::new(app, transfer);
    let taken = target.take_all(&mut arriving).await;
    let landed = match taken {
        Ok(arrived) => target.land(&arrived.1).await.map(|()| arrived),
        Err(error) => Err(error),
    };
    match landed {
        Ok((manifest, summary)) => Ok(Imported { manifest, summary, notices: target.notices() }),
        Err(error) => {
            target.discard().await;
            Err(error)
        }
    }
}

/// The app in the making.
struct Target<'a> {
    app: &'a App,
    transfer: &'a Arc<Transfer>,
    rows: Rows,
    staged: Option<Arc<dyn StagedObjects>>,
    object: Option<Sender<Bytes>>,
    uploads: JoinSet<Result<()>>,
    /// How many objects had metadata that the store does not keep.
    stripped: u64,
}

/// How far the rows are.
enum Rows {
    NotBegun,
    Loading(Box<dyn Load>),
    /// Indexes are built and the rows read back while objects arrive.
    Finishing(Finishing),
    Done,
}

/// The last part of a load, in a task of its own. It is stopped by dropping `stop`, and has cleaned up when the task ends.
struct Finishing {
    task: JoinHandle<Result<Box<dyn Loaded>>>,
    stop: oneshot::Sender<()>,
}

impl Finishing {
    fn begin(mut load: Box<dyn Load>, sequences: Bytes, transfer: Arc<Transfer>) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let finished = tokio::select! {
                finished = load.finish(sequences) => finished.map_err(Error::from),
                _ = stopped => Err(Error::Interrupted),
            };
            if finished.is_err() {
                tell(&transfer, load.discard().await);
            }
            finished
        });
        Self { task, stop }
    }
}

impl<'a> Target<'a> {
    fn new(app: &'a App, transfer: &'a Arc<Transfer>) -> Self {
        let (rows, uploads) = (Rows::NotBegun, JoinSet::new());
        Self { app, transfer, rows, staged: None, object: None, uploads, stripped: 0 }
    }

    /// Takes the archive into staging, to its verified end.
    async fn take_all(&mut self, arriving: &mut Receiver<Arrived>) -> Result<(Manifest, Summary)> {
        let (mut manifest, mut summary) = (None, None);
        while let Some(arrived) = self.transfer.or_cancelled(arriving.next()).await? {
            match arrived {
                Arrived::Verified(found) => summary = Some(*found),
                Arrived::Event(Event::Manifest(found)) => manifest = Some(*found),
                Arrived::Event(Event::Structure { schema, pre_data, post_data }) => {
                    let manifest = manifest.as_ref().ok_or(Error::StageLost)?;
                    self.begin(blueprint(manifest, schema, pre_data, post_data)?).await?;
                }
                Arrived::Event(event) => self.take(event).await?,
            }
        }
        while let Some(upload) = self.uploads.join_next().await {
            joined(upload)??;
        }
        manifest.zip(summary).ok_or(Error::StageLost)
    }

    /// Objects are staged first and discarded last: the folders that both may need are theirs to remove.
    async fn begin(&mut self, blueprint: Blueprint) -> Result<()> {
        if let Some(objects) = &self.app.objects {
            self.staged = Some(objects.stage().await?);
        }
        self.rows = Rows::Loading(self.app.database.load(blueprint).await?);
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Manifest(_) | Event::Structure { .. } => {}
            Event::Rows { table, bytes } => {
                if let Rows::Loading(load) = &mut self.rows {
                    load.write(&table, bytes).await?;
                }
            }
            Event::Sequences(sequences) => {
                if let Rows::Loading(load) = std::mem::replace(&mut self.rows, Rows::Done) {
                    self.rows = Rows::Finishing(Finishing::begin(load, sequences, Arc::clone(self.transfer)));
                }
            }
            Event::Object(header) => self.begin_object(*header).await?,
            Event::ObjectBytes(bytes) => {
                if let Some(object) = &self.object
                    && object.send(bytes).await.is_err()
                {
                    return Err(self.upload_failure().await);
                }
            }
            Event::ObjectEnd => {
                if let Some(object) = self.object.take() {
                    object.end(Ok(())).await;
                }
                self.transfer.add_entry();
            }
        }
        Ok(())
    }

    async fn begin_object(&mut self, header: ObjectHeader) -> Result<()> {
        let Some(staged) = self.staged.clone() else {
            let source = &self.app.name.source;
            return Err(Error::Unfit(format!("the archive holds objects, and source {source} has no place for any")));
        };
        if self.uploads.len() >= UPLOADS
            && let Some(upload) = self.uploads.join_next().await
        {
            joined(upload)??;
        }
        let (pieces, body) = pipe(PIECES);
        let key = ObjectKey::try_from(header.key)?;
        let meta = ObjectMeta {
            size: header.size,
            modified: Some(header.modified),
            content_type: header.content_type,
            etag: header.etag,
            headers: header.headers,
            user: header.user,
        };
        if self.app.objects.as_ref().is_some_and(|objects| !objects.keeps(&meta)) {
            self.stripped += 1;
        }
        self.uploads.spawn(async move { Ok(staged.put(&key, meta, object_body(body)).await?) });
        self.object = Some(pieces);
        Ok(())
    }

    /// Why an upload stopped taking bytes.
    async fn upload_failure(&mut self) -> Error {
        while let Some(upload) = self.uploads.join_next().await {
            if let Err(error) = joined(upload).and_then(|uploaded| uploaded) {
                return error;
            }
        }
        Error::StageLost
    }

    /// Makes all of it visible: new objects first, then the rows by one step, which has been made ready before.
    async fn land(&mut self, summary: &Summary) -> Result<()> {
        let Rows::Finishing(finishing) = &mut self.rows else { return Err(Error::StageLost) };
        let task = &mut finishing.task;
        let finished = self.transfer.or_cancelled(async { Ok(task.await) }).await?;
        self.rows = Rows::Done;
        let mut loaded = joined(finished)??;
        let ready = match compare(summary, loaded.tables()) {
            Ok(()) => loaded.prepare().await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = ready {
            tell(self.transfer, loaded.discard().await);
            return Err(error);
        }
        match &self.staged {
            Some(staged) if summary.objects.count > 0 => staged.commit().await?,
            Some(staged) => staged.discard().await?,
            None => {}
        }
        Ok(loaded.commit().await?)
    }

    fn notices(&self) -> Vec<String> {
        let told = format!(
            "{} objects had metadata (headers or user metadata) that the target does not keep: it is in the archive alone",
            self.stripped
        );
        if self.stripped > 0 { vec![told] } else { Vec::new() }
    }

    /// Leaves nothing behind.
    async fn discard(&mut self) {
        // Each upload ends by itself where its bytes end early: joined, not aborted, so that none makes a file later.
        self.object = None;
        while self.uploads.join_next().await.is_some() {}
        match std::mem::replace(&mut self.rows, Rows::Done) {
            Rows::Loading(load) => tell(self.transfer, load.discard().await),
            Rows::Finishing(Finishing { task, stop }) => {
                drop(stop);
                if let Ok(Ok(loaded)) = task.await {
                    tell(self.transfer, loaded.discard().await);
                }
            }
            Rows::NotBegun | Rows::Done => {}
        }
        if let Some(staged) = self.staged.take() {
            tell(self.transfer, staged.discard().await);
        }
    }
}

/// A failure to clean up behind a failure: there is nobody else to tell.
fn tell(transfer: &Transfer, discarded: coffer_storage::Result<()>) {
    if let Err(error) = discarded {
        tracing::error!(%transfer, %error, "what an import had staged could not be removed");
    }
}

/// Holds what was loaded against what the archive says, table by table.
fn compare(summary: &Summary, loaded: &[TableSummary]) -> Result<()> {
    if summary.tables.len() != loaded.len() {
        return Err(Error::Mismatch("the database holds other tables than the archive".into()));
    }
    for (told, found) in summary.tables.iter().zip(loaded) {
        let digest = found.digest.to_string();
        if (&told.name, told.rows, told.bytes, &told.digest) != (&found.name, found.rows, found.bytes, &digest) {
            return Err(Error::Mismatch(format!(
                "table {:?} does not hold what the archive says: {} rows with digest {} were expected, and {} rows \
                 with digest {digest} are there after loading; nothing was changed",
                told.name, told.rows, told.digest, found.rows
            )));
        }
    }
    Ok(())
}

fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T> {
    result.map_err(|_| Error::StageLost)
}

/// What comes through the pipe, as a store takes it.
fn object_body(pieces: Receiver<Bytes>) -> ObjectBody {
    let body = unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        match pieces.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(pieces))),
            Ok(None) => None,
            Err(error) => Some((Err(broken_off(&error)), None)),
        }
    });
    body.boxed()
}

fn broken_off(error: &Error) -> coffer_storage::Error {
    let what = "the archive that an object comes from".to_owned();
    coffer_storage::Error::Io { what, source: std::io::Error::other(error.to_string()) }
}

fn blueprint(manifest: &Manifest, schema: Bytes, pre_data: Bytes, post_data: Bytes) -> Result<Blueprint> {
    let (kind, row_encoding) = match (manifest.engine.kind.as_str(), manifest.row_encoding) {
        ("sqlite", RowEncoding::Jsonl) => (EngineKind::Sqlite, coffer_storage::RowEncoding::JsonLines),
        (kind, encoding) => {
            let why = format!(
                "the archive holds {encoding:?} rows of engine {kind:?}: this target takes Jsonl of \"sqlite\""
            );
            return Err(Error::Unfit(why));
        }
    };
    if !manifest.extensions.is_empty() {
        let why = format!(
            "the archive needs the extensions {:?}, which a SQLite database does not have",
            manifest.extensions
        );
        return Err(Error::Unfit(why));
    }
    let version = manifest.engine.version.clone();
    let engine = Engine { kind, version };
    Ok(Blueprint { engine, row_encoding, schema, pre_data, post_data, tables: Vec::new() })
}
