//! The compressed layer with its tail at hand, which is read first and needed more than once.

use super::ReadAt;
use crate::Result;

/// A layer whose last bytes are kept.
pub(super) struct Tailed<R> {
    inner: R,
    tail: Vec<u8>,
    /// Offset of the first byte of the tail.
    tail_from: u64,
}

impl<R: ReadAt> Tailed<R> {
    /// Reads the last `most` bytes, or all there are.
    pub(super) fn new(inner: R, most: u64) -> Result<Self> {
        let tail_from = inner.size();
        let mut layer = Self { inner, tail: Vec::new(), tail_from };
        layer.extend_tail(tail_from.saturating_sub(most))?;
        Ok(layer)
    }

    pub(super) fn size(&self) -> u64 {
        self.inner.size()
    }

    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Makes the tail begin at `from`, where it begins later.
    pub(super) fn extend_tail(&mut self, from: u64) -> Result<()> {
        if from < self.tail_from {
            let length = usize::try_from(self.tail_from - from).unwrap_or(usize::MAX);
            let mut tail = vec![0; length];
            self.inner.read_exact_at(from, &mut tail)?;
            tail.append(&mut self.tail);
            (self.tail, self.tail_from) = (tail, from);
        }
        Ok(())
    }

    /// Keeps the last `most` bytes.
    pub(super) fn shrink_tail(&mut self, most: u64) {
        let from = self.size().saturating_sub(most).max(self.tail_from);
        let cut = usize::try_from(from - self.tail_from).unwrap_or(usize::MAX);
        self.tail = self.tail.split_off(cut.min(self.tail.len()));
        self.tail_from = from;
    }

    /// Appends the bytes `from..to` to `out`, by one ranged read at most.
    pub(super) fn read(&self, from: u64, to: u64, out: &mut Vec<u8>) -> Result<()> {
        let below = to.min(self.tail_from);
        if from < below {
            let start = out.len();
            out.resize(start + usize::try_from(below - from).unwrap_or(usize::MAX), 0);
            self.inner.read_exact_at(from, out.get_mut(start..).unwrap_or_default())?;
        }
        if to > self.tail_from {
            let place = |offset: u64| usize::try_from(offset.saturating_sub(self.tail_from)).unwrap_or(usize::MAX);
            out.extend_from_slice(self.tail.get(place(from)..place(to)).unwrap_or_default());
        }
        Ok(())
    }
}
