//! One moment of a schema: its tables locked, then a transaction that sees them all as of one instant.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::catalog::{self, Catalog};
use super::quote::ident;
use super::session::Session;
use super::{PostgresPlace, PostgresScope, pooler};
use crate::{Error, Result};

/// How often tables may be swapped under an export's hands before it gives up.
const ATTEMPTS: u32 = 5;
/// How many tables one statement locks.
const LOCKS: usize = 500;

/// Plans that go by index: a schema's part of catalogs that hold thousands of schemas.
const PLANS: &[&str] = &["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material"];

#[derive(Deserialize)]
struct Table {
    id: u32,
    name: String,
    schema: String,
}

/// Opens a snapshot of a schema, and reads its structure in it.
///
/// # Errors
/// `NotFound`; `Denied` naming a table that the login may not read, or not all of; `Busy` where tables are locked for long, or
/// are replaced again and again; `Setup` behind a pooler that shares a session between transactions.
pub(super) async fn open(place: &PostgresPlace) -> Result<(Session, Catalog)> {
    let (address, schema) = (&place.address, place.schema.as_str());
    let mut session = Session::open(address).await?;
    session.read_tables_alone(address).await?;
    pooler::check(&mut session, address).await?;
    for attempt in 1..=ATTEMPTS {
        if let Some(mut catalog) = try_open(&mut session, schema).await? {
            refuse_hidden_rows(&mut session, &catalog).await?;
            if place.scope == PostgresScope::Database {
                catalog.beside = catalog::beside(&mut session, schema).await?;
                catalog.extensions = catalog::extensions(&mut session).await?;
            }
            return Ok((session, catalog));
        }
        session.run("ROLLBACK", "starting a snapshot again").await?;
        tokio::time::sleep(Duration::from_millis(100) * attempt).await;
    }
    Err(Error::Busy { what: format!("schema {}, whose tables are replaced again and again,", ident(schema)) })
}

/// Locks first and looks then: a table whose lock is held can't be replaced, emptied or rewritten, so that what the snapshot
/// says of it stays true.
async fn try_open(session: &mut Session, schema: &str) -> Result<Option<Catalog>> {
    let before = tables(session, schema).await?;
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", "beginning a snapshot").await?;
    if !lock(session, &before).await? {
        return Ok(None);
    }
    for plan in PLANS {
        session.run(&format!("SET LOCAL {plan} = off"), "planning").await?;
    }
    let catalog = Catalog::read(session, schema).await?;
    let now = catalog.relations.iter().filter(|relation| relation.kind == "r" || relation.kind == "p");
    let now: BTreeMap<_, _> = now.map(|relation| (relation.name.as_str(), relation.id)).collect();
    let before: BTreeMap<_, _> = before.iter().map(|table| (table.name.as_str(), table.id)).collect();
    Ok((now == before).then_some(catalog))
}

/// Sees that what was read by name was the schema's own: its tables are locked, its name is not. Whatever a transaction reads it has
/// locked until its end, so that a look at its locks tells of a schema that was swapped for another, and back too: there is a lock on a
/// relation of another, of a name that was read.
///
/// # Errors
/// `Busy` where it was.
pub(super) async fn check_was_the_same(session: &mut Session, schema: &str, own: &Own) -> Result<()> {
    #[derive(Deserialize)]
    struct Same {
        is_same: bool,
    }
    const SAME: &str = "SELECT to_regnamespace(quote_ident(p.parts ->> 0))::oid = (p.parts ->> 1)::oid IS TRUE AND NOT EXISTS ( \
         SELECT FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' \
         AND l.relation >= 16384 AND coalesce(c.relkind, 'r') NOT IN ('i', 'I', 't') \
         AND (c.relname IS NULL OR c.relname IN (SELECT n.name FROM json_array_elements_text(p.parts -> 3) n(name))) \
         AND l.relation NOT IN (SELECT r.id::oid FROM json_array_elements_text(p.parts -> 2) r(id))) AS is_same \
         FROM (SELECT $1::text::json AS parts) p";
    let parameter = serde_json::json!([schema, own.schema, own.relations, own.names]).to_string();
    let Same { is_same } = session.fetch_one(SAME, &parameter, "looking at the schema once more").await?;
    if is_same {
        return Ok(());
    }
    Err(Error::Busy { what: format!("schema {}, which was renamed or replaced while it was read,", ident(schema)) })
}

/// What an export may read.
pub(super) struct Own {
    schema: u32,
    relations: Vec<u32>,
    names: Vec<String>,
}

impl Own {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let names = catalog.relations.iter().map(|relation| relation.name.clone()).collect();
        let relations = catalog.relations.iter().map(|relation| relation.id).collect();
        Self { schema: catalog.schema_id, relations, names }
    }
}

async fn tables(session: &mut Session, schema: &str) -> Result<Vec<Table>> {
    const TABLES: &str = "SELECT c.oid::int8 AS id, c.relname AS name, n.nspname AS schema FROM pg_namespace n \
         JOIN pg_depend d ON d.refclassid = 2615 AND d.refobjid = n.oid AND d.classid = 1259 AND d.deptype = 'n' \
         JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p') \
         WHERE n.nspname = $1::text AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 1259 AND x.objid = c.oid AND x.deptype = 'e')";
    session.fetch(TABLES, schema, "listing tables").await
}

/// Tells whether all are locked; not where one has gone.
async fn lock(session: &mut Session, tables: &[Table]) -> Result<bool> {
    for some in tables.chunks(LOCKS) {
        let names: Vec<_> =
            some.iter().map(|table| format!("ONLY {}.{}", ident(&table.schema), ident(&table.name))).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        match session.run(&sql, "locking tables for reading").await {
            Ok(()) => {}
            Err(Error::Postgres { why, .. }) if why.ends_with("[42P01]") || why.ends_with("[3F000]") => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Rows that a policy hides would be missing in silence.
async fn refuse_hidden_rows(session: &mut Session, catalog: &Catalog) -> Result<()> {
    #[derive(Deserialize)]
    struct Hidden {
        name: String,
    }
    const HIDDEN: &str = "SELECT c.relname AS name FROM pg_class c WHERE c.oid = ANY ($1::text::oid[]) AND row_security_active(c.oid) \
         ORDER BY c.relname";
    let secured = catalog.relations.iter().filter(|relation| relation.row_security).map(|relation| relation.id);
    let secured = catalog::oids(secured);
    let hidden: Vec<Hidden> = session.fetch(HIDDEN, &secured, "looking for row-level security").await?;
    if hidden.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = hidden.iter().map(|table| table.name.as_str()).collect();
    Err(Error::Denied {
        what: format!("reading {}", names.join(", ")),
        why: "row-level security would hide rows from this login: give it BYPASSRLS, or let it be the tables' owner without FORCE"
            .into(),
    })
}
