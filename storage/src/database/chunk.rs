//! Encoded rows cut into chunks, as the format has it: after a row, unless one row alone is larger than a chunk may be.

use bytes::Bytes;

use crate::Result;

/// What takes encoded rows.
pub(super) trait RowSink {
    /// Takes a piece of the current row.
    fn push(&mut self, bytes: &[u8]) -> Result<()>;

    /// Ends the current row. The newline is the sink's to write.
    fn end_row(&mut self) -> Result<()>;
}

/// A chunk that ends with a row goes out from here on.
const ENOUGH_BYTES: usize = 256 << 10;
/// The most that a chunk holds. One that does not end with a newline holds exactly this, and no newline.
const MAX_BYTES: usize = 4 << 20;
/// What a new chunk is made for: enough, and a row of usual size beyond.
const INITIAL_BYTES: usize = ENOUGH_BYTES + (32 << 10);

/// Cuts rows into chunks and hands them on.
pub(super) struct Chunker<F> {
    buffer: Vec<u8>,
    /// How much of the buffer is whole rows.
    whole: usize,
    emit: F,
}

impl<F: FnMut(Bytes) -> Result<()>> Chunker<F> {
    /// A chunker that gives chunks to `emit`.
    pub(super) fn new(emit: F) -> Self {
        Self { buffer: Vec::new(), whole: 0, emit }
    }

    /// Hands on what is left.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { (self.emit)(std::mem::take(&mut self.buffer).into()) }
    }

    /// Makes room in a full buffer.
    fn cut(&mut self) -> Result<()> {
        let whole = std::mem::take(&mut self.whole);
        let rest = if whole > 0 { self.buffer.split_off(whole) } else { Vec::new() };
        (self.emit)(std::mem::replace(&mut self.buffer, rest).into())
    }
}

impl<F: FnMut(Bytes) -> Result<()>> RowSink for Chunker<F> {
    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() == MAX_BYTES {
                self.cut()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(MAX_BYTES - self.buffer.len()));
            reserve(&mut self.buffer, now.len());
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.push(b"\n")?;
        self.whole = self.buffer.len();
        if self.whole >= ENOUGH_BYTES { self.cut() } else { Ok(()) }
    }
}

/// Grows a buffer in two steps alone, so that it never has room for more than a chunk.
fn reserve(buffer: &mut Vec<u8>, more: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let target = if needed <= INITIAL_BYTES { INITIAL_BYTES } else { MAX_BYTES };
        buffer.reserve_exact(target - buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts rows of the lengths, newlines not counted, and gives the lengths of the chunks, having checked the law.
    fn cut(rows: &[usize]) -> Vec<usize> {
        let mut chunks = Vec::new();
        let mut chunker = Chunker::new(|chunk| {
            chunks.push(chunk);
            Ok(())
        });
        let mut all = Vec::new();
        for &length in rows {
            let row = vec![b'x'; length];
            for piece in row.chunks(10_007) {
                chunker.push(piece).unwrap();
            }
            chunker.end_row().unwrap();
            all.extend_from_slice(&row);
            all.push(b'\n');
        }
        chunker.finish().unwrap();
        for chunk in &chunks {
            assert!(chunk.ends_with(b"\n") || (chunk.len() == MAX_BYTES && !chunk.contains(&b'\n')));
        }
        assert!(chunks.last().is_none_or(|chunk| chunk.ends_with(b"\n")));
        assert_eq!(chunks.concat(), all);
        chunks.iter().map(Bytes::len).collect()
    }

    #[test]
    fn cuts_after_rows_and_inside_those_that_are_too_large() {
        assert!(cut(&[]).is_empty());
        assert_eq!(cut(&[10]), [11]);
        assert_eq!(cut(&[ENOUGH_BYTES - 1, 5]), [ENOUGH_BYTES, 6]);
        assert_eq!(cut(&[ENOUGH_BYTES - 2, 5, 7]), [ENOUGH_BYTES + 5, 8]);
        assert_eq!(cut(&[MAX_BYTES - 1, 5]), [MAX_BYTES, 6]);
        assert_eq!(cut(&[MAX_BYTES, 5]), [MAX_BYTES, 7]);
        assert_eq!(cut(&[100, MAX_BYTES - 102, 5]), [MAX_BYTES, 6]);
        assert_eq!(cut(&[100, MAX_BYTES - 101]), [101, MAX_BYTES - 100]);
        assert_eq!(cut(&[3, 2 * MAX_BYTES + 1, 5]), [4, MAX_BYTES, MAX_BYTES, 8]);
        assert_eq!(cut(&[ENOUGH_BYTES / 2; 5]).len(), 3);
    }
}
