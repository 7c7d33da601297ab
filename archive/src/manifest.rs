//! The documents at both ends of an archive: what is known at the start, and what only at the end.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{RowEncoding, json};

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
    #[serde(deserialize_with = "json::object")]
    pub engine: Engine,
    /// How rows are written.
    pub row_encoding: RowEncoding,
    /// What [`fingerprint`] makes of the three documents of structure.
    pub fingerprint: String,
    /// Names of the engine's extensions that the structure needs.
    pub extensions: Vec<String>,
    /// What the app held and the archive does not, each with its kind and name, where whoever made it asked to go on
    /// without. No member of the document where there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
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
    #[serde(deserialize_with = "json::objects")]
    pub tables: Vec<TableSummary>,
    /// The objects together.
    #[serde(deserialize_with = "json::object")]
    pub objects: ObjectTotals,
    /// Where each index block stands.
    #[serde(default, deserialize_with = "json::objects")]
    pub(crate) index: Vec<crate::index::BlockSummary>,
    /// SHA-256 over all records of the index.
    #[serde(default)]
    pub(crate) index_digest: String,
    /// Who vouches for the archive, where anybody does.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present_object")]
    pub signature: Option<Signature>,
}

/// A signature over an archive's id and the digest of its index, as `summary.json` has it. It is carried here, and made
/// and checked by whoever knows keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The Ed25519 public key, 64 lower-case hexadecimal digits.
    pub key: String,
    /// The Ed25519 signature, 128 lower-case hexadecimal digits.
    pub value: String,
}

impl Summary {
    /// The digest over all records of the index, which the signature covers; `None` where it is not 64 lower-case
    /// hexadecimal digits.
    #[must_use]
    pub fn index_digest(&self) -> Option<[u8; 32]> {
        unhex(&self.index_digest)
    }

    /// What is malformed in it, if anything is.
    pub(crate) fn check_form(&self) -> Result<(), &'static str> {
        let Some(Signature { key, value }) = &self.signature else { return Ok(()) };
        if unhex::<32>(key).is_none() || unhex::<64>(value).is_none() {
            return Err("its signature is not one of Ed25519 in lower-case hexadecimal digits");
        }
        Ok(())
    }
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

/// Exactly `N` bytes from lower-case hexadecimal digits.
pub(crate) fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let pairs = digits.as_bytes().chunks(2);
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = pair.iter().try_fold(0_u8, |byte, &digit| Some(byte << 4 | value(digit)?))?;
    }
    Some(bytes)
}

/// The names of the tables that a `schema.json` describes, in its order.
pub(crate) fn table_names(schema: &[u8]) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Schema {
        #[serde(deserialize_with = "json::objects")]
        tables: Vec<Table>,
    }
    #[derive(Deserialize)]
    struct Table {
        name: String,
    }
    let schema: Schema = json::from_slice(schema)?;
    Ok(schema.tables.into_iter().map(|table| table.name).collect())
}

/// Whether this is a `sequences.json`. What the values are is the engine's matter.
pub(crate) fn check_sequences(sequences: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Sequences {
        #[serde(rename = "sequences", deserialize_with = "json::objects")]
        _sequences: Vec<Sequence>,
    }
    #[derive(Deserialize)]
    struct Sequence {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "value")]
        _value: IgnoredAny,
        #[serde(rename = "called")]
        _called: bool,
    }
    json::from_slice::<Sequences>(sequences).map(drop)
}

#[cfg(test)]
mod tests {
    use crate::reader::document::parse_manifest;

    const OLD: &str = r#"{"format":"coffer/1","archive_id":"00000000000000000000000000000000","created":"c","generator":"g",
        "source":"s","app":"a","engine":{"kind":"postgres","version":"15"},"row_encoding":"copy","fingerprint":"f",
        "extensions":["citext"]}"#;

    #[test]
    fn what_was_skipped_is_told_where_there_is_something() {
        let mut manifest = parse_manifest(OLD.as_bytes()).unwrap();
        assert!(manifest.skipped.is_empty());
        assert!(!serde_json::to_string(&manifest).unwrap().contains("skipped"));
        manifest.skipped = vec!["foreign table f".into(), "rule \"r\" on v".into()];
        let written = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(parse_manifest(&written).unwrap(), manifest);
        let with = |value: &str| OLD.replace("[\"citext\"]", &format!("[],\"skipped\":{value}"));
        assert!(parse_manifest(with("[]").as_bytes()).is_ok());
        for wrong in ["null", "\"f\"", "[1]", "{}", "[null]"] {
            assert!(parse_manifest(with(wrong).as_bytes()).is_err(), "{wrong}");
        }
    }
}
