//! How members are compressed: the choices that a user has.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// How the compressed layer is written. Readers tell by the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip members (RFC 1952), deflated at this level: 1 (fast) to 12 (small).
    Gzip(GzipLevel),
    /// zstd frames (RFC 8878) at this level: 1 (fast) to 19 (small).
    Zstd(ZstdLevel),
    /// gzip members of stored blocks: nothing is compressed.
    None,
}

/// A level of libdeflate, 1 to 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GzipLevel(u8);

/// A level of zstd, 1 to 19. Those above need more memory to read than a reader gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZstdLevel(u8);

impl GzipLevel {
    /// The level as its library takes it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0 as i32
    }
}

impl ZstdLevel {
    /// The level as its library takes it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0 as i32
    }
}

/// Level 1 of libdeflate deflates rows nearly as well as zlib's level 6, at several times its speed.
impl Default for GzipLevel {
    fn default() -> Self {
        Self(1)
    }
}

/// zstd's own default.
impl Default for ZstdLevel {
    fn default() -> Self {
        Self(3)
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::Gzip(GzipLevel::default())
    }
}

impl Compression {
    /// The same way of compressing at another level.
    ///
    /// # Errors
    /// [`Error::Level`] where there is no such level, and for [`Compression::None`], which has none.
    pub fn at_level(self, level: u8) -> Result<Self> {
        let (most, at_level) = match self {
            Self::Gzip(_) => (12, Self::Gzip(GzipLevel(level))),
            Self::Zstd(_) => (19, Self::Zstd(ZstdLevel(level))),
            Self::None => (0, self),
        };
        if (1..=most).contains(&level) { Ok(at_level) } else { Err(Error::Level { compression: self, level }) }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
            Self::None => "none",
        })
    }
}

/// Takes `gzip`, `zstd` and `none`, at the level that each has by default.
impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "gzip" => Ok(Self::default()),
            "zstd" => Ok(Self::Zstd(ZstdLevel::default())),
            "none" => Ok(Self::None),
            _ => Err("there is gzip, zstd and none".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused() {
        let (gzip, zstd): (Compression, Compression) = ("gzip".parse().unwrap(), "zstd".parse().unwrap());
        for level in 1..=12 {
            assert_eq!(gzip.at_level(level).unwrap(), Compression::Gzip(GzipLevel(level)));
        }
        for level in 1..=19 {
            assert_eq!(zstd.at_level(level).unwrap(), Compression::Zstd(ZstdLevel(level)));
        }
        for (compression, level) in [(gzip, 0), (gzip, 13), (zstd, 0), (zstd, 20), (Compression::None, 1)] {
            assert!(matches!(compression.at_level(level), Err(Error::Level { .. })), "{compression} {level}");
        }
        assert!("xz".parse::<Compression>().is_err());
    }
}
