//! Databases and object stores that hold apps.
//!
//! An app is one [`Database`] and one [`ObjectStore`]. Both are read as streams of bounded pieces and written to a place that
//! nobody sees until a commit (in a bucket: to a prefix that is nobody's until then): a failed or dropped import leaves nothing, and
//! a killed one changes nothing that a user of the app could see.
//!
//! What a database dumps is the layer of an archive that docs/FORMAT.md calls rows: a [`Blueprint`], chunks of encoded rows and
//! the values of its sequences. What a store yields is bytes and what it knows of them, an [`ObjectMeta`].

mod database;
mod error;
mod import;
mod object;
mod sibling;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use database::{
    Blueprint, Database, Dump, Engine, EngineKind, Load, Loaded, Occupancy, RowChunk, RowEncoding, RowsDigest,
    SqliteDatabase, TableSummary,
};
#[cfg(feature = "postgres")]
pub use database::{PostgresAddress, PostgresDatabase, PostgresOptions, PostgresPlace, PostgresScope};
pub use error::{Error, Result};
pub use import::{Import, ImportId, Landing};
pub use object::{
    BufferPermit, Buffers, Listed, Listing, LocalFolder, Object, ObjectBody, ObjectKey, ObjectMeta, ObjectStore,
    ObjectSwap, Replaced, StagedObjects, SwapPlan,
};
#[cfg(feature = "s3")]
pub use object::{
    Checksums, EntityTags, ListingOrder, PART_BYTES, S3Client, S3Credentials, S3Probe, S3RangeReader, S3Settings,
    S3Store, S3Upload, Support, UnfinishedUpload,
};
