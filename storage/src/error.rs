//! What can go wrong with a store, named by what its caller can do about it.

use std::io;

use rusqlite::ErrorCode;

use crate::ObjectKey;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, with the name of the thing that it went wrong with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such database or object.
    #[error("{what} does not exist")]
    NotFound {
        /// The database's file or the object's key.
        what: String,
    },
    /// An import was to go where something is.
    #[error("{what} is not empty; import into a new or empty one")]
    NotEmpty {
        /// The database's file or the store's folder.
        what: String,
    },
    /// The app holds what can't be carried without loss, so that nothing of it is exported.
    #[error("can't be carried: {}", what.join("; "))]
    Unsupported {
        /// Each thing, with its kind and name.
        what: Vec<String>,
    },
    /// An object changed while it was read: reading it again may succeed.
    #[error("object {key} changed while it was read; try again")]
    Changed {
        /// The object.
        key: ObjectKey,
    },
    /// Something in an archive is not what we would have written: another try won't help.
    #[error("refused {what}: {why}")]
    Refused {
        /// The statement, table and row, or object.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody else holds a lock: another try later may succeed.
    #[error("{what} is in use; try again once its users have closed it")]
    Busy {
        /// The database's file.
        what: String,
    },
    /// Another import goes to the same place: another try after its end may succeed.
    #[error("another import of {what} runs; try again when it has ended")]
    Taken {
        /// The place.
        what: String,
    },
    /// The disk or its quota is full.
    #[error("no space left for {what}; free some and try again")]
    NoSpace {
        /// What was being written.
        what: String,
    },
    /// What is stored is damaged, or is not of the kind that it was taken for.
    #[error("{what} is damaged or not what it should be: {why}")]
    Corrupt {
        /// The database's file.
        what: String,
        /// What was found.
        why: String,
    },
    /// The work ended without a word of success: a thread died, or an earlier error has been returned already.
    #[error("{what} ended before it was done")]
    Stopped {
        /// The work.
        what: &'static str,
    },
    /// The server refuses what was asked for to the login in use: a grant helps.
    #[error("{what}: {why}")]
    Denied {
        /// What was being done, and to what.
        what: String,
        /// What the server said, and which right is missing.
        why: String,
    },
    /// A server or login is set up in a way that does not do.
    #[error("{what} can't be used: {why}")]
    Setup {
        /// The server, by address and database, or the login.
        what: String,
        /// What is wrong with it, and the way out.
        why: String,
    },
    /// A server can't be reached, or its connection broke: another try later may succeed.
    #[error("{what}: the server can't be reached or has gone: {why}")]
    Unreachable {
        /// What was being done, and to which server.
        what: String,
        /// What was seen.
        why: String,
    },
    /// PostgreSQL failed in a way that has no variant of its own.
    #[error("{what}: {why}")]
    Postgres {
        /// What was being done, and to what.
        what: String,
        /// What the server said.
        why: String,
    },
    /// A server of S3 failed in a way that has no variant of its own.
    #[error("{what}: {why}")]
    S3 {
        /// What was being done, and to what.
        what: String,
        /// What the server said.
        why: String,
    },
    /// The file system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to what.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// SQLite failed in a way that has no variant of its own.
    #[error("{what}: {source}")]
    Sqlite {
        /// What was being done, and to what.
        what: String,
        /// The engine's error.
        source: rusqlite::Error,
    },
}

#[cfg(feature = "postgres")]
impl From<coffer_sql::Error> for Error {
    fn from(error: coffer_sql::Error) -> Self {
        match error {
            coffer_sql::Error::Refused { what, why } => Self::Refused { what, why },
            coffer_sql::Error::Unsupported { what } => Self::unsupported(what),
        }
    }
}

impl Error {
    /// Makes an error of the file system ours, for `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| {
            let source = error.into();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { what },
                _ => Self::Io { what, source },
            }
        }
    }

    /// Makes an error of SQLite ours, for `map_err`.
    pub(crate) fn sqlite(what: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> Self {
        let what = what.into();
        move |source| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { what },
            Some(ErrorCode::DiskFull) => Self::NoSpace { what },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { what, why: source.to_string() }
            }
            _ => Self::Sqlite { what, source },
        }
    }

    /// An archive's thing that is not accepted.
    pub(crate) fn refused(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), why: why.into() }
    }

    /// One thing that can't be carried.
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: vec![what.into()] }
    }
}
