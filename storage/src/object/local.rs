//! A folder of files: an object's key is its path below it.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;

use super::{
    Buffers, Listing, Object, ObjectBody, ObjectKey, ObjectMeta, ObjectStore, ObjectSwap, StagedObjects,
    swap::Replacing,
};
use crate::{Error, Import, Landing, Result, sibling};

mod link;
mod list;
mod new;
mod path;
mod place;
mod read;
mod shelves;
mod stage;
#[cfg(test)]
mod tests;
mod walk;
mod write;

/// Files read or written at once: each takes a thread, and more bring nothing on the disks there are.
const AT_ONCE: usize = 8;

/// An app's objects in a folder.
///
/// No path ever leaves the folder: each is walked segment by segment, and a symbolic link, the folder itself included, is followed
/// nowhere. What is neither a file nor a folder makes a listing fail, by name. Folders without files carry nothing and are not
/// listed; a `put` that failed may leave some. Files named `.coffer-tmp-` and 16 hexadecimal digits are ours and not listed.
///
/// A folder knows an object's bytes and time, which is 0 where it is before 1970. Content type comes from the name; what else [`ObjectMeta`] says is not kept.
/// A key can't stand here, and is refused, that has an empty segment, `.` or `..`, a NUL byte, a segment of over 255 bytes, or
/// more than 256 segments; nor can `a` beside `a/b`.
#[derive(Clone, Debug)]
pub struct LocalFolder {
    path: PathBuf,
}

impl LocalFolder {
    /// The folder at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl ObjectStore for LocalFolder {
    async fn is_empty(&self) -> Result<bool> {
        let root = self.path.clone();
        blocking("looking into a folder", move || walk::is_empty(root)).await
    }

    async fn list(&self) -> Result<Box<dyn Listing>> {
        let root = self.path.clone();
        let walk = blocking("listing a folder", move || walk::Walk::begin(root)).await?;
        Ok(Box::new(list::LocalListing::start(walk)))
    }

    async fn get(&self, key: &ObjectKey) -> Result<Object> {
        let (root, key) = (self.path.clone(), key.clone());
        blocking("opening an object", move || read::open(&root, key)).await
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        let root = self.path.clone();
        blocking("making a folder", move || {
            std::fs::create_dir_all(&root).map_err(Error::io(format!("making folder {}", root.display())))
        })
        .await?;
        write::put(self.path.clone(), key, meta, body, write::Durability::EachFile).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let (root, key) = (self.path.clone(), key.clone());
        blocking("deleting an object", move || write::delete(&root, &key)).await
    }

    /// Files have no place for headers and user metadata; a media type goes by the name.
    fn keeps(&self, meta: &ObjectMeta) -> bool {
        meta.headers.is_empty() && meta.user.is_empty()
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    /// Pieces go into files as they come.
    fn staging_bytes(&self) -> u64 {
        0
    }

    async fn stage(&self, _: &Buffers) -> Result<Arc<dyn StagedObjects>> {
        let root = sibling::absolute(&self.path)?;
        let stage = blocking("making a folder", move || stage::LocalStage::create(root)).await?;
        Ok(Arc::new(stage))
    }

    fn swap(&self, import: &Import, _: &Buffers) -> Arc<dyn ObjectSwap> {
        match import.landing {
            Landing::New => Arc::new(new::LocalNew::new(self.path.clone(), import.id.clone())),
            Landing::Replace => {
                let shelves = shelves::LocalShelves::new(self.path.clone(), import.id.clone());
                Arc::new(Replacing::new(shelves, import.id.clone()))
            }
        }
    }
}

/// Runs what blocks off the async threads.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Stopped { what }))
}
