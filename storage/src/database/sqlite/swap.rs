//! How a database replaces one that others are using: page by page into the file that they have open, in one transaction of it.
//!
//! A rename would not do. Who has the old file open would go on reading and writing what nobody finds any more, and who opens the new
//! one beside the old one's log would play that into it.

use std::path::PathBuf;

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    connection,
    kept::Kept,
    mark,
    patience::Patience,
    space::{self, Sizes},
    staging::Staging,
};
use crate::{Error, ImportId, Result};

mod journal;
mod log;

/// How often the old database is copied while others write, before it is copied while they wait.
const FREE_COPIES: usize = 3;
/// What is copied so quickly that others may as well wait.
const SMALL_BYTES: u64 = 32 << 20;

/// A swap that has been found possible. It has no locks: others go on using the database until it runs.
#[derive(Debug)]
pub(super) struct Swap {
    live: PathBuf,
    source: PathBuf,
    id: ImportId,
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Done,
    /// Somebody holds a lock.
    Busy,
    /// Somebody has written to what had been copied, or has changed the journal's mode.
    Changed,
}

/// What a try does where the old database has changed since it was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnChange {
    GiveUp,
    /// Copies it again while everybody waits.
    CopyAgain,
}

impl Swap {
    /// Checks that the new database can be copied into the one that is there.
    ///
    /// # Errors
    /// `NoSpace`; `Refused` where a log keeps the size of the pages from changing.
    pub(super) fn prepare(staging: &Staging) -> Result<Self> {
        let swap =
            Self { live: staging.target().to_owned(), source: staging.path().to_owned(), id: staging.id().clone() };
        let (new, old) = (swap.measure(&connection::open_source(&swap.source)?)?, swap.look()?);
        if old.has_log && new.page_bytes != old.page_bytes {
            let why =
                format!("its pages have {} bytes, and those of the one there have {}", new.page_bytes, old.page_bytes);
            return Err(Error::refused(format!("the database that is to replace {}", swap.live.display()), why));
        }
        let sizes = Sizes { old_bytes: old.bytes, new_bytes: new.bytes };
        space::check(&swap.live, sizes.needed_bytes(old.has_log))?;
        Ok(swap)
    }

    /// Puts the old database aside and the new one in its place. After an error the old one is in its place, but where the very end
    /// of the transaction failed: then it is left aside as well.
    ///
    /// # Errors
    /// `Busy` where others hold locks for as long as `patience` lasts.
    pub(super) fn run(&self, patience: &Patience) -> Result<()> {
        let source = connection::open_source(&self.source)?;
        let kept = Kept::create(&self.live, &self.id)?;
        let mut copies = 0;
        loop {
            let old = patience.retry(|| self.look())?;
            copies += 1;
            let on_change =
                if old.bytes <= SMALL_BYTES || copies > FREE_COPIES { OnChange::CopyAgain } else { OnChange::GiveUp };
            let attempt = match old.has_log {
                true => log::attempt(self, &source, &kept, patience, on_change),
                false => journal::attempt(self, &source, &kept, patience, on_change),
            };
            match attempt {
                Ok(Attempt::Done) => {
                    kept.keep();
                    return Ok(());
                }
                Ok(Attempt::Changed) => {}
                Ok(Attempt::Busy) => patience.pause(|| self.live.display().to_string())?,
                Err(error) => return self.after(error, &source, kept),
            }
        }
    }

    /// Looks at the database that is there.
    fn look(&self) -> Result<Measure> {
        self.measure(&connection::open_source(&self.live)?)
    }

    /// Copies the pages, once others are kept out.
    fn fill(&self, backup: &Backup<'_, '_>) -> Result<()> {
        match backup.step(-1).map_err(self.failure())? {
            StepResult::Done => Ok(()),
            _ => Err(Error::Busy { what: self.live.display().to_string() }),
        }
    }

    /// What an error left. The end of a transaction can fail and yet come through; only the mark tells.
    fn after(&self, error: Error, source: &Connection, kept: Kept) -> Result<()> {
        if !mark::find(source, &self.id).unwrap_or(false) {
            // Nothing can tell. What is aside for no reason takes space, and nothing else.
            kept.keep();
            return Err(error);
        }
        let live = connection::open_source(&self.live);
        match live.and_then(|live| mark::find(&live, &self.id).map_err(self.failure())) {
            Ok(false) => Err(error),
            Ok(true) => {
                kept.keep();
                Ok(())
            }
            Err(_) => {
                kept.keep();
                Err(error)
            }
        }
    }

    fn measure(&self, connection: &Connection) -> Result<Measure> {
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let read = || {
            let (page_bytes, pages) = (number("page_size")?, number("page_count")?);
            let bytes = u64::from(page_bytes).saturating_mul(pages.into());
            Ok(Measure { page_bytes, bytes, has_log: has_log(connection)? })
        };
        read().map_err(self.failure())
    }

    fn failure(&self) -> impl FnOnce(rusqlite::Error) -> Error {
        Error::sqlite(format!("replacing {}", self.live.display()))
    }
}

/// How large a database is, and how it is written.
struct Measure {
    page_bytes: u32,
    bytes: u64,
    has_log: bool,
}

/// Whether the database is in WAL mode, as its transaction of now sees it.
fn has_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.pragma_query_value(None, "journal_mode", |row| Ok(row.get_ref(0)?.as_str()? == "wal"))
}

/// A number that is another once anybody else has committed something.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}
