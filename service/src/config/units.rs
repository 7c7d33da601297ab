//! Sizes and durations as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, Result};

/// How long a peer may give or take no byte where nothing else is said.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long what an import replaces is kept where nothing else is said.
pub(super) const KEEP_REPLACED: Duration = Duration::from_secs(24 * 3600);

/// A number of bytes, written as `64MiB`, `1GiB`, `512KiB` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

impl ByteSize {
    /// 64 MiB.
    pub(super) const DEFAULT_BUDGET: Self = Self(64 << 20);

    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number in MiB, for figures.
    #[must_use]
    pub fn mebibytes(self) -> f64 {
        // Exact up to 2^53 bytes, and a figure beyond that.
        self.0 as f64 / f64::from(1 << 20)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().rev().find(|(_, size)| self.0 >= *size) {
            Some((unit, size)) if self.0.is_multiple_of(*size) => write!(f, "{}{unit}", self.0 / size),
            Some((unit, size)) => write!(f, "{}.{}{unit}", self.0 / size, self.0 % size * 10 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (digits, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits, *factor)))
            .unwrap_or((text.strip_suffix('B').unwrap_or(text), 1));
        let bytes = digits.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        bytes.map(Self).ok_or_else(|| Error::Usage(format!("{text:?} is no size: write it as 64MiB or 1GiB")))
    }
}

/// A duration, written as `500ms`, `90s`, `2m`, `1h` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let millis = units.iter().find_map(|(unit, factor)| {
        let digits = text.strip_suffix(unit)?;
        digits.trim().parse::<u64>().ok()?.checked_mul(*factor)
    });
    millis
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| Error::Usage(format!("{text:?} is no duration: write it as 90s, 2m, 1h or 7d")))
}

/// A duration, or `0` for none.
pub(super) fn parse_duration_or_none(text: &str) -> Result<Duration> {
    match text.trim() {
        "0" => Ok(Duration::ZERO),
        text => parse_duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_as_written() {
        for (text, bytes) in [("64MiB", 64 << 20), ("1 GiB", 1 << 30), ("12", 12), ("7B", 7)] {
            assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(bytes));
        }
        for bad in ["", "MiB", "1MB", "-1", "99999999999TiB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
        assert_eq!(parse_duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse_duration("2m").unwrap(), Duration::from_secs(120));
        assert!(parse_duration("0s").is_err() && parse_duration("2").is_err());
        assert_eq!(parse_duration_or_none("0").unwrap(), Duration::ZERO);
        assert_eq!(parse_duration_or_none("24h").unwrap(), KEEP_REPLACED);
        assert!(parse_duration_or_none("0h").is_err());
        assert_eq!(ByteSize(64 << 20).to_string(), "64MiB");
        assert_eq!(ByteSize(1536).to_string(), "1.5KiB");
    }
}
