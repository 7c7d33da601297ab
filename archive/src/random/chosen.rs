//! Some entries of an archive as a whole reading gives them: what is chosen of rows and objects, and the documents without
//! which nothing can be restored.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::entry::OpenEntry;
use super::window::{Window, packed_end};
use super::{Entry, Listed, RandomReader, ReadAt, block_path};
use crate::front::Front;
use crate::header::Attempt;
use crate::index::Position;
use crate::reader::order::{Stage, check_size};
use crate::{EntryName, Error, Event, Result, Summary};

/// What is read rather than left out by a range of its own, where it stands between two entries that are chosen.
const NEAR_BYTES: u64 = 1 << 20;

/// An index that was found whole, and which of its blocks are to be read once more.
pub struct CheckedIndex {
    /// The SHA-256 of each that is.
    pub(super) blocks: Vec<Option<[u8; 32]>>,
}

impl<R: ReadAt> RandomReader<R> {
    /// As [`RandomReader::list`]. It notes where objects stand of which `each` says that they may be chosen, and all that
    /// is no object.
    ///
    /// # Errors
    /// As [`RandomReader::list`].
    pub fn check_index(&self, mut each: impl FnMut(&Listed) -> Result<bool>) -> Result<CheckedIndex> {
        let mut blocks = Vec::new();
        self.check_blocks(|_, block| {
            let mut needed = false;
            for listed in &block.records {
                needed |= each(listed)? | is_no_object(listed.path());
            }
            blocks.push(needed.then(|| Sha256::digest(&block.content).into()));
            Ok(())
        })?;
        Ok(CheckedIndex { blocks })
    }

    /// Gives to `each` what [`crate::Reader::next_event`] gives, of the rows and objects that `takes` chooses, with
    /// manifest, structure and sequences: in the order of the archive, attempts at objects that did not count left out.
    /// `takes` hears of chunks of rows, and of objects that were noted, and of those of one index block before any of
    /// them is read.
    ///
    /// An object's end is told once its SHA-256 has been found to be the index's. Rows are unproven until this has
    /// returned; then, too, the tables that were read whole have been counted, and are as the summary says.
    ///
    /// Neighbours are read by the same ranges, of 2 MiB at most.
    ///
    /// # Errors
    /// As [`crate::Reader::next_event`], and what `takes` and `each` end with.
    pub fn read_chosen(
        &self,
        index: &CheckedIndex,
        mut takes: impl FnMut(&Entry) -> Result<bool>,
        each: impl FnMut(Event) -> Result<()>,
    ) -> Result<()> {
        let (window, front) = (self.window()?, Front::default());
        let mut reading = Reading { reader: self, window, each, stage: Stage::Manifest, front, void: None };
        for ((number, block), sha256) in self.blocks().zip(&index.blocks) {
            let Some(sha256) = sha256 else { continue };
            let block = self.read_block(number, block)?;
            if Sha256::digest(&block.content)[..] != sha256[..] {
                return Err(Error::entry(block_path(number), "it is another one than when the index was checked"));
            }
            drop(block.content);
            for step in plan(block.records, &mut takes)? {
                reading.take(&step)?;
            }
        }
        reading.finish()
    }

    /// What was known at the archive's end. It was not compared with the rest of it.
    #[must_use]
    pub fn into_summary(self) -> Summary {
        self.summary
    }
}

fn is_no_object(path: &str) -> bool {
    !path.starts_with("objects/")
}

/// A record, and what is to be done with it.
struct Step {
    listed: Listed,
    /// How far to read, where its entry is read: to the end of the last one that follows closely.
    read_to: Option<u64>,
}

/// Decides on the records of a block.
fn plan(records: Vec<Listed>, mut takes: impl FnMut(&Entry) -> Result<bool>) -> Result<Vec<Step>> {
    let mut steps = Vec::with_capacity(records.len());
    for listed in records {
        let taken = match &listed {
            Listed::Entry(entry) if is_document(&entry.path) || takes(entry)? => Some(entry),
            _ => None,
        };
        let read_to = taken.map(|entry| packed_end(entry.at, entry.size, entry.end));
        steps.push(Step { listed, read_to });
    }
    // Where the entries begin that follow, and how far these are read.
    let mut following: Option<(u64, u64)> = None;
    for Step { listed, read_to } in steps.iter_mut().rev() {
        let (Listed::Entry(entry), Some(read_to)) = (listed, read_to) else { continue };
        if let Some((from, to)) = following
            && from <= read_to.saturating_add(NEAR_BYTES)
        {
            *read_to = to.max(*read_to);
        }
        following = Some((entry.at.member, *read_to));
    }
    Ok(steps)
}

fn is_document(path: &str) -> bool {
    is_no_object(path) && !path.starts_with("database/rows/")
}

/// A reading of some entries.
struct Reading<'a, R, E> {
    reader: &'a RandomReader<R>,
    window: Window,
    each: E,
    stage: Stage,
    front: Front,
    /// The path of the attempt that stands before and does not count, and which it was.
    void: Option<(String, Attempt)>,
}

impl<R: ReadAt, E: FnMut(Event) -> Result<()>> Reading<'_, R, E> {
    fn take(&mut self, step: &Step) -> Result<()> {
        let path = step.listed.path();
        let name = EntryName::parse(path)?;
        self.stage =
            self.stage.after(&name).ok_or_else(|| Error::entry(path, "it stands twice or out of its order"))?;
        let attempt = self.attempt(path)?;
        let entry = match &step.listed {
            Listed::Entry(entry) => entry,
            Listed::Void(_) => {
                self.void = Some((path.to_owned(), attempt));
                return Ok(());
            }
            Listed::Vanished(_) => return Ok(()),
        };
        check_size(&name, entry.size, &self.reader.limits)?;
        if let EntryName::Rows { table, chunk, encoding } = &name {
            let begun = self.front.begin_chunk(table, *chunk, *encoding, entry.size);
            let table = begun.map_err(|why| Error::entry(path, why))?;
            if let Some(read_to) = step.read_to {
                return self.rows(&table, entry, read_to);
            }
            self.front.tables.pass_over();
            return Ok(());
        }
        match (step.read_to, &name) {
            (Some(read_to), EntryName::Object(_)) => self.object(entry, attempt, read_to),
            (Some(read_to), name) => self.document(name, entry, read_to),
            (None, _) => Ok(()),
        }
    }

    /// Which attempt at an object it is, told by those before it.
    fn attempt(&mut self, path: &str) -> Result<Attempt> {
        let again = self.void.take().filter(|(void, _)| void == path);
        let attempt = again.map_or(Some(Attempt::FIRST), |(_, attempt)| attempt.next());
        attempt.ok_or_else(|| Error::entry(path, "it has more than three attempts"))
    }

    fn document(&mut self, name: &EntryName, entry: &Entry, read_to: u64) -> Result<()> {
        if *name == EntryName::Manifest && entry.at != (Position { member: 0, skip: 0 }) {
            return Err(Error::entry(&*entry.path, "the index says that it does not stand first"));
        }
        let mut content = Vec::new();
        let mut open = open(self.reader, &mut self.window, entry, read_to)?;
        while let Some(piece) = open.piece()? {
            content.extend_from_slice(piece);
        }
        let event = self.front.take(name, &entry.path, content.into())?;
        event.map_or(Ok(()), &mut self.each)
    }

    fn rows(&mut self, table: &Arc<str>, entry: &Entry, read_to: u64) -> Result<()> {
        let mut open = open(self.reader, &mut self.window, entry, read_to)?;
        while let Some(piece) = open.piece()? {
            self.front.tables.add(piece);
            (self.each)(Event::Rows { table: Arc::clone(table), bytes: Bytes::copy_from_slice(piece) })?;
        }
        self.front.tables.end_chunk().map_err(|why| Error::entry(&*entry.path, why))
    }

    fn object(&mut self, entry: &Entry, attempt: Attempt, read_to: u64) -> Result<()> {
        let mut open = open(self.reader, &mut self.window, entry, read_to)?;
        if open.header.attempt != attempt {
            return Err(Error::entry(&*entry.path, "it is another attempt than the index says"));
        }
        (self.each)(Event::Object(Box::new(open.header.object.clone())))?;
        while let Some(piece) = open.piece()? {
            (self.each)(Event::ObjectBytes(Bytes::copy_from_slice(piece)))?;
        }
        (self.each)(Event::ObjectEnd)
    }

    fn finish(self) -> Result<()> {
        if self.stage != Stage::Objects {
            return Err(Error::entry("the index", "it lacks a document that every archive has"));
        }
        let checked = self.front.tables.check(&self.reader.summary.tables);
        checked.map_err(|why| Error::entry("summary.json", why))
    }
}

fn open<'a, R: ReadAt>(
    reader: &'a RandomReader<R>,
    window: &'a mut Window,
    entry: &'a Entry,
    read_to: u64,
) -> Result<OpenEntry<'a, R>> {
    window.seek(entry.at, entry.size, entry.end);
    window.read_on(read_to);
    OpenEntry::begin(window, &reader.layer, entry)
}
