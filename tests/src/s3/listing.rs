//! What a bucket lists: objects, versions, uploads.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::client::wait;
use super::sign::percent_decode;
use super::{Bucket, xml};

/// One version of an object, or the mark that it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Of which object.
    pub key: String,
    /// Its name.
    pub id: String,
    /// Is it what a GET without a version sees?
    pub is_latest: bool,
    /// Does it mark a deletion?
    pub is_marker: bool,
    /// How long it is.
    pub size: u64,
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// To which object.
    pub key: String,
    /// Its name.
    pub id: String,
}

impl Bucket {
    /// All keys and sizes.
    ///
    /// # Errors
    /// The server does not list them.
    pub fn objects(&self) -> Result<BTreeMap<String, u64>> {
        wait(self.list_objects())
    }

    /// All versions, in the order of the server's answer.
    ///
    /// # Errors
    /// The server does not list them.
    pub fn versions(&self) -> Result<Vec<Version>> {
        wait(self.list_versions())
    }

    /// The keys that have an upload which is neither completed nor aborted, one for each upload.
    ///
    /// # Errors
    /// The server does not list them.
    pub fn multipart_uploads(&self) -> Result<Vec<String>> {
        Ok(self.uploads()?.into_iter().map(|upload| upload.key).collect())
    }

    /// The uploads that are neither completed nor aborted.
    ///
    /// # Errors
    /// The server does not list them.
    pub fn uploads(&self) -> Result<Vec<Upload>> {
        wait(self.list_uploads())
    }

    async fn list_objects(&self) -> Result<BTreeMap<String, u64>> {
        let (mut objects, mut token) = (BTreeMap::new(), None::<String>);
        loop {
            let mut query = vec![("list-type", "2"), ("encoding-type", "url")];
            query.extend(token.as_ref().map(|token| ("continuation-token", &**token)));
            let page = self.client.ask(self.ask("GET", None).query(&query)).await?.text();
            for object in xml::elements(&page, "Contents") {
                objects.insert(percent_decode(&xml::needed(object, "Key")?), xml::needed(object, "Size")?.parse()?);
            }
            token = xml::text(&page, "NextContinuationToken").filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(objects);
            }
        }
    }

    pub(super) async fn list_versions(&self) -> Result<Vec<Version>> {
        let mut versions = Vec::new();
        let mut markers = (String::new(), String::new());
        loop {
            let mut query = vec![("versions", ""), ("encoding-type", "url"), ("key-marker", &*markers.0)];
            query.extend(Some(("version-id-marker", &*markers.1)).filter(|_| !markers.1.is_empty()));
            let page = self.client.ask(self.ask("GET", None).query(&query)).await?.text();
            versions.append(&mut page_of_versions(&page)?);
            if xml::text(&page, "IsTruncated").as_deref() != Some("true") {
                return Ok(versions);
            }
            let next = percent_decode(&xml::needed(&page, "NextKeyMarker")?);
            markers = (next, xml::text(&page, "NextVersionIdMarker").unwrap_or_default());
        }
    }

    async fn list_uploads(&self) -> Result<Vec<Upload>> {
        let mut uploads = Vec::new();
        let mut markers = (String::new(), String::new());
        loop {
            let from = [("uploads", ""), ("key-marker", &*markers.0), ("upload-id-marker", &*markers.1)];
            let page = self.client.ask(self.ask("GET", None).query(&from)).await?.text();
            for upload in xml::elements(&page, "Upload") {
                uploads.push(Upload { key: xml::needed(upload, "Key")?, id: xml::needed(upload, "UploadId")? });
            }
            if xml::text(&page, "IsTruncated").as_deref() != Some("true") {
                return Ok(uploads);
            }
            markers = (xml::needed(&page, "NextKeyMarker")?, xml::needed(&page, "NextUploadIdMarker")?);
        }
    }
}

fn page_of_versions(page: &str) -> Result<Vec<Version>> {
    let of_kind = |name: &str, is_marker| {
        let parse = move |version: &str| {
            Ok(Version {
                key: percent_decode(&xml::needed(version, "Key")?),
                id: xml::needed(version, "VersionId")?,
                is_latest: xml::needed(version, "IsLatest")? == "true",
                is_marker,
                size: xml::text(version, "Size").map_or(Ok(0), |size| size.parse()).context("the size of a version")?,
            })
        };
        xml::elements(page, name).into_iter().map(parse).collect::<Result<Vec<_>>>()
    };
    Ok([of_kind("Version", false)?, of_kind("DeleteMarker", true)?].concat())
}
