//! The order of entries, and the sizes that each kind may have.

use super::Reader;
use crate::index::BLOCK_MAX_BYTES;
use crate::{EntryName, Error, Limits, Result};

/// How far the archive has come: entries stand in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Manifest,
    Schema,
    PreData,
    PostData,
    Rows,
    Objects,
    Summary,
    Done,
    Failed,
}

impl<R> Reader<R> {
    /// Holds an entry to its place in the order, and to the size that its kind may have.
    pub(super) fn admit(&mut self, name: &EntryName, size: u64) -> Result<()> {
        let wrong = |why: &str| Err(Error::entry(&*self.last_path, why));
        if self.stage == Stage::Manifest && *name != EntryName::Manifest {
            return Err(Error::NotAnArchive(format!("its first entry is {:?}, not manifest.json", self.last_path)));
        }
        let (from, next) = match name {
            EntryName::Manifest => (Stage::Manifest, Stage::Schema),
            EntryName::Schema => (Stage::Schema, Stage::PreData),
            EntryName::PreData => (Stage::PreData, Stage::PostData),
            EntryName::PostData => (Stage::PostData, Stage::Rows),
            EntryName::Rows { .. } => (Stage::Rows, Stage::Rows),
            EntryName::Sequences => (Stage::Rows, Stage::Objects),
            EntryName::Object(_) => (Stage::Objects, Stage::Objects),
            EntryName::Summary => (Stage::Objects, Stage::Summary),
            EntryName::Index(_) if self.stage < Stage::Summary => (self.stage, self.stage),
            EntryName::Index(_) => return wrong("it stands in no place for an index block"),
        };
        if self.stage != from {
            return wrong("it stands twice or out of its order");
        }
        self.stage = next;
        match name {
            EntryName::Rows { .. } | EntryName::Object(_) => Ok(()),
            EntryName::Index(number) if *number != self.blocks.count => {
                wrong("index blocks are not numbered without gaps")
            }
            EntryName::Index(_) if size > BLOCK_MAX_BYTES as u64 => wrong("an index block is over 1 MiB"),
            EntryName::Index(_) => Ok(()),
            EntryName::Manifest if size > Limits::MANIFEST_MAX_BYTES => {
                Err(Error::Limit { what: "bytes in manifest.json", limit: Limits::MANIFEST_MAX_BYTES })
            }
            _ if size > self.limits.document_bytes => {
                Err(Error::Limit { what: "bytes in a document of the archive", limit: self.limits.document_bytes })
            }
            _ => Ok(()),
        }
    }
}
