//! `sequences.json`: where each sequence goes on.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::documents::json;
use super::grants::Grants;
use super::quote::{ident, literal};
use super::session::Session;
use crate::{Error, Result};

/// How many sequences are read by one query.
const AT_ONCE: usize = 100;
/// The longest `sequences.json`.
const MAX_BYTES: usize = 16 << 20;

/// The document.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sequences {
    pub(super) sequences: Vec<Sequence>,
    /// What else is not part of the structure.
    #[serde(default)]
    pub(super) schema: Grants,
}

/// A sequence's state.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sequence {
    pub(super) name: String,
    pub(super) value: i64,
    pub(super) called: bool,
}

/// Reads the values of sequences, in the order of their names. They are never behind the rows of a snapshot that was taken
/// before.
pub(super) async fn read(
    session: &mut Session,
    schema: &str,
    sequences: &BTreeMap<String, u32>,
    grants: Grants,
) -> Result<Bytes> {
    let mut document = Sequences { sequences: Vec::new(), schema: grants };
    let names: Vec<_> = sequences.keys().collect();
    for some in names.chunks(AT_ONCE) {
        let each = some.iter().map(|name| {
            let place = format!("{}.{}", ident(schema), ident(name));
            format!("SELECT {}::text AS name, last_value AS value, is_called AS called FROM {place}", literal(name))
        });
        let query = each.collect::<Vec<_>>().join(" UNION ALL ");
        document.sequences.extend(session.fetch::<Sequence>(&query, "", "reading sequences").await?);
    }
    json(&document)
}

/// Reads a stranger's document.
///
/// # Errors
/// `Refused` where it is not one that we would have written.
pub(super) fn parse(bytes: &[u8]) -> Result<Sequences> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::refused("sequences.json", format!("it has over {MAX_BYTES} bytes")));
    }
    let document: Sequences =
        serde_json::from_slice(bytes).map_err(|error| Error::refused("sequences.json", error.to_string()))?;
    let mut seen = HashSet::new();
    match document.sequences.iter().find(|sequence| !seen.insert(sequence.name.as_str())) {
        Some(twice) => Err(Error::refused("sequences.json", format!("sequence {:?} stands twice", twice.name))),
        None => Ok(document),
    }
}

/// Sets sequences of a schema.
///
/// # Errors
/// `Refused` where the document names other sequences than there are.
pub(super) async fn write(session: &mut Session, schema: &str, document: &Sequences) -> Result<()> {
    #[derive(Deserialize)]
    struct Found {
        name: String,
    }
    const SEQUENCES: &str = "SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1::text AND c.relkind = 'S'";
    let found: Vec<Found> = session.fetch(SEQUENCES, schema, "listing sequences").await?;
    let found: HashSet<_> = found.iter().map(|found| found.name.as_str()).collect();
    let named: HashSet<_> = document.sequences.iter().map(|sequence| sequence.name.as_str()).collect();
    if let Some(name) = found.symmetric_difference(&named).min() {
        return Err(Error::refused(
            "sequences.json",
            format!("sequence {name:?} is not both in it and in the structure"),
        ));
    }
    for Sequence { name, value, called } in &document.sequences {
        let place = literal(&format!("{}.{}", ident(schema), ident(name)));
        let sql = format!("SELECT pg_catalog.setval({place}::pg_catalog.regclass, {value}, {called})");
        session.run(&sql, &format!("setting sequence {name}")).await?;
    }
    Ok(())
}
