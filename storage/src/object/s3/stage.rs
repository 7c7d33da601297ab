//! An import's objects: sent to the keys that they are to have, in a prefix that holds no other.

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::Mutex as AsyncMutex};

use super::{
    Place,
    lock::Lock,
    sending::{Sending, Sent, check, remove},
};
use crate::{Buffers, Error, ObjectBody, ObjectKey, ObjectMeta, Result, StagedObjects};

/// Objects of an import. They stand under their keys from when they are sent on, as a bucket knows no renaming: nothing of the app
/// was there before, and its rows come last.
pub(super) struct S3Stage {
    sending: Sending,
    state: AsyncMutex<State>,
}

/// How far it is.
enum State {
    Waiting(Lock),
    Committed,
    Ended,
}

impl S3Stage {
    pub(super) async fn create(place: &Place, memory: &Buffers) -> Result<Self> {
        let lock = Lock::take(place, crate::sibling::token()?).await?;
        let stage = Self { sending: Sending::new(place, memory), state: AsyncMutex::new(State::Waiting(lock)) };
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
}

#[async_trait]
impl StagedObjects for S3Stage {
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.sending.put(key, &meta, body).await
    }

    async fn commit(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        let State::Waiting(lock) = &*state else {
            return Err(Error::Stopped { what: "an import of objects" });
        };
        let place = &self.sending.place;
        lock.check(place).await?;
        check(place, &self.sending.sent()).await?;
        lock.release(place).await?;
        *state = State::Committed;
        Ok(())
    }

    async fn discard(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        let sent = self.sending.take_sent();
        discard(&self.sending.place, std::mem::replace(&mut *state, State::Ended), sent).await
    }
}

impl Drop for S3Stage {
    /// A drop can't wait: they are taken away soon after.
    fn drop(&mut self) {
        let state = std::mem::replace(self.state.get_mut(), State::Ended);
        if let (State::Waiting(_), Ok(runtime)) = (&state, Handle::try_current()) {
            let (place, sent) = (self.sending.place.clone(), self.sending.sent());
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
        State::Waiting(lock) => lock.remove_under(place, &sent).await,
    }
}
