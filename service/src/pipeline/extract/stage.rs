//! Files that nobody takes for finished: in a folder of their own, until each gets its name.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, openat, unlinkat};

use crate::{Error, Result};

/// A folder that only its owner can look into. It is gone, with all that is in it, when this is dropped.
pub(super) struct Stage {
    parent: OwnedFd,
    name: String,
    folder: OwnedFd,
}

/// A file in the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Staged(u64);

impl Staged {
    pub(super) const FIRST: Self = Self(0);

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) fn name(self) -> String {
        self.0.to_string()
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Stage {
    /// A new folder in `parent`.
    pub(super) fn new(parent: &OwnedFd) -> Result<Self> {
        let failed = |error| Error::file("making a temporary folder", error);
        let parent = parent.try_clone().map_err(failed)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| failed(std::io::Error::other(error)))?;
        let name = format!(".coffer-tmp-{:016x}", u64::from_be_bytes(random));
        mkdirat(&parent, &name, Mode::RWXU).map_err(|error| failed(error.into()))?;
        let folder = openat(&parent, &name, FOLDER, Mode::empty()).map_err(|error| failed(error.into()))?;
        Ok(Self { parent, name, folder })
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> impl AsFd {
        self.folder.as_fd()
    }

    /// A new, empty file.
    pub(super) fn create(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // As open(2) makes them: the umask takes its part.
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
        let file = openat(&self.folder, name, flags, mode);
        Ok(File::from(file.map_err(|error| Error::file("making a temporary file", error.into()))?))
    }

    /// Takes a file away that is not needed after all.
    pub(super) fn remove(&self, staged: Staged) -> Result<()> {
        let removed = unlinkat(&self.folder, staged.name(), AtFlags::empty());
        removed.map_err(|error| Error::file("removing a temporary file", error.into()))
    }

    fn empty(&self) -> rustix::io::Result<()> {
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            if ![b".".as_slice(), b".."].contains(&entry.file_name().to_bytes()) {
                unlinkat(&self.folder, entry.file_name(), AtFlags::empty())?;
            }
        }
        unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = self.empty() {
            tracing::error!(%error, folder = self.name, "a temporary folder could not be removed");
        }
    }
}
