//! An export: a thread that reads one snapshot, joined to its consumer by a channel of one chunk.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::super::chunk::Chunker;
use super::{
    blueprint,
    catalog::Catalog,
    connection, scan,
    scan::Check,
    schema::Schema,
    sequences,
    stop::{StopFlag, StopOnDrop},
    utf16,
};
use crate::{Blueprint, Dump, Error, Result, RowChunk};

/// By how much the log must have grown before an operator is told for the first time.
const WAL_NOTICE_BYTES: u64 = 64 << 20;

/// An export of a SQLite database.
pub(super) struct SqliteDump {
    beginning: Beginning,
    /// An explicit `None` is the end; a channel that closes without it is an error.
    chunks: mpsc::Receiver<Result<Option<RowChunk>>>,
    notices: Notices,
    ended: bool,
    _stop: StopOnDrop,
}

/// What is known before the first row.
struct Beginning {
    blueprint: Blueprint,
    sequences: Bytes,
}

type Notices = Arc<Mutex<Vec<String>>>;

impl SqliteDump {
    /// Takes the snapshot and reads all but the rows.
    pub(super) async fn start(path: PathBuf) -> Result<Self> {
        let stop = StopOnDrop::default();
        let flag = stop.flag();
        let notices = Notices::default();
        let (ready, beginning) = oneshot::channel();
        let (sender, chunks) = mpsc::channel(1);
        let wal = WalWatch {
            path: path.clone(),
            start_bytes: connection::wal_size_bytes(&path),
            next_bytes: WAL_NOTICE_BYTES,
            notices: notices.clone(),
        };
        tokio::task::spawn_blocking(move || read(&path, &flag, ready, &sender, wal));
        let beginning = beginning.await.unwrap_or(Err(Error::Stopped { what: "reading a database" }))?;
        Ok(Self { beginning, chunks, notices, ended: false, _stop: stop })
    }
}

#[async_trait]
impl Dump for SqliteDump {
    fn blueprint(&self) -> &Blueprint {
        &self.beginning.blueprint
    }

    fn sequences(&self) -> Bytes {
        self.beginning.sequences.clone()
    }

    async fn next(&mut self) -> Result<Option<RowChunk>> {
        if self.ended {
            return Ok(None);
        }
        let chunk = self.chunks.recv().await.unwrap_or(Err(Error::Stopped { what: "reading a database" }))?;
        self.ended = chunk.is_none();
        Ok(chunk)
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says once how the log grows that an export keeps from being cut back, and again at each doubling.
struct WalWatch {
    path: PathBuf,
    start_bytes: u64,
    next_bytes: u64,
    notices: Notices,
}

impl WalWatch {
    fn look(&mut self) {
        let grown_bytes = connection::wal_size_bytes(&self.path).saturating_sub(self.start_bytes);
        if grown_bytes < self.next_bytes {
            return;
        }
        while self.next_bytes <= grown_bytes {
            self.next_bytes = self.next_bytes.saturating_mul(2);
        }
        let notice = format!(
            "the write-ahead log of {} has grown by {} MiB since this export began, which keeps it from being cut back",
            self.path.display(),
            grown_bytes >> 20
        );
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
    }
}

/// The thread. An error goes to whoever waits: for the beginning first, then for the next chunk.
fn read(
    path: &Path,
    flag: &StopFlag,
    ready: oneshot::Sender<Result<Beginning>>,
    chunks: &mpsc::Sender<Result<Option<RowChunk>>>,
    mut wal: WalWatch,
) {
    let (connection, schema) = match begin(path, flag) {
        Err(error) => return drop(ready.send(Err(error))),
        Ok((connection, schema, beginning)) => match ready.send(Ok(beginning)) {
            Err(_) => return,
            Ok(()) => (connection, schema),
        },
    };
    let send = |message| chunks.blocking_send(message).map_err(|_| Error::Stopped { what: "reading a database" });
    let outcome = read_tables(&connection, &schema, |chunk| {
        wal.look();
        send(Ok(Some(chunk)))
    });
    // Closed before the end is told, so that whoever knows of the end finds no trace of the reading.
    drop(connection);
    // That nobody listens any longer is no news.
    drop(send(outcome.map(|()| None)));
}

/// Opens the snapshot that everything is read from.
fn begin(path: &Path, flag: &StopFlag) -> Result<(rusqlite::Connection, Schema, Beginning)> {
    let what = format!("reading {}", path.display());
    let connection = connection::open_source(path)?;
    flag.watch(&connection).map_err(Error::sqlite(&what))?;
    // BEGIN takes no lock, the first read does.
    connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").map_err(Error::sqlite(&what))?;
    let catalog = Catalog::read(&connection, &what)?;
    let blueprint = blueprint::draw(&catalog)?;
    let sequences = sequences::read(&connection, catalog.schema.sqlite.sequence_table, &what)?;
    Ok((connection, catalog.schema, Beginning { blueprint, sequences }))
}

fn read_tables(
    connection: &rusqlite::Connection,
    schema: &Schema,
    mut emit: impl FnMut(RowChunk) -> Result<()>,
) -> Result<()> {
    for table in &schema.tables {
        let name: Arc<str> = Arc::from(table.name.as_str());
        let mut chunker = Chunker::new(|bytes| emit(RowChunk { table: name.clone(), bytes }));
        utf16::check(connection, table, &schema.sqlite.encoding)?;
        scan::scan(connection, table, Check::Affinity, &mut chunker)?;
        chunker.finish()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_log_is_told_of_at_each_doubling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.db");
        let log = std::fs::File::create(connection::with_suffix(&path, "-wal")).unwrap();
        let notices = Notices::default();
        let start_bytes = 10 << 20;
        let mut wal = WalWatch { path, start_bytes, next_bytes: WAL_NOTICE_BYTES, notices: notices.clone() };
        let told =
            [(5, 0), (73, 0), (74, 1), (75, 1), (137, 1), (138, 2), (900, 3), (901, 3)].map(|(mib, expected)| {
                log.set_len(mib << 20).unwrap();
                wal.look();
                (notices.lock().unwrap().len(), expected)
            });
        assert!(told.iter().all(|(told, expected)| told == expected), "{told:?}");
    }
}
