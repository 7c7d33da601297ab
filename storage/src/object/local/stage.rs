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

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Committed(Committed),
    /// Discarded, or left to an operator.
    Ended,
}

/// What must be known to take a commit back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Committed {
    /// The objects, and nothing that somebody else has put beside them since.
    objects: walk::Fingerprint,
    /// Those of the empty folder that was there before.
    permissions: Option<fs::Permissions>,
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
        let objects = walk::fingerprint(self.path.clone())?;
        let permissions = take_permissions(&self.path, &self.target)?;
        rename_onto(&self.path, &self.target)?;
        self.state = State::Committed(Committed { objects, permissions });
        sibling::sync_parent(&self.target)?;
        self.folders.sync()
    }

    fn discard(&mut self) -> Result<()> {
        if let State::Committed(committed) = self.state.clone() {
            self.take_back(&committed)?;
        }
        if self.state == State::Waiting {
            fs::remove_dir_all(&self.path).map_err(Error::io(format!("discarding {}", self.path.display())))?;
            self.state = State::Ended;
            self.folders.remove();
        }
        Ok(())
    }

    /// Makes the objects wait again: gone at once, as they came. Where anything else is among them they are put back, or stay in
    /// the waiting place for an operator where somebody has filled the folder anew meanwhile.
    fn take_back(&mut self, committed: &Committed) -> Result<()> {
        let failed = |place: &Path| Error::io(format!("taking back {}", place.display()));
        fs::rename(&self.target, &self.path).map_err(failed(&self.target))?;
        let emptied =
            committed.permissions.as_ref().map_or(Ok(()), |permissions| make_empty(&self.target, permissions));
        if walk::fingerprint(self.path.clone()).is_ok_and(|found| found == committed.objects) {
            self.state = State::Waiting;
            // What failed here is told, and another discard takes the objects away.
            return emptied;
        }
        let why = || io::Error::other("it does not read as just what was imported, so that nothing of it was deleted");
        if fs::rename(&self.path, &self.target).is_ok() {
            return Err(failed(&self.target)(why()));
        }
        self.state = State::Ended;
        self.folders.forget();
        Err(failed(&self.path)(why()))
    }
}

impl Drop for Place {
    /// Blocks while files are unlinked: an import that was given up must leave nothing, and a drop can't wait for anybody.
    fn drop(&mut self) {
        match self.state {
            // What stays there is nobody's to be told.
            State::Waiting => drop(fs::remove_dir_all(&self.path)),
            State::Committed(_) => self.folders.forget(),
            State::Ended => {}
        }
    }
}

/// The new folder is to be open to whom the empty one was, where there was one.
pub(super) fn take_permissions(path: &Path, target: &Path) -> Result<Option<fs::Permissions>> {
    let failed = |error| Error::io(format!("preparing {}", path.display()))(error);
    let permissions = match fs::metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(failed)?.permissions(),
    };
    fs::set_permissions(path, permissions.clone()).map_err(failed)?;
    Ok(Some(permissions))
}

/// A rename replaces a folder only where that is empty, so that nothing can be lost.
pub(super) fn rename_onto(path: &Path, target: &Path) -> Result<()> {
    let rename = || fs::rename(path, target);
    let not_empty = || Error::NotEmpty { what: format!("folder {}", target.display()) };
    let is_occupied =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists);
    let renamed = match rename() {
        Err(error) if is_occupied(&error) => {
            let open = path::open_root(target)?.ok_or_else(not_empty)?;
            walk::clear_empty(&open, 0).map_err(|_| not_empty())?;
            rename()
        }
        other => other,
    };
    renamed.map_err(|error| {
        if is_occupied(&error) { not_empty() } else { Error::io(format!("renaming onto {}", target.display()))(error) }
    })
}

/// Makes the empty folder that was there before. One that somebody was quicker to make is theirs.
pub(super) fn make_empty(target: &Path, permissions: &fs::Permissions) -> Result<()> {
    let made = match fs::create_dir(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other.and_then(|()| fs::set_permissions(target, permissions.clone())),
    };
    made.map_err(Error::io(format!("making folder {}", target.display())))
}

/// Makes all that was written below the folder last: one call for its file system.
pub(super) fn sync_all(path: &Path) -> Result<()> {
    let folder = fs::File::open(path).map_err(Error::io(format!("syncing {}", path.display())))?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&folder).map_err(Error::io(format!("syncing {}", path.display())))?;
    #[cfg(not(target_os = "linux"))]
    rustix::fs::sync();
    drop(folder);
    Ok(())
}
