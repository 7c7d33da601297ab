//! A database being made, beside the one it is to become.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{lock::TargetLock, places};
use crate::{Error, Import, ImportId, Landing, Result, sibling::MadeFolders};

/// A place that is one import's alone, whether something is there or not. Dropping it gives it back, and takes the folders away
/// that were made above it and are empty.
#[derive(Debug)]
pub(super) struct Claim {
    target: PathBuf,
    import: Import,
    // Dropped in this order: the lock's file is in the folders.
    _lock: TargetLock,
    folders: MadeFolders,
}

impl Claim {
    /// Takes the place.
    ///
    /// # Errors
    /// `Taken` where another import has it.
    pub(super) fn take(target: &Path, import: &Import) -> Result<Self> {
        let folders = MadeFolders::above(target)?;
        let lock = TargetLock::take(target, &import.id)?;
        Ok(Self { target: target.to_owned(), import: import.clone(), _lock: lock, folders })
    }
}

/// A file that goes away when this is dropped, and its claim with it.
#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    origin: Origin,
    claim: Claim,
}

/// Where the file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Archive,
    /// It is what that import replaced, and stays until it is somewhere else as well.
    Replaced(ImportId),
    /// It is a copy of that.
    CopyOfReplaced(ImportId),
}

impl Staging {
    /// Makes an empty file beside the target. What is to replace a file that is there is nobody else's to read.
    pub(super) fn create(claim: Claim) -> Result<Self> {
        let path = places::staging(&claim.target, &claim.import.id)?;
        let staging = Self { path, origin: Origin::Archive, claim };
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        if staging.claim.import.landing == Landing::Replace && staging.target().exists() {
            options.mode(0o600);
        }
        options.open(&staging.path).map_err(Error::io(format!("making {}", staging.path.display())))?;
        Ok(staging)
    }

    /// What the import `replaced` put aside.
    ///
    /// # Errors
    /// `NotFound` where it is not there any more.
    pub(super) fn replaced(claim: Claim, replaced: &ImportId) -> Result<Self> {
        let path = find_replaced(&claim.target, replaced)?;
        Ok(Self { path, origin: Origin::Replaced(replaced.clone()), claim })
    }

    /// A copy of what the import `replaced` put aside, which can be renamed.
    ///
    /// # Errors
    /// `NotFound` where it is not there any more.
    pub(super) fn copy_of_replaced(claim: Claim, replaced: &ImportId) -> Result<Self> {
        let original = find_replaced(&claim.target, replaced)?;
        let path = places::staging(&claim.target, &claim.import.id)?;
        let copy = Self { path, origin: Origin::CopyOfReplaced(replaced.clone()), claim };
        fs::copy(&original, &copy.path).map_err(Error::io(format!("making {}", copy.path.display())))?;
        Ok(copy)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is to become.
    pub(super) fn target(&self) -> &Path {
        &self.claim.target
    }

    /// Whose it is.
    pub(super) fn id(&self) -> &ImportId {
        &self.claim.import.id
    }

    /// What it does with what is there.
    pub(super) fn landing(&self) -> Landing {
        self.claim.import.landing
    }

    /// Whose replaced database this is.
    pub(super) fn undoes(&self) -> Option<&ImportId> {
        match &self.origin {
            Origin::Archive => None,
            Origin::Replaced(replaced) | Origin::CopyOfReplaced(replaced) => Some(replaced),
        }
    }

    /// Whether it may leave its place.
    pub(super) fn can_be_renamed(&self) -> bool {
        !matches!(self.origin, Origin::Replaced(_))
    }

    /// Keeps the folders: the target is in them now.
    pub(super) fn keep_folders(&mut self) -> Result<()> {
        self.claim.folders.sync()?;
        self.claim.folders.forget();
        Ok(())
    }
}

impl Drop for Staging {
    /// Blocks for as long as an unlink takes: what is dropped must be gone, and a drop can't wait for anybody.
    fn drop(&mut self) {
        if self.can_be_renamed() {
            // For one that stays there is nobody to tell.
            drop(places::remove(&self.path));
        }
    }
}

fn find_replaced(target: &Path, id: &ImportId) -> Result<PathBuf> {
    let path = places::replaced(target, id)?;
    match fs::metadata(&path) {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NotFound { what: format!("what import {id} replaced, {},", path.display()) })
        }
        Err(error) => Err(Error::io(format!("looking for {}", path.display()))(error)),
    }
}
