//! Tar bytes cut into members, packed and written one after the other.

use std::io::Write;

use crate::header::BLOCK;
use crate::index::Position;
use crate::member::{Footer, MEMBER_SIZE, Packer};
use crate::{Compression, Result};

/// The compressed layer in the making.
pub(super) struct Members<W> {
    out: W,
    packer: Packer,
    plain: Vec<u8>,
    packed: Vec<u8>,
    /// Bytes of the compressed layer written.
    offset: u64,
    /// Bytes of the tar layer taken.
    tar_bytes: u64,
}

impl<W: Write> Members<W> {
    pub(super) fn new(out: W, compression: Compression) -> Result<Self> {
        let (plain, packer) = (Vec::with_capacity(MEMBER_SIZE), Packer::new(compression)?);
        Ok(Self { out, packer, plain, packed: Vec::new(), offset: 0, tar_bytes: 0 })
    }

    /// How many tar bytes have been taken.
    pub(super) fn tar_bytes(&self) -> u64 {
        self.tar_bytes
    }

    /// Where the next tar byte will stand.
    pub(super) fn position(&self) -> Position {
        Position { member: self.offset, skip: u32::try_from(self.plain.len()).unwrap_or(u32::MAX) }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.tar_bytes += bytes.len() as u64;
        while let Some((head, rest)) = bytes.split_at_checked(MEMBER_SIZE - self.plain.len()) {
            self.plain.extend_from_slice(head);
            self.emit()?;
            bytes = rest;
        }
        self.plain.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes zeros to the next boundary of blocks.
    pub(super) fn pad(&mut self) -> Result<()> {
        let over = self.plain.len() % BLOCK;
        let padding = (BLOCK - over) % BLOCK;
        self.write([0; BLOCK].get(..padding).unwrap_or_default())
    }

    fn emit(&mut self) -> Result<()> {
        self.packed.clear();
        self.packer.pack(&self.plain, &mut self.packed)?;
        self.out.write_all(&self.packed)?;
        self.offset += self.packed.len() as u64;
        self.plain.clear();
        Ok(())
    }

    /// Writes what is left, and the footer.
    pub(super) fn finish(mut self, footer: Footer) -> Result<W> {
        if !self.plain.is_empty() {
            self.emit()?;
        }
        self.packed.clear();
        self.packer.footer(footer, &mut self.packed);
        self.out.write_all(&self.packed)?;
        self.out.flush()?;
        Ok(self.out)
    }
}
