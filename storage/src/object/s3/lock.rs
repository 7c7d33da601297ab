//! What keeps two imports from one prefix: an object that stands for the one under way.

use bytes::Bytes;
use futures::FutureExt;

use super::{
    Place,
    failure::{failed, is_missing},
    key::LOCK,
    send,
};
use crate::{Error, Result};

/// The longest lock that is looked at.
const MAX_BYTES: i64 = 64;

/// An import's claim to a prefix.
#[derive(Debug)]
pub(super) struct Lock {
    token: String,
}

impl Lock {
    /// Claims the prefix.
    ///
    /// A server that knows conditional writes grants it to one of several. With one that does not, the later of two that ask at
    /// the very same time may get it, and the earlier one is told so by [`Lock::check`].
    ///
    /// # Errors
    /// `Taken` where another import has it.
    pub(super) async fn take(place: &Place, token: String) -> Result<Self> {
        let lock = Self { token };
        match read(place).await? {
            None => {}
            // Of an earlier call.
            Some(token) if token == lock.token => return Ok(lock),
            Some(_) => return Err(taken(place)),
        }
        // As any object is stored, so that what a bucket demands of each holds for this one.
        let condition = [("if-none-match", "*"), ("content-type", "text/plain")];
        let headers = condition.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let claimed = match send::object(place, &key(place), headers, Bytes::from(lock.token.clone())).await {
            // Also what the second try is told of a write whose answer was lost: the check tells whose it is.
            Ok(_) | Err(Error::NotEmpty { .. }) => lock.check(place).await,
            Err(error) => Err(error),
        };
        match claimed {
            Ok(()) => Ok(lock),
            Err(taken @ Error::Taken { .. }) => Err(taken),
            Err(error) => {
                // It may stand there all the same, and would keep the next import out. Of what can't be done about that nobody
                // has to be told beside.
                drop(lock.release(place).await);
                Err(error)
            }
        }
    }

    /// Sees that it is still ours.
    ///
    /// # Errors
    /// `Taken` where it is another's or gone.
    pub(super) async fn check(&self, place: &Place) -> Result<()> {
        match read(place).await? {
            Some(token) if token == self.token => Ok(()),
            _ => Err(taken(place)),
        }
    }

    /// Gives the prefix free.
    pub(super) async fn release(&self, place: &Place) -> Result<()> {
        self.check(place).await?;
        place.delete(&key(place)).await
    }
}

/// Whether the prefix is claimed by whoever has this token.
pub(super) async fn is_held(place: &Place, token: &str) -> Result<bool> {
    Ok(read(place).await?.is_some_and(|found| found == token))
}

/// The server's key of the lock.
pub(super) fn key(place: &Place) -> String {
    format!("{}{LOCK}", place.prefix)
}

fn taken(place: &Place) -> Error {
    let what = format!("{place}, for which the object {LOCK} stands there (of one that was killed, delete it),");
    Error::Taken { what }
}

async fn read(place: &Place) -> Result<Option<String>> {
    let _turn = place.client.turn().await;
    let what = || format!("looking for {LOCK} in {place}");
    let request = place.client.sdk().await?.get_object().bucket(&*place.bucket).key(key(place));
    let mut answer = match request.send().boxed().await {
        Err(failure) if is_missing(&failure) => return Ok(None),
        answer => answer.map_err(failed(what()))?,
    };
    if answer.content_length().unwrap_or_default() > MAX_BYTES {
        return Err(taken(place));
    }
    let mut token = Vec::new();
    while let Some(bytes) = answer.body.next().await {
        let bytes = bytes.map_err(|error| Error::Unreachable { what: what(), why: error.to_string() })?;
        token.extend_from_slice(&bytes);
    }
    Ok(Some(String::from_utf8_lossy(&token).into_owned()))
}
