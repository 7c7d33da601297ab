//! S3 servers of the tests' own, buckets in them, and a proxy that breaks what passes.
//!
//! [`server`] is what most tests want: Ceph's gateway, or the server that the environment names. [`Ceph::start`] is one
//! that a test may stop. What talks to them here is the harness's own client: nothing of the service has a part in it.

mod bench;
mod body;
mod bucket;
mod bulk;
mod ceph;
mod client;
mod cluster;
mod connections;
mod contents;
mod exchange;
mod listing;
mod measure;
mod proxy;
mod rule;
mod seen;
mod sign;
mod xml;

use anyhow::{Context, Result};

pub use bench::Bench;
pub use bucket::Bucket;
pub use bulk::Put;
pub use ceph::Ceph;
pub use client::{Headers, Reply};
pub use contents::Content;
pub use listing::{Upload, Version};
pub use measure::measure_bucket;
pub use proxy::Proxy;
pub use rule::{Action, Call, Rewrite, Rule};
pub use seen::Seen;

/// A server and whom it knows us as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its URL, without a slash at the end.
    pub endpoint: String,
    /// The name of the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// What requests are signed for.
    pub region: String,
}

impl Server {
    /// The same server, asked by another way.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// The keys as a process reads them from its environment.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, &str); 3] {
        [
            ("AWS_ACCESS_KEY_ID", &self.access_key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_key),
            ("AWS_REGION", &self.region),
        ]
    }

    /// A new, empty bucket, removed with all that is in it when it is dropped.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn bucket(&self) -> Result<Bucket> {
        Bucket::create(self)
    }

    /// A new bucket that keeps each version of an object.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn versioned_bucket(&self) -> Result<Bucket> {
        let bucket = Bucket::create(self)?;
        bucket.keep_versions()?;
        Ok(bucket)
    }
}

impl Server {
    /// A new bucket whose objects can be locked, so that no version of them goes before its time.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn lockable_bucket(&self) -> Result<Bucket> {
        Bucket::create_with(self, &[("x-amz-bucket-object-lock-enabled", "true")])
    }
}

/// The server that `COFFER_TEST_S3_URL` names, with the keys of `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` and the
/// region of `AWS_REGION` or `us-east-1`; without it, the Ceph that all tests of this process share.
///
/// # Errors
/// It does not start, or the environment holds no keys for it.
pub fn server() -> Result<Server> {
    match variable("COFFER_TEST_S3_URL") {
        Some(endpoint) => Ok(Server {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            access_key: variable("AWS_ACCESS_KEY_ID").context("COFFER_TEST_S3_URL is set, AWS_ACCESS_KEY_ID is not")?,
            secret_key: variable("AWS_SECRET_ACCESS_KEY")
                .context("COFFER_TEST_S3_URL is set, AWS_SECRET_ACCESS_KEY is not")?,
            region: variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
        }),
        None => Ok(Ceph::shared()?.server().clone()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests have no configuration; a server's name comes from its caller")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
