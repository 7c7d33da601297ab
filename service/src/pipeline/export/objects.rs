//! The objects of an export: each as it was at one moment, though somebody writes to it meanwhile.

use std::time::Duration;

use coffer_archive::ObjectHeader;
use coffer_storage::{Error as StorageError, Object, ObjectKey, ObjectMeta, ObjectStore};
use futures::StreamExt;

use super::super::archive_out::Item;
use super::super::budget::Budget;
use super::super::pipe::Sender;
use super::super::transfer::Transfer;
use crate::{Error, Result};

/// How often an object is read that changes meanwhile: as often as the format has attempts.
const ATTEMPTS: u32 = 3;
/// How long its writer is given before the second attempt; twice as long before the third.
const BREATH: Duration = Duration::from_millis(200);

/// Reads all objects into the pipe, in the order of their keys.
pub(super) async fn feed(
    objects: &dyn ObjectStore,
    items: &Sender<Item>,
    budget: &Budget,
    transfer: &Transfer,
) -> Result<()> {
    let mut listing = objects.list().await?;
    let mut vanished = 0_u64;
    loop {
        let page = listing.next_page().await?;
        if page.is_empty() {
            break;
        }
        for listed in page {
            if feed_one(objects, &listed.key, items, budget).await? == Fed::Vanished {
                vanished += 1;
            }
        }
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

async fn feed_one(objects: &dyn ObjectStore, key: &ObjectKey, items: &Sender<Item>, budget: &Budget) -> Result<Fed> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            items.send(Item::ObjectVoid).await?;
            tokio::time::sleep(BREATH * attempt).await;
        }
        let object = match objects.get(key).await {
            Err(StorageError::NotFound { .. }) if attempt == 0 => {
                items.send(Item::ObjectVanished(key.as_bytes().to_vec())).await?;
                return Ok(Fed::Vanished);
            }
            // An attempt at it stands in the archive, and only another could take its place.
            Err(StorageError::NotFound { .. }) => {
                let changed = Error::from(StorageError::Changed { key: key.clone() });
                return Err(changed.about(format!("object {key} was deleted after a part of it had been read")));
            }
            object => object?,
        };
        if attempt_at(object, key, items, budget).await? == Attempt::Whole {
            return Ok(Fed::Whole);
        }
    }
    Err(Error::Archive(coffer_archive::Error::Restless { entry: key.to_string() }))
}

/// How a reading of an object ended.
#[derive(PartialEq, Eq)]
enum Attempt {
    Whole,
    /// What has come of it is of no use.
    Void,
}

/// Reads an object into the pipe. Of one that grew no more goes there than its header says.
async fn attempt_at(object: Object, key: &ObjectKey, items: &Sender<Item>, budget: &Budget) -> Result<Attempt> {
    let Object { meta, mut body } = object;
    let mut left = meta.size;
    items.send(Item::Object(Box::new(object_header(key.as_bytes().to_vec(), meta)))).await?;
    while let Some(bytes) = body.next().await {
        let bytes = match bytes {
            Err(StorageError::Changed { .. }) => return Ok(Attempt::Void),
            bytes => bytes?,
        };
        let Some(rest) = left.checked_sub(bytes.len() as u64) else { return Ok(Attempt::Void) };
        left = rest;
        items.send(Item::ObjectBytes(budget.hold(bytes).await)).await?;
    }
    if left > 0 {
        return Ok(Attempt::Void);
    }
    items.send(Item::ObjectEnd).await?;
    Ok(Attempt::Whole)
}

fn object_header(key: Vec<u8>, meta: ObjectMeta) -> ObjectHeader {
    let ObjectMeta { size, modified, content_type, etag, headers, user } = meta;
    ObjectHeader { key, size, modified: modified.unwrap_or(0), content_type, etag, headers, user }
}
