//! What can go wrong, named by what a caller can do about it.

use std::io;

use crate::{SegmentNumber, WorkFactor};

/// What this crate's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an archive was not sealed or not opened. No message holds a key, a passphrase or a byte of plaintext.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first bytes are not those of a sealed archive.
    #[error("not a sealed archive: it does not begin with `coffer/1`")]
    NotSealed,
    /// A later version of the format.
    #[error("a sealed archive of version `{}`; this program reads version 1: use a later one", version.escape_ascii())]
    UnsupportedVersion {
        /// The byte where version 1 has `1`.
        version: u8,
    },
    /// The header states a key envelope that no writer makes.
    #[error("the header is damaged: it states a key envelope of {length} bytes, and at most 65536 are allowed")]
    EnvelopeTooLong {
        /// The stated length in bytes.
        length: u32,
    },
    /// The key envelope is no age file, or was changed.
    #[error("the key envelope in the header is damaged: get a fresh copy of the archive")]
    EnvelopeDamaged,
    /// What the reader has does not open the archive.
    #[error(transparent)]
    WrongKey(WrongKey),
    /// A try at the passphrase takes more work than the reader allows. None was done.
    #[error(
        "the passphrase has work factor {required}, and at most {max} is allowed: \
         if you trust the archive, open it where the limit is higher"
    )]
    ExcessiveWork {
        /// The base-2 logarithm of scrypt's N that the archive asks for.
        required: u8,
        /// The most that the reader allows.
        max: WorkFactor,
    },
    /// The key envelope holds something else than a key.
    #[error(
        "the key envelope in the header does not hold a key of 32 bytes: the archive was not written by this program"
    )]
    KeyLength,
    /// The header was changed.
    #[error("the header does not match its tag: the archive was changed; get a fresh copy")]
    HeaderTag,
    /// A segment was changed or is out of its place. At the end of the archive it may also be cut short or have bytes
    /// added.
    #[error("segment {segment} does not match its tag: the archive was changed there or broken off; get a fresh copy")]
    SegmentTag {
        /// The segment, counted from 0; nothing of it was released.
        segment: SegmentNumber,
    },
    /// The archive ends before its final segment.
    #[error(
        "the archive is cut short: it ends after {offset} bytes, {}; get the whole of it",
        segment.map_or_else(|| "in its header".to_owned(), |segment| format!("at segment {segment}"))
    )]
    CutShort {
        /// The segment that is missing or not whole, or is not the last one; none where the header is not whole.
        segment: Option<SegmentNumber>,
        /// The bytes that there are.
        offset: u64,
    },
    /// Bytes follow the final segment.
    #[error(
        "bytes follow segment {segment}, which is the last one: something was added to the archive; get a fresh copy"
    )]
    TrailingData {
        /// The final segment.
        segment: SegmentNumber,
    },
    /// A final segment without content, where only that of an empty archive may be so.
    #[error("segment {segment} is empty, and only an archive without content may have an empty segment")]
    EmptySegment {
        /// The segment.
        segment: SegmentNumber,
    },
    /// More segments than can be counted.
    #[error("the archive has more segments than can be counted")]
    TooLong,
    /// A text is not a recipient. It is not repeated: it may be a secret.
    #[error("not a recipient: {reason}")]
    Recipient {
        /// What it is instead, or how it is wrong.
        reason: &'static str,
    },
    /// A text is not an identity. It is not repeated.
    #[error("not an identity, line {line}: {reason}")]
    Identity {
        /// The line of the file, counted from 1.
        line: usize,
        /// What it is instead, or how it is wrong.
        reason: &'static str,
    },
    /// A text is not a signing key. It is not repeated.
    #[error("not a signing key, line {line}: {reason}")]
    SigningKey {
        /// The line of the file, counted from 1.
        line: usize,
        /// What it is instead, or how it is wrong.
        reason: &'static str,
    },
    /// A signature is not one of this key over this archive.
    #[error(
        "the signature does not hold: the archive was changed by somebody who could open it, or was signed with another \
         key; get a fresh copy from whoever wrote it"
    )]
    Signature,
    /// What a caller gave can't be used.
    #[error("{reason}")]
    Unusable {
        /// What, and why.
        reason: &'static str,
    },
    /// The input, the output or the operating system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a reader lacks to open an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongKey {
    /// The archive is sealed with a passphrase, and none was given.
    #[error("the archive is sealed with a passphrase, and none was given: give the passphrase")]
    NeedsPassphrase,
    /// The archive is sealed to public keys, and no identity was given.
    #[error(
        "the archive is sealed to recipients, and no identity was given: \
         give that of one of them (AGE-SECRET-KEY-1…)"
    )]
    NeedsIdentity,
    /// The passphrase is another one.
    #[error("the passphrase does not open the archive")]
    Passphrase,
    /// The identities belong to none of the recipients.
    #[error("none of the identities opens the archive: it is sealed to other recipients, or its header is damaged")]
    Identities,
}

impl Error {
    /// Whether another identity or passphrase is what it takes.
    #[must_use]
    pub const fn is_wrong_key(&self) -> bool {
        matches!(self, Self::WrongKey(_))
    }

    /// Whether the archive is damaged, cut short or changed: another copy of it is what it takes.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::EnvelopeTooLong { .. }
            | Self::EnvelopeDamaged
            | Self::KeyLength
            | Self::HeaderTag
            | Self::SegmentTag { .. }
            | Self::CutShort { .. }
            | Self::TrailingData { .. }
            | Self::EmptySegment { .. }
            | Self::Signature => true,
            Self::NotSealed
            | Self::UnsupportedVersion { .. }
            | Self::WrongKey(_)
            | Self::ExcessiveWork { .. }
            | Self::TooLong
            | Self::Recipient { .. }
            | Self::Identity { .. }
            | Self::SigningKey { .. }
            | Self::Unusable { .. }
            | Self::Io(_) => false,
        }
    }

    /// The error once more, for a reader that goes on after it. Of an [`Error::Io`] it keeps the kind and the message.
    pub(crate) fn repeat(&self) -> Self {
        match *self {
            Self::NotSealed => Self::NotSealed,
            Self::UnsupportedVersion { version } => Self::UnsupportedVersion { version },
            Self::EnvelopeTooLong { length } => Self::EnvelopeTooLong { length },
            Self::EnvelopeDamaged => Self::EnvelopeDamaged,
            Self::WrongKey(wrong) => Self::WrongKey(wrong),
            Self::ExcessiveWork { required, max } => Self::ExcessiveWork { required, max },
            Self::KeyLength => Self::KeyLength,
            Self::HeaderTag => Self::HeaderTag,
            Self::SegmentTag { segment } => Self::SegmentTag { segment },
            Self::CutShort { segment, offset } => Self::CutShort { segment, offset },
            Self::TrailingData { segment } => Self::TrailingData { segment },
            Self::EmptySegment { segment } => Self::EmptySegment { segment },
            Self::TooLong => Self::TooLong,
            Self::Recipient { reason } => Self::Recipient { reason },
            Self::Identity { line, reason } => Self::Identity { line, reason },
            Self::SigningKey { line, reason } => Self::SigningKey { line, reason },
            Self::Signature => Self::Signature,
            Self::Unusable { reason } => Self::Unusable { reason },
            Self::Io(ref error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// Wraps the error, so that `get_ref().downcast_ref::<Error>()` gives it back.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io(error) => error.kind(),
            Error::CutShort { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
