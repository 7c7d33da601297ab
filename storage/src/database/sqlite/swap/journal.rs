//! A swap in a database with a rollback journal: everybody waits.

use rusqlite::{Connection, ErrorCode, backup::Backup};

use super::{
    super::{connection, kept::Kept, patience, patience::Patience},
    Attempt, OnChange, Swap, has_log, version,
};
use crate::Result;

pub(super) fn attempt(
    swap: &Swap,
    source: &Connection,
    kept: &Kept,
    patience: &Patience,
    on_change: OnChange,
) -> Result<Attempt> {
    let mut live = connection::open(&swap.live).map_err(swap.failure())?;
    patience::limit_tries(&live).map_err(swap.failure())?;
    let before = patience.retry(|| version(&live).map_err(swap.failure()))?;
    // One that did not come to an end is made again under the lock.
    let copied = kept.copy_in_pieces(&live, patience)?.then_some(before);
    let locked = loop {
        match lock(&live).map_err(swap.failure())? {
            Some(locked) => break locked,
            None => patience.pause(|| swap.live.display().to_string())?,
        }
    };
    if locked.has_log {
        return Ok(Attempt::Changed);
    }
    if copied != Some(locked.version) {
        match on_change {
            OnChange::GiveUp => return Ok(Attempt::Changed),
            OnChange::CopyAgain => kept.copy(&live)?,
        }
    }
    fill(swap, source, &mut live)?;
    Ok(Attempt::Done)
}

/// What was found under the lock.
struct Locked {
    version: i64,
    has_log: bool,
}

/// Takes a lock that keeps everybody out until the connection is closed. None where somebody has one.
///
/// A backup can't go into a connection that is in a transaction, so the lock must last from one to the next. That is what the
/// exclusive locking mode does; but set before there is a lock, it would also keep the part of one that a failed try got.
fn lock(live: &Connection) -> rusqlite::Result<Option<Locked>> {
    match live.execute_batch("BEGIN EXCLUSIVE") {
        Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy)) => return Ok(None),
        other => other?,
    }
    let locked = Locked { version: version(live)?, has_log: has_log(live)? };
    if !locked.has_log {
        live.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    live.execute_batch("ROLLBACK")?;
    Ok(Some(locked))
}

fn fill(swap: &Swap, source: &Connection, live: &mut Connection) -> Result<()> {
    // The exclusive locking mode would leave the journal there, as long as the old database.
    live.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(())).map_err(swap.failure())?;
    let backup = Backup::new(source, live).map_err(swap.failure())?;
    swap.fill(&backup)?;
    drop(backup);
    // The swap has come through: an empty journal that stays is no reason to say that it has not.
    drop(live.pragma_update(None, "locking_mode", "NORMAL"));
    drop(live.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())));
    Ok(())
}
