//! The name of an object: bytes, at least one, UTF-8 or not.

use std::fmt;

use crate::Error;

/// The name of an object. Ordered by its bytes; `Display` escapes what is not printable, for people and not for programs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<[u8]>);

impl ObjectKey {
    /// Its bytes, never none.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for ObjectKey {
    type Error = Error;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Err(Error::refused("an object without a name", "a key has at least one byte"));
        }
        Ok(Self(bytes.into_boxed_slice()))
    }
}

impl TryFrom<&[u8]> for ObjectKey {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        Self::try_from(bytes.to_vec())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                if char.is_control() || char == '\\' {
                    write!(f, "{}", char.escape_default())?;
                } else {
                    write!(f, "{char}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_a_terminal_would_swallow() {
        let key = ObjectKey::try_from(&b"a\n\xffb\\\xc3\xa9"[..]).unwrap();
        assert_eq!(key.to_string(), "a\\n\\xffb\\\\é");
        assert!(ObjectKey::try_from(vec![]).is_err());
    }
}
