//! What is to be done about an import whose process has died, or that is over.

use std::{fs, io, path::Path, time::Duration};

use rusqlite::Connection;

use super::{
    commit::{COPY_MARK, rename_mark},
    connection,
    lock::TargetLock,
    mark,
    patience::{self, Patience},
    places,
};
use crate::{Error, ImportId, Result};

/// Whether an import came through, by the mark that was noted before its commit.
pub(super) fn has_landed(target: &Path, id: &ImportId, mark: &str) -> Result<bool> {
    let _lock = TargetLock::for_recovery(target, id)?;
    if mark == COPY_MARK {
        return is_marked(target, id);
    }
    match rename_mark(target) {
        Ok(there) => Ok(there == mark),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(format!("looking at {}", target.display()))(error)),
    }
}

/// Takes away what waits, and the copy of what was to be replaced.
///
/// # Errors
/// `Refused` where that is no copy any more, as the import came through.
pub(super) fn roll_back(target: &Path, id: &ImportId) -> Result<()> {
    let _lock = TargetLock::for_recovery(target, id)?;
    let replaced = places::replaced(target, id)?;
    if replaced.exists() && is_marked(target, id)? {
        let why = format!("it has come through, and {} holds what it replaced", replaced.display());
        return Err(Error::refused(format!("rolling back import {id} of {}", target.display()), why));
    }
    places::remove(&places::staging(target, id)?)?;
    places::remove(&replaced)
}

/// Takes away what waited, and the mark; and of an undo what it brought back, which is in its place now.
pub(super) fn settle(target: &Path, id: &ImportId, patience: &Patience) -> Result<()> {
    let _lock = TargetLock::for_recovery(target, id)?;
    places::remove(&places::staging(target, id)?)?;
    if !patience.retry(|| is_marked(target, id))? {
        return Ok(());
    }
    let what = format!("settling import {id} of {}", target.display());
    let live = connection::open(target).map_err(Error::sqlite(&what))?;
    patience::limit_tries(&live).map_err(Error::sqlite(&what))?;
    if let Some(undone) = patience.retry(|| mark::undoes(&live, id).map_err(Error::sqlite(&what)))? {
        places::remove(&places::replaced(target, &undone)?)?;
    }
    patience.retry(|| mark::remove(&live, id).map_err(Error::sqlite(&what)))?;
    cut_log(&live);
    Ok(())
}

/// Moves the log, which a swap makes as long as the database, into the file. Who waits for a reader waits in vain: what is left over
/// is moved by the app's own connections.
fn cut_log(live: &Connection) {
    let checkpoint = |mode| live.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
    // Nobody waits for the first; the second, which lets no writer in, has nothing left to move.
    let cut = checkpoint("PASSIVE").and_then(|()| live.busy_timeout(Duration::ZERO));
    drop(cut.and_then(|()| checkpoint("TRUNCATE")));
}

/// The bytes of what an import replaced.
pub(super) fn replaced_bytes(target: &Path, id: &ImportId) -> Result<Option<u64>> {
    let path = places::replaced(target, id)?;
    match fs::metadata(&path) {
        Ok(file) => Ok(Some(file.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("looking at {}", path.display()))(error)),
    }
}

/// Whether the import's mark is in the database that is there.
fn is_marked(target: &Path, id: &ImportId) -> Result<bool> {
    let live = match connection::open_source(target) {
        Err(Error::NotFound { .. }) => return Ok(false),
        other => other?,
    };
    mark::find(&live, id).map_err(Error::sqlite(format!("reading {}", target.display())))
}
