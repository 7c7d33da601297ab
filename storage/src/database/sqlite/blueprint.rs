//! From a catalog to a blueprint and back, tried before it is believed.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use rusqlite::Connection;

use super::{
    catalog::{Catalog, Entry, Kind},
    connection, guard,
    guard::Permit,
    schema::Schema,
    sequences,
    tables::{self, ListedKind},
};
use crate::{Blueprint, Engine, EngineKind, Error, Result, RowEncoding};

/// The blueprint of an app's database.
///
/// # Errors
/// `Unsupported` where an import of it would fail, as it needs a function or collation that only its application has.
pub(super) fn draw(catalog: &Catalog) -> Result<Blueprint> {
    let (pre_data, post_data) = (catalog.pre_data()?, catalog.post_data()?);
    rehearse(catalog, &pre_data, &post_data)?;
    Ok(Blueprint {
        engine: Engine { kind: EngineKind::Sqlite, version: rusqlite::version().into() },
        row_encoding: RowEncoding::JsonLines,
        schema: catalog.schema.to_json()?,
        pre_data: pre_data.into(),
        post_data: post_data.into(),
        tables: catalog.schema.tables.iter().map(|table| Arc::from(table.name.as_str())).collect(),
        extensions: Vec::new(),
        skipped: Vec::new(),
    })
}

/// Does in memory what an import would do, without rows.
fn rehearse(catalog: &Catalog, pre_data: &str, post_data: &str) -> Result<()> {
    let what = "rehearsing the schema";
    let rehearsal = connection::open_rehearsal(&catalog.schema.sqlite).map_err(Error::sqlite(what))?;
    let build = || {
        build_tables(&rehearsal, &catalog.schema, pre_data.as_bytes())?;
        guard::run(&rehearsal, post_data.as_bytes(), Permit::Rest)?;
        let built = confirm(&rehearsal, &catalog.schema)?;
        let (wanted, found) = (catalog.names(), built.names());
        match wanted.symmetric_difference(&found).next() {
            None => Ok(()),
            Some((kind, name)) => Err(Error::unsupported(format!("{kind:?} {name:?} (its SQL does not make it anew)"))),
        }
    };
    build().map_err(|error| match error {
        Error::Refused { what, why } => Error::unsupported(format!("{what} ({why})")),
        other => other,
    })
}

/// Makes the tables of a blueprint in an empty database and checks that they are what its schema says, no more and no less.
pub(super) fn build_tables(connection: &Connection, schema: &Schema, pre_data: &[u8]) -> Result<()> {
    let what = "checking the tables";
    guard::run(connection, pre_data, Permit::Tables)?;
    let catalog = Catalog::read(connection, what)?;
    check_names(&catalog)?;
    let mut built = catalog.schema;
    if schema.sqlite.sequence_table && !built.sqlite.sequence_table {
        sequences::create_table(connection).map_err(Error::sqlite(what))?;
        built.sqlite.sequence_table = true;
    }
    if built.sqlite.sequence_table != schema.sqlite.sequence_table {
        return Err(Error::refused(
            "schema.json",
            "it says that there are no sequences, but a table has AUTOINCREMENT",
        ));
    }
    let difference = first_difference(&built.tables, &schema.tables, |table| format!("table {:?}", table.name));
    let virtual_difference = first_difference(&built.virtual_tables, &schema.virtual_tables, |table| {
        format!("virtual table {:?}", table.name)
    });
    match difference.or(virtual_difference) {
        None => Ok(()),
        Some(what) => {
            Err(Error::refused(format!("{what} of schema.json"), "the SQL of the archive does not make exactly that"))
        }
    }
}

/// The first thing that the SQL and `schema.json` differ in.
fn first_difference<T: PartialEq>(ours: &[T], theirs: &[T], shown: impl Fn(&T) -> String) -> Option<String> {
    match ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs) {
        Some((_, theirs)) => Some(shown(theirs)),
        None if ours.len() == theirs.len() => None,
        None => Some("the list of tables".into()),
    }
}

/// Checks that no name stands twice, as it can where a row was written into the catalog. SQLite's names are one whatever the case
/// of their ASCII letters, and triggers have their own.
fn check_names(catalog: &Catalog) -> Result<()> {
    let mut seen = HashSet::new();
    let named = catalog.entries.iter().filter(|entry| entry.kind != Kind::Trigger);
    match named.into_iter().find(|entry| !seen.insert(entry.name.to_ascii_lowercase())) {
        None => Ok(()),
        Some(Entry { kind, name, .. }) => {
            Err(Error::refused(format!("{kind:?} {name:?}"), "the archive makes two things of that name"))
        }
    }
}

/// Lets SQLite read the catalog anew, as whoever opens the database will, and checks that each name stands once in it and that just
/// the virtual tables that the schema names are virtual to it. From here on a module's code could run: this comes after all that
/// reads and writes.
pub(super) fn confirm(connection: &Connection, schema: &Schema) -> Result<Catalog> {
    let what = "the schema that the archive's SQL makes";
    let reread = connection.execute_batch("PRAGMA writable_schema = RESET");
    let listed = reread.and_then(|()| tables::list(connection)).map_err(Error::sqlite(what));
    let listed = listed.map_err(|error| match error {
        Error::Corrupt { why, .. } => Error::refused(what, why),
        Error::Sqlite { source, .. } => Error::refused(what, source.to_string()),
        other => other,
    })?;
    let found = listed.iter().filter(|(_, line)| line.kind == ListedKind::Virtual).map(|(name, _)| name.as_str());
    let wanted = schema.virtual_tables.iter().map(|table| table.name.as_str());
    if let Some(name) = found.collect::<BTreeSet<_>>().symmetric_difference(&wanted.collect()).next() {
        return Err(Error::refused(what, format!("SQLite does not read virtual table {name:?} as it stands there")));
    }
    let catalog = Catalog::read(connection, what)?;
    check_names(&catalog)?;
    Ok(catalog)
}
