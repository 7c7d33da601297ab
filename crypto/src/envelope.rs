//! The header of a sealed archive: its bytes, and the keys that they lead to.

use std::io::Read;

use crate::fill::fill;
use crate::{ArchiveId, ArchiveKey, Error, Recipients, Result, SegmentKeys, Unlock, agefile};

/// The first bytes of a sealed archive of version 1.
pub const MAGIC: [u8; 8] = *b"coffer/1";

/// What the first bytes of every version have in common.
const FAMILY: &[u8] = b"coffer/";
const ENVELOPE_MAX: u32 = 65_536;
const TAG_SIZE: usize = 32;

/// Whether an archive that begins so is for an [`Opener`](crate::Opener): true for later versions too, which it then
/// refuses by name. Seven bytes are enough to tell.
#[must_use]
pub fn is_sealed(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(FAMILY)
}

/// What the header of an archive tells to a reader who can open it.
pub(crate) struct Header {
    pub(crate) id: ArchiveId,
    pub(crate) keys: SegmentKeys,
    /// The offset in bytes of the first segment.
    pub(crate) length: u64,
}

/// Gives the whole header, 60 + E bytes.
///
/// # Errors
///
/// [`Error::Unusable`] where there are no recipients, or more than the envelope has room for (some six hundred).
pub(crate) fn header(key: &ArchiveKey, id: ArchiveId, recipients: &Recipients) -> Result<Vec<u8>> {
    let envelope = agefile::wrap(key, recipients)?;
    let length = u32::try_from(envelope.len()).unwrap_or(u32::MAX);
    if length > ENVELOPE_MAX {
        return Err(Error::Unusable {
            reason: "there are too many recipients: an archive has room for some six hundred",
        });
    }
    let mut header = [&MAGIC, length.to_le_bytes().as_slice(), &envelope, id.as_bytes()].concat();
    header.extend(key.header_key(id).tag(&header));
    Ok(header)
}

/// The bytes of a header before the envelope, and after it.
const BEFORE_ENVELOPE: usize = MAGIC.len() + 4;
const AFTER_ENVELOPE: usize = 16 + TAG_SIZE;

/// How long the header is that begins so; none where its first 12 bytes are not all there, or can't be those of a header.
pub(crate) fn stated_length(first_bytes: &[u8]) -> Option<usize> {
    let (magic, rest) = first_bytes.split_first_chunk()?;
    check_magic(*magic).ok()?;
    let envelope = envelope_size(u32::from_le_bytes(*rest.first_chunk()?)).ok()?;
    Some(BEFORE_ENVELOPE + envelope + AFTER_ENVELOPE)
}

/// A header as it was read: nothing of it is checked but its lengths.
pub(crate) struct LockedHeader {
    envelope: Vec<u8>,
    id: ArchiveId,
    /// What the tag is over.
    covered: Vec<u8>,
    tag: [u8; TAG_SIZE],
    length: u64,
}

/// Reads a header, and not a byte more.
///
/// # Errors
///
/// What the header's lengths can be wrong with; [`Error::CutShort`] where it is not whole; [`Error::Io`] from the input.
/// Holds at most 65,596 bytes of it, twice.
pub(crate) fn read(input: &mut impl Read) -> Result<LockedHeader> {
    let mut parts = Parts { input, read: Vec::new() };
    check_magic(parts.magic()?)?;
    let length = u32::from_le_bytes(parts.array()?);
    let envelope = parts.next(envelope_size(length)?)?.to_vec();
    let id = ArchiveId::from(parts.array::<16>()?);
    let covered = parts.read.clone();
    let tag = parts.array::<TAG_SIZE>()?;
    Ok(LockedHeader { envelope, id, covered, tag, length: parts.offset() })
}

impl LockedHeader {
    /// Opens the envelope and checks the tag.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKey`], [`Error::ExcessiveWork`], and what can be damaged in a header.
    pub(crate) fn open(&self, unlock: &Unlock) -> Result<Header> {
        Ok(Header { id: self.id, keys: self.open_key(unlock)?.segment_keys(self.id), length: self.length })
    }

    /// As [`LockedHeader::open`], for whoever makes another header of the key.
    pub(crate) fn open_key(&self, unlock: &Unlock) -> Result<ArchiveKey> {
        let key = agefile::unwrap(&self.envelope, unlock)?;
        key.header_key(self.id).check(&self.covered, &self.tag)?;
        Ok(key)
    }

    /// The id that the header states.
    pub(crate) fn id(&self) -> ArchiveId {
        self.id
    }

    /// The length of the header in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

fn check_magic(magic: [u8; MAGIC.len()]) -> Result<()> {
    match magic {
        MAGIC => Ok(()),
        [family @ .., version] if family == FAMILY => Err(Error::UnsupportedVersion { version }),
        _ => Err(Error::NotSealed),
    }
}

fn envelope_size(length: u32) -> Result<usize> {
    usize::try_from(length).ok().filter(|_| length <= ENVELOPE_MAX).ok_or(Error::EnvelopeTooLong { length })
}

/// The parts of a header as they are read, and all that was read so far.
struct Parts<'a, R> {
    input: &'a mut R,
    read: Vec<u8>,
}

impl<R: Read> Parts<'_, R> {
    fn next(&mut self, length: usize) -> Result<&[u8]> {
        let start = self.read.len();
        self.read.resize(start + length, 0);
        let (_, part) = self.read.split_at_mut(start);
        let filled = fill(self.input, part)?;
        self.read.truncate(start + filled);
        if filled < length {
            return Err(Error::CutShort { segment: None, offset: self.offset() });
        }
        Ok(self.read.split_at(start).1)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut part = [0; N];
        part.copy_from_slice(self.next(N)?);
        Ok(part)
    }

    /// The first part. An input that is shorter is cut short only where it begins as an archive does.
    fn magic(&mut self) -> Result<[u8; MAGIC.len()]> {
        self.array().map_err(|error| match error {
            Error::CutShort { .. } if !MAGIC.starts_with(&self.read) => Error::NotSealed,
            other => other,
        })
    }

    fn offset(&self) -> u64 {
        self.read.len() as u64
    }
}
