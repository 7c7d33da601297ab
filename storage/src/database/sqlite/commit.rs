//! How a new database becomes visible, at once and whole.

use std::{fs, io, path::Path};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{check_target, connection, staging::Staging};
use crate::{Error, Occupancy, Result, sibling};

/// Puts the database at its target: by a rename where nothing is there, else by a copy into the empty one in one transaction, as
/// somebody may have that file open and would not see another put in its place.
pub(super) fn publish(mut staging: Staging) -> Result<()> {
    let target = staging.target().to_owned();
    match check_target(&target)? {
        Occupancy::Missing => {
            let file = fs::File::open(staging.path()).and_then(|file| file.sync_all());
            file.map_err(Error::io(format!("syncing {}", staging.path().display())))?;
            rename_new(staging.path(), &target)?;
            sibling::sync_parent(&target)?;
        }
        Occupancy::Empty | Occupancy::Occupied => copy_into_empty(staging.path(), &target)?,
    }
    staging.keep_folders()
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

/// Copies page by page, under a lock that is taken before the last look and held until the copy stands.
fn copy_into_empty(from: &Path, to: &Path) -> Result<()> {
    let what = || to.display().to_string();
    let source = connection::open_source(from)?;
    let mut target = connection::open(to).map_err(Error::sqlite(what()))?;
    if !lock_empty(&target).map_err(Error::sqlite(what()))? {
        return Err(Error::NotEmpty { what: what() });
    }
    let step = Backup::new(&source, &mut target).and_then(|backup| backup.step(-1)).map_err(Error::sqlite(what()))?;
    match step {
        StepResult::Done => {}
        _ => return Err(Error::Busy { what: what() }),
    }
    target.close().map_err(|(_, error)| Error::sqlite(what())(error))
}

/// Takes a lock that keeps everybody out until the connection is closed, and tells whether the database is empty under it.
///
/// A log is put away first: it can't hold pages of another size, and others could write into it between look and copy. In this
/// locking mode the end of a transaction gives no lock back.
fn lock_empty(target: &Connection) -> rusqlite::Result<bool> {
    let before: String = target.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    target.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let mode: String = target.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))?;
    if mode != "delete" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some(format!("its journal stays in mode {mode}")),
        ));
    }
    target.execute_batch("BEGIN EXCLUSIVE")?;
    let empty = connection::is_empty(target)?;
    target.execute_batch("COMMIT")?;
    if !empty && before == "wal" {
        target.pragma_update(None, "journal_mode", "WAL")?;
    }
    Ok(empty)
}
