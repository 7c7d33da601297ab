//! The rows of a table, whose order says nothing.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Tables of so many rows are kept whole, so that a difference can be read.
const KEPT: usize = 200;

/// A multiset of rows: as many bytes for a million as for a few hundred.
#[derive(Default)]
pub(super) struct Rows {
    number: u64,
    sums: [u64; 2],
    kept: Vec<Vec<u8>>,
}

impl Rows {
    pub(super) fn add(&mut self, row: &[u8]) {
        self.number += 1;
        for (seed, sum) in self.sums.iter_mut().enumerate() {
            let mut hasher = DefaultHasher::new();
            (seed, row).hash(&mut hasher);
            *sum = sum.wrapping_add(hasher.finish());
        }
        if self.kept.len() <= KEPT {
            self.kept.push(row.to_vec());
        }
    }

    /// Their number, digest and, where they are few, the rows themselves, sorted.
    pub(super) fn told(mut self) -> String {
        let [one, other] = self.sums;
        let mut told = String::new();
        if self.kept.len() <= KEPT {
            self.kept.sort();
            for row in &self.kept {
                told.push_str(&String::from_utf8_lossy(row));
                told.push('\n');
            }
        }
        // Writing to a string does not fail.
        writeln!(told, "{} rows, digest {one:016x}{other:016x}", self.number).ok();
        told
    }
}
