//! Writes a sealed archive.

use std::io::{self, Write};

use crate::segment::SEALED_SIZE;
use crate::{ArchiveId, ArchiveKey, Position, Recipients, Result, SEGMENT_SIZE, SegmentKeys, SegmentNumber, envelope};

/// Seals what is written to it, under a key and an id of its own.
///
/// The output gets the header at once and then whole segments, each by one `write_all`; it holds 64 KiB back and
/// allocates nothing more. Only [`Sealer::finish`] makes the archive whole: one that was dropped before, or whose
/// output failed, has no final segment, and every reader refuses it as cut short.
pub struct Sealer<W: Write> {
    out: W,
    id: ArchiveId,
    keys: SegmentKeys,
    /// Plaintext, with room for the tag behind a full segment.
    buffer: Box<[u8]>,
    filled: usize,
    next: SegmentNumber,
    /// A segment may have been written in part: nothing can be added any more.
    broken: bool,
}

impl<W: Write> Sealer<W> {
    /// Writes the header of a new archive, which the recipients can open.
    ///
    /// With a passphrase it takes the work factor's memory and time.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`](crate::Error::Unusable) where there are no recipients or too many,
    /// [`Error::Io`](crate::Error::Io) from the output and from the operating system's random numbers.
    pub fn new(out: W, recipients: &Recipients) -> Result<Self> {
        Self::with_id(out, recipients, ArchiveId::random()?)
    }

    /// As [`Sealer::new`], under an id that its caller has drawn for this archive and for no other.
    ///
    /// # Errors
    ///
    /// Those of [`Sealer::new`].
    pub fn with_id(out: W, recipients: &Recipients, id: ArchiveId) -> Result<Self> {
        Self::with_key(out, recipients, &ArchiveKey::random()?, id)
    }

    /// The key and the id must never have been used before.
    pub(crate) fn with_key(mut out: W, recipients: &Recipients, key: &ArchiveKey, id: ArchiveId) -> Result<Self> {
        out.write_all(&envelope::header(key, id, recipients)?)?;
        Ok(Self {
            out,
            id,
            keys: key.segment_keys(id),
            buffer: vec![0; SEALED_SIZE].into_boxed_slice(),
            filled: 0,
            next: SegmentNumber::FIRST,
            broken: false,
        })
    }

    /// The id that the archive got.
    pub fn archive_id(&self) -> ArchiveId {
        self.id
    }

    /// Writes the final segment, flushes, and gives the output back. The archive is whole.
    ///
    /// # Errors
    ///
    /// Those of the output, of this write or of an earlier one. The archive then can't be finished any more.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_segment(Position::Final)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write_segment(&mut self, position: Position) -> io::Result<()> {
        self.check_unbroken()?;
        self.broken = true;
        let (segment, behind) = self.buffer.split_at_mut(self.filled);
        let tag = self.keys.seal(self.next, position, segment)?;
        if let Some(place) = behind.first_chunk_mut() {
            *place = tag;
        }
        let (sealed, _) = self.buffer.split_at(self.filled + tag.len());
        self.out.write_all(sealed)?;
        self.next = self.next.next()?;
        self.filled = 0;
        self.broken = false;
        Ok(())
    }

    fn check_unbroken(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the archive is broken off: an earlier write to it failed"));
        }
        Ok(())
    }
}

/// Takes any sizes. A full segment is written when the next byte comes, for until then it may be the last one.
impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.check_unbroken()?;
        if self.filled == SEGMENT_SIZE && !plaintext.is_empty() {
            self.write_segment(Position::Inner)?;
        }
        let taken = plaintext.len().min(SEGMENT_SIZE - self.filled);
        let (plaintext, _) = plaintext.split_at(taken);
        let (_, room) = self.buffer.split_at_mut(self.filled);
        let (room, _) = room.split_at_mut(taken);
        room.copy_from_slice(plaintext);
        self.filled += taken;
        Ok(taken)
    }

    /// Flushes the output. Does not cut a segment: up to 64 KiB stay here.
    fn flush(&mut self) -> io::Result<()> {
        self.check_unbroken()?;
        self.out.flush()
    }
}
