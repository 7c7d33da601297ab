//! A vault: the folder or the prefix of a bucket in which backups are kept.

use std::path::{Path, PathBuf};

use coffer_storage::{S3Client, S3Store};
use serde::Deserialize;

use super::s3::{self, S3Section};
use super::units::ByteSize;
use crate::name::Name;
use crate::{Error, Result};

/// `[[vault]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VaultSection {
    name: String,
    url: String,
    bandwidth: Option<String>,
    s3: Option<S3Section>,
}

/// Where backups are kept.
#[derive(Debug, Clone)]
pub struct VaultPlace {
    /// Its name.
    pub name: Name,
    /// What holds the archives.
    pub kind: VaultKind,
    /// The most that is written to it in a second.
    pub bandwidth: Option<ByteSize>,
}

/// What holds a vault's archives.
#[derive(Debug, Clone)]
pub enum VaultKind {
    /// A folder.
    Folder(PathBuf),
    /// A prefix of a bucket, and its URL.
    Bucket(Box<S3Store>, String),
}

impl VaultPlace {
    /// The one that there is without a configuration.
    pub(super) fn local(base: &Path) -> Result<Self> {
        Ok(Self { name: "main".parse()?, kind: VaultKind::Folder(base.join("vault")), bandwidth: None })
    }

    pub(super) fn new(
        base: &Path,
        section: VaultSection,
        s3: &S3Section,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let VaultSection { name, url, bandwidth, s3: own } = section;
        let about = |error: Error| match error {
            Error::Usage(why) => Error::Usage(format!("[[vault]] {name:?}: {why}")),
            other => other,
        };
        let kind = if url.starts_with(s3::SCHEME) {
            let settings = own.unwrap_or_default().or(s3).settings(base, environment).map_err(about)?;
            let (store, url) = s3::prefix(&url, &S3Client::new(settings)).map_err(about)?;
            VaultKind::Bucket(Box::new(store), url)
        } else if own.is_some() {
            return Err(about(Error::Usage("s3 is for a vault in s3://…, and this one is elsewhere".into())));
        } else {
            let path = url.strip_prefix("file:").filter(|path| !path.is_empty());
            VaultKind::Folder(base.join(path.ok_or_else(|| {
                about(Error::Usage("url is not known: this version takes file:PATH and s3://BUCKET/PREFIX".into()))
            })?))
        };
        let bandwidth = bandwidth.map(|text| text.parse::<ByteSize>()).transpose().map_err(about)?;
        if bandwidth.is_some_and(|most| most.bytes() == 0) {
            return Err(about(Error::Usage("a bandwidth of 0 lets nothing through: leave it out".into())));
        }
        Ok(Self { kind, bandwidth, name: name.parse().map_err(about)? })
    }

    /// Where it is, as text.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.kind {
            VaultKind::Folder(path) => {
                format!("file:{}", std::path::absolute(path).unwrap_or_else(|_| path.clone()).display())
            }
            VaultKind::Bucket(_, url) => url.clone(),
        }
    }
}
