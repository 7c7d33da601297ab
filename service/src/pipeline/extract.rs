//! Extraction: single entries and folders of an archive into a folder, by random access or in one pass.

mod folder;
mod names;
mod random;
mod spool;
mod stage;
mod wanted;

pub(crate) use folder::{Folder, Overwrite, Tell};
pub(crate) use random::extract_random;
pub(crate) use spool::Spool;
pub(crate) use wanted::Wanted;

use crate::{Error, Result};

/// What has been extracted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extracted {
    /// Files that were written.
    pub(crate) files: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// Files that were there before and were left as they are.
    pub(crate) existing: u64,
}

impl Extracted {
    /// Whether all that was asked for has been written.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming what the archive does not have, [`Error::Exists`] where files were in the way.
    pub(crate) fn check(&self, wanted: &Wanted) -> Result<()> {
        wanted.check()?;
        match self.existing {
            0 => Ok(()),
            files => Err(Error::Exists(format!(
                "{files} files are there already and were left as they are: --force replaces them"
            ))),
        }
    }
}
