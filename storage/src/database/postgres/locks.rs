//! Advisory locks: one for each app, which keeps a second import out, and one for each import, which tells whoever comes after a crash
//! which of the server's processes is its own.

use std::time::Duration;

use serde::Deserialize;

use super::quote::ident;
use super::session::Session;
use crate::{Error, ImportId, Result};

/// How often a process is told to end before it is left alone, and how long to wait in between.
const ENDINGS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(50);

/// What is locked.
#[derive(Clone, Copy)]
pub(super) enum Key<'a> {
    /// The app in a schema.
    App(&'a str),
    /// An import, and what bears its name.
    Import(&'a ImportId),
}

/// How long a lock is held.
#[derive(Clone, Copy)]
pub(super) enum Span {
    /// Until the transaction ends.
    Transaction,
    /// Until the connection ends.
    Session,
}

impl Key<'_> {
    /// The text that the lock's number is made of.
    fn text(self) -> String {
        match self {
            Self::App(schema) => format!("coffer import {schema}"),
            Self::Import(import) => format!("coffer import of id {import}"),
        }
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// `Taken` where somebody else has it.
    pub(super) async fn take(self, session: &mut Session, span: Span) -> Result<()> {
        if self.try_take(session, span).await? {
            return Ok(());
        }
        let what = match self {
            Self::App(schema) => format!("schema {}", ident(schema)),
            Self::Import(import) => format!("what import {import} left"),
        };
        Err(Error::Taken { what })
    }

    async fn try_take(self, session: &mut Session, span: Span) -> Result<bool> {
        #[derive(Deserialize)]
        struct Lock {
            is_ours: bool,
        }
        let sql = match span {
            Span::Transaction => "SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 0)) AS is_ours",
            Span::Session => "SELECT pg_try_advisory_lock(hashtextextended($1::text, 0)) AS is_ours",
        };
        let Lock { is_ours } = session.fetch_one(sql, &self.text(), "locking the app").await?;
        Ok(is_ours)
    }

    /// Whether this session has the lock.
    pub(super) async fn is_held(self, session: &mut Session) -> Result<bool> {
        #[derive(Deserialize)]
        struct Held {
            is_ours: bool,
        }
        const HELD: &str = "SELECT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.pid = pg_backend_pid() \
             AND l.objsubid = 1 AND (l.classid::int8 << 32 | l.objid::int8) = hashtextextended($1::text, 0)) AS is_ours";
        let Held { is_ours } = session.fetch_one(HELD, &self.text(), "looking at the app's lock").await?;
        Ok(is_ours)
    }
}

/// Takes an import's lock until this session ends, once nobody has it.
///
/// # Errors
/// `Taken` where somebody keeps it.
pub(super) async fn wait_for(session: &mut Session, import: &ImportId) -> Result<()> {
    let key = Key::Import(import);
    for _ in 0..ENDINGS {
        if key.try_take(session, Span::Session).await? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    key.take(session, Span::Session).await
}

/// Ends the process of the server that still works for an import whose client has died, and keeps the import's lock until this session
/// ends. What that process was about to commit has then come through or has not, for good.
///
/// # Errors
/// `Busy` where it does not end; `Denied` where it is another login's.
pub(super) async fn end_holder(session: &mut Session, import: &ImportId) -> Result<()> {
    #[derive(Deserialize)]
    struct Ended {
        pid: i64,
    }
    const END: &str = "SELECT l.pid::int8 AS pid, pg_terminate_backend(l.pid) AS told FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid() \
         AND l.objsubid = 1 AND (l.classid::int8 << 32 | l.objid::int8) = hashtextextended($1::text, 0)";
    let key = Key::Import(import);
    let mut pids = Vec::new();
    for _ in 0..ENDINGS {
        if key.try_take(session, Span::Session).await? {
            return Ok(());
        }
        let ended: Vec<Ended> = session.fetch(END, &key.text(), "ending what is left of an import").await?;
        pids = ended.into_iter().map(|ended| ended.pid).collect();
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::Busy { what: format!("import {import}, for which the server's processes {pids:?} still work,") })
}
