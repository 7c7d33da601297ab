//! The path of an archive in a vault, which tells whose it is, of when, and which.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::catalog::BackupId;
use crate::name::AppName;
use crate::{Error, Result};

const TIME: &str = "%Y%m%dT%H%M%SZ";
const RECORD: &str = ".json";
const EXTENSIONS: [&str; 3] = ["coffer", "tar.gz", "tar.zst"];

/// `SOURCE/APP/20261121T030000Z-bk_<id>.coffer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultPath {
    /// The app.
    pub app: AppName,
    /// The time of its state, in whole seconds.
    pub created: Timestamp,
    /// The backup.
    pub id: BackupId,
    extension: &'static str,
}

impl VaultPath {
    /// The path of a new archive; `extension` is one of those that archives have.
    #[must_use]
    pub fn new(app: AppName, created: Timestamp, id: BackupId, extension: &'static str) -> Self {
        Self { app, created, id, extension }
    }

    /// The archive's media type.
    pub(super) fn media_type(&self) -> &'static str {
        match self.extension {
            "coffer" => "application/vnd.coffer",
            "tar.zst" => "application/zstd",
            _ => "application/gzip",
        }
    }

    /// Whether the archive at this path is sealed.
    pub(super) fn is_sealed(&self) -> bool {
        self.extension == EXTENSIONS[0]
    }
}

/// The path of what is known of the archive at `path`.
pub(super) fn record_of(path: &str) -> String {
    let stem = EXTENSIONS.iter().find_map(|extension| path.strip_suffix(extension)?.strip_suffix('.'));
    format!("{}{RECORD}", stem.unwrap_or(path))
}

/// Whether there is what is known of an archive, and not the archive itself.
pub(super) fn is_record(path: &str) -> bool {
    path.strip_suffix(RECORD).is_some_and(|stem| format!("{stem}.coffer").parse::<VaultPath>().is_ok())
}

impl fmt::Display for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.created.to_zoned(TimeZone::UTC).strftime(TIME);
        write!(f, "{}/{time}-{}.{}", self.app, self.id, self.extension)
    }
}

impl FromStr for VaultPath {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        let parse = || {
            let (app, file) = path.rsplit_once('/')?;
            let (stem, extension) = file.split_once('.')?;
            let extension = EXTENSIONS.into_iter().find(|known| *known == extension)?;
            let (time, id) = stem.split_once('-')?;
            let created = DateTime::strptime(TIME, time).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
            Some(Self { app: app.parse().ok()?, created, id: id.parse().ok()?, extension })
        };
        let parsed = parse().filter(|parsed| parsed.to_string() == path);
        parsed.ok_or_else(|| Error::Usage("its name is none that coffer gives to a backup".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_all_that_it_was_made_of() {
        let path = "crm/acme.b/20261121T030000Z-bk_00ab0000000000000000000000000001.coffer";
        let parsed: VaultPath = path.parse().unwrap();
        assert_eq!(parsed.to_string(), path);
        assert_eq!(parsed.created.to_string(), "2026-11-21T03:00:00Z");
        assert_eq!(parsed.app.to_string(), "crm/acme.b");
        let record = record_of(path);
        assert_eq!(record, path.replace(".coffer", ".json"));
        assert!(is_record(&record) && !is_record(path) && !is_record("notes.json"));
        for wrong in [
            "",
            "x",
            "crm/acme/20261121T030000Z-bk_00ab0000000000000000000000000001",
            "crm/acme/20261121T030000Z-bk_00ab0000000000000000000000000001.zip",
            "crm/acme/20261121T036000Z-bk_00ab0000000000000000000000000001.coffer",
            "crm/acme/2026-11-21-bk_00ab0000000000000000000000000001.coffer",
            "crm/acme/20261121T030000Z-bk_00AB0000000000000000000000000001.coffer",
            "crm/../20261121T030000Z-bk_00ab0000000000000000000000000001.coffer",
            "a/crm/acme/20261121T030000Z-bk_00ab0000000000000000000000000001.coffer",
        ] {
            assert!(wrong.parse::<VaultPath>().is_err(), "{wrong}");
        }
    }
}
