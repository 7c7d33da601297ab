//! The mark by which a copied database is known to have come through: a table of ours, in it from before the one transaction that
//! puts it where the app is, until the import is settled.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::connection;
use crate::{Error, ImportId, Result};

const PREFIX: &str = "coffer_mark_";

/// Whether a table of this name is a mark.
pub(super) fn is_mark(table: &str) -> bool {
    table.strip_prefix(PREFIX).and_then(ImportId::parse).is_some()
}

/// The pattern of `GLOB` that all marks match, and nothing else.
pub(super) fn pattern() -> String {
    format!("{PREFIX}{}", "[0-9a-f]".repeat(16))
}

fn table(id: &ImportId) -> String {
    format!("{PREFIX}{id}")
}

/// Makes the mark of an import in the database at `path`, once; an undo notes in it whose replaced database it brings back.
pub(super) fn make(path: &Path, id: &ImportId, undoes: Option<&ImportId>) -> Result<()> {
    let make = || -> rusqlite::Result<()> {
        let mut connection = connection::open(path)?;
        if find(&connection, id)? {
            return Ok(());
        }
        let transaction = connection.transaction()?;
        transaction.execute(&format!("CREATE TABLE {} (undoes TEXT)", table(id)), [])?;
        if let Some(undoes) = undoes {
            transaction.execute(&format!("INSERT INTO {} VALUES (?1)", table(id)), [undoes.as_str()])?;
        }
        transaction.commit()
    };
    make().map_err(Error::sqlite(format!("marking {}", path.display())))
}

/// Whether an import's mark is there.
pub(super) fn find(connection: &Connection, id: &ImportId) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    connection.query_row(sql, [table(id)], |row| row.get(0))
}

/// What an import's mark, which is there, says that it brought back.
pub(super) fn undoes(connection: &Connection, id: &ImportId) -> rusqlite::Result<Option<ImportId>> {
    let sql = format!("SELECT undoes FROM {}", table(id));
    let undoes: Option<String> = connection.query_row(&sql, [], |row| row.get(0)).optional()?;
    Ok(undoes.as_deref().and_then(ImportId::parse))
}

/// Takes an import's mark away.
pub(super) fn remove(connection: &Connection, id: &ImportId) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", table(id)))
}

/// Takes all marks away, of imports that were never settled.
pub(super) fn remove_all(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB ?1")?;
    let names = statement.query_map([pattern()], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    names.iter().try_for_each(|name| connection.execute_batch(&format!("DROP TABLE {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_just_that_form() {
        let names = [
            ("coffer_mark_0123456789abcdef", true),
            ("coffer_mark_0123456789abcde", false),
            ("coffer_mark_0123456789abcdef0", false),
            ("coffer_mark_0123456789ABCDEF", false),
            ("xcoffer_mark_0123456789abcdef", false),
            ("coffer_marks", false),
        ];
        let connection = Connection::open_in_memory().unwrap();
        for (name, expected) in names {
            assert_eq!(is_mark(name), expected, "{name}");
            let globbed: bool =
                connection.query_row("SELECT ?1 GLOB ?2", [name, &pattern()], |row| row.get(0)).unwrap();
            assert_eq!(globbed, expected, "{name}");
        }
    }
}
