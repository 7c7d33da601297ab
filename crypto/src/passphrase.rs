//! A passphrase, and how much work it takes to try one.

use std::fmt;

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// A passphrase that is not empty, wiped when dropped.
pub struct Passphrase(SecretString);

impl Passphrase {
    /// Takes a passphrase as it was typed, byte for byte.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] where it is empty.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() {
            return Err(Error::Unusable { reason: "the passphrase is empty" });
        }
        Ok(Self(SecretString::from(text.as_str())))
    }

    pub(crate) fn as_secret(&self) -> &SecretString {
        &self.0
    }
}

impl TryFrom<String> for Passphrase {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// The work of one try at a passphrase: the base-2 logarithm of scrypt's N. A try takes 2ⁿ KiB of memory and as much
/// more time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkFactor(u8);

impl WorkFactor {
    /// What the service writes: 32 MiB.
    pub const SERVICE_WRITE: Self = Self(15);
    /// What the service reads at most: 64 MiB.
    pub const SERVICE_READ_MAX: Self = Self(16);
    /// What the command line writes: 256 MiB.
    pub const CLI_WRITE: Self = Self(18);
    /// What the command line reads at most: 1 GiB.
    pub const CLI_READ_MAX: Self = Self(20);

    const MAX: u8 = 22;

    /// Takes a factor from 1 (2 KiB) to 22 (4 GiB).
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] for any other.
    pub const fn new(log2_n: u8) -> Result<Self> {
        match log2_n {
            1..=Self::MAX => Ok(Self(log2_n)),
            _ => Err(Error::Unusable { reason: "a work factor is from 1 to 22" }),
        }
    }

    /// The base-2 logarithm of scrypt's N.
    #[must_use]
    pub const fn log2_n(self) -> u8 {
        self.0
    }

    /// The memory that one try takes (scrypt with r = 8, RFC 7914).
    #[must_use]
    pub const fn memory_bytes(self) -> u64 {
        1024 << self.0
    }
}

impl fmt::Display for WorkFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_empty_passphrase() {
        assert!(matches!(Passphrase::new(""), Err(Error::Unusable { .. })));
        assert!(matches!(Passphrase::try_from(String::new()), Err(Error::Unusable { .. })));
        assert_eq!(format!("{:?}", Passphrase::new("open sesame").unwrap()), "Passphrase");
    }

    #[test]
    fn bounds_work() {
        assert!(WorkFactor::new(0).is_err());
        assert!(WorkFactor::new(23).is_err());
        assert_eq!(WorkFactor::new(15).unwrap(), WorkFactor::SERVICE_WRITE);
        assert_eq!(WorkFactor::SERVICE_WRITE.memory_bytes(), 32 << 20);
    }
}
