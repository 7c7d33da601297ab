//! What a database's own catalog says: its tables, its settings, and the SQL that makes it anew.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, types::ValueRef};

use super::{
    guard,
    schema::{Column, Schema, Settings, Table},
};
use crate::{Error, Result};

/// The SQL of one file of an archive is held whole; this is the most.
pub(super) const MAX_SQL_BYTES: usize = 16 << 20;

/// A kind of thing in `sqlite_schema`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Table,
    Index,
    View,
    Trigger,
}

/// A thing in `sqlite_schema` that has SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) name: String,
    sql: String,
}

/// All that a catalog says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Catalog {
    pub(super) schema: Schema,
    /// In the order in which they were made.
    pub(super) entries: Vec<Entry>,
}

impl Catalog {
    /// Reads the catalog of an app.
    ///
    /// # Errors
    /// `Unsupported`, with all that can't be carried.
    pub(super) fn read(connection: &Connection, what: &str) -> Result<Self> {
        let mut objections = virtual_tables(connection).map_err(Error::sqlite(what))?;
        let mut entries = Vec::new();
        let mut sequence_table = false;
        for found in read_entries(connection).map_err(Error::sqlite(what))? {
            match found {
                Found::Entry(entry) => entries.push(entry),
                Found::SequenceTable => sequence_table = true,
                Found::Implied => {}
                Found::Objection(objection) => objections.push(objection),
            }
        }
        if !objections.is_empty() {
            return Err(Error::Unsupported { what: objections });
        }
        let sqlite = settings(connection, sequence_table).map_err(Error::sqlite(what))?;
        let tables = entries.iter().filter(|entry| entry.kind == Kind::Table);
        let tables = tables.map(|entry| table(connection, &entry.name, what)).collect::<Result<_>>()?;
        Ok(Self { schema: Schema { tables, sqlite }, entries })
    }

    /// The SQL that makes the tables.
    pub(super) fn pre_data(&self) -> Result<String> {
        script(self.entries.iter().filter(|entry| entry.kind == Kind::Table))
    }

    /// The SQL that makes the rest.
    pub(super) fn post_data(&self) -> Result<String> {
        script(self.entries.iter().filter(|entry| entry.kind != Kind::Table))
    }

    /// The kinds and names, tables first.
    pub(super) fn names(&self) -> BTreeSet<(Kind, &str)> {
        self.entries.iter().map(|entry| (entry.kind, entry.name.as_str())).collect()
    }
}

/// What a row of `sqlite_schema` is to us.
enum Found {
    Entry(Entry),
    SequenceTable,
    /// An index that its table's own SQL makes.
    Implied,
    Objection(String),
}

fn read_entries(connection: &Connection) -> rusqlite::Result<Vec<Found>> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid")?;
    let found = statement.query_map([], |row| Ok(classify(row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?)))?;
    found.collect()
}

fn classify(kind: ValueRef<'_>, name: ValueRef<'_>, sql: ValueRef<'_>) -> Found {
    let (shown_kind, shown_name) = (shown(kind), shown(name));
    let objection = |why: &str| Found::Objection(format!("{shown_kind} {shown_name:?} ({why})"));
    let Ok(name) = name.as_str() else { return objection("its name is not UTF-8") };
    let sql = match sql {
        ValueRef::Null if kind == ValueRef::Text(b"index") => return Found::Implied,
        other => other.as_str(),
    };
    let Ok(sql) = sql else { return objection("its SQL is missing or not UTF-8") };
    let kind = match kind {
        ValueRef::Text(b"table") => Kind::Table,
        ValueRef::Text(b"index") => Kind::Index,
        ValueRef::Text(b"view") => Kind::View,
        ValueRef::Text(b"trigger") => Kind::Trigger,
        _ => return objection("an unknown kind"),
    };
    if name == "sqlite_sequence" {
        return Found::SequenceTable;
    }
    if name.to_ascii_lowercase().starts_with("sqlite_") && !guard::is_statistics(sql) {
        return objection("a table of SQLite's own that is not known");
    }
    Found::Entry(Entry { kind, name: name.into(), sql: sql.into() })
}

/// A value for people.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

fn virtual_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection
        .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual' ORDER BY name")?;
    statement.query_map([], |row| Ok(format!("virtual table {:?}", shown(row.get_ref(0)?))))?.collect()
}

fn settings(connection: &Connection, sequence_table: bool) -> rusqlite::Result<Settings> {
    let journal_mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(Settings {
        page_size: connection.pragma_query_value(None, "page_size", |row| row.get(0))?,
        encoding: connection.pragma_query_value(None, "encoding", |row| row.get(0))?,
        auto_vacuum: connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?,
        user_version: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        application_id: connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
        // The other modes are a connection's and not the file's.
        journal_mode: if journal_mode == "wal" { journal_mode } else { "delete".into() },
        sequence_table,
    })
}

/// A line of `table_xinfo`.
struct Described {
    column: Column,
    primary_key: u32,
    generated: bool,
}

fn table(connection: &Connection, name: &str, what: &str) -> Result<Table> {
    let described = describe(connection, name).map_err(Error::sqlite(what))?;
    let described = described.into_iter().collect::<std::result::Result<Vec<_>, _>>().map_err(|column| {
        Error::unsupported(format!("column {column:?} of table {name:?} (its name or type is not UTF-8)"))
    })?;
    let (without_rowid, strict) = connection
        .query_row("SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1", [name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(Error::sqlite(what))?;
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
fn describe(connection: &Connection, table: &str) -> rusqlite::Result<Vec<std::result::Result<Described, String>>> {
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

/// Statements one after the other, each ended so that neither SQLite nor a person's shell reads over its end.
fn script<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<String> {
    let mut script = String::new();
    for entry in entries {
        script.push_str(&entry.sql);
        if ends_in_comment(&entry.sql) {
            script.push_str("*/");
        }
        let last_line = entry.sql.rsplit('\n').next().unwrap_or_default();
        script.push_str(if last_line.contains("--") { "\n;\n" } else { ";\n" });
    }
    if script.len() > MAX_SQL_BYTES {
        return Err(Error::unsupported(format!(
            "{} bytes of SQL in the schema; the most is {MAX_SQL_BYTES}",
            script.len()
        )));
    }
    Ok(script)
}

/// Whether a statement ends inside a comment that `*/` should close, but only the end of the text does, as SQLite allows. A quote
/// that stands twice ends one string and begins another.
fn ends_in_comment(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(at) = rest.find(['\'', '"', '`', '[', '-', '/']) {
        let from = rest.split_at(at).1;
        let (opening, closing) = match from.as_bytes() {
            [b'/', b'*', _, ..] => ("/*", "*/"),
            [b'-', b'-', ..] => ("--", "\n"),
            [b'\'', ..] => ("'", "'"),
            [b'"', ..] => ("\"", "\""),
            [b'`', ..] => ("`", "`"),
            [b'[', ..] => ("[", "]"),
            _ => ("-", ""),
        };
        match from.split_at(opening.len()).1.split_once(closing) {
            Some((_, after)) => rest = after,
            None => return opening == "/*",
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_comment_that_nothing_closes() {
        let cases = [
            ("CREATE TABLE t (a)", false),
            ("CREATE VIEW v AS SELECT 1 - 2 / 3 * 4 -- why", false),
            ("CREATE VIEW v AS SELECT 1 -- why\n", false),
            ("CREATE VIEW v AS SELECT 1 -- /* why\n, 2", false),
            ("CREATE VIEW v AS SELECT 1 /* why", true),
            ("CREATE VIEW v AS SELECT 1 /*/", true),
            ("CREATE VIEW v AS SELECT 1 /* -- 'why\n*", true),
            ("CREATE VIEW v AS SELECT 1 /* why */", false),
            ("CREATE VIEW v AS SELECT 1 /**/ /* why *//* ü", true),
            ("CREATE VIEW v AS SELECT '/* '' /* ü', \"--\", \"\"\"/*\", `/*`, [/*'], '--'", false),
            ("CREATE VIEW v AS SELECT 'it''s', \"a\"\"b\", [a\"] /* it's", true),
            ("CREATE VIEW v AS SELECT '/*' --'", false),
        ];
        for (sql, expected) in cases {
            assert_eq!(ends_in_comment(sql), expected, "{sql}");
        }
    }
}
