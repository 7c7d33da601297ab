//! Names for entries that can't stand in a file system under their own.

use sha2::{Digest, Sha256};

/// The longest name of a file on Linux.
pub(super) const NAME_MAX_BYTES: usize = 255;
/// How much is kept of a name that has to be another.
const KEPT_BYTES: usize = 200;

/// The other name of a segment of `path`: as much of it as has room, `~`, and 16 digits of the path's SHA-256, so that
/// each path has its own and always the same.
pub(super) fn other_name(segment: &str, path: &str) -> String {
    let digest = Sha256::digest(path.as_bytes());
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let kept = segment.floor_char_boundary(KEPT_BYTES);
    format!("{}~{digits}", segment.get(..kept).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_fits_and_is_the_paths_own() {
        let long = "ü".repeat(140);
        let path = format!("objects/{long}/a");
        let name = other_name(&long, &path);
        assert!(name.starts_with(&"ü".repeat(100)) && name.len() == 217, "{name}");
        assert_ne!(name, other_name(&long, &format!("objects/{long}/b")));
        // printf objects/a/b | sha256sum
        assert_eq!(other_name("a", "objects/a/b"), "a~d3881ae386e9084a");
    }
}
