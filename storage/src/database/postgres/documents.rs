//! The documents of a blueprint: the structure for programs, and the SQL before and after the rows.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, Column, changed};
use super::draw::Drawn;
use super::graph::Node;
use crate::{Blueprint, Engine, EngineKind, Error, Result, RowEncoding};
use coffer_sql as sql;

/// A statement of fewer bytes is within the bounds of every reader.
const LARGE_BYTES: usize = 32_000;

/// `schema.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Schema {
    /// In the order of their names.
    pub(super) tables: Vec<Table>,
    /// What names the schema in a text that PostgreSQL does not read as SQL: there only where anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) named: Option<Named>,
    /// The extensions whose things are named in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) extensions: Vec<Extension>,
}

/// An extension, and the schema in which names look for its things.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Extension {
    pub(super) name: String,
    /// None for the app's own.
    pub(super) schema: Option<String>,
}

/// A table that has rows of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    /// In the order in which rows have them, without generated ones.
    pub(super) columns: Vec<TableColumn>,
    pub(super) primary_key: Vec<String>,
}

/// A column of such a table.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TableColumn {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    pub(super) not_null: bool,
}

/// Bodies and strings that name the app's own schema, so that the structure works under that name alone.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) schema: String,
    pub(super) by: Vec<String>,
}

impl Schema {
    /// Reads a stranger's document.
    ///
    /// # Errors
    /// `Refused` where it is not one that we would have written.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let schema: Self =
            serde_json::from_slice(bytes).map_err(|error| Error::refused("schema.json", error.to_string()))?;
        match schema.tables.is_sorted_by(|one, other| one.name < other.name) {
            true => Ok(schema),
            false => Err(Error::refused("schema.json", "its tables are not in the order of their names")),
        }
    }
}

/// Writes a structure's documents. Blocks: some of it is parsed.
pub(super) fn blueprint(catalog: &Catalog, drawn: &Drawn, engine_version: &str) -> Result<Blueprint> {
    sql::with_stack(|| write(catalog, drawn, engine_version))
}

fn write(catalog: &Catalog, drawn: &Drawn, engine_version: &str) -> Result<Blueprint> {
    catalog.text.all().try_for_each(sql::sees_no_placeholder)?;
    let mut by = Vec::new();
    let pre_data = document(&drawn.ordered.before, &catalog.schema, &mut by)?;
    let post_data = document(&drawn.ordered.after, &catalog.schema, &mut by)?;
    let tables = drawn.tables.iter().map(|(name, &id)| table(catalog, name, id)).collect::<Result<Vec<_>>>()?;
    let named = (!by.is_empty()).then(|| Named { schema: catalog.schema.clone(), by });
    Ok(Blueprint {
        engine: Engine { kind: EngineKind::Postgres, version: engine_version.to_owned() },
        row_encoding: RowEncoding::Copy,
        schema: json(&Schema { tables, named, extensions: extensions(catalog, drawn) })?,
        pre_data,
        post_data,
        tables: drawn.tables.keys().map(|name| Arc::from(name.as_str())).collect(),
        extensions: drawn.extensions.keys().cloned().collect(),
        skipped: drawn.skipped.clone(),
    })
}

fn document(nodes: &[Node], schema: &str, by: &mut Vec<String>) -> Result<Bytes> {
    let mut text = String::new();
    for node in nodes {
        let about = |error: Error| match error {
            Error::Unsupported { what } => Error::unsupported(format!("{} ({})", node.label, what.join("; "))),
            error => error,
        };
        let released = sql::release(&node.sql, schema).map_err(|error| about(error.into()))?;
        if released.contains(schema) && !sql::bodies_naming(&released, schema)?.is_empty() {
            by.push(node.label.clone());
        }
        if released.len() > LARGE_BYTES {
            // Far below what a reader takes; whether this one is taken is found out now, not when it is needed.
            sql::bind(&released, schema).map_err(|error| about(Error::unsupported(error.to_string())))?;
        }
        text.push_str(&released);
        text.push_str(";\n");
    }
    Ok(text.into())
}

fn extensions(catalog: &Catalog, drawn: &Drawn) -> Vec<Extension> {
    let place = |schema: &String| Some(schema).filter(|&schema| *schema != catalog.schema).cloned();
    drawn.extensions.iter().map(|(name, schema)| Extension { name: name.clone(), schema: place(schema) }).collect()
}

fn table(catalog: &Catalog, name: &str, id: u32) -> Result<Table> {
    let columns = catalog.columns.get(&id).map(Vec::as_slice).unwrap_or_default();
    let carried = columns.iter().filter(|column| column.generated.is_empty());
    let columns = carried.map(|column| table_column(catalog, column)).collect::<Result<Vec<_>>>()?;
    Ok(Table { name: name.to_owned(), columns, primary_key: primary_key(catalog, id) })
}

fn table_column(catalog: &Catalog, column: &Column) -> Result<TableColumn> {
    let type_name = catalog.text.type_name(column.type_id, column.modifier)?;
    Ok(TableColumn { name: column.name.clone(), type_name: type_name.to_owned(), not_null: column.not_null })
}

fn primary_key(catalog: &Catalog, table: u32) -> Vec<String> {
    let key = catalog.constraints.iter().find(|constraint| constraint.relation == table && constraint.kind == "p");
    let columns = catalog.columns.get(&table).map(Vec::as_slice).unwrap_or_default();
    let name = |number: &i32| columns.iter().find(|column| column.number == *number).map(|column| column.name.clone());
    key.iter().flat_map(|key| key.columns.iter().flatten()).filter_map(name).collect()
}

/// A document of JSON, with a newline at its end.
pub(super) fn json<T: Serialize>(document: &T) -> Result<Bytes> {
    let mut json = serde_json::to_vec(document).map_err(|_| changed("a name"))?;
    json.push(b'\n');
    Ok(json.into())
}
