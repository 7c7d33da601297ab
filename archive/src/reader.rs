//! Takes an archive apart in one pass, and vouches for it at the end.

mod commit;
pub(crate) mod document;
mod entry;
pub(crate) mod order;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use order::Stage;

use crate::front::Front;
use crate::header::{Attempt, BLOCK};
use crate::index::{BlocksDigest, EntryRecord, IndexDigest, Position, Told, without_place};
use crate::layer::{Accepted, Dialect};
use crate::tar_stream::TarStream;
use crate::{EntryName, Error, Limits, Manifest, ObjectHeader, ObjectTotals, Result, Summary};

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
    /// The object before this one did not count, as it changed while it was read: here it comes again, under the same
    /// key, and replaces what came before.
    ObjectAgain(Box<ObjectHeader>),
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
    tar: TarStream<R>,
    limits: Limits,
    watch: Option<Watch>,
    stage: Stage,
    front: Front,
    objects: ObjectTotals,
    entries: u64,
    seen: IndexDigest,
    /// The last entry seen. The one behind it shows whether it is void.
    held: Option<EntryRecord>,
    told: Told,
    blocks: BlocksDigest,
    last_object: Option<LastObject>,
    last_path: String,
    body: Option<Body>,
    summary: Option<(Summary, Position)>,
}

/// What passes through a reader, entry by entry, as it stands in the tar layer; nothing of it is proven.
#[derive(Debug, Clone, Copy)]
pub enum Passing<'a> {
    /// An entry begins. A path that comes again replaces what came before under it.
    Begin {
        /// Its path in the archive.
        path: &'a str,
        /// Bytes of its content.
        size: u64,
    },
    /// The next bytes of its content.
    Bytes(&'a [u8]),
    /// The entry has come to its end.
    End,
}

/// Who watches, and may end the reading.
type Watch = Box<dyn FnMut(Passing<'_>) -> Result<()> + Send>;

/// The object that came last.
struct LastObject {
    key: Vec<u8>,
    size: u64,
    attempt: Attempt,
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
    announce: Option<Event>,
}

impl<R: Read> Reader<R> {
    /// A reader of the compressed layer that a writer of this format made. Nothing is read yet.
    pub fn new(input: R, limits: Limits) -> Self {
        Self::of(input, Accepted::Ours, limits)
    }

    /// A reader of a plain archive, which other programs may have made too: any `.tar.gz` and `.tar.zst` that holds the
    /// entries of the format, in its order and with its summary. Such a one needs no index and no footer, as it is read
    /// whole, and its own checksums and end blocks tell that it is.
    pub fn plain(input: R, limits: Limits) -> Self {
        Self::of(input, Accepted::Any, limits)
    }

    /// Shows each entry to `watch` as it passes. An error of its own ends the reading.
    pub fn watch(&mut self, watch: impl FnMut(Passing<'_>) -> Result<()> + Send + 'static) {
        self.watch = Some(Box::new(watch));
    }

    fn of(input: R, accepted: Accepted, limits: Limits) -> Self {
        Self {
            tar: TarStream::new(input, accepted, limits.clone()),
            limits,
            watch: None,
            stage: Stage::Manifest,
            front: Front::default(),
            objects: ObjectTotals::default(),
            entries: 0,
            seen: IndexDigest::default(),
            held: None,
            told: Told::default(),
            blocks: BlocksDigest::default(),
            last_object: None,
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
        if let Some(announced) = body.announce.take() {
            self.body = Some(body);
            return Ok(Some(announced));
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
                self.front.tables.add(&bytes);
                Event::Rows { table: Arc::clone(table), bytes }
            }
            None => Event::ObjectBytes(bytes),
        };
        self.body = Some(body);
        Ok(Some(event))
    }

    fn piece(&mut self, body: &mut Body) -> Result<Bytes> {
        let bytes = self.tar.take(body.left)?;
        body.left -= bytes.len() as u64;
        body.digest.update(&bytes);
        self.show(Passing::Bytes(&bytes))?;
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
            self.front.tables.end_chunk().map_err(|why| Error::entry(&*body.path, why))?;
        }
        self.end_entry(body)?;
        Ok((!is_rows).then_some(Event::ObjectEnd))
    }

    fn end_entry(&mut self, body: Body) -> Result<()> {
        let padding = (BLOCK as u64 - body.size % BLOCK as u64) % BLOCK as u64;
        self.skip_zeros(padding, &body.path)?;
        self.show(Passing::End)?;
        if !matches!(body.name, EntryName::Index(_) | EntryName::Summary) {
            let Body { path, size, at, digest, .. } = body;
            self.held = Some(EntryRecord { path, size, at, sha256: digest.finalize().into(), void: false });
        }
        Ok(())
    }

    /// Counts the entry before the one that begins, which shows whether it is void.
    fn settle(&mut self, void: bool) {
        if let Some(held) = self.held.take() {
            match self.tar.dialect() {
                Dialect::Ours => self.seen.add_entry(&EntryRecord { void, ..held }),
                Dialect::Foreign if void => {}
                Dialect::Foreign => self.seen.add_entry(&without_place(held)),
            }
        }
    }

    /// How many entries with a record have been seen.
    fn seen_entries(&self) -> u64 {
        self.seen.entry_count + u64::from(self.held.is_some())
    }

    fn skip_zeros(&mut self, mut left: u64, path: &str) -> Result<()> {
        while left > 0 {
            let piece = self.tar.take(left)?;
            if piece.iter().any(|&byte| byte != 0) {
                return Err(Error::entry(path, "its padding is not zero"));
            }
            left -= piece.len() as u64;
        }
        Ok(())
    }

    fn show(&mut self, passing: Passing<'_>) -> Result<()> {
        self.watch.as_mut().map_or(Ok(()), |watch| watch(passing))
    }
}
