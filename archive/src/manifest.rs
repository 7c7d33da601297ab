//! The documents at both ends of an archive: what is known at the start, and what only at the end.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::RowEncoding;

/// The format that this crate writes and reads.
pub const FORMAT: &str = "coffer/1";

/// `manifest.json`, the first entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// 32 hexadecimal digits; those of the sealed layer where there is one.
    pub archive_id: String,
    /// When the export began, RFC 3339.
    pub created: String,
    /// The program that wrote it, and its version.
    pub generator: String,
    /// The source that the app belongs to.
    pub source: String,
    /// The app's name within its source.
    pub app: String,
    /// The engine that the rows come from.
    pub engine: Engine,
    /// How rows are written.
    pub row_encoding: RowEncoding,
    /// What [`fingerprint`] makes of the three documents of structure.
    pub fingerprint: String,
    /// Names of the engine's extensions that the structure needs.
    pub extensions: Vec<String>,
}

/// A database engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// `postgres`, `mysql` or `sqlite`.
    pub kind: String,
    /// Its version, as it tells it.
    pub version: String,
}

/// `summary.json`, the last entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// True: a writer that failed wrote no summary.
    pub complete: bool,
    /// Every table, in the order of the archive, those without rows too.
    pub tables: Vec<TableSummary>,
    /// The objects together.
    pub objects: ObjectTotals,
    /// Where each index block stands.
    pub(crate) index: Vec<crate::index::BlockSummary>,
    /// SHA-256 over all records of the index.
    pub(crate) index_digest: String,
}

/// One table's rows, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// The table's name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// Their bytes as encoded, newlines counted.
    pub bytes: u64,
    /// 32 hexadecimal digits that do not depend on the order of rows.
    pub digest: String,
}

/// The objects of an archive, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectTotals {
    /// How many stand in the archive.
    pub count: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// How many were listed and then gone.
    pub vanished: u64,
}

/// The fingerprint of an app's structure: SHA-256 of `schema.json`, `pre-data.sql` and `post-data.sql`, each preceded by
/// its length as a little-endian u64; 64 hexadecimal digits.
#[must_use]
pub fn fingerprint(schema: &[u8], pre_data: &[u8], post_data: &[u8]) -> String {
    let mut digest = Sha256::new();
    for document in [schema, pre_data, post_data] {
        digest.update((document.len() as u64).to_le_bytes());
        digest.update(document);
    }
    hex(&digest.finalize())
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of the tables that a `schema.json` describes, in its order.
pub(crate) fn table_names(schema: &[u8]) -> serde_json::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Schema {
        tables: Vec<Table>,
    }
    #[derive(Deserialize)]
    struct Table {
        name: String,
    }
    let schema: Schema = serde_json::from_slice(schema)?;
    Ok(schema.tables.into_iter().map(|table| table.name).collect())
}
