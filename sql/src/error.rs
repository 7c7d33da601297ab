//! Why a statement is not taken.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with a statement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something in an archive is not what we would have written.
    #[error("refused {what}: {why}")]
    Refused {
        /// The statement.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The app's own text can't be carried.
    #[error("{what}")]
    Unsupported {
        /// The statement, and why.
        what: String,
    },
}

impl Error {
    pub(crate) fn refused(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), why: why.into() }
    }
}
