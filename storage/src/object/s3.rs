//! Objects in a bucket of any server that speaks S3: an object's key is what follows a prefix.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::{FutureExt, StreamExt};

use super::{
    Buffers, Listing, Object, ObjectBody, ObjectKey, ObjectMeta, ObjectStore, ObjectSwap, StagedObjects,
    swap::Replacing,
};
use crate::{Error, Import, ImportId, Landing, Result};

mod adaptive;
mod client;
mod copy;
mod digest_retry;
mod failure;
mod get;
mod key;
mod list;
mod lock;
mod meta;
mod multipart;
mod new;
mod pace;
mod probe;
mod range;
mod send;
mod sending;
mod settings;
mod shelves;
mod stage;
mod unfinished;
mod upload;
mod whole;

pub use client::S3Client;
pub use probe::{S3Probe, Support};
pub use range::S3RangeReader;
pub use settings::{Checksums, EntityTags, ListingOrder, S3Credentials, S3Settings};
pub use unfinished::UnfinishedUpload;
pub use whole::S3Upload;

use failure::{failed, is_missing};
use upload::{Cut, Filling, Upload};

/// What a part takes while it is filled, beside those that are on their way: an import into a bucket, or an upload, holds so much.
pub const PART_BYTES: u64 = 5 << 20;

/// What begins the names of places that are no app's.
const WAITING: &str = "coffer_";

/// An app's objects below a prefix of a bucket.
///
/// What is read is one state of an object: a reading that breaks off goes on with the rest of the same, by version where the bucket
/// has versions, and is held to the MD5 that its entity tag says. What is stored appears whole or not at all, and the server holds
/// it to the MD5 that goes with it. No key of an object leads out of the prefix.
///
/// Kept are content type, cache control, disposition, encoding, language, expiry and user metadata; not tags, rights, storage class
/// and retention, which are the bucket's own affair. When an object was modified, the server says.
#[derive(Clone, Debug)]
pub struct S3Store {
    place: Place,
}

/// A prefix of a bucket of a server.
#[derive(Clone, Debug)]
struct Place {
    client: S3Client,
    bucket: Arc<str>,
    prefix: Arc<str>,
    cut: Cut,
    /// What stands before and after the name of an import's place; where nothing is said, it is below the app's prefix.
    waiting: Option<(Arc<str>, Arc<str>)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl S3Store {
    /// The objects below `prefix`, which is empty or ends with a slash.
    #[must_use]
    pub fn new(client: S3Client, bucket: &str, prefix: &str) -> Self {
        Self {
            place: Place { client, bucket: bucket.into(), prefix: prefix.into(), cut: Cut::default(), waiting: None },
        }
    }
}

impl S3Store {
    /// The objects of imports that replace wait below `before`, `coffer_` with the import's id, and `after`, which ends with a slash: where
    /// no app is, as no app's name begins so.
    #[must_use]
    pub fn with_waiting(mut self, before: &str, after: &str) -> Self {
        self.place.waiting = Some((before.into(), after.into()));
        self
    }

    /// How its server is reached.
    #[must_use]
    pub fn settings(&self) -> &S3Settings {
        self.place.client.settings()
    }

    /// A place below this one that is nobody's, and that listings of this one pass over.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn place_of_ours(&self) -> Result<Self> {
        let prefix = format!("{}{}{}/", self.place.prefix, key::TEMPORARY, crate::sibling::token()?);
        Ok(Self { place: Place { prefix: prefix.into(), ..self.place.clone() } })
    }
}

#[cfg(any(test, feature = "testing"))]
impl S3Store {
    /// The same store with large objects cut otherwise: parts of so many bytes, of which so many are sent one by one, and so many
    /// are in each section that follows, which is also the most that is copied in one request.
    #[must_use]
    pub fn cut_into(mut self, part_bytes: usize, single_parts: i32, section_parts: i32) -> Self {
        self.place.cut = Cut {
            part_bytes,
            single_parts,
            section_parts,
            copy_bytes: part_bytes as u64 * u64::from(section_parts.unsigned_abs()),
            copy_part_bytes: part_bytes as u64,
        };
        self
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn is_empty(&self) -> Result<bool> {
        self.place.is_empty().await
    }

    async fn list(&self) -> Result<Box<dyn Listing>> {
        Ok(Box::new(list::Sorted::begin(&self.place)))
    }

    async fn get(&self, key: &ObjectKey) -> Result<Object> {
        get::open(&self.place, key).await
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        let full = self.place.full_key(key)?;
        let (memory, filling) = (Buffers::new(PART_BYTES), Filling::default());
        let upload = Upload::begin(&self.place, &memory, &filling, full, meta::headers(&meta), meta.size);
        send_body(upload, key, meta.size, body).await.map(drop)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        match self.place.full_key(key) {
            Ok(full) => self.place.delete(&full).await,
            // What can't stand there is not there.
            Err(_) => Ok(()),
        }
    }

    fn keeps(&self, meta: &ObjectMeta) -> bool {
        meta::is_kept(meta)
    }

    fn at_once(&self) -> usize {
        adaptive::AT_MOST
    }

    fn staging_bytes(&self) -> u64 {
        PART_BYTES
    }

    async fn stage(&self, memory: &Buffers) -> Result<Arc<dyn StagedObjects>> {
        Ok(Arc::new(stage::S3Stage::create(&self.place, memory).await?))
    }

    fn swap(&self, import: &Import, memory: &Buffers) -> Arc<dyn ObjectSwap> {
        match import.landing {
            Landing::New => Arc::new(new::S3New::new(&self.place, memory, import.id.clone())),
            Landing::Replace => {
                let shelves = shelves::S3Shelves::new(&self.place, memory, import.id.clone());
                Arc::new(Replacing::new(shelves, import.id.clone()))
            }
        }
    }
}

/// Sends a body of a known size, and gives the object's entity tag.
async fn send_body(mut upload: Upload, key: &ObjectKey, size: u64, mut body: ObjectBody) -> Result<String> {
    let mut left = Some(size);
    let filled = async {
        while let Some(piece) = body.next().await {
            let piece = piece?;
            left = left.and_then(|left| left.checked_sub(piece.len() as u64));
            if left.is_none() {
                break;
            }
            upload.write(piece).await?;
        }
        Ok(())
    };
    let filled: Result<()> = filled.await;
    match (filled, left) {
        (Ok(()), Some(0)) => upload.finish().await,
        (filled, _) => {
            upload.abort().await;
            filled.and(Err(Error::refused(
                format!("the body of object {key}"),
                format!("it does not have the {size} bytes that it should have"),
            )))
        }
    }
}

impl Place {
    /// The place of an import that replaces.
    fn of_import(&self, import: &ImportId) -> Self {
        let prefix = match &self.waiting {
            Some((before, after)) => format!("{before}{WAITING}{import}{after}"),
            None => format!("{}{}{import}/", self.prefix, key::TEMPORARY),
        };
        Self { prefix: prefix.into(), ..self.clone() }
    }

    /// A place below this one.
    fn below(&self, name: &str) -> Self {
        Self { prefix: format!("{}{name}/", self.prefix).into(), ..self.clone() }
    }

    /// Whether no object of an app is there.
    async fn is_empty(&self) -> Result<bool> {
        // A few, as some may be ours.
        let mut pages = list::Pages::new(self.clone(), 10);
        Ok(pages.next().await?.is_empty())
    }

    /// Deletes what stands under a key of the server.
    async fn delete(&self, key: &str) -> Result<()> {
        let _turn = self.client.turn().await;
        let request = self.client.sdk().await?.delete_object().bucket(&*self.bucket).key(key);
        match request.send().boxed().await {
            Err(failure) if is_missing(&failure) => Ok(()),
            deleted => deleted.map(drop).map_err(failed(format!("deleting {key} of {self}"))),
        }
    }

    /// Deletes all that is listed.
    async fn delete_all(&self, which: list::Which) -> Result<()> {
        let mut before = None;
        loop {
            // From the beginning each time: what a page begins after is gone.
            let mut pages = list::Pages::of(self.clone(), which);
            let page = pages.next().await?;
            let Some(first) = page.first().map(|line| line.listed.key.clone()) else { return Ok(()) };
            if before.as_ref() == Some(&first) {
                let why = format!("{first} is still there after it was deleted");
                return Err(Error::S3 { what: format!("deleting the objects of {self}"), why });
            }
            before = Some(first);
            let mut keys = Vec::with_capacity(page.len());
            for line in &page {
                keys.push(self.listed_key(&line.listed.key)?);
            }
            self.delete_page(keys).await?;
        }
    }

    /// The server's key of what it listed, whoever's it is.
    fn listed_key(&self, key: &ObjectKey) -> Result<String> {
        let text = std::str::from_utf8(key.as_bytes());
        let text = text.map_err(|error| Error::Corrupt { what: format!("{key} of {self}"), why: error.to_string() })?;
        Ok(format!("{}{text}", self.prefix))
    }

    /// Deletes at most 1,000 objects.
    async fn delete_page(&self, keys: Vec<String>) -> Result<()> {
        let (keys, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key::fits_xml(key));
        for key in others {
            self.delete(&key).await?;
        }
        if keys.is_empty() {
            return Ok(());
        }
        let what = format!("deleting {} objects of {self}", keys.len());
        let object = |key| ObjectIdentifier::builder().key(key).build();
        let objects = keys.into_iter().map(object).collect::<std::result::Result<Vec<_>, _>>();
        let objects = objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let objects = objects.map_err(|error| Error::S3 { what: what.clone(), why: error.to_string() })?;
        let _turn = self.client.turn().await;
        let request = self.client.sdk().await?.delete_objects().bucket(&*self.bucket).delete(objects);
        let deleted = request.send().boxed().await.map_err(failed(what.as_str()))?;
        match deleted.errors().first() {
            None => Ok(()),
            Some(error) => {
                let (key, code) = (error.key().unwrap_or_default(), error.code().unwrap_or_default());
                Err(Error::S3 {
                    what,
                    why: format!("{key} was not deleted: {code} {}", error.message().unwrap_or_default()),
                })
            }
        }
    }
}
