//! A bucket of a test's own, looked at and filled by the harness itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;

use super::client::{Ask, Client, wait};
use super::{Headers, Reply, Server, Upload, bulk, xml};

static BUCKETS: AtomicU32 = AtomicU32::new(0);

/// A bucket, removed with all that is in it, uploads and versions too, when this is dropped.
pub struct Bucket {
    pub(super) client: Arc<Client>,
    pub(super) name: String,
}

impl Bucket {
    pub(super) fn create(server: &Server) -> Result<Self> {
        Self::create_with(server, &[])
    }

    pub(super) fn create_with(server: &Server, headers: &[(&str, &str)]) -> Result<Self> {
        let client = Arc::new(Client::of(server)?);
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
        let (process, number) = (std::process::id(), BUCKETS.fetch_add(1, Ordering::Relaxed));
        let bucket = Self { client, name: format!("coffer-test-{process}-{number}-{nanoseconds}") };
        let place = match server.region.as_str() {
            "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        wait(bucket.client.ask(bucket.ask("PUT", None).headers(headers).body(place)))?;
        Ok(bucket)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on, by the way the harness itself goes.
    #[must_use]
    pub fn server(&self) -> &Server {
        self.client.server()
    }

    /// The same bucket for another user or by another way. Dropped, it removes nothing.
    ///
    /// # Errors
    /// The way is none that the harness can go.
    pub fn by(&self, server: &Server) -> Result<std::mem::ManuallyDrop<Self>> {
        let other = Self { client: Arc::new(Client::of(server)?), name: self.name.clone() };
        Ok(std::mem::ManuallyDrop::new(other))
    }

    /// Stores an object.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn put(&self, key: &str, body: impl Into<Bytes>) -> Result<()> {
        self.put_with(key, body, &[]).map(drop)
    }

    /// Stores an object with headers, and gives back those of the answer: `etag`, `x-amz-version-id`.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn put_with(&self, key: &str, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> Result<Headers> {
        let ask = self.ask("PUT", Some(key)).headers(headers).body(body);
        Ok(wait(self.client.ask(ask))?.headers)
    }

    /// Stores an object of so many bytes that do not compress, made from a seed while they are sent.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn put_generated(&self, key: &str, size: u64, seed: u64) -> Result<()> {
        wait(self.client.send(self.ask("PUT", Some(key)), size, bulk::generated(size, seed)))
    }

    /// Stores objects, many at a time, in no order.
    ///
    /// # Errors
    /// The server refuses one of them; others may be stored.
    pub fn fill<I>(&self, objects: I) -> Result<()>
    where
        I: IntoIterator<Item = super::Put>,
        I::IntoIter: Send,
    {
        wait(bulk::fill(&self.client, &self.name, objects.into_iter()))
    }

    /// An object's body.
    ///
    /// # Errors
    /// It is not there.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        Ok(wait(self.client.ask(self.ask("GET", Some(key))))?.body)
    }

    /// One version's body.
    ///
    /// # Errors
    /// It is not there.
    pub fn get_version(&self, key: &str, id: &str) -> Result<Vec<u8>> {
        Ok(wait(self.client.ask(self.ask("GET", Some(key)).query(&[("versionId", id)])))?.body)
    }

    /// An object's headers, if it is there.
    ///
    /// # Errors
    /// The server answers neither with them nor with 404.
    pub fn head(&self, key: &str) -> Result<Option<Headers>> {
        let reply = wait(self.client.any(self.ask("HEAD", Some(key))))?;
        match reply.status {
            200 => Ok(Some(reply.headers)),
            404 => Ok(None),
            status => anyhow::bail!("HEAD {key}: {status}"),
        }
    }

    /// Deletes an object; in a bucket that keeps versions, marks it as deleted.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn delete(&self, key: &str) -> Result<()> {
        wait(self.client.ask(self.ask("DELETE", Some(key)))).map(drop)
    }

    /// Asks whatever is to be asked of the bucket or of an object in it, and gives back the answer, be it an error.
    ///
    /// # Errors
    /// There was no answer.
    pub fn request(
        &self,
        method: &'static str,
        key: Option<&str>,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        wait(self.client.any(self.ask(method, key).query(query).headers(headers).body(body)))
    }

    /// Begins an upload and sends so many parts of 5 MiB, as one does that then dies.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn begin_upload(&self, key: &str, parts: u32) -> Result<Upload> {
        let begun = wait(self.client.ask(self.ask("POST", Some(key)).query(&[("uploads", "")])))?;
        let upload = Upload { key: key.to_owned(), id: xml::needed(&begun.text(), "UploadId")? };
        for number in 1..=parts {
            let query = [("partNumber", &*number.to_string()), ("uploadId", &upload.id)];
            wait(self.client.ask(self.ask("PUT", Some(key)).query(&query).body(vec![0; 5 << 20])))?;
        }
        Ok(upload)
    }

    /// Aborts an upload.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn abort(&self, upload: &Upload) -> Result<()> {
        let ask = self.ask("DELETE", Some(&upload.key)).query(&[("uploadId", &upload.id)]);
        wait(self.client.ask(ask)).map(drop)
    }

    /// Keeps each version of an object from now on.
    ///
    /// # Errors
    /// The server does not know how.
    pub fn keep_versions(&self) -> Result<()> {
        let wanted = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        wait(self.client.ask(self.ask("PUT", None).query(&[("versioning", "")]).body(wanted))).map(drop)
    }

    /// Lets a user of [`super::Ceph::create_user`] do these actions, such as `s3:GetObject`, and no others, in this bucket.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn allow(&self, user: &Server, actions: &[&str]) -> Result<()> {
        let (name, actions) = (&self.name, actions.iter().map(|action| format!("\"{action}\"")).collect::<Vec<_>>());
        self.set_policy(&format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": [{}],
            "Principal": {{"AWS": ["arn:aws:iam:::user/{}"]}},
            "Resource": ["arn:aws:s3:::{name}", "arn:aws:s3:::{name}/*"]}}]}}"#,
            actions.join(", "),
            user.access_key,
        ))
    }

    /// Sets the bucket's policy, in JSON.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn set_policy(&self, policy: &str) -> Result<()> {
        wait(self.client.ask(self.ask("PUT", None).query(&[("policy", "")]).body(policy.to_owned()))).map(drop)
    }

    /// Aborts all uploads, deletes all versions and the bucket itself.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn remove(&self) -> Result<()> {
        for upload in self.uploads()? {
            self.abort(&upload)?;
        }
        wait(async { bulk::delete(&self.client, &self.name, self.list_versions().await?).await })?;
        wait(self.client.ask(self.ask("DELETE", None))).map(drop)
    }

    pub(super) fn ask(&self, method: &'static str, key: Option<&str>) -> Ask {
        Ask::new(method, &self.name, key)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // A test may have stopped the server; what it held is gone with it.
        self.remove().ok();
    }
}
