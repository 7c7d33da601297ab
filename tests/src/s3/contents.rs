//! What a bucket holds, in a form that two buckets can be compared by.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::bulk::AT_ONCE;
use super::client::wait;
use super::sign::hex;
use super::{Bucket, Headers};

/// Headers that belong to an object, beside those that begin with `x-amz-meta-`.
const KEPT: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
];

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// How long it is.
    pub size: u64,
    /// The SHA-256 of its body, in hexadecimal.
    pub sha256: String,
    /// Its own metadata, and what it is served with.
    pub headers: Headers,
}

impl Bucket {
    /// One object, read piece by piece.
    ///
    /// # Errors
    /// It is not there.
    pub fn content(&self, key: &str) -> Result<Content> {
        wait(self.read_content(key))
    }

    /// All objects, each read to its end, many at a time.
    ///
    /// # Errors
    /// One can't be read.
    pub fn contents(&self) -> Result<BTreeMap<String, Content>> {
        self.contents_below("")
    }

    /// As [`Bucket::contents`], of the objects whose keys begin so.
    ///
    /// # Errors
    /// One can't be read.
    pub fn contents_below(&self, prefix: &str) -> Result<BTreeMap<String, Content>> {
        let keys = self.objects()?.into_keys().filter(|key| key.starts_with(prefix)).collect::<Vec<_>>();
        let read = |key: String| async move { Ok::<_, anyhow::Error>((self.read_content(&key).await?, key)) };
        let all = stream::iter(keys).map(read).buffer_unordered(AT_ONCE);
        wait(all.try_fold(BTreeMap::new(), async |mut all, (content, key)| {
            all.insert(key, content);
            Ok(all)
        }))
    }

    async fn read_content(&self, key: &str) -> Result<Content> {
        let (mut digest, mut size) = (Sha256::new(), 0);
        let take = |piece: &[u8]| {
            digest.update(piece);
            size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        };
        let (status, mut headers) = self.client.read(self.ask("GET", Some(key)), take).await?;
        ensure!(status == 200, "GET {key}: {status}");
        headers.retain(|name, _| KEPT.contains(&name.as_str()) || name.starts_with("x-amz-meta-"));
        Ok(Content { size, sha256: hex(&digest.finalize()), headers })
    }
}
