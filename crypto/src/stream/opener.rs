//! Reads a sealed archive.

use std::io::{self, Read};
use std::mem;
use std::ops::Range;

use crate::envelope::{self, Header, LockedHeader};
use crate::fill::fill;
use crate::segment::SEALED_SIZE;
use crate::{ArchiveId, Error, Position, Result, SegmentKeys, SegmentNumber, Unlock};

/// Gives the plaintext of a sealed archive, each byte only after the tag of its segment was checked.
///
/// `Ok(0)` for a buffer with room means that the archive is whole: its final segment was checked and nothing follows
/// it. Every error is an [`Error`] within an [`io::Error`], and is given again by every later read. Holds one segment
/// and allocates nothing more.
pub struct Opener<R: Read> {
    input: R,
    id: ArchiveId,
    keys: SegmentKeys,
    /// A segment and the first byte after it, which tells that the segment is not the last.
    buffer: Box<[u8]>,
    /// How many bytes of the next segment stand at the buffer's end: 0 or 1.
    ahead: usize,
    /// The checked plaintext in the buffer that was not given yet.
    unread: Range<usize>,
    next: SegmentNumber,
    /// The bytes of the archive read so far.
    offset: u64,
    state: State,
}

enum State {
    Reading,
    Ended,
    Failed(Error),
}

/// A sealed archive whose header was read and not opened yet: for whoever must wait for the input before the work, which
/// takes tens of MiB where there is a passphrase.
pub struct Locked<R: Read> {
    input: R,
    header: LockedHeader,
}

impl<R: Read> Locked<R> {
    /// Reads the header, and nothing beyond.
    ///
    /// # Errors
    ///
    /// [`Error::NotSealed`], [`Error::UnsupportedVersion`], [`Error::EnvelopeTooLong`], [`Error::CutShort`], and
    /// [`Error::Io`] from the input.
    pub fn read(mut input: R) -> Result<Self> {
        let header = envelope::read(&mut input)?;
        Ok(Self { input, header })
    }

    /// Opens the header and checks it. Reads nothing.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKey`], [`Error::ExcessiveWork`] (before any work is done), and what can be damaged in a header.
    pub fn unlock(self, unlock: &Unlock) -> Result<Opener<R>> {
        Ok(Opener::begin(self.input, self.header.open(unlock)?))
    }
}

impl<R: Read> Opener<R> {
    /// Reads the header, opens it and checks it, and reads nothing beyond.
    ///
    /// # Errors
    ///
    /// [`Error::NotSealed`], [`Error::UnsupportedVersion`], [`Error::WrongKey`], [`Error::ExcessiveWork`] (before any
    /// work is done), what can be damaged in a header, [`Error::CutShort`] where it is not whole, and [`Error::Io`]
    /// from the input.
    pub fn new(input: R, unlock: &Unlock) -> Result<Self> {
        Locked::read(input)?.unlock(unlock)
    }

    fn begin(input: R, header: Header) -> Self {
        Self {
            input,
            id: header.id,
            keys: header.keys,
            buffer: vec![0; SEALED_SIZE + 1].into_boxed_slice(),
            ahead: 0,
            unread: 0..0,
            next: SegmentNumber::FIRST,
            offset: header.length,
            state: State::Reading,
        }
    }

    /// The id in the header.
    pub fn archive_id(&self) -> ArchiveId {
        self.id
    }

    /// How many segments were read and checked so far.
    pub fn segments_read(&self) -> u64 {
        self.next.as_u64()
    }

    /// Reads a segment and the byte after it, checks the one and keeps the other.
    fn open_segment(&mut self) -> Result<()> {
        let ahead = mem::take(&mut self.ahead);
        self.buffer.copy_within(SEALED_SIZE..SEALED_SIZE + ahead, 0);
        let (_, room) = self.buffer.split_at_mut(ahead);
        let read = fill(&mut self.input, room)?;
        self.offset = self.offset.saturating_add(read as u64);

        let filled = ahead + read;
        let position = if filled > SEALED_SIZE { Position::Inner } else { Position::Final };
        let (sealed, rest) = self.buffer.split_at_mut(filled.min(SEALED_SIZE));
        let segment = self.keys.open_sealed(self.next, position, sealed, self.offset)?;

        self.unread = 0..segment.len();
        self.next = self.next.next()?;
        match position {
            Position::Inner => self.ahead = rest.len(),
            Position::Final => self.state = State::Ended,
        }
        Ok(())
    }

    fn give(&mut self, out: &mut [u8]) -> usize {
        let unread = self.buffer.get(self.unread.clone()).unwrap_or_default();
        let given = unread.len().min(out.len());
        let (out, _) = out.split_at_mut(given);
        let (given_bytes, _) = unread.split_at(given);
        out.copy_from_slice(given_bytes);
        self.unread.start += given;
        given
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty()
            && !out.is_empty()
            && matches!(self.state, State::Reading)
            && let Err(error) = self.open_segment()
        {
            self.state = State::Failed(error.repeat());
            return Err(error.into());
        }
        if let State::Failed(error) = &self.state {
            return Err(error.repeat().into());
        }
        Ok(self.give(out))
    }
}
