//! Files of a vault in a folder: each appears under its name when it is whole and on the disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::{Error, Result};

/// What the names of files begin with that are not whole yet; 16 hexadecimal digits follow. Listings pass over them.
const TEMPORARY: &str = ".coffer-tmp-";
/// How deep archives stand: source, app, file.
const DEPTH: usize = 3;

/// A file that is being written. Whoever writes it holds a lock on it, which ends with the process: a file that nobody has locked is a
/// leftover. Dropped before it is kept, it goes away.
pub(super) struct NewFile {
    temporary: PathBuf,
    path: PathBuf,
    file: File,
    made: Vec<PathBuf>,
}

impl NewFile {
    /// An empty file beside `path`, which only its owner can read. Makes the folders on the way.
    pub(super) fn beside(path: &Path) -> Result<Self> {
        let failed = |error| Error::file(format!("writing {}", path.display()), error);
        let folder = path.parent().unwrap_or(Path::new("."));
        let made: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(folder).map_err(failed)?;
        loop {
            let mut token = [0; 8];
            getrandom::fill(&mut token).map_err(|error| failed(io::Error::other(error)))?;
            let temporary = folder.join(format!("{TEMPORARY}{:016x}", u64::from_be_bytes(token)));
            let file = File::options().write(true).create_new(true).mode(0o600).open(&temporary).map_err(failed)?;
            // A file system without locks has no leftovers told from what is under way either: sweeping leaves all alone there. Between
            // making and locking, somebody who sweeps may have taken it for a leftover.
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
            if locked != Err(Errno::WOULDBLOCK) && file.metadata().map_err(failed)?.nlink() > 0 {
                return Ok(Self { temporary, path: path.to_owned(), file, made });
            }
        }
    }

    /// The file, to be written.
    pub(super) fn file(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| Error::file(format!("writing {}", self.path.display()), error))
    }

    /// Brings it to the disk and gives it its name. What had the name before is replaced, in one step.
    pub(super) fn keep(self) -> Result<()> {
        let failed = |error| Error::file(format!("writing {}", self.path.display()), error);
        self.file.sync_all().map_err(failed)?;
        fs::rename(&self.temporary, &self.path).map_err(failed)?;
        let folders = self.path.parent().into_iter().chain(self.made.iter().filter_map(|folder| folder.parent()));
        for folder in folders {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for NewFile {
    /// After a rename there is nothing of that name.
    fn drop(&mut self) {
        fs::remove_file(&self.temporary).ok();
    }
}

/// What stands in a folder's vault.
pub(super) enum Found {
    /// A file: its path below the vault, and its length.
    File(String, u64),
    /// What is neither a file nor a folder, or can't be looked at: its path and why.
    Odd(String, String),
}

/// The files of a vault, folder by folder. Links are followed: a vault's folders may be on several disks.
pub(super) struct FolderListing {
    root: PathBuf,
    /// Folders that were not looked into yet, and how deep each stands.
    pending: Vec<(PathBuf, usize)>,
}

impl FolderListing {
    /// A vault that is not there yet has none.
    pub(super) fn begin(root: &Path) -> io::Result<Self> {
        match fs::metadata(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { root: root.to_owned(), pending: Vec::new() })
            }
            looked => looked.map(|_| Self { root: root.to_owned(), pending: vec![(root.to_owned(), 0)] }),
        }
    }

    /// What stands in the next folder; none is the end.
    pub(super) fn next_page(&mut self) -> io::Result<Option<Vec<Found>>> {
        let Some((folder, depth)) = self.pending.pop() else { return Ok(None) };
        let entries = match fs::read_dir(&folder) {
            Err(error) if depth > 0 => return Ok(Some(vec![Found::Odd(self.name(&folder), error.to_string())])),
            entries => entries?,
        };
        let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut found = Vec::new();
        for path in paths {
            let name = self.name(&path);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => found.push(Found::File(name, metadata.len())),
                Ok(metadata) if metadata.is_dir() && depth + 1 < DEPTH => self.pending.push((path, depth + 1)),
                Ok(metadata) if metadata.is_dir() => {
                    found.push(Found::Odd(name, "no folder of a vault is so deep".into()))
                }
                Ok(_) => found.push(Found::Odd(name, "it is neither a file nor a folder".into())),
                Err(error) => found.push(Found::Odd(name, error.to_string())),
            }
        }
        Ok(Some(found))
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// Whether a folder is missing, or holds nothing but what a new disk has.
pub(super) fn holds_nothing(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if name != "lost+found" && !name.to_string_lossy().starts_with('.') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A small file; none where it is not there, or longer than `most`.
pub(super) fn read_small(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata()?.len();
    if length > most {
        return Ok(None);
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    match (&file).read_exact(&mut content) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| Some(content)),
    }
}

/// Removes a file that may be there, for good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    path.parent().map_or(Ok(()), |folder| File::open(folder).and_then(|folder| folder.sync_all()))
}

/// Takes away what processes that are gone have left below `folder`, and tells how many files. What may not be looked at, such as
/// `lost+found`, is passed over.
pub(super) fn sweep(folder: &Path) -> io::Result<u64> {
    sweep_folder(folder, DEPTH)
}

fn sweep_folder(folder: &Path, depth: usize) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(0);
        }
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        // Folders may be links, as the listing has it; files of ours are none.
        let is_folder = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
        let kind = entry.file_type()?;
        if is_folder && depth > 1 {
            swept += sweep_folder(&entry.path(), depth - 1)?;
        } else if kind.is_file()
            && is_temporary(&entry.file_name().to_string_lossy())
            && let Some(_locked) = abandoned(&entry.path())?
        {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                removed => swept += u64::from(removed.is_ok()),
            }
        }
    }
    Ok(swept)
}

fn is_temporary(name: &str) -> bool {
    let token = name.strip_prefix(TEMPORARY);
    token.is_some_and(|token| token.len() == 16 && token.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The file, locked, where nobody writes to it.
fn abandoned(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().write(true).open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK | Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_being_written_is_no_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crm/acme/x.coffer");
        let new = NewFile::beside(&path).unwrap();
        new.file().unwrap().write_all(b"half").unwrap();
        let leftover = folder.path().join("crm/acme/.coffer-tmp-0123456789abcdef");
        let foreign = folder.path().join("crm/acme/.coffer-tmp-mine");
        fs::write(&leftover, "x").unwrap();
        fs::write(&foreign, "x").unwrap();
        assert_eq!(sweep(folder.path()).unwrap(), 1);
        assert!(!leftover.exists() && foreign.exists() && !path.exists());
        new.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"half");
        drop(NewFile::beside(&path).unwrap());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
        assert_eq!(sweep(&folder.path().join("none")).unwrap(), 0);
    }
}
