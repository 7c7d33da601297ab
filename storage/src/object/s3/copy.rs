//! Objects that the server copies: no byte of them comes here.

use aws_sdk_s3::{
    operation::head_object::HeadObjectOutput,
    types::{ServerSideEncryption, StorageClass},
};
use futures::FutureExt;

use super::{
    Place,
    client::assembly_timeout,
    failure::{answered, failed, is_missing, is_precondition},
    meta,
    multipart::{Multipart, copy_source, quoted},
};
use crate::{Error, Result, object::swap::Stamp};

/// What the server says of an object; none where it is not there.
pub(super) async fn head(place: &Place, key: &str) -> Result<Option<HeadObjectOutput>> {
    let _turn = place.client.turn().await;
    let request = place.client.sdk().await?.head_object().bucket(&*place.bucket).key(key);
    match request.send().boxed().await {
        // HEAD's answer has no body that could say more.
        Err(failure) if answered(&failure).0 == 404 => Ok(None),
        answer => answer.map(Some).map_err(failed(format!("looking at {key} in {place}"))),
    }
}

/// What tells one state of an object from another.
pub(super) fn stamp(head: &HeadObjectOutput) -> Stamp {
    let size = head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    Stamp { size, mark: head.e_tag().map(meta::trim).unwrap_or_default().to_owned() }
}

/// Copies an object of that state, over one that may be there, with all that is known of it. Says whether it was in that state.
pub(super) async fn copy(place: &Place, from: &str, expected: &Stamp, to: &str) -> Result<bool> {
    if expected.size > place.cut.copy_bytes {
        return copy_parts(place, from, expected, to).await;
    }
    let settings = place.client.settings();
    let _turn = place.client.turn().await;
    let request = place.client.sdk().await?.copy_object().bucket(&*place.bucket).key(to);
    let request = request
        .copy_source(copy_source(place, from))
        .copy_source_if_match(quoted(&expected.mark))
        .set_storage_class(settings.storage_class.as_deref().map(StorageClass::from))
        .set_server_side_encryption(settings.server_side_encryption.as_deref().map(ServerSideEncryption::from))
        .set_ssekms_key_id(settings.kms_key_id.clone())
        .customize()
        .config_override(assembly_timeout())
        // Some servers want to be told of a body that is not there.
        .mutate_request(|request| drop(request.headers_mut().insert("content-length", "0")));
    match request.send().boxed().await {
        Err(failure) if is_missing(&failure) || is_precondition(&failure) => Ok(false),
        copied => copied.map(|_| true).map_err(failed(format!("copying {from} to {to} in {place}"))),
    }
}

/// One that is too large for one request.
async fn copy_parts(place: &Place, from: &str, expected: &Stamp, to: &str) -> Result<bool> {
    let known = match head(place, from).await? {
        Some(head) if stamp(&head) == *expected => meta::of_head(&head),
        _ => return Ok(false),
    };
    let mut parts = Multipart::begin(place, to, meta::headers(&known)).await?;
    let mut at = 0;
    while at < expected.size {
        let end = expected.size.min(at + place.cut.copy_part_bytes);
        match parts.copy(from, Some(at..end), Some(&expected.mark), end - at).await {
            Ok(()) => at = end,
            Err(error) => {
                parts.abort().await;
                // A condition that does not hold.
                return if matches!(error, Error::NotEmpty { .. }) { Ok(false) } else { Err(error) };
            }
        }
    }
    parts.finish().await.map(|_| true)
}
