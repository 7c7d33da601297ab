//! One file under two names: how an object gets to another place without its bytes being written again.

use std::{fs::File, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, fchmod, futimens, linkat, openat,
        renameat, statat, unlinkat,
    },
    io::Errno,
};

use super::{
    path::{self, KeyPath, Missing, not_carried},
    read::FILE,
    write::{self, Durability},
};
use crate::{
    Error, ObjectKey, Result,
    object::swap::{Copied, Over, Stamp},
};

/// Makes the file below one folder, in the state that is told, also that of another. What somebody stores there in the meantime stays,
/// or is replaced at once.
pub(super) fn link(key: &ObjectKey, from: &Path, expected: &Stamp, to: &Path, over: Over) -> Result<Copied> {
    let path = KeyPath::parse(key)?;
    let Some(source) = path.open_parent(from, Missing::Absent)? else { return Ok(Copied::Lost) };
    if stamp(&source, &path)?.as_ref() != Some(expected) {
        return Ok(Copied::Lost);
    }
    let target = match path.open_parent(to, Missing::Make) {
        Ok(Some(target)) => target,
        Ok(None) => return Err(Error::NotFound { what: format!("folder {}", to.display()) }),
        // A file is where a folder would have to be.
        Err(Error::Refused { .. }) => return Ok(Copied::Occupied),
        Err(error) => return Err(error),
    };
    match write::make_way(&target, &path, key, Durability::EachFile) {
        Err(Error::Refused { .. }) => return Ok(Copied::Occupied),
        other => other?,
    }
    let waiting = Temporary::of(&path, &source, &target)?;
    let placed = match over {
        Over::Replace => renameat(&target, waiting.name.as_slice(), &target, path.name),
        Over::Never => rename_onto_nothing(&target, &waiting.name, path.name),
    };
    match placed {
        Ok(()) => Ok(Copied::Done),
        Err(Errno::EXIST | Errno::ISDIR) => Ok(Copied::Occupied),
        Err(error) => Err(path.failed("storing", error)),
    }
}

/// What tells one state of the file from another: a second name changes nothing of it.
pub(super) fn stamp_of(stat: &Stat) -> Stamp {
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    Stamp { size, mark: format!("{} {}", time_of(stat), stat.st_ino) }
}

/// When it was modified, as a mark has it in front.
fn time_of(stat: &Stat) -> String {
    format!("{}.{:09}", stat.st_mtime, stat.st_mtime_nsec)
}

/// What stands under a key now.
pub(super) fn look(root: &Path, key: &ObjectKey) -> Result<Option<Stamp>> {
    let path = KeyPath::parse(key)?;
    match path.open_parent(root, Missing::Absent)? {
        Some(folder) => stamp(&folder, &path),
        None => Ok(None),
    }
}

fn stamp(folder: &OwnedFd, path: &KeyPath<'_>) -> Result<Option<Stamp>> {
    let stat = match statat(folder, path.name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat.map_err(|error| path.failed("looking at", error))?,
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Some(stamp_of(&stat))),
        FileType::Directory => Ok(None),
        kind => Err(not_carried(kind, path.key)),
    }
}

/// Removes a file, and so many folders above it where they are empty.
pub(super) fn unlink(root: &Path, key: &ObjectKey, folders: u32) -> Result<()> {
    let path = KeyPath::parse(key)?;
    let Some(folder) = path.open_parent(root, Missing::Absent)? else { return Ok(()) };
    if stamp(&folder, &path)?.is_some() {
        match unlinkat(&folder, path.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(path.failed("deleting", error)),
        }
    }
    path.remove_empty(root, folders)
}

/// Renames in the folder where nothing has the name.
fn rename_onto_nothing(folder: &OwnedFd, from: &[u8], to: &[u8]) -> rustix::io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::renameat_with(folder, from, folder, to, rustix::fs::RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        renamed => return renamed,
    }
    match linkat(folder, from, folder, to, AtFlags::empty()) {
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS) => {}
        linked => return linked,
    }
    // A file system that knows neither: whoever stores an object in this very moment is not seen.
    match path::kind_of(folder, to) {
        Err(Errno::NOENT) => renameat(folder, from, folder, to),
        Err(error) => Err(error),
        Ok(_) => Err(Errno::EXIST),
    }
}

/// A second name of the file, or a copy of it, that goes away when this is dropped.
struct Temporary<'a> {
    folder: &'a OwnedFd,
    name: Vec<u8>,
}

impl<'a> Temporary<'a> {
    fn of(path: &KeyPath<'_>, source: &OwnedFd, folder: &'a OwnedFd) -> Result<Self> {
        let made = Self { folder, name: path::temporary()? };
        match linkat(source, path.name, folder, made.name.as_slice(), AtFlags::empty()) {
            Ok(()) => Ok(made),
            // Another file system, or one without links; one more name than it allows; a file of somebody else's.
            Err(Errno::XDEV | Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK) => {
                let copied = made.copy(path, source);
                copied.map(|()| made).map_err(|error| Error::io(format!("copying object {}", path.key))(error))
            }
            Err(error) => Err(path.failed("storing", error)),
        }
    }

    fn copy(&self, path: &KeyPath<'_>, source: &OwnedFd) -> io::Result<()> {
        let mut from = File::from(openat(source, path.name, FILE, Mode::empty())?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut to = File::from(openat(self.folder, self.name.as_slice(), flags, Mode::from_raw_mode(0o600))?);
        let stat = rustix::fs::fstat(&from)?;
        io::copy(&mut from, &mut to)?;
        fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o777))?;
        let modified =
            Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or_default() };
        let untouched = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        futimens(&to, &Timestamps { last_access: untouched, last_modification: modified })?;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    /// After a rename there is nothing of that name; unless both were names of one file, which a rename leaves alone.
    fn drop(&mut self) {
        unlinkat(self.folder, self.name.as_slice(), AtFlags::empty()).ok();
    }
}
