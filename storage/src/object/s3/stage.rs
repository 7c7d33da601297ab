//! An import's objects: sent to the keys that they are to have, in a prefix that holds no other.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, sync::Mutex as AsyncMutex};

use super::{
    Place,
    list::{Line, PAGE_OBJECTS, Pages},
    lock::Lock,
    meta,
    upload::{Filling, Upload},
};
use crate::{Buffers, Error, ObjectBody, ObjectKey, ObjectMeta, Result, StagedObjects};

/// How many of the last objects can come again and replace what was sent.
const REPLACEABLE: usize = 256;

/// Objects of an import. They stand under their keys from when they are sent on, as a bucket knows no renaming: nothing of the app
/// was there before, and its rows come last.
pub(super) struct S3Stage {
    place: Place,
    memory: Buffers,
    filling: Filling,
    sent: Mutex<Sent>,
    state: AsyncMutex<State>,
}

/// How far it is.
enum State {
    Waiting(Lock),
    Committed,
    Ended,
}

/// What was sent: enough to tell whether the prefix holds just that, in memory that does not grow with it.
#[derive(Clone, Default)]
struct Sent {
    all: Fingerprint,
    last: VecDeque<(ObjectKey, u128)>,
    /// Objects that are being sent, or whose sending failed, so that they may be there or not.
    uncertain: Vec<ObjectKey>,
}

/// A sum over objects, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fingerprint {
    count: u64,
    sum: u128,
}

impl Fingerprint {
    fn add(&mut self, object: u128) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(object);
    }

    fn subtract(&mut self, object: u128) {
        self.count = self.count.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(object);
    }
}

fn digest(key: &ObjectKey, size: u64, etag: &str) -> u128 {
    let mut digest = Sha256::new();
    digest.update(size.to_le_bytes());
    digest.update(etag.as_bytes());
    digest.update([0]);
    digest.update(key.as_bytes());
    let bytes: [u8; 32] = digest.finalize().into();
    let (first, _) = bytes.as_chunks::<16>();
    first.first().map_or(0, |half| u128::from_le_bytes(*half))
}

impl Sent {
    fn is_certain(&mut self, key: &ObjectKey) {
        if let Some(at) = self.uncertain.iter().position(|uncertain| uncertain == key) {
            self.uncertain.swap_remove(at);
        }
    }

    fn is_there(&mut self, key: &ObjectKey, object: u128) {
        self.is_certain(key);
        if let Some(at) = self.last.iter().position(|(known, _)| known == key)
            && let Some((_, replaced)) = self.last.remove(at)
        {
            self.all.subtract(replaced);
        }
        self.all.add(object);
        self.last.push_back((key.clone(), object));
        if self.last.len() > REPLACEABLE {
            self.last.pop_front();
        }
    }
}

impl S3Stage {
    pub(super) async fn create(place: &Place, memory: &Buffers) -> Result<Self> {
        let lock = Lock::take(place).await?;
        let stage = Self {
            place: place.clone(),
            memory: memory.clone(),
            filling: Filling::default(),
            sent: Mutex::default(),
            state: AsyncMutex::new(State::Waiting(lock)),
        };
        // Whoever sees it empty has the lock already.
        let error = match place.is_empty().await {
            Ok(true) => return Ok(stage),
            Ok(false) => Error::NotEmpty { what: place.to_string() },
            Err(error) => error,
        };
        // Awaited, as whoever is told of it may end at once. What could not be taken away says so itself to the next one.
        drop(stage.discard().await);
        Err(error)
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, key: &ObjectKey, meta: &ObjectMeta, body: ObjectBody) -> Result<String> {
        let full = self.place.full_key(key)?;
        let headers = meta::headers(meta);
        let upload = Upload::begin(&self.place, &self.memory, &self.filling, full, headers, meta.size);
        super::send_body(upload, key, meta.size, body).await
    }
}

#[async_trait]
impl StagedObjects for S3Stage {
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        // From now on it may be there or not, also where nobody waits for the end of this.
        self.sent().uncertain.push(key.clone());
        let sent = self.send(key, &meta, body).await;
        match &sent {
            Ok(etag) => self.sent().is_there(key, digest(key, meta.size, etag)),
            // What the body lacks was never sent.
            Err(Error::Refused { .. }) => self.sent().is_certain(key),
            Err(_) => {}
        }
        sent.map(drop)
    }

    async fn commit(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        let State::Waiting(lock) = &*state else {
            return Err(Error::Stopped { what: "an import of objects" });
        };
        lock.check(&self.place).await?;
        let wanted = self.sent().all;
        let found = fingerprint(&self.place).await?;
        if found != wanted {
            let what =
                format!("{} (it holds {} objects, of which {} were sent)", self.place, found.count, wanted.count);
            return Err(Error::NotEmpty { what });
        }
        lock.release(&self.place).await?;
        *state = State::Committed;
        Ok(())
    }

    async fn discard(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        let sent = std::mem::take(&mut *self.sent());
        discard(&self.place, std::mem::replace(&mut *state, State::Ended), sent).await
    }
}

impl Drop for S3Stage {
    /// A drop can't wait: they are taken away soon after.
    fn drop(&mut self) {
        let state = std::mem::replace(self.state.get_mut(), State::Ended);
        if let (State::Waiting(_), Ok(runtime)) = (&state, Handle::try_current()) {
            let (place, sent) = (self.place.clone(), self.sent().clone());
            // Nobody is there to be told.
            runtime.spawn(async move { drop(discard(&place, state, sent).await) });
        }
    }
}

/// Takes away what was sent, and the lock.
async fn discard(place: &Place, state: State, sent: Sent) -> Result<()> {
    match state {
        State::Ended => Ok(()),
        State::Committed => remove(place, &sent).await,
        State::Waiting(lock) => {
            // What stands there now may be another's, and of the same archive: it would look just like ours.
            lock.check(place).await?;
            let removed = remove(place, &sent).await;
            lock.release(place).await?;
            removed
        }
    }
}

async fn remove(place: &Place, sent: &Sent) -> Result<()> {
    for key in &sent.uncertain {
        place.delete(&place.full_key(key)?).await?;
    }
    let mut wanted = sent.all;
    for (_, object) in sent.last.iter().filter(|(key, _)| sent.uncertain.contains(key)) {
        wanted.subtract(*object);
    }
    if wanted == Fingerprint::default() {
        return Ok(());
    }
    let found = fingerprint(place).await?;
    if found != wanted {
        let what = format!("taking back what was sent to {place}");
        let why = format!(
            "it holds {} objects where {} were sent, or others than those, so that nothing was deleted",
            found.count, wanted.count
        );
        return Err(Error::S3 { what, why });
    }
    place.delete_all().await
}

/// What stands below the prefix.
async fn fingerprint(place: &Place) -> Result<Fingerprint> {
    let mut pages = Pages::new(place.clone(), PAGE_OBJECTS);
    let mut found = Fingerprint::default();
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(found);
        }
        page.iter().for_each(|Line { listed, etag }| found.add(digest(&listed.key, listed.size, etag)));
    }
}
