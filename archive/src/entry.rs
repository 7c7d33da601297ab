//! Names of entries: what each path in an archive stands for, and how awkward names become paths and come back.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// How the rows of an archive are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowEncoding {
    /// PostgreSQL's COPY text format.
    Copy,
    /// One JSON array a row.
    Jsonl,
}

impl RowEncoding {
    fn extension(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Jsonl => "jsonl",
        }
    }
}

/// What an entry of the tar layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryName {
    /// `manifest.json`
    Manifest,
    /// `database/schema.json`
    Schema,
    /// `database/pre-data.sql`
    PreData,
    /// `database/post-data.sql`
    PostData,
    /// `database/rows/<table>/<8 digits>.<copy or jsonl>`
    Rows {
        /// The table's name, decoded.
        table: String,
        /// The chunk's number, from 0.
        chunk: u32,
        /// How its rows are written.
        encoding: RowEncoding,
    },
    /// `database/sequences.json`
    Sequences,
    /// `objects/<key>`, the key decoded.
    Object(Vec<u8>),
    /// `index/<8 digits>.jsonl`
    Index(u32),
    /// `summary.json`
    Summary,
}

/// An object as its entry describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectHeader {
    /// The key in its store; any bytes.
    pub key: Vec<u8>,
    /// Size of its content in bytes.
    pub size: u64,
    /// Seconds since 1970 at which it was last modified; 0 where nobody knows.
    pub modified: u64,
    /// Its media type.
    pub content_type: Option<String>,
    /// The entity tag that its store gave it.
    pub etag: Option<String>,
    /// Of `cache-control`, `content-disposition`, `content-encoding`, `content-language`, `expires`, those it has.
    pub headers: BTreeMap<String, String>,
    /// User metadata.
    pub user: BTreeMap<String, String>,
}

/// The longest path a writer makes; every store's keys are far shorter, and an index record fits its block.
const PATH_MAX_BYTES: usize = 65_536;
const CHUNK_DIGITS: usize = 8;
const NUMBER_MAX: u32 = 99_999_999;

impl EntryName {
    /// The path that stands for it.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for an empty name, and for one that makes a path of over 65,536 bytes or a number of over
    /// eight digits.
    pub fn path(&self) -> Result<String> {
        let path = match self {
            Self::Manifest => "manifest.json".to_owned(),
            Self::Schema => "database/schema.json".to_owned(),
            Self::PreData => "database/pre-data.sql".to_owned(),
            Self::PostData => "database/post-data.sql".to_owned(),
            Self::Rows { table, chunk, encoding } => {
                let (table, extension) = (encode(table.as_bytes(), Slash::Encoded), encoding.extension());
                format!("database/rows/{table}/{}.{extension}", number(*chunk)?)
            }
            Self::Sequences => "database/sequences.json".to_owned(),
            Self::Object(key) => format!("objects/{}", encode(key, Slash::Kept)),
            Self::Index(block) => format!("index/{}.jsonl", number(*block)?),
            Self::Summary => "summary.json".to_owned(),
        };
        match self {
            Self::Object(key) if key.is_empty() => Err(Error::unwritable(path, "an object needs a key")),
            Self::Rows { table, .. } if table.is_empty() => Err(Error::unwritable(path, "a table needs a name")),
            _ if path.len() > PATH_MAX_BYTES => {
                Err(Error::unwritable(path.chars().take(100).collect::<String>(), "its path is over 65,536 bytes long"))
            }
            _ => Ok(path),
        }
    }

    /// What a path of an archive stands for.
    ///
    /// # Errors
    /// [`Error::Entry`] for a path that no writer makes, one that is not the encoding of its decoding among them.
    pub fn parse(path: &str) -> Result<Self> {
        let parsed = Self::recognise(path).ok_or_else(|| Error::entry(path, "no entry of the format has this path"))?;
        if parsed.path().ok().as_deref() != Some(path) {
            return Err(Error::entry(path, "the path is not written as the format asks"));
        }
        Ok(parsed)
    }

    fn recognise(path: &str) -> Option<Self> {
        Some(match path {
            "manifest.json" => Self::Manifest,
            "database/schema.json" => Self::Schema,
            "database/pre-data.sql" => Self::PreData,
            "database/post-data.sql" => Self::PostData,
            "database/sequences.json" => Self::Sequences,
            "summary.json" => Self::Summary,
            _ => {
                if let Some(key) = path.strip_prefix("objects/") {
                    Self::Object(decode(key)?)
                } else if let Some(block) = path.strip_prefix("index/") {
                    Self::Index(parse_number(block.strip_suffix(".jsonl")?)?)
                } else {
                    let (table, file) = path.strip_prefix("database/rows/")?.split_once('/')?;
                    let (chunk, extension) = file.split_once('.')?;
                    let encoding = match extension {
                        "copy" => RowEncoding::Copy,
                        "jsonl" => RowEncoding::Jsonl,
                        _ => return None,
                    };
                    let table = String::from_utf8(decode(table)?).ok()?;
                    Self::Rows { table, chunk: parse_number(chunk)?, encoding }
                }
            }
        })
    }

    /// The name that the path had to encode, where it is text: what the pax record `COFFER.key` holds.
    pub(crate) fn original_name(&self) -> Option<&str> {
        let (name, encoded) = match self {
            Self::Rows { table, .. } => (table.as_bytes(), encode(table.as_bytes(), Slash::Encoded)),
            Self::Object(key) => (key.as_slice(), encode(key, Slash::Kept)),
            _ => return None,
        };
        let name = std::str::from_utf8(name).ok()?;
        (encoded != name && !name.contains('\0')).then_some(name)
    }
}

fn number(value: u32) -> Result<String> {
    if value > NUMBER_MAX {
        return Err(Error::unwritable(value.to_string(), "the number has more than eight digits"));
    }
    Ok(format!("{value:0CHUNK_DIGITS$}"))
}

fn parse_number(digits: &str) -> Option<u32> {
    (digits.len() == CHUNK_DIGITS && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[derive(Clone, Copy, PartialEq)]
enum Slash {
    Kept,
    Encoded,
}

/// A name as a path: a slash that begins or ends the name or follows another is no separator, and is escaped.
fn encode(name: &[u8], slash: Slash) -> String {
    let mut path = String::with_capacity(name.len());
    let mut segments = name.split(|&byte| byte == b'/').peekable();
    let mut before: Option<&[u8]> = None;
    while let Some(segment) = segments.next() {
        if let Some(before) = before {
            let ends_the_name = segment.is_empty() && segments.peek().is_none();
            let separates = slash == Slash::Kept && !before.is_empty() && !ends_the_name;
            path.push_str(if separates { "/" } else { "%2F" });
        }
        encode_segment(segment, &mut path);
        before = Some(segment);
    }
    path
}

fn encode_segment(segment: &[u8], path: &mut String) {
    let dots = segment == b"." || segment == b"..";
    for chunk in segment.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\0'..='\x1f' | '\x7f' | '%' | '\\' => push_escaped(path, character as u8),
                '.' if dots => push_escaped(path, b'.'),
                _ => path.push(character),
            }
        }
        chunk.invalid().iter().for_each(|&byte| push_escaped(path, byte));
    }
}

fn push_escaped(path: &mut String, byte: u8) {
    path.push_str(&format!("%{byte:02X}"));
}

fn decode(path: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            name.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            name.push(byte);
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &[u8]) -> String {
        EntryName::Object(key.to_vec()).path().unwrap()
    }

    #[test]
    fn awkward_names_become_paths() {
        for (key, path) in [
            (&b"a/b.txt"[..], "objects/a/b.txt"),
            (b"/a", "objects/%2Fa"),
            (b"a/", "objects/a%2F"),
            (b"a//b", "objects/a/%2Fb"),
            (b"a///b", "objects/a/%2F%2Fb"),
            (b"/", "objects/%2F"),
            (b"//", "objects/%2F%2F"),
            (b"a//", "objects/a/%2F"),
            (b".", "objects/%2E"),
            (b"../x", "objects/%2E%2E/x"),
            (b"a/./b", "objects/a/%2E/b"),
            (b"...", "objects/..."),
            (b"100%", "objects/100%25"),
            (b"a\\b\nc\x7f", "objects/a%5Cb%0Ac%7F"),
            (b"caf\xc3\xa9 \xff", "objects/café %FF"),
        ] {
            assert_eq!(object(key), path);
            assert_eq!(EntryName::parse(path).unwrap(), EntryName::Object(key.to_vec()));
        }
    }

    #[test]
    fn a_table_keeps_its_slashes_encoded() {
        let name = EntryName::Rows { table: "a/b".into(), chunk: 7, encoding: RowEncoding::Jsonl };
        assert_eq!(name.path().unwrap(), "database/rows/a%2Fb/00000007.jsonl");
        assert_eq!(EntryName::parse("database/rows/a%2Fb/00000007.jsonl").unwrap(), name);
    }

    #[test]
    fn every_short_name_comes_back() {
        let alphabet = [b'/', b'.', b'%', b'a', 0xff, 0x00];
        for n in 0..alphabet.len().pow(4) {
            let key: Vec<u8> = (0..4).map(|i| alphabet[n / alphabet.len().pow(i) % alphabet.len()]).collect();
            assert_eq!(EntryName::parse(&object(&key)).unwrap(), EntryName::Object(key));
        }
    }

    #[test]
    fn paths_that_no_writer_makes_are_refused() {
        for path in [
            "objects/",
            "objects//a",
            "objects/../x",
            "objects/a/",
            "objects/%41",
            "objects/%2f",
            "objects/%2",
            "x",
            "objects/a\\b",
            "database/rows/t/0.jsonl",
            "database/rows/t/00000000.csv",
            "database/rows//00000000.copy",
            "index/1.jsonl",
            "../manifest.json",
            "/manifest.json",
            "database/rows/a/b/00000000.copy",
            "",
        ] {
            assert!(EntryName::parse(path).is_err(), "{path}");
        }
    }
}
