//! The id of an archive: random, public, and different for every writing.

use std::fmt;

use crate::Result;

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
    fn two_are_never_the_same() {
        assert_ne!(ArchiveId::random().unwrap(), ArchiveId::random().unwrap());
    }
}
