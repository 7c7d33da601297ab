//! Members of ours, cut out by the lengths that they tell, and unpacked one at a time.

use std::io::Read;

use bytes::Bytes;

use super::read_up_to;
use crate::member::{Footer, Kind, MEMBER_SIZE, Unpacker};
use crate::{Error, Result};

/// Reads members, and the footer behind them.
pub(super) struct Members<R> {
    input: R,
    kind: Kind,
    unpacker: Unpacker,
    packed: Vec<u8>,
    /// Offset of the member in hand.
    member: u64,
    /// Offset of what follows it.
    next: u64,
    footer: Option<Footer>,
}

impl<R: Read> Members<R> {
    pub(super) fn new(input: R, kind: Kind) -> Result<Self> {
        let unpacker = Unpacker::new(kind)?;
        Ok(Self { input, kind, unpacker, packed: Vec::new(), member: 0, next: 0, footer: None })
    }

    pub(super) fn member(&self) -> u64 {
        self.member
    }

    pub(super) fn read_bytes(&self) -> u64 {
        self.next
    }

    pub(super) fn footer(&self) -> Option<Footer> {
        self.footer
    }

    /// The content of the next member; none at the footer, behind which nothing stands.
    pub(super) fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if self.footer.is_some() {
            return Ok(None);
        }
        self.member = self.next;
        if !self.read_member()? {
            return Err(self.cut_short("the footer"));
        }
        if let Some(footer) = self.kind.footer(&self.packed) {
            self.footer = Some(footer);
            return match read_up_to(&mut self.input, &mut [0])? {
                0 => Ok(None),
                _ => Err(self.damaged("there are bytes behind the footer")),
            };
        }
        let mut plain = Vec::with_capacity(MEMBER_SIZE);
        self.unpacker.unpack(&self.packed, &mut plain).map_err(|why| self.damaged(why))?;
        Ok(Some(Bytes::from(plain)))
    }

    /// Reads the next member whole; false where the input ends before it.
    fn read_member(&mut self) -> Result<bool> {
        let start = self.kind.start_length();
        self.packed.clear();
        self.packed.resize(start, 0);
        match read_up_to(&mut self.input, &mut self.packed)? {
            0 => return Ok(false),
            found if found < start => return Err(self.cut_short("the rest of a member")),
            _ => {}
        }
        let length = self.kind.length(&self.packed).map_err(|why| self.damaged(why))?;
        self.packed.resize(length, 0);
        let rest = self.packed.get_mut(start..).unwrap_or_default();
        if read_up_to(&mut self.input, rest)? < length - start {
            return Err(self.cut_short("the rest of a member"));
        }
        self.next += length as u64;
        Ok(true)
    }

    fn cut_short(&self, missing: &'static str) -> Error {
        Error::CutShort { offset: self.next, missing }
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Member { offset: self.member, why: why.to_owned() }
    }
}
