//! Backups that go: by the rules of retention, or because somebody says so.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::store::Vault;
use super::{Keep, Vaults, judge};
use crate::catalog::{Backup, BackupFilter, Claim, State};
use crate::name::AppName;
use crate::pipeline::ArchiveHead;
use crate::{Error, Result};

/// How long it is remembered that a backup failed.
const FAILED_FOR: Duration = Duration::from_secs(90 * 86_400);

/// What a prune did, or would do.
#[derive(Debug, Default, Serialize)]
pub struct Pruned {
    /// Whether nothing was touched.
    pub dry_run: bool,
    /// What stays, with the rules that keep it.
    pub kept: Vec<PrunedBackup>,
    /// What went, or would go.
    pub gone: Vec<PrunedBackup>,
    /// What would go, and can't: the bucket's object lock keeps it.
    pub locked: Vec<PrunedBackup>,
    /// What would go, and could not be deleted.
    pub failed: Vec<PrunedBackup>,
}

/// A backup, and why that becomes of it.
#[derive(Debug, Serialize)]
pub struct PrunedBackup {
    /// Its id.
    pub id: String,
    /// Its app.
    pub app: String,
    /// Its time.
    pub created: String,
    /// Why.
    pub why: Vec<String>,
}

impl PrunedBackup {
    fn new(backup: &Backup, why: Vec<String>) -> Self {
        let record = &backup.record;
        let app = format!("{}/{}", record.source, record.app);
        Self { id: record.id.clone(), app, created: record.created.clone(), why }
    }
}

impl Vaults {
    /// Judges the good backups of these apps, or of all, by `keep` or else by the schedules that are for them, and deletes from every
    /// vault what no rule keeps. What failed is no backup and counts for nothing; the newest good one of an app stays in any case, and so
    /// does what the bucket's object lock keeps.
    ///
    /// # Errors
    /// Those of the catalogue; [`Error::NotFound`] for an app of which there is no good backup. That one backup can't be deleted stands in
    /// what is given, and keeps no other.
    pub async fn prune(&self, apps: &[AppName], keep: Option<&Keep>, dry_run: bool, now: Timestamp) -> Result<Pruned> {
        let mut pruned = Pruned { dry_run, ..Pruned::default() };
        let is_named = !apps.is_empty();
        let apps = if apps.is_empty() { self.catalog().apps().await? } else { apps.to_vec() };
        for app in &apps {
            let of_schedules = || self.inner.config.schedules.iter().filter(|schedule| schedule.has(app));
            let keeps: Vec<&Keep> = match keep {
                Some(keep) => vec![keep],
                // A schedule that says nothing keeps everything.
                None if of_schedules().any(|schedule| schedule.keep.is_none()) => Vec::new(),
                None => of_schedules().filter_map(|schedule| schedule.keep.as_ref()).collect(),
            };
            let mut backups = self.catalog().backups(&BackupFilter::good(app)).await?;
            backups.retain(|backup| self.has(backup));
            if backups.is_empty() && is_named {
                return Err(Error::NotFound(format!("there is no good backup of {app}")));
            }
            let dated = backups.into_iter().map(|backup| Ok((backup.record.created()?, backup)));
            for verdict in judge(dated.collect::<Result<Vec<_>>>()?, &keeps, now) {
                let backup = verdict.backup;
                if !verdict.kept_by.is_empty() {
                    pruned.kept.push(PrunedBackup::new(&backup, verdict.kept_by));
                    continue;
                }
                let removed = match dry_run {
                    true => self.locked_until(&backup).await.map(|until| until.map_or(Removed::Gone, Removed::Locked)),
                    false => self.claim_and_remove(&backup, false).await,
                };
                let removed = match removed {
                    Err(error @ Error::State { .. }) => return Err(error),
                    Err(error) => {
                        pruned.failed.push(PrunedBackup::new(&backup, vec![error.to_string()]));
                        continue;
                    }
                    Ok(removed) => removed,
                };
                match removed {
                    Removed::Gone => pruned.gone.push(PrunedBackup::new(&backup, vec!["no rule keeps it".into()])),
                    Removed::LastGood => pruned.kept.push(PrunedBackup::new(&backup, vec!["the last good one".into()])),
                    Removed::Locked(until) => {
                        pruned.locked.push(PrunedBackup::new(&backup, vec![format!("locked until {until}")]));
                    }
                }
            }
        }
        if !dry_run {
            let before = now.checked_sub(FAILED_FOR).unwrap_or(Timestamp::MIN);
            self.catalog().forget_failed(before).await?;
        }
        Ok(pruned)
    }

    /// Deletes one backup from every vault, or forgets an attempt that failed.
    ///
    /// # Errors
    /// [`Error::Kept`] for the last good one of its app unless `force` is said, and where a bucket's object lock keeps it;
    /// [`Error::Busy`] for one that is being made.
    pub async fn delete(&self, id: &str, force: bool) -> Result<Backup> {
        let backup = self.lookup(id).await?;
        let (id, app) = (backup.record.id()?, backup.record.app()?);
        match backup.state {
            State::Running => return Err(Error::Busy(format!("backup {id} is being made: wait for it"))),
            State::Deleting => return Err(Error::Busy(format!("backup {id} is being deleted already"))),
            State::Failed => {
                self.catalog().gone(id, "").await?;
                return Ok(backup);
            }
            State::Good => {}
        }
        match self.claim_and_remove(&backup, force).await? {
            Removed::Gone => Ok(backup),
            Removed::Locked(until) => Err(Error::Kept(format!("backup {id} is locked by its bucket until {until}"))),
            Removed::LastGood => Err(Error::Kept(format!(
                "backup {id} is the last good one of {app}: say --force (over HTTP ?force=true) to delete it all the same"
            ))),
        }
    }

    /// Whether a vault of the configuration has it.
    fn has(&self, backup: &Backup) -> bool {
        backup.vaults.iter().any(|name| self.inner.vaults.iter().any(|vault| vault.name() == name))
    }

    /// Until when the vaults of the configuration keep it; none where they let it go.
    async fn locked_until(&self, backup: &Backup) -> Result<Option<String>> {
        for place in &backup.places {
            if let Ok(vault) = self.vault(&place.vault)
                && let Some(until) = vault.locked_until(&place.path).await?
            {
                return Ok(Some(until));
            }
        }
        Ok(None)
    }

    /// Deletes a backup from every vault, unless one of them locks it. Nobody else deletes it or another one of its app as the last but
    /// one at the same time.
    async fn claim_and_remove(&self, backup: &Backup, force: bool) -> Result<Removed> {
        if let Some(until) = self.locked_until(backup).await? {
            return Ok(Removed::Locked(until));
        }
        for place in &backup.places {
            if let Ok(vault) = self.vault(&place.vault) {
                self.must_be_mounted(vault).await?;
            }
        }
        let (id, app) = (backup.record.id()?, backup.record.app()?);
        // Of what stands in a vault that the configuration no longer has nobody knows whether it does.
        let vaults: Vec<_> = self.inner.vaults.iter().map(Vault::name).collect();
        match self.catalog().claim(id, &app, &vaults, force).await? {
            Claim::Ours => {}
            Claim::LastGood => return Ok(Removed::LastGood),
            // Somebody else has deleted it.
            Claim::NotGood => return Ok(Removed::Gone),
        }
        // What was copied since it was looked at goes with it; from now on nothing is.
        let backup = self.catalog().backup(&backup.record.id).await?;
        let mut gone = Vec::new();
        for place in &backup.places {
            // Of a vault that the configuration no longer has nothing is known.
            if let Ok(vault) = self.vault(&place.vault)
                && let Err(error) = self.writing_alone(vault, &place.path, vault.delete(&place.path)).await
            {
                self.catalog().unclaim(id).await?;
                return Err(match gone.is_empty() {
                    true => error,
                    false => error.about(format!("it is gone from {}, but not from all", gone.join(", "))),
                });
            }
            self.catalog().gone(id, &place.vault).await?;
            gone.push(place.vault.as_str());
        }
        // Also one that stood nowhere.
        self.catalog().gone(id, "").await?;
        Ok(Removed::Gone)
    }

    /// Sees to backups whose deletion was begun by a process that died: what stands still is a good one again.
    pub(super) async fn end_half_deleted(&self) -> Result<()> {
        for backup in self.catalog().half_deleted().await? {
            let id = backup.record.id()?;
            for place in &backup.places {
                let Ok(vault) = self.vault(&place.vault) else { continue };
                self.must_be_mounted(vault).await?;
                match ArchiveHead::size_of(&vault.archive(&place.path)?).await {
                    Err(Error::NotFound(_)) => self.catalog().gone(id, &place.vault).await?,
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
            }
            self.catalog().gone(id, "").await?;
            self.catalog().unclaim(id).await?;
        }
        Ok(())
    }
}

/// What became of a backup that was to go.
enum Removed {
    Gone,
    LastGood,
    Locked(String),
}
