//! An empty database that an import is copied into.

use std::path::{Path, PathBuf};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::connection;
use crate::{Error, Result};

/// An empty database that nobody else can use until this is dropped, which leaves it as it was found.
#[derive(Debug)]
pub(super) struct LockedTarget {
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
    pub(super) fn lock(path: &Path) -> Result<Self> {
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
    pub(super) fn fill(mut self, from: &Path) -> Result<()> {
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
