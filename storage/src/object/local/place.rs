//! The folder of one import, beside that of the app's objects.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error, ImportId, Result,
    sibling::{self, MadeFolders},
};

/// What waits, what was put aside, and what is noted.
pub(super) const NEW: &str = "new";
pub(super) const KEPT: &str = "kept";
const NOTES: &str = "plan";
/// Tells what was made around the place.
const MADE: &str = "made";

/// `.<name>.coffer-<import>` beside the folder `<name>`. All that is known of it stands in it.
#[derive(Clone, Debug)]
pub(super) struct LocalPlace {
    pub(super) target: PathBuf,
    pub(super) path: PathBuf,
}

/// What was not there before.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Made {
    /// Folders above the target.
    folders: usize,
    /// Whether the target was there.
    target_was_there: bool,
}

impl LocalPlace {
    pub(super) fn of(target: &Path, import: &ImportId) -> Result<Self> {
        let target = sibling::absolute(target)?;
        Ok(Self { path: sibling::beside_for(&target, import)?, target })
    }

    /// Makes it. One that is there stays as it is.
    pub(super) fn make(&self) -> Result<()> {
        let mut above = MadeFolders::above(&self.target)?;
        for folder in [&self.path, &self.path.join(NEW), &self.path.join(KEPT), &self.path.join(NOTES)] {
            match fs::create_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(Error::io(format!("making folder {}", folder.display())))?,
            }
        }
        if self.read::<Made>(MADE)?.is_none() {
            self.write(MADE, &Made { folders: above.count(), target_was_there: self.target.exists() })?;
            above.forget();
        }
        Ok(())
    }

    /// Takes it away, and the folders that were made above it where they are empty.
    pub(super) fn remove(&self) -> Result<()> {
        for name in [NEW, KEPT, NOTES] {
            remove_all(&self.path.join(name))?;
        }
        // Noted until the rest is gone.
        let made = self.read::<Made>(MADE)?.unwrap_or_default();
        remove_all(&self.path)?;
        MadeFolders::known(&self.target, made.folders).remove();
        Ok(())
    }

    /// Takes the target away where it was not there before and is empty.
    pub(super) fn remove_target(&self) -> Result<()> {
        match self.read::<Made>(MADE)? {
            // One that is not empty is somebody's.
            Some(made) if !made.target_was_there => drop(fs::remove_dir(&self.target)),
            _ => {}
        }
        Ok(())
    }

    /// Writes a note, whole or not at all, so that it lasts.
    pub(super) fn write_note(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let begun = self.path.join("begun");
        let written = fs::File::create(&begun).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&begun, &path)).map_err(Error::io(format!("writing {}", path.display())))?;
        sibling::sync_parent(&path)
    }

    /// Reads a note.
    pub(super) fn read_note(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(|bytes| Some(bytes.into())).map_err(Error::io(format!("reading {}", path.display()))),
        }
    }

    pub(super) fn remove_note(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => {
                removed.map_err(Error::io(format!("taking away {}", path.display())))?;
                sibling::sync_parent(&path)
            }
        }
    }

    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(value).map_err(io::Error::from).map_err(Error::io(format!("writing {name}")))?;
        self.write_note(name, &text)
    }

    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let damaged = |error: serde_json::Error| Error::Corrupt {
            what: self.path.join(name).display().to_string(),
            why: error.to_string(),
        };
        self.read_note(name)?.map(|bytes| serde_json::from_slice(&bytes).map_err(damaged)).transpose()
    }
}

/// No link in it is followed.
fn remove_all(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(Error::io(format!("taking away {}", folder.display()))),
    }
}
