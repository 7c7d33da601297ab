//! What a bucket lets us do, tried out.

use bytes::Bytes;
use futures::StreamExt;

use super::{
    S3Store,
    multipart::Multipart,
    send::{self, BodyDigest},
};
use crate::{Buffers, Error, ObjectKey, ObjectStore, Result};

/// What was found; an error is what the server said.
#[derive(Debug)]
pub struct S3Probe {
    /// Objects can be listed.
    pub list: Result<()>,
    /// Objects can be stored, and read again as they were.
    pub put: Result<()>,
    /// The entity tag of an object sent in one piece is its MD5.
    pub md5_entity_tags: Support,
    /// Keys are listed in the order of their bytes.
    pub sorted_listing: Support,
    /// A write can be made to fail where an object is already.
    pub conditional_put: Support,
    /// Large objects can be sent in parts.
    pub multipart: Result<()>,
    /// Objects can be deleted.
    pub delete: Result<()>,
}

/// Whether a server can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It can.
    Yes,
    /// It takes it, and does not do it.
    Ignored,
    /// It refuses it.
    No,
    /// It could not be tried out, as something else failed.
    Unknown,
}

/// The second in order is stored first.
const NAMES: [&str; 2] = ["b", "a/b"];

impl S3Store {
    /// Tries out all that is done with a bucket, below this store's prefix, which should be nobody's. It leaves nothing.
    pub async fn probe(&self) -> S3Probe {
        let list = self.is_empty().await.map(drop);
        let mut md5_entity_tags = Support::Unknown;
        let mut put = Ok(());
        for name in NAMES {
            match self.store(name).await {
                Ok(is_md5) => md5_entity_tags = if is_md5 { Support::Yes } else { Support::No },
                Err(error) => put = Err(error),
            }
        }
        if put.is_ok() {
            put = self.read_back().await;
        }
        let sorted_listing = if put.is_ok() { self.is_sorted().await } else { Support::Unknown };
        let conditional_put = if put.is_ok() { self.conditional().await } else { Support::Unknown };
        let multipart = self.in_parts().await;
        let mut delete = Ok(());
        for name in NAMES {
            delete = delete.and(self.place.delete(&self.probed(name)).await);
        }
        S3Probe { list, put, md5_entity_tags, sorted_listing, conditional_put, multipart, delete }
    }

    fn probed(&self, name: &str) -> String {
        format!("{}{name}", self.place.prefix)
    }

    async fn store(&self, name: &str) -> Result<bool> {
        let bytes = Bytes::from_static(b"a probe of coffer's");
        let etag = send::object(&self.place, &self.probed(name), Vec::new(), bytes.clone()).await?;
        Ok(BodyDigest::of(&bytes).is(&etag))
    }

    async fn read_back(&self) -> Result<()> {
        for name in NAMES {
            let mut object = self.get(&ObjectKey::try_from(name.as_bytes())?).await?;
            while let Some(piece) = object.body.next().await {
                piece?;
            }
        }
        Ok(())
    }

    async fn is_sorted(&self) -> Support {
        let mut pages = super::list::Pages::new(self.place.clone(), 10);
        match pages.next().await {
            Ok(lines) if lines.is_sorted_by_key(|line| line.listed.key.clone()) => Support::Yes,
            Ok(_) => Support::No,
            Err(_) => Support::Unknown,
        }
    }

    async fn conditional(&self) -> Support {
        let [name, _] = NAMES;
        let headers = vec![("if-none-match".to_owned(), "*".to_owned())];
        match send::object(&self.place, &self.probed(name), headers, Bytes::from_static(b"again")).await {
            Ok(_) => Support::Ignored,
            Err(Error::NotEmpty { .. }) => Support::Yes,
            Err(Error::Unreachable { .. }) => Support::Unknown,
            Err(_) => Support::No,
        }
    }

    async fn in_parts(&self) -> Result<()> {
        let [name, _] = NAMES;
        let mut parts = Multipart::begin(&self.place, &self.probed(name), Vec::new()).await?;
        parts.send(Bytes::from_static(b"a part"), Buffers::new(1).acquire(1).await)?;
        parts.finish().await.map(drop)
    }
}
