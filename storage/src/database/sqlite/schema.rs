//! `schema.json`: what programs can know of the structure without reading SQL.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{affinity::Affinity, connection::quote};
use crate::{Error, Result};

/// The longest `schema.json`, as the format has it.
const MAX_BYTES: usize = 64 << 20;
/// The most columns that this build of SQLite lets a table have.
const MAX_COLUMNS: usize = 2_000;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Schema {
    /// The tables, in the order in which they were made.
    pub(super) tables: Vec<Table>,
    /// The virtual tables, in the order in which they were made. They have no rows: what they hold is in tables like others, which
    /// have their names with `_` and a word of the module's after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) virtual_tables: Vec<VirtualTable>,
    /// What belongs to the file and not to a table.
    pub(super) sqlite: Settings,
}

/// A table whose rows are carried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    /// The columns in row order, without generated ones.
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<String>,
    /// The name by which a rowid that no column names is reached; rows then begin with it.
    pub(super) rowid: Option<String>,
    pub(super) without_rowid: bool,
    pub(super) strict: bool,
}

/// A table whose rows are a module's to give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VirtualTable {
    pub(super) name: String,
    /// The module, in lower case.
    pub(super) module: String,
}

/// A column that is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    /// The declared type, as it was written.
    #[serde(rename = "type")]
    pub(super) declared: String,
    pub(super) not_null: bool,
}

/// What is set for a whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) page_size: u32,
    pub(super) encoding: String,
    pub(super) auto_vacuum: u8,
    pub(super) user_version: i32,
    pub(super) application_id: i32,
    pub(super) journal_mode: String,
    /// Whether there is a table of sequences, which outlives the tables it was made for.
    pub(super) sequence_table: bool,
}

impl Schema {
    /// The file's bytes: the same schema gives the same.
    pub(super) fn to_json(&self) -> Result<Bytes> {
        let mut json = serde_json::to_vec(self).map_err(|error| Error::unsupported(format!("the schema: {error}")))?;
        json.push(b'\n');
        if json.len() > MAX_BYTES {
            return Err(Error::unsupported(format!("a schema of {} bytes; the most is {MAX_BYTES}", json.len())));
        }
        Ok(json.into())
    }

    /// Reads a stranger's file and checks each value in it against what SQLite allows.
    pub(super) fn from_json(json: &[u8]) -> Result<Self> {
        let refused = |why: String| Error::refused("schema.json", why);
        if json.len() > MAX_BYTES {
            return Err(refused(format!("it has over {MAX_BYTES} bytes")));
        }
        let schema: Self = serde_json::from_slice(json).map_err(|error| refused(error.to_string()))?;
        schema.sqlite.check().map_err(refused)?;
        for table in &schema.tables {
            if table.columns.is_empty() || table.columns.len() > MAX_COLUMNS {
                return Err(refused(format!("table {:?} has {} columns", table.name, table.columns.len())));
            }
        }
        Ok(schema)
    }
}

impl Settings {
    fn check(&self) -> std::result::Result<(), String> {
        if !self.page_size.is_power_of_two() || !(512..=65_536).contains(&self.page_size) {
            return Err(format!("page_size {} is not a power of two from 512 to 65536", self.page_size));
        }
        if !["UTF-8", "UTF-16le", "UTF-16be"].contains(&self.encoding.as_str()) {
            return Err(format!("encoding {:?} is none of UTF-8, UTF-16le and UTF-16be", self.encoding));
        }
        if self.auto_vacuum > 2 {
            return Err(format!("auto_vacuum {} is none of 0, 1 and 2", self.auto_vacuum));
        }
        if !["wal", "delete"].contains(&self.journal_mode.as_str()) {
            return Err(format!("journal_mode {:?} is neither wal nor delete", self.journal_mode));
        }
        Ok(())
    }
}

impl Table {
    /// How many values a row has.
    pub(super) fn width(&self) -> usize {
        self.columns.len() + usize::from(self.rowid.is_some())
    }

    /// What SQLite does to a value that goes into each place of a row.
    pub(super) fn affinities(&self) -> Vec<Affinity> {
        let rowid = self.rowid.as_ref().map(|_| Affinity::Rowid);
        rowid.into_iter().chain(self.columns.iter().map(|column| Affinity::of(column, self.strict))).collect()
    }

    /// The statement that gives all rows, in the order in which they are stored.
    pub(super) fn select(&self) -> String {
        format!("SELECT {} FROM {} NOT INDEXED", self.places(), quote(&self.name))
    }

    /// The statement that stores one row.
    pub(super) fn insert(&self) -> String {
        let values = vec!["?"; self.width()].join(",");
        format!("INSERT OR ABORT INTO {} ({}) VALUES ({values})", quote(&self.name), self.places())
    }

    /// The name of a place of a row, for people.
    pub(super) fn place(&self, index: usize) -> &str {
        let column = match &self.rowid {
            Some(rowid) if index == 0 => return rowid,
            Some(_) => index - 1,
            None => index,
        };
        self.columns.get(column).map_or("?", |column| &column.name)
    }

    fn places(&self) -> String {
        let columns = self.columns.iter().map(|column| quote(&column.name));
        self.rowid.iter().cloned().chain(columns).collect::<Vec<_>>().join(",")
    }
}
