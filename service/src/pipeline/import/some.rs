//! The stage that reads some of an archive, as an import takes it: the events of a whole reading, by ranges.

mod choice;
mod selection;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use coffer_archive::Event;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::super::archive_in::{Arrived, EVENTS, blame};
use super::super::pipe::{Receiver, Sender, pipe};
use super::super::random::RandomArchive;
use super::super::{ArchivePlace, Budget, ReadKeys, Transfer};
use crate::{Error, Result};
use choice::Choosing;
pub(super) use selection::Selection;

/// What the stage holds by construction: the archive's end, a range as it was sealed and opened, a member; a block of the
/// index with its records.
pub(super) const READING_SOME_BYTES: u64 = 12 << 20;

/// Begins to read what is chosen of an archive, in a thread of its own. Dropping the receiver stops it. The caller has
/// reserved [`READING_SOME_BYTES`] for it.
///
/// Before the first event, all of the index has been checked, with the signature, and all that was chosen found in it. What comes
/// then is what a whole reading gives of it; the summary at the end tells of the chosen tables and objects alone, those that are
/// done already among them.
pub(super) fn read_some(
    place: &ArchivePlace,
    keys: ReadKeys,
    selection: Selection,
    budget: &Budget,
    transfer: &Arc<Transfer>,
) -> Receiver<Arrived> {
    let (sender, receiver) = pipe(EVENTS);
    let (place, budget, transfer) = (place.clone(), budget.clone(), Arc::clone(transfer));
    let stage = Stage { sender, place, keys, budget, transfer, runtime: Handle::current() };
    spawn_blocking(move || {
        let read = stage.run(selection).map_err(|error| blame(error, &stage.place.to_string()));
        stage.sender.blocking_end(read);
    });
    receiver
}

struct Stage {
    sender: Sender<Arrived>,
    place: ArchivePlace,
    keys: ReadKeys,
    budget: Budget,
    transfer: Arc<Transfer>,
    runtime: Handle,
}

impl Stage {
    fn run(&self, selection: Selection) -> Result<()> {
        let Stage { place, keys, budget, transfer, runtime, .. } = self;
        let archive = RandomArchive::open_unproven(place, keys, budget, transfer, runtime)?;
        let archive = archive.ok_or_else(|| self.why_not_at_random())?;
        let mut choosing = Choosing::of(selection);
        let index = archive.check_index(keys, |listed| choosing.hear(listed))?;
        let mut choice = choosing.end(archive.summary())?;
        let takes = |entry: &_| Ok(choice.takes(entry).map_err(io::Error::from)?);
        let each = |event| Ok(self.pass_on(event, &archive).map_err(io::Error::from)?);
        archive.reader().read_chosen(&index, takes, each)?;
        let summary = choice.narrow(archive.into_summary());
        self.sender.blocking_send(Arrived::Verified(Box::new(summary)))
    }

    fn pass_on(&self, event: Event, archive: &RandomArchive) -> Result<()> {
        let hold = |bytes| self.budget.blocking_hold(bytes, &self.runtime);
        let event = match event {
            Event::Manifest(manifest) => {
                archive.check_manifest(&manifest, &self.keys)?;
                Event::Manifest(manifest)
            }
            Event::Rows { table, bytes } => Event::Rows { table, bytes: hold(bytes) },
            Event::ObjectBytes(bytes) => Event::ObjectBytes(hold(bytes)),
            other => other,
        };
        self.sender.blocking_send(Arrived::Event(event))
    }

    /// What is wrong with it, or that others packed it.
    fn why_not_at_random(&self) -> Error {
        let place = &self.place;
        if let ArchivePlace::File(path) = place
            && !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        {
            return Error::Usage(format!(
                "{place} can be read only once, from its beginning: --only needs an archive in a file, a bucket or a vault"
            ));
        }
        match self.runtime.block_on(place.open()).and_then(|(input, _)| input.begin_plain()) {
            Err(error) => error,
            Ok(()) => Error::Usage(format!(
                "{place} was packed by another program, and has no index that --only could find anything by: it takes \
                 archives as this program writes them"
            )),
        }
    }
}
