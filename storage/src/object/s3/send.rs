//! Single requests that send bytes: an object, or a part of one. What is sent is in memory, so that it can be sent again.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedPart, ServerSideEncryption, StorageClass},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::FutureExt;
use md5::{Digest, Md5};

use super::{Place, failure::failed, meta};
use crate::{Error, Result};

/// The MD5 of what is sent, by which the server sees a bit that was flipped on the way.
pub(super) struct BodyDigest([u8; 16]);

impl BodyDigest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Md5::digest(bytes).into())
    }

    /// Whether an entity tag says the same.
    pub(super) fn is(&self, etag: &str) -> bool {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        etag == hex
    }

    fn header(&self) -> String {
        BASE64_STANDARD.encode(self.0)
    }
}

/// Stores an object in one request, and gives its entity tag.
pub(super) async fn object(place: &Place, key: &str, headers: Vec<(String, String)>, bytes: Bytes) -> Result<String> {
    let settings = place.client.settings();
    let mut turn = place.client.turn().await;
    turn.add_bytes(bytes.len());
    let limit = place.client.upload_timeout(bytes.len());
    let request = place.client.sdk().await?.put_object().bucket(&*place.bucket).key(key);
    let request = request
        .content_md5(BodyDigest::of(&bytes).header())
        .set_storage_class(settings.storage_class.as_deref().map(StorageClass::from))
        .set_server_side_encryption(settings.server_side_encryption.as_deref().map(ServerSideEncryption::from))
        .set_ssekms_key_id(settings.kms_key_id.clone())
        .body(ByteStream::from(bytes))
        .customize()
        .config_override(limit)
        .mutate_request(move |request| meta::put_headers(request, &headers));
    let request = if settings.payload_signing { request } else { request.disable_payload_signing() };
    let stored = request.send().boxed().await.map_err(failed(format!("storing {key} in {place}")))?;
    // What follows asks for a turn of its own.
    drop(turn);
    match stored.e_tag() {
        Some(etag) if !etag.is_empty() => Ok(meta::trim(etag).to_owned()),
        _ => entity_tag(place, key).await,
    }
}

/// What the server says of an object that stands there.
pub(super) async fn entity_tag(place: &Place, key: &str) -> Result<String> {
    let _turn = place.client.turn().await;
    let head = place.client.sdk().await?.head_object().bucket(&*place.bucket).key(key).send().boxed().await;
    let head = head.map_err(failed(format!("looking at {key} in {place}")))?;
    Ok(head.e_tag().map(meta::trim).unwrap_or_default().to_owned())
}

/// A multipart upload that stands, by the server's key and id.
#[derive(Clone, Debug)]
pub(super) struct UploadId {
    pub(super) key: String,
    pub(super) id: String,
}

/// Sends a part.
pub(super) async fn part(place: &Place, upload: &UploadId, number: i32, bytes: Bytes) -> Result<CompletedPart> {
    let mut turn = place.client.turn().await;
    turn.add_bytes(bytes.len());
    let limit = place.client.upload_timeout(bytes.len());
    let request = place.client.sdk().await?.upload_part().bucket(&*place.bucket).key(&upload.key);
    let request = request
        .upload_id(&upload.id)
        .part_number(number)
        .content_md5(BodyDigest::of(&bytes).header())
        .body(ByteStream::from(bytes))
        .customize()
        .config_override(limit);
    let request = if place.client.settings().payload_signing { request } else { request.disable_payload_signing() };
    let what = format!("storing part {number} of {} in {place}", upload.key);
    let sent = request.send().boxed().await.map_err(failed(what.as_str()))?;
    let etag = sent
        .e_tag()
        .filter(|etag| !etag.is_empty())
        .ok_or_else(|| Error::Unreachable { what, why: "the server gave the part no entity tag".into() })?;
    let completed = CompletedPart::builder().part_number(number).e_tag(etag);
    let completed = completed
        .set_checksum_crc32(sent.checksum_crc32().map(str::to_owned))
        .set_checksum_crc32_c(sent.checksum_crc32_c().map(str::to_owned))
        .set_checksum_crc64_nvme(sent.checksum_crc64_nvme().map(str::to_owned));
    Ok(completed.build())
}
