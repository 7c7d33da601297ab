//! Header blocks of the tar layer: what an entry is told by, written the one way the format allows (POSIX pax).

mod read;

use std::collections::BTreeMap;

use tar::{EntryType, Header};

pub(crate) use read::{EntryHeader, HeaderKind, RawHeader};

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

/// Which reading of an object an entry holds: it may have changed while it was read, and come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt(u8);

impl Attempt {
    pub(crate) const FIRST: Self = Self(1);
    const LAST: Self = Self(3);

    /// The attempt after this one; none after the third.
    pub(crate) fn next(self) -> Option<Self> {
        (self != Self::LAST).then_some(Self(self.0 + 1))
    }

    /// What the pax record says, which only later attempts have.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "2" => Some(Self(2)),
            "3" => Some(Self(3)),
            _ => None,
        }
    }
}

/// The header blocks of an entry that is no object.
pub(crate) fn plain_entry(name: &EntryName, size: u64) -> Result<Vec<u8>> {
    entry(name, size, 0, PaxRecords::new())
}

/// The header blocks of an object.
pub(crate) fn object_entry(object: &ObjectHeader, attempt: Attempt) -> Result<Vec<u8>> {
    let name = EntryName::Object(object.key.clone());
    let mut records = PaxRecords::new();
    if attempt != Attempt::FIRST {
        records.insert("COFFER.attempt".into(), attempt.0.to_string());
    }
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

/// A number in the one way to write it: digits, and no zero before them.
fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || !digits.starts_with(b"0"));
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// Takes pax records apart. Lengths must fit to the byte, and no keyword may stand twice.
pub(crate) fn parse_pax(mut bytes: &[u8]) -> std::result::Result<PaxRecords, &'static str> {
    let mut records = PaxRecords::new();
    while !bytes.is_empty() {
        let malformed = "its pax records are malformed";
        let space = bytes.iter().take(8).position(|&byte| byte == b' ').ok_or(malformed)?;
        let (digits, _) = bytes.split_at_checked(space).ok_or(malformed)?;
        let length = decimal(digits).and_then(|length| usize::try_from(length).ok()).ok_or(malformed)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Dialect;

    fn parse(blocks: &[u8], dialect: Dialect) -> Result<EntryHeader> {
        let raw = |at: usize| RawHeader::parse(blocks[at..at + BLOCK].try_into().unwrap(), dialect).unwrap();
        let first = raw(0);
        if first.kind == HeaderKind::File {
            return first.resolve(PaxRecords::new(), dialect);
        }
        let records = parse_pax(&blocks[BLOCK..BLOCK + usize::try_from(first.size).unwrap()]).unwrap();
        raw(blocks.len() - BLOCK).resolve(records, dialect)
    }

    fn plain() -> ObjectHeader {
        ObjectHeader { key: b"a.txt".to_vec(), size: 5, modified: 1_700_000_000, ..Default::default() }
    }

    #[test]
    fn objects_come_back_with_all_that_the_store_told() {
        let awkward = ObjectHeader {
            key: format!("{}/ü\n", "x".repeat(240)).into_bytes(),
            size: 9 << 30,
            content_type: Some("text/plain; charset=utf-8".into()),
            etag: Some("\"abc\"".into()),
            headers: [("expires".to_owned(), "never\nat all".to_owned())].into(),
            user: [("owner".to_owned(), "Zoë = me".to_owned())].into(),
            ..Default::default()
        };
        for object in [plain(), awkward] {
            for (attempt, dialect) in [(Attempt::FIRST, Dialect::Ours), (Attempt::LAST, Dialect::Foreign)] {
                let back = parse(&object_entry(&object, attempt).unwrap(), dialect).unwrap();
                let name = EntryName::Object(object.key.clone());
                assert_eq!(back, EntryHeader { name, object: object.clone(), attempt });
            }
        }
    }

    #[test]
    fn metadata_that_no_record_can_hold_is_refused() {
        for name in ["", "a=b", "a\0b"] {
            let object = ObjectHeader { user: [(name.to_owned(), "x".to_owned())].into(), ..plain() };
            assert!(object_entry(&object, Attempt::FIRST).is_err(), "{name:?}");
        }
        let object = ObjectHeader { headers: [("etag".to_owned(), "x".to_owned())].into(), ..plain() };
        assert!(object_entry(&object, Attempt::FIRST).is_err());
        // "1048576 COFFER.meta.a=" and a newline around the value make 1 MiB to the byte.
        for (length, fits) in [(PAX_MAX_BYTES - 23, true), (PAX_MAX_BYTES - 22, false)] {
            let value = "x".repeat(usize::try_from(length).unwrap());
            let object = ObjectHeader { user: [("a".to_owned(), value)].into(), ..plain() };
            assert_eq!(object_entry(&object, Attempt::FIRST).is_ok(), fits, "{length}");
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
            assert!(RawHeader::parse(header.as_bytes(), Dialect::Ours).is_err(), "{}", char::from(kind));
            let foreign = RawHeader::parse(header.as_bytes(), Dialect::Foreign);
            assert_eq!(foreign.is_ok(), b"5gL\0".contains(&kind), "{}", char::from(kind));
        }
    }

    /// Where other readers see another number, an archive would hold other entries for them.
    #[test]
    fn numbers_that_can_be_read_in_two_ways_are_refused() {
        for (field, taken) in [
            (&b"00000002000\0"[..], true),
            (b"2000\0      \0", true),
            (b"\x00\x00\x00\x002000\x00\x00\x00\x00", false),
            (b"       2000\0", false),
            (b"5 77\0\0\0\0\0\0\0\0", false),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", false),
            (b"-0000002000\0", false),
        ] {
            let mut header = header(b"objects/a", EntryType::Regular, 0, 0);
            header.as_old_mut().size.copy_from_slice(field);
            header.set_cksum();
            assert_eq!(RawHeader::parse(header.as_bytes(), Dialect::Ours).is_ok(), taken, "{field:?}");
        }
    }

    #[test]
    fn owners_modes_and_devices_are_refused() {
        let honest = header(b"objects/a", EntryType::Regular, 0, 0);
        assert!(RawHeader::parse(honest.as_bytes(), Dialect::Ours).is_ok());
        let changes: [fn(&mut Header); 7] = [
            |header| header.set_mode(0o755),
            |header| header.set_uid(1_000),
            |header| header.set_gid(1_000),
            |header| header.set_username("root").unwrap(),
            |header| header.set_groupname("root").unwrap(),
            |header| header.set_device_minor(1).unwrap(),
            |header| header.as_ustar_mut().unwrap().pad[3] = 1,
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut header = honest.clone();
            change(&mut header);
            header.set_cksum();
            assert!(RawHeader::parse(header.as_bytes(), Dialect::Ours).is_err(), "change {n}");
            assert!(RawHeader::parse(header.as_bytes(), Dialect::Foreign).is_ok(), "change {n}");
        }
    }
}
