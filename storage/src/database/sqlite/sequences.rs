//! `sequences.json`: where AUTOINCREMENT goes on, in the order of SQLite's own table.

use std::collections::HashSet;

use bytes::Bytes;
use rusqlite::{Connection, types::ValueRef};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The longest `sequences.json`, as the format has it.
const MAX_BYTES: usize = 64 << 20;

#[derive(Default, Serialize, Deserialize)]
struct Sequences {
    sequences: Vec<Sequence>,
}

#[derive(Serialize, Deserialize)]
struct Sequence {
    name: String,
    value: i64,
    called: bool,
}

/// Reads the file from a database; `present` says whether SQLite's table is there.
///
/// # Errors
/// `Unsupported` with the rows that are not a name and an integer, or whose name an earlier one has: SQLite never reads those.
pub(super) fn read(connection: &Connection, present: bool, what: &str) -> Result<Bytes> {
    let mut sequences = Sequences::default();
    let mut objections = Vec::new();
    if present {
        let mut statement =
            connection.prepare("SELECT name, seq FROM sqlite_sequence ORDER BY rowid").map_err(Error::sqlite(what))?;
        let mut rows = statement.query([]).map_err(Error::sqlite(what))?;
        while let Some(row) = rows.next().map_err(Error::sqlite(what))? {
            match (row.get_ref(0).map_err(Error::sqlite(what))?, row.get_ref(1).map_err(Error::sqlite(what))?) {
                (ValueRef::Text(name), ValueRef::Integer(value)) if let Ok(name) = std::str::from_utf8(name) => {
                    sequences.sequences.push(Sequence { name: name.into(), value, called: true });
                }
                (name, value) => objections.push(format!("row ({name:?}, {value:?}) of sqlite_sequence")),
            }
        }
    }
    objections.extend(repeated(&sequences.sequences).map(|name| {
        format!("sequence {name:?} (sqlite_sequence has more rows than one of that name; delete all but the first)")
    }));
    if !objections.is_empty() {
        return Err(Error::Unsupported { what: objections });
    }
    let mut json =
        serde_json::to_vec(&sequences).map_err(|error| Error::unsupported(format!("the sequences: {error}")))?;
    json.push(b'\n');
    Ok(json.into())
}

/// The names that stand more than once.
fn repeated(sequences: &[Sequence]) -> impl Iterator<Item = &str> {
    let mut seen = HashSet::new();
    sequences.iter().map(|sequence| sequence.name.as_str()).filter(move |name| !seen.insert(*name))
}

/// Makes SQLite's table where no table of the archive's brings it along.
pub(super) fn create_table(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE coffer_sequences (a INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE coffer_sequences;",
    )
}

/// Sets all sequences to what a stranger's file says, after the rows have moved them.
///
/// # Errors
/// `Refused` where the file is not one that we would have written.
pub(super) fn write(connection: &Connection, json: &[u8], present: bool) -> Result<()> {
    if json.len() > MAX_BYTES {
        return Err(Error::refused("sequences.json", format!("it has over {MAX_BYTES} bytes")));
    }
    let Sequences { sequences } =
        serde_json::from_slice(json).map_err(|error| Error::refused("sequences.json", error.to_string()))?;
    if let Some(name) = repeated(&sequences).next() {
        return Err(Error::refused("sequences.json", format!("sequence {name:?} stands twice")));
    }
    if !present {
        return match sequences.first() {
            None => Ok(()),
            Some(_) => {
                Err(Error::refused("sequences.json", "it has values, but the schema says that there are no sequences"))
            }
        };
    }
    let fill = || -> rusqlite::Result<()> {
        connection.execute("DELETE FROM sqlite_sequence", [])?;
        let mut insert = connection.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)")?;
        sequences.iter().try_for_each(|sequence| insert.execute((&sequence.name, sequence.value)).map(drop))
    };
    fill().map_err(Error::sqlite("setting sequences"))
}
