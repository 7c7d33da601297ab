//! An import's objects: a folder beside the target, and one rename.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{blocking, path, walk, write};
use crate::{
    Error, ObjectBody, ObjectKey, ObjectMeta, Result, StagedObjects,
    sibling::{self, MadeFolders},
};

/// Objects that wait in `.<name>.coffer-<16 hex>` beside the folder that they are to become.
#[derive(Debug)]
pub(super) struct LocalStage {
    path: PathBuf,
    place: Arc<Mutex<Place>>,
}

/// Where the objects are. Dropping it takes them away unless they are committed.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    target: PathBuf,
    state: State,
    folders: MadeFolders,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// Whether an empty folder was there before.
    Committed {
        over_empty: bool,
    },
    Discarded,
}

impl LocalStage {
    /// Makes the waiting folder.
    pub(super) fn create(target: PathBuf) -> Result<Self> {
        if !walk::is_empty(target.clone())? {
            return Err(Error::NotEmpty { what: format!("folder {}", target.display()) });
        }
        let folders = MadeFolders::above(&target)?;
        let path = sibling::beside(&target)?;
        fs::create_dir(&path).map_err(Error::io(format!("making folder {}", path.display())))?;
        let place = Place { path: path.clone(), target, state: State::Waiting, folders };
        Ok(Self { path, place: Arc::new(Mutex::new(place)) })
    }

    /// Does something with the place on a thread that may block.
    async fn with_place(&self, work: impl FnOnce(&mut Place) -> Result<()> + Send + 'static) -> Result<()> {
        let place = self.place.clone();
        blocking("moving staged objects", move || work(&mut place.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

#[async_trait]
impl StagedObjects for LocalStage {
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        write::put(self.path.clone(), key, meta, body, write::Durability::Later).await
    }

    async fn commit(&self) -> Result<()> {
        self.with_place(Place::commit).await
    }

    async fn discard(&self) -> Result<()> {
        self.with_place(Place::discard).await
    }
}

impl Place {
    fn commit(&mut self) -> Result<()> {
        if self.state != State::Waiting {
            return Err(Error::Stopped { what: "an import of objects" });
        }
        sync_all(&self.path)?;
        let over_empty = self.target.exists();
        if over_empty {
            self.take_permissions()?;
        }
        self.rename_onto_target()?;
        self.state = State::Committed { over_empty };
        sibling::sync_parent(&self.target)?;
        self.folders.sync()
    }

    /// The new folder is to be open to whom the empty one was.
    fn take_permissions(&self) -> Result<()> {
        let taken = fs::metadata(&self.target).and_then(|target| fs::set_permissions(&self.path, target.permissions()));
        taken.map_err(Error::io(format!("preparing {}", self.path.display())))
    }

    /// A rename replaces a folder only where that is empty, so that nothing can be lost.
    fn rename_onto_target(&self) -> Result<()> {
        let rename = || fs::rename(&self.path, &self.target);
        let not_empty = || Error::NotEmpty { what: format!("folder {}", self.target.display()) };
        let is_occupied =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists);
        let renamed = match rename() {
            Err(error) if is_occupied(&error) => {
                let target = path::open_root(&self.target)?.ok_or_else(not_empty)?;
                walk::clear_empty(&target, 0).map_err(|_| not_empty())?;
                rename()
            }
            other => other,
        };
        renamed.map_err(|error| {
            if is_occupied(&error) {
                not_empty()
            } else {
                Error::io(format!("renaming onto {}", self.target.display()))(error)
            }
        })
    }

    fn discard(&mut self) -> Result<()> {
        let what = || format!("discarding {}", self.path.display());
        if let State::Committed { over_empty } = self.state {
            // Gone at once, as it came.
            fs::rename(&self.target, &self.path).map_err(Error::io(what()))?;
            self.state = State::Waiting;
            if over_empty {
                fs::create_dir(&self.target).map_err(Error::io(what()))?;
            }
        }
        if self.state == State::Waiting {
            fs::remove_dir_all(&self.path).map_err(Error::io(what()))?;
            self.state = State::Discarded;
            self.folders.remove();
        }
        Ok(())
    }
}

impl Drop for Place {
    /// Blocks while files are unlinked: an import that was given up must leave nothing, and a drop can't wait for anybody.
    fn drop(&mut self) {
        match self.state {
            // What stays there is nobody's to be told.
            State::Waiting => drop(fs::remove_dir_all(&self.path)),
            State::Committed { .. } => self.folders.forget(),
            State::Discarded => {}
        }
    }
}

/// Makes all that was written below the folder last: one call for its file system.
fn sync_all(path: &Path) -> Result<()> {
    let folder = fs::File::open(path).map_err(Error::io(format!("syncing {}", path.display())))?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&folder).map_err(Error::io(format!("syncing {}", path.display())))?;
    #[cfg(not(target_os = "linux"))]
    rustix::fs::sync();
    drop(folder);
    Ok(())
}
