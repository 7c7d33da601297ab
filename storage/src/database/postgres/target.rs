//! The schema that an import goes into, and what must hold of it and of the login.

use serde::Deserialize;

use super::catalog::Members;
use super::quote::ident;
use super::session::Session;
use super::{PostgresAddress, PostgresPlace};
use crate::{Error, Occupancy, Result};

/// What is at an app's place.
pub(super) async fn occupancy(place: &PostgresPlace) -> Result<Occupancy> {
    let mut session = match Session::open(&place.address).await {
        Err(Error::NotFound { .. }) => return Ok(Occupancy::Missing),
        session => session?,
    };
    let found = in_session(&mut session, &place.schema).await?;
    session.close().await?;
    Ok(found)
}

async fn in_session(session: &mut Session, schema: &str) -> Result<Occupancy> {
    #[derive(Deserialize)]
    struct Found {
        id: u32,
    }
    const SCHEMA: &str = "SELECT oid::int8 AS id FROM pg_namespace WHERE nspname = $1::text";
    let found: Vec<Found> = session.fetch(SCHEMA, schema, "looking for a schema").await?;
    let Some(schema) = found.first() else { return Ok(Occupancy::Missing) };
    let members = Members::read(session, schema.id).await?;
    Ok(if members.is_empty() { Occupancy::Empty } else { Occupancy::Occupied })
}

/// The login that an archive's SQL runs under.
pub(super) async fn open(place: &PostgresPlace) -> Result<Session> {
    let Some(import) = &place.import_address else { return Session::open(&place.address).await.map_err(no_database) };
    let mut session = Session::open(import).await.map_err(no_database)?;
    refuse_mighty(&mut session, import, &place.address).await?;
    Ok(session)
}

/// A database is nothing that a transaction could make.
fn no_database(error: Error) -> Error {
    match error {
        Error::NotFound { what } => {
            Error::Setup { what, why: "it is not there: make it first, empty, and import then".into() }
        }
        error => error,
    }
}

/// A login that may do everything, or the service's own, would give an archive's code just that.
async fn refuse_mighty(session: &mut Session, import: &PostgresAddress, service: &PostgresAddress) -> Result<()> {
    #[derive(Deserialize)]
    struct Login {
        is_mighty: bool,
    }
    const LOGIN: &str =
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole AS is_mighty FROM pg_roles WHERE rolname = session_user";
    let Login { is_mighty } = session.fetch_one(LOGIN, "", "looking at the login for imports").await?;
    let why = match (is_mighty, import.login() == service.login()) {
        (true, _) => {
            "it is a superuser, or may pass over row-level security or make roles: code of an archive would run with these rights"
        }
        (_, true) => "it is the service's own login: leave import_database out, or give each app a login of its own",
        _ => return Ok(()),
    };
    Err(Error::Setup { what: format!("the login {} for imports", ident(import.login())), why: why.into() })
}

/// Begins the transaction that all of an import happens in, and makes sure of a schema that is empty and that no other import
/// goes to.
///
/// # Errors
/// `NotEmpty`; `Busy` where another import of the app runs; `Denied` where the login may not make the schema.
pub(super) async fn begin(session: &mut Session, schema: &str) -> Result<Occupancy> {
    #[derive(Deserialize)]
    struct Lock {
        is_ours: bool,
    }
    const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('coffer import ' || $1::text, 0)) AS is_ours";
    session.run("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", "beginning an import").await?;
    let lock: Lock = session.fetch_one(LOCK, schema, "locking the app").await?;
    if !lock.is_ours {
        return Err(Error::Busy { what: format!("schema {}: another import of it runs, so that it", ident(schema)) });
    }
    let found = in_session(session, schema).await?;
    match found {
        Occupancy::Occupied => return Err(not_empty(schema)),
        Occupancy::Empty => {}
        Occupancy::Missing => {
            session.run(&format!("CREATE SCHEMA {}", ident(schema)), "making the schema").await.map_err(needs_create)?
        }
    }
    Ok(found)
}

fn needs_create(error: Error) -> Error {
    match error {
        Error::Denied { what, why } => Error::Denied {
            what,
            why: format!(
                "{why}: grant CREATE on the database to the login, or make the schema first, with the login as its owner"
            ),
        },
        error => error,
    }
}

/// Refuses a schema in which somebody else has made something since the import began.
pub(super) async fn check_still_ours(session: &mut Session, schema: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Others {
        others: i64,
    }
    const OTHERS: &str = "SELECT count(*) AS others FROM pg_namespace n JOIN pg_depend d ON d.refclassid = 2615 AND d.refobjid = n.oid \
         AND d.deptype IN ('n', 'a') AND d.classid IN (1247, 1255, 1259) AND d.xmin::text::int8 <> pg_current_xact_id()::text::int8 % 4294967296 \
         WHERE n.nspname = $1::text AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classid AND x.objid = d.objid AND x.deptype = 'e')";
    let Others { others } = session.fetch_one(OTHERS, schema, "looking at the schema once more").await?;
    if others == 0 { Ok(()) } else { Err(not_empty(schema)) }
}

fn not_empty(schema: &str) -> Error {
    Error::NotEmpty { what: format!("schema {}", ident(schema)) }
}
