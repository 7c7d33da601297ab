//! An import into a prefix that holds nothing: its objects go straight to their keys, under a lock that bears its id.

use async_trait::async_trait;
use futures::FutureExt;

use super::{
    Place, copy,
    list::{Pages, Which},
    lock::{self, Lock},
    sending::{Sending, check},
};
use crate::{Buffers, Error, ImportId, ObjectBody, ObjectKey, ObjectMeta, ObjectSwap, Replaced, Result, SwapPlan};

/// Objects of an import in a prefix of its own. A drop does nothing: the lock stands there for whoever comes after.
pub(super) struct S3New {
    sending: Sending,
    import: ImportId,
    /// From its begin in this process on: what was sent is known then.
    lock: tokio::sync::Mutex<Option<Lock>>,
}

impl S3New {
    pub(super) fn new(place: &Place, memory: &Buffers, import: ImportId) -> Self {
        Self { sending: Sending::new(place, memory), import, lock: tokio::sync::Mutex::default() }
    }

    fn place(&self) -> &Place {
        &self.sending.place
    }

    async fn has_lock(&self) -> Result<bool> {
        lock::is_held(self.place(), self.import.as_str()).boxed().await
    }
}

#[async_trait]
impl ObjectSwap for S3New {
    async fn begin(&self) -> Result<()> {
        let place = self.place();
        let taken = Lock::take(place, self.import.to_string()).boxed().await?;
        // Whoever sees it empty has the lock already.
        let error = match place.is_empty().boxed().await {
            Ok(true) => {
                *self.lock.lock().await = Some(taken);
                return Ok(());
            }
            Ok(false) => Error::NotEmpty { what: place.to_string() },
            Err(error) => error,
        };
        // What could not be taken away says so itself to the next one.
        drop(taken.release(place).boxed().await);
        Err(error)
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.sending.put(key, &meta, body).await
    }

    async fn plan(&self) -> Result<SwapPlan> {
        let lock = self.lock.lock().await;
        let lock = lock.as_ref().ok_or(Error::Stopped { what: "an import of objects" })?;
        lock.check(self.place()).boxed().await?;
        let new = check(self.place(), &self.sending.sent()).boxed().await?;
        Ok(SwapPlan { new, ..SwapPlan::default() })
    }

    async fn plan_back(&self, replaced: &ImportId) -> Result<SwapPlan> {
        Err(Error::NotFound { what: format!("what import {replaced} replaced where nothing is") })
    }

    /// They stand there already.
    async fn publish_new(&self) -> Result<()> {
        let lock = self.lock.lock().await;
        let lock = lock.as_ref().ok_or(Error::Stopped { what: "an import of objects" })?;
        lock.check(self.place()).boxed().await
    }

    async fn publish_rest(&self, _: Replaced) -> Result<u64> {
        if self.has_lock().await? {
            self.place().delete(&lock::key(self.place())).boxed().await?;
        }
        Ok(0)
    }

    async fn roll_back(&self) -> Result<()> {
        match self.lock.lock().await.take() {
            Some(lock) => lock.remove_under(self.place(), &self.sending.take_sent()).boxed().await,
            None if self.has_lock().await? => remove_all(self.place()).boxed().await,
            // Nothing of it is there, or what is there is not its own any more.
            None => Ok(()),
        }
    }

    async fn kept_bytes(&self) -> Result<u64> {
        Ok(0)
    }

    async fn drop_kept(&self) -> Result<()> {
        Ok(())
    }
}

/// Takes away what an import sent that is no more: all that came since its lock, as there was nothing then.
async fn remove_all(place: &Place) -> Result<()> {
    let lock_key = lock::key(place);
    let locked = copy::head(place, &lock_key).await?.and_then(|head| head.last_modified().map(|time| time.secs()));
    let what = || format!("taking back what an import sent to {place} before it was killed");
    let Some(locked) = locked else {
        return Err(Error::S3 { what: what(), why: format!("the server does not say how old {lock_key} is") });
    };
    let mut pages = Pages::of(place.clone(), Which::AllButLock);
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        if let Some(line) = page.iter().find(|line| line.modified.is_none_or(|modified| modified < locked)) {
            let why = format!("{} is older than its lock, so that nothing was deleted", line.listed.key);
            return Err(Error::S3 { what: what(), why });
        }
    }
    place.abort_uploads().await?;
    place.delete_all(Which::AllButLock).await?;
    place.delete(&lock_key).await
}
