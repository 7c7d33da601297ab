//! The folder that entries are extracted into. Nothing outside it can be written, whatever stands in the archive and
//! whatever stands in the folder: paths are walked segment by segment, and no link is followed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, linkat, mkdirat, open, openat, renameat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::Extracted;
use super::names::{NAME_MAX_BYTES, other_name};
use super::stage::{Stage, Staged};
use crate::{Error, Result};

/// What happens to a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// It is left as it is, and told of.
    Never,
    /// It is replaced.
    Always,
}

/// Who hears of files that are there already or have another name.
pub(crate) type Tell = Box<dyn Fn(&str) + Send>;

/// A folder that fills with entries; each of them appears whole.
pub(crate) struct Folder {
    root: OwnedFd,
    path: PathBuf,
    pub(super) stage: Stage,
    overwrite: Overwrite,
    tell: Tell,
    extracted: Extracted,
}

/// What entering a segment came to.
enum Entered {
    Folder(OwnedFd),
    /// Something else stands there.
    Other,
}

impl Folder {
    /// The folder at `path`, which is made where it is missing.
    ///
    /// # Errors
    /// [`Error::File`] naming it.
    pub(crate) fn open(path: &Path, overwrite: Overwrite, tell: Tell) -> Result<Self> {
        let failed = |error: io::Error| Error::file(path.display().to_string(), error);
        std::fs::create_dir_all(path).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let stage = Stage::new(&root).map_err(|error| error.about(path.display().to_string()))?;
        Ok(Self { root, path: path.to_owned(), stage, overwrite, tell, extracted: Extracted::default() })
    }

    /// What has been written so far.
    pub(super) fn extracted(&self) -> Extracted {
        self.extracted
    }

    /// Gives a staged file of so many bytes the name that its entry has in the archive, or one that can stand here.
    pub(super) fn land(&mut self, staged: Staged, path: &str, bytes: u64) -> Result<()> {
        if path.split('/').any(|segment| ["", ".", ".."].contains(&segment) || segment.contains('\0')) {
            return Err(Error::Mismatch(format!("the archive is damaged: {path:?} is no path of an entry")));
        }
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut written = String::new();
        let mut folder = None;
        for segment in parents.split('/').filter(|segment| !segment.is_empty()) {
            let (entered, name) = self.enter(folder.as_ref().unwrap_or(&self.root), segment, path)?;
            folder = Some(entered);
            written.push_str(&name);
            written.push('/');
        }
        let folder = folder.as_ref().unwrap_or(&self.root);
        let Some(name) = self.name_file(staged, folder, name, path)? else {
            self.extracted.existing += 1;
            self.stage.remove(staged)?;
            (self.tell)(&format!("{path:?} is there already and was left as it is"));
            return Ok(());
        };
        written.push_str(&name);
        if written != path {
            (self.tell)(&format!(
                "{path:?} can't stand in a file system beside the rest: it is written as {written:?}"
            ));
        }
        self.extracted.files += 1;
        self.extracted.bytes += bytes;
        Ok(())
    }

    /// Opens the folder of a segment, under another name where its own is too long or taken by a file.
    fn enter(&self, parent: &OwnedFd, segment: &str, path: &str) -> Result<(OwnedFd, String)> {
        if segment.len() <= NAME_MAX_BYTES
            && let Entered::Folder(folder) = self.open_folder(parent, segment, path)?
        {
            return Ok((folder, segment.to_owned()));
        }
        let other = other_name(segment, path);
        match self.open_folder(parent, &other, path)? {
            Entered::Folder(folder) => Ok((folder, other)),
            Entered::Other => Err(self.failed(path, Errno::NOTDIR)),
        }
    }

    fn open_folder(&self, parent: &OwnedFd, name: &str, path: &str) -> Result<Entered> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match mkdirat(parent, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed(path, error)),
        }
        match openat(parent, name, flags, Mode::empty()) {
            Ok(folder) => Ok(Entered::Folder(folder)),
            Err(Errno::NOTDIR | Errno::LOOP) if !is_link(parent, name) => Ok(Entered::Other),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(Error::Exists(format!(
                "{path:?} is not written: {name:?} on its way in {} is a symbolic link, and none is followed; take it away \
                 or extract into another folder",
                self.path.display()
            ))),
            Err(error) => Err(self.failed(path, error)),
        }
    }

    /// Moves a staged file to its name, or to another where that is too long or taken by a folder; none where a file is
    /// there that is to be left.
    fn name_file(&self, staged: Staged, folder: &OwnedFd, name: &str, path: &str) -> Result<Option<String>> {
        let failed = |error| self.failed(path, error);
        if name.len() <= NAME_MAX_BYTES && !is_folder(folder, name) {
            return Ok(self.place(staged, folder, name).map_err(failed)?.then(|| name.to_owned()));
        }
        let other = other_name(name, path);
        Ok(self.place(staged, folder, &other).map_err(failed)?.then_some(other))
    }

    /// False where something is there that is to be left.
    fn place(&self, staged: Staged, folder: &OwnedFd, name: &str) -> Result<bool, Errno> {
        let stage = self.stage.folder();
        if self.overwrite == Overwrite::Always {
            return renameat(&stage, staged.name(), folder, name).map(|()| true);
        }
        let placed = match renameat_with(&stage, staged.name(), folder, name, RenameFlags::NOREPLACE) {
            // A file system that can't: a second name, and then the first one away.
            Err(Errno::INVAL | Errno::NOSYS) => linkat(&stage, staged.name(), folder, name, AtFlags::empty())
                .and_then(|()| unlinkat(&stage, staged.name(), AtFlags::empty())),
            placed => placed,
        };
        match placed {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn failed(&self, path: &str, error: Errno) -> Error {
        Error::file(format!("writing {path:?} in {}", self.path.display()), error.into())
    }
}

fn kind(folder: &OwnedFd, name: &str) -> Option<FileType> {
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(found.st_mode))
}

fn is_link(folder: &OwnedFd, name: &str) -> bool {
    kind(folder, name) == Some(FileType::Symlink)
}

fn is_folder(folder: &OwnedFd, name: &str) -> bool {
    kind(folder, name) == Some(FileType::Directory)
}
