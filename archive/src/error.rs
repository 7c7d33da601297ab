//! What can go wrong with an archive, by what the caller can do about it.

use std::io;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no archive of this format: nothing was read of it.
    #[error("this is not a Coffer archive: {0}")]
    NotAnArchive(String),
    /// The archive was written to another version of the format.
    #[error("the archive has the format {found:?}, and this program reads {FORMAT:?}: use a newer one", FORMAT = crate::FORMAT)]
    Version {
        /// What its manifest says.
        found: String,
    },
    /// The archive ends before its end: the writer failed, or a copy was cut off.
    #[error(
        "the archive is cut short after {offset} bytes of its compressed layer ({missing}): fetch or make it again"
    )]
    CutShort {
        /// Offset in the compressed layer at which it ends.
        offset: u64,
        /// What should have followed.
        missing: &'static str,
    },
    /// The compressed layer is not what a writer makes.
    #[error("the archive is damaged in the member at offset {offset} of its compressed layer: {why}")]
    Member {
        /// Offset of the member in the compressed layer.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// An entry is not what a writer makes, or is not what the archive says of it elsewhere.
    #[error("the archive is damaged or hostile at entry {entry:?}: {why}")]
    Entry {
        /// Path of the entry, or of the one before it.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// The archive is larger than the reader was told to accept.
    #[error("the archive holds more than the {limit} of {what} that this reader accepts")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The limit in force.
        limit: u64,
    },
    /// There is no such level of compression.
    #[error(
        "there is no level {level} of compression {compression}: gzip has 1 to 12, zstd 1 to 19, and none has none"
    )]
    Level {
        /// What was to be set.
        compression: crate::Compression,
        /// The level that was asked for.
        level: u8,
    },
    /// An object changed each time that it was read.
    #[error("{entry:?} changed while it was read, three times: export it while nobody writes to it")]
    Restless {
        /// Its path.
        entry: String,
    },
    /// What the writer was given can't be carried by the format.
    #[error("{entry:?} can't be carried: {why}")]
    Unwritable {
        /// The name of what was to be written.
        entry: String,
        /// Why the format has no place for it.
        why: String,
    },
    /// The layer below failed; its own error is inside.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn entry(entry: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Entry { entry: entry.into(), why: why.into() }
    }

    pub(crate) fn unwritable(entry: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unwritable { entry: entry.into(), why: why.into() }
    }
}
