//! What is said of a table's rows once all of them have been seen.

use std::fmt;

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
