//! What `coffer config check` tells of buckets: what is set, and what they were found to do.

use coffer_storage::{Checksums, EntityTags, ListingOrder, S3Probe, S3Settings, Support};
use serde::Serialize;

use crate::config::{Config, ObjectsPattern, VaultKind};
use crate::{Error, Result};

/// How a source's server is reached.
#[derive(Serialize)]
pub(super) struct S3InForce {
    endpoint: Option<String>,
    region: Option<String>,
    profile: Option<String>,
    access_key_id: Option<String>,
    path_style: Option<bool>,
    checksums: &'static str,
    payload_signing: bool,
    storage_class: Option<String>,
    server_side_encryption: Option<String>,
    kms_key_id: Option<String>,
    ca_file: Option<String>,
    requests_per_second: Option<u32>,
    listing: &'static str,
    etags: &'static str,
    attempts: u32,
    stall_timeout: String,
}

impl S3InForce {
    pub(super) fn of(objects: &ObjectsPattern) -> Option<Self> {
        match objects {
            ObjectsPattern::Bucket(bucket) => Some(Self::by(bucket.settings().clone())),
            ObjectsPattern::Folder(_) => None,
        }
    }

    pub(super) fn of_vault(vault: &VaultKind) -> Option<Self> {
        match vault {
            VaultKind::Bucket(store, _) => Some(Self::by(store.settings().clone())),
            VaultKind::Folder(_) => None,
        }
    }

    fn by(settings: S3Settings) -> Self {
        Self {
            endpoint: settings.endpoint,
            region: settings.region,
            profile: settings.profile,
            access_key_id: settings.credentials.map(|credentials| credentials.access_key_id),
            path_style: settings.path_style,
            checksums: match settings.checksums {
                Checksums::Supported => "supported",
                Checksums::Required => "required",
            },
            payload_signing: settings.payload_signing,
            storage_class: settings.storage_class,
            server_side_encryption: settings.server_side_encryption,
            kms_key_id: settings.kms_key_id,
            ca_file: settings.ca_file.map(|file| file.display().to_string()),
            requests_per_second: settings.requests_per_second.map(std::num::NonZero::get),
            listing: match settings.listing {
                ListingOrder::Sorted => "sorted",
                ListingOrder::Unsorted => "unsorted",
            },
            etags: match settings.etags {
                EntityTags::Md5 => "md5",
                EntityTags::Opaque => "opaque",
            },
            attempts: settings.attempts.get(),
            stall_timeout: format!("{:?}", settings.stall_timeout),
        }
    }
}

/// What a source's bucket was found to do.
#[derive(Serialize)]
pub(super) struct Bucket {
    /// `source NAME` or `vault NAME`.
    of: String,
    place: String,
    list: String,
    put: String,
    multipart: String,
    delete: String,
    conditional_put: &'static str,
    sorted_listing: &'static str,
    md5_etags: &'static str,
    #[serde(skip)]
    advice: Vec<&'static str>,
}

/// Tries out each bucket that is not one app's alone. Beside each stands why it can't be used, where it can't.
pub(super) async fn try_buckets(config: &Config) -> Result<Vec<(Bucket, Option<Error>)>> {
    let mut tried = Vec::new();
    for source in &config.sources {
        let Some(ObjectsPattern::Bucket(pattern)) = &source.objects else { continue };
        let Some(store) = pattern.probe_place()? else { continue };
        let probe = Box::pin(store.probe()).await;
        tried.push(Bucket::new(format!("source {}", source.name), pattern.url(), probe, pattern.settings()));
    }
    for vault in &config.vaults {
        let VaultKind::Bucket(store, url) = &vault.kind else { continue };
        let probe = Box::pin(store.place_of_ours()?.probe()).await;
        tried.push(Bucket::new(format!("vault {}", vault.name), url.clone(), probe, store.settings()));
    }
    Ok(tried)
}

/// Whether each vault that is a folder can be written to.
pub(super) fn try_folders(config: &Config) -> Result<()> {
    for vault in &config.vaults {
        let VaultKind::Folder(path) = &vault.kind else { continue };
        if path.exists() {
            let tried = tempfile::tempfile_in(path);
            tried.map_err(|error| {
                Error::file(format!("vault {}: writing into {}", vault.name, path.display()), error)
            })?;
        }
    }
    Ok(())
}

impl Bucket {
    fn new(of: String, place: String, probe: S3Probe, settings: &S3Settings) -> (Self, Option<Error>) {
        let advice = advice(&probe, settings);
        let S3Probe { list, put, md5_entity_tags, sorted_listing, conditional_put, multipart, delete } = probe;
        let word = |result: &coffer_storage::Result<()>| {
            result.as_ref().map_or_else(ToString::to_string, |()| "yes".to_owned())
        };
        let bucket = Self {
            list: word(&list),
            put: word(&put),
            multipart: word(&multipart),
            delete: word(&delete),
            conditional_put: support(conditional_put),
            sorted_listing: support(sorted_listing),
            md5_etags: support(md5_entity_tags),
            advice,
            of,
            place,
        };
        let failure = list.and(put).and(multipart).and(delete).err();
        let failure = failure.map(|error| Error::from(error).about(bucket.of.clone()));
        (bucket, failure)
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.advice.iter().map(|advice| format!("{}: {advice}", self.of))
    }
}

/// What to know or set where a server lacks something.
fn advice(probe: &S3Probe, settings: &S3Settings) -> Vec<&'static str> {
    let mut advice = Vec::new();
    if matches!(probe.conditional_put, Support::Ignored | Support::No) {
        advice.push(
            "the server does not know conditional writes: of two imports of one app that begin at the very same moment, both \
             may go on for a while before one of them fails",
        );
    }
    if probe.sorted_listing == Support::No && settings.listing == ListingOrder::Sorted {
        advice.push("the server does not list keys in order: set listing = \"unsorted\"");
    }
    if probe.md5_entity_tags == Support::No && settings.etags == EntityTags::Md5 {
        advice.push(
            "entity tags are not the MD5 of what is stored (encryption by a key service makes them so, and is then passed \
             over by itself): where exports fail by it, set etags = \"opaque\"",
        );
    }
    advice
}

const fn support(support: Support) -> &'static str {
    match support {
        Support::Yes => "yes",
        Support::Ignored => "ignored",
        Support::No => "no",
        Support::Unknown => "unknown",
    }
}
