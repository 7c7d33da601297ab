//! Header blocks of the tar layer: what an entry is told by, written the one way the format allows (POSIX pax).

use std::collections::BTreeMap;

use tar::{EntryType, Header};

use crate::{EntryName, Error, ObjectHeader, Result};

/// The unit of the tar layer.
pub(crate) const BLOCK: usize = 512;
/// The most bytes of pax records for an entry.
pub(crate) const PAX_MAX_BYTES: u64 = 1 << 20;
const NAME_FIELD: usize = 100;
const SIZE_FIELD_LIMIT: u64 = 8 << 30;
const PAX_NAME: &[u8] = b"PaxHeader";
const HEADERS: [&str; 5] = ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// pax records by keyword.
pub(crate) type PaxRecords = BTreeMap<String, String>;

/// The header blocks of an entry that is no object.
pub(crate) fn plain_entry(name: &EntryName, size: u64) -> Result<Vec<u8>> {
    entry(name, size, 0, PaxRecords::new())
}

/// The header blocks of an object.
pub(crate) fn object_entry(object: &ObjectHeader) -> Result<Vec<u8>> {
    let name = EntryName::Object(object.key.clone());
    let mut records = PaxRecords::new();
    for (keyword, value) in [("COFFER.content-type", &object.content_type), ("COFFER.etag", &object.etag)] {
        records.extend(value.clone().map(|value| (keyword.to_owned(), value)));
    }
    for (header, value) in &object.headers {
        if !HEADERS.contains(&header.as_str()) {
            return Err(Error::unwritable(name.path()?, format!("the format has no place for its header {header:?}")));
        }
        records.insert(format!("COFFER.header.{header}"), value.clone());
    }
    for (key, value) in &object.user {
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err(Error::unwritable(
                name.path()?,
                format!("its metadata name {key:?} can't stand in a pax record"),
            ));
        }
        records.insert(format!("COFFER.meta.{key}"), value.clone());
    }
    entry(&name, object.size, object.modified, records)
}

fn entry(name: &EntryName, size: u64, modified: u64, mut records: PaxRecords) -> Result<Vec<u8>> {
    let path = name.path()?;
    if let Some(original) = name.original_name() {
        records.insert("COFFER.key".into(), original.to_owned());
    }
    if path.len() > NAME_FIELD || !path.is_ascii() {
        records.insert("path".into(), path.clone());
    }
    if size >= SIZE_FIELD_LIMIT {
        records.insert("size".into(), size.to_string());
    }
    let mut blocks = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let pax = pax_bytes(&records);
        if pax.len() as u64 > PAX_MAX_BYTES {
            return Err(Error::unwritable(path, "its metadata is over 1 MiB"));
        }
        blocks.extend_from_slice(header(PAX_NAME, EntryType::XHeader, pax.len() as u64, 0).as_bytes());
        blocks.extend_from_slice(&pax);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    }
    let size = if size >= SIZE_FIELD_LIMIT { 0 } else { size };
    let short: String = path.chars().take(NAME_FIELD).map(|c| if c.is_ascii() { c } else { '_' }).collect();
    blocks.extend_from_slice(header(short.as_bytes(), EntryType::Regular, size, modified).as_bytes());
    Ok(blocks)
}

/// One block. A time that its field has no room for is cut to the greatest (the year 2242).
fn header(name: &[u8], kind: EntryType, size: u64, modified: u64) -> Header {
    let mut header = Header::new_ustar();
    if let Some(field) = header.as_old_mut().name.get_mut(..name.len()) {
        field.copy_from_slice(name);
    }
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(modified.min(SIZE_FIELD_LIMIT - 1));
    header.set_cksum();
    header
}

fn pax_bytes(records: &PaxRecords) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (keyword, value) in records {
        let rest = keyword.len() + value.len() + 3;
        // The length counts its own digits.
        let digits = (1..20).find(|digits| (rest + digits).to_string().len() == *digits).unwrap_or(1);
        bytes.extend_from_slice(format!("{} {keyword}={value}\n", rest + digits).as_bytes());
    }
    bytes
}

/// Takes pax records apart. Lengths must fit to the byte, and no keyword may stand twice.
pub(crate) fn parse_pax(mut bytes: &[u8]) -> std::result::Result<PaxRecords, &'static str> {
    let mut records = PaxRecords::new();
    while !bytes.is_empty() {
        let malformed = "its pax records are malformed";
        let space = bytes.iter().take(8).position(|&byte| byte == b' ').ok_or(malformed)?;
        let (digits, _) = bytes.split_at_checked(space).ok_or(malformed)?;
        let length: usize = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).ok_or(malformed)?;
        let (record, rest) = bytes.split_at_checked(length).ok_or(malformed)?;
        let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or(malformed)?;
        let record = std::str::from_utf8(record).map_err(|_| "its pax records are not UTF-8")?;
        let (keyword, value) = record.split_once('=').ok_or(malformed)?;
        if records.insert(keyword.to_owned(), value.to_owned()).is_some() {
            return Err("a pax keyword stands twice");
        }
        bytes = rest;
    }
    Ok(records)
}

/// What one header block says.
#[derive(Debug)]
pub(crate) struct RawHeader {
    pub(crate) kind: EntryType,
    pub(crate) name: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) modified: u64,
}

impl RawHeader {
    /// Reads a block that is not zero, and holds it to the format: types `0` and `x`, no prefix, no link.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> std::result::Result<Self, &'static str> {
        let header = Header::from_byte_slice(block);
        let mut summed = header.clone();
        summed.set_cksum();
        if header.cksum().ok() != summed.cksum().ok() {
            return Err("the checksum of its tar header does not match");
        }
        let ustar = header.as_ustar().ok_or("its tar header is not a ustar one")?;
        let kind = header.entry_type();
        if !matches!(kind, EntryType::Regular | EntryType::XHeader) || ustar.typeflag == [0] {
            return Err(
                "it is neither a file nor a pax header: links, folders and devices have no place in an archive",
            );
        }
        if ustar.prefix.iter().any(|&byte| byte != 0) || ustar.linkname.iter().any(|&byte| byte != 0) {
            return Err("its tar header has a prefix or a link name");
        }
        let name = ustar.name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
        let (size, modified) = (octal(&ustar.size)?, octal(&ustar.mtime)?);
        Ok(Self { kind, name, size, modified })
    }

    /// The entry that this header and the pax records before it describe, as the format's rules ask.
    pub(crate) fn resolve(self, records: PaxRecords) -> Result<(EntryName, ObjectHeader)> {
        let short = String::from_utf8_lossy(&self.name).into_owned();
        let damaged = |why: &str| Error::entry(records.get("path").unwrap_or(&short), why);
        let path = records.get("path").unwrap_or(&short);
        let name = EntryName::parse(path)?;
        let size = match records.get("size") {
            None => self.size,
            Some(size) => {
                let size = size.parse().ok().filter(|size: &u64| *size >= SIZE_FIELD_LIMIT && self.size == 0);
                size.ok_or_else(|| damaged("its pax size contradicts its header"))?
            }
        };
        if records.get("path").is_some_and(|path| path.len() <= NAME_FIELD && path.is_ascii()) {
            return Err(damaged("it has a pax path that it does not need"));
        }
        if records.get("COFFER.key").map(String::as_str) != name.original_name() {
            return Err(damaged("its pax record COFFER.key is not the name that its path encodes"));
        }
        let mut object = ObjectHeader { size, modified: self.modified, ..ObjectHeader::default() };
        for (keyword, value) in &records {
            let (keyword, value) = (keyword.as_str(), value.clone());
            match (keyword, &name) {
                ("path" | "size" | "COFFER.key", _) => {}
                ("COFFER.content-type", EntryName::Object(_)) => object.content_type = Some(value),
                ("COFFER.etag", EntryName::Object(_)) => object.etag = Some(value),
                (_, EntryName::Object(_)) => {
                    let header = keyword.strip_prefix("COFFER.header.").filter(|header| HEADERS.contains(header));
                    let (place, key) = match (header, keyword.strip_prefix("COFFER.meta.")) {
                        (Some(header), _) => (&mut object.headers, header),
                        (None, Some(key)) if !key.is_empty() => (&mut object.user, key),
                        _ => {
                            return Err(damaged(&format!(
                                "it has the pax keyword {keyword:?}, which this program does not know"
                            )));
                        }
                    };
                    place.insert(key.to_owned(), value);
                }
                _ => return Err(damaged(&format!("it has the pax keyword {keyword:?}, which has no place there"))),
            }
        }
        if let EntryName::Object(key) = &name {
            object.key.clone_from(key);
        }
        Ok((name, object))
    }
}

fn octal(field: &[u8]) -> std::result::Result<u64, &'static str> {
    let digits = field.split(|&byte| byte == 0 || byte == b' ').find(|digits| !digits.is_empty());
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u64::from_str_radix(digits, 8).ok())
        .ok_or("a number in its tar header is not octal")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(blocks: &[u8]) -> Result<(EntryName, ObjectHeader)> {
        let raw = |at: usize| RawHeader::parse(blocks[at..at + BLOCK].try_into().unwrap()).unwrap();
        let first = raw(0);
        if first.kind == EntryType::Regular {
            return first.resolve(PaxRecords::new());
        }
        let records = parse_pax(&blocks[BLOCK..BLOCK + usize::try_from(first.size).unwrap()]).unwrap();
        raw(blocks.len() - BLOCK).resolve(records)
    }

    #[test]
    fn objects_come_back_with_all_that_the_store_told() {
        let plain = ObjectHeader { key: b"a.txt".to_vec(), size: 5, modified: 1_700_000_000, ..Default::default() };
        let awkward = ObjectHeader {
            key: format!("{}/ü\n", "x".repeat(240)).into_bytes(),
            size: 9 << 30,
            content_type: Some("text/plain; charset=utf-8".into()),
            etag: Some("\"abc\"".into()),
            headers: [("expires".to_owned(), "never\nat all".to_owned())].into(),
            user: [("owner".to_owned(), "Zoë = me".to_owned())].into(),
            ..Default::default()
        };
        for object in [plain, awkward] {
            let (name, back) = parse(&object_entry(&object).unwrap()).unwrap();
            assert_eq!((name, &back), (EntryName::Object(object.key.clone()), &object));
        }
    }

    #[test]
    fn pax_lengths_count_their_own_digits() {
        for length in 0..1_100 {
            let records: PaxRecords = [("k".to_owned(), "v".repeat(length))].into();
            assert_eq!(parse_pax(&pax_bytes(&records)).unwrap(), records);
        }
        for bad in ["5 a=b\n", "7 a=b\n", "x a=b\n", "6 a=b", "6 ab.\n", "6 a=b\n6 a=c\n", "99999999 a=b\n"] {
            assert!(parse_pax(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn links_devices_and_folders_are_refused() {
        for kind in *b"1234567gLKSV\0" {
            let mut header = header(b"objects/a", EntryType::Regular, 0, 0);
            header.as_old_mut().linkflag = [kind];
            header.set_cksum();
            assert!(RawHeader::parse(header.as_bytes()).is_err(), "{}", char::from(kind));
        }
    }
}
