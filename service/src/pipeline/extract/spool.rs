//! Extraction in one pass: entries are staged as they pass, and appear once the whole archive has been verified.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};

use coffer_archive::Passing;

use super::stage::Staged;
use super::{Extracted, Folder, Wanted};
use crate::pipeline::passing::Vanished;
use crate::{Error, Result};

/// Where the staged files and their paths are noted, in the stage itself: memory does not grow with them.
const LIST: &str = "list";

/// Files that wait for the archive's end.
pub(crate) struct Spool {
    folder: Folder,
    wanted: Wanted,
    list: BufWriter<File>,
    open: Option<Open>,
    /// The last one that has ended. Where the same path comes again, it does not count.
    held: Option<Ended>,
    next: Staged,
    vanished: Vanished,
}

struct Open {
    file: File,
    ended: Ended,
}

struct Ended {
    staged: Staged,
    size: u64,
    path: String,
}

impl Spool {
    /// A spool for what is wanted of an archive.
    ///
    /// # Errors
    /// [`Error::File`] where nothing can be written into the folder.
    pub(crate) fn new(folder: Folder, wanted: Wanted) -> Result<Self> {
        let list = BufWriter::new(folder.stage.create(LIST)?);
        let (next, vanished) = (Staged::FIRST, Vanished::default());
        Ok(Self { folder, wanted, list, open: None, held: None, next, vanished })
    }

    /// Takes what passes through the reading of the archive.
    ///
    /// # Errors
    /// [`Error::File`] where it can't be written.
    pub(crate) fn pass(&mut self, passing: Passing<'_>) -> Result<()> {
        let wanted = &mut self.wanted;
        self.vanished.pass(passing, |path| wanted.vanished(path));
        match passing {
            Passing::Begin { path, size } => self.begin(path, size),
            Passing::Bytes(bytes) => match &mut self.open {
                Some(Open { file, ended }) => {
                    file.write_all(bytes).map_err(|error| Error::file(format!("extracting {:?}", ended.path), error))
                }
                None => Ok(()),
            },
            Passing::End => {
                self.held = self.open.take().map(|open| open.ended).or(self.held.take());
                Ok(())
            }
        }
    }

    fn begin(&mut self, path: &str, size: u64) -> Result<()> {
        // What describes the others has no record and is not taken; a block may stand between an attempt and the next.
        if path.starts_with("index/") || path == "summary.json" {
            return Ok(());
        }
        match self.held.take() {
            Some(void) if void.path == path => self.folder.stage.remove(void.staged)?,
            Some(whole) => self.note(&whole)?,
            None => {}
        }
        if !self.wanted.takes(path) {
            return Ok(());
        }
        let staged = self.next;
        self.next = staged.next();
        let file = self.folder.stage.create(&staged.name())?;
        self.open = Some(Open { file, ended: Ended { staged, size, path: path.to_owned() } });
        Ok(())
    }

    /// A path has no newline in it: the format writes one as %0A.
    fn note(&mut self, ended: &Ended) -> Result<()> {
        let Ended { size, path, .. } = ended;
        writeln!(self.list, "{} {size} {path}", ended.staged.name()).map_err(noting)
    }

    /// Gives all files their names. Call it once the archive has been verified.
    ///
    /// # Errors
    /// Whatever is wrong with the folder.
    pub(crate) fn land(mut self) -> Result<(Extracted, Wanted)> {
        if let Some(last) = self.held.take() {
            self.note(&last)?;
        }
        let mut list = self.list.into_inner().map_err(|error| noting(error.into_error()))?;
        list.rewind().map_err(noting)?;
        let mut staged = Staged::FIRST;
        for line in BufReader::new(list).lines() {
            let line = line.map_err(noting)?;
            let fields = line.split_once(' ').and_then(|(name, rest)| Some((name, rest.split_once(' ')?)));
            let (name, (size, path)) = fields.ok_or(Error::StageLost)?;
            while staged.name() != name {
                staged = staged.next();
            }
            self.folder.land(staged, path, size.parse().map_err(|_| Error::StageLost)?)?;
        }
        Ok((self.folder.extracted(), self.wanted))
    }
}

fn noting(error: std::io::Error) -> Error {
    Error::file("noting what was extracted", error)
}
