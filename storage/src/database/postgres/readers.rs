//! Who is in the way of a swap: readers whose view is older than what they would find, and holders of tables.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::session::{Session, TransactionId};
use crate::{Error, Result};

/// How often it is looked whether they have gone.
const PAUSE: Duration = Duration::from_millis(100);
/// How many are named in a message.
const SHOWN: usize = 5;

/// A process of the server in a transaction.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Process {
    pid: Option<i64>,
    /// None where the login may not see it.
    login: Option<String>,
    application: Option<String>,
    since: Option<String>,
    /// What the server calls its transaction.
    transaction: String,
}

/// Who has a view from before a transaction, and so takes its rows, which are frozen, for older than they are: a view with one old
/// table and one new would be of no moment that ever was. Those who came after it, and only know of another that is older still and goes on,
/// are told apart by what was open at its end: nobody takes an older view later.
///
/// # Errors
/// `Busy` naming them, once the time is over.
pub(super) async fn wait_for_older(session: &mut Session, loaded: &TransactionId, patience: Duration) -> Result<()> {
    let end = Instant::now() + patience;
    let mut older = older(session, loaded).await?;
    while !older.is_empty() {
        if Instant::now() >= end {
            return Err(busy("what the import replaces", &older));
        }
        tokio::time::sleep(PAUSE).await;
        let now = self::older(session, loaded).await?;
        older.retain(|process| now.iter().any(|one| one.transaction == process.transaction));
    }
    Ok(())
}

/// The transactions of this database whose view may be from before another.
async fn older(session: &mut Session, loaded: &TransactionId) -> Result<Vec<Process>> {
    const OLDER: &str = "SELECT a.pid::int8 AS pid, a.usename AS login, a.application_name AS application, \
         to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS') || ' UTC' AS since, l.virtualtransaction AS transaction \
         FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'virtualxid' AND l.granted AND l.virtualtransaction = l.virtualxid \
         JOIN pg_database d ON d.oid = a.datid AND d.datname = current_database() \
         WHERE a.pid <> pg_backend_pid() AND a.backend_type NOT IN ('autovacuum worker', 'walsender') \
         AND a.backend_xmin IS NOT NULL AND age(a.backend_xmin) >= age($1::text::xid8::xid)";
    session.fetch(OLDER, loaded.as_str(), "looking for readers").await
}

/// Who holds tables of a schema, or waits for them before us.
pub(super) async fn holders(session: &mut Session, schema: u32) -> Result<Vec<Process>> {
    const HOLDERS: &str = "SELECT DISTINCT l.pid::int8 AS pid, a.usename AS login, a.application_name AS application, \
         to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS') || ' UTC' AS since, l.virtualtransaction AS transaction \
         FROM pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE c.relnamespace = $1::text::oid AND c.relkind IN ('r', 'p', 'm') AND l.granted AND l.locktype = 'relation' \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid IS DISTINCT FROM pg_backend_pid()";
    session.fetch(HOLDERS, &schema.to_string(), "looking who holds tables").await
}

/// Something that others are using.
pub(super) fn busy(what: &str, processes: &[Process]) -> Error {
    let named: Vec<_> = processes.iter().take(SHOWN).map(Process::to_string).collect();
    let more = if processes.len() > SHOWN { " and others" } else { "" };
    match named.as_slice() {
        [] => Error::Busy { what: what.to_owned() },
        named => Error::Busy { what: format!("{what}, held by {}{more},", named.join("; ")) },
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(pid) = self.pid else { return f.write_str("a prepared transaction (see pg_prepared_xacts)") };
        write!(f, "process {pid}")?;
        let login = self.login.as_deref().unwrap_or("?");
        let application = self.application.as_deref().filter(|name| !name.is_empty()).unwrap_or("?");
        write!(f, " of login {login:?}, application {application:?}")?;
        match &self.since {
            Some(since) => write!(f, ", in a transaction since {since}"),
            None => Ok(()),
        }
    }
}
