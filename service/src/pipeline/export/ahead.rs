//! Objects read ahead of their turn: small ones many at a time, so that a store that answers late does not hold up the rest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::vec;

use bytes::{Bytes, BytesMut};
use coffer_storage::{BufferPermit, Buffers, Error as StorageError, Listed, ObjectKey, ObjectMeta, ObjectStore};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::objects::{ATTEMPTS, breath};
use crate::{Error, Result};

/// Up to this size an object is read whole before its turn.
const SMALL_BYTES: u64 = 4 << 20;
/// What one takes beside its bytes while it is on its way.
const OVERHEAD_BYTES: u64 = 16 << 10;
/// Up to this size pieces are put together, so that none of them keeps a larger buffer alive.
const TINY_BYTES: u64 = 64 << 10;

/// The objects of a store in the order of their keys, the next ones already on their way.
pub(super) struct Ahead {
    store: Arc<dyn ObjectStore>,
    memory: Buffers,
    pages: mpsc::Receiver<Result<Vec<Listed>>>,
    _lister: Begun<()>,
    page: vec::IntoIter<Listed>,
    /// The one that is next to be begun.
    next: Option<Listed>,
    begun: VecDeque<Next>,
    is_listed: bool,
}

/// An object whose turn it is, or will be.
pub(super) enum Next {
    /// It is to be read now, piece by piece.
    Stream(ObjectKey),
    /// It is being read.
    Read(ObjectKey, Begun<Result<Read>>),
}

/// What came of reading an object ahead.
pub(super) enum Read {
    Whole(Whole),
    /// It was gone when it was to be read.
    Vanished,
    /// It has grown since it was listed, and is to be read piece by piece.
    Grown,
}

/// An object in memory.
pub(super) struct Whole {
    pub(super) meta: ObjectMeta,
    pub(super) pieces: Vec<Bytes>,
}

/// Work in the background, which ends when this is dropped.
pub(super) struct Begun<T>(JoinHandle<T>);

impl<T> Drop for Begun<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Begun<T> {
    pub(super) async fn end(mut self) -> Result<T> {
        (&mut self.0).await.map_err(|_| Error::StageLost)
    }
}

impl Ahead {
    /// Begins to list.
    pub(super) fn of(store: &Arc<dyn ObjectStore>, memory: &Buffers) -> Self {
        let (sender, pages) = mpsc::channel(1);
        let listed = Arc::clone(store);
        let lister = tokio::spawn(async move {
            let failed = list(listed, &sender).await.err();
            if let Some(error) = failed {
                // Whoever has left needs no word.
                drop(sender.send(Err(error)).await);
            }
        });
        Self {
            store: Arc::clone(store),
            memory: memory.clone(),
            pages,
            _lister: Begun(lister),
            page: Vec::new().into_iter(),
            next: None,
            begun: VecDeque::new(),
            is_listed: false,
        }
    }

    /// The next object; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Next>> {
        while self.begun.len() < self.store.at_once() && self.find_next().await? {
            if !self.begin() {
                break;
            }
        }
        Ok(self.begun.pop_front())
    }

    /// Looks for the next in the listing, and waits for that only where nothing else is there to be done.
    async fn find_next(&mut self) -> Result<bool> {
        while self.next.is_none() {
            self.next = self.page.next();
            if self.next.is_some() || self.is_listed {
                break;
            }
            let page = if self.begun.is_empty() {
                self.pages.recv().await
            } else {
                match self.pages.try_recv() {
                    Err(mpsc::error::TryRecvError::Empty) => return Ok(false),
                    page => page.ok(),
                }
            };
            // It closes without a word only where its task died.
            let page = page.unwrap_or(Err(Error::StageLost))?;
            self.is_listed = page.is_empty();
            self.page = page.into_iter();
        }
        Ok(self.next.is_some())
    }

    /// Begins to read the next one, where there is memory for it, or where it would be waited for.
    fn begin(&mut self) -> bool {
        let Some(listed) = self.next.take() else { return false };
        if listed.size > SMALL_BYTES {
            self.begun.push_back(Next::Stream(listed.key));
            return true;
        }
        match self.memory.try_acquire(listed.size + OVERHEAD_BYTES) {
            Some(permit) => {
                let reading = read(Arc::clone(&self.store), listed.clone(), permit);
                self.begun.push_back(Next::Read(listed.key, Begun(tokio::spawn(reading))));
                true
            }
            None if self.begun.is_empty() => {
                self.begun.push_back(Next::Stream(listed.key));
                false
            }
            None => {
                self.next = Some(listed);
                false
            }
        }
    }
}

async fn list(store: Arc<dyn ObjectStore>, pages: &mpsc::Sender<Result<Vec<Listed>>>) -> Result<()> {
    let mut listing = store.list().await?;
    loop {
        let page = listing.next_page().await?;
        let is_last = page.is_empty();
        if pages.send(Ok(page)).await.is_err() || is_last {
            return Ok(());
        }
    }
}

/// Reads an object whole. Nothing of it is anywhere yet, so that one that changes meanwhile is simply read again.
async fn read(store: Arc<dyn ObjectStore>, listed: Listed, permit: BufferPermit) -> Result<Read> {
    let permit = Arc::new(permit);
    let mut failed = None;
    for attempt in 0..ATTEMPTS {
        breath(attempt).await;
        let object = match store.get(&listed.key).await {
            Err(StorageError::NotFound { .. }) => return Ok(Read::Vanished),
            object => object?,
        };
        if object.meta.size > listed.size + OVERHEAD_BYTES {
            return Ok(Read::Grown);
        }
        let meta = object.meta;
        match pieces(object.body, meta.size, &permit).await {
            Ok(pieces) => return Ok(Read::Whole(Whole { meta, pieces })),
            Err(error @ (StorageError::Changed { .. } | StorageError::Corrupt { .. })) => failed = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(failed.map_or(Error::StageLost, Error::from))
}

async fn pieces(
    mut body: coffer_storage::ObjectBody,
    size: u64,
    permit: &Arc<BufferPermit>,
) -> coffer_storage::Result<Vec<Bytes>> {
    let mut tiny = BytesMut::new();
    let mut pieces = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if size <= TINY_BYTES {
            tiny.reserve(if tiny.is_empty() { usize::try_from(size).unwrap_or_default() } else { 0 });
            tiny.extend_from_slice(&piece);
        } else {
            pieces.push(held(piece, permit));
        }
    }
    if !tiny.is_empty() {
        pieces.push(held(tiny.freeze(), permit));
    }
    Ok(pieces)
}

/// The permit is given back with the last of the pieces.
fn held(piece: Bytes, permit: &Arc<BufferPermit>) -> Bytes {
    Bytes::from_owner(Held { piece, _permit: Arc::clone(permit) })
}

struct Held {
    piece: Bytes,
    _permit: Arc<BufferPermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}
