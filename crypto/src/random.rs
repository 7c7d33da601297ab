//! Reads a sealed archive at any place.

use std::io;

use crate::envelope::{self, Header, LockedHeader};
use crate::segment::SEALED_SIZE;
use crate::{ArchiveId, Error, Position, Result, SEGMENT_SIZE, SegmentKeys, SegmentNumber, TAG_SIZE, Unlock};

/// How much is read at first: a header of up to some seventy recipients.
const FIRST_READ_BYTES: u64 = 8_192;

/// Segments on the wire and as plaintext, in bytes.
const SEALED: u64 = SEALED_SIZE as u64;
const PLAIN: u64 = SEGMENT_SIZE as u64;
const TAG: u64 = TAG_SIZE as u64;

/// Bytes that can be read at any place (a file, ranges of an object store) and stay the same meanwhile.
pub trait ReadAt {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// Where fewer are there or they can't be read; nothing is said then of what stands in `out`.
    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

/// An archive in memory.
impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let part = self.get(clamp(offset)..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (**self).read_exact_at(offset, out)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Box<R> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (**self).read_exact_at(offset, out)
    }
}

/// A sealed archive whose header was read and not opened yet: as [`Locked`](crate::Locked), for whoever must wait before
/// the work of a passphrase.
pub struct LockedRandom<R: ReadAt> {
    source: R,
    source_size: u64,
    header: LockedHeader,
}

impl<R: ReadAt> LockedRandom<R> {
    /// Reads the header: with one read of 8 KiB, and a second one where it is longer, at more than some seventy
    /// recipients.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::read`](crate::Locked::read).
    pub fn read(source: R) -> Result<Self> {
        let source_size = source.size();
        let mut bytes = vec![0; clamp(source_size.min(FIRST_READ_BYTES))];
        source.read_exact_at(0, &mut bytes)?;
        let length = envelope::stated_length(&bytes).unwrap_or(0);
        let missing = clamp(source_size).min(length).saturating_sub(bytes.len());
        if missing > 0 {
            let mut rest = vec![0; missing];
            source.read_exact_at(bytes.len() as u64, &mut rest)?;
            bytes.append(&mut rest);
        }
        let header = envelope::read(&mut bytes.as_slice())?;
        Ok(Self { source, source_size, header })
    }

    /// The id that the header tells. Nothing vouches for it before the header is opened.
    pub fn archive_id(&self) -> ArchiveId {
        self.header.id()
    }

    /// Opens the header and checks it, and checks that the source can have the size that it has. Reads nothing, but
    /// where the archive is empty or has a size that it can't have: then its last bytes, to check them or to tell what is
    /// wrong.
    ///
    /// # Errors
    ///
    /// Those of [`Locked::unlock`](crate::Locked::unlock), [`Error::CutShort`], [`Error::TrailingData`],
    /// [`Error::SegmentTag`] and [`Error::EmptySegment`] for a source of a wrong size, and [`Error::Io`] from it.
    pub fn unlock(self, unlock: &Unlock) -> Result<RandomOpener<R>> {
        let Header { id, keys, length } = self.header.open(unlock)?;
        let opener = RandomOpener {
            source: self.source,
            id,
            keys,
            start: length,
            body: self.source_size.saturating_sub(length),
        };
        opener.check_size()?;
        Ok(opener)
    }
}

/// Gives any part of a sealed archive, each byte only after the tag of its segment was checked.
///
/// Which segment is the last one follows from the source's size, and its tag covers that it is: a source that was cut or
/// added to is refused when its end is read, with the errors of an [`Opener`](crate::Opener), and not before. Whoever
/// reads only other parts knows of them alone that they are as they were sealed, at their place. Keeps nothing between
/// two reads; threads may share it.
///
/// ```
/// # use std::io::Write;
/// # use coffer_crypto::{Identity, RandomOpener, Recipients, Sealer, Unlock};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let identity = Identity::generate();
/// # let mut sealer = Sealer::new(Vec::new(), &Recipients::keys(vec![identity.recipient()])?)?;
/// # sealer.write_all(b"rows and objects")?;
/// # let sealed = sealer.finish()?;
/// # let unlock = Unlock { identities: vec![identity], ..Unlock::default() };
/// let opener = RandomOpener::open(sealed.as_slice(), &unlock)?;
/// let mut part = [0; 7];
/// opener.read_exact_at(9, &mut part)?;
/// assert_eq!(&part, b"objects");
/// # Ok(())
/// # }
/// ```
pub struct RandomOpener<R: ReadAt> {
    source: R,
    id: ArchiveId,
    keys: SegmentKeys,
    /// The offset in bytes of the first segment.
    start: u64,
    /// The bytes of all segments with their tags.
    body: u64,
}

impl<R: ReadAt> RandomOpener<R> {
    /// Reads the header, opens it and checks it: one read of the source, two where it has more than some seventy
    /// recipients, one more where the archive is empty.
    ///
    /// # Errors
    ///
    /// Those of [`LockedRandom::read`] and [`LockedRandom::unlock`].
    pub fn open(source: R, unlock: &Unlock) -> Result<Self> {
        LockedRandom::read(source)?.unlock(unlock)
    }

    /// The id in the header.
    pub fn archive_id(&self) -> ArchiveId {
        self.id
    }

    /// The bytes of plaintext, as the source's size implies: proven when the last of them was read.
    pub fn size(&self) -> u64 {
        self.body - TAG * self.segments()
    }

    /// Fills `out` with the plaintext from `offset` on, by one read of the source for all segments that it touches.
    /// Holds these meanwhile: the length of `out`, the tags, and at most two segments more.
    ///
    /// # Errors
    ///
    /// An [`Error`] within an [`io::Error`]: those of an [`Opener`](crate::Opener), and [`Error::Io`] for a part that
    /// lies outside the plaintext and from the source. `out` is then as it was.
    pub fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = self.end_of(offset, out.len())?;
        let Some(last_byte) = end.checked_sub(1).filter(|_| !out.is_empty()) else {
            return Ok(());
        };
        let first = offset / PLAIN;
        let opened = self.open_segments(first, last_byte / PLAIN)?;
        copy_part(&opened, clamp(offset - first * PLAIN), out);
        Ok(())
    }

    fn end_of(&self, offset: u64, length: usize) -> Result<u64> {
        offset.checked_add(length as u64).filter(|&end| end <= self.size()).ok_or_else(|| {
            let size = self.size();
            let message =
                format!("{length} bytes from byte {offset} on are asked for, and the archive holds {size} bytes");
            Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, message))
        })
    }

    fn segments(&self) -> u64 {
        self.body.div_ceil(SEALED)
    }

    /// Refuses a size that only damage can make, and checks the one segment of an empty archive: it holds nothing that a
    /// reader would ask for. A last piece of a tag or less is the end of a whole archive only there.
    fn check_size(&self) -> Result<()> {
        if self.body == 0 {
            return Err(Error::CutShort { segment: Some(SegmentNumber::FIRST), offset: self.start });
        }
        if (1..=TAG).contains(&(self.body % SEALED)) {
            let last = self.segments() - 1;
            self.open_segments(last.saturating_sub(1), last)?;
        }
        Ok(())
    }

    /// Reads segments and opens each in its place. Gives their plaintexts, each with its tag behind it.
    fn open_segments(&self, first: u64, last: u64) -> Result<Vec<u8>> {
        let offset_of = |segment: u64| segment.saturating_mul(SEALED).min(self.body);
        let (begin, end) = (offset_of(first), offset_of(last.saturating_add(1)));
        let mut sealed = vec![0; clamp(end - begin)];
        self.source.read_exact_at(self.start + begin, &mut sealed)?;
        for (segment, number) in sealed.chunks_mut(SEALED_SIZE).zip(first..) {
            let position = if number + 1 == self.segments() { Position::Final } else { Position::Inner };
            self.keys.open_sealed(SegmentNumber::from(number), position, segment, self.start + self.body)?;
        }
        Ok(sealed)
    }
}

/// Copies what lies from `skip` on in the plaintexts of segments that have their tags behind them.
fn copy_part(segments: &[u8], mut skip: usize, mut out: &mut [u8]) {
    for (plaintext, _) in segments.chunks(SEALED_SIZE).filter_map(<[u8]>::split_last_chunk::<TAG_SIZE>) {
        let part = plaintext.get(skip..).unwrap_or_default();
        let (part, _) = part.split_at(part.len().min(out.len()));
        let (place, rest) = out.split_at_mut(part.len());
        place.copy_from_slice(part);
        (out, skip) = (rest, 0);
    }
}

/// A number of bytes to hold. What no memory has room for fails when it is allocated.
fn clamp(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
