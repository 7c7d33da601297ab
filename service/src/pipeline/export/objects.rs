//! The objects of an export: each as it was at one moment, though somebody writes to it meanwhile.

use std::sync::Arc;
use std::time::Duration;

use coffer_archive::ObjectHeader;
use coffer_storage::{Error as StorageError, Object, ObjectKey, ObjectMeta, ObjectStore};
use futures::StreamExt;

use super::super::archive_out::Item;
use super::super::budget::Budget;
use super::super::pipe::Sender;
use super::super::transfer::Transfer;
use super::ahead::{Ahead, Next, Read, Whole};
use crate::{Error, Result};

/// How often an object is read that changes meanwhile: as often as the format has attempts.
pub(super) const ATTEMPTS: u32 = 3;
/// How long its writer is given before the second attempt; twice as long before the third.
const BREATH: Duration = Duration::from_millis(200);

/// Waits before an attempt that is not the first.
pub(super) async fn breath(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep(BREATH * attempt).await;
    }
}

/// Reads all objects into the pipe, in the order of their keys.
pub(super) async fn feed(
    objects: &Arc<dyn ObjectStore>,
    items: &Sender<Item>,
    budget: &Budget,
    transfer: &Transfer,
) -> Result<()> {
    let mut ahead = Ahead::of(objects, budget.ahead());
    let mut vanished = 0_u64;
    while let Some(next) = ahead.next().await? {
        let fed = match next {
            Next::Stream(key) => feed_stream(objects.as_ref(), &key, items, budget).await?,
            Next::Read(key, begun) => match begun.end().await?? {
                Read::Whole(whole) => feed_whole(&key, whole, items).await?,
                Read::Vanished => feed_vanished(&key, items).await?,
                Read::Grown => feed_stream(objects.as_ref(), &key, items, budget).await?,
            },
        };
        vanished += u64::from(fed == Fed::Vanished);
    }
    if vanished > 0 {
        tracing::warn!(%transfer, vanished, "objects were deleted between their listing and their reading");
    }
    Ok(())
}

/// What became of an object.
#[derive(PartialEq, Eq)]
enum Fed {
    Whole,
    Vanished,
}

async fn feed_whole(key: &ObjectKey, whole: Whole, items: &Sender<Item>) -> Result<Fed> {
    items.send(Item::Object(Box::new(object_header(key, whole.meta)))).await?;
    for piece in whole.pieces {
        items.send(Item::ObjectBytes(piece)).await?;
    }
    items.send(Item::ObjectEnd).await?;
    Ok(Fed::Whole)
}

async fn feed_vanished(key: &ObjectKey, items: &Sender<Item>) -> Result<Fed> {
    items.send(Item::ObjectVanished(key.as_bytes().to_vec())).await?;
    Ok(Fed::Vanished)
}

async fn feed_stream(objects: &dyn ObjectStore, key: &ObjectKey, items: &Sender<Item>, budget: &Budget) -> Result<Fed> {
    let mut why = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            items.send(Item::ObjectVoid).await?;
        }
        breath(attempt).await;
        let object = match objects.get(key).await {
            Err(StorageError::NotFound { .. }) if attempt == 0 => return feed_vanished(key, items).await,
            // An attempt at it stands in the archive, and only another could take its place.
            Err(StorageError::NotFound { .. }) => {
                let changed = Error::from(StorageError::Changed { key: key.clone() });
                return Err(changed.about(format!("object {key} was deleted after a part of it had been read")));
            }
            object => object?,
        };
        match attempt_at(object, key, items, budget).await? {
            Attempt::Whole => return Ok(Fed::Whole),
            Attempt::Void(error) => why = Some(error),
        }
    }
    match why {
        Some(error @ StorageError::Corrupt { .. }) => Err(error.into()),
        _ => Err(Error::Archive(coffer_archive::Error::Restless { entry: key.to_string() })),
    }
}

/// How a reading of an object ended.
enum Attempt {
    Whole,
    /// What has come of it is of no use.
    Void(StorageError),
}

/// Reads an object into the pipe. Of one that grew no more goes there than its header says.
async fn attempt_at(object: Object, key: &ObjectKey, items: &Sender<Item>, budget: &Budget) -> Result<Attempt> {
    let Object { meta, mut body } = object;
    let changed = || Ok(Attempt::Void(StorageError::Changed { key: key.clone() }));
    let mut left = meta.size;
    items.send(Item::Object(Box::new(object_header(key, meta)))).await?;
    while let Some(bytes) = body.next().await {
        let bytes = match bytes {
            Err(error @ (StorageError::Changed { .. } | StorageError::Corrupt { .. })) => {
                return Ok(Attempt::Void(error));
            }
            bytes => bytes?,
        };
        let Some(rest) = left.checked_sub(bytes.len() as u64) else { return changed() };
        left = rest;
        items.send(Item::ObjectBytes(budget.hold(bytes).await)).await?;
    }
    if left > 0 {
        return changed();
    }
    items.send(Item::ObjectEnd).await?;
    Ok(Attempt::Whole)
}

fn object_header(key: &ObjectKey, meta: ObjectMeta) -> ObjectHeader {
    let ObjectMeta { size, modified, content_type, etag, headers, user } = meta;
    let key = key.as_bytes().to_vec();
    ObjectHeader { key, size, modified: modified.unwrap_or(0), content_type, etag, headers, user }
}
