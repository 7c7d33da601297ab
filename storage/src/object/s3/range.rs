//! Ranges of one object, for whoever reads it at random.

use bytes::{Bytes, BytesMut};
use futures::FutureExt;

use super::{
    S3Store,
    failure::{failed, is_missing, is_precondition},
};
use crate::{Error, ObjectKey, Result};

/// One state of an object, read by ranges.
#[derive(Debug)]
pub struct S3RangeReader {
    store: S3Store,
    key: ObjectKey,
    full: String,
    size: u64,
    etag: Option<String>,
}

impl S3Store {
    /// Opens an object by its first bytes, at most `length`, which are given too.
    ///
    /// # Errors
    /// `NotFound` where it is not there.
    pub async fn open_ranges(&self, key: &ObjectKey, length: u64) -> Result<(S3RangeReader, Bytes)> {
        let not_found = || Error::NotFound { what: format!("{}{key}", self.place) };
        let full = self.place.full_key(key).map_err(|_| not_found())?;
        let mut reader = S3RangeReader { store: self.clone(), key: key.clone(), full, size: 0, etag: None };
        let (range, etag, front) = match reader.ask(0, length).boxed().await {
            Err(Asked::Missing) => return Err(not_found()),
            // Of an empty object there is no range.
            Err(Asked::Changed) => return Ok((reader, Bytes::new())),
            Err(Asked::Failed(error)) => return Err(error),
            Ok(answer) => answer,
        };
        reader.etag = etag;
        let told = range.as_deref().and_then(|range| range.rsplit_once('/')).and_then(|(_, size)| size.parse().ok());
        reader.size = told.ok_or_else(|| reader.unusable("the server does not give ranges"))?;
        if front.len() as u64 != length.min(reader.size) {
            return Err(reader.unusable("the server gave another range than it was asked for"));
        }
        Ok((reader, front))
    }
}

/// Why a range was not given.
enum Asked {
    Missing,
    Changed,
    Failed(Error),
}

impl S3RangeReader {
    /// Its length.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// So many bytes from `offset` on.
    ///
    /// # Errors
    /// `Changed` where it is no longer what was opened.
    pub async fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        match self.ask(offset, length).boxed().await {
            Ok((_, _, bytes)) if bytes.len() as u64 == length => Ok(bytes),
            Ok(_) => Err(self.unusable("the server gave another range than it was asked for")),
            Err(Asked::Failed(error)) => Err(error),
            Err(Asked::Missing | Asked::Changed) => Err(Error::Changed { key: self.key.clone() }),
        }
    }

    fn unusable(&self, why: &str) -> Error {
        Error::S3 { what: format!("reading a range of {} of {}", self.key, self.store.place), why: why.to_owned() }
    }

    async fn ask(
        &self,
        offset: u64,
        length: u64,
    ) -> std::result::Result<(Option<String>, Option<String>, Bytes), Asked> {
        let mut why = String::new();
        // A body that breaks off is asked for again; the requests themselves are made again by the library.
        for _ in 0..3 {
            match self.ask_once(offset, length).await {
                Err(Asked::Failed(Error::Unreachable { why: again, .. })) => why = again,
                other => return other,
            }
        }
        let what = format!("reading a range of {} of {}", self.key, self.store.place);
        Err(Asked::Failed(Error::Unreachable { what, why }))
    }

    async fn ask_once(
        &self,
        offset: u64,
        length: u64,
    ) -> std::result::Result<(Option<String>, Option<String>, Bytes), Asked> {
        let place = &self.store.place;
        let what = || format!("reading a range of {} of {place}", self.key);
        let unreachable = |why: String| Asked::Failed(Error::Unreachable { what: what(), why });
        let _turn = place.client.turn().await;
        let client = place.client.sdk().await.map_err(Asked::Failed)?;
        let last = offset.saturating_add(length) - 1;
        let request =
            client.get_object().bucket(&*place.bucket).key(&self.full).range(format!("bytes={offset}-{last}"));
        let mut answer = match request.set_if_match(self.etag.clone()).send().boxed().await {
            Err(failure) if is_missing(&failure) => return Err(Asked::Missing),
            Err(failure) if is_precondition(&failure) || super::failure::answered(&failure).0 == 416 => {
                return Err(Asked::Changed);
            }
            answer => answer.map_err(|failure| Asked::Failed(failed(what())(failure)))?,
        };
        if answer.e_tag() != self.etag.as_deref() && self.etag.is_some() {
            return Err(Asked::Changed);
        }
        let expected = answer.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
        if expected > length {
            return Err(Asked::Failed(self.unusable("the server does not give ranges")));
        }
        let mut bytes = BytesMut::with_capacity(usize::try_from(expected).unwrap_or_default());
        let stall = place.client.settings().stall_timeout;
        while let Some(piece) = tokio::time::timeout(stall, answer.body.next())
            .await
            .map_err(|_| unreachable(format!("the server sent nothing for {stall:?}")))?
        {
            bytes.extend_from_slice(&piece.map_err(|error| unreachable(error.to_string()))?);
        }
        if bytes.len() as u64 != expected {
            return Err(unreachable(format!("{} of {expected} bytes came", bytes.len())));
        }
        Ok((answer.content_range, answer.e_tag, bytes.freeze()))
    }
}
