//! From a key to an open folder, one segment at a time and through no link.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{
    fd::AsFd,
    fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat},
    io::Errno,
};

use crate::{Error, ObjectKey, Result, object::swap::Room};

/// The deepest path that is walked.
pub(super) const MAX_SEGMENTS: usize = 256;
/// The longest name in a file system.
const MAX_SEGMENT_BYTES: usize = 255;
/// What begins the names of files that are not objects yet.
const TEMPORARY: &[u8] = b".coffer-tmp-";

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Whether folders that are missing on the way are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// They make the walk end.
    Absent,
    /// They are made.
    Make,
    /// They are made, and last.
    MakeAndSync,
}

/// A key that can be a path below a folder.
#[derive(Clone, Debug)]
pub(super) struct KeyPath<'a> {
    pub(super) key: &'a ObjectKey,
    folders: Vec<&'a [u8]>,
    /// The last segment.
    pub(super) name: &'a [u8],
}

impl<'a> KeyPath<'a> {
    /// Cuts a key into segments.
    ///
    /// # Errors
    /// `Refused` for a key that can't stand in a file system.
    pub(super) fn parse(key: &'a ObjectKey) -> Result<Self> {
        let refused = |why: &str| Error::refused(format!("object {key}"), format!("it can't be a file: {why}"));
        let mut folders: Vec<_> = key.as_bytes().split(|&byte| byte == b'/').collect();
        if folders.len() > MAX_SEGMENTS {
            return Err(refused("it has over 256 segments"));
        }
        for segment in &folders {
            match *segment {
                b"" => return Err(refused("it has an empty segment")),
                b"." | b".." => return Err(refused("a segment of it is . or ..")),
                long if long.len() > MAX_SEGMENT_BYTES => return Err(refused("a segment of it is over 255 bytes")),
                other if other.contains(&0) => return Err(refused("it holds a NUL byte")),
                other if is_temporary(other) => return Err(refused("a segment of it is a name of ours")),
                _ => {}
            }
        }
        let name = folders.pop().unwrap_or_default();
        Ok(Self { key, folders, name })
    }

    /// Opens the folder that the key's file is in. None where it is not there.
    pub(super) fn open_parent(&self, root: &Path, missing: Missing) -> Result<Option<OwnedFd>> {
        let Some(mut folder) = open_root(root)? else { return Ok(None) };
        for (depth, segment) in self.folders.iter().enumerate() {
            folder = match open_folder(&folder, segment) {
                Ok(next) => next,
                Err(Errno::NOENT) if missing == Missing::Absent => return Ok(None),
                Err(Errno::NOENT) => self.make_folder(&folder, segment, missing)?,
                Err(Errno::NOTDIR | Errno::LOOP) => return self.blocked(&folder, depth, missing),
                Err(error) => return Err(self.failed("opening the folder of", error)),
            };
        }
        Ok(Some(folder))
    }

    /// Whether a file can stand there, and how many folders would have to be made for it.
    pub(super) fn room(&self, root: &Path) -> Result<Room> {
        let Some(mut folder) = open_root(root)? else { return Ok(Room::Free(0)) };
        for (depth, segment) in self.folders.iter().enumerate() {
            folder = match open_folder(&folder, segment) {
                Ok(next) => next,
                Err(Errno::NOENT) => {
                    return Ok(Room::Free(u32::try_from(self.folders.len() - depth).unwrap_or_default()));
                }
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Room::Blocked),
                Err(error) => return Err(self.failed("opening the folder of", error)),
            };
        }
        match kind_of(&folder, self.name) {
            Ok(FileType::Directory) => Ok(Room::Blocked),
            Ok(_) | Err(Errno::NOENT) => Ok(Room::Free(0)),
            Err(error) => Err(self.failed("looking at", error)),
        }
    }

    /// Takes away so many of the folders above the file, from the deepest up, as long as they are empty.
    pub(super) fn remove_empty(&self, root: &Path, count: u32) -> Result<()> {
        let mut folders = self.folders.clone();
        for _ in 0..count {
            let Some(name) = folders.pop() else { return Ok(()) };
            let Some(parent) =
                (Self { key: self.key, folders: folders.clone(), name }).open_parent(root, Missing::Absent)?
            else {
                continue;
            };
            match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(()),
                Err(error) => return Err(self.failed("taking away the folder of", error)),
            }
        }
        Ok(())
    }

    fn make_folder(&self, parent: &OwnedFd, segment: &[u8], missing: Missing) -> Result<OwnedFd> {
        match mkdirat(parent, segment, Mode::from_raw_mode(0o777)) {
            Ok(()) if missing == Missing::MakeAndSync => {
                rustix::fs::fsync(parent).map_err(|error| self.failed("syncing the folder of", error))?;
            }
            // Somebody else may have made it for another object just now.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed("making the folder of", error)),
        }
        open_folder(parent, segment).map_err(|error| self.failed("opening the folder of", error))
    }

    /// What is in the way is no folder.
    fn blocked(&self, parent: &OwnedFd, depth: usize, missing: Missing) -> Result<Option<OwnedFd>> {
        let way = self.folders.get(..=depth).unwrap_or_default().join(&b'/');
        let shown = ObjectKey::try_from(way)?;
        let segment = self.folders.get(depth).copied().unwrap_or_default();
        match kind_of(parent, segment) {
            Ok(FileType::RegularFile) if missing == Missing::Absent => Ok(None),
            Ok(FileType::RegularFile) => Err(Error::refused(
                format!("object {}", self.key),
                format!("object {shown} is a file, and can't be a folder as well"),
            )),
            Ok(kind) => Err(not_carried(kind, &shown)),
            Err(error) => Err(self.failed("opening the folder of", error)),
        }
    }

    /// An error of the system, with the key.
    pub(super) fn failed(&self, doing: &str, error: impl Into<io::Error>) -> Error {
        Error::io(format!("{doing} object {}", self.key))(error)
    }
}

/// Opens the folder of all objects. None where it is not there.
pub(super) fn open_root(root: &Path) -> Result<Option<OwnedFd>> {
    match rustix::fs::open(root, FOLDER, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            Err(Error::unsupported(format!("{} (it is a link or a file, not a folder)", root.display())))
        }
        Err(error) => Err(Error::io(format!("opening folder {}", root.display()))(error)),
    }
}

/// Opens a folder in a folder.
pub(super) fn open_folder(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    openat(parent, name, FOLDER, Mode::empty())
}

/// What a name stands for, itself and not what it points to.
pub(super) fn kind_of(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<FileType> {
    Ok(FileType::from_raw_mode(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

/// Something that is neither a file nor a folder.
pub(super) fn not_carried(kind: FileType, key: &ObjectKey) -> Error {
    let kind = match kind {
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        FileType::Directory => "folder",
        _ => "thing of unknown kind",
    };
    Error::unsupported(format!("{kind} {key}"))
}

/// Whether the name is one of a file that is not an object yet.
pub(super) fn is_temporary(name: &[u8]) -> bool {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix(TEMPORARY).is_some_and(|token| token.len() == 16 && token.iter().all(is_hex))
}

/// A new such name.
pub(super) fn temporary() -> Result<Vec<u8>> {
    Ok([TEMPORARY, crate::sibling::token()?.as_bytes()].concat())
}
