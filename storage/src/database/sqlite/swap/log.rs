//! A swap in a database with a write-ahead log: readers go on with what they see, and writers wait.

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    super::{connection, kept::Kept, patience, patience::Patience},
    Attempt, OnChange, Swap, version,
};
use crate::Result;

pub(super) fn attempt(
    swap: &Swap,
    source: &Connection,
    kept: &Kept,
    patience: &Patience,
    on_change: OnChange,
) -> Result<Attempt> {
    // As long as it is open, nobody can take the log away.
    let reader = connection::open_source(&swap.live)?;
    let copied = version(&reader).map_err(swap.failure())?;
    kept.copy(&reader)?;
    let mut writer = connection::open(&swap.live).map_err(swap.failure())?;
    loop {
        match locked(swap, source, &mut writer, &reader, kept, copied, on_change)? {
            Attempt::Busy => patience.pause(|| swap.live.display().to_string())?,
            other => return Ok(other),
        }
    }
}

/// The part while writers wait: the copy that was made is the last state, or becomes it, and the swap.
fn locked(
    swap: &Swap,
    source: &Connection,
    writer: &mut Connection,
    reader: &Connection,
    kept: &Kept,
    copied: i64,
    on_change: OnChange,
) -> Result<Attempt> {
    patience::limit_tries(writer).map_err(swap.failure())?;
    let backup = Backup::new(source, writer).map_err(swap.failure())?;
    // No page is copied yet, but the destination is locked from here to the end of the backup.
    match backup.step(0).map_err(swap.failure())? {
        StepResult::More => {}
        _ => return Ok(Attempt::Busy),
    }
    if version(reader).map_err(swap.failure())? != copied {
        match on_change {
            OnChange::GiveUp => return Ok(Attempt::Changed),
            OnChange::CopyAgain => kept.copy(reader)?,
        }
    }
    swap.fill(&backup)?;
    Ok(Attempt::Done)
}
