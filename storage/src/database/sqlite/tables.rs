//! What SQLite itself says of the tables of a database.

use std::collections::HashMap;

use rusqlite::{
    Connection, Row,
    hooks::{AuthAction, AuthContext, Authorization},
    types::ValueRef,
};

use super::schema::{Column, Table};
use crate::{Error, Result};

/// A table's line in SQLite's own list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) kind: ListedKind,
    pub(super) without_rowid: bool,
    pub(super) strict: bool,
}

/// Where a table's rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListedKind {
    /// From its own part of the file.
    Stored,
    /// From a module's code.
    Virtual,
    /// From other tables.
    View,
}

/// The tables and views whose names are UTF-8, by name.
///
/// SQLite looks for the number of a view's or virtual table's columns on its way, by preparing a query of it. That is denied, as it
/// would run a module's code on what is stored.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<HashMap<String, Listed>> {
    connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Select => Authorization::Deny,
        _ => Authorization::Allow,
    }))?;
    let mut listed = HashMap::new();
    let outcome = connection.pragma_query(Some("main"), "table_list", |row| {
        if let Ok(name) = row.get_ref(1)?.as_str() {
            listed.insert(name.to_owned(), read_line(row)?);
        }
        Ok(())
    });
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    outcome.map(|()| listed)
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let kind = match row.get_ref(2)? {
        ValueRef::Text(b"virtual") => ListedKind::Virtual,
        ValueRef::Text(b"view") => ListedKind::View,
        _ => ListedKind::Stored,
    };
    Ok(Listed { kind, without_rowid: row.get(4)?, strict: row.get(5)? })
}

/// A line of `table_xinfo`.
struct Described {
    column: Column,
    primary_key: u32,
    generated: bool,
}

/// All that is known of a table but its rows.
pub(super) fn describe(connection: &Connection, name: &str, listed: Listed, what: &str) -> Result<Table> {
    let Listed { without_rowid, strict, .. } = listed;
    let described = describe_columns(connection, name).map_err(Error::sqlite(what))?;
    let described = described.into_iter().collect::<std::result::Result<Vec<_>, _>>().map_err(|column| {
        Error::unsupported(format!("column {column:?} of table {name:?} (its name or type is not UTF-8)"))
    })?;
    let key_has_index: bool = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')", [name], |row| row.get(0))
        .map_err(Error::sqlite(what))?;
    let mut key: Vec<_> = described.iter().filter(|line| line.primary_key > 0).collect();
    key.sort_by_key(|line| line.primary_key);
    // A primary key on a table with rowids that needs no index is the rowid itself.
    let named_rowid = without_rowid || (!key.is_empty() && !key_has_index);
    let is_free = |rowid: &&str| !described.iter().any(|line| line.column.name.eq_ignore_ascii_case(rowid));
    let rowid = if named_rowid { None } else { ["rowid", "_rowid_", "oid"].into_iter().find(is_free) };
    Ok(Table {
        name: name.into(),
        primary_key: key.into_iter().map(|line| line.column.name.clone()).collect(),
        rowid: rowid.map(str::to_owned),
        without_rowid,
        strict,
        columns: described.into_iter().filter(|line| !line.generated).map(|line| line.column).collect(),
    })
}

/// The columns of a table; for one whose name or type is not UTF-8, what it looks like.
fn describe_columns(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<std::result::Result<Described, String>>> {
    let mut statement =
        connection.prepare(r#"SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?1)"#)?;
    statement.query_map([table], describe_column)?.collect()
}

fn describe_column(row: &Row<'_>) -> rusqlite::Result<std::result::Result<Described, String>> {
    let (name, declared) = (row.get_ref(0)?, row.get_ref(1)?);
    let (Ok(name), Ok(declared)) = (name.as_str(), declared.as_str()) else { return Ok(Err(shown(name))) };
    let column = Column { name: name.into(), declared: declared.into(), not_null: row.get(2)? };
    Ok(Ok(Described { column, primary_key: row.get(3)?, generated: row.get::<_, i64>(4)? != 0 }))
}

/// A value for people.
pub(super) fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_without_a_modules_code() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let open = || Connection::open(path.path()).unwrap();
        let made = "CREATE VIRTUAL TABLE search USING fts5(a); CREATE VIEW v AS SELECT * FROM search; CREATE TABLE t (a) STRICT";
        open().execute_batch(&made.replace("(a) STRICT", "(a INT PRIMARY KEY) STRICT, WITHOUT ROWID")).unwrap();
        let connection = open();
        let listed = list(&connection).unwrap();
        let plain = Listed { kind: ListedKind::Stored, without_rowid: false, strict: false };
        assert_eq!(listed["search"], Listed { kind: ListedKind::Virtual, ..plain });
        assert_eq!(listed["v"], Listed { kind: ListedKind::View, ..plain });
        assert_eq!(listed["search_data"], plain);
        assert_eq!(listed["t"], Listed { kind: ListedKind::Stored, without_rowid: true, strict: true });
        describe(&connection, "search_data", plain, "a test").unwrap();
        // A module that was asked has told of its columns.
        let mut counts = Vec::new();
        let denied = |context: AuthContext<'_>| match context.action {
            AuthAction::Select => Authorization::Deny,
            _ => Authorization::Allow,
        };
        connection.authorizer(Some(denied)).unwrap();
        connection
            .pragma_query(Some("main"), "table_list", |row| {
                counts.push((row.get::<_, String>(1)?, row.get::<_, i64>(3)?));
                Ok(())
            })
            .unwrap();
        assert!(counts.contains(&("search".into(), 0)), "{counts:?}");
        assert!(counts.contains(&("search_data".into(), 2)), "{counts:?}");
    }
}
