//! Single entries out of an archive that can be read at any place: the tail, an index block, the entry, and no more.

mod chosen;
mod entry;
mod layer;
#[cfg(test)]
mod tests;
mod window;

use std::cell::RefCell;
use std::io::{self, Write};

use crate::index::{Block, BlockSummary, BlocksDigest, EntryRecord, Position, Record, Told};
use crate::json;
use crate::member::{DETECT_LENGTH, Kind, Layer, last_footer};
use crate::reader::document::parse_manifest;
use crate::{EntryName, Error, Limits, Manifest, Result, Summary};
pub use chosen::CheckedIndex;
use entry::{OpenEntry, document};
use layer::Tailed;
use window::Window;

/// How much of an archive's end is read at first: the footer and, unless it is very large, the summary.
const TAIL_BYTES: u64 = 256 << 10;

/// Bytes that can be read at any place: the compressed layer of an archive.
pub trait ReadAt {
    /// How many there are.
    fn size(&self) -> u64;

    /// Fills `out` with the bytes from `offset` on, by one ranged read.
    ///
    /// # Errors
    /// What keeps it from filling all of `out`.
    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

/// Whether a compressed layer that begins with these bytes (20 tell) can be read at random: a writer of this format made
/// it. One that others packed is for [`crate::Reader::plain`].
#[must_use]
pub fn can_be_read_at_random(first_bytes: &[u8]) -> bool {
    matches!(Layer::detect(first_bytes), Some(Layer::Members(_)))
}

/// The number of first bytes that [`can_be_read_at_random`] asks for.
const _: () = assert!(DETECT_LENGTH <= 20);

/// An entry of the archive that counts, as the index describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// Bytes of its content.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
    at: Position,
    /// Where the entry behind it begins, where the same block tells.
    next: Option<Position>,
    /// Where the members that hold it end, where the index tells.
    end: Option<u64>,
}

/// What the index says of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is in the archive.
    Entry(Entry),
    /// An object that was listed, and gone when it was to be read.
    Vanished,
    /// The archive has no such path.
    Missing,
}

/// A record of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// An entry.
    Entry(Entry),
    /// An attempt at an object that changed while it was read; the next entry has the same path.
    Void(Entry),
    /// An object that was listed, and gone when it was to be read.
    Vanished(String),
}

/// Takes single entries out of an archive.
///
/// What it gives is as whole as the layer below vouches for and its own digests: a tag for each segment, the SHA-256 of
/// each entry. That nothing is missing is known only after [`RandomReader::list`], or a whole reading.
pub struct RandomReader<R> {
    layer: Tailed<R>,
    kind: Kind,
    limits: Limits,
    summary: Summary,
    /// Entries that stand together are read together.
    entries: RefCell<Window>,
}

impl<R: ReadAt> RandomReader<R> {
    /// Reads the footer and the summary, by one ranged read, or two where the summary is larger than 256 KiB.
    ///
    /// # Errors
    /// [`Error::CutShort`] where the layer does not end with a footer; what else may be wrong with its end.
    pub fn open(layer: R, limits: Limits) -> Result<Self> {
        let mut layer = Tailed::new(layer, TAIL_BYTES)?;
        let size = layer.size();
        let missing = Error::CutShort { offset: size, missing: "the footer" };
        let (kind, footer) = last_footer(layer.tail()).ok_or(missing)?;
        let end = size - kind.footer_length() as u64;
        if footer.member >= end || end - footer.member > limits.document_bytes {
            return Err(Error::entry("the footer", "it does not point to a summary"));
        }
        layer.extend_tail(footer.member)?;
        let at = Position { member: footer.member, skip: footer.skip };
        let mut window = Window::new(kind, end)?;
        window.seek(at, 0, Some(end));
        let content = document(&mut window, &layer, &EntryName::Summary, None, &limits)?;
        window.expect_end(&layer)?;
        layer.shrink_tail(TAIL_BYTES);
        let wrong = |why: String| Error::entry("summary.json", why);
        let summary: Summary = json::from_slice(&content).map_err(wrong)?;
        summary.check_form().map_err(|why| wrong(why.into()))?;
        if !summary.complete {
            return Err(wrong("it says that the archive is not complete".into()));
        }
        check_blocks(&summary.index).map_err(|why| wrong(why.into()))?;
        let entries = RefCell::new(Window::new(kind, end)?);
        Ok(Self { layer, kind, limits, summary, entries })
    }

    /// What was known at the archive's end. It was not compared with the rest of it.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Reads what was known at the archive's beginning, by one ranged read.
    ///
    /// # Errors
    /// As [`crate::Reader::next_event`] has for a manifest.
    pub fn manifest(&self) -> Result<Manifest> {
        let mut window = self.window()?;
        window.seek(Position { member: 0, skip: 0 }, 0, None);
        parse_manifest(&document(&mut window, &self.layer, &EntryName::Manifest, None, &self.limits)?)
    }

    /// Looks a path up, by one ranged read for each index block that may hold it: mostly one.
    ///
    /// # Errors
    /// [`Error::Entry`] where the index contradicts itself.
    pub fn find(&self, path: &str) -> Result<Found> {
        let mut found = Found::Missing;
        let mut void = false;
        for (number, block) in self.blocks().filter(|(_, block)| block.covers(path)) {
            for listed in self.read_block(number, block)?.records {
                if listed.path() != path {
                    continue;
                }
                if found != Found::Missing {
                    return Err(Error::entry(path, "the index has it twice"));
                }
                match listed {
                    Listed::Void(_) => void = true,
                    Listed::Entry(entry) => found = Found::Entry(entry),
                    Listed::Vanished(_) => found = Found::Vanished,
                }
            }
        }
        match found {
            Found::Entry(_) => Ok(found),
            _ if void => Err(Error::entry(path, "its attempts are void, and it did not come again")),
            _ => Ok(found),
        }
    }

    /// Gives each entry whose path begins with `prefix` to `each`, in their order, by one ranged read for each index
    /// block that may hold one. What has vanished or is void is passed over.
    ///
    /// # Errors
    /// What is wrong with a block, and what `each` ends with.
    pub fn find_all_under(&self, prefix: &str, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let covers = |block: &BlockSummary| {
            block.last.as_str() >= prefix && (block.first.as_str() <= prefix || block.first.starts_with(prefix))
        };
        // The path of an attempt that did not count: it must come again at once.
        let mut void: Option<String> = None;
        let gone = |path: String| Err(Error::entry(path, "its attempt is void, and it did not come again"));
        for (number, block) in self.blocks().filter(|(_, block)| covers(block)) {
            let records = self.read_block(number, block)?.records;
            for listed in records.into_iter().filter(|listed| listed.path().starts_with(prefix)) {
                if let Some(path) = void.take().filter(|path| path != listed.path()) {
                    return gone(path);
                }
                match listed {
                    Listed::Entry(entry) => each(entry)?,
                    Listed::Void(entry) => void = Some(entry.path),
                    Listed::Vanished(_) => {}
                }
            }
        }
        void.map_or(Ok(()), gone)
    }

    /// Gives each record of the index to `each`, in the order of the archive, and then vouches for the index: it is the
    /// one whose digest the summary has, and which a signature covers.
    ///
    /// # Errors
    /// What is wrong with the index, which may be found after `each` has heard all of it, and what `each` ends with.
    pub fn list(&self, mut each: impl FnMut(Listed) -> Result<()>) -> Result<()> {
        self.check_blocks(|_, block| block.records.into_iter().try_for_each(&mut each))
    }

    /// As [`RandomReader::list`], block by block.
    fn check_blocks(&self, mut each: impl FnMut(u32, ReadBlock) -> Result<()>) -> Result<()> {
        let mut told = Told::default();
        let (mut count, mut bytes) = (0, 0_u64);
        for (number, block) in self.blocks() {
            let block = self.read_block(number, block)?;
            for listed in &block.records {
                told.add(listed.to_record()).map_err(|why| Error::entry(block_path(number), why))?;
                if let Listed::Entry(entry) = listed
                    && entry.path.starts_with("objects/")
                {
                    count += 1;
                    bytes = bytes.saturating_add(entry.size);
                }
            }
            each(number, block)?;
        }
        told.finish().map_err(|why| Error::entry("the index", why))?;
        let objects = self.summary.objects;
        if (count, bytes, told.digest.vanished_count) != (objects.count, objects.bytes, objects.vanished) {
            return Err(Error::entry("summary.json", "it counts other objects than the index has"));
        }
        if self.summary.index_digest() != Some(told.digest.finish()) {
            return Err(Error::entry("summary.json", "its index digest is not that of the index"));
        }
        Ok(())
    }

    /// Writes an entry's content to `out`. Nothing of it may be used before this has returned: its SHA-256 is known only
    /// then. A small entry takes one ranged read, and none where it stands close behind the one that was read before.
    ///
    /// # Errors
    /// [`Error::Entry`] where the entry is not what the index says of it; [`Error::Io`] of `out` and of the archive.
    pub fn read(&self, entry: &Entry, out: &mut impl Write) -> Result<()> {
        let mut window = self.entries.borrow_mut();
        window.seek(entry.at, entry.size, entry.end);
        let mut open = OpenEntry::begin(&mut window, &self.layer, entry)?;
        while let Some(piece) = open.piece()? {
            out.write_all(piece)?;
        }
        Ok(())
    }

    fn blocks(&self) -> impl Iterator<Item = (u32, &BlockSummary)> {
        (0..).zip(&self.summary.index)
    }

    fn window(&self) -> Result<Window> {
        Window::new(self.kind, self.layer.size() - self.kind.footer_length() as u64)
    }

    /// Reads a block, and holds it against what the summary says of it.
    fn read_block(&self, number: u32, block: &BlockSummary) -> Result<ReadBlock> {
        let mut window = self.window()?;
        window.seek(block.at(), block.size, None);
        let name = EntryName::Index(number);
        let content = document(&mut window, &self.layer, &name, Some(block.size), &self.limits)?;
        let wrong = |why: String| Error::entry(block_path(number), why);
        let mut records = Vec::new();
        let found = Block::parse(&content, |record| {
            records.push(record);
            Ok(())
        });
        if found.map_err(wrong)?.summary(block.at(), block.size) != *block {
            return Err(wrong("the summary describes it otherwise".into()));
        }
        let records = with_ends(records).map_err(|why| wrong(why.into()))?;
        Ok(ReadBlock { records, content })
    }
}

/// A block of the index.
struct ReadBlock {
    records: Vec<Listed>,
    content: Vec<u8>,
}

fn block_path(number: u32) -> String {
    format!("index/{number:08}.jsonl")
}

/// Finds for each entry where the members that hold it end: at the member of the next entry where that begins with it,
/// else at the member after that one.
fn with_ends(records: Vec<Record>) -> Result<Vec<Listed>, &'static str> {
    let mut listed = Vec::with_capacity(records.len());
    // Where the entry behind begins, and the first member known to lie behind that one's.
    let (mut next, mut behind): (Option<Position>, Option<u64>) = (None, None);
    for record in records.into_iter().rev() {
        let Record::Entry(EntryRecord { path, size, at, sha256, void }) = record else {
            listed.push(Listed::Vanished(record.path().to_owned()));
            continue;
        };
        if next.is_some_and(|next| at >= next) {
            return Err("entries do not stand one behind the other");
        }
        let end = next.and_then(|next| if next.skip == 0 { Some(next.member) } else { behind });
        behind = next.map(|next| next.member).filter(|member| *member > at.member).or(behind);
        let entry = Entry { path, size, sha256, at, next, end };
        next = Some(at);
        listed.push(if void { Listed::Void(entry) } else { Listed::Entry(entry) });
    }
    listed.reverse();
    Ok(listed)
}

/// What a writer makes: as few blocks as it can, one behind the other.
fn check_blocks(blocks: &[BlockSummary]) -> Result<(), &'static str> {
    let mut digest = BlocksDigest::default();
    blocks.iter().try_for_each(|block| digest.add(block))?;
    let in_order = blocks.windows(2).all(|pair| matches!(pair, [one, other] if one.at() < other.at()));
    if in_order { Ok(()) } else { Err("its index blocks do not stand one behind the other") }
}

impl Listed {
    /// The path that the record is about.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Entry(entry) | Self::Void(entry) => &entry.path,
            Self::Vanished(path) => path,
        }
    }

    fn to_record(&self) -> Record {
        let record = |entry: &Entry, void| {
            let Entry { path, size, sha256, at, .. } = entry.clone();
            Record::Entry(EntryRecord { path, size, at, sha256, void })
        };
        match self {
            Self::Entry(entry) => record(entry, false),
            Self::Void(entry) => record(entry, true),
            Self::Vanished(path) => Record::Vanished { path: path.clone() },
        }
    }
}
