//! Buckets: how their server is reached, and which prefix is which app's.

use std::num::NonZeroU32;
use std::path::Path;

use coffer_storage::{Checksums, EntityTags, ListingOrder, ObjectKey, S3Client, S3Credentials, S3Settings, S3Store};
use serde::Deserialize;

use super::keys::read_secret;
use super::pattern::{NamePattern, PLACE};
use super::units::parse_duration;
use crate::name::Name;
use crate::{Error, Result};

/// What the URL of a bucket begins with.
pub(super) const SCHEME: &str = "s3://";
/// What stands for the name of no app where a source's bucket is tried out.
const PROBE: &str = "coffer_probe";
/// The variables by which all programs for S3 are told of another endpoint than Amazon's.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

/// `[s3]`, and `[source.s3]`, which goes before it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct S3Section {
    endpoint: Option<String>,
    region: Option<String>,
    profile: Option<String>,
    access_key_id: Option<String>,
    secret_access_key_file: Option<String>,
    path_style: Option<bool>,
    checksums: Option<ChecksumsWord>,
    payload_signing: Option<bool>,
    storage_class: Option<String>,
    server_side_encryption: Option<String>,
    kms_key_id: Option<String>,
    ca_file: Option<String>,
    requests_per_second: Option<NonZeroU32>,
    listing: Option<ListingWord>,
    etags: Option<EtagsWord>,
    attempts: Option<NonZeroU32>,
    stall_timeout: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChecksumsWord {
    Supported,
    Required,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ListingWord {
    Sorted,
    Unsorted,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EtagsWord {
    Md5,
    Opaque,
}

impl S3Section {
    /// What is not said here, as it is said there.
    pub(super) fn or(self, there: &Self) -> Self {
        let there = there.clone();
        Self {
            endpoint: self.endpoint.or(there.endpoint),
            region: self.region.or(there.region),
            profile: self.profile.or(there.profile),
            access_key_id: self.access_key_id.or(there.access_key_id),
            secret_access_key_file: self.secret_access_key_file.or(there.secret_access_key_file),
            path_style: self.path_style.or(there.path_style),
            checksums: self.checksums.or(there.checksums),
            payload_signing: self.payload_signing.or(there.payload_signing),
            storage_class: self.storage_class.or(there.storage_class),
            server_side_encryption: self.server_side_encryption.or(there.server_side_encryption),
            kms_key_id: self.kms_key_id.or(there.kms_key_id),
            ca_file: self.ca_file.or(there.ca_file),
            requests_per_second: self.requests_per_second.or(there.requests_per_second),
            listing: self.listing.or(there.listing),
            etags: self.etags.or(there.etags),
            attempts: self.attempts.or(there.attempts),
            stall_timeout: self.stall_timeout.or(there.stall_timeout),
        }
    }

    /// What is in force.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the key whose value can't be.
    pub(super) fn settings(self, base: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<S3Settings> {
        let default = S3Settings::default();
        let endpoint = self.endpoint.map(check_endpoint).transpose()?;
        let payload_signing = self.payload_signing.unwrap_or(true);
        let of_all = || ENDPOINT_VARIABLES.iter().find_map(|name| environment(name));
        let is_plain = endpoint.clone().or_else(of_all).is_some_and(|url| url.starts_with("http:"));
        if !payload_signing && is_plain {
            return Err(Error::Usage(
                "payload_signing = false is for an endpoint with https: nothing else would protect what is sent".into(),
            ));
        }
        if self.kms_key_id.is_some() && self.server_side_encryption.is_none() {
            return Err(Error::Usage("kms_key_id needs server_side_encryption = \"aws:kms\"".into()));
        }
        let is_elsewhere = endpoint.is_some() || ENDPOINT_VARIABLES.iter().any(|name| environment(name).is_some());
        let stall_timeout = self.stall_timeout.map(|text| parse_duration(&text)).transpose()?;
        Ok(S3Settings {
            // Only Amazon's own server is sure to answer under a name for each bucket.
            path_style: self.path_style.or(is_elsewhere.then_some(true)),
            endpoint,
            region: self.region,
            profile: self.profile,
            credentials: credentials(base, self.access_key_id, self.secret_access_key_file)?,
            checksums: match self.checksums {
                Some(ChecksumsWord::Required) => Checksums::Required,
                Some(ChecksumsWord::Supported) | None => Checksums::Supported,
            },
            payload_signing,
            storage_class: self.storage_class,
            server_side_encryption: self.server_side_encryption,
            kms_key_id: self.kms_key_id,
            ca_file: self.ca_file.map(|file| base.join(file)),
            requests_per_second: self.requests_per_second,
            listing: match self.listing {
                Some(ListingWord::Unsorted) => ListingOrder::Unsorted,
                Some(ListingWord::Sorted) | None => ListingOrder::Sorted,
            },
            etags: match self.etags {
                Some(EtagsWord::Opaque) => EntityTags::Opaque,
                Some(EtagsWord::Md5) | None => EntityTags::Md5,
            },
            attempts: self.attempts.unwrap_or(default.attempts),
            stall_timeout: stall_timeout.unwrap_or(default.stall_timeout),
        })
    }
}

/// A key of its own, whose secret is read when the configuration is.
fn credentials(base: &Path, key: Option<String>, secret_file: Option<String>) -> Result<Option<S3Credentials>> {
    match (key, secret_file) {
        (None, None) => Ok(None),
        (Some(access_key_id), Some(file)) => {
            let text = read_secret(&base.join(file))?;
            let secret_access_key = text.lines().next().unwrap_or_default().trim().to_owned();
            Ok(Some(S3Credentials { access_key_id, secret_access_key }))
        }
        _ => Err(Error::Usage("access_key_id and secret_access_key_file need each other".into())),
    }
}

fn check_endpoint(url: String) -> Result<String> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        // What stands before an @ may be a password.
        Some(host) if host.contains('@') => Err(Error::Usage(
            "endpoint holds a login: credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
                .into(),
        )),
        Some(host) if !host.is_empty() => Ok(url),
        _ => Err(Error::Usage("endpoint must be a URL that begins with https:// or http://".into())),
    }
}

/// A bucket and a prefix in it, in both of which `{app}` may stand.
#[derive(Clone, Debug)]
pub struct BucketPattern {
    client: S3Client,
    bucket: NamePattern,
    prefix: NamePattern,
}

impl BucketPattern {
    /// Reads `s3://bucket/prefix`. A prefix ends with a slash, whether it is written or not: `acme` is not the beginning of `acme2`.
    pub(super) fn new(url: &str, client: S3Client) -> Result<Self> {
        let (bucket, prefix) = split(url)?;
        let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        Ok(Self { client, bucket: NamePattern::new(bucket), prefix: NamePattern::new(format!("{prefix}{slash}")) })
    }

    pub(super) fn has_place(&self) -> bool {
        self.bucket.has_place() || self.prefix.has_place()
    }

    /// The objects of one app.
    #[must_use]
    pub fn fill(&self, app: &Name) -> S3Store {
        let store = S3Store::new(self.client.clone(), &self.bucket.fill(app), &self.prefix.fill(app));
        // What waits beside the apps has a name that no app can have. Where each app has a bucket, or `{app}` stands there twice,
        // it waits below the app's prefix.
        match self.prefix.as_str().split_once(PLACE) {
            Some((before, after)) if !after.contains(PLACE) && !self.bucket.has_place() => {
                store.with_waiting(before, after)
            }
            _ => store,
        }
    }

    /// Where nobody's objects are, to try the bucket out; none where each app has a bucket of its own.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn probe_place(&self) -> Result<Option<S3Store>> {
        if self.bucket.has_place() {
            return Ok(None);
        }
        // Where each app has a prefix, below that of no app.
        let prefix = self.prefix.as_str().replace(PLACE, PROBE);
        Ok(Some(S3Store::new(self.client.clone(), self.bucket.as_str(), &prefix).place_of_ours()?))
    }

    /// What is set of the server.
    #[must_use]
    pub fn settings(&self) -> &S3Settings {
        self.client.settings()
    }

    /// The pattern as text.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{SCHEME}{}/{}", self.bucket.as_str(), self.prefix.as_str())
    }
}

/// Bucket and rest of a URL.
fn split(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix(SCHEME).unwrap_or(url);
    let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || bucket.contains(['@', ':', '?']) {
        return Err(Error::Usage(format!("{SCHEME}… names a bucket and what stands in it: {SCHEME}bucket/prefix")));
    }
    Ok((bucket, rest))
}

/// What stands below a prefix, and its URL: `s3://bucket/prefix`, in which nothing stands for anything else.
///
/// # Errors
/// [`Error::Usage`] where the bucket is missing.
pub(super) fn prefix(url: &str, client: &S3Client) -> Result<(S3Store, String)> {
    let pattern = BucketPattern::new(url, client.clone())?;
    if pattern.has_place() {
        return Err(Error::Usage(format!("{PLACE} has no place in it: apps have folders of their own there")));
    }
    let store = S3Store::new(client.clone(), pattern.bucket.as_str(), pattern.prefix.as_str());
    Ok((store, pattern.url()))
}

/// One object by its URL; none where the text is not one of S3.
///
/// # Errors
/// [`Error::Usage`] where a bucket or key is missing.
pub(super) fn object(text: &str, client: &S3Client) -> Result<Option<(S3Store, ObjectKey)>> {
    if !text.starts_with(SCHEME) {
        return Ok(None);
    }
    let (bucket, key) = split(text)?;
    if key.is_empty() || key.ends_with('/') {
        return Err(Error::Usage(format!("{text} names no object: write {SCHEME}{bucket}/KEY")));
    }
    Ok(Some((S3Store::new(client.clone(), bucket, ""), ObjectKey::try_from(key.as_bytes())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<S3Settings> {
        let section: S3Section = toml::from_str(text).map_err(|error| Error::Usage(error.message().to_owned()))?;
        section.settings(Path::new("base"), &|_| None)
    }

    #[test]
    fn what_can_not_be_is_told() {
        for (text, expected) in [
            ("endpoint = \"minio:9000\"", "https:// or http://"),
            ("endpoint = \"https://me:secret@minio\"", "endpoint holds a login"),
            ("endpoint = \"http://minio\"\npayload_signing = false", "payload_signing"),
            ("kms_key_id = \"k\"", "server_side_encryption"),
            ("checksums = \"some\"", "unknown variant"),
            ("requests_per_second = 0", "nonzero"),
            ("secret_access_key = \"x\"", "unknown field"),
            ("access_key_id = \"x\"", "secret_access_key_file"),
            ("stall_timeout = \"soon\"", "soon"),
        ] {
            let error = settings(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("me:secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_source_goes_before_what_holds_for_all() {
        let section = |text: &str| toml::from_str::<S3Section>(text).unwrap();
        let all = section("endpoint = \"https://a\"\nregion = \"r\"\nchecksums = \"required\"");
        let own = section("endpoint = \"https://b\"\nca_file = \"ca.pem\"").or(&all);
        let settings = own.settings(Path::new("base"), &|_| None).unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some("https://b"));
        assert_eq!(settings.region.as_deref(), Some("r"));
        assert_eq!(settings.checksums, Checksums::Required);
        assert_eq!(settings.path_style, Some(true));
        assert_eq!(settings.ca_file.as_deref(), Some(Path::new("base/ca.pem")));
        let amazon = S3Section::default().settings(Path::new(""), &|_| None).unwrap();
        assert_eq!(amazon.path_style, None);
        let set = |name: &str| (name == "AWS_ENDPOINT_URL_S3").then(|| "http://x".to_owned());
        assert_eq!(S3Section::default().settings(Path::new(""), &set).unwrap().path_style, Some(true));
        let unsigned = section("payload_signing = false");
        assert!(unsigned.clone().settings(Path::new(""), &set).is_err());
        assert!(unsigned.settings(Path::new(""), &|_| None).is_ok());
    }

    #[test]
    fn a_prefix_is_a_folder() {
        let client = S3Client::new(S3Settings::default());
        for (url, expected) in [
            ("s3://b", "s3://b/"),
            ("s3://b/", "s3://b/"),
            ("s3://b/{app}", "s3://b/{app}/"),
            ("s3://b-{app}/x/", "s3://b-{app}/x/"),
        ] {
            assert_eq!(BucketPattern::new(url, client.clone()).unwrap().url(), expected);
        }
        assert!(BucketPattern::new("s3:///x", client.clone()).is_err());
        assert!(object("s3://b", &client).is_err() && object("s3://b/x/", &client).is_err());
        assert!(object("b/x", &client).unwrap().is_none());
    }
}
