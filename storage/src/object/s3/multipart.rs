//! A multipart upload: parts in parallel, and an object only when all of them are there.

use std::ops::Range;

use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ServerSideEncryption, StorageClass,
};
use bytes::Bytes;
use futures::FutureExt;
use md5::{Digest, Md5};
use tokio::{runtime::Handle, task::JoinSet};

use super::{
    Place,
    client::assembly_timeout,
    failure::{answered, failed},
    meta::{self, parse_digest},
    send::{self, UploadId},
    settings::Checksums,
};
use crate::{BufferPermit, Error, Result};

/// A multipart upload under way. Dropping it aborts it.
pub(super) struct Multipart {
    place: Place,
    upload: UploadId,
    begun: i32,
    sending: JoinSet<Result<CompletedPart>>,
    sent: Vec<CompletedPart>,
    size: u64,
    is_over: bool,
}

impl Multipart {
    pub(super) async fn begin(place: &Place, key: &str, headers: Vec<(String, String)>) -> Result<Self> {
        let settings = place.client.settings();
        let _turn = place.client.turn().await;
        let request = place.client.sdk().await?.create_multipart_upload().bucket(&*place.bucket).key(key);
        // Without it the library sends each part with a checksum that the upload does not know.
        let algorithm = match settings.checksums {
            Checksums::Supported => Some(ChecksumAlgorithm::Crc32),
            Checksums::Required => None,
        };
        let request = request
            .set_checksum_algorithm(algorithm)
            .set_storage_class(settings.storage_class.as_deref().map(StorageClass::from))
            .set_server_side_encryption(settings.server_side_encryption.as_deref().map(ServerSideEncryption::from))
            .set_ssekms_key_id(settings.kms_key_id.clone())
            .customize()
            .mutate_request(move |request| meta::put_headers(request, &headers));
        let what = format!("beginning to store {key} in {place}");
        let created = request.send().boxed().await.map_err(failed(what.as_str()))?;
        let id = created
            .upload_id()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| Error::Unreachable { what, why: "the server gave the upload no id".into() })?;
        let upload = UploadId { key: key.to_owned(), id: id.to_owned() };
        let place = place.clone();
        Ok(Self { place, upload, begun: 0, sending: JoinSet::new(), sent: Vec::new(), size: 0, is_over: false })
    }

    /// How many parts have been begun.
    pub(super) fn parts(&self) -> i32 {
        self.begun
    }

    /// How many bytes they have.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Begins to send a part; the permit is its memory's. The error of an earlier part may be told here.
    pub(super) fn send(&mut self, bytes: Bytes, permit: BufferPermit) -> Result<()> {
        while let Some(sent) = self.sending.try_join_next() {
            self.sent.push(joined(sent)?);
        }
        self.begun += 1;
        self.size += bytes.len() as u64;
        let (place, upload, number) = (self.place.clone(), self.upload.clone(), self.begun);
        self.sending.spawn(async move {
            let sent = send::part(&place, &upload, number, bytes).await;
            drop(permit);
            sent
        });
        Ok(())
    }

    /// Makes another object, or a range of its bytes, the next part. One that is to have this entity tag is held to it.
    pub(super) async fn copy(
        &mut self,
        from: &str,
        range: Option<Range<u64>>,
        etag: Option<&str>,
        size: u64,
    ) -> Result<()> {
        let _turn = self.place.client.turn().await;
        self.begun += 1;
        self.size += size;
        let number = self.begun;
        let source = copy_source(&self.place, from);
        let range = range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let request = self.place.client.sdk().await?.upload_part_copy().bucket(&*self.place.bucket);
        let request = request.key(&self.upload.key).upload_id(&self.upload.id).part_number(number).copy_source(source);
        let request = request.set_copy_source_range(range).set_copy_source_if_match(etag.map(quoted));
        let what = format!("copying part {number} of {} in {}", self.upload.key, self.place);
        let copied = request
            .customize()
            .config_override(assembly_timeout())
            // Some servers want to be told of a body that is not there.
            .mutate_request(|request| drop(request.headers_mut().insert("content-length", "0")))
            .send()
            .boxed()
            .await;
        let copied = copied.map_err(failed(what.as_str()))?;
        let told = copied.copy_part_result();
        let part = CompletedPart::builder().part_number(number);
        let part = part.set_e_tag(told.and_then(|part| part.e_tag()).map(str::to_owned));
        let part = part.set_checksum_crc32(told.and_then(|part| part.checksum_crc32()).map(str::to_owned));
        self.sent.push(part.build());
        Ok(())
    }

    /// Waits for all parts, makes them the object, and gives its entity tag.
    pub(super) async fn finish(mut self) -> Result<String> {
        while let Some(sent) = self.sending.join_next().await {
            match joined(sent) {
                Ok(part) => self.sent.push(part),
                Err(error) => {
                    self.abort().await;
                    return Err(error);
                }
            }
        }
        self.sent.sort_by_key(|part| part.part_number());
        match self.complete().await {
            Ok(etag) => {
                self.is_over = true;
                Ok(etag)
            }
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    async fn complete(&mut self) -> Result<String> {
        let place = &self.place;
        let turn = place.client.turn().await;
        let expected = entity_tag(&self.sent);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.sent))).build();
        let request =
            place.client.sdk().await?.complete_multipart_upload().bucket(&*place.bucket).key(&self.upload.key);
        let request = request.upload_id(&self.upload.id).multipart_upload(parts);
        let completed = request.customize().config_override(assembly_timeout()).send().boxed().await;
        // What follows asks for a turn of its own.
        drop(turn);
        match completed {
            Ok(done) => match done.e_tag().map(meta::trim) {
                Some(etag) if !etag.is_empty() => Ok(etag.to_owned()),
                _ => send::entity_tag(place, &self.upload.key).await,
            },
            // An answer that was lost: the upload is over, and what it made can be looked at.
            Err(failure) if matches!(answered(&failure), (404, "NoSuchUpload") | (0, _)) => {
                match self.stands(expected.as_deref()).await {
                    Some(etag) => Ok(etag),
                    None => Err(failed(self.assembling())(failure)),
                }
            }
            Err(failure) => Err(failed(self.assembling())(failure)),
        }
    }

    fn assembling(&self) -> String {
        format!("putting together {} in {}", self.upload.key, self.place)
    }

    /// The entity tag of the object, where it is the one of this upload's own parts. What stood there before may be as long and
    /// of as many parts.
    async fn stands(&self, expected: Option<&str>) -> Option<String> {
        let request = self.place.client.sdk().await.ok()?.head_object().bucket(&*self.place.bucket);
        let head = request.key(&self.upload.key).send().boxed().await.ok()?;
        let etag = meta::trim(head.e_tag()?);
        let is_as_long = head.content_length().and_then(|length| u64::try_from(length).ok()) == Some(self.size);
        (is_as_long && Some(etag) == expected).then(|| etag.to_owned())
    }

    /// Takes back all that was sent.
    pub(super) async fn abort(&mut self) {
        self.is_over = true;
        self.sending.shutdown().await;
        abort(&self.place, &self.upload).await;
    }
}

impl Drop for Multipart {
    /// A drop can't wait: it is aborted soon after.
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.is_over, Handle::try_current()) {
            let (place, upload) = (self.place.clone(), self.upload.clone());
            let mut sending = std::mem::take(&mut self.sending);
            runtime.spawn(async move {
                sending.shutdown().await;
                abort(&place, &upload).await;
            });
        }
    }
}

/// What the object of these parts will have: the MD5 of their MD5s, and how many they are. None where a part's tag is none.
fn entity_tag(parts: &[CompletedPart]) -> Option<String> {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(parse_digest(meta::trim(part.e_tag()?))?);
    }
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{hex}-{}", parts.len()))
}

/// A failure to clean up behind a failure is nobody's to be told: what stays is an upload that the bucket's own rules end.
async fn abort(place: &Place, upload: &UploadId) {
    let Ok(client) = place.client.sdk().await else { return };
    let request = client.abort_multipart_upload().bucket(&*place.bucket).key(&upload.key).upload_id(&upload.id);
    drop(request.send().boxed().await);
}

fn joined(sent: std::result::Result<Result<CompletedPart>, tokio::task::JoinError>) -> Result<CompletedPart> {
    sent.unwrap_or(Err(Error::Stopped { what: "storing a part of an object" }))
}

/// As the source of a copy is written.
pub(super) fn copy_source(place: &Place, key: &str) -> String {
    format!("{}/{}", place.bucket, percent_encoded(key))
}

/// An entity tag as a condition has it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn percent_encoded(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/');
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
