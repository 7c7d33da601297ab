//! How a new database becomes visible, at once and whole.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use super::{
    check_target, kept::Kept, locked::LockedTarget, mark, patience::Patience, places, staging::Staging, swap::Swap,
};
use crate::{Error, Landing, Occupancy, Result, sibling};

/// It has been committed or discarded already.
const STOPPED: Error = Error::Stopped { what: "an import of a database" };

/// A database that waits beside its target. Dropping it takes it away, and gives back its locks.
///
/// It gets there by a rename where nothing is, else by a copy in one transaction, as somebody may have the file open that is there
/// and would not see another put in its place.
#[derive(Debug)]
pub(super) struct Publication {
    /// None once it has been committed or discarded.
    staging: Option<Staging>,
    way: Option<Way>,
    /// How long others' locks are waited for.
    patience: Duration,
}

/// How a prepared database gets to its target.
#[derive(Debug)]
enum Way {
    /// Nothing is there, and the file has been made to last.
    Rename,
    /// An empty database is there, and is ours alone.
    Copy(LockedTarget),
    /// A database is there that others may be using.
    Swap(Swap),
}

impl Publication {
    /// One that nobody has prepared.
    pub(super) fn new(staging: Staging, patience: Duration) -> Self {
        Self { staging: Some(staging), way: None, patience }
    }

    /// Does all that can be done, and can fail, before a commit. Done once is enough.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let staging = self.staging.as_ref().ok_or(STOPPED)?;
        if self.way.is_none() {
            self.way = Some(Way::find(staging)?);
        }
        Ok(())
    }

    /// What tells whether the commit came through: the file that is renamed, or the mark in one that is copied.
    pub(super) fn mark(&mut self) -> Result<String> {
        self.prepare()?;
        let staging = self.staging.as_ref().ok_or(STOPPED)?;
        match &self.way {
            Some(Way::Rename) => {
                let path = staging.path();
                rename_mark(path).map_err(Error::io(format!("looking at {}", path.display())))
            }
            _ => {
                mark::make(staging.path(), staging.id(), staging.undoes())?;
                Ok(COPY_MARK.into())
            }
        }
    }

    /// Makes the database visible. After an error nothing of it is left.
    pub(super) fn commit(&mut self) -> Result<()> {
        let prepared = self.prepare();
        let way = self.way.take();
        let mut staging = self.staging.take().ok_or(STOPPED)?;
        prepared?;
        match way.ok_or(STOPPED)? {
            Way::Rename => rename(&staging)?,
            Way::Copy(target) => target.fill(staging.path())?,
            Way::Swap(swap) => swap.run(&Patience::new(self.patience))?,
        }
        staging.keep_folders()
    }

    /// Takes the database away, and gives back the locks.
    pub(super) fn discard(&mut self) {
        self.way = None;
        self.staging = None;
    }
}

impl Way {
    fn find(staging: &Staging) -> Result<Self> {
        let target = staging.target();
        match (check_target(target, staging.landing())?, staging.landing()) {
            (Occupancy::Missing, _) if staging.can_be_renamed() => {
                places::sync(staging.path())?;
                Ok(Self::Rename)
            }
            (Occupancy::Missing, _) => Err(Error::NotFound { what: format!("database {}", target.display()) }),
            (_, Landing::New) => LockedTarget::lock(target).map(Self::Copy),
            (_, Landing::Replace) => Swap::prepare(staging).map(Self::Swap),
        }
    }
}

/// What [`Publication::mark`] says of a copy.
pub(super) const COPY_MARK: &str = "copy";

/// What [`Publication::mark`] says of the file at `path` before it is renamed, and what can be said of it after. Its number may be
/// another file's one day, but not with the same time of birth.
pub(super) fn rename_mark(path: &Path) -> io::Result<String> {
    let file = fs::metadata(path)?;
    let born = file.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(format!("rename {} {}", file.ino(), born.unwrap_or_default().as_nanos()))
}

/// Renames it to where nothing is. What it replaces then is an empty database, for an undo.
fn rename(staging: &Staging) -> Result<()> {
    let target = staging.target();
    let kept = match staging.landing() {
        Landing::New => None,
        Landing::Replace => Some(Kept::create(target, staging.id())?),
    };
    rename_new(staging.path(), target)?;
    kept.into_iter().for_each(Kept::keep);
    sibling::sync_parent(target)
}

/// Renames without replacing.
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let renamed = rename_exclusively(from, to).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Err(error),
        // The file system does not know it: a link does not replace either.
        _ => fs::hard_link(from, to).and_then(|()| fs::remove_file(from)),
    });
    renamed.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::NotEmpty { what: to.display().to_string() },
        _ => Error::io(format!("renaming {} to {}", from.display(), to.display()))(error),
    })
}

#[cfg(target_os = "linux")]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(target_os = "linux"))]
fn rename_exclusively(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
