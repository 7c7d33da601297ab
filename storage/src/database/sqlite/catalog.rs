//! What a database's own catalog says: its tables, its settings, and the SQL that makes it anew.

use std::collections::BTreeSet;

use rusqlite::{Connection, types::ValueRef};

use super::{
    guard, mark,
    schema::{Schema, Settings},
    script::Script,
    tables::{self, ListedKind, shown},
    virtual_table::{self, Parser},
};
use crate::{Error, Result};

/// The SQL of one file of an archive is held whole; this is the most.
pub(super) const MAX_SQL_BYTES: usize = 16 << 20;

/// A kind of thing in `sqlite_schema`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Table,
    VirtualTable,
    Index,
    View,
    Trigger,
}

impl Kind {
    /// Whether it must be there before the rows are.
    fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::VirtualTable)
    }
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
        let listed = tables::list(connection).map_err(Error::sqlite(what))?;
        let stored = |name: &str| listed.get(name).copied().filter(|line| line.kind == ListedKind::Stored);
        let parser = Parser::new().map_err(Error::sqlite(what))?;
        let (mut entries, mut virtual_tables, mut objections) = (Vec::new(), Vec::new(), Vec::new());
        let mut sequence_table = false;
        for found in read_entries(connection).map_err(Error::sqlite(what))? {
            match found {
                // Also one whose row has just been written, which SQLite finds only when it reads the catalog anew.
                Found::Entry(entry) if entry.kind == Kind::Table && stored(&entry.name).is_none() => {
                    match parser.parse_named(&entry.name, &entry.sql) {
                        Ok(table) => virtual_tables.push(table),
                        Err(why) => objections.push(format!("virtual table {:?} ({why})", entry.name)),
                    }
                    entries.push(Entry { kind: Kind::VirtualTable, ..entry });
                }
                Found::Entry(entry) => entries.push(entry),
                Found::SequenceTable => sequence_table = true,
                Found::Implied | Found::Mark => {}
                Found::Objection(objection) => objections.push(objection),
            }
        }
        if !objections.is_empty() {
            return Err(Error::Unsupported { what: objections });
        }
        let sqlite = settings(connection, sequence_table).map_err(Error::sqlite(what))?;
        let names = entries.iter().filter(|entry| entry.kind == Kind::Table).map(|entry| &*entry.name);
        let tables = names.filter_map(|name| Some((name, stored(name)?)));
        let tables =
            tables.map(|(name, line)| tables::describe(connection, name, line, what)).collect::<Result<_>>()?;
        Ok(Self { schema: Schema { tables, virtual_tables, sqlite }, entries })
    }

    /// The SQL that makes the tables, virtual ones in their place among them.
    pub(super) fn pre_data(&self) -> Result<String> {
        script(self.entries.iter().filter(|entry| entry.kind.is_table()))
    }

    /// The SQL that makes the rest.
    pub(super) fn post_data(&self) -> Result<String> {
        script(self.entries.iter().filter(|entry| !entry.kind.is_table()))
    }

    /// The kinds and names, tables first.
    pub(super) fn names(&self) -> BTreeSet<(Kind, &str)> {
        self.entries.iter().map(|entry| (entry.kind, entry.name.as_str())).collect()
    }
}

fn script<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<String> {
    let mut script = Script::default();
    for entry in entries {
        match entry.kind {
            Kind::VirtualTable => script.push_ended(&virtual_table::statement(&entry.name, &entry.sql)),
            _ => script.push(&entry.sql),
        }
    }
    script.finish()
}

/// What a row of `sqlite_schema` is to us.
enum Found {
    Entry(Entry),
    SequenceTable,
    /// An index that its table's own SQL makes.
    Implied,
    /// A table of ours, which says that an import came through.
    Mark,
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
    if kind == Kind::Table && mark::is_mark(name) {
        return Found::Mark;
    }
    if name == "sqlite_sequence" {
        return Found::SequenceTable;
    }
    if name.to_ascii_lowercase().starts_with("sqlite_") && !guard::is_statistics(sql) {
        return objection("a table of SQLite's own that is not known");
    }
    Found::Entry(Entry { kind, name: name.into(), sql: sql.into() })
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
