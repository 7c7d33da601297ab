//! What imports leave in a database: what became of one after a crash, and the schemas that wait or were replaced.

use serde::Deserialize;

use super::locks::{self, Key, Span};
use super::quote::ident;
use super::session::{Session, TransactionId};
use super::{PostgresDatabase, dependents, names, swap};
use crate::{Error, Import, ImportId, Landing, Result};

/// How many tables are dropped by one transaction: each takes some of the locks that the server has for all.
const TABLES: usize = 500;

/// Whether the commit of an import came through. What still works for it is ended first, so that the answer stays true.
///
/// # Errors
/// `Corrupt` where the mark is not one of ours, `Busy` where the server has forgotten.
pub(super) async fn has_landed(database: &PostgresDatabase, import: &Import, mark: &str) -> Result<bool> {
    let mut session = Session::open(database.place.import_login()).await?;
    locks::end_holder(&mut session, &import.id).await?;
    let has_landed = match import.landing {
        Landing::New => TransactionId::of_mark(mark)?.has_committed(&mut session).await?,
        Landing::Replace => has_swapped(&mut session, mark, &names::replaced(&import.id)).await?,
    };
    session.close().await?;
    Ok(has_landed)
}

/// A swap gives both schemas other names at once. Where neither is there, what waited was rolled back already.
async fn has_swapped(session: &mut Session, mark: &str, replaced: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Found {
        name: String,
    }
    let mark = mark.split_once(' ').and_then(|(waiting, id)| Some((waiting, id.parse::<u32>().ok()?)));
    let Some((waiting, id)) = mark.filter(|(waiting, _)| waiting.starts_with(names::OURS)) else {
        let why = "it does not tell which schema waited".into();
        return Err(Error::Corrupt { what: "the mark of an import".into(), why });
    };
    const NAME: &str = "SELECT nspname AS name FROM pg_namespace WHERE oid = $1::text::oid";
    let found: Vec<Found> = session.fetch(NAME, &id.to_string(), "looking for what waited").await?;
    match found.first() {
        Some(found) => Ok(found.name != waiting),
        None => Ok(swap::schema_id(session, replaced).await?.is_some()),
    }
}

/// Takes away what waits of an import, and ends what still works for it.
pub(super) async fn roll_back(database: &PostgresDatabase, import: &Import) -> Result<()> {
    let Some(mut session) = open(database).await? else { return Ok(()) };
    locks::end_holder(&mut session, &import.id).await?;
    // What the import's end did not bring through the server has undone.
    if import.landing == Landing::Replace {
        drop_schema(&mut session, &names::staging(&import.id)).await?;
    }
    session.close().await
}

/// Takes away what waits of an import whose session has just been dropped, as soon as the server has seen that. Ends nobody, so that it
/// does not stand in the way of a roll-back.
pub(super) async fn tidy(database: &PostgresDatabase, import: &ImportId) -> Result<()> {
    let Some(mut session) = open(database).await? else { return Ok(()) };
    locks::wait_for(&mut session, import).await?;
    drop_schema(&mut session, &names::staging(import)).await?;
    session.close().await
}

/// The bytes of what an import replaced, where it is there.
pub(super) async fn replaced_bytes(database: &PostgresDatabase, import: &ImportId) -> Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Bytes {
        bytes: u64,
    }
    const BYTES: &str = "SELECT (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c WHERE c.relnamespace = n.oid \
         AND c.relkind IN ('r', 'm', 'S')) AS bytes FROM pg_namespace n WHERE n.nspname = $1::text";
    let Some(mut session) = open(database).await? else { return Ok(None) };
    let found: Vec<Bytes> = session.fetch(BYTES, &names::replaced(import), "measuring what was replaced").await?;
    session.close().await?;
    Ok(found.first().map(|found| found.bytes))
}

/// Lets go of what an import replaced.
///
/// # Errors
/// `Taken` where it is just being brought back; `Refused` listing what outside depends on it.
pub(super) async fn drop_replaced(database: &PostgresDatabase, import: &ImportId) -> Result<()> {
    let Some(mut session) = open(database).await? else { return Ok(()) };
    Key::Import(import).take(&mut session, Span::Session).await?;
    drop_schema(&mut session, &names::replaced(import)).await?;
    session.close().await
}

/// A session of the login that made these schemas; none where there is no such database.
async fn open(database: &PostgresDatabase) -> Result<Option<Session>> {
    let mut session = match Session::open(database.place.import_login()).await {
        Err(Error::NotFound { .. }) => return Ok(None),
        session => session?,
    };
    session.make_commits_last().await?;
    Ok(Some(session))
}

/// Drops a schema with all that is in it and nothing that is not. One of many tables goes bit by bit.
async fn drop_schema(session: &mut Session, schema: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Table {
        place: String,
    }
    const SOME: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS place FROM pg_class c JOIN pg_namespace n \
         ON n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p') ORDER BY c.oid";
    let what = format!("dropping schema {}", ident(schema));
    loop {
        session.run("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", &what).await?;
        let Some(id) = swap::schema_id(session, schema).await? else {
            return session.run("COMMIT", &what).await;
        };
        dependents::refuse(session, schema, id).await?;
        let tables: Vec<Table> = session.fetch(&format!("{SOME} LIMIT {TABLES}"), schema, &what).await?;
        let is_last = tables.len() < TABLES;
        let sql = if is_last {
            format!("DROP SCHEMA {} CASCADE", ident(schema))
        } else {
            let places: Vec<_> = tables.into_iter().map(|table| table.place).collect();
            format!("DROP TABLE IF EXISTS {} CASCADE", places.join(", "))
        };
        session.run(&sql, &what).await?;
        session.run("COMMIT", &what).await?;
        if is_last {
            return Ok(());
        }
    }
}
