//! What an import has replaced, made ready to come back.

use std::path::Path;

use rusqlite::Connection;

use super::{
    check_target, connection, mark,
    staging::{Claim, Staging},
};
use crate::{Error, Import, ImportId, Occupancy, Result};

/// Claims the target for an undo, and marks what is to come back. That is copied where nothing is to put it into, so that it can be
/// renamed and yet is there until the undo has come through.
///
/// # Errors
/// `NotFound` where it is not there any more; `Taken` where another import runs.
pub(super) fn stage(target: &Path, replaced: &ImportId, import: &Import) -> Result<Staging> {
    let found = check_target(target, import.landing)?;
    let claim = Claim::take(target, import)?;
    let staging = match found {
        Occupancy::Missing => Staging::copy_of_replaced(claim, replaced)?,
        Occupancy::Empty | Occupancy::Occupied => {
            let staging = Staging::replaced(claim, replaced)?;
            let fit = connection::open_source(target).and_then(|live| {
                fit(staging.path(), &live).map_err(Error::sqlite(staging.path().display().to_string()))
            });
            fit.map(|()| staging)?
        }
    };
    // It is always marked: who settles the undo must know what has come back, and an empty database gets its first page.
    mark::make(staging.path(), &import.id, staging.undoes())?;
    Ok(staging)
}

/// Makes it one that can be copied into `live`: without a log of its own and the marks of those who tried before; and where it is
/// empty, with pages of that size.
fn fit(path: &Path, live: &Connection) -> rusqlite::Result<()> {
    let replaced = connection::open(path)?;
    replaced.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    mark::remove_all(&replaced)?;
    let page_bytes =
        |connection: &Connection| connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0));
    let wanted = page_bytes(live)?;
    if page_bytes(&replaced)? != wanted && connection::is_empty(&replaced)? {
        replaced.pragma_update(None, "page_size", wanted)?;
        replaced.execute_batch("VACUUM")?;
    }
    Ok(())
}
