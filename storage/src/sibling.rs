//! Places beside a target, where what is not yet visible waits, and the folders made on the way there.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, ImportId, Result};

/// Sixteen random hexadecimal digits.
pub(crate) fn token() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::Io {
        what: "reading random bytes from the operating system".into(),
        source: io::Error::other(error.to_string()),
    })?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

/// `.<name>.coffer-<16 hex>` in the folder of `target`, so that a rename onto it stays in one file system.
pub(crate) fn beside(target: &Path) -> Result<PathBuf> {
    beside_as(target, &token()?)
}

/// `.<name>.coffer-<import>` in the folder of `target`: where an import's things wait, and are found again after a crash.
pub(crate) fn beside_for(target: &Path, import: &ImportId) -> Result<PathBuf> {
    beside_as(target, import.as_str())
}

/// `.<name>.coffer-<what>` in the folder of `target`: a name that can be found again.
pub(crate) fn beside_as(target: &Path, what: &str) -> Result<PathBuf> {
    let name = target
        .file_name()
        .ok_or_else(|| Error::refused(target.display().to_string(), "the path does not end in a name"))?;
    let mut sibling = OsString::from(".");
    sibling.push(name);
    sibling.push(format!(".coffer-{what}"));
    Ok(target.with_file_name(sibling))
}

/// `path` from the root on, so that no engine takes its beginning for a scheme.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io(format!("finding {}", path.display())))
}

/// Makes a rename in `path`'s folder last.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io(format!("syncing folder {}", parent.display())))
}

/// The folders that an import made above its target. Dropping this takes those away that are still empty.
#[derive(Debug, Default)]
pub(crate) struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Makes the folders above `target` that are missing.
    pub(crate) fn above(target: &Path) -> Result<Self> {
        let missing: Vec<_> =
            target.ancestors().skip(1).take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        let mut made = Self::default();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(&folder) {
                Ok(()) => made.0.push(folder),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(format!("making folder {}", folder.display()))(error)),
            }
        }
        Ok(made)
    }

    /// So many folders above `target`, as an earlier process made them.
    pub(crate) fn known(target: &Path, count: usize) -> Self {
        let mut made: Vec<_> = target.ancestors().skip(1).take(count).map(Path::to_owned).collect();
        made.reverse();
        Self(made)
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Makes the folders' own entries last, from the deepest up.
    pub(crate) fn sync(&self) -> Result<()> {
        self.0.iter().rev().try_for_each(|folder| sync_parent(folder))
    }

    /// Leaves the folders where they are.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Takes the folders away that are still empty. What somebody has put something into stays, and so do those above it.
    pub(crate) fn remove(&mut self) {
        while let Some(folder) = self.0.pop() {
            if fs::remove_dir(&folder).is_err() {
                self.0.clear();
            }
        }
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        self.remove();
    }
}
