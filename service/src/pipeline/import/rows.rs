//! The rows of an import: loaded as they come, finished while objects arrive, compared with what the archive says.

use std::sync::Arc;

use bytes::Bytes;
use coffer_archive::Summary;
use coffer_storage::{Blueprint, Database, Import, Load, Loaded, TableSummary};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::Transfer;
use super::{joined, tell};
use crate::{Error, Result};

/// How far the rows are.
pub(super) enum Rows {
    NotBegun,
    Loading(Box<dyn Load>),
    /// Indexes are built and the rows read back while objects arrive.
    Finishing(Finishing),
    Done,
}

/// The last part of a load, in a task of its own. It is stopped by dropping `stop`, and has cleaned up when the task ends.
pub(super) struct Finishing {
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

impl Rows {
    pub(super) async fn begin(&mut self, database: &dyn Database, blueprint: Blueprint, import: &Import) -> Result<()> {
        *self = Self::Loading(database.load_for(blueprint, import).await?);
        Ok(())
    }

    pub(super) async fn write(&mut self, table: &str, bytes: Bytes) -> Result<()> {
        match self {
            Self::Loading(load) => Ok(load.write(table, bytes).await?),
            _ => Err(Error::StageLost),
        }
    }

    /// All rows have come.
    pub(super) fn finish(&mut self, sequences: Bytes, transfer: &Arc<Transfer>) {
        if let Self::Loading(load) = std::mem::replace(self, Self::Done) {
            *self = Self::Finishing(Finishing::begin(load, sequences, Arc::clone(transfer)));
        }
    }

    /// Waits until all of it is built, and finds it to hold what the archive says.
    pub(super) async fn end(
        &mut self,
        summary: &Summary,
        extent: Extent,
        transfer: &Transfer,
    ) -> Result<Box<dyn Loaded>> {
        let Self::Finishing(finishing) = self else { return Err(Error::StageLost) };
        let task = &mut finishing.task;
        let finished = transfer.or_cancelled(async { Ok(task.await) }).await?;
        *self = Self::Done;
        let loaded = joined(finished)??;
        match compare(summary, extent, loaded.tables()) {
            Ok(()) => Ok(loaded),
            Err(error) => {
                tell(transfer, loaded.discard().await);
                Err(error)
            }
        }
    }

    pub(super) async fn discard(&mut self, transfer: &Transfer) {
        match std::mem::replace(self, Self::Done) {
            Self::Loading(load) => tell(transfer, load.discard().await),
            Self::Finishing(Finishing { task, stop }) => {
                drop(stop);
                if let Ok(Ok(loaded)) = task.await {
                    tell(transfer, loaded.discard().await);
                }
            }
            Self::NotBegun | Self::Done => {}
        }
    }
}

/// How much of an archive's rows is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All.
    Whole,
    /// Those of the tables that the summary tells; the others stay empty.
    Part,
}

/// Holds what was loaded against what the archive says, table by table.
fn compare(summary: &Summary, extent: Extent, loaded: &[TableSummary]) -> Result<()> {
    let mut told = summary.tables.iter().peekable();
    for found in loaded {
        match told.next_if(|told| told.name == found.name) {
            Some(told) => compare_table(told, found)?,
            None if extent == Extent::Part && found.rows == 0 => {}
            None => return Err(other_tables()),
        }
    }
    told.next().map_or(Ok(()), |_| Err(other_tables()))
}

fn other_tables() -> Error {
    Error::Mismatch("the database holds other tables than the archive".into())
}

fn compare_table(told: &coffer_archive::TableSummary, found: &TableSummary) -> Result<()> {
    let digest = found.digest.to_string();
    if (told.rows, told.bytes, &told.digest) == (found.rows, found.bytes, &digest) {
        return Ok(());
    }
    Err(Error::Mismatch(format!(
        "table {:?} does not hold what the archive says: {} rows with digest {} were expected, and {} rows with digest {digest} \
         are there after loading; nothing was changed",
        told.name, told.rows, told.digest, found.rows
    )))
}
