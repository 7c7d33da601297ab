//! What one import is called by in every place that it touches, so that whoever comes after a crash finds what it left.

use std::fmt;

use crate::{Result, sibling};

/// Sixteen random hexadecimal digits. What an import leaves in its target while it runs, and what it put aside, bears it in its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportId(String);

impl ImportId {
    /// One that nobody has used.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn random() -> Result<Self> {
        sibling::token().map(Self)
    }

    /// Reads what [`ImportId::as_str`] gave.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 16 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an import comes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// Where nothing is, or what is there is empty.
    New,
    /// In the place of what is there, which is put aside.
    Replace,
}

/// An import, as its stores know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// What it is called by.
    pub id: ImportId,
    /// What it does with what is there.
    pub landing: Landing,
}

impl Import {
    /// One into a place that is new or empty.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn new() -> Result<Self> {
        Ok(Self { id: ImportId::random()?, landing: Landing::New })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sixteen_digits() {
        let id = ImportId::random().unwrap();
        assert_eq!(ImportId::parse(id.as_str()).unwrap(), id);
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcde/"] {
            assert_eq!(ImportId::parse(wrong), None, "{wrong}");
        }
    }
}
