//! What of ours stands beside a database, and how it goes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::connection::with_suffix;
use crate::{Error, ImportId, Result, sibling};

/// What SQLite puts beside a file.
const SUFFIXES: [&str; 4] = ["-wal", "-shm", "-journal", ""];

/// The new database while it waits.
pub(super) fn staging(target: &Path, id: &ImportId) -> Result<PathBuf> {
    sibling::beside_as(target, id.as_str())
}

/// What an import has replaced.
pub(super) fn replaced(target: &Path, id: &ImportId) -> Result<PathBuf> {
    sibling::beside_as(target, &format!("replaced-{id}"))
}

/// The file whose lock keeps a second import out.
pub(super) fn lock(target: &Path) -> Result<PathBuf> {
    sibling::beside_as(target, "lock")
}

/// Takes a database away that nobody has open. Nothing being there is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    SUFFIXES.iter().try_for_each(|suffix| {
        let path = with_suffix(path, suffix);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", path.display()))(error))
            }
            _ => Ok(()),
        }
    })
}

/// Makes a file last, and its name. It must be one that no connection of this process has open: closing it here would drop their
/// locks.
pub(super) fn sync(path: &Path) -> Result<()> {
    let file = fs::File::open(path).and_then(|file| file.sync_all());
    file.map_err(Error::io(format!("syncing {}", path.display())))?;
    sibling::sync_parent(path)
}
