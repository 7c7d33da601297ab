//! A bucket's part in a swap.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;

use super::{
    Place, adaptive, copy,
    failure::{failed, is_missing},
    get,
    list::{Line, Sorted, Which},
    meta::{self, parse_digest},
    send,
    settings::EntityTags,
    upload::{Filling, Upload},
};
use crate::{
    Buffers, Error, ImportId, ObjectBody, ObjectKey, ObjectMeta, Result,
    object::swap::{Coming, Copied, Found, FoundPages, Over, Room, Shelf, Shelves, Stamp, same_bytes},
};

/// The longest note that is read.
const MAX_NOTE_BYTES: usize = 16 << 20;
/// How often a note is read again whose reading broke off.
const AGAIN: u32 = 3;

/// The objects of an app below a prefix, and those of its imports where no app is.
pub(super) struct S3Shelves {
    place: Place,
    memory: Buffers,
    filling: Filling,
    import: ImportId,
}

impl S3Shelves {
    pub(super) fn new(place: &Place, memory: &Buffers, import: ImportId) -> Self {
        Self { place: place.clone(), memory: memory.clone(), filling: Filling::default(), import }
    }

    fn own(&self) -> Place {
        self.place.of_import(&self.import)
    }

    fn shelf(&self, shelf: &Shelf) -> Place {
        match shelf {
            Shelf::Live => self.place.clone(),
            Shelf::New(import) => self.place.of_import(import).below("new"),
            Shelf::Kept(import) => self.place.of_import(import).below("kept"),
        }
    }

    async fn head(&self, shelf: &Shelf, key: &ObjectKey) -> Result<Option<ObjectMeta>> {
        let place = self.shelf(shelf);
        Ok(copy::head(&place, &place.full_key(key)?).await?.as_ref().map(meta::of_head))
    }

    /// Whether both are there and the server knows the same of them, beside their bytes.
    async fn has_same_meta(&self, key: &ObjectKey, from: &Shelf) -> Result<bool> {
        let (one, other) = (self.head(from, key).await?, self.head(&Shelf::Live, key).await?);
        let known = |meta: ObjectMeta| (meta.content_type, meta.headers, meta.user);
        Ok(one.zip(other).is_some_and(|(one, other)| known(one) == known(other)))
    }

    async fn has_same_bytes(&self, key: &ObjectKey, from: &Shelf) -> Result<bool> {
        let compared = async {
            let (one, other) = (get::open(&self.shelf(from), key).await?, get::open(&self.place, key).await?);
            same_bytes(one.body, other.body).await
        };
        match compared.boxed().await {
            // It goes while it is looked at.
            Err(Error::NotFound { .. } | Error::Changed { .. }) => Ok(false),
            compared => compared,
        }
    }

    fn is_digest(&self, stamp: &Stamp) -> bool {
        self.place.client.settings().etags == EntityTags::Md5 && parse_digest(&stamp.mark).is_some()
    }
}

#[async_trait]
impl Shelves for S3Shelves {
    fn at_once(&self) -> usize {
        adaptive::AT_MOST
    }

    /// A prefix needs no making.
    async fn make(&self) -> Result<()> {
        Ok(())
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.place.full_key(key)?;
        let place = self.shelf(&Shelf::New(self.import.clone()));
        let full = place.full_key(key)?;
        let upload = Upload::begin(&place, &self.memory, &self.filling, full, meta::headers(&meta), meta.size);
        super::send_body(upload, key, meta.size, body).boxed().await.map(drop)
    }

    async fn list(&self, shelf: &Shelf) -> Result<Box<dyn FoundPages>> {
        Ok(Box::new(S3Pages(Sorted::begin(&self.shelf(shelf)))))
    }

    async fn look(&self, shelf: &Shelf, key: &ObjectKey) -> Result<Option<Stamp>> {
        let place = self.shelf(shelf);
        Ok(copy::head(&place, &place.full_key(key)?).boxed().await?.as_ref().map(copy::stamp))
    }

    /// Any key has a place.
    async fn room(&self, _: &ObjectKey) -> Result<Room> {
        Ok(Room::Free(0))
    }

    /// Entity tags tell it, of objects of one part and of several; where they are not to be relied on, none is the same.
    async fn is_same(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool> {
        let is_reliable = self.place.client.settings().etags == EntityTags::Md5 && !live.mark.is_empty();
        Ok(is_reliable && coming.stamp == *live && self.has_same_meta(key, &coming.from).boxed().await?)
    }

    /// A copy has the entity tag of what it was made of, unless it was of several parts, or the tag is no digest.
    async fn is_copy(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool> {
        if coming.stamp.size != live.size || (self.is_digest(&coming.stamp) && self.is_digest(live)) {
            return Ok(coming.stamp == *live);
        }
        if coming.stamp == *live {
            return Ok(true);
        }
        Ok(self.has_same_meta(key, &coming.from).boxed().await? && self.has_same_bytes(key, &coming.from).await?)
    }

    fn check_kept(&self, key: &ObjectKey) -> Result<()> {
        self.shelf(&Shelf::Kept(self.import.clone())).full_key(key).map(drop)
    }

    async fn copy(&self, key: &ObjectKey, from: &Coming, to: &Shelf, over: Over) -> Result<Copied> {
        let source = self.shelf(&from.from).full_key(key)?;
        let place = self.shelf(to);
        let target = place.full_key(key)?;
        if over == Over::Never && copy::head(&place, &target).boxed().await?.is_some() {
            return Ok(Copied::Occupied);
        }
        match copy::copy(&place, &source, &from.stamp, &target).boxed().await? {
            true => Ok(Copied::Done),
            false => Ok(Copied::Lost),
        }
    }

    async fn delete(&self, shelf: &Shelf, keys: Vec<ObjectKey>) -> Result<()> {
        let place = self.shelf(shelf);
        match keys.as_slice() {
            [] => Ok(()),
            [key] => place.delete(&place.full_key(key)?).boxed().await,
            keys => {
                let full = keys.iter().map(|key| place.full_key(key)).collect::<Result<_>>()?;
                place.delete_page(full).boxed().await
            }
        }
    }

    async fn take_back(&self, key: &ObjectKey, _: u32) -> Result<()> {
        self.place.delete(&self.place.full_key(key)?).boxed().await
    }

    async fn write_note(&self, name: &str, bytes: Bytes) -> Result<()> {
        let place = self.own();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        send::object(&place, &format!("{}{name}", place.prefix), headers, bytes).boxed().await.map(drop)
    }

    async fn read_note(&self, import: &ImportId, name: &str) -> Result<Option<Bytes>> {
        let place = self.place.of_import(import);
        let key = format!("{}{name}", place.prefix);
        let mut tries = 0;
        loop {
            match read(&place, &key).boxed().await {
                Err(Error::Unreachable { .. }) if tries < AGAIN => tries += 1,
                other => return other,
            }
        }
    }

    async fn remove_note(&self, name: &str) -> Result<()> {
        let place = self.own();
        place.delete(&format!("{}{name}", place.prefix)).boxed().await
    }

    /// What the server has taken lasts.
    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// A prefix without objects is nothing.
    async fn tidy(&self) -> Result<()> {
        Ok(())
    }

    async fn clear(&self) -> Result<()> {
        let place = self.own();
        place.abort_uploads().boxed().await?;
        place.delete_all(Which::AllButLock).boxed().await
    }
}

/// Reads a small object; none where it is not there.
async fn read(place: &Place, key: &str) -> Result<Option<Bytes>> {
    let what = || format!("reading {key} in {place}");
    let _turn = place.client.turn().await;
    let request = place.client.sdk().await?.get_object().bucket(&*place.bucket).key(key);
    let mut answer = match request.send().boxed().await {
        Err(failure) if is_missing(&failure) => return Ok(None),
        answer => answer.map_err(failed(what()))?,
    };
    let length = answer.content_length().and_then(|length| usize::try_from(length).ok());
    let stall = place.client.settings().stall_timeout;
    let mut bytes = BytesMut::new();
    loop {
        let piece = tokio::time::timeout(stall, answer.body.next()).await;
        let unreachable = |why: String| Error::Unreachable { what: what(), why };
        let piece = piece.map_err(|_| unreachable(format!("the server sent nothing for {stall:?}")))?;
        let Some(piece) = piece else { break };
        bytes.extend_from_slice(&piece.map_err(|error| unreachable(error.to_string()))?);
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(Error::Corrupt { what: what(), why: "it is longer than any that we write".into() });
        }
    }
    if length.is_some_and(|length| length != bytes.len()) {
        return Err(Error::Unreachable { what: what(), why: format!("{} bytes of it came", bytes.len()) });
    }
    Ok(Some(bytes.freeze()))
}

/// A listing of a prefix.
struct S3Pages(Sorted);

#[async_trait]
impl FoundPages for S3Pages {
    async fn next_page(&mut self) -> Result<Vec<Found>> {
        let found =
            |line: Line| Found { key: line.listed.key, stamp: Stamp { size: line.listed.size, mark: line.etag } };
        Ok(self.0.next().await?.into_iter().map(found).collect())
    }
}
