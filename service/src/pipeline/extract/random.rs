//! Extraction by random access: each entry appears once its SHA-256 has been checked.

use std::io::Write;

use coffer_archive::{Entry, Found, RandomReader, ReadAt};

use super::super::random::RandomArchive;
use super::super::transfer::Transfer;
use super::stage::Staged;
use super::{Extracted, Folder, Wanted};
use crate::{Error, Result};

/// Takes what is wanted out of an archive. Blocks: run it in a thread.
///
/// # Errors
/// Whatever is wrong with the archive or the folder. What has been extracted by then stays, each file whole.
pub(crate) fn extract_random(
    archive: &RandomArchive,
    wanted: &mut Wanted,
    folder: Folder,
    transfer: &Transfer,
) -> Result<Extracted> {
    let mut taking = Taking { reader: archive.reader(), folder, staged: Staged::FIRST, transfer };
    for outer in wanted.folders() {
        let each = |entry: Entry| {
            wanted.takes(&entry.path);
            Ok(taking.take(&entry).map_err(std::io::Error::from)?)
        };
        archive.reader().find_all_under(&outer, each).map_err(|error| archive.blame(error))?;
    }
    for path in wanted.entries_left() {
        match archive.reader().find(&path).map_err(|error| archive.blame(error))? {
            Found::Entry(entry) => {
                wanted.takes(&path);
                taking.take(&entry).map_err(|error| archive.blame(error))?;
            }
            Found::Vanished => wanted.vanished(&path),
            Found::Missing => {}
        }
    }
    Ok(taking.folder.extracted())
}

struct Taking<'a, R> {
    reader: &'a RandomReader<R>,
    folder: Folder,
    staged: Staged,
    transfer: &'a Transfer,
}

impl<R: ReadAt> Taking<'_, R> {
    fn take(&mut self, entry: &Entry) -> Result<()> {
        let staged = self.staged;
        self.staged = staged.next();
        let mut file = self.folder.stage.create(&staged.name())?;
        self.reader.read(entry, &mut file).and_then(|()| Ok(file.flush()?)).map_err(|error| match error {
            coffer_archive::Error::Io(error) => match Error::from(error) {
                Error::Io(error) => Error::file(format!("extracting {:?}", entry.path), error),
                other => other,
            },
            other => other.into(),
        })?;
        self.transfer.add_entry();
        self.folder.land(staged, &entry.path, entry.size)
    }
}
