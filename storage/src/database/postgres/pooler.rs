//! Finds out whether a pooler lends one server session to several clients, so that what is set in it is not ours.

use serde::Deserialize;

use super::PostgresAddress;
use super::session::Session;
use crate::{Error, Result};

#[derive(Deserialize)]
struct Process {
    pid: i64,
}

/// Refuses a pooler in transaction or statement mode: while our session stands, no other may be served by the same process.
///
/// # Errors
/// `Setup` where one is.
pub(super) async fn check(session: &mut Session, address: &PostgresAddress) -> Result<()> {
    let ours = process(session).await?;
    let mut other = Session::open(address).await?;
    let theirs = process(&mut other).await?;
    let again = process(session).await?;
    other.close().await?;
    if theirs != ours && theirs != again && ours == again {
        return Ok(());
    }
    let why = "it is a pooler that shares sessions between transactions: give the address of the database itself, or of a pool in session \
               mode";
    Err(Error::Setup { what: address.to_string(), why: why.into() })
}

async fn process(session: &mut Session) -> Result<i64> {
    let Process { pid } = session.fetch_one("SELECT pg_backend_pid()::int8 AS pid", "", "looking for a pooler").await?;
    Ok(pid)
}
