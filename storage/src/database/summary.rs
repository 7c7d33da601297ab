//! What is said of a table's rows once all of them have been seen.

use std::fmt;

use sha2::{Digest, Sha256};

use super::chunk::RowSink;
use crate::Result;

/// The sum modulo 2^128 of the first 16 bytes, as a little-endian number, of SHA-256 of each encoded row without its newline.
///
/// It does not depend on the order of rows. It finds accidents, not an adversary. `Display` gives 32 hexadecimal digits, most
/// significant first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowsDigest(u128);

impl RowsDigest {
    /// Counts one row in, by its SHA-256.
    pub fn add_row(&mut self, sha256: [u8; 32]) {
        let (low, _) = sha256.split_first_chunk::<16>().map_or(([0; 16], &[][..]), |(low, rest)| (*low, rest));
        self.0 = self.0.wrapping_add(u128::from_le_bytes(low));
    }
}

impl fmt::Display for RowsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One table's rows in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSummary {
    /// The table.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// Their encoded length, newlines included.
    pub bytes: u64,
    /// Their digest.
    pub digest: RowsDigest,
}

/// Counts and digests rows.
#[derive(Default)]
pub(super) struct Summer {
    row: Sha256,
    rows: u64,
    bytes: u64,
    digest: RowsDigest,
}

impl Summer {
    /// What has been counted, as that of a table.
    pub(super) fn summary(&self, table: &str) -> TableSummary {
        TableSummary { name: table.to_owned(), rows: self.rows, bytes: self.bytes, digest: self.digest }
    }
}

impl RowSink for Summer {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.row.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.digest.add_row(self.row.finalize_reset().into());
        self.rows += 1;
        self.bytes += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_wraps_and_shows_its_most_significant_digit_first() {
        let mut digest = RowsDigest::default();
        assert_eq!(digest.to_string(), "0".repeat(32));
        let mut row = [0xff; 32];
        digest.add_row(row);
        row = [0; 32];
        row[0] = 0x12;
        digest.add_row(row);
        assert_eq!(digest.to_string(), format!("{:032x}", 0x11));
    }
}
