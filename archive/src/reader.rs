//! Takes an archive apart in one pass, and vouches for it at the end.

mod commit;
mod order;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tar::EntryType;

use order::Stage;

use crate::header::{BLOCK, PAX_MAX_BYTES, PaxRecords, RawHeader, parse_pax};
use crate::index::{Block, BlocksDigest, IndexDigest, Position, Record};
use crate::manifest::table_names;
use crate::member_stream::MemberStream;
use crate::rows::Tables;
use crate::{EntryName, Error, FORMAT, Limits, Manifest, ObjectHeader, ObjectTotals, Result, Summary, fingerprint};

/// What comes next in an archive. Nothing of it is proven before the reader has reached the end.
#[derive(Debug)]
pub enum Event {
    /// What was known when the archive was begun.
    Manifest(Box<Manifest>),
    /// The structure of the database; its fingerprint is the manifest's.
    Structure {
        /// `schema.json`.
        schema: Bytes,
        /// The SQL before the rows.
        pre_data: Bytes,
        /// The SQL after the rows.
        post_data: Bytes,
    },
    /// Some bytes of a table's rows, cut anywhere. All of a table come together.
    Rows {
        /// The table's name.
        table: Arc<str>,
        /// At least one byte, at most 1 MiB.
        bytes: Bytes,
    },
    /// `sequences.json`; all rows have been seen.
    Sequences(Bytes),
    /// An object begins; its bytes follow, and [`Event::ObjectEnd`].
    Object(Box<ObjectHeader>),
    /// Some bytes of the object: at least one, at most 1 MiB.
    ObjectBytes(Bytes),
    /// The object has come to its end.
    ObjectEnd,
}

/// Reads one archive from its compressed layer, in fixed memory.
///
/// The reader checks each commit condition of the format: it returns `None` from [`Reader::next_event`] only after end
/// blocks, footer, end of input and summary have been seen, and row counts, digests, objects and index agree. After an
/// error every further call is an error.
pub struct Reader<R> {
    members: MemberStream<R>,
    limits: Limits,
    stage: Stage,
    manifest: Option<Manifest>,
    structure: Structure,
    tables: Tables,
    objects: ObjectTotals,
    entries: u64,
    seen: IndexDigest,
    seen_records: u64,
    told: IndexDigest,
    told_records: u64,
    blocks: BlocksDigest,
    last_key: Vec<u8>,
    last_path: String,
    body: Option<Body>,
    summary: Option<(Summary, Position)>,
}

#[derive(Default)]
struct Structure {
    schema: Bytes,
    pre_data: Bytes,
}

/// The entry that is being read.
struct Body {
    name: EntryName,
    path: String,
    size: u64,
    left: u64,
    at: Position,
    digest: Sha256,
    /// The table, of a chunk of rows.
    table: Option<Arc<str>>,
    /// The object that the caller has not heard of yet.
    announce: Option<Box<ObjectHeader>>,
}

impl<R: Read> Reader<R> {
    /// A reader of an archive's compressed layer. Nothing is read yet.
    pub fn new(input: R, limits: Limits) -> Self {
        Self {
            members: MemberStream::new(input, limits.clone()),
            limits,
            stage: Stage::Manifest,
            manifest: None,
            structure: Structure::default(),
            tables: Tables::default(),
            objects: ObjectTotals::default(),
            entries: 0,
            seen: IndexDigest::default(),
            seen_records: 0,
            told: IndexDigest::default(),
            told_records: 0,
            blocks: BlocksDigest::default(),
            last_key: Vec::new(),
            last_path: String::new(),
            body: None,
            summary: None,
        }
    }

    /// What comes next; `None` once the archive has been found whole.
    ///
    /// # Errors
    /// [`Error::CutShort`], [`Error::Member`] and [`Error::Entry`] for an archive that is not what a writer made,
    /// [`Error::Limit`] for one that is too large, [`Error::Io`] of the input.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let event = self.step();
        if event.is_err() {
            self.stage = Stage::Failed;
        }
        event
    }

    /// The summary, where [`Reader::next_event`] has vouched for the archive by returning `None`.
    #[must_use]
    pub fn into_verified_summary(self) -> Option<Summary> {
        self.summary.filter(|_| self.stage == Stage::Done).map(|(summary, _)| summary)
    }

    fn step(&mut self) -> Result<Option<Event>> {
        loop {
            match self.stage {
                Stage::Done => return Ok(None),
                Stage::Failed => return Err(Error::entry(&*self.last_path, "reading it has failed before")),
                _ => {}
            }
            let event = match self.body.take() {
                Some(body) => self.continue_body(body)?,
                None if self.begin_entry()? => continue,
                None => {
                    self.check_end()?;
                    self.stage = Stage::Done;
                    continue;
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Goes on with rows and objects piece by piece, and takes what is small whole.
    fn continue_body(&mut self, mut body: Body) -> Result<Option<Event>> {
        if let Some(object) = body.announce.take() {
            self.body = Some(body);
            return Ok(Some(Event::Object(object)));
        }
        let streamed = matches!(body.name, EntryName::Rows { .. } | EntryName::Object(_));
        if !streamed {
            let content = self.collect(&mut body)?;
            return self.end_document(body, content);
        }
        if body.left == 0 {
            return self.end_streamed(body);
        }
        let bytes = self.piece(&mut body)?;
        let event = match &body.table {
            Some(table) => {
                self.tables.add(&bytes);
                Event::Rows { table: Arc::clone(table), bytes }
            }
            None => Event::ObjectBytes(bytes),
        };
        self.body = Some(body);
        Ok(Some(event))
    }

    fn piece(&mut self, body: &mut Body) -> Result<Bytes> {
        let bytes = self.members.take(body.left)?;
        body.left -= bytes.len() as u64;
        body.digest.update(&bytes);
        Ok(bytes)
    }

    fn collect(&mut self, body: &mut Body) -> Result<Bytes> {
        let mut content = Vec::new();
        while body.left > 0 {
            content.extend_from_slice(&self.piece(body)?);
        }
        Ok(Bytes::from(content))
    }

    fn end_streamed(&mut self, body: Body) -> Result<Option<Event>> {
        let is_rows = body.table.is_some();
        if is_rows {
            self.tables.end_chunk().map_err(|why| Error::entry(&*body.path, why))?;
        }
        self.end_entry(body)?;
        Ok((!is_rows).then_some(Event::ObjectEnd))
    }

    fn end_document(&mut self, body: Body, content: Bytes) -> Result<Option<Event>> {
        let wrong = |why: String| Error::entry(&*body.path, why);
        let event = match &body.name {
            EntryName::Manifest => {
                let manifest = parse_manifest(&content)?;
                self.manifest = Some(manifest.clone());
                Some(Event::Manifest(Box::new(manifest)))
            }
            EntryName::Schema => {
                let names = table_names(&content).map_err(|error| wrong(error.to_string()))?;
                self.tables = Tables::new(names).map_err(|why| wrong(why.into()))?;
                self.structure.schema = content;
                None
            }
            EntryName::PreData => {
                self.structure.pre_data = content;
                None
            }
            EntryName::PostData => {
                let Structure { schema, pre_data } = std::mem::take(&mut self.structure);
                let stated = self.manifest.as_ref().map(|manifest| manifest.fingerprint.as_str());
                if stated != Some(fingerprint(&schema, &pre_data, &content).as_str()) {
                    return Err(wrong("the structure does not have the fingerprint that the manifest states".into()));
                }
                Some(Event::Structure { schema, pre_data, post_data: content })
            }
            EntryName::Sequences => Some(Event::Sequences(content)),
            EntryName::Index(_) => {
                let (told, records) = (&mut self.told, &mut self.told_records);
                let block = Block::parse(content.into(), |record| {
                    told.add(record);
                    *records += 1;
                });
                let block = block.map_err(wrong)?.summary(body.at);
                self.blocks.add(&block).map_err(|why| wrong(why.into()))?;
                if self.told_records > self.seen_records {
                    return Err(wrong("the index describes more entries than stand before it".into()));
                }
                None
            }
            EntryName::Summary => {
                let summary = serde_json::from_slice(&content).map_err(|error| wrong(error.to_string()))?;
                self.summary = Some((summary, body.at));
                None
            }
            EntryName::Rows { .. } | EntryName::Object(_) => None,
        };
        self.end_entry(body)?;
        Ok(event)
    }

    fn end_entry(&mut self, body: Body) -> Result<()> {
        let padding = (BLOCK as u64 - body.size % BLOCK as u64) % BLOCK as u64;
        self.skip_zeros(padding, &body.path)?;
        if !matches!(body.name, EntryName::Index(_) | EntryName::Summary) {
            self.seen.add(&Record::new(body.path, body.size, body.at, &body.digest.finalize()));
            self.seen_records += 1;
        }
        Ok(())
    }

    fn skip_zeros(&mut self, mut left: u64, path: &str) -> Result<()> {
        while left > 0 {
            let piece = self.members.take(left)?;
            if piece.iter().any(|&byte| byte != 0) {
                return Err(Error::entry(path, "its padding is not zero"));
            }
            left -= piece.len() as u64;
        }
        Ok(())
    }

    /// Reads an entry's headers; false at the two zero blocks.
    fn begin_entry(&mut self) -> Result<bool> {
        let at = self.members.position()?;
        let mut block = self.members.take_block::<BLOCK>()?;
        if block == [0; BLOCK] {
            let path = std::mem::take(&mut self.last_path);
            self.skip_zeros(BLOCK as u64, &path)?;
            self.last_path = path;
            return Ok(false);
        }
        let mut records = PaxRecords::new();
        let mut header = self.parse_header(&block)?;
        if header.kind == EntryType::XHeader {
            records = self.pax(header.size)?;
            block = self.members.take_block::<BLOCK>()?;
            header = self.parse_header(&block)?;
            if header.kind == EntryType::XHeader {
                return Err(Error::entry(&*self.last_path, "two pax headers follow one another"));
            }
        }
        let (name, object) = header.resolve(records).map_err(|error| self.explain_first(error))?;
        self.last_path = name.path()?;
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::Limit { what: "entries", limit: self.limits.entries });
        }
        self.admit(&name, object.size)?;
        self.open(name, object, at)?;
        Ok(true)
    }

    fn parse_header(&self, block: &[u8; BLOCK]) -> Result<RawHeader> {
        RawHeader::parse(block).map_err(|why| {
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
        let last = self.last_path.clone();
        let wrong = |why: &str| Error::entry(format!("the entry after {last:?}"), why);
        if size == 0 || size > PAX_MAX_BYTES {
            return Err(wrong("its pax header is empty or over 1 MiB"));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            bytes.extend_from_slice(&self.members.take(size - bytes.len() as u64)?);
        }
        self.skip_zeros((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64, &last)?;
        parse_pax(&bytes).map_err(wrong)
    }

    fn open(&mut self, name: EntryName, object: ObjectHeader, at: Position) -> Result<()> {
        let wrong = |why| Error::entry(&*self.last_path, why);
        let size = object.size;
        let mut table = None;
        match &name {
            EntryName::Rows { table: name, chunk, encoding } => {
                if self.manifest.as_ref().is_none_or(|manifest| manifest.row_encoding != *encoding) {
                    return Err(wrong("its rows are not in the encoding that the manifest states"));
                }
                self.tables.begin_chunk(name, *chunk, size).map_err(wrong)?;
                table = Some(Arc::from(name.as_str()));
            }
            EntryName::Object(key) => {
                if self.objects.count > 0 && *key <= self.last_key {
                    return Err(wrong("objects stand twice or out of the order of their keys"));
                }
                self.last_key.clone_from(key);
                self.objects.count += 1;
                self.objects.bytes =
                    self.objects.bytes.checked_add(size).ok_or_else(|| wrong("its size is impossible"))?;
            }
            _ => {}
        }
        let announce = matches!(name, EntryName::Object(_)).then(|| Box::new(object));
        let path = self.last_path.clone();
        self.body = Some(Body { name, path, size, left: size, at, digest: Sha256::new(), table, announce });
        Ok(())
    }
}

fn parse_manifest(content: &[u8]) -> Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        format: String,
    }
    let wrong = |error: serde_json::Error| Error::NotAnArchive(format!("its manifest.json: {error}"));
    let Versioned { format } = serde_json::from_slice(content).map_err(wrong)?;
    match format.strip_prefix("coffer/") {
        _ if format == FORMAT => {
            serde_json::from_slice(content).map_err(|error| Error::entry("manifest.json", error.to_string()))
        }
        Some(_) => Err(Error::Version { found: format }),
        None => Err(Error::NotAnArchive(format!("its manifest.json says format {format:?}"))),
    }
}
