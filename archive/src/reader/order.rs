//! The order of entries, and the sizes that each kind may have.

use super::Reader;
use crate::index::BLOCK_MAX_BYTES;
use crate::{EntryName, Error, Limits, Result};

/// How far the archive has come: entries stand in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
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

impl Stage {
    /// How far the archive is with an entry of this name; none where such a one has no place here.
    pub(crate) fn after(self, name: &EntryName) -> Option<Self> {
        let (from, next) = match name {
            EntryName::Manifest => (Self::Manifest, Self::Schema),
            EntryName::Schema => (Self::Schema, Self::PreData),
            EntryName::PreData => (Self::PreData, Self::PostData),
            EntryName::PostData => (Self::PostData, Self::Rows),
            EntryName::Rows { .. } => (Self::Rows, Self::Rows),
            EntryName::Sequences => (Self::Rows, Self::Objects),
            EntryName::Object(_) => (Self::Objects, Self::Objects),
            EntryName::Summary => (Self::Objects, Self::Summary),
            EntryName::Index(_) => (self, self),
        };
        (self == from).then_some(next)
    }
}

impl<R> Reader<R> {
    /// Holds an entry to its place in the order, and to the size that its kind may have.
    pub(super) fn admit(&mut self, name: &EntryName, size: u64) -> Result<()> {
        let wrong = |why: &str| Err(Error::entry(&*self.last_path, why));
        if self.stage == Stage::Manifest && *name != EntryName::Manifest {
            return Err(Error::NotAnArchive(format!("its first entry is {:?}, not manifest.json", self.last_path)));
        }
        if matches!(name, EntryName::Index(_)) && self.stage >= Stage::Summary {
            return wrong("it stands in no place for an index block");
        }
        let Some(next) = self.stage.after(name) else {
            return wrong("it stands twice or out of its order");
        };
        self.stage = next;
        match name {
            EntryName::Index(number) if *number != self.blocks.count => {
                wrong("index blocks are not numbered without gaps")
            }
            EntryName::Index(_) if size > BLOCK_MAX_BYTES as u64 => wrong("an index block is over 1 MiB"),
            EntryName::Index(_) => Ok(()),
            name => check_size(name, size, &self.limits),
        }
    }
}

/// Holds an entry to the size that its kind may have: documents are held whole.
pub(crate) fn check_size(name: &EntryName, size: u64, limits: &Limits) -> Result<()> {
    match name {
        EntryName::Rows { .. } | EntryName::Object(_) => Ok(()),
        EntryName::Manifest if size > Limits::MANIFEST_MAX_BYTES => {
            Err(Error::Limit { what: "bytes in manifest.json", limit: Limits::MANIFEST_MAX_BYTES })
        }
        _ if size > limits.document_bytes => {
            Err(Error::Limit { what: "bytes in a document of the archive", limit: limits.document_bytes })
        }
        _ => Ok(()),
    }
}
