//! The compressed layer as a stream: members in, tar bytes out, with the offsets that the index speaks of.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use libdeflater::Decompressor;

use crate::index::Position;
use crate::member::{FOOTER_LENGTH, Footer, MEMBER_MAX_BYTES, MemberLength, inflate};
use crate::{Error, Limits, Result};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads members one at a time.
pub(crate) struct MemberStream<R> {
    input: R,
    limits: Limits,
    inflater: Decompressor,
    packed: Vec<u8>,
    plain: Bytes,
    taken: usize,
    /// Offset in the compressed layer of the member in hand.
    member: u64,
    /// Offset of what follows it.
    next: u64,
    unpacked: u64,
    footer: Option<Footer>,
}

impl<R: Read> MemberStream<R> {
    pub(crate) fn new(input: R, limits: Limits) -> Self {
        Self {
            input,
            limits,
            inflater: Decompressor::new(),
            packed: Vec::new(),
            plain: Bytes::new(),
            taken: 0,
            member: 0,
            next: 0,
            unpacked: 0,
            footer: None,
        }
    }

    /// Where the next tar byte stands.
    pub(crate) fn position(&mut self) -> Result<Position> {
        self.need("the summary and the footer")?;
        let skip = u32::try_from(self.taken).unwrap_or(u32::MAX);
        Ok(Position { member: self.member, skip })
    }

    /// The next bytes, at least one and at most `most`, none of them copied.
    pub(crate) fn take(&mut self, most: u64) -> Result<Bytes> {
        self.need("the rest of an entry")?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let end = self.plain.len().min(self.taken.saturating_add(most));
        let piece = self.plain.slice(self.taken..end);
        self.taken = end;
        Ok(piece)
    }

    /// The next `N` bytes.
    pub(crate) fn take_block<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut block = [0; N];
        let mut rest = block.as_mut_slice();
        while !rest.is_empty() {
            let piece = self.take(rest.len() as u64)?;
            let (filled, after) = rest.split_at_mut(piece.len());
            filled.copy_from_slice(&piece);
            rest = after;
        }
        Ok(block)
    }

    /// The footer, where the tar layer ends here, and the end of the input behind it.
    pub(crate) fn finish(&mut self) -> Result<Footer> {
        if self.taken < self.plain.len() || self.fill()? {
            return Err(self.damaged("there is more behind the end of the tar layer"));
        }
        self.footer.ok_or(Error::CutShort { offset: self.next, missing: "the footer" })
    }

    fn need(&mut self, missing: &'static str) -> Result<()> {
        while self.taken == self.plain.len() {
            if !self.fill()? {
                // A footer where tar bytes should be: all that follows them is lost, or they were never written.
                return Err(Error::CutShort { offset: self.member, missing });
            }
        }
        Ok(())
    }

    /// Unpacks the next member; false at the footer, behind which nothing stands.
    fn fill(&mut self) -> Result<bool> {
        if self.footer.is_some() {
            return Ok(false);
        }
        self.member = self.next;
        if !self.read_member()? {
            return Err(Error::CutShort { offset: self.next, missing: "the footer" });
        }
        if self.packed.len() == FOOTER_LENGTH
            && let Some(footer) = Footer::parse(&self.packed)
        {
            self.footer = Some(footer);
            let mut behind = [0];
            return match self.read_up_to(&mut behind)? {
                0 => Ok(false),
                _ => Err(self.damaged("there are bytes behind the footer")),
            };
        }
        let mut plain = Vec::with_capacity(crate::member::MEMBER_SIZE);
        inflate(&mut self.inflater, &self.packed, &mut plain).map_err(|why| self.damaged(why))?;
        self.unpacked += plain.len() as u64;
        self.check_limits()?;
        self.plain = Bytes::from(plain);
        self.taken = 0;
        Ok(true)
    }

    /// Reads the next member whole; false where the input ends before it.
    fn read_member(&mut self) -> Result<bool> {
        self.packed.resize(MemberLength::NEEDS, 0);
        let mut packed = std::mem::take(&mut self.packed);
        let found = self.read_up_to(&mut packed)?;
        if found == 0 {
            return Ok(false);
        }
        let start = packed.get(..found.min(2)).unwrap_or_default();
        if self.next == 0 && !GZIP_MAGIC.starts_with(start) {
            return Err(Error::NotAnArchive("it begins like neither a sealed nor a plain one".into()));
        }
        if found < packed.len() {
            return Err(Error::CutShort { offset: self.next, missing: "the rest of a member" });
        }
        let length = MemberLength::parse(&packed).map_err(|why| self.damaged(why))?.bytes();
        packed.resize(length, 0);
        let rest = packed.get_mut(MemberLength::NEEDS..).unwrap_or_default();
        if self.read_up_to(rest)? < length - MemberLength::NEEDS {
            return Err(Error::CutShort { offset: self.next, missing: "the rest of a member" });
        }
        self.packed = packed;
        self.next += length as u64;
        Ok(true)
    }

    fn read_up_to(&mut self, space: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = space.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    fn check_limits(&self) -> Result<()> {
        let Limits { bytes, expansion, .. } = self.limits;
        if self.unpacked > bytes {
            return Err(Error::Limit { what: "unpacked bytes", limit: bytes });
        }
        if self.unpacked > Limits::EXPANSION_FROM_BYTES && self.unpacked / expansion > self.next {
            return Err(Error::Limit { what: "unpacked bytes for each packed one", limit: expansion });
        }
        Ok(())
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Member { offset: self.member, why: why.to_owned() }
    }
}

const _: () = assert!(MEMBER_MAX_BYTES <= u32::MAX as usize);
