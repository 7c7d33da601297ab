//! The objects of an app: files by name, out of a store and into a place that nobody sees until it is committed.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{Import, Result};

mod buffers;
mod key;
mod local;
#[cfg(feature = "s3")]
mod s3;
mod smallest;
mod swap;

pub use buffers::{BufferPermit, Buffers};
pub use key::ObjectKey;
pub use local::LocalFolder;
#[cfg(feature = "s3")]
pub use s3::{
    Checksums, EntityTags, ListingOrder, PART_BYTES, S3Client, S3Credentials, S3Probe, S3RangeReader, S3Settings,
    S3Store, S3Upload, Support, UnfinishedUpload,
};
pub use swap::{ObjectSwap, Replaced, SwapPlan};

/// What a store knows of an object beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The length of the body.
    pub size: u64,
    /// When it was last modified, in seconds since 1970; 0 is any time before as well.
    pub modified: Option<u64>,
    /// Its media type.
    pub content_type: Option<String>,
    /// The store's mark of this version of it.
    pub etag: Option<String>,
    /// `cache-control` and its like, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// What users have noted, by name.
    pub user: BTreeMap<String, String>,
}

/// An object's bytes: pieces of at most 256 KiB, [`ObjectMeta::size`] bytes in all or an error.
pub type ObjectBody = BoxStream<'static, Result<Bytes>>;

/// An object that is open.
pub struct Object {
    /// What is known of it, of the same moment as the body.
    pub meta: ObjectMeta,
    /// Its bytes.
    pub body: ObjectBody,
}

/// A line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object.
    pub key: ObjectKey,
    /// Its length when it was listed; [`ObjectStore::get`] says what counts.
    pub size: u64,
}

/// The objects of one app.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Whether it holds no object. A store that does not exist holds none.
    async fn is_empty(&self) -> Result<bool>;

    /// All objects, in the order of their keys' bytes, in memory that does not grow with their number.
    async fn list(&self) -> Result<Box<dyn Listing>>;

    /// Opens an object. Its body is all of one state of it: what comes whole is what was there at one moment since this call.
    ///
    /// # Errors
    /// `NotFound` where it is not there, also where it was a moment ago. In the body, `Changed` where the rest of what was opened
    /// can no longer be had, as somebody wrote, replaced or deleted it meanwhile: what has come so far is void, and another `get`
    /// finds what is there now. No other error tells of that.
    async fn get(&self, key: &ObjectKey) -> Result<Object>;

    /// Stores an object, whole or not at all, over one of the same key. On an error, or a drop of the future, what was there
    /// before is there still. A body of another length than `meta.size` is an error.
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()>;

    /// Removes an object. One that is not there is removed already.
    async fn delete(&self, key: &ObjectKey) -> Result<()>;

    /// Whether the store keeps all of this beside an object's bytes. The entity tag is its own affair.
    fn keeps(&self, meta: &ObjectMeta) -> bool;

    /// How many objects are worth being read or stored at once.
    fn at_once(&self) -> usize;

    /// What a waiting place takes by construction while objects come in.
    fn staging_bytes(&self) -> u64;

    /// A place where an import's objects wait. Dropping it without a commit discards it. What is on its way there takes its memory
    /// from `memory`, beside one part for each place.
    ///
    /// Where the store can, nobody sees them there. A bucket can't move objects: there they stand under their keys, of an app that
    /// has no other objects and whose rows come last.
    ///
    /// # Errors
    /// `NotEmpty` where the store holds an object; `Taken` where objects of another import wait.
    async fn stage(&self, memory: &Buffers) -> Result<Arc<dyn StagedObjects>>;

    /// The objects of an import, in steps that a crash can come between. Does nothing yet. What is on its way takes its memory from
    /// `memory`, beside one part for each place.
    fn swap(&self, import: &Import, memory: &Buffers) -> Arc<dyn ObjectSwap>;
}

/// A listing under way. Dropping it ends it.
#[async_trait]
pub trait Listing: Send {
    /// The next at most 1,000; none is the end.
    async fn next_page(&mut self) -> Result<Vec<Listed>>;
}

/// Objects that wait for a commit.
#[async_trait]
pub trait StagedObjects: Send + Sync {
    /// As [`ObjectStore::put`], into the waiting place: what was put under the same key before is replaced wholly, bytes and
    /// metadata, and on an error stays. Two puts of one key must not run at once: which of them counts would be left to chance.
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()>;

    /// Makes all of them visible at once.
    ///
    /// # Errors
    /// `NotEmpty` where the store holds an object meanwhile; then nothing is visible.
    async fn commit(&self) -> Result<()>;

    /// Takes all of them away, also after a commit: for a caller whose next step failed. Where anybody has changed, added or
    /// removed an object since the commit, it deletes nothing, and the error names the place where all are.
    async fn discard(&self) -> Result<()>;
}
