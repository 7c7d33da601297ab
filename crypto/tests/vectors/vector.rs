//! One vector: what its file says, and what a reader made of it, in the same words.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use coffer_crypto::{ArchiveId, Error, Passphrase, SegmentNumber, Unlock, WorkFactor};
use libdeflater::Decompressor;
use sha2::{Digest, Sha256};

/// Lines of `key: value`, and the archive.
#[derive(PartialEq, Eq)]
pub(crate) struct Vector {
    pub(crate) name: String,
    head: Vec<(String, String)>,
    pub(crate) archive: Vec<u8>,
}

impl Vector {
    /// All of a folder, by name.
    pub(crate) fn read_all(folder: &Path) -> Vec<Self> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut vectors: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "vector"))
            .map(|path| Self::parse(path.file_stem().unwrap().to_str().unwrap(), &fs::read(&path).unwrap()))
            .collect();
        vectors.sort_by(|one, other| one.name.cmp(&other.name));
        vectors
    }

    fn parse(name: &str, file: &[u8]) -> Self {
        let end = file.windows(2).position(|bytes| bytes == b"\n\n").unwrap();
        let head: Vec<(String, String)> = str::from_utf8(&file[..end])
            .unwrap()
            .lines()
            .map(|line| line.split_once(": ").map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap())
            .collect();
        let mut vector = Self { name: name.to_owned(), head, archive: file[end + 2..].to_vec() };
        let size = vector.field("size-bytes").unwrap().parse().unwrap();
        if vector.field("compressed") == Some("zlib") {
            let mut archive = vec![0; size];
            let inflated = Decompressor::new().zlib_decompress(&vector.archive, &mut archive).unwrap();
            assert_eq!(inflated, size, "{name}");
            vector.archive = archive;
        }
        assert_eq!(vector.archive.len(), size, "{name}");
        vector
    }

    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        self.head.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    fn fields<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    pub(crate) fn unlock(&self) -> Unlock {
        Unlock {
            identities: self.fields("identity").map(|identity| identity.parse().unwrap()).collect(),
            passphrase: self.field("passphrase").map(|text| Passphrase::new(text).unwrap()),
            max_work_factor: WorkFactor::new(self.field("max-work-factor").unwrap().parse().unwrap()).unwrap(),
        }
    }

    pub(crate) fn expected(&self) -> Outcome {
        let is_input = |key: &str| {
            matches!(key, "comment" | "identity" | "passphrase" | "max-work-factor" | "size-bytes" | "compressed")
        };
        Outcome {
            said: self.head.iter().filter(|(key, _)| !is_input(key) && !key.starts_with("released")).cloned().collect(),
            released_bytes: self.field("released-bytes").unwrap().parse().unwrap(),
            released_sha256: self.field("released-sha256").unwrap().to_owned(),
        }
    }
}

/// What came out of an archive, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `expect` and what belongs to it.
    pub(crate) said: BTreeMap<String, String>,
    released_bytes: usize,
    released_sha256: String,
}

impl Outcome {
    pub(crate) fn success(released: Vec<u8>, id: ArchiveId) -> Self {
        Self::new("success", [("archive-id", Some(id.to_string()))], released)
    }

    pub(crate) fn released_nothing(&self) -> bool {
        self.released_bytes == 0 && self.said.get("expect").is_some_and(|expect| expect != "success")
    }

    fn new<const N: usize>(expect: &str, fields: [(&str, Option<String>); N], released: Vec<u8>) -> Self {
        let fields = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Self {
            said: [("expect".to_owned(), expect.to_owned())].into_iter().chain(fields).collect(),
            released_bytes: released.len(),
            released_sha256: Sha256::digest(&released).iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// An error after these bytes.
pub(crate) fn refusal(released: Vec<u8>, error: &Error) -> Outcome {
    let at = |segment: &SegmentNumber| Some(segment.to_string());
    match error {
        Error::NotSealed => Outcome::new("NotSealed", [], released),
        Error::UnsupportedVersion { version } => {
            Outcome::new("UnsupportedVersion", [("version", Some(version.to_string()))], released)
        }
        Error::EnvelopeTooLong { length } => {
            Outcome::new("EnvelopeTooLong", [("length", Some(length.to_string()))], released)
        }
        Error::EnvelopeDamaged => Outcome::new("EnvelopeDamaged", [], released),
        Error::WrongKey(wrong) => Outcome::new("WrongKey", [("wrong-key", Some(format!("{wrong:?}")))], released),
        Error::ExcessiveWork { required, max } => {
            let fields = [("required", Some(required.to_string())), ("max", Some(max.to_string()))];
            Outcome::new("ExcessiveWork", fields, released)
        }
        Error::KeyLength => Outcome::new("KeyLength", [], released),
        Error::HeaderTag => Outcome::new("HeaderTag", [], released),
        Error::SegmentTag { segment } => Outcome::new("SegmentTag", [("segment", at(segment))], released),
        Error::CutShort { segment, offset } => {
            let fields = [("segment", segment.as_ref().and_then(at)), ("offset", Some(offset.to_string()))];
            Outcome::new("CutShort", fields, released)
        }
        Error::TrailingData { segment } => Outcome::new("TrailingData", [("segment", at(segment))], released),
        Error::EmptySegment { segment } => Outcome::new("EmptySegment", [("segment", at(segment))], released),
        other => panic!("no archive leads to {other:?}"),
    }
}

/// The error of this crate within an I/O error.
pub(crate) fn inner(error: io::Error) -> Error {
    *error.into_inner().unwrap().downcast().unwrap()
}
