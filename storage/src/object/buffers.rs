//! The memory that objects on their way share, counted in bytes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit of the semaphore below.
const UNIT_BYTES: u64 = 1_024;

/// So many bytes for all objects that are on their way at once, in one direction: those that are sent must not wait for those that
/// are read ahead, which may wait for them.
///
/// Whoever sends an object or a part holds a permit of its size from when it is complete until the store has it. That ends by
/// itself, so that waiting for such a permit always ends.
#[derive(Clone, Debug)]
pub struct Buffers {
    units: Arc<Semaphore>,
    total: u32,
}

/// A part of the buffers, given back on drop.
#[derive(Debug)]
pub struct BufferPermit {
    _units: Option<OwnedSemaphorePermit>,
}

impl Buffers {
    /// So many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let total = units(bytes).clamp(1, u32::MAX >> 4);
        Self { units: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for so many bytes, or for all there are where that is less.
    pub async fn acquire(&self, bytes: u64) -> BufferPermit {
        let wanted = units(bytes).min(self.total);
        BufferPermit { _units: Arc::clone(&self.units).acquire_many_owned(wanted).await.ok() }
    }

    /// So many bytes where they are free, for what need not be.
    #[must_use]
    pub fn try_acquire(&self, bytes: u64) -> Option<BufferPermit> {
        let granted = Arc::clone(&self.units).try_acquire_many_owned(units(bytes)).ok()?;
        Some(BufferPermit { _units: Some(granted) })
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_need_not_be_does_not_wait() {
        let buffers = Buffers::new(100 << 10);
        let first = buffers.try_acquire(40 << 10).unwrap();
        assert!(buffers.try_acquire(61 << 10).is_none());
        let second = buffers.acquire(60 << 10).await;
        assert!(buffers.try_acquire(1).is_none());
        drop((first, second));
        // More than there is counts as all there is.
        drop(buffers.acquire(1 << 30).await);
        assert!(buffers.try_acquire(100 << 10).is_some());
    }
}
