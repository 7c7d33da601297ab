//! The schema that an import goes into, and what must hold of it and of the login.

use serde::Deserialize;

use super::catalog::Members;
use super::locks::{Key, Span};
use super::quote::ident;
use super::session::Session;
use super::{PostgresAddress, PostgresPlace, pooler, swap};
use crate::{Error, ImportId, Occupancy, Result};

/// Sees that nobody else can make anything in a schema that is there: what an archive's expressions call would be looked for among it.
///
/// # Errors
/// `Setup` naming who can.
async fn refuse_shared(session: &mut Session, schema: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Other {
        name: String,
    }
    const OTHERS: &str = "SELECT pg_get_userbyid(n.nspowner) AS name FROM pg_namespace n JOIN pg_database d ON d.datname = current_database() \
         WHERE n.nspname = $1::text AND CASE pg_get_userbyid(n.nspowner) WHEN 'pg_database_owner' THEN d.datdba ELSE n.nspowner END \
         <> current_user::regrole::oid UNION ALL \
         SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END FROM pg_namespace n, aclexplode(n.nspacl) a \
         WHERE n.nspname = $1::text AND a.privilege_type = 'CREATE' AND a.grantee NOT IN (n.nspowner, current_user::regrole::oid)";
    let others: Vec<Other> = session.fetch(OTHERS, schema, "looking who can use the schema").await?;
    let Some(other) = others.first() else { return Ok(()) };
    let why = format!(
        "it is there already and empty, and {} can make functions in it that the import would run with the service's rights: drop the schema, \
         or take these rights away, or set import_database",
        ident(&other.name)
    );
    Err(Error::Setup { what: format!("schema {}", ident(schema)), why })
}

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
    let Some(schema) = swap::schema_id(session, schema).await? else { return Ok(Occupancy::Missing) };
    let members = Members::read(session, schema).await?;
    Ok(if members.is_empty() { Occupancy::Empty } else { Occupancy::Occupied })
}

/// The login that an archive's SQL runs under.
pub(super) async fn open(place: &PostgresPlace) -> Result<Session> {
    let address = place.import_login();
    let mut session = Session::open(address).await.map_err(no_database)?;
    pooler::check(&mut session, address).await?;
    if place.import_address.is_some() {
        refuse_mighty(&mut session, address, &place.address).await?;
    }
    session.make_commits_last().await?;
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

/// A login that may do everything, or the service's own, would give an archive's code just that; so would one that can become such
/// a login, or run programs on the server.
async fn refuse_mighty(session: &mut Session, import: &PostgresAddress, service: &PostgresAddress) -> Result<()> {
    #[derive(Deserialize)]
    struct Mighty {
        name: String,
    }
    const MIGHTY: &str = "SELECT r.rolname AS name FROM pg_roles r WHERE pg_has_role(session_user, r.oid, 'MEMBER') \
         AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication OR r.rolname = $1::text OR r.rolname IN \
         ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_read_all_data', 'pg_write_all_data')) \
         ORDER BY r.rolname LIMIT 1";
    let mighty: Vec<Mighty> = session.fetch(MIGHTY, service.login(), "looking at the login for imports").await?;
    let Some(mighty) = mighty.first() else { return Ok(()) };
    let why = format!(
        "it has the rights of {}, and code of an archive would run with them: give each app a login that has its own things alone",
        ident(&mighty.name)
    );
    Err(Error::Setup { what: format!("the login {} for imports", ident(import.login())), why })
}

/// Begins the transaction that all of an import happens in, and makes sure of a schema that is empty and that no other import
/// goes to.
///
/// # Errors
/// `NotEmpty`; `Taken` where another import of the app runs; `Denied` where the login may not make the schema.
pub(super) async fn begin(session: &mut Session, place: &PostgresPlace, import: &ImportId) -> Result<Occupancy> {
    let schema = place.schema.as_str();
    session.run("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", "beginning an import").await?;
    Key::App(schema).take(session, Span::Transaction).await?;
    Key::Import(import).take(session, Span::Transaction).await?;
    let found = in_session(session, schema).await?;
    match found {
        Occupancy::Occupied => return Err(not_empty(schema)),
        Occupancy::Empty if place.import_address.is_none() => refuse_shared(session, schema).await?,
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
         AND d.deptype IN ('n', 'a') AND d.classid NOT IN (826, 3079, 6237) AND d.xmin::text::int8 <> pg_current_xact_id()::text::int8 % 4294967296 \
         WHERE n.nspname = $1::text AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classid AND x.objid = d.objid AND x.deptype = 'e')";
    let Others { others } = session.fetch_one(OTHERS, schema, "looking at the schema once more").await?;
    if others == 0 { Ok(()) } else { Err(not_empty(schema)) }
}

fn not_empty(schema: &str) -> Error {
    Error::NotEmpty { what: format!("schema {}", ident(schema)) }
}
