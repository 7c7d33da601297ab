//! Header blocks as they are read: held to the format where a writer of ours made them, and taken as tar has them where
//! others did.

use tar::{Header, UstarHeader};

use super::{Attempt, BLOCK, HEADERS, NAME_FIELD, PaxRecords, SIZE_FIELD_LIMIT, decimal};
use crate::layer::Dialect;
use crate::{EntryName, Error, ObjectHeader, Result};

/// What a header block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderKind {
    /// A file: the entry itself.
    File,
    /// pax records for the entry behind it.
    Pax,
    /// pax records for all entries behind it, of which none matters. Foreign tar alone has them.
    GlobalPax,
    /// The name of the entry behind it, as GNU tar writes a long one. Foreign tar alone has it.
    LongName,
    /// A folder, which holds nothing. Foreign tar alone has them.
    Folder,
}

/// What one header block says.
#[derive(Debug)]
pub(crate) struct RawHeader {
    pub(crate) kind: HeaderKind,
    pub(crate) name: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) modified: u64,
}

/// An entry as its headers describe it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EntryHeader {
    pub(crate) name: EntryName,
    /// Its size and time, and all else where it is an object.
    pub(crate) object: ObjectHeader,
    pub(crate) attempt: Attempt,
}

const NO_PLACE: &str = "it is neither a file nor a pax header: links, folders and devices have no place in an archive";

impl RawHeader {
    /// Reads a block that is not zero.
    pub(crate) fn parse(block: &[u8; BLOCK], dialect: Dialect) -> std::result::Result<Self, &'static str> {
        let header = Header::from_byte_slice(block);
        let mut summed = header.clone();
        summed.set_cksum();
        if header.cksum().ok() != summed.cksum().ok() {
            return Err("the checksum of its tar header does not match");
        }
        match dialect {
            Dialect::Ours => Self::parse_ours(header),
            Dialect::Foreign => Self::parse_foreign(header),
        }
    }

    /// Types `0` and `x` alone, and nothing but name, size and time.
    fn parse_ours(header: &Header) -> std::result::Result<Self, &'static str> {
        let ustar = header.as_ustar().ok_or("its tar header is not a ustar one")?;
        let kind = match ustar.typeflag {
            [b'0'] => HeaderKind::File,
            [b'x'] => HeaderKind::Pax,
            _ => return Err(NO_PLACE),
        };
        if ustar.prefix.iter().any(|&byte| byte != 0) || ustar.linkname.iter().any(|&byte| byte != 0) {
            return Err("its tar header has a prefix or a link name");
        }
        if !is_nobodys(ustar) {
            return Err("its tar header has another mode than 0644, an owner or a device number");
        }
        let (size, modified) = (octal(&ustar.size)?, octal(&ustar.mtime)?);
        Ok(Self { kind, name: until_nul(&ustar.name).to_vec(), size, modified })
    }

    fn parse_foreign(header: &Header) -> std::result::Result<Self, &'static str> {
        if header.as_ustar().is_none() && header.as_gnu().is_none() {
            return Err("its tar header is neither a ustar nor a GNU one");
        }
        let kind = match header.as_old().linkflag {
            [b'0' | 0] => HeaderKind::File,
            [b'x'] => HeaderKind::Pax,
            [b'g'] => HeaderKind::GlobalPax,
            [b'L'] => HeaderKind::LongName,
            [b'5'] => HeaderKind::Folder,
            _ => return Err("it is neither a file nor a folder: links and devices have no place in an archive"),
        };
        let size = header.entry_size().map_err(|_| "the size in its tar header is no number")?;
        Ok(Self { kind, name: header.path_bytes().into_owned(), size, modified: header.mtime().unwrap_or(0) })
    }

    /// The entry that this header and the pax records before it describe, as the format's rules ask.
    pub(crate) fn resolve(self, records: PaxRecords, dialect: Dialect) -> Result<EntryHeader> {
        match dialect {
            Dialect::Ours => self.resolve_ours(records),
            Dialect::Foreign => self.resolve_foreign(records),
        }
    }

    fn resolve_ours(self, records: PaxRecords) -> Result<EntryHeader> {
        let path = self.path(&records);
        let damaged = |why: &str| Error::entry(&*path, why);
        let size = match records.get("size") {
            None => self.size,
            Some(size) => {
                let size = decimal(size.as_bytes()).filter(|size| *size >= SIZE_FIELD_LIMIT && self.size == 0);
                size.ok_or_else(|| damaged("its pax size contradicts its header"))?
            }
        };
        if records.get("path").is_some_and(|path| path.len() <= NAME_FIELD && path.is_ascii()) {
            return Err(damaged("it has a pax path that it does not need"));
        }
        if !records.contains_key("path") && !self.name.is_ascii() {
            return Err(damaged("its name is not ASCII, and no pax path tells it"));
        }
        let name = EntryName::parse(&path)?;
        if records.get("COFFER.key").map(String::as_str) != name.original_name() {
            return Err(damaged("its pax record COFFER.key is not the name that its path encodes"));
        }
        entry(name, ObjectHeader { size, modified: self.modified, ..ObjectHeader::default() }, records)
    }

    /// Other programs say in pax records what they like; `path`, `size` and ours matter.
    fn resolve_foreign(self, mut records: PaxRecords) -> Result<EntryHeader> {
        let path = self.path(&records);
        let path = path.strip_prefix("./").unwrap_or(&path);
        let damaged = |why: &str| Error::entry(path, why);
        if records.keys().any(|keyword| keyword.starts_with("GNU.sparse")) {
            return Err(damaged("it is a sparse file: write the archive without --sparse"));
        }
        let size = match records.get("size") {
            None => self.size,
            Some(size) => decimal(size.as_bytes()).ok_or_else(|| damaged("its pax size is no number"))?,
        };
        let name = EntryName::parse(path)?;
        if records.get("COFFER.key").is_some_and(|key| Some(key.as_str()) != name.original_name()) {
            return Err(damaged("its pax record COFFER.key is not the name that its path encodes"));
        }
        records.retain(|keyword, _| keyword.starts_with("COFFER."));
        entry(name, ObjectHeader { size, modified: self.modified, ..ObjectHeader::default() }, records)
    }

    fn path(&self, records: &PaxRecords) -> String {
        records.get("path").cloned().unwrap_or_else(|| String::from_utf8_lossy(&self.name).into_owned())
    }
}

/// What our own pax records say of an entry.
fn entry(name: EntryName, mut object: ObjectHeader, records: PaxRecords) -> Result<EntryHeader> {
    let mut attempt = Attempt::FIRST;
    let wrong = |why: String| name.path().and_then(|path| Err(Error::entry(path, why)));
    for (keyword, value) in records {
        let is_object = matches!(name, EntryName::Object(_));
        match keyword.as_str() {
            "path" | "size" | "COFFER.key" => {}
            _ if !is_object => return wrong(format!("it has the pax keyword {keyword:?}, which has no place there")),
            "COFFER.content-type" => object.content_type = Some(value),
            "COFFER.etag" => object.etag = Some(value),
            "COFFER.attempt" => match Attempt::parse(&value) {
                Some(found) => attempt = found,
                None => return wrong(format!("there is no attempt {value:?}: they are 2 and 3")),
            },
            _ => {
                let header = keyword.strip_prefix("COFFER.header.").filter(|header| HEADERS.contains(header));
                let (place, key) = match (header, keyword.strip_prefix("COFFER.meta.")) {
                    (Some(header), _) => (&mut object.headers, header),
                    (None, Some(key)) if !key.is_empty() => (&mut object.user, key),
                    _ => {
                        return wrong(format!("it has the pax keyword {keyword:?}, which this program does not know"));
                    }
                };
                place.insert(key.to_owned(), value);
            }
        }
    }
    if let EntryName::Object(key) = &name {
        object.key.clone_from(key);
    }
    Ok(EntryHeader { name, object, attempt })
}

/// Mode 0644, and nobody's: no ids, no names, no device, nothing in the padding.
fn is_nobodys(ustar: &UstarHeader) -> bool {
    let zero = |field: &[u8]| octal(field).ok().unwrap_or(0) == 0 && field.iter().all(|byte| b"\0 0".contains(byte));
    let empty = |field: &[u8]| field.iter().all(|&byte| byte == 0);
    octal(&ustar.mode) == Ok(0o644)
        && [&ustar.uid, &ustar.gid, &ustar.dev_major, &ustar.dev_minor].into_iter().all(|field| zero(field))
        && empty(&ustar.uname)
        && empty(&ustar.gname)
        && empty(&ustar.pad)
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Digits from the first byte on, and nothing behind them: other readers stop elsewhere where there is more.
fn octal(field: &[u8]) -> std::result::Result<u64, &'static str> {
    let digits = field.iter().take_while(|digit| (b'0'..=b'7').contains(digit)).count();
    let (digits, rest) = field.split_at(digits);
    std::str::from_utf8(digits)
        .ok()
        .filter(|digits| !digits.is_empty() && rest.iter().all(|byte| b"\0 ".contains(byte)))
        .and_then(|digits| u64::from_str_radix(digits, 8).ok())
        .ok_or("a number in its tar header is not octal")
}
