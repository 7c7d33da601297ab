//! The stage that takes an archive apart: a thread that reads segments, members and tar, and puts events into a pipe.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use coffer_archive::{Event, Limits, Manifest, Passing, Reader, Summary};
use coffer_crypto::{ArchiveId, Locked, Unlock, is_sealed};
use tokio::runtime::Handle;

use super::budget::{Budget, Permit};
use super::pipe::{Receiver, Sender, pipe};
use super::transfer::{Counted, Transfer};
use super::trust::{ReadKeys, manifest_id};
use crate::{Error, Result};

/// Events between the reading of an archive and whoever takes them.
pub(super) const EVENTS: usize = 8;
/// What the stage holds by construction: a member packed and plain, a segment, what has arrived.
pub(super) const READING_BYTES: u64 = 4 << 20;
const MAGIC_BYTES: u64 = 8;

/// Sees each entry of an archive as it passes, unproven; an error of its own ends the reading.
type Watch = Box<dyn FnMut(Passing<'_>) -> coffer_archive::Result<()> + Send>;

/// Where an archive comes from.
pub struct ArchiveInput {
    input: Box<dyn Read + Send>,
    name: String,
    watch: Option<Watch>,
}

impl ArchiveInput {
    /// An archive that `input` gives, which messages call `name`.
    pub fn new(input: impl Read + Send + 'static, name: impl Into<String>) -> Self {
        Self { input: Box::new(input), name: name.into(), watch: None }
    }

    /// A file, or standard input for `-`.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::File`] naming it.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new(io::stdin(), "standard input"));
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound(format!("there is no archive {name}")),
            _ => Error::file(&name, error),
        })?;
        Ok(Self::new(file, name))
    }

    /// The same, with somebody who sees each entry as it passes.
    #[must_use]
    pub fn watched(self, watch: impl FnMut(Passing<'_>) -> coffer_archive::Result<()> + Send + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }
}

impl ArchiveInput {
    /// Reads the beginning of a plain archive, to see whether it is one. Blocks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn begin_plain(self) -> Result<()> {
        Reader::plain(self.input, Limits::default()).next_event()?;
        Ok(())
    }
}

/// What comes out of the stage.
pub(super) enum Arrived {
    /// A part of the archive, unproven.
    Event(Event),
    /// The archive was found whole: the last item of all.
    Verified(Box<Summary>),
}

/// Begins to read an archive, in a thread of its own. Dropping the receiver stops it. The caller has reserved
/// [`READING_BYTES`] for it.
pub(super) fn read_archive(
    input: ArchiveInput,
    keys: ReadKeys,
    budget: &Budget,
    transfer: &Arc<Transfer>,
) -> Receiver<Arrived> {
    let (sender, receiver) = pipe(EVENTS);
    let stage = Stage { sender, keys, budget: budget.clone(), runtime: Handle::current() };
    let ArchiveInput { input, name, watch } = input;
    let counted = Counted { input, transfer: Arc::clone(transfer) };
    tokio::task::spawn_blocking(move || {
        let read = stage.run(counted, watch).map_err(|error| blame(error, &name));
        stage.sender.blocking_end(read);
    });
    receiver
}

struct Stage {
    sender: Sender<Arrived>,
    keys: ReadKeys,
    budget: Budget,
    runtime: Handle,
}

impl Stage {
    fn run(&self, mut input: impl Read + Send, watch: Option<Watch>) -> Result<()> {
        let mut first = Vec::new();
        input.by_ref().take(MAGIC_BYTES).read_all_of_few(&mut first)?;
        let sealed = is_sealed(&first);
        let input = Cursor::new(first).chain(input);
        if !sealed {
            return self.pass_on(Reader::plain(input, Limits::default()), None, watch);
        }
        // The header first: whoever sends it slowly keeps nobody from the work.
        let locked = Locked::read(input)?;
        let turn = passphrase_turn(&self.keys.unlock, &self.budget, &self.runtime);
        let opener = locked.unlock(&self.keys.unlock)?;
        drop(turn);
        let id = opener.archive_id();
        self.pass_on(Reader::new(opener, Limits::default()), Some(id), watch)
    }

    fn pass_on(&self, mut reader: Reader<impl Read>, id: Option<ArchiveId>, watch: Option<Watch>) -> Result<()> {
        if let Some(watch) = watch {
            reader.watch(watch);
        }
        let mut told = None;
        while let Some(event) = reader.next_event()? {
            let event = match event {
                Event::Manifest(manifest) => {
                    same_id(&manifest, id)?;
                    self.keys.check_expected(&manifest)?;
                    told = Some(manifest.archive_id.clone());
                    Event::Manifest(manifest)
                }
                Event::Rows { table, bytes } => Event::Rows { table, bytes: self.hold(bytes) },
                Event::ObjectBytes(bytes) => Event::ObjectBytes(self.hold(bytes)),
                other => other,
            };
            self.sender.blocking_send(Arrived::Event(event))?;
        }
        let summary = reader.into_verified_summary().ok_or(Error::StageLost)?;
        let id = id.map_or_else(|| manifest_id(told.as_deref().unwrap_or_default()), Ok)?;
        self.keys.trust.check(id, &summary)?;
        self.sender.blocking_send(Arrived::Verified(Box::new(summary)))
    }

    fn hold(&self, bytes: bytes::Bytes) -> bytes::Bytes {
        self.budget.blocking_hold(bytes, &self.runtime)
    }
}

/// Waits until a passphrase may be stretched, where there is one.
pub(super) fn passphrase_turn(unlock: &Unlock, budget: &Budget, runtime: &Handle) -> Option<Permit> {
    unlock.passphrase.as_ref().map(|_| runtime.block_on(budget.passphrase_turn()))
}

/// Names the archive where it is the archive's fault.
pub(super) fn blame(error: Error, name: &str) -> Error {
    match error {
        Error::Archive(_) | Error::Crypto(_) | Error::Mismatch(_) | Error::Untrusted(_) | Error::Io(_) => {
            error.about(name)
        }
        other => other,
    }
}

/// The manifest of a sealed archive names the id of its header: it was not put under another one.
pub(super) fn same_id(manifest: &Manifest, id: Option<ArchiveId>) -> Result<()> {
    match id {
        Some(id) if id.to_string() != manifest.archive_id => Err(Error::Mismatch(format!(
            "the archive is damaged: its header has the id {id} and its manifest {}",
            manifest.archive_id
        ))),
        _ => Ok(()),
    }
}

trait ReadFew {
    fn read_all_of_few(self, into: &mut Vec<u8>) -> io::Result<usize>;
}

impl<R: Read> ReadFew for io::Take<R> {
    #[expect(clippy::disallowed_methods, reason = "a handful of bytes, bounded by the reader's type")]
    fn read_all_of_few(mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.read_to_end(into)
    }
}
