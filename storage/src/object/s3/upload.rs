//! An object on its way into a bucket, of any size and in fixed memory.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Place, key::TEMPORARY, multipart::Multipart, send};
use crate::{Buffers, Result};

/// How an object is cut.
///
/// A multipart upload has at most 10,000 parts. So the first parts are sent one by one; what comes after them goes into objects of
/// their own, sections, which the server then copies into the upload as parts. So parts stay small enough to be kept and sent
/// again, and 8,000 of them and 2,000 sections come to 9.5 TiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The size of a part.
    pub(super) part_bytes: usize,
    /// How many are sent one by one.
    pub(super) single_parts: i32,
    /// How many are in a section, which can't have more than 5 GiB.
    pub(super) section_parts: i32,
    /// The largest object that the server copies in one request, and the parts in which it copies others.
    pub(super) copy_bytes: u64,
    pub(super) copy_part_bytes: u64,
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            part_bytes: 5 << 20,
            single_parts: 8_000,
            section_parts: 1_000,
            copy_bytes: 5 << 30,
            copy_part_bytes: 1 << 30,
        }
    }
}

/// Held by whoever fills a part: of all uploads into one place, one at a time.
pub(super) type Filling = Arc<Mutex<()>>;

/// An object being uploaded. Dropping it leaves nothing.
pub(super) struct Upload {
    place: Place,
    memory: Buffers,
    filling: Filling,
    filled_by: Option<OwnedMutexGuard<()>>,
    key: String,
    headers: Vec<(String, String)>,
    /// How much is still to come, or a guess that is too large.
    expected: u64,
    part: BytesMut,
    whole: Option<Multipart>,
    section: Option<Section>,
}

/// A part of the object that is an object of its own for a while.
struct Section {
    key: String,
    parts: Multipart,
}

impl Upload {
    /// Nothing is sent yet. `expected` is how much is to come, or more where that is not known.
    pub(super) fn begin(
        place: &Place,
        memory: &Buffers,
        filling: &Filling,
        key: String,
        headers: Vec<(String, String)>,
        expected: u64,
    ) -> Self {
        Self {
            place: place.clone(),
            memory: memory.clone(),
            filling: Arc::clone(filling),
            filled_by: None,
            key,
            headers,
            expected,
            part: BytesMut::new(),
            whole: None,
            section: None,
        }
    }

    /// Takes the next bytes, and sends what makes a part.
    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        // Not before something is there: whoever held it and waited for bytes that stand behind another's could wait for ever.
        if self.filled_by.is_none() {
            self.filled_by = Some(Arc::clone(&self.filling).lock_owned().await);
        }
        while !bytes.is_empty() {
            self.reserve();
            let room = self.place.cut.part_bytes - self.part.len();
            let taken = bytes.split_to(bytes.len().min(room));
            self.expected = self.expected.saturating_sub(taken.len() as u64);
            self.part.extend_from_slice(&taken);
            // A last part may be as long as any, and what fits into one part is sent as an object.
            if self.part.len() == self.place.cut.part_bytes && !bytes.is_empty() {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// Room for a part at once, so that it need not move while it grows.
    fn reserve(&mut self) {
        if self.part.capacity() == 0 {
            let wanted = usize::try_from(self.expected).unwrap_or(usize::MAX);
            self.part.reserve(wanted.min(self.place.cut.part_bytes));
        }
    }

    async fn send_part(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.part).freeze();
        let permit = self.memory.acquire(bytes.len() as u64).await;
        let cut = self.place.cut;
        let whole = match &mut self.whole {
            Some(whole) => whole,
            None => self.whole.insert(Multipart::begin(&self.place, &self.key, self.headers.clone()).await?),
        };
        if whole.parts() < cut.single_parts {
            return whole.send(bytes, permit);
        }
        let section = match &mut self.section {
            Some(section) => section,
            None => self.section.insert(Section::begin(&self.place).await?),
        };
        section.parts.send(bytes, permit)?;
        if section.parts.parts() == cut.section_parts {
            self.end_section().await?;
        }
        Ok(())
    }

    async fn end_section(&mut self) -> Result<()> {
        if let (Some(whole), Some(Section { key, parts })) = (&mut self.whole, self.section.take()) {
            let size = parts.size();
            parts.finish().await?;
            let copied = whole.copy(&key, None, None, size).await;
            self.place.delete(&key).await?;
            copied?;
        }
        Ok(())
    }

    /// Makes it an object, and gives its entity tag.
    pub(super) async fn finish(mut self) -> Result<String> {
        let done = self.end().await;
        if done.is_err() {
            self.abort().await;
        }
        done
    }

    async fn end(&mut self) -> Result<String> {
        if self.whole.is_none() {
            let bytes = std::mem::take(&mut self.part).freeze();
            let _permit = self.memory.acquire(bytes.len() as u64).await;
            self.filled_by = None;
            return send::object(&self.place, &self.key, std::mem::take(&mut self.headers), bytes).await;
        }
        if !self.part.is_empty() {
            self.send_part().await?;
        }
        self.filled_by = None;
        self.end_section().await?;
        match self.whole.take() {
            Some(whole) => whole.finish().await,
            None => Err(crate::Error::Stopped { what: "storing an object" }),
        }
    }

    /// Takes back what was sent.
    pub(super) async fn abort(&mut self) {
        self.filled_by = None;
        if let Some(Section { mut parts, .. }) = self.section.take() {
            parts.abort().await;
        }
        if let Some(mut whole) = self.whole.take() {
            whole.abort().await;
        }
    }
}

impl Section {
    async fn begin(place: &Place) -> Result<Self> {
        let key = format!("{}{TEMPORARY}{}", place.prefix, crate::sibling::token()?);
        let parts = Multipart::begin(place, &key, Vec::new()).await?;
        Ok(Self { key, parts })
    }
}
