//! The swap of two schemas, in one short transaction: the app that is there gets the name of what was replaced, and the one that waits
//! the app's.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::quote::ident;
use super::session::{Session, TransactionId};
use super::stage::rename;
use super::{PostgresAddress, PostgresDatabase, dependents, names, readers};
use crate::{Error, Import, Result};

/// How long our lock may be waited for, and so how long it may keep others waiting. Less than the second after which the server looks for
/// deadlocks, so that it is never somebody else who is ended for one.
const LOCK_MS: u32 = 900;
/// How long each of the few things may take that are done under the locks.
const CHECK_MS: u32 = 900;
/// The pause after the first attempt, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(2));

/// How long a swap waits for others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For readers whose view is older than what was loaded.
    pub(super) readers: Duration,
    /// For locks, over all attempts.
    pub(super) locks: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { readers: Duration::from_secs(30), locks: Duration::from_secs(60) }
    }
}

/// Two schemas that are to be swapped.
pub(super) struct Swap {
    address: PostgresAddress,
    schema: String,
    /// The app that is there, by its OID.
    live: Option<u32>,
    /// The name of what waits.
    waiting: String,
    /// The name that the app that is there will have.
    replaced: String,
    /// What waits was loaded by it.
    loaded: Option<TransactionId>,
    patience: Patience,
}

/// How an attempt ended without an error.
enum Attempt {
    Swapped,
    /// Somebody was in the way.
    Blocked,
}

impl Swap {
    /// What waits under a name is to come in the place of the app that is there, if one is.
    pub(super) fn new(database: &PostgresDatabase, waiting: String, import: &Import, live: Option<u32>) -> Self {
        let (place, patience) = (&database.place, database.patience);
        let (address, schema) = (place.import_login().clone(), place.schema.clone());
        Self { address, schema, live, waiting, replaced: names::replaced(&import.id), loaded: None, patience }
    }

    /// Remembers the transaction that loads what waits: its rows are there for whoever looks, even for a view from before it.
    pub(super) fn loaded_by(&mut self, transaction: TransactionId) {
        self.loaded = Some(transaction);
    }

    /// Whether an app is there.
    pub(super) const fn replaces(&self) -> bool {
        self.live.is_some()
    }

    /// The name of what waits.
    pub(super) fn waiting(&self) -> &str {
        &self.waiting
    }

    /// What will tell whether it came through: the name of what waits, and its OID, under which it is found by any name.
    pub(super) async fn mark(&self, session: &mut Session) -> Result<String> {
        match schema_id(session, &self.waiting).await? {
            Some(id) => Ok(format!("{} {id}", self.waiting)),
            None => Err(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        Error::NotFound { what: format!("schema {}", ident(&self.waiting)) }
    }

    /// Sees that both are still what they were, and that nothing outside depends on the one that goes.
    ///
    /// # Errors
    /// `NotFound` where what waits has gone, `Busy` where the app is another, `Refused` listing what depends on it.
    pub(super) async fn check(&self, session: &mut Session) -> Result<()> {
        if schema_id(session, &self.waiting).await?.is_none() {
            return Err(self.gone());
        }
        if schema_id(session, &self.schema).await? != self.live {
            let what = format!("schema {}, which was made, renamed or replaced meanwhile,", ident(&self.schema));
            return Err(Error::Busy { what });
        }
        match self.live {
            Some(id) => dependents::refuse(session, &self.schema, id).await,
            None => Ok(()),
        }
    }

    /// Swaps them. Readers of the app wait for less than two seconds; nobody's transaction is ended.
    ///
    /// # Errors
    /// Those of [`Swap::check`]; `Busy` naming who reads what is older than what waits, or holds the app's tables. Then nothing has changed.
    pub(super) async fn run(&self, session: &mut Session) -> Result<()> {
        if let Some(loaded) = &self.loaded {
            readers::wait_for_older(session, loaded, self.patience.readers).await?;
        }
        let end = Instant::now() + self.patience.locks;
        let mut pause = PAUSES.0;
        let mut holders = Vec::new();
        loop {
            if matches!(self.attempt(session).await?, Attempt::Swapped) {
                return Ok(());
            }
            let now = readers::holders(session, self.live.unwrap_or_default()).await?;
            holders = if now.is_empty() { holders } else { now };
            let wait = jittered(pause)?;
            if Instant::now() + wait >= end {
                return Err(readers::busy(&format!("the tables of schema {}", ident(&self.schema)), &holders));
            }
            tokio::time::sleep(wait).await;
            pause = (pause + pause / 2).min(PAUSES.1);
        }
    }

    async fn attempt(&self, session: &mut Session) -> Result<Attempt> {
        let tables = self.tables(session).await?;
        session.run("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", "beginning a swap").await?;
        let error = match self.under_locks(session, &tables).await {
            Ok(true) => return self.commit(session).await,
            Ok(false) => None,
            Err(error) if is_of_the_moment(&error) => None,
            Err(error) => Some(error),
        };
        session.run("ROLLBACK", "giving up a swap for now").await?;
        error.map_or(Ok(Attempt::Blocked), Err)
    }

    /// Everything but the commit. Gives whether it was done.
    async fn under_locks(&self, session: &mut Session, tables: &[Table]) -> Result<bool> {
        lock(session, tables).await?;
        limit(session, CHECK_MS).await?;
        if self.tables(session).await? != tables {
            return Ok(false);
        }
        self.check(session).await?;
        match self.live {
            Some(_) => rename(session, &self.schema, &self.replaced).await?,
            // The mark that it came through, and what an undo brings back.
            None => session.run(&format!("CREATE SCHEMA {}", ident(&self.replaced)), "making the schema").await?,
        }
        rename(session, &self.waiting, &self.schema).await?;
        Ok(true)
    }

    async fn commit(&self, session: &mut Session) -> Result<Attempt> {
        let transaction = session.transaction().await?;
        transaction.commit(session, &self.address).await.map(|()| Attempt::Swapped)
    }

    /// The tables and materialized views of the app that is there, in an order that is everybody's.
    async fn tables(&self, session: &mut Session) -> Result<Vec<Table>> {
        const TABLES: &str = "SELECT c.oid::int8 AS id, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS place, \
             CASE c.relkind WHEN 'm' THEN pg_get_userbyid(c.relowner) END AS view_of FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relnamespace = $1::text::oid AND c.relkind IN ('r', 'p', 'm') ORDER BY c.oid";
        let live = self.live.unwrap_or_default().to_string();
        session.fetch(TABLES, &live, "listing the tables that are replaced").await
    }
}

#[derive(Deserialize, PartialEq, Eq)]
struct Table {
    id: u32,
    place: String,
    /// The owner, of a materialized view.
    view_of: Option<String>,
}

/// Locks all of them against everybody, within the time for locks. Whoever reads views on the way to tables can go on meanwhile.
async fn lock(session: &mut Session, tables: &[Table]) -> Result<()> {
    const WHAT: &str = "locking the tables that are replaced";
    let end = Instant::now() + Duration::from_millis(LOCK_MS.into());
    for table in tables {
        let Some(owner) = &table.view_of else { continue };
        limit(session, left(end)).await?;
        // LOCK takes no materialized views. This takes the lock and changes nothing.
        session.run(&format!("ALTER MATERIALIZED VIEW {} OWNER TO {}", table.place, ident(owner)), WHAT).await?;
    }
    let names: Vec<_> = tables.iter().filter(|table| table.view_of.is_none()).map(|table| &table.place).collect();
    if names.is_empty() {
        return Ok(());
    }
    limit(session, left(end)).await?;
    let names: Vec<_> = names.into_iter().map(|name| format!("ONLY {name}")).collect();
    session.run(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", ")), WHAT).await
}

/// The milliseconds until then; at least one, as none would be for ever.
fn left(end: Instant) -> u32 {
    let left = end.saturating_duration_since(Instant::now()).as_millis();
    u32::try_from(left).unwrap_or(LOCK_MS).max(1)
}

/// A schema's OID, where it is there.
pub(super) async fn schema_id(session: &mut Session, schema: &str) -> Result<Option<u32>> {
    #[derive(Deserialize)]
    struct Found {
        id: u32,
    }
    const SCHEMA: &str = "SELECT oid::int8 AS id FROM pg_namespace WHERE nspname = $1::text";
    let found: Vec<Found> = session.fetch(SCHEMA, schema, "looking for a schema").await?;
    Ok(found.first().map(|found| found.id))
}

/// Ends each statement of the transaction after a while, whether it waits or works.
async fn limit(session: &mut Session, milliseconds: u32) -> Result<()> {
    session.run(&format!("SET LOCAL lock_timeout = {milliseconds}"), "limiting a swap").await?;
    session.run(&format!("SET LOCAL statement_timeout = {milliseconds}"), "limiting a swap").await
}

/// Whether another attempt may do: a lock or its time was not had, a deadlock was ended, a table has just gone.
fn is_of_the_moment(error: &Error) -> bool {
    let codes = ["[57014]", "[40P01]", "[42P01]", "[3F000]"];
    match error {
        // Of the server's own, and not of what has become another app.
        Error::Busy { what } => !what.starts_with("schema "),
        Error::Postgres { why, .. } => codes.iter().any(|code| why.ends_with(code)),
        _ => false,
    }
}

/// A pause of three quarters to five quarters, so that two who wait for each other do not meet again.
fn jittered(pause: Duration) -> Result<Duration> {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_err(Error::io("reading random bytes from the operating system"))?;
    let [byte] = byte;
    Ok(pause * 3 / 4 + pause / 2 * u32::from(byte) / 255)
}
