//! The archive that a command is given: a file, standard input, an object, or a backup by its id.

use std::path::Path;

use crate::Result;
use crate::config::Config;
use crate::pipeline::{ArchivePlace, Budget, ReadKeys};
use crate::vault::{Vaults, Wanted};

/// What the ids of backups begin with.
const BACKUP: &str = "bk_";

/// Whether a text names a backup. A file of such a name is `./bk_…`.
pub(super) fn is_backup(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(BACKUP))
}

/// Where the archive is. What a vault gives has to be signed where the service signs, unless the flags name somebody else to be trusted.
pub(super) async fn find(config: &Config, path: &Path, keys: ReadKeys) -> Result<(ArchivePlace, ReadKeys)> {
    if !is_backup(path) {
        return Ok((config.archive(path)?, keys));
    }
    let vaults = Vaults::open(config, Budget::new(config.memory)).await?;
    find_in(config, path, keys, || Ok(vaults.clone())).await
}

/// As [`find`], in vaults that may be open already.
pub(super) async fn find_in(
    config: &Config,
    path: &Path,
    mut keys: ReadKeys,
    vaults: impl Fn() -> Result<Vaults>,
) -> Result<(ArchivePlace, ReadKeys)> {
    let Some(id) = path.to_str().filter(|_| is_backup(path)) else { return Ok((config.archive(path)?, keys)) };
    let vaults = vaults()?;
    let found = vaults.find(&Wanted::Id(id.to_owned())).await?;
    keys.expected = Some(found.expected);
    if !keys.trust.is_asked_for() {
        keys.trust = vaults.trust()?;
    }
    Ok((found.archive, keys))
}
