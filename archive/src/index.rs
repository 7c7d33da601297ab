//! The index: a record for each entry, gathered in blocks that stand between entries, and one digest over them all.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::manifest::hex;
use crate::{Error, Result};

/// The most records in a block.
const BLOCK_MAX_RECORDS: usize = 4_096;
/// The most bytes in a block.
pub(crate) const BLOCK_MAX_BYTES: usize = 1 << 20;
/// How many tar bytes back an entry must begin for its record to be due.
const RIPE_AFTER_BYTES: u64 = 16 << 20;

/// Where an entry's first header begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Offset of its member in the compressed layer.
    pub(crate) member: u64,
    /// How far into the member's plaintext.
    pub(crate) skip: u32,
}

/// One line of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) member: u64,
    pub(crate) skip: u32,
    pub(crate) sha256: String,
}

impl Record {
    pub(crate) fn new(path: String, size: u64, at: Position, sha256: &[u8]) -> Self {
        Self { path, size, member: at.member, skip: at.skip, sha256: hex(sha256) }
    }

    /// Reads one line of a block.
    pub(crate) fn parse(line: &[u8]) -> std::result::Result<Self, String> {
        let record: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if record.sha256.len() != 64 || !record.sha256.bytes().all(digits) {
            return Err(format!("the digest of {:?} is not 64 lower-case hexadecimal digits", record.path));
        }
        Ok(record)
    }
}

/// The digest over all records: SHA-256(A ‖ B), A over the entries and B over what had vanished.
#[derive(Clone, Default)]
pub(crate) struct IndexDigest {
    entries: Sha256,
}

impl IndexDigest {
    pub(crate) fn add(&mut self, record: &Record) {
        self.entries.update(record.path.as_bytes());
        self.entries.update([0]);
        self.entries.update(record.size.to_le_bytes());
        self.entries.update(record.member.to_le_bytes());
        self.entries.update(record.skip.to_le_bytes());
        self.entries.update(unhex(&record.sha256));
    }

    pub(crate) fn finish(self) -> String {
        let vanished = Sha256::new().finalize();
        hex(&Sha256::new().chain_update(self.entries.finalize()).chain_update(vanished).finalize())
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
    let pair = |pair: &[u8]| pair.iter().fold(0_u8, |byte, &digit| byte << 4 | value(digit));
    digits.as_bytes().chunks(2).map(pair).collect()
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
    pub(crate) fn add(&mut self, block: &BlockSummary) -> std::result::Result<(), &'static str> {
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

/// A block ready to be written.
pub(crate) struct Block {
    pub(crate) content: Vec<u8>,
    count: u64,
    first: String,
    last: String,
}

impl Block {
    fn new() -> Self {
        Self { content: Vec::new(), count: 0, first: String::new(), last: String::new() }
    }

    /// Reads a block's content, telling each record to `each`.
    ///
    /// # Errors
    /// What is wrong with the block, in words.
    pub(crate) fn parse(content: Vec<u8>, mut each: impl FnMut(&Record)) -> std::result::Result<Self, String> {
        let mut block = Self::new();
        let lines = content.strip_suffix(b"\n").ok_or("an index block does not end with a newline")?;
        for line in lines.split(|&byte| byte == b'\n') {
            let record = Record::parse(line)?;
            each(&record);
            block.cover(record.path);
        }
        if block.count > BLOCK_MAX_RECORDS as u64 {
            return Err("an index block has more than 4,096 records".into());
        }
        Ok(Self { content, ..block })
    }

    fn cover(&mut self, path: String) {
        if self.count == 0 || path < self.first {
            self.first.clone_from(&path);
        }
        if path > self.last {
            self.last = path;
        }
        self.count += 1;
    }

    pub(crate) fn summary(self, at: Position) -> BlockSummary {
        let Self { content, count, first, last } = self;
        BlockSummary { member: at.member, skip: at.skip, size: content.len() as u64, count, first, last }
    }
}

struct Pending {
    begins: u64,
    line: Vec<u8>,
    path: String,
}

/// The writer's side: records that wait for their block, oldest first.
#[derive(Default)]
pub(crate) struct Index {
    waiting: VecDeque<Pending>,
    ripe: usize,
    ripe_bytes: usize,
    digest: IndexDigest,
}

impl Index {
    /// Takes the record of an entry whose first header begins at tar offset `begins`.
    pub(crate) fn push(&mut self, begins: u64, record: Record) -> Result<()> {
        self.digest.add(&record);
        let mut line =
            serde_json::to_vec(&record).map_err(|error| Error::unwritable(&*record.path, error.to_string()))?;
        line.push(b'\n');
        self.waiting.push_back(Pending { begins, line, path: record.path });
        Ok(())
    }

    /// The block that is due at an entry boundary at tar offset `now`, if one is.
    pub(crate) fn due(&mut self, now: u64) -> Option<Block> {
        while let Some(next) = self.waiting.get(self.ripe) {
            if now - next.begins < RIPE_AFTER_BYTES {
                break;
            }
            self.ripe += 1;
            self.ripe_bytes += next.line.len();
        }
        let due = self.ripe >= BLOCK_MAX_RECORDS || self.ripe_bytes >= BLOCK_MAX_BYTES;
        due.then(|| self.cut()).flatten()
    }

    /// The next of the last blocks, until none is left.
    pub(crate) fn rest(&mut self) -> Option<Block> {
        self.cut()
    }

    /// The digest, once the last block has been taken.
    pub(crate) fn digest(self) -> String {
        self.digest.finish()
    }

    fn cut(&mut self) -> Option<Block> {
        let mut block = Block::new();
        while let Some(next) = self.waiting.front() {
            let full = block.content.len() + next.line.len() > BLOCK_MAX_BYTES;
            if block.count >= BLOCK_MAX_RECORDS as u64 || (full && block.count > 0) {
                break;
            }
            if self.ripe > 0 {
                self.ripe -= 1;
                self.ripe_bytes -= next.line.len();
            }
            block.content.extend_from_slice(&next.line);
            if let Some(taken) = self.waiting.pop_front() {
                block.cover(taken.path);
            }
        }
        (block.count > 0).then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> Record {
        Record::new(format!("objects/{n:06}"), n, Position { member: n, skip: 0 }, &Sha256::digest(n.to_le_bytes()))
    }

    #[test]
    fn a_block_is_due_when_its_entries_lie_far_enough_back() {
        let mut index = Index::default();
        for n in 0..4_200 {
            index.push(n * 512, record(n)).unwrap();
        }
        assert!(index.due(4_095 * 512 + RIPE_AFTER_BYTES - 1).is_none());
        let block = index.due(4_095 * 512 + RIPE_AFTER_BYTES).unwrap();
        assert_eq!(
            (block.count, block.first.as_str(), block.last.as_str()),
            (4_096, "objects/000000", "objects/004095")
        );
        assert!(index.due(u64::MAX / 2).is_none());
        assert_eq!(index.rest().unwrap().count, 104);
        assert!(index.rest().is_none());
    }

    #[test]
    fn blocks_are_read_as_they_were_written() {
        let mut index = Index::default();
        (0..3).for_each(|n| index.push(n, record(n)).unwrap());
        let block = index.rest().unwrap();
        let mut digest = IndexDigest::default();
        let read = Block::parse(block.content.clone(), |record| digest.add(record)).unwrap();
        let at = Position { member: 1, skip: 2 };
        assert_eq!(read.summary(at), block.summary(at));
        assert_eq!(digest.finish(), index.digest());
    }

    #[test]
    fn a_block_that_is_none_is_refused() {
        for content in
            [&b""[..], b"{}\n", b"\n", b"{\"path\":\"a\",\"size\":1,\"member\":0,\"skip\":0,\"sha256\":\"\"}\n"]
        {
            assert!(Block::parse(content.to_vec(), |_| ()).is_err());
        }
    }
}
