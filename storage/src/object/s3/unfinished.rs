//! What stands in the way of a clean bucket: uploads that were never finished, and objects that must not go yet.

use aws_sdk_s3::types::ObjectLockLegalHoldStatus;
use futures::FutureExt;

use super::{
    Place, S3Store,
    failure::{answered, failed, is_missing},
};
use crate::{Error, ObjectKey, Result};

/// An upload in parts that was begun and neither finished nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The key that its object would have.
    pub key: ObjectKey,
    /// When it was begun, in seconds since 1970, by the server's clock.
    pub begun: i64,
    id: String,
}

impl S3Store {
    /// The uploads below the prefix that are under way or were given up by a process that died.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        self.place.unfinished_uploads().await
    }

    /// Aborts an upload, and with it what was sent of it. One that has ended meanwhile is left.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        self.place.abort_upload(&self.place.full_key(&upload.key)?, &upload.id).await
    }

    /// Until when an object must not be deleted, by the bucket's object lock: a time of RFC 3339, or the word that somebody put a
    /// hold on it; none where it may go.
    ///
    /// # Errors
    /// Those of the server. That the login may not see the lock is none: then the server keeps it all the same.
    pub async fn locked_until(&self, key: &ObjectKey, now: i64) -> Result<Option<String>> {
        let place = &self.place;
        let full = place.full_key(key)?;
        let _turn = place.client.turn().await;
        let request = place.client.sdk().await?.head_object().bucket(&*place.bucket).key(&full);
        let answer = match request.send().boxed().await {
            // HEAD's answer has no body that could say more.
            Err(failure) if answered(&failure).0 == 404 => return Ok(None),
            answer => answer.map_err(failed(format!("looking at {full} of {place}")))?,
        };
        if answer.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On) {
            return Ok(Some("a legal hold is lifted".into()));
        }
        let until = answer.object_lock_retain_until_date().filter(|until| until.secs() > now);
        Ok(until.map(|until| until.fmt(aws_sdk_s3::primitives::DateTimeFormat::DateTime).unwrap_or_default()))
    }
}

impl Place {
    /// The uploads below the prefix that are under way or were given up.
    pub(super) async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let place = self;
        let what = || format!("listing the unfinished uploads of {place}");
        let (mut found, mut after) = (Vec::new(), None::<(String, String)>);
        loop {
            let (key_marker, id_marker) = after.take().unzip();
            let _turn = place.client.turn().await;
            let request =
                place.client.sdk().await?.list_multipart_uploads().bucket(&*place.bucket).prefix(&*place.prefix);
            let request = request.set_key_marker(key_marker.clone()).set_upload_id_marker(id_marker.clone());
            let answer = request.send().boxed().await.map_err(failed(what()))?;
            for upload in answer.uploads() {
                let below = upload.key().and_then(|key| key.strip_prefix(&*place.prefix));
                let (Some(key), Some(id)) = (below, upload.upload_id()) else { continue };
                // What can be no object of ours is nobody's leftover.
                let Ok(key) = ObjectKey::try_from(key.as_bytes()) else { continue };
                let begun = upload.initiated().map_or(i64::MAX, aws_sdk_s3::primitives::DateTime::secs);
                found.push(UnfinishedUpload { key, begun, id: id.to_owned() });
            }
            let next = answer.next_key_marker().zip(answer.next_upload_id_marker());
            let next =
                next.map(|(key, id)| (key.to_owned(), id.to_owned())).filter(|_| answer.is_truncated() == Some(true));
            match next {
                Some(next) if Some(&next) != key_marker.zip(id_marker).as_ref() => after = Some(next),
                Some(_) => return Err(Error::S3 { what: what(), why: "the server gives the same page again".into() }),
                None => return Ok(found),
            }
        }
    }

    /// Aborts all of them, also those that no app's object would come of.
    pub(super) async fn abort_uploads(&self) -> Result<()> {
        let uploads = match self.unfinished_uploads().await {
            // A login that may not list them: the bucket's own rules end them.
            Err(Error::Denied { .. }) => return Ok(()),
            uploads => uploads?,
        };
        for upload in uploads {
            let key = format!("{}{}", self.prefix, String::from_utf8_lossy(upload.key.as_bytes()));
            self.abort_upload(&key, &upload.id).await?;
        }
        Ok(())
    }

    async fn abort_upload(&self, key: &str, id: &str) -> Result<()> {
        let _turn = self.client.turn().await;
        let request = self.client.sdk().await?.abort_multipart_upload().bucket(&*self.bucket).key(key);
        match request.upload_id(id).send().boxed().await {
            Err(failure) if is_missing(&failure) || answered(&failure) == (404, "NoSuchUpload") => Ok(()),
            aborted => aborted.map(drop).map_err(failed(format!("aborting the upload of {key} of {self}"))),
        }
    }
}
