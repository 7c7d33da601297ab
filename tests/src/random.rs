//! Random numbers that can be had again from their seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator (xorshift64*). Not for secrets.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A seed that is another one each time, or that of the environment variable `COFFER_TESTS_SEED`.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the tests have no configuration; a failure is repeated by its seed")]
    pub fn seed() -> u64 {
        let given = std::env::var("COFFER_TESTS_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| u64::from(time.subsec_nanos()));
        given.unwrap_or_else(clock)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() >> 1).unwrap_or(0).checked_rem(bound).unwrap_or(0)
    }

    /// Bytes that do not compress.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| self.number().to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}
