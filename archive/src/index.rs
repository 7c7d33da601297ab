//! The index: a record for each entry, gathered in blocks that stand between entries, and one digest over them all.

mod block;
mod queue;
mod record;
mod told;

pub(crate) use block::{BLOCK_MAX_BYTES, Block, BlockSummary, BlocksDigest};
pub(crate) use queue::Index;
pub(crate) use record::{EntryRecord, Record};
pub(crate) use told::{Told, without_place};

use sha2::{Digest, Sha256};

/// Where an entry's first header begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Offset of its member in the compressed layer.
    pub(crate) member: u64,
    /// How far into the member's plaintext.
    pub(crate) skip: u32,
}

/// All records of an archive in their order, folded into a digest.
///
/// What the format signs is SHA-256(A ‖ B), A over the entries and B over what had vanished. Which entries are void is
/// no part of that, as every entry shows it by the one behind it: it is kept beside, to be compared.
#[derive(Clone, Default)]
pub(crate) struct IndexDigest {
    entries: Sha256,
    vanished: Sha256,
    voids: Sha256,
    /// How many entries have a record.
    pub(crate) entry_count: u64,
    /// How many objects had vanished.
    pub(crate) vanished_count: u64,
}

impl IndexDigest {
    pub(crate) fn add(&mut self, record: &Record) {
        match record {
            Record::Entry(entry) => self.add_entry(entry),
            Record::Vanished { path } => {
                self.vanished.update(path.as_bytes());
                self.vanished.update([1]);
                self.vanished_count += 1;
            }
        }
    }

    pub(crate) fn add_entry(&mut self, entry: &EntryRecord) {
        self.entries.update(entry.path.as_bytes());
        self.entries.update([0]);
        self.entries.update(entry.size.to_le_bytes());
        self.entries.update(entry.at.member.to_le_bytes());
        self.entries.update(entry.at.skip.to_le_bytes());
        self.entries.update(entry.sha256);
        if entry.void {
            self.voids.update(self.entry_count.to_le_bytes());
        }
        self.entry_count += 1;
    }

    /// Whether both tell of the same entries.
    pub(crate) fn same_entries(&self, other: &Self) -> bool {
        let digests = |index: &Self| (index.entries.clone().finalize(), index.voids.clone().finalize());
        self.entry_count == other.entry_count && digests(self) == digests(other)
    }

    /// What `summary.json` holds as `index_digest`.
    pub(crate) fn finish(self) -> [u8; 32] {
        Sha256::new().chain_update(self.entries.finalize()).chain_update(self.vanished.finalize()).finalize().into()
    }
}
