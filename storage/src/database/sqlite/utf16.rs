//! Text of a database in UTF-16 that SQLite itself can't turn into UTF-8 and back.
//!
//! It replaces halves of surrogate pairs on the way out, and the noncharacters U+FFFE and U+FFFF on the way in.

use rusqlite::{Connection, types::ValueRef};

use super::{connection::quote, schema::Table};
use crate::{Error, Result};

/// Fails at the first text that would come back as another. `encoding` is what the pragma of that name says.
pub(super) fn check(connection: &Connection, table: &Table, encoding: &str) -> Result<()> {
    let unit: fn([u8; 2]) -> u16 = match encoding {
        "UTF-16le" => u16::from_le_bytes,
        "UTF-16be" => u16::from_be_bytes,
        _ => return Ok(()),
    };
    for column in &table.columns {
        let (name, from) = (quote(&column.name), quote(&table.name));
        let sql = format!("SELECT CAST({name} AS BLOB) FROM {from} NOT INDEXED WHERE typeof({name}) = 'text'");
        let what = || format!("reading table {:?}", table.name);
        let mut statement = connection.prepare(&sql).map_err(Error::sqlite(what()))?;
        let mut rows = statement.query([]).map_err(Error::sqlite(what()))?;
        while let Some(row) = rows.next().map_err(Error::sqlite(what()))? {
            if let Ok(ValueRef::Blob(bytes)) = row.get_ref(0)
                && !survives(bytes, unit)
            {
                let place = format!("column {:?} of table {:?}", column.name, table.name);
                return Err(Error::unsupported(format!(
                    "{place} (text that is not UTF-16, or holds U+FFFE or U+FFFF)"
                )));
            }
        }
    }
    Ok(())
}

/// Whether the text is whole characters that have a UTF-8 form in SQLite's eyes.
fn survives(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> bool {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut chars = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    rest.is_empty() && chars.all(|char| char.is_ok_and(|char| !matches!(char, '\u{fffe}' | '\u{ffff}')))
}
