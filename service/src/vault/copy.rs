//! Backups from one vault into another.

use std::sync::Arc;

use super::Vaults;
use super::path::VaultPath;
use super::store::Vault;
use crate::catalog::{Backup, BackupFilter, Place, Record, State};
use crate::config::ByteSize;
use crate::pipeline::{ArchiveHead, Transfer};
use crate::{Error, Result};

/// What is copied, and where to.
#[derive(Debug, Default)]
pub struct CopyRequest {
    /// The vault that takes the copies.
    pub to: String,
    /// The one they are taken from; by default any other.
    pub from: Option<String>,
    /// These backups; all where none is named.
    pub ids: Vec<String>,
    /// At most so much a second.
    pub bandwidth: Option<ByteSize>,
}

impl Vaults {
    /// Copies what the other vault does not have yet, one archive after the other, oldest first: whoever was stopped goes on with the one
    /// at which he was. Each copy is held to the SHA-256 of what was written once. That one fails keeps no other from being copied.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a vault or backup that is none; what goes wrong with one backup is told by `tell`.
    pub async fn copy(
        &self,
        request: &CopyRequest,
        run: &Arc<Transfer>,
        mut tell: impl FnMut(&Backup, Result<()>),
    ) -> Result<()> {
        run.or_cancelled(self.sweep()).await?;
        let to = self.vault(&request.to)?.clone();
        let to = request.bandwidth.map_or(to.clone(), |most| to.at_pace(most.bytes()));
        let from = request.from.as_deref().map(|name| self.vault(name)).transpose()?;
        if from.is_some_and(|from| from.name() == to.name()) {
            return Err(Error::Usage("a vault can't be copied into itself: --from and --to name the same".into()));
        }
        for backup in self.chosen(&request.ids).await?.into_iter().rev() {
            if backup.places.iter().any(|place| place.vault == to.name()) {
                continue;
            }
            let source = self.inner.vaults.iter().filter(|vault| from.is_none_or(|from| from.name() == vault.name()));
            let mut found = source.filter_map(|vault| {
                let place = backup.places.iter().find(|place| place.vault == vault.name())?;
                Some((vault, place))
            });
            let Some((source, place)) = found.next() else {
                if !request.ids.is_empty() {
                    let id = &backup.record.id;
                    let why = format!("no vault to copy from has backup {id}: it is in {}", backup.vaults.join(", "));
                    tell(&backup, Err(Error::NotFound(why)));
                }
                continue;
            };
            run.check()?;
            let copied = Box::pin(self.copy_one(&backup, source, place, &to, run)).await;
            run.check()?;
            if copied.is_err() && self.has_gone(&backup).await? {
                continue;
            }
            run.add_entry();
            tell(&backup, copied);
        }
        Ok(())
    }

    /// The good backups of these ids; all where none is named. Newest first.
    pub(super) async fn chosen(&self, ids: &[String]) -> Result<Vec<Backup>> {
        if ids.is_empty() {
            return self.catalog().backups(&BackupFilter { state: Some(State::Good), ..BackupFilter::default() }).await;
        }
        let mut chosen = Vec::with_capacity(ids.len());
        for id in ids {
            let backup = self.catalog().backup(id).await?;
            if backup.state != State::Good {
                return Err(Error::Unfit(format!(
                    "there is no archive of backup {}: it is no good one",
                    backup.record.id
                )));
            }
            chosen.push(backup);
        }
        Ok(chosen)
    }

    /// Whether somebody has deleted a backup meanwhile: that is no failure.
    pub(super) async fn has_gone(&self, backup: &Backup) -> Result<bool> {
        match self.catalog().backup(&backup.record.id).await {
            Ok(now) => Ok(now.state != State::Good),
            Err(Error::NotFound(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Notes an archive of a backup that is known; one that was deleted meanwhile does not come back by it.
    pub(super) async fn stands_still(&self, record: &Record, vault: &Vault, path: &str) -> Result<()> {
        if self.catalog().stands_still(record, vault.name(), path).await? {
            return Ok(());
        }
        vault.delete(path).await?;
        Err(Error::NotFound(format!("backup {} was deleted meanwhile", record.id)))
    }

    async fn copy_one(
        &self,
        backup: &Backup,
        from: &Vault,
        place: &Place,
        to: &Vault,
        run: &Arc<Transfer>,
    ) -> Result<()> {
        let path = place.path.as_str();
        let media_type = path.parse::<VaultPath>()?.media_type();
        let record = place.record(&backup.record);
        let id = record.id()?;
        self.must_be_mounted(from).await?;
        self.must_be_mounted(to).await?;
        let copying = async {
            let archive = from.archive(path)?;
            let head = run.or_cancelled(ArchiveHead::read(&archive)).await?;
            if head.id.is_some_and(|found| found != id.archive()) {
                return Err(Error::Mismatch("another archive stands in the place of this backup".into()));
            }
            let (pieces, length) = run.or_cancelled(archive.pieces()).await?;
            place.check_length(length)?;
            to.write(path, media_type, pieces, record.sha256.clone(), &self.inner.budget, run).await?;
            run.or_cancelled(to.write_record(path, &record)).await
        };
        self.writing_alone(to, path, copying).await?;
        self.stands_still(&record, to, path).await
    }
}
