//! Blocks: the records of the oldest entries that have none yet, as one entry of their own.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Position, Record};

/// The most records in a block.
pub(super) const BLOCK_MAX_RECORDS: usize = 4_096;
/// The most bytes in a block.
pub(crate) const BLOCK_MAX_BYTES: usize = 1 << 20;

/// Where a block stands and which paths it covers: what `summary.json` says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockSummary {
    pub(crate) member: u64,
    pub(crate) skip: u32,
    pub(crate) size: u64,
    pub(crate) count: u64,
    pub(crate) first: String,
    pub(crate) last: String,
}

impl BlockSummary {
    /// Whether the block may hold a record of this path.
    pub(crate) fn covers(&self, path: &str) -> bool {
        (self.first.as_str()..=self.last.as_str()).contains(&path)
    }

    pub(crate) fn at(&self) -> Position {
        Position { member: self.member, skip: self.skip }
    }
}

/// A block's content and what it covers.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) content: Vec<u8>,
    count: u64,
    first: String,
    last: String,
}

impl Block {
    /// Whether a line of so many bytes has no room in it.
    pub(super) fn is_full_for(&self, line_bytes: usize) -> bool {
        self.count >= BLOCK_MAX_RECORDS as u64 || (self.count > 0 && self.content.len() + line_bytes > BLOCK_MAX_BYTES)
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a record.
    pub(super) fn push(&mut self, record: &Record) {
        self.content.extend_from_slice(&record.to_line());
        self.cover(record.path());
    }

    /// Reads a block's content, telling each record to `each`, whose error ends it.
    ///
    /// # Errors
    /// What is wrong with the block, in words.
    pub(crate) fn parse(content: &[u8], mut each: impl FnMut(Record) -> Result<(), String>) -> Result<Self, String> {
        let mut block = Self::default();
        let lines = content.strip_suffix(b"\n").ok_or("an index block does not end with a newline")?;
        for line in lines.split(|&byte| byte == b'\n') {
            let record = Record::parse(line)?;
            block.cover(record.path());
            each(record)?;
        }
        if block.count > BLOCK_MAX_RECORDS as u64 {
            return Err("an index block has more than 4,096 records".into());
        }
        Ok(block)
    }

    fn cover(&mut self, path: &str) {
        if self.count == 0 || path < self.first.as_str() {
            self.first = path.to_owned();
        }
        if path > self.last.as_str() {
            self.last = path.to_owned();
        }
        self.count += 1;
    }

    /// What the summary says of a block of so many bytes at this place.
    pub(crate) fn summary(self, at: Position, size: u64) -> BlockSummary {
        let Self { count, first, last, .. } = self;
        BlockSummary { member: at.member, skip: at.skip, size, count, first, last }
    }
}

/// The blocks of an archive as a reader meets them, folded into a digest: it holds none of them.
#[derive(Default)]
pub(crate) struct BlocksDigest {
    sum: Sha256,
    /// How many.
    pub(crate) count: u32,
    /// Whether the last one was full. Only the last of all need not be.
    last_is_full: bool,
}

impl BlocksDigest {
    /// Takes the next block.
    ///
    /// # Errors
    /// Where the one before it was not full: a writer makes as few blocks as it can.
    pub(crate) fn add(&mut self, block: &BlockSummary) -> Result<(), &'static str> {
        if self.count > 0 && !self.last_is_full {
            return Err("the index block before it is not full");
        }
        self.count += 1;
        self.last_is_full = block.count >= BLOCK_MAX_RECORDS as u64 || block.size >= BLOCK_MAX_BYTES as u64 / 2;
        let BlockSummary { member, skip, size, count, first, last } = block;
        self.sum.update(format!("{member} {skip} {size} {count} {} {first} {} {last}\n", first.len(), last.len()));
        Ok(())
    }

    /// Whether these are the blocks that were met.
    pub(crate) fn matches(&self, blocks: &[BlockSummary]) -> bool {
        let mut other = Self::default();
        blocks.iter().all(|block| other.add(block).is_ok()) && other.sum.finalize() == self.sum.clone().finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_none_is_refused() {
        for content in [&b""[..], b"{}\n", b"\n", b"{\"path\":\"a\",\"vanished\":true}"] {
            assert!(Block::parse(content, |_| Ok(())).is_err());
        }
    }
}
