//! An object into a folder: written beside its place, then renamed onto it.

use std::{
    fs::File,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use futures::StreamExt;
use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fsync, futimens, openat, renameat, unlinkat,
    },
    io::Errno,
};

use super::{
    blocking,
    path::{self, KeyPath, Missing, kind_of, not_carried},
    walk,
};
use crate::{Error, ObjectBody, ObjectKey, ObjectMeta, Result};

/// When files are made to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Before each `put` ends.
    EachFile,
    /// All together, by whoever commits them.
    Later,
}

/// Stores an object below `root`, which must be there.
pub(super) async fn put(
    root: PathBuf,
    key: &ObjectKey,
    meta: ObjectMeta,
    mut body: ObjectBody,
    durability: Durability,
) -> Result<()> {
    let owned = key.clone();
    let (temporary, mut file) =
        blocking("storing an object", move || Temporary::create(&root, owned, durability)).await?;
    let mut left_bytes = meta.size;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        left_bytes = left_bytes.checked_sub(piece.len() as u64).ok_or_else(|| wrong_length(key, meta.size))?;
        let what = format!("writing object {key}");
        file = blocking("storing an object", move || file.write_all(&piece).map(|()| file).map_err(Error::io(what)))
            .await?;
    }
    if left_bytes > 0 {
        return Err(wrong_length(key, meta.size));
    }
    blocking("storing an object", move || temporary.keep(&file, meta.modified, durability)).await
}

fn wrong_length(key: &ObjectKey, size: u64) -> Error {
    Error::refused(
        format!("the body of object {key}"),
        format!("it does not have the {size} bytes that it should have"),
    )
}

/// A file that goes away when this is dropped, unless it has been kept.
struct Temporary {
    folder: OwnedFd,
    name: Vec<u8>,
    key: ObjectKey,
}

impl Temporary {
    fn create(root: &Path, key: ObjectKey, durability: Durability) -> Result<(Self, File)> {
        let path = KeyPath::parse(&key)?;
        let missing = if durability == Durability::EachFile { Missing::MakeAndSync } else { Missing::Make };
        let folder = path.open_parent(root, missing)?;
        let folder = folder.ok_or_else(|| Error::NotFound { what: format!("folder {}", root.display()) })?;
        make_way(&folder, &path, &key, durability)?;
        let name = path::temporary()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, name.as_slice(), flags, Mode::from_raw_mode(0o666))
            .map_err(|error| path.failed("making a file for", error))?;
        Ok((Self { folder, name, key }, file.into()))
    }

    /// Gives the file its time and its place.
    fn keep(self, file: &File, modified: Option<u64>, durability: Durability) -> Result<()> {
        let path = KeyPath::parse(&self.key)?;
        let failed = |error: Errno| path.failed("storing", error);
        if let Some(seconds) = modified.and_then(|seconds| i64::try_from(seconds).ok()) {
            let untouched = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let modified = Timespec { tv_sec: seconds, tv_nsec: 0 };
            futimens(file, &Timestamps { last_access: untouched, last_modification: modified }).map_err(failed)?;
        }
        if durability == Durability::EachFile {
            fsync(file).map_err(failed)?;
        }
        make_way(&self.folder, &path, &self.key, durability)?;
        renameat(&self.folder, self.name.as_slice(), &self.folder, path.name).map_err(failed)?;
        if durability == Durability::EachFile {
            fsync(&self.folder).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    /// Blocks for as long as an unlink takes. After a rename there is nothing of that name.
    fn drop(&mut self) {
        unlinkat(&self.folder, self.name.as_slice(), AtFlags::empty()).ok();
    }
}

/// Checks that a file can stand there, and takes away a folder that carries nothing. In a waiting place there is no such
/// folder: one that is empty has just been made for another object.
pub(super) fn make_way(folder: &OwnedFd, path: &KeyPath<'_>, key: &ObjectKey, durability: Durability) -> Result<()> {
    let in_the_way = || {
        let why = format!("there are objects {key}/…, and a folder can't be a file as well");
        Error::refused(format!("object {key}"), why)
    };
    match kind_of(folder, path.name) {
        Ok(FileType::RegularFile) | Err(Errno::NOENT) => Ok(()),
        Ok(FileType::Directory) if durability == Durability::Later => Err(in_the_way()),
        Ok(FileType::Directory) => {
            let cleared = path::open_folder(folder, path.name)
                .and_then(|inner| walk::clear_empty(&inner, 0))
                .and_then(|()| unlinkat(folder, path.name, AtFlags::REMOVEDIR));
            match cleared {
                Err(Errno::NOTEMPTY | Errno::EXIST) => Err(in_the_way()),
                other => other.map_err(|error| path.failed("storing", error)),
            }
        }
        Ok(kind) => Err(not_carried(kind, key)),
        Err(error) => Err(path.failed("storing", error)),
    }
}

/// Removes an object that may be there.
pub(super) fn delete(root: &Path, key: &ObjectKey) -> Result<()> {
    let path = KeyPath::parse(key)?;
    let Some(folder) = path.open_parent(root, Missing::Absent)? else { return Ok(()) };
    match kind_of(&folder, path.name) {
        Ok(FileType::RegularFile) => {}
        // A folder is no object.
        Ok(FileType::Directory) | Err(Errno::NOENT) => return Ok(()),
        Ok(kind) => return Err(not_carried(kind, key)),
        Err(error) => return Err(path.failed("deleting", error)),
    }
    match unlinkat(&folder, path.name, AtFlags::empty()) {
        Ok(()) => fsync(&folder).map_err(|error| path.failed("deleting", error)),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(path.failed("deleting", error)),
    }
}
