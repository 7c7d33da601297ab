//! A folder's part in a swap.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    AT_ONCE, blocking, link,
    path::KeyPath,
    place::{KEPT, LocalPlace, NEW},
    read, stage,
    walk::Walk,
    write::{self, Durability},
};
use crate::{
    Error, ImportId, ObjectBody, ObjectKey, ObjectMeta, Result,
    object::swap::{Coming, Copied, Found, FoundPages, Over, Room, Shelf, Shelves, Stamp, same_bytes},
};

/// The most on a page.
const PAGE_OBJECTS: usize = 1_000;

/// The objects of an app in a folder, and those of its imports beside it.
#[derive(Clone, Debug)]
pub(super) struct LocalShelves {
    target: PathBuf,
    import: ImportId,
}

impl LocalShelves {
    pub(super) fn new(target: PathBuf, import: ImportId) -> Self {
        Self { target, import }
    }

    fn place(&self) -> Result<LocalPlace> {
        LocalPlace::of(&self.target, &self.import)
    }

    fn root(&self, shelf: &Shelf) -> Result<PathBuf> {
        let (import, name) = match shelf {
            Shelf::Live => return Ok(self.target.clone()),
            Shelf::New(import) => (import, NEW),
            Shelf::Kept(import) => (import, KEPT),
        };
        Ok(LocalPlace::of(&self.target, import)?.path.join(name))
    }

    /// Does something with the import's place on a thread that may block.
    async fn at_place<T: Send + 'static>(
        &self,
        work: impl FnOnce(LocalPlace) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.place()?;
        blocking("swapping objects", move || work(place)).await
    }

    async fn has_same_bytes(&self, key: &ObjectKey, coming: &Coming) -> Result<bool> {
        let (waiting, live) = (self.root(&coming.from)?, self.target.clone());
        let (one, other) = (key.clone(), key.clone());
        let opened =
            blocking("comparing objects", move || Ok((read::open(&waiting, one)?, read::open(&live, other)?))).await;
        let compared = match opened {
            Ok((waiting, live)) => same_bytes(waiting.body, live.body).await,
            Err(error) => Err(error),
        };
        match compared {
            // It goes while it is looked at.
            Err(Error::NotFound { .. } | Error::Changed { .. }) => Ok(false),
            compared => compared,
        }
    }
}

#[async_trait]
impl Shelves for LocalShelves {
    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn make(&self) -> Result<()> {
        self.at_place(|place| place.make()).await
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        write::put(self.root(&Shelf::New(self.import.clone()))?, key, meta, body, Durability::Later).await
    }

    async fn list(&self, shelf: &Shelf) -> Result<Box<dyn FoundPages>> {
        let root = self.root(shelf)?;
        let walk = blocking("listing a folder", move || Walk::begin(root)).await?;
        Ok(Box::new(LocalPages { walk: Some(walk) }))
    }

    async fn look(&self, shelf: &Shelf, key: &ObjectKey) -> Result<Option<Stamp>> {
        let (root, key) = (self.root(shelf)?, key.clone());
        blocking("looking at an object", move || link::look(&root, &key)).await
    }

    async fn room(&self, key: &ObjectKey) -> Result<Room> {
        let (root, key) = (self.target.clone(), key.clone());
        blocking("looking for an object's place", move || KeyPath::parse(&key)?.room(&root)).await
    }

    /// A time of its own makes no other object.
    async fn is_same(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool> {
        Ok(coming.stamp.size == live.size && self.has_same_bytes(key, coming).await?)
    }

    /// Both are names of one file; or, where the file system knows no second names, of the same time and bytes.
    async fn is_copy(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool> {
        let time = |stamp: &Stamp| stamp.mark.split(' ').next().map(str::to_owned);
        if coming.stamp == *live {
            return Ok(true);
        }
        Ok(coming.stamp.size == live.size
            && time(&coming.stamp) == time(live)
            && self.has_same_bytes(key, coming).await?)
    }

    fn check_kept(&self, _: &ObjectKey) -> Result<()> {
        Ok(())
    }

    async fn copy(&self, key: &ObjectKey, from: &Coming, to: &Shelf, over: Over) -> Result<Copied> {
        let (source, target, key, expected) = (self.root(&from.from)?, self.root(to)?, key.clone(), from.stamp.clone());
        blocking("linking an object", move || {
            make(&target)?;
            link::link(&key, &source, &expected, &target, over)
        })
        .await
    }

    /// An app's folders go with the last object in them, as an archive has none either.
    async fn delete(&self, shelf: &Shelf, keys: Vec<ObjectKey>) -> Result<()> {
        let (root, folders) = (self.root(shelf)?, if *shelf == Shelf::Live { u32::MAX } else { 0 });
        blocking("deleting objects", move || keys.iter().try_for_each(|key| link::unlink(&root, key, folders))).await
    }

    async fn take_back(&self, key: &ObjectKey, folders: u32) -> Result<()> {
        let (root, key) = (self.target.clone(), key.clone());
        blocking("taking an object back", move || link::unlink(&root, &key, folders)).await
    }

    async fn write_note(&self, name: &str, bytes: Bytes) -> Result<()> {
        let name = name.to_owned();
        self.at_place(move |place| place.write_note(&name, &bytes)).await
    }

    async fn read_note(&self, import: &ImportId, name: &str) -> Result<Option<Bytes>> {
        let (place, name) = (LocalPlace::of(&self.target, import)?, name.to_owned());
        blocking("reading a plan", move || place.read_note(&name)).await
    }

    async fn remove_note(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.at_place(move |place| place.remove_note(&name)).await
    }

    async fn sync(&self) -> Result<()> {
        self.at_place(|place| {
            stage::sync_all(&place.path)?;
            if place.target.exists() { stage::sync_all(&place.target) } else { Ok(()) }
        })
        .await
    }

    async fn tidy(&self) -> Result<()> {
        self.at_place(|place| place.remove_target()).await
    }

    async fn clear(&self) -> Result<()> {
        self.at_place(|place| place.remove()).await
    }
}

/// Makes the folder of all objects, where the app has none.
fn make(root: &Path) -> Result<()> {
    match std::fs::create_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(Error::io(format!("making folder {}", root.display()))),
    }
}

/// A listing of a folder.
struct LocalPages {
    /// None after the last page.
    walk: Option<Walk>,
}

#[async_trait]
impl FoundPages for LocalPages {
    async fn next_page(&mut self) -> Result<Vec<Found>> {
        let Some(mut walk) = self.walk.take() else { return Ok(Vec::new()) };
        let (walk, page) = blocking("listing a folder", move || {
            let mut page = Vec::new();
            while page.len() < PAGE_OBJECTS
                && let Some((listed, stat)) = walk.next_file()?
            {
                page.push(Found { key: listed.key, stamp: link::stamp_of(&stat) });
            }
            Ok((walk, page))
        })
        .await?;
        if !page.is_empty() {
            self.walk = Some(walk);
        }
        Ok(page)
    }
}
