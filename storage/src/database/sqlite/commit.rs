//! How a new database becomes visible, at once and whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{check_target, connection, staging::Staging};
use crate::{Error, Occupancy, Result, sibling};

/// It has been committed or discarded already.
const STOPPED: Error = Error::Stopped { what: "an import of a database" };

/// A database that waits beside its target. Dropping it takes it away, and gives back the lock.
///
/// It gets there by a rename where nothing is, else by a copy into the empty one in one transaction, as somebody may have that
/// file open and would not see another put in its place.
#[derive(Debug)]
pub(super) struct Publication {
    /// None once it has been committed or discarded.
    staging: Option<Staging>,
    way: Option<Way>,
}

/// How a prepared database gets to its target.
#[derive(Debug)]
enum Way {
    /// Nothing is there, and the file has been made to last.
    Rename,
    /// An empty database is there, and is ours alone.
    Copy(LockedTarget),
}

impl Publication {
    /// One that nobody has prepared.
    pub(super) fn new(staging: Staging) -> Self {
        Self { staging: Some(staging), way: None }
    }

    /// Does all that can be done, and can fail, before a commit. Done once is enough.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let staging = self.staging.as_ref().ok_or(STOPPED)?;
        if self.way.is_some() {
            return Ok(());
        }
        self.way = Some(match check_target(staging.target())? {
            Occupancy::Missing => {
                let file = fs::File::open(staging.path()).and_then(|file| file.sync_all());
                file.map_err(Error::io(format!("syncing {}", staging.path().display())))?;
                Way::Rename
            }
            Occupancy::Empty | Occupancy::Occupied => Way::Copy(LockedTarget::lock(staging.target())?),
        });
        Ok(())
    }

    /// Makes the database visible. After an error nothing of it is left.
    pub(super) fn commit(&mut self) -> Result<()> {
        let prepared = self.prepare();
        let way = self.way.take();
        let mut staging = self.staging.take().ok_or(STOPPED)?;
        prepared?;
        match way.ok_or(STOPPED)? {
            Way::Rename => {
                rename_new(staging.path(), staging.target())?;
                sibling::sync_parent(staging.target())?;
            }
            Way::Copy(target) => target.fill(staging.path())?,
        }
        staging.keep_folders()
    }

    /// Takes the database away, and gives back the lock.
    pub(super) fn discard(&mut self) {
        self.way = None;
        self.staging = None;
    }
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

/// An empty database that nobody else can use until this is dropped, which leaves it as it was found.
#[derive(Debug)]
struct LockedTarget {
    connection: Connection,
    path: PathBuf,
    /// Its journal's mode is to be put back.
    had_log: bool,
}

impl LockedTarget {
    /// Takes a lock that keeps everybody out until the connection is closed, and makes sure that the database is empty under it.
    ///
    /// A log is put away first: it can't hold pages of another size, and others could write into it between look and copy. In
    /// this locking mode the end of a transaction gives no lock back.
    fn lock(path: &Path) -> Result<Self> {
        let what = || path.display().to_string();
        let connection = connection::open(path).map_err(Error::sqlite(what()))?;
        let mut target = Self { connection, path: path.to_owned(), had_log: false };
        if target.lock_empty().map_err(Error::sqlite(what()))? {
            Ok(target)
        } else {
            Err(Error::NotEmpty { what: what() })
        }
    }

    fn lock_empty(&mut self) -> rusqlite::Result<bool> {
        let before: String = self.connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        self.connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let mode: String = self.connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))?;
        if mode != "delete" {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                Some(format!("its journal stays in mode {mode}")),
            ));
        }
        self.had_log = before == "wal";
        self.connection.execute_batch("BEGIN EXCLUSIVE")?;
        let empty = connection::is_empty(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(empty)
    }

    /// Copies page by page, and gives back the lock.
    fn fill(mut self, from: &Path) -> Result<()> {
        let what = self.path.display().to_string();
        let source = connection::open_source(from)?;
        let step = Backup::new(&source, &mut self.connection).and_then(|backup| backup.step(-1));
        match step.map_err(Error::sqlite(&what))? {
            StepResult::Done => {}
            _ => return Err(Error::Busy { what }),
        }
        // The mode came with the pages.
        self.had_log = false;
        Ok(())
    }
}

impl Drop for LockedTarget {
    /// Blocks for as long as SQLite takes to write a page.
    fn drop(&mut self) {
        if self.had_log {
            // An empty database does as well without, and there is nobody to tell.
            drop(self.connection.pragma_update(None, "journal_mode", "WAL"));
        }
    }
}
