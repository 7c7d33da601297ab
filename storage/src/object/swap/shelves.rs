//! What a swap asks of a store: sets of objects that it moves between, and notes of what it is about.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{ImportId, ObjectBody, ObjectKey, ObjectMeta, Result};

/// A set of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Shelf {
    /// The app's.
    Live,
    /// Those of an import that wait.
    New(ImportId),
    /// Those that an import has put aside.
    Kept(ImportId),
}

/// What tells one state of an object from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Its length.
    pub(crate) size: u64,
    /// The store's own mark.
    pub(crate) mark: String,
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) key: ObjectKey,
    pub(crate) stamp: Stamp,
}

/// An object that is to take its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Coming {
    /// Where it waits.
    pub(crate) from: Shelf,
    /// What it is there.
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
}

/// What becomes of an object that is in the place of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// It stays, and nothing is copied.
    Never,
    /// It is replaced at once: there is always one of the two.
    Replace,
}

/// What has become of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    /// It is there.
    Done,
    /// Something else is in its place.
    Occupied,
    /// What was to be copied is not there, or not as it was.
    Lost,
}

/// Whether an object that the app does not have could take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Not before others have gone: a folder can't be a file as well.
    Blocked,
    /// It can. So many folders are made for it.
    Free(u32),
}

/// A listing under way, in the order of the keys' bytes.
#[async_trait]
pub(crate) trait FoundPages: Send {
    /// The next few; none is the end.
    async fn next_page(&mut self) -> Result<Vec<Found>>;
}

/// A store, as the swap of one import sees it.
#[async_trait]
pub(crate) trait Shelves: Send + Sync {
    /// How many objects are worth being moved at once.
    fn at_once(&self) -> usize;

    /// Makes the import's place. One that is there stays as it is.
    async fn make(&self) -> Result<()>;

    /// Stores an object that waits.
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()>;

    /// Lists a shelf. One that is not there holds nothing.
    async fn list(&self, shelf: &Shelf) -> Result<Box<dyn FoundPages>>;

    /// What stands there now.
    async fn look(&self, shelf: &Shelf, key: &ObjectKey) -> Result<Option<Stamp>>;

    /// Whether a new object could take its place among the app's.
    async fn room(&self, key: &ObjectKey) -> Result<Room>;

    /// Whether the app's object has the bytes and the kept metadata of the one to come. May say no where telling is dear.
    async fn is_same(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool>;

    /// Whether the app's object is a copy that was made of the one to come.
    async fn is_copy(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool>;

    /// Whether an object that is put aside would find room there.
    ///
    /// # Errors
    /// `Refused` where it would not.
    fn check_kept(&self, key: &ObjectKey) -> Result<()>;

    /// Makes the object of one shelf, in the state that is told, one of another.
    async fn copy(&self, key: &ObjectKey, from: &Coming, to: &Shelf, over: Over) -> Result<Copied>;

    /// Deletes at most 1,000 objects, which may be gone.
    async fn delete(&self, shelf: &Shelf, keys: Vec<ObjectKey>) -> Result<()>;

    /// Deletes an object of the app that a copy made, and so many folders above it where they are empty.
    async fn take_back(&self, key: &ObjectKey, folders: u32) -> Result<()>;

    /// Writes a note into the import's place, whole or not at all.
    async fn write_note(&self, name: &str, bytes: Bytes) -> Result<()>;

    /// Reads a note of an import's.
    async fn read_note(&self, import: &ImportId, name: &str) -> Result<Option<Bytes>>;

    /// Takes a note of the import's away.
    async fn remove_note(&self, name: &str) -> Result<()>;

    /// Makes all that was done so far last.
    async fn sync(&self) -> Result<()>;

    /// Takes away what was made around the app's objects and holds nothing, where none is to be there.
    async fn tidy(&self) -> Result<()>;

    /// Takes the import's place away, with all that is in it.
    async fn clear(&self) -> Result<()>;
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::New(import) => write!(f, "new/{import}"),
            Self::Kept(import) => write!(f, "kept/{import}"),
        }
    }
}

impl From<Shelf> for String {
    fn from(shelf: Shelf) -> Self {
        shelf.to_string()
    }
}

impl TryFrom<String> for Shelf {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        let parsed = match text.split_once('/') {
            None if text == "live" => Some(Self::Live),
            Some(("new", import)) => ImportId::parse(import).map(Self::New),
            Some(("kept", import)) => ImportId::parse(import).map(Self::Kept),
            _ => None,
        };
        parsed.ok_or("no shelf of an import")
    }
}
