//! From a catalog to a blueprint and back, tried before it is believed.

use std::sync::Arc;

use rusqlite::Connection;

use super::{catalog::Catalog, connection, guard, guard::Permit, schema::Schema, sequences};
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
    })
}

/// Does in memory what an import would do, without rows.
fn rehearse(catalog: &Catalog, pre_data: &str, post_data: &str) -> Result<()> {
    let what = "rehearsing the schema";
    let rehearsal = connection::open_rehearsal(&catalog.schema.sqlite).map_err(Error::sqlite(what))?;
    let build = || {
        build_tables(&rehearsal, &catalog.schema, pre_data.as_bytes())?;
        guard::run(&rehearsal, post_data.as_bytes(), Permit::Rest)?;
        let built = Catalog::read(&rehearsal, what)?;
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
    let mut built = Catalog::read(connection, what)?.schema;
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
    if built.tables == schema.tables {
        return Ok(());
    }
    let differs = |(ours, theirs): &(_, _)| ours != theirs;
    let name = match built.tables.iter().zip(&schema.tables).find(differs) {
        Some((_, theirs)) => format!("table {:?} of schema.json", theirs.name),
        None => "the list of tables in schema.json".into(),
    };
    Err(Error::refused(name, "the SQL of the archive does not make exactly that"))
}
