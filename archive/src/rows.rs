//! A table's rows as they pass: counted, digested, and their chunks held to the format's rules.

use std::collections::HashMap;

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
    /// Whether all of its chunks were counted.
    whole: bool,
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
        Self { name, rows: 0, bytes: 0, sum: 0, row: Sha256::new(), in_row: false, chunks: 0, chunk, whole: true }
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

    /// None where some of it was passed over.
    fn summary(self) -> Result<Option<TableSummary>, &'static str> {
        if !self.whole {
            return Ok(None);
        }
        if self.in_row {
            return Err("the last row of a table has no newline");
        }
        let digest = format!("{:032x}", self.sum);
        Ok(Some(TableSummary { name: self.name, rows: self.rows, bytes: self.bytes, digest }))
    }
}

/// All tables of an archive, one after the other.
#[derive(Default)]
pub(crate) struct Tables {
    names: Vec<String>,
    places: HashMap<String, usize>,
    done: HashMap<usize, Option<TableSummary>>,
    current: Option<(usize, TableRows)>,
}

impl Tables {
    /// The tables that the schema has, in its order. There are rows of no others.
    pub(crate) fn new(names: Vec<String>) -> Result<Self, &'static str> {
        let places: HashMap<_, _> = names.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
        if places.len() < names.len() {
            return Err("a table stands twice in the schema");
        }
        Ok(Self { names, places, ..Self::default() })
    }

    /// A chunk begins. Chunks of a table stand together, numbered from 0.
    pub(crate) fn begin_chunk(&mut self, table: &str, number: u32, size: u64) -> Result<(), &'static str> {
        if size > CHUNK_MAX_BYTES as u64 {
            return Err("a chunk of rows is over 4 MiB");
        }
        if self.current.as_ref().is_none_or(|(_, current)| current.name != table) {
            self.end_table()?;
            let place = *self.places.get(table).ok_or("the schema has no such table")?;
            if self.done.contains_key(&place) {
                return Err("the chunks of a table do not stand together");
            }
            self.current = Some((place, TableRows::new(table.to_owned())));
        }
        if number == self.next_chunk(table) {
            Ok(())
        } else {
            Err("the chunks of a table are not numbered without gaps")
        }
    }

    /// The number that the next chunk of `table` has.
    pub(crate) fn next_chunk(&self, table: &str) -> u32 {
        self.current.as_ref().filter(|(_, current)| current.name == table).map_or(0, |(_, current)| current.chunks)
    }

    /// A piece of the chunk passes.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        if let Some((_, current)) = &mut self.current {
            current.add(piece);
        }
    }

    /// The chunk ends.
    pub(crate) fn end_chunk(&mut self) -> Result<(), &'static str> {
        self.current.as_mut().map_or(Ok(()), |(_, current)| current.end_chunk())
    }

    /// The chunk is not read: its table is not counted.
    pub(crate) fn pass_over(&mut self) {
        if let Some((_, current)) = &mut self.current {
            current.chunks += 1;
            current.whole = false;
        }
    }

    /// Holds what has been counted to what the summary tells: the tables of the schema in its order, those without rows
    /// too. Of a table that was not read whole, it holds the name.
    pub(crate) fn check(self, told: &[TableSummary]) -> Result<(), String> {
        let counted = self.counts()?;
        for (told, (_, seen)) in told.iter().zip(&counted) {
            if let Some(seen) = seen.as_ref().filter(|seen| *seen != told) {
                return Err(format!("it says {told:?} where the archive holds {seen:?}"));
            }
        }
        let names = counted.iter().map(|(name, _)| name);
        match told.iter().map(|table| &table.name).eq(names) {
            true => Ok(()),
            false => Err("its tables are not those of the schema".into()),
        }
    }

    /// The counts of all tables in the order of the schema, those without rows too; none of one that was not read whole.
    pub(crate) fn finish(self) -> Result<Vec<TableSummary>, &'static str> {
        Ok(self.counts()?.into_iter().filter_map(|(_, counted)| counted).collect())
    }

    fn counts(mut self) -> Result<Vec<(String, Option<TableSummary>)>, &'static str> {
        self.end_table()?;
        let Self { names, mut done, .. } = self;
        let count = |(place, name): (usize, String)| {
            let counted = done.remove(&place).map_or_else(|| TableRows::new(name.clone()).summary(), Ok)?;
            Ok((name, counted))
        };
        names.into_iter().enumerate().map(count).collect()
    }

    fn end_table(&mut self) -> Result<(), &'static str> {
        if let Some((place, table)) = self.current.take() {
            self.done.insert(place, table.summary()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pieces: &[&[u8]]) -> Result<Vec<TableSummary>, &'static str> {
        let mut tables = Tables::new(vec!["empty".into(), "t".into()])?;
        tables.begin_chunk("t", 0, 1)?;
        pieces.iter().for_each(|piece| tables.add(piece));
        tables.end_chunk()?;
        tables.finish()
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
        assert!(Tables::new(vec!["a".into(), "a".into()]).is_err());
        let mut tables = Tables::new(vec!["t".into(), "a".into(), "b".into()]).unwrap();
        assert!(tables.begin_chunk("unknown", 0, 1).is_err());
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
