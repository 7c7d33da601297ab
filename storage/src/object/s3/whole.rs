//! One object of unknown length on its way into a bucket: an archive as it is made.

use bytes::Bytes;
use futures::FutureExt;

use super::{
    S3Store,
    upload::{Filling, Upload},
};
use crate::{Buffers, ObjectKey, Result};

// The futures of the library are deep: each is boxed, so that those around it stay small.

/// An object being uploaded. It appears when it is finished; dropping it leaves nothing.
pub struct S3Upload {
    upload: Upload,
}

impl S3Store {
    /// Begins to upload an object whose length shows when it ends. It holds [`super::PART_BYTES`] and, of `memory`, the parts on
    /// their way.
    ///
    /// # Errors
    /// `Refused` for a key that can't stand there.
    pub fn upload(&self, key: &ObjectKey, memory: &Buffers, content_type: &str) -> Result<S3Upload> {
        let full = self.place.full_key(key)?;
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let upload = Upload::begin(&self.place, memory, &Filling::default(), full, headers, u64::MAX);
        Ok(S3Upload { upload })
    }
}

impl S3Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Those of the server. Nothing is left of the object then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let written = self.upload.write(bytes).boxed().await;
        if written.is_err() {
            self.upload.abort().boxed().await;
        }
        written
    }

    /// Makes it an object.
    ///
    /// # Errors
    /// Those of the server. Nothing is left of the object then.
    pub async fn finish(self) -> Result<()> {
        self.upload.finish().boxed().await.map(drop)
    }

    /// Leaves nothing of it.
    pub async fn abort(mut self) {
        self.upload.abort().boxed().await;
    }
}
