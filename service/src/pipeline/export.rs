//! Export: an app's rows and objects into an archive, as it is read.

mod ahead;
mod objects;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use coffer_archive::{Engine, FORMAT, Manifest, RowEncoding, Summary, fingerprint};
use coffer_storage::Dump;
use tokio::runtime::Handle;

use super::archive_out::{Front, Item, write_archive};
pub use super::archive_out::{Packing, Sealing};
use super::budget::{Budget, Permit};
use super::pipe::{PipeWriter, Receiver, Sender, pipe};
use super::{App, Transfer};
use crate::{Error, Result};

/// What an export's stages hold by construction: a chunk of rows in the making, a member plain and packed, a segment,
/// the database's own cache.
pub(crate) const EXPORT_BYTES: u64 = 4 << 20;
/// Items between the reading of the app and the writing of the archive.
const ITEMS: usize = 4;
/// Bytes in a piece of the archive, and pieces on their way to whoever takes them.
const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 4;

/// An export that is about to begin: the snapshot stands, and all that can be refused has been.
pub struct Export {
    app: App,
    dump: Box<dyn Dump>,
    front: Front,
    packing: Packing,
    budget: Budget,
    reserve: Permit,
    transfer: Arc<Transfer>,
    made: Made,
}

/// What was made, once all of it has been written.
pub type Made = Arc<OnceLock<Summary>>;

impl Export {
    /// Takes the snapshot, and reads and checks the structure.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an app that is none, [`Error::Storage`] naming what can't be carried.
    pub async fn prepare(app: App, packing: Packing, budget: Budget, transfer: Arc<Transfer>) -> Result<Self> {
        Self::prepare_for(app, packing, budget, transfer, 0).await
    }

    /// As [`Export::prepare`], for somebody who holds so many bytes by construction while he takes the archive. They are reserved at
    /// once with its own: who held the one and waited for the other could wait for ever.
    ///
    /// # Errors
    /// Those of [`Export::prepare`].
    pub async fn prepare_for(
        app: App,
        packing: Packing,
        budget: Budget,
        transfer: Arc<Transfer>,
        taker_bytes: u64,
    ) -> Result<Self> {
        app.must_exist().await?;
        let reserve = budget.reserve(EXPORT_BYTES + taker_bytes).await?;
        let dump = app.database.dump().await.map_err(|error| Error::from(error).about(about(&app)))?;
        let front = front(&app, dump.as_ref(), transfer.started());
        let trying = front.clone();
        let tried = tokio::task::spawn_blocking(move || trying.try_out()).await.map_err(|_| Error::StageLost)?;
        tried.map_err(|error| error.about(about(&app)))?;
        transfer.add_skipped(front.manifest.skipped.len() as u64);
        Ok(Self { app, dump, front, packing, budget, reserve, transfer, made: Made::default() })
    }

    /// Where the summary will be found once the archive has come out whole.
    #[must_use]
    pub fn made(&self) -> Made {
        Arc::clone(&self.made)
    }

    /// What the app holds and the archive will not, each with its kind and name.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.front.manifest.skipped
    }

    /// Begins, and gives the archive as it is made. Its end is explicit: [`Receiver::next`] gives `None` only where the
    /// archive is whole, and whoever takes it then ends the transfer; a failure is noted by itself. Dropping the receiver
    /// stops the work; a receiver that takes nothing for `idle` ends it.
    #[must_use]
    pub fn start(self, idle: Duration) -> Receiver<Bytes> {
        let Self { app, dump, front, packing, budget, reserve, transfer, made } = self;
        let (pieces, archive) = pipe(PIECES);
        let (items_in, items) = pipe(ITEMS);
        let reading = Arc::clone(&transfer);
        let feeding_budget = budget.clone();
        tokio::spawn(async move {
            let fed = feed(&app, dump, &items_in, &feeding_budget, &reading).await;
            items_in.end(fed.map_err(|error| error.about(about(&app)))).await;
        });
        let runtime = Handle::current();
        tokio::spawn(async move {
            let turn = match packing.sealing.is_by_passphrase() {
                true => Some(budget.passphrase_turn().await),
                false => None,
            };
            let mut out = PipeWriter::new(pieces, PIECE_BYTES, runtime, idle);
            let working = Arc::clone(&transfer);
            let stage = tokio::task::spawn_blocking(move || {
                let written = write_archive(front, items, &packing, &mut out, &working, turn);
                let written = written.map(|summary| drop(made.set(summary)));
                out.end(written, |error| working.end(Some(error)));
                drop(reserve);
            });
            // A stage that panicked has dropped its pipe, which reads as a failure.
            if stage.await.is_err() {
                transfer.end(Some(&Error::StageLost));
            }
        });
        archive
    }
}

fn about(app: &App) -> String {
    format!("app {}", app.name)
}

fn front(app: &App, dump: &dyn Dump, created: jiff::Timestamp) -> Front {
    let blueprint = dump.blueprint();
    let row_encoding = match blueprint.row_encoding {
        coffer_storage::RowEncoding::Copy => RowEncoding::Copy,
        coffer_storage::RowEncoding::JsonLines => RowEncoding::Jsonl,
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        archive_id: String::new(),
        // Of one length, as nothing else of the manifest may differ between two exports of one state.
        created: format!("{created:.0}"),
        generator: format!("coffer {}", env!("CARGO_PKG_VERSION")),
        source: app.name.source.to_string(),
        app: app.name.app.to_string(),
        engine: Engine { kind: blueprint.engine.kind.as_str().to_owned(), version: blueprint.engine.version.clone() },
        row_encoding,
        fingerprint: fingerprint(&blueprint.schema, &blueprint.pre_data, &blueprint.post_data),
        extensions: blueprint.extensions.clone(),
        skipped: blueprint.skipped.clone(),
    };
    Front {
        manifest,
        schema: blueprint.schema.clone(),
        pre_data: blueprint.pre_data.clone(),
        post_data: blueprint.post_data.clone(),
    }
}

/// Reads the app into the pipe: rows, sequences, objects in the order of their keys.
async fn feed(
    app: &App,
    mut dump: Box<dyn Dump>,
    items: &Sender<Item>,
    budget: &Budget,
    transfer: &Transfer,
) -> Result<()> {
    while let Some(chunk) = dump.next().await? {
        let bytes = budget.hold(chunk.bytes).await;
        items.send(Item::Rows { table: chunk.table, bytes }).await?;
        for notice in dump.notices() {
            tracing::warn!(transfer = %transfer, "{notice}");
        }
    }
    items.send(Item::Sequences(dump.sequences())).await?;
    // The snapshot is let go before the objects, which may take longer than the rows.
    drop(dump);
    match &app.objects {
        Some(objects) => objects::feed(objects, items, budget, transfer).await,
        None => Ok(()),
    }
}
