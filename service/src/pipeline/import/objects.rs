//! The objects of an import: some of them on their way to the place where they wait at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_archive::ObjectHeader;
use coffer_storage::{ObjectBody, ObjectKey, ObjectMeta, ObjectStore, ObjectSwap};
use futures::StreamExt;
use futures::stream::unfold;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::pipe::{Receiver, Sender, pipe};
use super::joined;
use crate::{Error, Result};

/// How long uploads are waited for that are not wanted any more.
const GRACE: Duration = Duration::from_secs(10);
/// Pieces of an object on their way to its store.
const PIECES: usize = 2;

/// An app's objects in the making.
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    swap: Arc<dyn ObjectSwap>,
    open: Option<Sender<Bytes>>,
    uploads: JoinSet<Result<()>>,
    /// How many objects had metadata that the store does not keep.
    pub(super) stripped: u64,
    /// Whether the last one had.
    last_stripped: bool,
}

impl Objects {
    /// Makes the place where they wait.
    pub(super) async fn begin_swap(store: Arc<dyn ObjectStore>, swap: Arc<dyn ObjectSwap>) -> Result<Self> {
        swap.begin().await?;
        Ok(Self { store, swap, open: None, uploads: JoinSet::new(), stripped: 0, last_stripped: false })
    }

    pub(super) async fn begin(&mut self, header: ObjectHeader) -> Result<()> {
        while let Some(upload) = self.uploads.try_join_next() {
            joined(upload)??;
        }
        if self.uploads.len() >= self.store.at_once()
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
        self.last_stripped = !self.store.keeps(&meta);
        self.stripped += u64::from(self.last_stripped);
        let swap = Arc::clone(&self.swap);
        self.uploads.spawn(async move { Ok(swap.put(&key, meta, object_body(body)).await?) });
        self.open = Some(pieces);
        Ok(())
    }

    /// The last object once more, which replaces what came of it: two puts of one key must not run at once.
    pub(super) async fn begin_again(&mut self, header: ObjectHeader) -> Result<()> {
        self.settle().await?;
        self.stripped -= u64::from(self.last_stripped);
        self.begin(header).await
    }

    pub(super) async fn bytes(&mut self, bytes: Bytes) -> Result<()> {
        if let Some(open) = &self.open
            && open.send(bytes).await.is_err()
        {
            return Err(self.failure().await);
        }
        Ok(())
    }

    pub(super) async fn end(&mut self) {
        if let Some(open) = self.open.take() {
            open.end(Ok(())).await;
        }
    }

    /// Waits until all that were begun are there.
    pub(super) async fn settle(&mut self) -> Result<()> {
        while let Some(upload) = self.uploads.join_next().await {
            joined(upload)??;
        }
        Ok(())
    }

    /// Why an upload stopped taking bytes.
    async fn failure(&mut self) -> Error {
        self.settle().await.err().unwrap_or(Error::StageLost)
    }

    /// Ends the uploads under way. Each ends by itself where its bytes end early, or when its object is there: for a while it is
    /// waited for and not aborted, so that none makes an object later.
    pub(super) async fn stop(&mut self) {
        self.open = None;
        let ended = async { while self.uploads.join_next().await.is_some() {} };
        if timeout(GRACE, ended).await.is_err() {
            self.uploads.shutdown().await;
        }
    }
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
