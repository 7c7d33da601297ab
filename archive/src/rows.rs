//! A table's rows as they pass: counted, digested, and their chunks held to the format's rules.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::TableSummary;

/// The most bytes in a chunk of rows.
pub const CHUNK_MAX_BYTES: usize = 4 << 20;

/// Counts and digests one table's rows, however they are cut.
struct TableRows {
    name: String,
    rows: u64,
    bytes: u64,
    sum: u128,
    row: Sha256,
    in_row: bool,
    chunks: u32,
    chunk: Chunk,
}

/// What the chunk that is passing must obey.
#[derive(Default)]
struct Chunk {
    bytes: u64,
    has_newline: bool,
    ends_with_newline: bool,
}

impl TableRows {
    fn new(name: String) -> Self {
        let chunk = Chunk::default();
        Self { name, rows: 0, bytes: 0, sum: 0, row: Sha256::new(), in_row: false, chunks: 0, chunk }
    }

    fn add(&mut self, mut piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.chunk.bytes += piece.len() as u64;
        self.chunk.ends_with_newline = piece.ends_with(b"\n");
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            let (row, rest) = piece.split_at(end);
            self.row.update(row);
            self.end_row();
            piece = rest.get(1..).unwrap_or_default();
        }
        if !piece.is_empty() {
            self.row.update(piece);
            self.in_row = true;
        }
    }

    fn end_row(&mut self) {
        let digest = self.row.finalize_reset();
        let half: [u8; 16] = digest.first_chunk().copied().unwrap_or_default();
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(half));
        self.rows += 1;
        self.in_row = false;
        self.chunk.has_newline = true;
    }

    fn end_chunk(&mut self) -> Result<(), &'static str> {
        let chunk = std::mem::take(&mut self.chunk);
        self.chunks += 1;
        if chunk.bytes == 0 {
            return Err("a chunk of rows is empty");
        }
        if chunk.ends_with_newline || (chunk.bytes == CHUNK_MAX_BYTES as u64 && !chunk.has_newline) {
            return Ok(());
        }
        Err("a chunk of rows is not cut after a newline")
    }

    fn summary(self) -> Result<TableSummary, &'static str> {
        if self.in_row {
            return Err("the last row of a table has no newline");
        }
        let digest = format!("{:032x}", self.sum);
        Ok(TableSummary { name: self.name, rows: self.rows, bytes: self.bytes, digest })
    }
}

/// All tables of an archive, one after the other.
#[derive(Default)]
pub(crate) struct Tables {
    done: Vec<TableSummary>,
    names: HashSet<String>,
    current: Option<TableRows>,
}

impl Tables {
    /// A chunk begins. Chunks of a table stand together, numbered from 0.
    pub(crate) fn begin_chunk(&mut self, table: &str, number: u32, size: u64) -> Result<(), &'static str> {
        if size > CHUNK_MAX_BYTES as u64 {
            return Err("a chunk of rows is over 4 MiB");
        }
        if self.current.as_ref().is_none_or(|current| current.name != table) {
            self.end_table()?;
            if !self.names.insert(table.to_owned()) {
                return Err("the chunks of a table do not stand together");
            }
            self.current = Some(TableRows::new(table.to_owned()));
        }
        let expected = self.current.as_ref().map_or(0, |current| current.chunks);
        if number == expected { Ok(()) } else { Err("the chunks of a table are not numbered without gaps") }
    }

    /// The number that the next chunk of `table` has.
    pub(crate) fn next_chunk(&self, table: &str) -> u32 {
        self.current.as_ref().filter(|current| current.name == table).map_or(0, |current| current.chunks)
    }

    /// A piece of the chunk passes.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        if let Some(current) = &mut self.current {
            current.add(piece);
        }
    }

    /// The chunk ends.
    pub(crate) fn end_chunk(&mut self) -> Result<(), &'static str> {
        self.current.as_mut().map_or(Ok(()), TableRows::end_chunk)
    }

    /// The counts of the tables named, in that order, those without rows too.
    pub(crate) fn finish(mut self, names: &[String]) -> Result<Vec<TableSummary>, &'static str> {
        self.end_table()?;
        let mut summaries = Vec::with_capacity(names.len());
        let mut found: std::collections::HashMap<_, _> =
            self.done.into_iter().map(|table| (table.name.clone(), table)).collect();
        for name in names {
            let empty = || TableRows::new(name.clone()).summary();
            summaries.push(found.remove(name).map_or_else(empty, Ok)?);
        }
        if found.is_empty() { Ok(summaries) } else { Err("there are rows of a table that the schema does not have") }
    }

    fn end_table(&mut self) -> Result<(), &'static str> {
        if let Some(table) = self.current.take() {
            self.done.push(table.summary()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pieces: &[&[u8]]) -> Result<Vec<TableSummary>, &'static str> {
        let mut tables = Tables::default();
        tables.begin_chunk("t", 0, 1)?;
        pieces.iter().for_each(|piece| tables.add(piece));
        tables.end_chunk()?;
        tables.finish(&["empty".into(), "t".into()])
    }

    #[test]
    fn the_digest_ignores_order_and_cuts_but_not_repetition() {
        let whole = count(&[b"[1]\n[2]\n"]).unwrap();
        assert_eq!(whole, count(&[b"[2", b"]", b"\n[1]\n"]).unwrap());
        assert_ne!(whole, count(&[b"[1]\n[2]\n[2]\n"]).unwrap());
        assert_eq!((whole[0].rows, whole[0].digest.as_str()), (0, "00000000000000000000000000000000"));
        assert_eq!((whole[1].rows, whole[1].bytes), (2, 8));
        let half = |row: &[u8]| u128::from_le_bytes(*Sha256::digest(row).first_chunk().unwrap());
        assert_eq!(whole[1].digest, format!("{:032x}", half(b"[1]").wrapping_add(half(b"[2]"))));
    }

    #[test]
    fn chunks_that_break_the_rules_are_refused() {
        assert!(count(&[b"[1]"]).is_err());
        assert!(count(&[b""]).is_err());
        let mut tables = Tables::default();
        assert!(tables.begin_chunk("t", 1, 1).is_err());
        assert!(tables.begin_chunk("t", 0, CHUNK_MAX_BYTES as u64 + 1).is_err());
        for table in ["a", "b"] {
            tables.begin_chunk(table, 0, 1).unwrap();
            tables.add(b"\n");
            tables.end_chunk().unwrap();
        }
        assert!(tables.begin_chunk("a", 1, 1).is_err());
    }
}
