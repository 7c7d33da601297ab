//! All files below a folder, in the order of their keys' bytes, in memory that does not grow with their number.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    os::fd::OwnedFd,
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Stat, statat, unlinkat},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::path::{self, MAX_SEGMENTS};
use crate::{Error, Listed, ObjectKey, Result, object::smallest::Smallest};

/// The names of a folder that are held at once, halved with each level down, and their least.
const NAMES_BYTES: usize = 1 << 20;
const LEAST_NAMES_BYTES: usize = 16 << 10;
/// How many folders on the way down stay open. Deeper ones are opened anew on the way back up.
const OPEN_LEVELS: usize = 32;

/// A walk under way.
///
/// A folder that has more names than fit is read in passes: each keeps the least of those that come after the last one given.
#[derive(Debug)]
pub(super) struct Walk {
    levels: Vec<Level>,
    /// The key of the deepest level's folder, with a slash at its end.
    prefix: Vec<u8>,
}

/// A folder on the way down.
#[derive(Debug)]
struct Level {
    folder: Option<OwnedFd>,
    /// Its name, with a slash at its end. None for the root.
    name: Vec<u8>,
    /// A folder's name ends with a slash: so it sorts as the keys in it do.
    names: btree_map::IntoKeys<Vec<u8>, ()>,
    /// The last name of those read, where there may be more.
    more_after: Option<Vec<u8>>,
}

/// Whether there is no file below the folder.
pub(super) fn is_empty(root: PathBuf) -> Result<bool> {
    Ok(Walk::begin(root)?.next()?.is_none())
}

/// What tells one state of the files below a folder from another: a digest of their names, lengths and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Takes the fingerprint of all that is below the folder. Bytes are not read: no system call writes them and leaves both times.
pub(super) fn fingerprint(root: PathBuf) -> Result<Fingerprint> {
    let mut walk = Walk::begin(root)?;
    let mut digest = Sha256::new();
    while let Some((listed, stat)) = walk.next_file()? {
        let times = (stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec);
        digest.update(listed.key.as_bytes());
        digest.update(format!("\0{} {times:?}\n", listed.size));
    }
    Ok(Fingerprint(digest.finalize().into()))
}

impl Walk {
    /// Opens the folder. One that is not there holds nothing.
    pub(super) fn begin(root: PathBuf) -> Result<Self> {
        let levels = path::open_root(&root)?.map(|folder| Level::new(folder, Vec::new()));
        Ok(Self { levels: levels.into_iter().collect(), prefix: Vec::new() })
    }

    /// The next file's line.
    pub(super) fn next(&mut self) -> Result<Option<Listed>> {
        Ok(self.next_file()?.map(|(listed, _)| listed))
    }

    /// The next file's line, and what the system says of it.
    pub(super) fn next_file(&mut self) -> Result<Option<(Listed, Stat)>> {
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            match level.names.next() {
                Some(name) if name.ends_with(b"/") => self.descend(name)?,
                Some(name) => {
                    if let Some(found) = self.stat(&name)? {
                        return Ok(Some(found));
                    }
                }
                None if level.more_after.is_some() => self.read_names()?,
                None => self.ascend(),
            }
        }
    }

    fn descend(&mut self, name: Vec<u8>) -> Result<()> {
        if self.levels.len() >= MAX_SEGMENTS {
            return Err(Error::unsupported(format!("folder {} (over 256 levels deep)", self.key(&name)?)));
        }
        let bare = name.strip_suffix(b"/").unwrap_or(&name);
        let opened = path::open_folder(self.folder()?, bare);
        let folder = match opened {
            Ok(folder) => folder,
            // It went away since its name was read.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(self.failed("opening folder", &name, error)),
        };
        self.prefix.extend_from_slice(&name);
        if self.levels.len() > OPEN_LEVELS
            && let Some(parent) = self.levels.last_mut()
        {
            parent.folder = None;
        }
        self.levels.push(Level::new(folder, name));
        Ok(())
    }

    fn ascend(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.prefix.truncate(self.prefix.len() - level.name.len());
        }
    }

    /// The deepest level's folder, opened anew where it had to be closed.
    fn folder(&mut self) -> Result<&OwnedFd> {
        let open = self.levels.iter().rposition(|level| level.folder.is_some()).unwrap_or_default();
        for depth in open + 1..self.levels.len() {
            let bare =
                self.levels.get(depth).map(|level| level.name.strip_suffix(b"/").unwrap_or(&level.name).to_vec());
            let parent = self.levels.get_mut(depth - 1).and_then(|level| {
                if depth > OPEN_LEVELS + 1 {
                    level.folder.take().map(Parent::Passing)
                } else {
                    level.folder.as_ref().map(Parent::Kept)
                }
            });
            let opened = match (bare, parent) {
                (Some(bare), Some(Parent::Passing(parent))) => path::open_folder(&parent, &bare),
                (Some(bare), Some(Parent::Kept(parent))) => path::open_folder(parent, &bare),
                _ => Err(Errno::NOENT),
            };
            let opened = opened.map_err(|error| self.failed("opening folder", b"", error))?;
            if let Some(level) = self.levels.get_mut(depth) {
                level.folder = Some(opened);
            }
        }
        self.levels.last().and_then(|level| level.folder.as_ref()).ok_or(Error::Stopped { what: "listing a folder" })
    }

    /// The file's line. None where it went away since its name was read.
    fn stat(&mut self, name: &[u8]) -> Result<Option<(Listed, Stat)>> {
        let found = statat(self.folder()?, name, AtFlags::SYMLINK_NOFOLLOW);
        let key = self.key(name)?;
        match found {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                Ok(Some((Listed { key, size }, stat)))
            }
            Ok(stat) => Err(path::not_carried(FileType::from_raw_mode(stat.st_mode), &key)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("looking at object", name, error)),
        }
    }

    /// Reads the next names of the deepest level's folder.
    fn read_names(&mut self) -> Result<()> {
        let budget_bytes = (NAMES_BYTES >> self.levels.len().min(20)).max(LEAST_NAMES_BYTES);
        let after = self.levels.last_mut().and_then(|level| level.more_after.take()).unwrap_or_default();
        let mut kept = Smallest::new(budget_bytes);
        let folder = Dir::read_from(self.folder()?).map_err(|error| self.failed("reading folder", b"", error))?;
        for entry in folder {
            let entry = entry.map_err(|error| self.failed("reading folder", b"", error))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || path::is_temporary(name) {
                continue;
            }
            if let Some(name) = self.sort_name(name, entry.file_type())?
                && name > after
            {
                kept.offer(name, ());
            }
        }
        if let Some(level) = self.levels.last_mut() {
            level.more_after = kept.more_after();
            level.names = kept.into_sorted().into_keys();
        }
        Ok(())
    }

    /// The name by which an entry is sorted.
    fn sort_name(&mut self, name: &[u8], kind: FileType) -> Result<Option<Vec<u8>>> {
        let kind = match kind {
            FileType::Unknown => match path::kind_of(self.folder()?, name) {
                Err(Errno::NOENT) => return Ok(None),
                other => other.map_err(|error| self.failed("looking at", name, error))?,
            },
            known => known,
        };
        match kind {
            FileType::RegularFile => Ok(Some(name.to_vec())),
            FileType::Directory => Ok(Some([name, b"/"].concat())),
            other => Err(path::not_carried(other, &self.key(name)?)),
        }
    }

    fn key(&self, name: &[u8]) -> Result<ObjectKey> {
        ObjectKey::try_from([&self.prefix, name].concat())
    }

    fn failed(&self, doing: &str, name: &[u8], error: Errno) -> Error {
        let shown = [&self.prefix, name].concat();
        Error::io(format!("{doing} {}", String::from_utf8_lossy(&shown)))(error)
    }
}

/// How a level's folder is opened anew from the one above it.
enum Parent<'a> {
    /// It is not among those that stay open.
    Passing(OwnedFd),
    Kept(&'a OwnedFd),
}

impl Level {
    fn new(folder: OwnedFd, name: Vec<u8>) -> Self {
        // No name is empty, so all come after this one.
        Self { folder: Some(folder), name, names: BTreeMap::new().into_keys(), more_after: Some(Vec::new()) }
    }
}

/// Takes away folders that hold nothing but folders and leftovers of ours.
///
/// # Errors
/// `NOTEMPTY` at the first file. What has been taken away by then carried nothing.
pub(super) fn clear_empty(folder: &OwnedFd, depth: usize) -> rustix::io::Result<()> {
    if depth > MAX_SEGMENTS {
        return Err(Errno::NOTEMPTY);
    }
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if path::is_temporary(name) {
            unlinkat(folder, name, AtFlags::empty())?;
        } else if path::kind_of(folder, name)? == FileType::Directory {
            clear_empty(&path::open_folder(folder, name)?, depth + 1)?;
            unlinkat(folder, name, AtFlags::REMOVEDIR)?;
        } else {
            return Err(Errno::NOTEMPTY);
        }
    }
    Ok(())
}
