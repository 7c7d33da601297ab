//! The tar layer as a stream: tar bytes out, with the offsets that the index speaks of.

use std::io::Read;

use bytes::Bytes;

use crate::index::Position;
use crate::layer::{Accepted, Dialect, LayerReader};
use crate::member::Footer;
use crate::{Error, Limits, Result};

/// Reads the tar layer out of the compressed one.
pub(crate) struct TarStream<R> {
    layer: LayerReader<R>,
    limits: Limits,
    plain: Bytes,
    taken: usize,
    unpacked: u64,
}

impl<R: Read> TarStream<R> {
    pub(crate) fn new(input: R, accepted: Accepted, limits: Limits) -> Self {
        let layer = LayerReader::new(input, accepted);
        Self { layer, limits, plain: Bytes::new(), taken: 0, unpacked: 0 }
    }

    /// Who wrote it, once the first byte has been asked for.
    pub(crate) fn dialect(&self) -> Dialect {
        self.layer.dialect()
    }

    /// How many bytes of the compressed layer have been read.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.layer.read_bytes()
    }

    /// Where the next tar byte stands.
    pub(crate) fn position(&mut self) -> Result<Position> {
        self.need("the summary and the footer")?;
        let skip = u32::try_from(self.taken).unwrap_or(u32::MAX);
        Ok(Position { member: self.layer.member(), skip })
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

    /// Bytes of `most` that are still there, at most so many; empty at the end of the layer.
    pub(crate) fn take_behind_the_end(&mut self, most: u64) -> Result<Bytes> {
        if self.taken == self.plain.len() && !self.fill()? {
            return Ok(Bytes::new());
        }
        self.take(most)
    }

    /// The footer, where the tar layer ends here, and the end of the input behind it; none in a layer of others, which
    /// has ended as its own format asks.
    pub(crate) fn finish(&mut self) -> Result<Option<Footer>> {
        if self.taken < self.plain.len() || self.fill()? {
            return Err(self.layer.damaged("there is more behind the end of the tar layer"));
        }
        Ok(self.layer.footer())
    }

    fn need(&mut self, missing: &'static str) -> Result<()> {
        while self.taken == self.plain.len() {
            if !self.fill()? {
                // An end where tar bytes should be: all that follows them is lost, or they were never written.
                return Err(Error::CutShort { offset: self.layer.member(), missing });
            }
        }
        Ok(())
    }

    /// Unpacks what comes next; false at the end of the layer, behind which nothing stands.
    fn fill(&mut self) -> Result<bool> {
        let Some(plain) = self.layer.next_piece()? else { return Ok(false) };
        self.unpacked += plain.len() as u64;
        self.plain = plain;
        self.taken = 0;
        self.check_limits()?;
        Ok(true)
    }

    fn check_limits(&self) -> Result<()> {
        let Limits { bytes, expansion, .. } = self.limits;
        if self.unpacked > bytes {
            return Err(Error::Limit { what: "unpacked bytes", limit: bytes });
        }
        if self.unpacked > Limits::EXPANSION_FROM_BYTES && self.unpacked / expansion > self.layer.read_bytes() {
            return Err(Error::Limit { what: "unpacked bytes for each packed one", limit: expansion });
        }
        Ok(())
    }
}
