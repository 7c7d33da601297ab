//! What a server's answer, or the lack of one, means to a caller.

use std::error::Error as StdError;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::Error;

/// The longest part of a server's words that an error repeats.
const WORDS: usize = 300;

/// A request that failed for good.
pub(super) type Failure<E> = SdkError<E, HttpResponse>;

/// The status and code that a server answered with; 0 and nothing where it did not.
pub(super) fn answered<E: ProvideErrorMetadata>(failure: &Failure<E>) -> (u16, &str) {
    let status = failure.raw_response().map_or(0, |response| response.status().as_u16());
    let code = failure.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    (status, code)
}

/// Whether the object is not there. Only S3's own word for that counts: a 404 of anybody on the way does not.
pub(super) fn is_missing<E: ProvideErrorMetadata>(failure: &Failure<E>) -> bool {
    matches!(answered(failure), (404, "NoSuchKey" | "NoSuchVersion"))
}

/// Whether a condition of the request did not hold.
pub(super) fn is_precondition<E: ProvideErrorMetadata>(failure: &Failure<E>) -> bool {
    let (status, code) = answered(failure);
    status == 412 || (status == 409 && code == "ConditionalRequestConflict")
}

/// Makes a failure ours, for `map_err`. `what` was being done, and to what.
pub(super) fn failed<E>(what: impl Into<String>) -> impl FnOnce(Failure<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let what = what.into();
    move |failure| {
        let (status, code) = answered(&failure);
        let why = words(&failure);
        match (status, code) {
            (_, "NoSuchBucket") => {
                Error::S3 { what, why: "there is no such bucket: create it, or name another".into() }
            }
            (_, "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken")
            | (
                _,
                "TokenRefreshRequired" | "RequestTimeTooSkewed" | "InvalidObjectState" | "AuthorizationHeaderMalformed",
            )
            | (401, _) => Error::Denied { what, why },
            (_, "QuotaExceeded" | "EntityTooLarge" | "InsufficientStorage" | "XMinioStorageFull") | (507, _) => {
                Error::NoSpace { what: format!("{what} ({why})") }
            }
            (403, _) => Error::Denied { what, why },
            (301 | 307 | 308, _) => {
                Error::S3 { what, why: format!("{why}; the bucket is in another region: set region") }
            }
            // What must not be there is there.
            (412, _) | (409, "ConditionalRequestConflict") => Error::NotEmpty { what },
            (429 | 500..=599, _) => Error::Unreachable { what, why },
            (0, _) if matches!(failure, SdkError::ConstructionFailure(_)) => Error::S3 { what, why },
            (0, _) if is_without_credentials(&failure) => {
                let way_out = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or access_key_id";
                Error::Denied { what, why: format!("there are no credentials that can be used: {way_out} ({why})") }
            }
            (0, _) => Error::Unreachable { what, why },
            (200..=299, _) => Error::Corrupt { what, why: format!("its answer can't be read: {why}") },
            _ => Error::S3 { what, why },
        }
    }
}

/// No credentials were found, or none that can be had: the request was never sent.
fn is_without_credentials<E>(failure: &Failure<E>) -> bool {
    match failure {
        SdkError::DispatchFailure(dispatch) => dispatch.is_other() && dispatch.as_other().is_none(),
        _ => false,
    }
}

/// What the server said, or what was seen of it. Never a credential: neither the library's errors nor a server's hold one.
fn words<E>(failure: &Failure<E>) -> String
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let (status, code) = answered(failure);
    if let (1.., Some(error)) = (status, failure.as_service_error()) {
        let message = error.message().unwrap_or_default();
        let code = if code.is_empty() { "no code" } else { code };
        let text = format!("the server answered {status} {code}: {message}");
        return clip(text.trim_end_matches([':', ' ']));
    }
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    if status > 0 {
        text = format!("the server answered {status}: {text}");
    }
    clip(&text)
}

fn clip(text: &str) -> String {
    let mut chars = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    let mut clipped: String = chars.by_ref().take(WORDS).collect();
    if chars.next().is_some() {
        clipped.push('…');
    }
    clipped
}
