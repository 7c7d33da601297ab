//! Pieces of rows, cut anywhere, put together and stored.

use std::collections::HashSet;

use bytes::Bytes;
use rusqlite::{Connection, Statement};
use tokio::sync::mpsc;

use super::{
    connection, decode,
    schema::{Schema, Table},
};
use crate::{Error, Result};

/// From this length on a row's text is let go of before the row is stored, and SQLite's copy of it right after.
const LARGE_ROW_BYTES: usize = 1 << 20;
/// No row that SQLite can hold is longer: its own limit is a billion bytes, and base64 makes a third more of them.
const MAX_ROW_BYTES: usize = 2 << 30;
/// The least room that is made for a row that comes in pieces.
const PARTIAL_BYTES: usize = 64 << 10;

/// What a loading thread is told.
pub(super) enum Command {
    /// A piece of a table's rows.
    Write {
        /// The table.
        table: String,
        /// The piece.
        bytes: Bytes,
    },
    /// The rows are done; `sequences.json`.
    Finish(Bytes),
}

/// Stores rows until the word that they are done, and gives what came with it.
pub(super) fn store_all(
    connection: &Connection,
    schema: &Schema,
    commands: &mut mpsc::Receiver<Command>,
) -> Result<Bytes> {
    let mut seen = HashSet::new();
    let mut command = next(commands)?;
    loop {
        match command {
            Command::Finish(sequences) => return Ok(sequences),
            Command::Write { table: name, bytes } => {
                let table = schema.tables.iter().find(|table| table.name == name);
                let table = table
                    .ok_or_else(|| Error::refused(format!("rows of table {name:?}"), "the schema has no such table"))?;
                if !seen.insert(name) {
                    return Err(Error::refused(
                        format!("rows of table {:?}", table.name),
                        "they do not stand all together",
                    ));
                }
                command = store_table(connection, table, &bytes, commands)?;
            }
        }
    }
}

fn next(commands: &mut mpsc::Receiver<Command>) -> Result<Command> {
    commands.blocking_recv().ok_or(Error::Stopped { what: "loading a database" })
}

/// Stores one table's rows, and gives the first command that is not about them.
fn store_table<'c>(
    connection: &'c Connection,
    table: &'c Table,
    first: &[u8],
    commands: &mut mpsc::Receiver<Command>,
) -> Result<Command> {
    let statement = connection
        .prepare(&table.insert())
        .map_err(|error| Error::refused(format!("table {:?}", table.name), error.to_string()))?;
    let mut store = Store { connection, table, statement, partial: Vec::new(), rows: 0 };
    store.feed(first)?;
    loop {
        match next(commands)? {
            Command::Write { table: name, bytes } if name == table.name => store.feed(&bytes)?,
            other => {
                store.end()?;
                return Ok(other);
            }
        }
    }
}

/// A table that rows go into.
struct Store<'c> {
    connection: &'c Connection,
    table: &'c Table,
    statement: Statement<'c>,
    /// The beginning of a row whose end has not come yet.
    partial: Vec<u8>,
    rows: u64,
}

impl Store<'_> {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.partial.is_empty() && !rest.starts_with(b"[") {
                return Err(self.refused("it does not begin with ["));
            }
            let Some(at) = rest.iter().position(|&byte| byte == b'\n') else { return self.keep(rest) };
            let (row, after) = rest.split_at(at + 1);
            let row_bytes = self.partial.len() + row.len();
            let large = row_bytes >= LARGE_ROW_BYTES;
            if large {
                connection::make_room(self.connection, row_bytes).map_err(Error::sqlite("making room for a row"))?;
            }
            if self.partial.is_empty() {
                self.bind(row)?;
            } else {
                self.partial.extend_from_slice(row);
                let whole = std::mem::take(&mut self.partial);
                self.bind(&whole)?;
                // A large row's text is let go of here, before SQLite makes its own record of it.
                drop(whole);
            }
            self.store(large)?;
            rest = after;
        }
        Ok(())
    }

    /// Keeps a piece of a row until its end comes, in a buffer that grows by a quarter: most of it is needed.
    fn keep(&mut self, piece: &[u8]) -> Result<()> {
        let needed = self.partial.len() + piece.len();
        if needed > MAX_ROW_BYTES {
            return Err(self.refused("it is over 2 GiB"));
        }
        if needed > self.partial.capacity() {
            let room = piece.len().max(self.partial.len() / 4).max(PARTIAL_BYTES);
            self.partial.reserve_exact(room);
        }
        self.partial.extend_from_slice(piece);
        Ok(())
    }

    fn end(&self) -> Result<()> {
        if self.partial.is_empty() { Ok(()) } else { Err(self.refused("it does not end with a newline")) }
    }

    fn bind(&mut self, row: &[u8]) -> Result<()> {
        decode::bind(&mut self.statement, row, self.table.width()).map_err(|why| self.refused(&why))
    }

    fn store(&mut self, large: bool) -> Result<()> {
        let stored = self.statement.raw_execute();
        if large {
            self.statement.clear_bindings();
        }
        match stored.map_err(Error::sqlite(format!("storing rows of table {:?}", self.table.name))) {
            Ok(_) => self.rows += 1,
            Err(Error::Sqlite { source, .. }) => return Err(self.refused(&source.to_string())),
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// The row that comes next is not accepted.
    fn refused(&self, why: &str) -> Error {
        Error::refused(format!("row {} of table {:?}", self.rows + 1, self.table.name), why)
    }
}
