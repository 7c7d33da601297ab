//! A database being made, beside the one it is to become.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::connection::with_suffix;
use crate::{
    Error, Result,
    sibling::{self, MadeFolders},
};

/// A file that goes away when this is dropped, and with it the folders that were made for it.
#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    target: PathBuf,
    folders: MadeFolders,
}

impl Staging {
    /// Makes an empty file beside `target`.
    pub(super) fn create(target: &Path) -> Result<Self> {
        let folders = MadeFolders::above(target)?;
        let staging = Self { path: sibling::beside(target)?, target: target.to_owned(), folders };
        fs::File::create_new(&staging.path).map_err(Error::io(format!("making {}", staging.path.display())))?;
        Ok(staging)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is to become.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Keeps the folders: the target is in them now.
    pub(super) fn keep_folders(&mut self) -> Result<()> {
        self.folders.sync()?;
        self.folders.forget();
        Ok(())
    }
}

impl Drop for Staging {
    /// Blocks for as long as an unlink takes: what is dropped must be gone, and a drop can't wait for anybody.
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // Most of them are not there, and for one that stays there is nobody to tell.
            drop(fs::remove_file(with_suffix(&self.path, suffix)));
        }
    }
}
