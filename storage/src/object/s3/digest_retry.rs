//! What was damaged on its way to the server is sent again.

use aws_sdk_s3::{
    config::{
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    error::ProvideErrorMetadata,
    operation::{put_object::PutObjectError, upload_part::UploadPartError},
};

/// What servers say of a body that is not the one that its digest was made of.
const DAMAGED: [&str; 4] = ["BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"];

/// Takes a wrong digest for a passing failure.
#[derive(Debug)]
pub(super) struct DigestRetry;

impl ClassifyRetry for DigestRetry {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            Some(Ok(_)) | None => None,
        };
        let code = error.and_then(|error| {
            let put = error.downcast_ref::<PutObjectError>().and_then(ProvideErrorMetadata::code);
            put.or_else(|| error.downcast_ref::<UploadPartError>().and_then(ProvideErrorMetadata::code))
        });
        match code {
            Some(code) if DAMAGED.contains(&code) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "DigestRetry"
    }
}
