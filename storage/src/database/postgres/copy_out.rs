//! A table's rows out of the server, as it writes them.

use std::time::Duration;

use futures::StreamExt;
use memchr::memchr;

use super::super::chunk::RowSink;
use super::documents::Table;
use super::quote::ident;
use super::session::{Session, failed};
use crate::{Error, Result};

/// How long a server may take to send the next row.
const STALL_TIMEOUT: Duration = Duration::from_secs(900);
/// How much of a row is handed on at once.
const PIECE_BYTES: usize = 1 << 20;

/// `"schema"."table" ("a", "b")`, as COPY takes it both ways.
pub(super) fn place(schema: &str, table: &Table) -> String {
    let columns: Vec<_> = table.columns.iter().map(|column| ident(&column.name)).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    format!("{}.{}{columns}", ident(schema), ident(&table.name))
}

/// Takes encoded rows in an async task; what has been taken is handed on between pieces.
#[async_trait::async_trait]
pub(super) trait Outlet: RowSink + Send {
    /// Whether anything is to be handed on.
    fn is_ready(&self) -> bool;

    /// Hands on what is ready.
    async fn pass_on(&mut self) -> Result<()>;
}

/// Reads all rows of a table.
///
/// # Errors
/// `Unsupported` naming table and key of a row that the server can't write as text.
pub(super) async fn copy_out(
    session: &mut Session,
    schema: &str,
    table: &Table,
    outlet: &mut dyn Outlet,
) -> Result<()> {
    const SAVEPOINT: &str = "SAVEPOINT coffer";
    let what = format!("reading table {:?}", table.name);
    session.run(SAVEPOINT, &what).await?;
    let mut rows = 0;
    match stream(session, schema, table, outlet, &mut rows).await {
        Ok(()) => session.run("RELEASE SAVEPOINT coffer", &what).await,
        Err(Error::Postgres { why, .. }) if is_too_large(&why) => {
            Err(too_large(session, schema, table, rows, &why).await)
        }
        Err(error) => Err(error),
    }
}

async fn stream(
    session: &mut Session,
    schema: &str,
    table: &Table,
    outlet: &mut dyn Outlet,
    rows: &mut u64,
) -> Result<()> {
    let what = || format!("reading table {:?}", table.name);
    let copy = format!("COPY {} TO STDOUT", place(schema, table));
    let mut stream = session.connection().copy_out_raw(&copy).await.map_err(failed(what()))?;
    loop {
        let Ok(next) = tokio::time::timeout(STALL_TIMEOUT, stream.next()).await else {
            let why = format!("no row in {} s", STALL_TIMEOUT.as_secs());
            return Err(Error::Unreachable { what: what(), why });
        };
        let Some(data) = next else { return Ok(()) };
        let mut data = data.map_err(failed(what()))?;
        while let Some(end) = memchr(b'\n', &data) {
            let line = data.split_to(end + 1);
            push(outlet, line.get(..end).unwrap_or_default()).await?;
            outlet.end_row()?;
            *rows += 1;
        }
        push(outlet, &data).await?;
        if outlet.is_ready() {
            outlet.pass_on().await?;
        }
    }
}

async fn push(outlet: &mut dyn Outlet, bytes: &[u8]) -> Result<()> {
    for piece in bytes.chunks(PIECE_BYTES) {
        outlet.push(piece)?;
        if outlet.is_ready() {
            outlet.pass_on().await?;
        }
    }
    Ok(())
}

/// Plans that give rows in the order in which a table has them.
const HEAP_ORDER: [(&str, &str); 5] = [
    ("enable_seqscan", "on"),
    ("enable_indexscan", "off"),
    ("enable_indexonlyscan", "off"),
    ("enable_bitmapscan", "off"),
    ("max_parallel_workers_per_gather", "0"),
];

/// What a server says that can't make a row's text: beyond a gigabyte, or beyond its memory.
fn is_too_large(why: &str) -> bool {
    why.ends_with("[54000]") || why.ends_with("[53200]") || (why.ends_with("[XX000]") && why.contains("alloc"))
}

async fn too_large(session: &mut Session, schema: &str, table: &Table, rows: u64, why: &str) -> Error {
    let key = row_key(session, schema, table, rows).await.unwrap_or_else(|_| format!("number {}", rows + 1));
    Error::unsupported(format!("row {key} of table {:?} (the server can't write it as text: {why})", table.name))
}

/// The primary key of a row by its number, or its place where there is none. By COPY again, as any function or cast on the way could
/// be the app's.
async fn row_key(session: &mut Session, schema: &str, table: &Table, number: u64) -> Result<String> {
    const WHAT: &str = "looking for the row";
    session.run("ROLLBACK TO SAVEPOINT coffer", WHAT).await?;
    // As COPY reads: the table itself, from its beginning.
    for (plan, value) in HEAP_ORDER {
        session.run(&format!("SET LOCAL {plan} = {value}"), WHAT).await?;
    }
    let columns: Vec<_> = table.primary_key.iter().map(|name| ident(name)).collect();
    let shown = if columns.is_empty() { "ctid".to_owned() } else { columns.join(", ") };
    let place = format!("{}.{}", ident(schema), ident(&table.name));
    let copy =
        format!("COPY (SELECT {shown} FROM ONLY {place} OFFSET {number} LIMIT 1) TO STDOUT WITH (DELIMITER ',')");
    let mut lines = session.connection().copy_out_raw(&copy).await.map_err(failed(WHAT))?;
    let line = lines.next().await.transpose().map_err(failed(WHAT))?.unwrap_or_default();
    Ok(format!("({shown}) = ({})", String::from_utf8_lossy(&line).trim_end()))
}
