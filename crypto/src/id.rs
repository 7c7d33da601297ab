//! The id of an archive: random, public, and different for every writing.

use std::fmt;
use std::str::FromStr;

use crate::hex::{self, Case};
use crate::{Error, Result};

/// Sixteen random bytes that tell archives apart and salt their keys. No secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArchiveId([u8; 16]);

impl ArchiveId {
    /// Gives an id that no other archive has, from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) where the operating system has no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
        Ok(Self(bytes))
    }

    /// The bytes as they stand in the header.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for ArchiveId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Takes 32 hexadecimal digits in lower case, and nothing else.
impl FromStr for ArchiveId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 16];
        if !hex::decode(text, Case::Lower, &mut bytes) {
            return Err(Error::Unusable { reason: "an archive's id has 32 hexadecimal digits in lower case" });
        }
        Ok(Self(bytes))
    }
}

/// 32 hexadecimal digits in lower case.
impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_all_its_digits() {
        let mut bytes = [0; 16];
        bytes[1] = 0xab;
        bytes[15] = 1;
        assert_eq!(ArchiveId::from(bytes).to_string(), "00ab0000000000000000000000000001");
    }

    #[test]
    fn reads_what_it_prints_and_nothing_else() {
        let text = ArchiveId::random().unwrap().to_string();
        assert_eq!(text.parse::<ArchiveId>().unwrap().to_string(), text);
        let digits = "00ab0000000000000000000000000001";
        let mut bytes = [0; 16];
        (bytes[1], bytes[15]) = (0xab, 1);
        assert_eq!(digits.parse::<ArchiveId>().unwrap(), ArchiveId::from(bytes));
        for wrong in ["", &digits[..31], &format!("{digits}0"), &digits.to_uppercase(), &digits.replacen('b', "g", 1)] {
            assert!(matches!(wrong.parse::<ArchiveId>(), Err(Error::Unusable { .. })), "{wrong}");
        }
    }

    #[test]
    fn two_are_never_the_same() {
        assert_ne!(ArchiveId::random().unwrap(), ArchiveId::random().unwrap());
    }
}
