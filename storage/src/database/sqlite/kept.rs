//! What an import replaces, put aside beside the target before anything replaces it.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{connection, patience::Patience, places};
use crate::{Error, ImportId, Result};

/// How many pages of a database are copied under one lock, where a lock keeps writers out: milliseconds.
const PAGES_AT_ONCE: i32 = 1024;
/// How often a copy begins anew as somebody writes, before it is left for later.
const NEW_BEGINNINGS: usize = 3;

/// A copy that goes away when this is dropped, unless it was kept.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    is_kept: bool,
}

impl Kept {
    /// An empty database, which is what there is instead of none. Only its owner may read it.
    pub(super) fn create(target: &Path, id: &ImportId) -> Result<Self> {
        let kept = Self { path: places::replaced(target, id)?, is_kept: false };
        kept.clear()?;
        Ok(kept)
    }

    /// Makes it empty.
    fn clear(&self) -> Result<()> {
        places::remove(&self.path)?;
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        made.map(drop).map_err(Error::io(format!("making {}", self.path.display())))
    }

    /// Copies what `live` sees, in one go and under one lock of it.
    pub(super) fn copy(&self, live: &Connection) -> Result<()> {
        let what = || format!("copying to {}", self.path.display());
        let mut copy = self.open()?;
        let step = Backup::new(live, &mut copy).and_then(|backup| backup.step(-1)).map_err(Error::sqlite(what()))?;
        self.close(copy)?;
        match step {
            StepResult::Done => Ok(()),
            _ => Err(Error::Busy { what: what() }),
        }
    }

    /// Copies it in pieces, and lets writers in between them. Says whether it came to an end: it begins anew where somebody
    /// has written.
    pub(super) fn copy_in_pieces(&self, live: &Connection, patience: &Patience) -> Result<bool> {
        let what = || format!("copying to {}", self.path.display());
        let mut copy = self.open()?;
        let (mut left, mut beginnings) = (i32::MAX, 0);
        let backup = Backup::new(live, &mut copy).map_err(Error::sqlite(what()))?;
        while beginnings <= NEW_BEGINNINGS {
            match backup.step(PAGES_AT_ONCE).map_err(Error::sqlite(what()))? {
                StepResult::Done => {
                    drop(backup);
                    return self.close(copy).map(|()| true);
                }
                StepResult::More => {
                    let remaining = backup.progress().remaining;
                    beginnings += usize::from(remaining >= left);
                    left = remaining;
                }
                _ => patience.pause(what)?,
            }
        }
        Ok(false)
    }

    /// A connection that needs no journal: what fails is copied again or taken away.
    fn open(&self) -> Result<Connection> {
        self.clear()?;
        let open = || {
            let connection = connection::open(&self.path)?;
            connection.pragma_update(None, "journal_mode", "OFF")?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            Ok(connection)
        };
        open().map_err(Error::sqlite(format!("opening {}", self.path.display())))
    }

    fn close(&self, copy: Connection) -> Result<()> {
        copy.close().map_err(|(_, error)| Error::sqlite(format!("closing {}", self.path.display()))(error))?;
        places::sync(&self.path)
    }

    /// Leaves it where it is.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.is_kept {
            // For one that stays there is nobody to tell; a roll-back comes.
            drop(places::remove(&self.path));
        }
    }
}
