//! The writer's side of the index: records that wait for their block, oldest first.

use std::collections::VecDeque;

use super::block::{BLOCK_MAX_BYTES, BLOCK_MAX_RECORDS, Block};
use super::{EntryRecord, IndexDigest, Position, Record};

/// How many tar bytes back an entry must begin for its record to be due.
const RIPE_AFTER_BYTES: u64 = 16 << 20;
/// Records wait in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// Records that wait for their block. Some 32,000 may: each takes its path and 80 bytes.
#[derive(Default)]
pub(crate) struct Index {
    waiting: PackedRecords,
    /// For each record that waits, when its entry began and how long its line is.
    begins: VecDeque<(u64, u32)>,
    ripe: usize,
    ripe_bytes: usize,
    digest: IndexDigest,
}

impl Index {
    /// Takes the record of an entry whose first header begins, or would have begun, at tar offset `begins`.
    pub(crate) fn push(&mut self, begins: u64, record: &Record) {
        self.digest.add(record);
        self.begins.push_back((begins, u32::try_from(record.to_line().len()).unwrap_or(u32::MAX)));
        self.waiting.push(record);
    }

    /// The block that is due at an entry boundary at tar offset `now`, if one is.
    pub(crate) fn due(&mut self, now: u64) -> Option<Block> {
        while let Some((begins, line_bytes)) = self.begins.get(self.ripe) {
            if now - begins < RIPE_AFTER_BYTES {
                break;
            }
            self.ripe += 1;
            self.ripe_bytes += *line_bytes as usize;
        }
        let due = self.ripe >= BLOCK_MAX_RECORDS || self.ripe_bytes >= BLOCK_MAX_BYTES;
        due.then(|| self.cut()).flatten()
    }

    /// The next of the last blocks, until none is left.
    pub(crate) fn rest(&mut self) -> Option<Block> {
        self.cut()
    }

    /// The digest over all records, and how many objects had vanished.
    pub(crate) fn digest(&self) -> IndexDigest {
        self.digest.clone()
    }

    fn cut(&mut self) -> Option<Block> {
        let mut block = Block::default();
        while let Some((_, line_bytes)) = self.begins.front() {
            let line_bytes = *line_bytes as usize;
            if block.is_full_for(line_bytes) {
                break;
            }
            if self.ripe > 0 {
                self.ripe -= 1;
                self.ripe_bytes -= line_bytes;
            }
            self.begins.pop_front();
            block.push(&self.waiting.pop()?);
        }
        (!block.is_empty()).then_some(block)
    }
}

/// Records as bytes, a few large pieces in place of many small ones.
#[derive(Default)]
struct PackedRecords {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece has been taken.
    taken: usize,
}

const ENTRY: u8 = 0;
const VOID: u8 = 1;
const VANISHED: u8 = 2;

impl PackedRecords {
    fn push(&mut self, record: &Record) {
        let path = record.path().as_bytes();
        let needs = path.len() + 64;
        let fits = |piece: &&mut Vec<u8>| piece.capacity() - piece.len() >= needs;
        if self.pieces.back_mut().filter(fits).is_none() {
            self.pieces.push_back(Vec::with_capacity(needs.max(PIECE_BYTES)));
        }
        let Some(piece) = self.pieces.back_mut() else { return };
        piece.extend_from_slice(&u32::try_from(path.len()).unwrap_or(u32::MAX).to_le_bytes());
        piece.extend_from_slice(path);
        match record {
            Record::Entry(entry) => {
                piece.push(if entry.void { VOID } else { ENTRY });
                piece.extend_from_slice(&entry.size.to_le_bytes());
                piece.extend_from_slice(&entry.at.member.to_le_bytes());
                piece.extend_from_slice(&entry.at.skip.to_le_bytes());
                piece.extend_from_slice(&entry.sha256);
            }
            Record::Vanished { .. } => piece.push(VANISHED),
        }
    }

    fn pop(&mut self) -> Option<Record> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        let path = String::from_utf8(self.bytes(length)?.to_vec()).ok()?;
        let [kind] = self.array()?;
        let record = match kind {
            VANISHED => Record::Vanished { path },
            _ => Record::Entry(EntryRecord {
                path,
                size: u64::from_le_bytes(self.array()?),
                at: Position { member: u64::from_le_bytes(self.array()?), skip: u32::from_le_bytes(self.array()?) },
                sha256: self.array()?,
                void: kind == VOID,
            }),
        };
        if self.pieces.front().is_some_and(|piece| piece.len() == self.taken) {
            self.pieces.pop_front();
            self.taken = 0;
        }
        Some(record)
    }

    fn bytes(&mut self, length: usize) -> Option<&[u8]> {
        let bytes = self.pieces.front()?.get(self.taken..self.taken + length)?;
        self.taken += length;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn record(n: u64) -> Record {
        let at = Position { member: n, skip: 0 };
        let sha256 = Sha256::digest(n.to_le_bytes()).into();
        Record::Entry(EntryRecord { path: format!("objects/{n:06}"), size: n, at, sha256, void: n % 7 == 3 })
    }

    #[test]
    fn a_block_is_due_when_its_entries_lie_far_enough_back() {
        let mut index = Index::default();
        for n in 0..4_200 {
            index.push(n * 512, &record(n));
        }
        assert!(index.due(4_095 * 512 + RIPE_AFTER_BYTES - 1).is_none());
        let at = Position { member: 0, skip: 0 };
        let block = index.due(4_095 * 512 + RIPE_AFTER_BYTES).unwrap().summary(at, 0);
        assert_eq!(
            (block.count, block.first.as_str(), block.last.as_str()),
            (4_096, "objects/000000", "objects/004095")
        );
        assert!(index.due(u64::MAX / 2).is_none());
        assert_eq!(index.rest().unwrap().summary(at, 0).count, 104);
        assert!(index.rest().is_none());
    }

    #[test]
    fn blocks_are_read_as_they_were_written() {
        let mut index = Index::default();
        let records: Vec<_> =
            (0..3_000).map(record).chain([Record::Vanished { path: "objects/x".repeat(9_000) }]).collect();
        records.iter().for_each(|record| index.push(0, record));
        let block = index.rest().unwrap();
        let (mut digest, mut found) = (IndexDigest::default(), Vec::new());
        let read = Block::parse(&block.content, |record| {
            digest.add(&record);
            found.push(record);
            Ok(())
        });
        assert_eq!(found, records);
        let at = Position { member: 1, skip: 2 };
        assert_eq!(read.unwrap().summary(at, 5), block.summary(at, 5));
        assert_eq!(digest.vanished_count, 1);
        assert_eq!(digest.finish(), index.digest().finish());
    }

    #[test]
    fn a_block_is_cut_by_its_bytes_too() {
        let mut index = Index::default();
        (0..40).for_each(|n| index.push(0, &Record::Vanished { path: format!("objects/{n}{}", "x".repeat(60_000)) }));
        let sizes: Vec<_> = std::iter::from_fn(|| index.rest()).map(|block| block.content.len()).collect();
        assert!(sizes.len() == 3 && sizes.iter().all(|size| *size <= BLOCK_MAX_BYTES), "{sizes:?}");
    }
}
