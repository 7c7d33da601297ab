//! Makes an archive in one pass: entries in, members out.

use std::io::Write;

use sha2::{Digest, Sha256};

use crate::header::{BLOCK, object_entry, plain_entry};
use crate::index::{Block, Index, Position, Record};
use crate::manifest::table_names;
use crate::member::{Footer, MEMBER_SIZE, MemberCompressor};
use crate::rows::Tables;
use crate::{
    EntryName, Error, Limits, Manifest, ObjectHeader, ObjectTotals, Result, RowEncoding, Summary, fingerprint,
};

/// Writes one archive, in fixed memory, whatever the app's size.
///
/// Calls come in the order of the archive: [`Writer::new`] and [`Writer::structure`], then [`Writer::rows`],
/// [`Writer::sequences`], then each object by [`Writer::begin_object`], [`Writer::object_bytes`] and
/// [`Writer::end_object`], and [`Writer::finish`]. A writer that is dropped before it has finished leaves an archive
/// without summary and footer, which no reader takes for whole.
pub struct Writer<W> {
    members: Members<W>,
    encoding: RowEncoding,
    fingerprint: String,
    tables: Tables,
    index: Index,
    blocks: Vec<crate::index::BlockSummary>,
    objects: ObjectTotals,
    entry: Option<Open>,
    last_key: Vec<u8>,
}

/// The entry that is being written.
struct Open {
    path: String,
    size: u64,
    left: u64,
    begins: u64,
    at: Position,
    digest: Sha256,
}

impl<W: Write> Writer<W> {
    /// Begins an archive with its manifest.
    ///
    /// # Errors
    /// [`Error::Io`] of `out`.
    pub fn new(out: W, manifest: &Manifest) -> Result<Self> {
        let mut writer = Self {
            members: Members::new(out),
            encoding: manifest.row_encoding,
            fingerprint: manifest.fingerprint.clone(),
            tables: Tables::default(),
            index: Index::default(),
            blocks: Vec::new(),
            objects: ObjectTotals::default(),
            entry: None,
            last_key: Vec::new(),
        };
        writer.document(&EntryName::Manifest, &json(manifest)?)?;
        Ok(writer)
    }

    /// Writes the structure: `schema.json` and the SQL before and after the rows.
    ///
    /// # Errors
    /// [`Error::Unwritable`] where the manifest's fingerprint is not theirs, or the schema is none.
    pub fn structure(&mut self, schema: &[u8], pre_data: &[u8], post_data: &[u8]) -> Result<()> {
        if fingerprint(schema, pre_data, post_data) != self.fingerprint {
            return Err(Error::unwritable("manifest.json", "its fingerprint is not that of the structure"));
        }
        let schema_path = EntryName::Schema.path()?;
        let names = table_names(schema).map_err(|error| Error::unwritable(&*schema_path, error.to_string()))?;
        self.tables = Tables::new(names).map_err(|why| Error::unwritable(schema_path, why))?;
        self.document(&EntryName::Schema, schema)?;
        self.document(&EntryName::PreData, pre_data)?;
        self.document(&EntryName::PostData, post_data)
    }

    /// Writes one chunk of a table's rows: at most 4 MiB, cut after a newline where one lies in it.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a chunk that breaks the format's rules.
    pub fn rows(&mut self, table: &str, chunk: &[u8]) -> Result<()> {
        let number = self.tables.next_chunk(table);
        let broken = |why| Error::unwritable(table, why);
        self.tables.begin_chunk(table, number, chunk.len() as u64).map_err(broken)?;
        self.tables.add(chunk);
        self.tables.end_chunk().map_err(broken)?;
        self.document(&EntryName::Rows { table: table.to_owned(), chunk: number, encoding: self.encoding }, chunk)
    }

    /// Writes `sequences.json`.
    ///
    /// # Errors
    /// [`Error::Io`] of the output.
    pub fn sequences(&mut self, sequences: &[u8]) -> Result<()> {
        self.document(&EntryName::Sequences, sequences)
    }

    /// Begins an object. Keys come in the order of their bytes.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a key out of order and for metadata that the format has no place for.
    pub fn begin_object(&mut self, object: &ObjectHeader) -> Result<()> {
        let name = EntryName::Object(object.key.clone());
        if self.objects.count > 0 && object.key <= self.last_key {
            return Err(Error::unwritable(name.path()?, "keys do not come in the order of their bytes"));
        }
        self.last_key.clone_from(&object.key);
        self.objects.count += 1;
        self.objects.bytes += object.size;
        self.begin(&name, object.size, object_entry(object)?)
    }

    /// Writes the next bytes of the object that was begun.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for more bytes than its header said.
    pub fn object_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(entry) = &mut self.entry else { return Err(Error::unwritable("", "no object was begun")) };
        entry.left = entry.left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            Error::unwritable(&*entry.path, format!("it has more bytes than the {} that its header says", entry.size))
        })?;
        entry.digest.update(bytes);
        self.members.write(bytes)
    }

    /// Ends the object.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for fewer bytes than its header said.
    pub fn end_object(&mut self) -> Result<()> {
        self.end(true)
    }

    /// Ends the archive with the last index blocks, the summary and the footer, and gives back the output.
    ///
    /// # Errors
    /// [`Error::Unwritable`] where rows were written of a table that the schema does not have.
    pub fn finish(mut self) -> Result<(W, Summary)> {
        while let Some(block) = self.index.rest() {
            self.block(block)?;
        }
        let at = self.members.position();
        let tables = std::mem::take(&mut self.tables).finish();
        let summary = Summary {
            complete: true,
            tables: tables.map_err(|why| Error::unwritable("summary.json", why))?,
            objects: self.objects,
            index: std::mem::take(&mut self.blocks),
            index_digest: std::mem::take(&mut self.index).digest(),
        };
        let content = json(&summary)?;
        self.begin_at(
            &EntryName::Summary,
            content.len() as u64,
            plain_entry(&EntryName::Summary, content.len() as u64)?,
        )?;
        self.object_bytes(&content)?;
        self.end(false)?;
        self.members.write(&[0; 2 * BLOCK])?;
        Ok((self.members.finish(Footer { member: at.member, skip: at.skip })?, summary))
    }

    fn document(&mut self, name: &EntryName, content: &[u8]) -> Result<()> {
        if content.len() as u64 > Limits::DOCUMENT_MAX_BYTES {
            return Err(Error::unwritable(name.path()?, "it is over 16 MiB, and no reader would take it"));
        }
        self.begin(name, content.len() as u64, plain_entry(name, content.len() as u64)?)?;
        self.object_bytes(content)?;
        self.end(true)
    }

    /// Begins an entry, behind the index blocks that are due.
    fn begin(&mut self, name: &EntryName, size: u64, header: Vec<u8>) -> Result<()> {
        while let Some(block) = self.index.due(self.members.tar_bytes) {
            self.block(block)?;
        }
        self.begin_at(name, size, header)
    }

    fn begin_at(&mut self, name: &EntryName, size: u64, header: Vec<u8>) -> Result<()> {
        let (begins, at) = (self.members.tar_bytes, self.members.position());
        let open = Open { path: name.path()?, size, left: size, begins, at, digest: Sha256::new() };
        if let Some(unfinished) = self.entry.replace(open) {
            return Err(Error::unwritable(unfinished.path, "the next entry begins before it has ended"));
        }
        self.members.write(&header)
    }

    fn end(&mut self, indexed: bool) -> Result<()> {
        let Some(entry) = self.entry.take() else { return Err(Error::unwritable("", "no object was begun")) };
        if entry.left > 0 {
            let why = format!("it has {} bytes less than the {} that its header says", entry.left, entry.size);
            return Err(Error::unwritable(entry.path, why));
        }
        self.members.pad()?;
        if indexed {
            let record = Record::new(entry.path, entry.size, entry.at, &entry.digest.finalize());
            self.index.push(entry.begins, record)?;
        }
        Ok(())
    }

    fn block(&mut self, block: Block) -> Result<()> {
        let number = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let (name, size) = (EntryName::Index(number), block.content.len() as u64);
        let at = self.members.position();
        self.begin_at(&name, size, plain_entry(&name, size)?)?;
        self.object_bytes(&block.content)?;
        self.end(false)?;
        self.blocks.push(block.summary(at));
        Ok(())
    }
}

fn json(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::Io(error.into()))
}

/// Tar bytes cut into members.
struct Members<W> {
    out: W,
    compressor: MemberCompressor,
    plain: Vec<u8>,
    packed: Vec<u8>,
    /// Bytes of the compressed layer written.
    offset: u64,
    /// Bytes of the tar layer taken.
    tar_bytes: u64,
}

impl<W: Write> Members<W> {
    fn new(out: W) -> Self {
        let plain = Vec::with_capacity(MEMBER_SIZE);
        Self { out, compressor: MemberCompressor::new(), plain, packed: Vec::new(), offset: 0, tar_bytes: 0 }
    }

    fn position(&self) -> Position {
        Position { member: self.offset, skip: u32::try_from(self.plain.len()).unwrap_or(u32::MAX) }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.tar_bytes += bytes.len() as u64;
        while let Some((head, rest)) = bytes.split_at_checked(MEMBER_SIZE - self.plain.len()) {
            self.plain.extend_from_slice(head);
            self.emit()?;
            bytes = rest;
        }
        self.plain.extend_from_slice(bytes);
        Ok(())
    }

    fn pad(&mut self) -> Result<()> {
        let over = self.plain.len() % BLOCK;
        let padding = (BLOCK - over) % BLOCK;
        self.write([0; BLOCK].get(..padding).unwrap_or_default())
    }

    fn emit(&mut self) -> Result<()> {
        self.packed.clear();
        self.compressor.compress(&self.plain, &mut self.packed);
        self.out.write_all(&self.packed)?;
        self.offset += self.packed.len() as u64;
        self.plain.clear();
        Ok(())
    }

    fn finish(mut self, footer: Footer) -> Result<W> {
        if !self.plain.is_empty() {
            self.emit()?;
        }
        self.out.write_all(&footer.to_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }
}
