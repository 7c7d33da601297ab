//! A file that appears under its name only when it is whole.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// A file that is written beside its name, and is gone where it is dropped before it has it.
pub(super) struct NewFile {
    path: PathBuf,
    folder: PathBuf,
    temporary: NamedTempFile,
}

impl NewFile {
    /// A new, empty file in the folder of `path`, which only its owner can read.
    ///
    /// # Errors
    /// [`Error::File`] naming `path`.
    pub(super) fn beside(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = tempfile::Builder::new().prefix(".coffer-tmp-").tempfile_in(folder);
        let temporary = made.map_err(|error| Error::file(format!("writing {}", path.display()), error))?;
        Ok(Self { path: path.to_owned(), folder: folder.to_owned(), temporary })
    }

    /// The file, to be written.
    pub(super) fn file(&self) -> Result<File> {
        self.temporary.as_file().try_clone().map_err(|error| self.failed(error))
    }

    /// Gives it the permissions of what it replaces, and its owner and group where this user may.
    pub(super) fn permit_as(&self, replaced: &Metadata) -> Result<()> {
        let file = self.temporary.as_file();
        // Whoever may not give it away keeps it.
        fchown(file, Some(replaced.uid()), Some(replaced.gid())).ok();
        file.set_permissions(replaced.permissions()).map_err(|error| self.failed(error))
    }

    /// Brings it to the disk, and gives it its name. What had the name before is replaced, in one step.
    pub(super) fn persist(self) -> Result<()> {
        let Self { path, folder, temporary } = self;
        let failed = |error| failed(&path, error);
        temporary.as_file().sync_all().map_err(failed)?;
        temporary.persist(&path).map_err(|error| failed(error.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    fn failed(&self, error: io::Error) -> Error {
        failed(&self.path, error)
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::file(format!("writing {}", path.display()), error)
}
