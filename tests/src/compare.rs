//! Are two apps equal? Asked of `sqlite3` and `diff`, and of each value itself where their words are not exact.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use crate::{App, tool};

const PRAGMAS: [&str; 6] = ["user_version", "application_id", "encoding", "page_size", "auto_vacuum", "journal_mode"];

/// Checks that two apps are equal in every row, pragma, file name and byte.
///
/// # Errors
/// They are not, or one of them can't be read.
pub fn assert_same_app(one: &App, other: &App) -> Result<()> {
    assert_same_database(&one.database(), &other.database())?;
    assert_same_files(&one.files(), &other.files())
}

/// Checks that two databases are equal: `.dump`, the pragmas, and every value as it is stored, rowids too.
///
/// # Errors
/// They are not, or one of them can't be read.
pub fn assert_same_database(one: &Path, other: &Path) -> Result<()> {
    for command in PRAGMAS.map(|pragma| format!("PRAGMA {pragma}")).iter().map(String::as_str).chain([".dump"]) {
        let (left, right) = (sqlite(one, command)?, sqlite(other, command)?);
        if left != right {
            bail!("{command} differs:\n{}", first_difference(&left, &right));
        }
    }
    let (one, other) = (open(one)?, open(other)?);
    for query in stored_values(&one)? {
        same_rows(&one, &other, &query).with_context(|| query.clone())?;
    }
    Ok(())
}

/// Checks that two folders are equal to `diff -r`.
///
/// # Errors
/// They are not.
pub fn assert_same_files(one: &Path, other: &Path) -> Result<()> {
    if !one.exists() && !other.exists() {
        return Ok(());
    }
    tool("diff", [Path::new("-r"), one, other]).map(drop)
}

/// Every path below a folder, sorted: what is there, whatever it is. A folder that is not there has none.
///
/// # Errors
/// The folder can't be read.
pub fn folder_listing(folder: &Path) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let listing = tool("find", [folder, Path::new("-mindepth"), Path::new("1")])?;
    let mut lines: Vec<_> = String::from_utf8_lossy(&listing).lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

fn sqlite(database: &Path, command: &str) -> Result<Vec<u8>> {
    tool("sqlite3", [Path::new("-readonly"), database, Path::new(command)])
}

fn first_difference(left: &[u8], right: &[u8]) -> String {
    let lines = |bytes| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>();
    let (left, right) = (lines(left), lines(right));
    let differ = left.iter().zip(&right).position(|(one, other)| one != other).unwrap_or(left.len().min(right.len()));
    let line = |lines: &[String]| lines.get(differ).map_or("(end)".into(), |line| line.chars().take(300).collect());
    let (one, other): (String, String) = (line(&left), line(&right));
    format!("line {differ}\n< {one}\n> {other}")
}

fn open(path: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// A query for each table that yields what is stored: types, rowids, and text as its bytes.
fn stored_values(database: &Connection) -> Result<Vec<String>> {
    let mut tables = database.prepare(
        "SELECT name, wr FROM pragma_table_list 
         WHERE type = 'table' AND schema = 'main' AND name NOT IN ('sqlite_schema', 'sqlite_master')",
    )?;
    let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    tables.map(|table| table.map_err(Into::into).and_then(|(name, wr)| stored_values_of(database, name, wr))).collect()
}

fn stored_values_of(database: &Connection, table: String, without_rowid: bool) -> Result<String> {
    let mut columns = database.prepare("SELECT name FROM pragma_table_xinfo(?)")?;
    let columns: Vec<String> = columns.query_map([&table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let taken = |name: &&str| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !without_rowid && !taken(name));
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let stored = columns.iter().map(|column| {
        let column = quoted(column);
        format!("typeof({column}), CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END")
    });
    let values: Vec<String> = rowid.map(str::to_owned).into_iter().chain(stored).collect();
    let order = rowid.map_or(String::new(), |rowid| format!(" ORDER BY {rowid}"));
    Ok(format!("SELECT {} FROM {}{order}", values.join(", "), quoted(&table)))
}

fn same_rows(one: &Connection, other: &Connection, query: &str) -> Result<()> {
    let (mut one, mut other) = (one.prepare(query)?, other.prepare(query)?);
    let columns = one.column_count();
    let (mut one, mut other) = (one.query([])?, other.query([])?);
    for n in 1.. {
        match (one.next()?, other.next()?) {
            (None, None) => break,
            (Some(one), Some(other)) => same_row(one, other, columns).with_context(|| format!("row {n}"))?,
            _ => bail!("one has {} rows and the other has more", n - 1),
        }
    }
    Ok(())
}

fn same_row(one: &Row<'_>, other: &Row<'_>, columns: usize) -> Result<()> {
    for column in 0..columns {
        let (one, other) = (one.get_ref(column)?, other.get_ref(column)?);
        let same = match (one, other) {
            (ValueRef::Real(one), ValueRef::Real(other)) => one.to_bits() == other.to_bits(),
            _ => one == other,
        };
        ensure!(same, "value {column} differs: {} and {}", excerpt(one), excerpt(other));
    }
    Ok(())
}

fn excerpt(value: ValueRef<'_>) -> String {
    format!("{value:?}").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dump_does_not_show_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let app = |name: &str, values: &str| {
            let app = App::at(folder.path().join(name));
            app.sqlite(&["CREATE TABLE t(a)", &format!("INSERT INTO t(rowid, a) VALUES ({values})")]).unwrap();
            app.database()
        };
        let (one, same) = (app("one", "1, 'a' || char(0) || 'b'"), app("same", "1, 'a' || char(0) || 'b'"));
        assert_same_database(&one, &same).unwrap();
        for (name, values) in [
            ("rowid", "2, 'a' || char(0) || 'b'"),
            ("tail", "1, 'a' || char(0) || 'c'"),
            ("type", "1, CAST('a' || char(0) || 'b' AS BLOB)"),
        ] {
            assert!(assert_same_database(&one, &app(name, values)).is_err(), "{name}");
        }
        let pragma = app("pragma", "1, 'a' || char(0) || 'b'");
        Connection::open(&pragma).unwrap().pragma_update(None, "user_version", 1).unwrap();
        assert!(assert_same_database(&one, &pragma).is_err());
    }
}
