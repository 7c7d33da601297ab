//! An object out of a bucket: one state of it, taken up again where it broke off, and held to its digest.

use std::time::Duration;

use aws_sdk_s3::{
    operation::get_object::{GetObjectError, GetObjectOutput},
    primitives::ByteStream,
    types::ServerSideEncryption,
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use md5::{Digest, Md5};
use tokio::time::{Instant, timeout};

use super::{
    Place,
    failure::{Failure, answered, failed, is_missing, is_precondition},
    meta,
    settings::EntityTags,
};
use crate::{Error, Object, ObjectKey, Result};

/// The longest piece of a body.
const PIECE_BYTES: usize = 256 << 10;
/// What has to come within the stall timeout.
const PROGRESS_BYTES: usize = 64 << 10;
/// How often a reading is taken up again that has brought nothing since the last time.
const FRUITLESS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Opens an object.
pub(super) async fn open(place: &Place, key: &ObjectKey) -> Result<Object> {
    let not_found = || Error::NotFound { what: format!("object {key}") };
    // What can't stand there is not there.
    let full = place.full_key(key).map_err(|_| not_found())?;
    let mut turn = place.client.turn().await;
    let answer = ask(place, &full, None).await.map_err(|failure| match is_missing(&failure) {
        true => not_found(),
        false => failed(reading(place, key))(failure),
    })?;
    let size = answer.content_length().and_then(|length| u64::try_from(length).ok());
    let size = size.ok_or_else(|| Error::Unreachable {
        what: reading(place, key),
        why: "the server does not say how long it is".into(),
    })?;
    let meta = meta::of_answer(&answer, size);
    // The turn ends with the answer's first byte: how long its body takes is up to whoever reads it.
    turn.add_bytes(usize::try_from(size).unwrap_or(usize::MAX));
    drop(turn);
    let body = Body {
        place: place.clone(),
        key: key.clone(),
        full,
        state: State::of(&answer),
        size,
        at: 0,
        digest: expected_digest(place, &answer).map(|expected| (Md5::new(), expected)),
        source: answer.body,
        rest: Bytes::new(),
        fruitless: 0,
        waited: Duration::ZERO,
        came_bytes: 0,
    };
    Ok(Object { meta, body: stream::try_unfold(body, Body::next).boxed() })
}

fn reading(place: &Place, key: &ObjectKey) -> String {
    format!("reading object {key} of {place}")
}

/// What tells the state that was opened from a later one.
#[derive(Clone, Default)]
struct State {
    etag: Option<String>,
    version: Option<String>,
}

impl State {
    fn of(answer: &GetObjectOutput) -> Self {
        let version = answer.version_id().filter(|version| *version != "null" && !version.is_empty());
        Self { etag: answer.e_tag().map(str::to_owned), version: version.map(str::to_owned) }
    }
}

async fn ask(
    place: &Place,
    full: &str,
    from: Option<(u64, &State)>,
) -> std::result::Result<GetObjectOutput, Failure<GetObjectError>> {
    let client = match place.client.sdk().await {
        Ok(client) => client,
        Err(error) => return Err(Failure::construction_failure(error)),
    };
    let mut request = client.get_object().bucket(&*place.bucket).key(full);
    if let Some((at, state)) = from {
        request = request.range(format!("bytes={at}-")).set_if_match(state.etag.clone());
        request = request.set_version_id(state.version.clone());
    }
    request.send().boxed().await
}

/// The MD5 that the bytes must have, where the entity tag is one.
fn expected_digest(place: &Place, answer: &GetObjectOutput) -> Option<[u8; 16]> {
    let is_by_key_service = match answer.server_side_encryption() {
        None | Some(ServerSideEncryption::Aes256) => false,
        Some(_) => true,
    };
    if is_by_key_service
        || answer.sse_customer_algorithm().is_some()
        || place.client.settings().etags == EntityTags::Opaque
    {
        return None;
    }
    meta::parse_digest(meta::trim(answer.e_tag()?))
}

/// A body under way.
struct Body {
    place: Place,
    key: ObjectKey,
    full: String,
    state: State,
    size: u64,
    /// How much has come; of it `rest` has not been given on.
    at: u64,
    digest: Option<(Md5, [u8; 16])>,
    source: ByteStream,
    rest: Bytes,
    /// Since when so much had come: how often it was taken up again, how long was waited, and what has come.
    fruitless: u32,
    waited: Duration,
    came_bytes: usize,
}

impl Body {
    /// The next piece. The last one is not given before the whole has been found right.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        while self.rest.is_empty() && self.at < self.size {
            self.receive().await?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        Ok(Some((piece, self)))
    }

    /// Takes what comes next, from another request where this one has broken off.
    async fn receive(&mut self) -> Result<()> {
        let stall = self.place.client.settings().stall_timeout;
        let begun = Instant::now();
        let came = timeout(stall.saturating_sub(self.waited), self.source.next()).await;
        self.waited += begun.elapsed();
        let why = match came {
            Ok(Some(Ok(bytes))) => return self.take(bytes).await,
            Ok(Some(Err(error))) => error.to_string(),
            Ok(None) => format!("the server sent {} of {} bytes", self.at, self.size),
            Err(_) => format!("the server sent less than 64 KiB in {stall:?}"),
        };
        self.take_up_again(why).await
    }

    async fn take(&mut self, bytes: Bytes) -> Result<()> {
        self.at += bytes.len() as u64;
        if self.at > self.size {
            return Err(self.corrupt("more bytes came than the server said"));
        }
        if let Some((digest, _)) = &mut self.digest {
            digest.update(&bytes);
        }
        self.came_bytes += bytes.len();
        if self.came_bytes >= PROGRESS_BYTES {
            (self.fruitless, self.waited, self.came_bytes) = (0, Duration::ZERO, 0);
        }
        self.rest = bytes;
        if self.at == self.size {
            self.check_end().await?;
        }
        Ok(())
    }

    /// Looks whether anything follows, which is also when the library checks the server's own checksum; then the digest.
    async fn check_end(&mut self) -> Result<()> {
        let stall = self.place.client.settings().stall_timeout;
        match timeout(stall, self.source.next()).await {
            Ok(None) | Err(_) => {}
            Ok(Some(Ok(bytes))) if bytes.is_empty() => {}
            Ok(Some(Ok(_))) => return Err(self.corrupt("more bytes came than the server said")),
            Ok(Some(Err(error))) => return Err(self.corrupt(&error.to_string())),
        }
        let Some((digest, expected)) = self.digest.take() else { return Ok(()) };
        let found: [u8; 16] = digest.finalize().into();
        if found == expected {
            return Ok(());
        }
        Err(self.corrupt(
            "the bytes that came do not have the MD5 that its entity tag says; where this server's entity tags are something \
             else, set etags = \"opaque\"",
        ))
    }

    fn corrupt(&self, why: &str) -> Error {
        Error::Corrupt { what: format!("object {} of {}", self.key, self.place), why: why.to_owned() }
    }

    /// Asks for the rest of the very state that was opened.
    async fn take_up_again(&mut self, mut why: String) -> Result<()> {
        let changed = || Error::Changed { key: self.key.clone() };
        if self.state.etag.is_none() && self.state.version.is_none() {
            return Err(changed());
        }
        while self.fruitless < FRUITLESS {
            wait(self.fruitless).await;
            self.fruitless += 1;
            self.waited = Duration::ZERO;
            let _turn = self.place.client.turn().await;
            match ask(&self.place, &self.full, Some((self.at, &self.state))).await {
                Ok(answer) if self.is_the_rest(&answer) => {
                    self.source = answer.body;
                    return Ok(());
                }
                // Another state, though it was asked for this one.
                Ok(answer) if answer.e_tag().is_some() && answer.e_tag() != self.state.etag.as_deref() => {
                    return Err(changed());
                }
                Ok(_) => why = "the server does not give the range that it was asked for".into(),
                Err(failure) if is_precondition(&failure) || is_missing(&failure) || answered(&failure).0 == 416 => {
                    return Err(changed());
                }
                Err(failure) => match failed(reading(&self.place, &self.key))(failure) {
                    Error::Unreachable { why: again, .. } => why = again,
                    other => return Err(other),
                },
            }
        }
        Err(Error::Unreachable { what: reading(&self.place, &self.key), why })
    }

    /// Whether the answer is what was asked for: the same state, from where the last one broke off to its end.
    fn is_the_rest(&self, answer: &GetObjectOutput) -> bool {
        let wanted = format!("bytes {}-{}/{}", self.at, self.size - 1, self.size);
        let same_state = self.state.version.is_some() || answer.e_tag() == self.state.etag.as_deref();
        answer.content_range() == Some(wanted.as_str()) && same_state
    }
}

/// Longer and longer, and not for all the same.
async fn wait(times: u32) {
    let longest = FIRST_WAIT * 2_u32.saturating_pow(times);
    let percent = 50 + getrandom::u32().unwrap_or_default() % 50;
    tokio::time::sleep(longest * percent / 100).await;
}
