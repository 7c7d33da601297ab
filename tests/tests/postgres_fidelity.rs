//! What comes back is what was there: schemas of PostgreSQL through the real binary, `pg_dump` and COPY as the judges.

#[path = "postgres_fidelity/fixtures.rs"]
mod fixtures;
#[path = "postgres_fidelity/moment.rs"]
mod moment;
#[path = "postgres_fidelity/names.rs"]
mod names;
#[path = "postgres_fidelity/sink.rs"]
mod sink;
#[path = "postgres_fidelity/values.rs"]
mod values;

use anyhow::Result;
use coffer_tests::postgres::{Crm, Db, Postgres};

/// Everything an archive of one's own may bring.
const ALL: [&str; 2] = ["--allow-code", "--rewrite-bodies"];

fn crm<'a>(db: &'a Db<'a>) -> Result<Crm<'a>> {
    Crm::new(env!("CARGO_BIN_EXE_coffer"), db)
}

fn fresh_database(name: &str) -> Result<Db<'static>> {
    Postgres::shared()?.fresh_database(name)
}
