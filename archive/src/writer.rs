//! Makes an archive in one pass: entries in, members out.

mod members;

use std::io::Write;

use sha2::{Digest, Sha256};

use crate::header::{Attempt, BLOCK, object_entry, plain_entry};
use crate::index::{Block, EntryRecord, Index, Position, Record};
use crate::manifest::{check_sequences, hex, table_names};
use crate::member::Footer;
use crate::rows::Tables;
use crate::{
    Compression, EntryName, Error, Limits, Manifest, ObjectHeader, ObjectTotals, Result, RowEncoding, Signature,
    Summary, fingerprint,
};
use members::Members;

/// Writes one archive, in fixed memory, whatever the app's size.
///
/// Calls come in the order of the archive: [`Writer::new`] and [`Writer::structure`], then [`Writer::rows`],
/// [`Writer::sequences`], then each object by [`Writer::begin_object`], [`Writer::object_bytes`] and
/// [`Writer::end_object`], and [`Writer::finish`]. An object that changes while it is read is begun again after
/// [`Writer::void_object`], and one that is gone is told by [`Writer::vanished_object`]. A writer that is dropped before
/// it has finished leaves an archive without summary and footer, which no reader takes for whole.
pub struct Writer<W> {
    members: Members<W>,
    encoding: RowEncoding,
    fingerprint: String,
    tables: Tables,
    index: Index,
    blocks: Vec<crate::index::BlockSummary>,
    objects: ObjectTotals,
    entry: Option<Open>,
    /// The key that came last, of whatever became of its object.
    last_key: Option<Vec<u8>>,
    /// The attempt that the next object is, which then must have the last key.
    again: Option<Attempt>,
}

/// The entry that is being written.
struct Open {
    path: String,
    size: u64,
    left: u64,
    begins: u64,
    at: Position,
    digest: Sha256,
    attempt: Attempt,
}

/// What the index says of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// That it counts.
    Whole,
    /// That it does not.
    Void,
    /// Nothing: index blocks and the summary have no record.
    Nowhere,
}

impl<W: Write> Writer<W> {
    /// Begins an archive with its manifest.
    ///
    /// # Errors
    /// [`Error::Io`] of `out`.
    pub fn new(out: W, manifest: &Manifest, compression: Compression) -> Result<Self> {
        let mut writer = Self {
            members: Members::new(out, compression)?,
            encoding: manifest.row_encoding,
            fingerprint: manifest.fingerprint.clone(),
            tables: Tables::default(),
            index: Index::default(),
            blocks: Vec::new(),
            objects: ObjectTotals::default(),
            entry: None,
            last_key: None,
            again: None,
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
        let names = table_names(schema).map_err(|why| Error::unwritable(&*schema_path, why))?;
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
    /// [`Error::Unwritable`] where it is none.
    pub fn sequences(&mut self, sequences: &[u8]) -> Result<()> {
        check_sequences(sequences).map_err(|why| Error::unwritable("database/sequences.json", why))?;
        self.document(&EntryName::Sequences, sequences)
    }

    /// Begins an object. Keys come in the order of their bytes; after [`Writer::void_object`] the same key comes again.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a key out of order and for metadata that the format has no place for.
    pub fn begin_object(&mut self, object: &ObjectHeader) -> Result<()> {
        let name = EntryName::Object(object.key.clone());
        let attempt = match self.again.take() {
            None => {
                self.advance(&object.key)?;
                Attempt::FIRST
            }
            Some(attempt) if self.last_key.as_ref() == Some(&object.key) => attempt,
            Some(_) => {
                return Err(Error::unwritable(name.path()?, "the object before it is void and did not come again"));
            }
        };
        self.begin(&name, object.size, object_entry(object, attempt)?)?;
        if let Some(entry) = &mut self.entry {
            entry.attempt = attempt;
        }
        Ok(())
    }

    /// Gives up the object that was begun: zeros fill it to its size, and its record says that it does not count. The
    /// same key must come again, by [`Writer::begin_object`].
    ///
    /// # Errors
    /// [`Error::Restless`] after the third attempt.
    pub fn void_object(&mut self) -> Result<()> {
        let Some(entry) = &self.entry else { return Err(Error::unwritable("", "no object was begun")) };
        let (path, mut left) = (entry.path.clone(), entry.left);
        self.again = Some(entry.attempt.next().ok_or(Error::Restless { entry: path })?);
        let zeros = [0; 16 << 10];
        while left > 0 {
            let piece = left.min(zeros.len() as u64);
            self.object_bytes(zeros.get(..usize::try_from(piece).unwrap_or(0)).unwrap_or_default())?;
            left -= piece;
        }
        self.end(Listed::Void)
    }

    /// Tells of an object that was listed, and gone when it was to be read. Its key comes in its order.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a key out of order.
    pub fn vanished_object(&mut self, key: &[u8]) -> Result<()> {
        let path = EntryName::Object(key.to_vec()).path()?;
        if self.again.is_some() {
            return Err(Error::unwritable(path, "the object before it is void and did not come again"));
        }
        self.advance(key)?;
        self.objects.vanished += 1;
        self.index.push(self.members.tar_bytes(), &Record::Vanished { path });
        Ok(())
    }

    /// The next key: each comes once, in the order of their bytes.
    fn advance(&mut self, key: &[u8]) -> Result<()> {
        if self.last_key.as_ref().is_some_and(|last| key <= last.as_slice()) {
            let path = EntryName::Object(key.to_vec()).path()?;
            return Err(Error::unwritable(path, "keys do not come in the order of their bytes"));
        }
        self.last_key = Some(key.to_vec());
        Ok(())
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
        let size = self.entry.as_ref().map_or(0, |entry| entry.size);
        self.end(Listed::Whole)?;
        self.objects.count += 1;
        self.objects.bytes += size;
        Ok(())
    }

    /// Ends the archive with the last index blocks, the summary and the footer, and gives back the output. `sign` hears
    /// the digest of the index, which is SHA-256, and may vouch for it.
    ///
    /// # Errors
    /// [`Error::Unwritable`] where rows were written of a table that the schema does not have, or an object is void and
    /// did not come again.
    pub fn finish(mut self, sign: impl FnOnce(&[u8; 32]) -> Option<Signature>) -> Result<(W, Summary)> {
        if self.again.is_some() {
            return Err(Error::unwritable("summary.json", "the last object is void and did not come again"));
        }
        while let Some(block) = self.index.rest() {
            self.block(block)?;
        }
        let at = self.members.position();
        let tables = std::mem::take(&mut self.tables).finish();
        let index_digest = self.index.digest().finish();
        let summary = Summary {
            complete: true,
            tables: tables.map_err(|why| Error::unwritable("summary.json", why))?,
            objects: self.objects,
            index: std::mem::take(&mut self.blocks),
            index_digest: hex(&index_digest),
            signature: sign(&index_digest),
        };
        let content = json(&summary)?;
        let size = content.len() as u64;
        self.begin_at(&EntryName::Summary, size, plain_entry(&EntryName::Summary, size)?)?;
        self.object_bytes(&content)?;
        self.end(Listed::Nowhere)?;
        self.members.write(&[0; 2 * BLOCK])?;
        Ok((self.members.finish(Footer { member: at.member, skip: at.skip })?, summary))
    }

    fn document(&mut self, name: &EntryName, content: &[u8]) -> Result<()> {
        let most = match name {
            EntryName::Manifest => Limits::MANIFEST_MAX_BYTES,
            _ => Limits::DOCUMENT_MAX_BYTES,
        };
        if content.len() as u64 > most {
            return Err(Error::unwritable(
                name.path()?,
                format!("it is over {most} bytes, and no reader would take it"),
            ));
        }
        self.begin(name, content.len() as u64, plain_entry(name, content.len() as u64)?)?;
        self.object_bytes(content)?;
        self.end(Listed::Whole)
    }

    /// Begins an entry, behind the index blocks that are due.
    fn begin(&mut self, name: &EntryName, size: u64, header: Vec<u8>) -> Result<()> {
        while let Some(block) = self.index.due(self.members.tar_bytes()) {
            self.block(block)?;
        }
        self.begin_at(name, size, header)
    }

    fn begin_at(&mut self, name: &EntryName, size: u64, header: Vec<u8>) -> Result<()> {
        let (begins, at) = (self.members.tar_bytes(), self.members.position());
        let (digest, attempt) = (Sha256::new(), Attempt::FIRST);
        let open = Open { path: name.path()?, size, left: size, begins, at, digest, attempt };
        if let Some(unfinished) = self.entry.replace(open) {
            return Err(Error::unwritable(unfinished.path, "the next entry begins before it has ended"));
        }
        self.members.write(&header)
    }

    fn end(&mut self, listed: Listed) -> Result<()> {
        let Some(entry) = self.entry.take() else { return Err(Error::unwritable("", "no object was begun")) };
        if entry.left > 0 {
            let why = format!("it has {} bytes less than the {} that its header says", entry.left, entry.size);
            return Err(Error::unwritable(entry.path, why));
        }
        self.members.pad()?;
        if listed != Listed::Nowhere {
            let Open { path, size, at, digest, .. } = entry;
            let void = listed == Listed::Void;
            let record = EntryRecord { path, size, at, sha256: digest.finalize().into(), void };
            self.index.push(entry.begins, &Record::Entry(record));
        }
        Ok(())
    }

    fn block(&mut self, block: Block) -> Result<()> {
        let number = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let (name, size) = (EntryName::Index(number), block.content.len() as u64);
        let at = self.members.position();
        self.begin_at(&name, size, plain_entry(&name, size)?)?;
        self.object_bytes(&block.content)?;
        self.end(Listed::Nowhere)?;
        self.blocks.push(block.summary(at, size));
        Ok(())
    }
}

fn json(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::Io(error.into()))
}
