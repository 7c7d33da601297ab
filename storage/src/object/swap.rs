//! The objects of an import, from where they wait to where the app's users find them, in steps that any crash can come between.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

mod bodies;
mod each;
mod line;
mod merge;
mod record;
mod replacing;
mod shelves;

pub(crate) use bodies::same_bytes;
pub(crate) use replacing::Replacing;
pub(crate) use shelves::{Coming, Copied, Found, FoundPages, Over, Room, Shelf, Shelves, Stamp};

use crate::{ImportId, ObjectBody, ObjectKey, ObjectMeta, Result};

/// What stands between an app's objects and those that are to replace them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapPlan {
    /// Objects whose keys the app does not have yet.
    pub new: u64,
    /// Objects that the app has otherwise.
    pub changed: u64,
    /// Objects that the app has just so, and that are left.
    pub same: u64,
    /// Objects of the app that are to go.
    pub gone: u64,
    /// The bytes of those that are changed or to go: what keeping them takes.
    pub replaced_bytes: u64,
}

/// What happens to objects that an import replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// They are put aside, for an undo.
    Kept,
    /// They are deleted.
    Dropped,
}

/// The objects of one import, from [`crate::ObjectStore::swap`].
///
/// What it knows it finds again in the store: after a crash, another one of the same id can take it back, or go on with it.
/// Its order is `begin`, any number of `put`, `plan`, `publish_new`, (the rows are swapped,) `publish_rest`; then the replaced are there
/// until `drop_kept`. Before the rows are swapped, `roll_back` takes all of it away; after, `publish_rest` is called until it says
/// that it is done. `roll_back`, `publish_new`, `publish_rest` and `drop_kept` may be called again after any failure of theirs.
#[async_trait]
pub trait ObjectSwap: Send + Sync {
    /// Makes the place where the objects wait.
    ///
    /// # Errors
    /// Where the import is to land in a new place: `NotEmpty` where the store holds an object, `Taken` where another import's wait.
    async fn begin(&self) -> Result<()>;

    /// As [`crate::ObjectStore::put`], into the waiting place: what was put under the same key before is replaced wholly. Two puts of
    /// one key must not run at once.
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()>;

    /// Compares what waits with what is there, and writes down in the waiting place what is to be done. Changes nothing that an
    /// app's user could see.
    ///
    /// # Errors
    /// Where the import is to land in a new place: `NotEmpty` where it is not one any more.
    async fn plan(&self) -> Result<SwapPlan>;

    /// As [`ObjectSwap::plan`], for what the import `replaced` put aside, in place of what waits: an undo.
    ///
    /// # Errors
    /// `NotFound` where nothing of it is there any more.
    async fn plan_back(&self, replaced: &ImportId) -> Result<SwapPlan>;

    /// Lets the objects be seen whose keys the app does not have yet. One that an app's user stored under such a key meanwhile is
    /// left where it is, and is a changed one from then on.
    async fn publish_new(&self) -> Result<()>;

    /// Once the rows are swapped: puts the changed objects in the place of the app's, takes away those that are to go, and lets go
    /// of all that only the swap needed. What an app's user has stored since the plan is left as it is; gives how many objects
    /// that are.
    async fn publish_rest(&self, replaced: Replaced) -> Result<u64>;

    /// Before the rows are swapped: takes back what was published, and all that waits. What an app's user has stored since is left.
    async fn roll_back(&self) -> Result<()>;

    /// What the kept ones take, in bytes.
    async fn kept_bytes(&self) -> Result<u64>;

    /// Deletes what was kept.
    async fn drop_kept(&self) -> Result<()>;
}
