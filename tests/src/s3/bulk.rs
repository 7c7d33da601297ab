//! Many objects at a time, and large ones made while they are sent.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use anyhow::Result;

use super::Version;
use super::client::{Ask, Client};
use super::connections::Body;
use crate::Random;

/// A gateway answers so many at a time about as fast as it can.
pub(super) const AT_ONCE: usize = 32;
const PIECE: u64 = 1 << 20;

/// An object that is to be stored.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// Its key.
    pub key: String,
    /// Its body.
    pub body: Bytes,
    /// Such as `content-type` and `x-amz-meta-…`.
    pub headers: Vec<(String, String)>,
}

pub(super) async fn fill(client: &Client, bucket: &str, objects: impl Iterator<Item = Put> + Send) -> Result<()> {
    let put = |object: Put| async move {
        let headers: Vec<_> = object.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let ask = Ask::new("PUT", bucket, Some(&object.key)).headers(&headers).body(object.body);
        client.ask(ask).await.map(drop)
    };
    stream::iter(objects).map(put).buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await
}

pub(super) async fn delete(client: &Client, bucket: &str, versions: Vec<Version>) -> Result<()> {
    let delete = |version: Version| async move {
        let ask = Ask::new("DELETE", bucket, Some(&version.key)).query(&[("versionId", &version.id)]);
        client.ask(ask).await.map(drop)
    };
    stream::iter(versions).map(delete).buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await
}

/// So many bytes that do not compress, always the same of one seed.
pub(super) fn generated(size: u64, seed: u64) -> Body {
    let pieces = stream::unfold((Random::new(seed), size), |(mut random, left)| async move {
        let length = usize::try_from(left.min(PIECE)).ok().filter(|&length| length > 0)?;
        let piece = random.bytes(length);
        Some((Ok(Frame::data(Bytes::from(piece))), (random, left.saturating_sub(PIECE))))
    });
    StreamBody::new(pieces).boxed_unsync()
}
