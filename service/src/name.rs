//! Names of sources and apps, checked once where they come in.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

const MAX_BYTES: usize = 63;
const RESERVED: &str = "coffer_";

/// A source's or an app's name: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}` without `..`, and not ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| Err(Error::Usage(format!("{text:?} is no name of a source or an app: {why}")));
        let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let rest = |byte: u8| first(byte) || byte == b'.' || byte == b'-';
        match text.as_bytes() {
            [] => refuse("it is empty"),
            bytes if bytes.len() > MAX_BYTES => refuse("it is over 63 bytes long"),
            [start, ..] if !first(*start) => refuse("it must begin with a letter, a digit or _"),
            bytes if !bytes.iter().copied().all(rest) => {
                refuse("only letters, digits, `_`, `.` and `-` may stand in it")
            }
            _ if text.contains("..") => refuse("`..` may not stand in it"),
            _ if text.starts_with(RESERVED) => refuse("names that begin with coffer_ are reserved"),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

/// An app within its source: `SOURCE/APP`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName {
    /// The source's name.
    pub source: Name,
    /// The app's own.
    pub app: Name,
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.app)
    }
}

impl FromStr for AppName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((source, app)) = text.split_once('/') else {
            return Err(Error::Usage(format!("{text:?} names no app: write it as SOURCE/APP, such as local/notes")));
        };
        Ok(Self { source: source.parse()?, app: app.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "_x", "A.b-c_9", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a..b", "a/b", "ä", "a b", "coffer_x", &"x".repeat(64), "a\0"] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
        assert!("a".parse::<AppName>().is_err());
        assert!("a/b/c".parse::<AppName>().is_err());
        assert_eq!("crm/acme".parse::<AppName>().unwrap().to_string(), "crm/acme");
    }
}
