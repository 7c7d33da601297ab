//! From an object's key to the server's, which never leaves the app's prefix.

use super::Place;
use crate::{Error, ObjectKey, Result};

/// The longest key that servers take, in bytes, with its prefix.
const MAX_KEY_BYTES: usize = 1_024;
/// What begins the names of objects, and of folders of them, that are not the app's: parts of one that is put together, probes.
pub(super) const TEMPORARY: &str = ".coffer-tmp-";
/// The object that stands for an import under way.
pub(super) const LOCK: &str = ".coffer-import";

impl Place {
    /// The server's key of an object.
    ///
    /// # Errors
    /// `Refused` for a key that can't stand in a bucket, that a server could take for one outside the prefix, or that is ours.
    pub(super) fn full_key(&self, key: &ObjectKey) -> Result<String> {
        let refused = |why: &str| Error::refused(format!("object {key}"), format!("it can't stand in S3: {why}"));
        let text = std::str::from_utf8(key.as_bytes()).map_err(|_| refused("its key is not UTF-8"))?;
        if text.contains('\0') {
            return Err(refused("its key holds a NUL byte"));
        }
        if self.prefix.len() + text.len() > MAX_KEY_BYTES {
            return Err(refused("its key is over 1,024 bytes, with the prefix"));
        }
        if climbs_out(text) {
            return Err(refused("`..` in its key leads out of the app's prefix"));
        }
        if is_ours(text) {
            return Err(refused("its key is a name of ours"));
        }
        Ok(format!("{}{text}", self.prefix))
    }
}

/// Whether somebody who takes the key for a path would end above its root: some servers and proxies do.
fn climbs_out(key: &str) -> bool {
    let mut depth = 0_usize;
    for segment in key.split('/') {
        match segment {
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            "" | "." => {}
            _ => depth += 1,
        }
    }
    false
}

/// Whether it can stand in a request's XML (1.0, section 2.2): of what can't, requests speak that have it in their URL.
pub(super) fn fits_xml(key: &str) -> bool {
    key.chars().all(|char| !matches!(char, '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

/// Whether what stands directly below the prefix is not the app's.
pub(super) fn is_ours(below_prefix: &str) -> bool {
    let name = below_prefix.split('/').next().unwrap_or_default();
    let token = name.strip_prefix(TEMPORARY);
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    below_prefix == LOCK || token.is_some_and(|token| token.len() == 16 && token.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_climbs_out_of_its_prefix() {
        for key in ["../b", "a/../../b", "a/./../../b", "..", "a//../../b", "a/../.."] {
            assert!(climbs_out(key), "{key}");
        }
        for key in ["a/../b", "a/b/../../c", "...", "a/...", "..a/b", "./a", "a/..", "//", "a/./b"] {
            assert!(!climbs_out(key), "{key}");
        }
    }

    #[test]
    fn names_of_ours_are_told() {
        assert!(is_ours(".coffer-import") && is_ours(".coffer-tmp-0123456789abcdef"));
        assert!(is_ours(".coffer-tmp-0123456789abcdef/a/b"));
        for key in
            [".coffer-import/x", ".coffer-imports", ".coffer-tmp-0123456789ABCDEF", ".coffer-tmp-0", "a/.coffer-import"]
        {
            assert!(!is_ours(key), "{key}");
        }
    }
}
