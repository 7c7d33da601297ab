//! Tar bytes from any place on: members are read by few ranges, cut and unpacked one at a time.

use super::ReadAt;
use super::layer::Tailed;
use crate::header::BLOCK;
use crate::index::Position;
use crate::member::{Kind, MEMBER_SIZE, Unpacker};
use crate::{Error, Result};

/// The most that one range brings. An index block with all around it is smaller.
const RANGE_MAX_BYTES: u64 = 2 << 20;
/// What stands before an entry's content, mostly: two headers and some pax records.
const HEADERS_BYTES: u64 = 3 * BLOCK as u64;

/// A place in the tar layer, and what has been read around it.
pub(super) struct Window {
    kind: Kind,
    unpacker: Unpacker,
    /// Where the members end and the footer begins.
    end: u64,
    /// Bytes of the layer from `packed_from` on.
    packed: Vec<u8>,
    packed_from: u64,
    /// How far the next range should reach.
    wanted: u64,
    /// The member that `plain` holds, once one is read.
    member: Option<u64>,
    /// The member behind it.
    next: u64,
    plain: Vec<u8>,
    taken: usize,
    /// How far into the next member to begin.
    skip: usize,
}

impl Window {
    pub(super) fn new(kind: Kind, end: u64) -> Result<Self> {
        let unpacker = Unpacker::new(kind)?;
        Ok(Self {
            kind,
            unpacker,
            end,
            packed: Vec::new(),
            packed_from: 0,
            wanted: 0,
            member: None,
            next: 0,
            plain: Vec::new(),
            taken: 0,
            skip: 0,
        })
    }

    /// Goes to a place from which an entry of so many bytes is to be read, whose members end at `end` where that is
    /// known. Nothing is read yet, and nothing is read again that is there.
    pub(super) fn seek(&mut self, at: Position, size_bytes: u64, end: Option<u64>) {
        self.wanted = packed_end(at, size_bytes, end);
        self.skip = at.skip as usize;
        if self.member == Some(at.member) {
            self.taken = self.skip.min(self.plain.len());
            return;
        }
        let packed_to = self.packed_from + self.packed.len() as u64;
        if !(self.packed_from..packed_to).contains(&at.member) {
            self.packed.clear();
            self.packed_from = at.member;
        }
        (self.next, self.member, self.taken) = (at.member, None, 0);
        self.plain.clear();
    }

    /// Lets the ranges that are read reach as far as `to`, an offset in the layer.
    pub(super) fn read_on(&mut self, to: u64) {
        self.wanted = self.wanted.max(to);
    }

    /// Where the next byte stands.
    pub(super) fn position(&self) -> Position {
        match self.member {
            Some(member) if self.taken < self.plain.len() => {
                Position { member, skip: u32::try_from(self.taken).unwrap_or(u32::MAX) }
            }
            _ => Position { member: self.next, skip: 0 },
        }
    }

    /// The next bytes, at least one and at most `most`.
    pub(super) fn take<R: ReadAt>(&mut self, layer: &Tailed<R>, most: u64) -> Result<&[u8]> {
        while self.taken == self.plain.len() {
            self.read_member(layer)?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let end = self.plain.len().min(self.taken.saturating_add(most));
        let piece = self.plain.get(self.taken..end).unwrap_or_default();
        self.taken = end;
        Ok(piece)
    }

    /// The next block.
    pub(super) fn take_block<R: ReadAt>(&mut self, layer: &Tailed<R>) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        let mut rest = block.as_mut_slice();
        while !rest.is_empty() {
            let piece = self.take(layer, rest.len() as u64)?;
            let (filled, after) = rest.split_at_mut(piece.len());
            filled.copy_from_slice(piece);
            rest = after;
        }
        Ok(block)
    }

    /// The zeros to the next boundary of blocks, behind an entry of so many bytes.
    pub(super) fn skip_padding<R: ReadAt>(&mut self, layer: &Tailed<R>, size_bytes: u64) -> Result<()> {
        let mut left = (BLOCK as u64 - size_bytes % BLOCK as u64) % BLOCK as u64;
        while left > 0 {
            let piece = self.take(layer, left)?;
            left -= piece.len() as u64;
            if piece.iter().any(|&byte| byte != 0) {
                return Err(self.damaged("the padding of an entry is not zero"));
            }
        }
        Ok(())
    }

    /// The two zero blocks at the end of the tar layer, and nothing behind them.
    pub(super) fn expect_end<R: ReadAt>(&mut self, layer: &Tailed<R>) -> Result<()> {
        let ends = self.take_block(layer)? == [0; BLOCK] && self.take_block(layer)? == [0; BLOCK];
        if !ends || self.taken < self.plain.len() || self.next != self.end {
            return Err(self.damaged("the tar layer does not end behind summary.json"));
        }
        Ok(())
    }

    /// Unpacks the next member. The first one behind a seek is begun in its midst.
    fn read_member<R: ReadAt>(&mut self, layer: &Tailed<R>) -> Result<()> {
        let first = self.member.is_none();
        let kind = self.kind;
        let length = kind.length(self.fetch(layer, kind.start_length())?);
        let length = length.map_err(|why| self.damaged(why))?;
        self.fetch(layer, length)?;
        let from = self.place();
        let member = self.packed.get(from..from + length).unwrap_or_default();
        self.member = None;
        let unpacked = self.unpacker.unpack(member, &mut self.plain);
        unpacked.map_err(|why| self.damaged(why))?;
        self.taken = if first { self.skip } else { 0 };
        if self.taken >= self.plain.len() {
            return Err(self.damaged("it is shorter than the index says"));
        }
        self.member = Some(self.next);
        self.next += length as u64;
        Ok(())
    }

    /// The first `length` bytes of the next member, read where they are not there yet.
    fn fetch<R: ReadAt>(&mut self, layer: &Tailed<R>, length: usize) -> Result<&[u8]> {
        let to = self.next.saturating_add(length as u64);
        if to > self.end {
            return Err(Error::CutShort { offset: self.end, missing: "the rest of a member" });
        }
        let there = self.packed_from + self.packed.len() as u64;
        if to > there {
            self.packed.drain(..self.place());
            self.packed_from = self.next;
            let wanted = self.wanted.min(there + RANGE_MAX_BYTES).min(self.end);
            layer.read(there, to.max(wanted), &mut self.packed)?;
        }
        let from = self.place();
        Ok(self.packed.get(from..from + length).unwrap_or_default())
    }

    /// Where the next member begins in what is there.
    fn place(&self) -> usize {
        usize::try_from(self.next - self.packed_from).unwrap_or(usize::MAX).min(self.packed.len())
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Member { offset: self.next, why: why.to_owned() }
    }
}

/// Where the members end at the latest that hold an entry of so many bytes, as our writer cuts them.
pub(super) fn packed_end(at: Position, size_bytes: u64, end: Option<u64>) -> u64 {
    let tar_bytes = u64::from(at.skip).saturating_add(HEADERS_BYTES).saturating_add(size_bytes);
    let members = tar_bytes.div_ceil(MEMBER_SIZE as u64).max(1);
    let packed_bytes = members.saturating_mul(MEMBER_SIZE as u64 + 128);
    at.member.saturating_add(packed_bytes).min(end.unwrap_or(u64::MAX))
}
