//! What an import has sent to its prefix, and whether the prefix holds just that.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

use super::{
    Place,
    list::{Line, PAGE_OBJECTS, Pages, Which},
    lock::Lock,
    meta,
    upload::{Filling, Upload},
};
use crate::{Buffers, Error, ObjectBody, ObjectKey, ObjectMeta, Result};

/// How many of the last objects can come again and replace what was sent.
const REPLACEABLE: usize = 256;

/// Objects on their way to their keys.
pub(super) struct Sending {
    pub(super) place: Place,
    memory: Buffers,
    filling: Filling,
    sent: Mutex<Sent>,
}

/// What was sent: enough to tell whether the prefix holds just that, in memory that does not grow with it.
#[derive(Clone, Default)]
pub(super) struct Sent {
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

impl Sending {
    pub(super) fn new(place: &Place, memory: &Buffers) -> Self {
        Self { place: place.clone(), memory: memory.clone(), filling: Filling::default(), sent: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was sent so far.
    pub(super) fn sent(&self) -> Sent {
        self.lock().clone()
    }

    /// What was sent so far, and begins anew.
    pub(super) fn take_sent(&self) -> Sent {
        std::mem::take(&mut *self.lock())
    }

    /// Sends an object.
    pub(super) async fn put(&self, key: &ObjectKey, meta: &ObjectMeta, body: ObjectBody) -> Result<()> {
        // From now on it may be there or not, also where nobody waits for the end of this.
        self.lock().uncertain.push(key.clone());
        let sent = self.send(key, meta, body).await;
        match &sent {
            Ok(etag) => self.lock().is_there(key, digest(key, meta.size, etag)),
            // What the body lacks was never sent.
            Err(Error::Refused { .. }) => self.lock().is_certain(key),
            Err(_) => {}
        }
        sent.map(drop)
    }

    async fn send(&self, key: &ObjectKey, meta: &ObjectMeta, body: ObjectBody) -> Result<String> {
        let full = self.place.full_key(key)?;
        let headers = meta::headers(meta);
        let upload = Upload::begin(&self.place, &self.memory, &self.filling, full, headers, meta.size);
        super::send_body(upload, key, meta.size, body).await
    }
}

impl Lock {
    /// Takes away what was sent while it was held, and then the lock.
    pub(super) async fn remove_under(self, place: &Place, sent: &Sent) -> Result<()> {
        // What stands there now may be another's, and of the same archive: it would look just like ours.
        self.check(place).await?;
        let removed = remove(place, sent).await;
        self.release(place).await?;
        removed
    }
}

/// Sees that the prefix holds just what was sent, and gives how many that are.
///
/// # Errors
/// `NotEmpty` where it holds anything else, or not all of it.
pub(super) async fn check(place: &Place, sent: &Sent) -> Result<u64> {
    let wanted = sent.all;
    let found = fingerprint(place).await?;
    if found == wanted {
        return Ok(found.count);
    }
    let what = format!("{place} (it holds {} objects, of which {} were sent)", found.count, wanted.count);
    Err(Error::NotEmpty { what })
}

/// Takes away what was sent. Where the prefix holds anything else, nothing is deleted but what may not have come.
pub(super) async fn remove(place: &Place, sent: &Sent) -> Result<()> {
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
    place.delete_all(Which::Apps).await
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
        page.iter().for_each(|Line { listed, etag, .. }| found.add(digest(&listed.key, listed.size, etag)));
    }
}
