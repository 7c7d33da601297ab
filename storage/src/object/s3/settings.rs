//! What an operator may have to say about a server.

use std::{fmt, num::NonZeroU32, path::PathBuf, time::Duration};

/// Some twenty seconds until the last.
const ATTEMPTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How a server is reached and what it is asked for. What is left out comes from the environment and the profiles that all programs
/// for S3 share (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL_S3`, …), as do the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// The server's URL.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// A profile of the shared configuration, with credentials of its own.
    pub profile: Option<String>,
    /// A key of its own, in place of the environment's and the profile's.
    pub credentials: Option<S3Credentials>,
    /// Whether the bucket stands in the path and not in the host's name; by default where an endpoint is set.
    pub path_style: Option<bool>,
    /// Which checksums go with what is sent, beside Content-MD5, which always does.
    pub checksums: Checksums,
    /// Whether bodies are part of the signature over TLS too; over plain HTTP they always are.
    pub payload_signing: bool,
    /// The storage class of new objects.
    pub storage_class: Option<String>,
    /// How the server encrypts new objects: `AES256`, `aws:kms`, ….
    pub server_side_encryption: Option<String>,
    /// The key of `aws:kms`.
    pub kms_key_id: Option<String>,
    /// Certificates of authorities to trust beside the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The most requests to begin in a second.
    pub requests_per_second: Option<NonZeroU32>,
    /// In which order the server lists keys.
    pub listing: ListingOrder,
    /// What the entity tag of an object that was sent in one piece is.
    pub etags: EntityTags,
    /// How often a request is made that fails in passing, at most.
    pub attempts: NonZeroU32,
    /// How long a transfer may make no progress of 64 KiB before it is broken off and taken up again.
    pub stall_timeout: Duration,
}

/// A key and its secret, which no `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// The key's name.
    pub access_key_id: String,
    /// What proves it.
    pub secret_access_key: String,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Credentials({})", self.access_key_id)
    }
}

/// Which checksums are sent and asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksums {
    /// Where the protocol knows one.
    #[default]
    Supported,
    /// Where the protocol demands one: for servers that refuse the newer ones.
    Required,
}

/// In which order a server lists keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListingOrder {
    /// By their bytes, as the protocol has it; a listing that is not is an error.
    #[default]
    Sorted,
    /// In any. It is then listed as often as the sorting of it needs memory.
    Unsorted,
}

/// What an entity tag of 32 hexadecimal digits is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntityTags {
    /// The MD5 of the bytes, to which they are held. Objects encrypted by a key service are excepted by themselves.
    #[default]
    Md5,
    /// Anything.
    Opaque,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            profile: None,
            credentials: None,
            path_style: None,
            checksums: Checksums::default(),
            payload_signing: true,
            storage_class: None,
            server_side_encryption: None,
            kms_key_id: None,
            ca_file: None,
            requests_per_second: None,
            listing: ListingOrder::default(),
            etags: EntityTags::default(),
            attempts: ATTEMPTS,
            stall_timeout: Duration::from_secs(30),
        }
    }
}
