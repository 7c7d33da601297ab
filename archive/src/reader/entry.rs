//! The beginning of an entry: its headers, and its place among the others.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::{Body, Event, LastObject, Passing, Reader};
use crate::header::{Attempt, BLOCK, EntryHeader, HeaderKind, PAX_MAX_BYTES, PaxRecords, RawHeader, parse_pax};
use crate::index::Position;
use crate::layer::Dialect;
use crate::{EntryName, Error, Result};

/// The most zeros behind the end blocks of a foreign tar: the largest record that GNU tar writes.
const FOREIGN_PADDING_MAX_BYTES: u64 = 1 << 20;

impl<R: Read> Reader<R> {
    /// Reads an entry's headers; false at the two zero blocks.
    pub(super) fn begin_entry(&mut self) -> Result<bool> {
        let at = self.tar.position()?;
        let Some((header, records)) = self.headers()? else {
            self.end_blocks()?;
            return Ok(false);
        };
        let resolved = header.resolve(records, self.tar.dialect());
        let entry = resolved.map_err(|error| self.explain_first(error))?;
        self.last_path = entry.name.path()?;
        self.count_entry()?;
        self.admit(&entry.name, entry.object.size)?;
        self.open(entry, at)?;
        Ok(true)
    }

    /// The header of the next file and the pax records before it; none at a zero block.
    fn headers(&mut self) -> Result<Option<(RawHeader, PaxRecords)>> {
        let mut records: Option<PaxRecords> = None;
        let mut long_name: Option<String> = None;
        loop {
            let block = self.tar.take_block::<BLOCK>()?;
            if block == [0; BLOCK] && records.is_none() && long_name.is_none() {
                return Ok(None);
            }
            let header = self.parse_header(&block)?;
            match header.kind {
                HeaderKind::File => {
                    let mut records = records.unwrap_or_default();
                    if let Some(name) = long_name {
                        records.entry("path".into()).or_insert(name);
                    }
                    return Ok(Some((header, records)));
                }
                HeaderKind::Pax if records.is_some() => {
                    return Err(Error::entry(&*self.last_path, "two pax headers follow one another"));
                }
                HeaderKind::Pax => records = Some(self.pax(header.size)?),
                HeaderKind::LongName => long_name = Some(self.long_name(header.size)?),
                HeaderKind::GlobalPax => {
                    self.count_entry()?;
                    self.global_pax(header.size)?;
                }
                HeaderKind::Folder => {
                    self.count_entry()?;
                    self.header_body(header.size)?;
                    (records, long_name) = (None, None);
                }
            }
        }
    }

    fn count_entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::Limit { what: "entries", limit: self.limits.entries });
        }
        Ok(())
    }

    /// The second zero block, and what foreign tar pads with.
    fn end_blocks(&mut self) -> Result<()> {
        let path = std::mem::take(&mut self.last_path);
        self.skip_zeros(BLOCK as u64, &path)?;
        if self.tar.dialect() == Dialect::Foreign {
            let mut left = FOREIGN_PADDING_MAX_BYTES;
            loop {
                let piece = self.tar.take_behind_the_end(left)?;
                if piece.is_empty() {
                    break;
                }
                if piece.iter().any(|&byte| byte != 0) {
                    return Err(Error::entry(path, "there is more behind the end of the tar"));
                }
                left -= piece.len() as u64;
                if left == 0 {
                    break;
                }
            }
        }
        self.last_path = path;
        Ok(())
    }

    fn parse_header(&self, block: &[u8; BLOCK]) -> Result<RawHeader> {
        RawHeader::parse(block, self.tar.dialect()).map_err(|why| {
            let behind = if self.entries == 0 {
                "the first entry".into()
            } else {
                format!("the entry after {:?}", self.last_path)
            };
            self.explain_first(Error::entry(behind, why))
        })
    }

    /// A tar that does not begin with our manifest is somebody else's.
    fn explain_first(&self, error: Error) -> Error {
        match error {
            Error::Entry { entry, why } if self.entries == 0 => Error::NotAnArchive(format!("entry {entry:?}: {why}")),
            other => other,
        }
    }

    fn pax(&mut self, size: u64) -> Result<PaxRecords> {
        let bytes = self.header_body(size)?;
        let last = &self.last_path;
        parse_pax(&bytes).map_err(|why| Error::entry(format!("the entry after {last:?}"), why))
    }

    /// Records for all that follows: taken where they say nothing of what it is.
    fn global_pax(&mut self, size: u64) -> Result<()> {
        let records = self.pax(size)?;
        let matters = |keyword: &String| {
            ["path", "size", "linkpath"].contains(&keyword.as_str())
                || ["GNU.", "COFFER."].iter().any(|prefix| keyword.starts_with(prefix))
        };
        match records.keys().find(|keyword| matters(keyword)) {
            Some(keyword) => {
                let last = &self.last_path;
                let why = format!("a global pax header says {keyword:?} of all that follows");
                Err(Error::entry(format!("the entry after {last:?}"), why))
            }
            None => Ok(()),
        }
    }

    fn long_name(&mut self, size: u64) -> Result<String> {
        let mut bytes = self.header_body(size)?;
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        let last = &self.last_path;
        String::from_utf8(bytes).map_err(|_| Error::entry(format!("the entry after {last:?}"), "its name is not UTF-8"))
    }

    /// What stands behind a header that is no file's.
    fn header_body(&mut self, size: u64) -> Result<Vec<u8>> {
        let last = self.last_path.clone();
        let foreign = self.tar.dialect() == Dialect::Foreign;
        if size > PAX_MAX_BYTES || (size == 0 && !foreign) {
            return Err(Error::entry(format!("the entry after {last:?}"), "its pax header is empty or over 1 MiB"));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            bytes.extend_from_slice(&self.tar.take(size - bytes.len() as u64)?);
        }
        self.skip_zeros((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64, &last)?;
        Ok(bytes)
    }

    fn open(&mut self, entry: EntryHeader, at: Position) -> Result<()> {
        let EntryHeader { name, object, attempt } = entry;
        let (path, size) = (self.last_path.clone(), object.size);
        let wrong = |why| Error::entry(&*path, why);
        let again = attempt != Attempt::FIRST;
        if !matches!(name, EntryName::Index(_)) {
            self.settle(again);
        }
        let (mut table, mut announce) = (None, None);
        match &name {
            EntryName::Rows { table: name, chunk, encoding } => {
                table = Some(self.front.begin_chunk(name, *chunk, *encoding, size).map_err(wrong)?);
            }
            EntryName::Object(key) => {
                self.count_object(key, size, attempt).map_err(wrong)?;
                let object = Box::new(object);
                announce = Some(if again { Event::ObjectAgain(object) } else { Event::Object(object) });
            }
            _ => {}
        }
        self.show(Passing::Begin { path: &path, size })?;
        self.body = Some(Body { name, path, size, left: size, at, digest: Sha256::new(), table, announce });
        Ok(())
    }

    /// Counts an object. One that comes again takes the place of the one before it.
    fn count_object(&mut self, key: &[u8], size: u64, attempt: Attempt) -> Result<(), &'static str> {
        match self.last_object.take() {
            last if attempt == Attempt::FIRST => {
                if last.is_some_and(|last| key <= last.key.as_slice()) {
                    return Err("objects stand twice or out of the order of their keys");
                }
                self.objects.count += 1;
            }
            Some(last) if last.key == key && last.attempt.next() == Some(attempt) => self.objects.bytes -= last.size,
            _ => return Err("it is a further attempt at an object whose earlier attempt does not stand before it"),
        }
        self.objects.bytes = self.objects.bytes.checked_add(size).ok_or("its size is impossible")?;
        self.last_object = Some(LastObject { key: key.to_vec(), size, attempt });
        Ok(())
    }
}
