//! Whether the volume has room for what a swap writes.

use std::path::Path;

use crate::{Error, Result};

/// What a swap has to do with, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// The database that is there, its log included.
    pub(super) old_bytes: u64,
    /// The one that replaces it.
    pub(super) new_bytes: u64,
}

impl Sizes {
    /// What a swap takes at its height: the copy of the old one; the log with all of the new one, or the journal with all of the
    /// old one; and what the file grows by.
    pub(super) fn needed_bytes(self, has_log: bool) -> u64 {
        let Self { old_bytes, new_bytes } = self;
        let log_bytes = if has_log { new_bytes } else { old_bytes };
        old_bytes.saturating_add(log_bytes).saturating_add(new_bytes.saturating_sub(old_bytes))
    }
}

/// Looks whether so much is free.
///
/// # Errors
/// `NoSpace` where it is not, with both figures.
pub(super) fn check(target: &Path, needed_bytes: u64) -> Result<()> {
    let folder = target.parent().unwrap_or(target);
    let volume =
        rustix::fs::statvfs(folder).map_err(Error::io(format!("asking for the space in {}", folder.display())))?;
    let free_bytes = volume.f_bavail.saturating_mul(volume.f_frsize);
    if needed_bytes <= free_bytes {
        return Ok(());
    }
    let what =
        format!("replacing {}: it takes {needed_bytes} bytes beside it, and {free_bytes} are free", target.display());
    Err(Error::NoSpace { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed() {
        let (small, large) = (10, 100);
        let growing = Sizes { old_bytes: small, new_bytes: large };
        let shrinking = Sizes { old_bytes: large, new_bytes: small };
        assert_eq!([growing.needed_bytes(true), growing.needed_bytes(false)], [200, 110]);
        assert_eq!([shrinking.needed_bytes(true), shrinking.needed_bytes(false)], [110, 200]);
    }

    #[test]
    fn what_is_not_there_is_said_in_figures() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("data.db");
        check(&target, 1).unwrap();
        let error = check(&target, u64::MAX).unwrap_err();
        assert!(matches!(&error, Error::NoSpace { what } if what.contains(&u64::MAX.to_string())), "{error}");
    }
}
