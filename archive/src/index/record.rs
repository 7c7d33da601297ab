//! One line of an index block.

use serde::{Deserialize, Serialize};

use super::Position;
use crate::json;
use crate::manifest::{hex, unhex};

/// What the index says of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// An entry stands in the archive.
    Entry(EntryRecord),
    /// An object was listed, and gone when it was to be read: no entry stands in the archive.
    Vanished {
        /// The path that its entry would have had.
        path: String,
    },
}

/// An entry as the index describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryRecord {
    pub(crate) path: String,
    /// Bytes of its content.
    pub(crate) size: u64,
    /// Where its first header begins.
    pub(crate) at: Position,
    /// Of its content.
    pub(crate) sha256: [u8; 32],
    /// An attempt that failed: the next entry has the same path, and counts.
    pub(crate) void: bool,
}

/// A record as JSON has it, its fields in the format's order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    path: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    member: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    skip: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    void: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    vanished: Option<bool>,
}

impl Record {
    /// The path that it is about.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.path,
            Self::Vanished { path } => path,
        }
    }

    /// Reads one line of a block, without its newline.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        let line: Line<'_> = json::from_slice(line)?;
        let path = line.path.into_owned();
        let wrong = |why: &str| format!("the record of {path:?} {why}");
        match (line.size, line.member, line.skip, line.sha256, line.void, line.vanished) {
            (None, None, None, None, None, Some(true)) => Ok(Self::Vanished { path }),
            (Some(size), Some(member), Some(skip), Some(sha256), void, None) => {
                if void == Some(false) {
                    return Err(wrong("says that it is not void, which is said by silence"));
                }
                let sha256 = unhex(&sha256).ok_or_else(|| wrong("has a digest of other than 64 hexadecimal digits"))?;
                let at = Position { member, skip };
                Ok(Self::Entry(EntryRecord { path, size, at, sha256, void: void.is_some() }))
            }
            _ => Err(wrong("lacks a field, or has one too many")),
        }
    }

    /// The line with its newline.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let line = match self {
            Self::Entry(entry) => Line {
                path: entry.path.as_str().into(),
                size: Some(entry.size),
                member: Some(entry.at.member),
                skip: Some(entry.at.skip),
                sha256: Some(hex(&entry.sha256)),
                void: entry.void.then_some(true),
                vanished: None,
            },
            Self::Vanished { path } => Line {
                path: path.as_str().into(),
                size: None,
                member: None,
                skip: None,
                sha256: None,
                void: None,
                vanished: Some(true),
            },
        };
        // Strings and numbers alone: writing them can't fail.
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_as_the_format_says() {
        let at = Position { member: 7, skip: 512 };
        let mut entry = EntryRecord { path: "objects/ü".into(), size: 3, at, sha256: [0xab; 32], void: false };
        let digest = "ab".repeat(32);
        let line = format!(r#"{{"path":"objects/ü","size":3,"member":7,"skip":512,"sha256":"{digest}"}}"#) + "\n";
        assert_eq!(Record::Entry(entry.clone()).to_line(), line.as_bytes());
        entry.void = true;
        let line = line.replace('}', r#","void":true}"#);
        assert_eq!(Record::Entry(entry.clone()).to_line(), line.as_bytes());
        assert_eq!(Record::parse(line.trim_end().as_bytes()).unwrap(), Record::Entry(entry));
        let vanished = Record::Vanished { path: "objects/a\"b".into() };
        assert_eq!(vanished.to_line(), b"{\"path\":\"objects/a\\\"b\",\"vanished\":true}\n");
        assert_eq!(Record::parse(vanished.to_line().trim_ascii_end()).unwrap(), vanished);
    }

    #[test]
    fn half_records_are_refused() {
        let digest = "ab".repeat(32);
        for line in [
            "{}".to_owned(),
            r#"{"path":"a"}"#.to_owned(),
            r#"{"path":"a","vanished":false}"#.to_owned(),
            r#"{"path":"a","size":1,"vanished":true}"#.to_owned(),
            format!(r#"{{"path":"a","size":1,"member":0,"skip":0,"sha256":"{digest}","void":false}}"#),
            format!(r#"{{"path":"a","size":1,"member":0,"skip":0,"sha256":"{}"}}"#, digest.to_uppercase()),
            format!(r#"{{"path":"a","size":1,"member":0,"skip":0,"sha256":"{digest}","other":1}}"#),
            format!(r#"{{"path":"a","size":-1,"member":0,"skip":0,"sha256":"{digest}"}}"#),
            r#"{"path":"a","size":1,"member":0,"skip":0,"sha256":""}"#.to_owned(),
        ] {
            assert!(Record::parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
