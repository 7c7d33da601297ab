//! What can go wrong for a user of the service, and the one table of exit codes and HTTP statuses.

use std::io;

use coffer_archive as archive;
use coffer_crypto as crypto;
use coffer_storage as storage;

/// When whoever met a passing failure is asked to come again.
const RETRY_AFTER_SECONDS: u32 = 30;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with the name of what it is about and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked can't be asked so: a flag, a name, a request body or the configuration.
    #[error("{0}")]
    Usage(String),
    /// The path takes another method.
    #[error("this path takes another method: GET /openapi.json tells which")]
    Method,
    /// The request has no valid token.
    #[error("a valid bearer token is needed: send `Authorization: Bearer …` with the content of the token file")]
    Unauthorized,
    /// There is no such app, archive or transfer.
    #[error("{0}")]
    NotFound(String),
    /// Another one is at work on it: an import of the app, or the writing of a backup.
    #[error("{0}")]
    Busy(String),
    /// Too many transfers run at once.
    #[error("too many transfers run at once for the memory that they share: try again later, or raise [server] memory")]
    Overloaded,
    /// The archive is whole, and not for this target.
    #[error("{0}")]
    Unfit(String),
    /// Another setting of the service forbids it.
    #[error("{0}")]
    Forbidden(String),
    /// What arrived is not what the archive says of itself.
    #[error("{0}")]
    Mismatch(String),
    /// The archive is whole, and nobody who is trusted has signed it.
    #[error("{0}")]
    Untrusted(String),
    /// What was to be written is there already.
    #[error("{0}")]
    Exists(String),
    /// The other side of a transfer gave or took no byte for the idle timeout.
    #[error("the transfer was given up: {0}")]
    Stalled(String),
    /// The other side of a transfer went away.
    #[error("the transfer was broken off: {0}")]
    Left(&'static str),
    /// What ran it has ended before it was done.
    #[error("{0}")]
    Stopped(&'static str),
    /// The user interrupted it.
    #[error("interrupted")]
    Interrupted,
    /// A stage of the pipeline ended without saying how.
    #[error("a stage of the transfer stopped without a word: this is a defect of the program")]
    StageLost,
    /// What went wrong, and with which archive or app.
    #[error("{what}: {error}")]
    About {
        /// The archive or the app.
        what: String,
        /// What went wrong with it.
        error: Box<Self>,
    },
    /// A file or stream of ours.
    #[error("{what}: {source}")]
    File {
        /// The file, and what was done with it.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The service's own database.
    #[error("the state in {place}: {why}")]
    State {
        /// Where it is.
        place: String,
        /// What went wrong.
        why: String,
    },
    /// A command of the operator's that runs around a backup.
    #[error("{0}")]
    Hook(String),
    /// A key of a request was used before, for another one.
    #[error("this Idempotency-Key was used for another request before: take a new one for each")]
    KeyReused,
    /// A backup that is not to be deleted so.
    #[error("{0}")]
    Kept(String),
    /// A part of an archive that it does not have.
    #[error("the archive has {0} bytes, and none of those that the header Range asks for")]
    NoSuchPart(u64),
    /// Some of several apps failed; each has been told.
    #[error("{failed} of {all} {what} failed")]
    Some {
        /// Of what.
        what: &'static str,
        /// How many failed.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// Inside the archive's tar or compressed layer.
    #[error(transparent)]
    Archive(archive::Error),
    /// Inside the archive's sealed layer, or about keys.
    #[error(transparent)]
    Crypto(crypto::Error),
    /// The app's database or objects.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The system.
    #[error(transparent)]
    Io(io::Error),
}

/// What an error means to whoever asked: the rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It failed on our side.
    Failed,
    /// The request can't be understood.
    Usage,
    /// Another method.
    Method,
    /// No valid token.
    Unauthorized,
    /// Not allowed by a setting.
    Forbidden,
    /// No such thing.
    NotFound,
    /// The target holds something.
    NotEmpty,
    /// A file is there already.
    Exists,
    /// Another one is at work on it.
    Busy,
    /// The app or the archive holds what can't be carried, or not to there.
    CannotCarry,
    /// The source changed while it was read.
    Changed,
    /// Wrong passphrase or key.
    WrongKey,
    /// The archive is damaged, cut short or not what it says.
    Damaged,
    /// The archive lacks the signature that was asked for.
    Untrusted,
    /// The archive is larger than we accept.
    TooLarge,
    /// No room left.
    NoSpace,
    /// Too many transfers at once.
    Overloaded,
    /// A database's or store's server refuses what its login asks for.
    Denied,
    /// A server or login is set up so that it does not do.
    Setup,
    /// A database's or store's server can't be reached.
    Unreachable,
    /// PostgreSQL failed.
    Postgres,
    /// A server of S3 failed.
    S3,
    /// The other side stalled.
    Stalled,
    /// The other side left.
    Left,
    /// The service's own database failed.
    State,
    /// A command of the operator's failed.
    Hook,
    /// Some of several apps failed.
    Some,
    /// A request's key was used for another one.
    KeyReused,
    /// A range that there is nothing of.
    Range,
    /// A backup that must not go.
    Kept,
    /// Interrupted by the user.
    Interrupted,
}

impl Outcome {
    /// The exit code of the command line, the HTTP status, the last part of the problem's type, and its title.
    #[must_use]
    pub const fn row(self) -> (u8, u16, &'static str, &'static str) {
        match self {
            Self::Failed => (1, 500, "failed", "It failed"),
            Self::Usage => (2, 400, "bad-request", "The request is not understood"),
            Self::Method => (2, 405, "method-not-allowed", "The path takes another method"),
            Self::Unauthorized => (1, 401, "unauthorized", "No valid token"),
            Self::Forbidden => (1, 403, "forbidden", "The configuration forbids it"),
            Self::NotFound => (10, 404, "not-found", "There is no such thing"),
            Self::NotEmpty => (1, 409, "not-empty", "The app is not empty"),
            Self::Exists => (1, 409, "exists", "It is there already"),
            Self::Busy => (11, 409, "busy", "Another one is at work on it"),
            Self::CannotCarry => (1, 422, "cannot-carry", "It holds what can't be carried"),
            Self::Changed => (1, 409, "changed", "The app changed while it was read"),
            Self::WrongKey => (12, 422, "wrong-key", "Wrong passphrase or key"),
            Self::Damaged => (13, 422, "damaged", "The archive is damaged"),
            Self::Untrusted => (13, 422, "untrusted", "The archive lacks the signature asked for"),
            Self::TooLarge => (1, 413, "too-large", "The archive is too large"),
            Self::NoSpace => (1, 507, "no-space", "No space is left"),
            Self::Overloaded => (1, 503, "overloaded", "Too many transfers at once"),
            Self::Denied => (1, 502, "denied", "A server refuses it"),
            Self::Setup => (1, 500, "setup", "A server is not set up for it"),
            Self::Unreachable => (1, 503, "unreachable", "A server can't be reached"),
            Self::Postgres => (1, 500, "postgres", "PostgreSQL failed"),
            Self::S3 => (1, 502, "s3", "The object store failed"),
            Self::Stalled => (1, 408, "stalled", "The transfer stalled"),
            Self::Left => (1, 400, "broken-off", "The transfer was broken off"),
            Self::State => (1, 503, "state", "The service's own database failed"),
            Self::Hook => (1, 500, "hook", "A command around the backup failed"),
            Self::KeyReused => (1, 422, "key-reused", "The key of the request was used for another one"),
            Self::Range => (2, 416, "range", "There is no such part"),
            Self::Kept => (1, 403, "kept", "The backup is kept"),
            Self::Some => (3, 500, "some-failed", "Some of several failed"),
            Self::Interrupted => (130, 503, "interrupted", "It was interrupted"),
        }
    }

    /// After how many seconds another try may succeed by itself, where it may.
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self {
            Self::Overloaded | Self::Unreachable | Self::State => Some(RETRY_AFTER_SECONDS),
            _ => None,
        }
    }

    /// The exit code of the command line.
    #[must_use]
    pub const fn exit(self) -> u8 {
        self.row().0
    }
}

impl Error {
    /// A file or stream of ours that failed.
    pub fn file(what: impl Into<String>, source: io::Error) -> Self {
        Self::File { what: what.into(), source }
    }

    /// Says with which archive or app it went wrong.
    #[must_use]
    pub fn about(self, what: impl Into<String>) -> Self {
        Self::About { what: what.into(), error: Box::new(self) }
    }

    /// What the error means to whoever asked.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::About { error, .. } => error.outcome(),
            Self::Usage(_) => Outcome::Usage,
            Self::Method => Outcome::Method,
            Self::Unauthorized => Outcome::Unauthorized,
            Self::NotFound(_) => Outcome::NotFound,
            Self::Busy(_) => Outcome::Busy,
            Self::Overloaded => Outcome::Overloaded,
            Self::Unfit(_) => Outcome::CannotCarry,
            Self::Forbidden(_) => Outcome::Forbidden,
            Self::Mismatch(_) => Outcome::Damaged,
            Self::Untrusted(_) => Outcome::Untrusted,
            Self::Exists(_) => Outcome::Exists,
            Self::Stalled(_) => Outcome::Stalled,
            Self::Left(_) => Outcome::Left,
            Self::Interrupted | Self::Stopped(_) => Outcome::Interrupted,
            Self::StageLost => Outcome::Failed,
            Self::State { .. } => Outcome::State,
            Self::Hook(_) => Outcome::Hook,
            Self::Some { .. } => Outcome::Some,
            Self::KeyReused => Outcome::KeyReused,
            Self::NoSuchPart(_) => Outcome::Range,
            Self::Kept(_) => Outcome::Kept,
            Self::File { source, .. } | Self::Io(source) => io_outcome(source),
            Self::Archive(error) => archive_outcome(error),
            Self::Crypto(error) => crypto_outcome(error),
            Self::Storage(error) => storage_outcome(error),
        }
    }
}

fn io_outcome(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Outcome::NoSpace,
        _ => Outcome::Failed,
    }
}

fn archive_outcome(error: &archive::Error) -> Outcome {
    match error {
        archive::Error::NotAnArchive(_)
        | archive::Error::Version { .. }
        | archive::Error::CutShort { .. }
        | archive::Error::Member { .. }
        | archive::Error::Entry { .. } => Outcome::Damaged,
        archive::Error::Limit { .. } => Outcome::TooLarge,
        archive::Error::Unwritable { .. } => Outcome::CannotCarry,
        archive::Error::Level { .. } => Outcome::Usage,
        archive::Error::Restless { .. } => Outcome::Changed,
        archive::Error::Io(error) => io_outcome(error),
    }
}

fn crypto_outcome(error: &crypto::Error) -> Outcome {
    use crypto::Error as E;
    match error {
        E::WrongKey(_) | E::ExcessiveWork { .. } => Outcome::WrongKey,
        E::NotSealed
        | E::UnsupportedVersion { .. }
        | E::EnvelopeTooLong { .. }
        | E::EnvelopeDamaged
        | E::KeyLength
        | E::HeaderTag
        | E::SegmentTag { .. }
        | E::CutShort { .. }
        | E::TrailingData { .. }
        | E::EmptySegment { .. }
        | E::Signature => Outcome::Damaged,
        E::Recipient { .. } | E::Identity { .. } | E::SigningKey { .. } | E::Unusable { .. } => Outcome::Usage,
        E::TooLong => Outcome::TooLarge,
        E::Io(error) => io_outcome(error),
    }
}

fn storage_outcome(error: &storage::Error) -> Outcome {
    use storage::Error as E;
    match error {
        E::NotFound { .. } => Outcome::NotFound,
        E::NotEmpty { .. } => Outcome::NotEmpty,
        E::Unsupported { .. } => Outcome::CannotCarry,
        E::Taken { .. } => Outcome::Busy,
        E::Changed { .. } => Outcome::Changed,
        E::Refused { .. } => Outcome::Damaged,
        E::NoSpace { .. } => Outcome::NoSpace,
        E::Denied { .. } => Outcome::Denied,
        E::Setup { .. } => Outcome::Setup,
        E::Unreachable { .. } => Outcome::Unreachable,
        E::Postgres { .. } => Outcome::Postgres,
        E::S3 { .. } => Outcome::S3,
        E::Io { source, .. } => io_outcome(source),
        E::Busy { .. } | E::Corrupt { .. } | E::Stopped { .. } | E::Sqlite { .. } => Outcome::Failed,
    }
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Self {
        match error {
            archive::Error::Io(error) => error.into(),
            other => Self::Archive(other),
        }
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::Io(error) => error.into(),
            other => Self::Crypto(other),
        }
    }
}

/// Finds our own errors again that travelled through a layer which knows nothing but [`io::Error`].
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        match error.downcast::<crypto::Error>() {
            Ok(ours) => ours.into(),
            Err(error) => Self::Io(error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_meaning_through_every_layer() {
        let inner = io::Error::from(Error::Stalled("the client".into()));
        let sealed = io::Error::from(crypto::Error::Io(inner));
        let error = Error::from(archive::Error::Io(sealed));
        assert_eq!(error.outcome(), Outcome::Stalled);
        let refused = storage::Error::Denied { what: "reading table t".into(), why: "permission denied".into() };
        assert_eq!(Error::from(io::Error::from(Error::from(refused).about("app a"))).outcome(), Outcome::Denied);
        let damaged = io::Error::from(crypto::Error::HeaderTag);
        assert_eq!(Error::from(archive::Error::Io(damaged)).outcome(), Outcome::Damaged);
    }
}
