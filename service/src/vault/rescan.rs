//! The catalogue, brought in line with what stands in the vaults.

use std::collections::HashMap;

use serde::Serialize;

use super::Vaults;
use super::backup::known;
use super::folder::Found;
use super::path::{VaultPath, is_record};
use super::store::{Vault, is_hidden};
use crate::catalog::{BackupFilter, Record, State, Trigger};
use crate::pipeline::{ArchiveHead, Contents, Direction, Expected, RandomArchive, ReadKeys, Transfer, check};
use crate::{Error, Outcome, Result};

/// What a rescan found.
#[derive(Debug, Default, Serialize)]
pub struct Rescanned {
    /// Archives that stand in the vaults.
    pub found: u64,
    /// Those of which the catalogue did not know.
    pub added: u64,
    /// Those of which the catalogue knew and that are gone.
    pub dropped: u64,
    /// What stands there and is no archive that can be read.
    pub unreadable: Vec<Unreadable>,
    /// Why a vault could not be looked at; of that one nothing was forgotten.
    #[serde(skip)]
    pub failures: Vec<Error>,
}

/// Whether a vault's folder that holds nothing was emptied on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// Its disk is not mounted, more likely.
    Unlikely,
    /// It was.
    OnPurpose,
}

impl Rescanned {
    fn unreadable(&mut self, vault: &Vault, path: &str, why: String) {
        self.unreadable.push(Unreadable { path: format!("{}: {path}", vault.name()), why });
    }
}

/// Something in a vault that is no backup.
#[derive(Debug, Serialize)]
pub struct Unreadable {
    /// The vault and the path in it.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

impl Vaults {
    /// Takes up what stands in the vaults and the catalogue does not know, and forgets what is gone. Of an archive that the service has
    /// a key for, both ends are read; of another one what is kept beside it is believed, as far as it fits the archive.
    ///
    /// # Errors
    /// Those of the catalogue. What is wrong with one vault stands in what is given.
    pub async fn rescan(&self, emptied: Emptied) -> Result<Rescanned> {
        self.sweep().await?;
        let mut rescanned = Rescanned::default();
        for vault in &self.inner.vaults {
            match self.rescan_vault(vault, emptied, &mut rescanned).await {
                Ok(()) => {}
                Err(error @ Error::State { .. }) => return Err(error),
                Err(error) => rescanned.failures.push(error),
            }
        }
        rescanned.dropped += self.forget_other_vaults().await?;
        Ok(rescanned)
    }

    /// Forgets what stands in vaults that the configuration no longer has, or nowhere.
    async fn forget_other_vaults(&self) -> Result<u64> {
        let good = BackupFilter { state: Some(State::Good), ..BackupFilter::default() };
        let mut dropped = 0;
        for backup in self.catalog().backups(&good).await? {
            if backup.vaults.is_empty() {
                self.catalog().gone(backup.record.id()?, "").await?;
                dropped += 1;
            }
            for name in backup.vaults.iter().filter(|name| self.vault(name).is_err()) {
                self.catalog().gone(backup.record.id()?, name).await?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    async fn rescan_vault(&self, vault: &Vault, emptied: Emptied, rescanned: &mut Rescanned) -> Result<()> {
        if emptied == Emptied::Unlikely {
            self.must_be_mounted(vault).await?;
        }
        let mut in_catalogue = self.paths_in(vault).await?;
        let mut listing = vault.list().await?;
        while let Some((page, rest)) = vault.next_page(listing).await? {
            listing = rest;
            for found in page {
                let (path, size) = match found {
                    Found::File(path, _) if is_record(&path) || is_hidden(&path) => continue,
                    Found::File(path, size) => (path, size),
                    Found::Odd(path, why) => {
                        let below = |known: &str| known.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'));
                        let before = in_catalogue.len();
                        in_catalogue.retain(|known, _| !below(known));
                        if in_catalogue.len() < before {
                            let lost = before - in_catalogue.len();
                            rescanned.failures.push(Error::NotFound(format!(
                                "vault {}: {path} can't be looked into, where the catalogue knows {lost} backups: {why}",
                                vault.name()
                            )));
                        }
                        rescanned.unreadable(vault, &path, why);
                        continue;
                    }
                };
                match self.take_up(vault, &path, size, &mut in_catalogue).await {
                    Ok(is_new) => {
                        rescanned.found += 1;
                        rescanned.added += u64::from(is_new);
                    }
                    // What says nothing of the archive must not make it go from the catalogue.
                    Err(error) if !is_verdict(&error) => return Err(error),
                    Err(error) => rescanned.unreadable(vault, &path, error.to_string()),
                }
            }
        }
        for path in in_catalogue.into_keys() {
            let path: VaultPath = path.parse()?;
            self.catalog().gone(path.id, vault.name()).await?;
            rescanned.dropped += 1;
        }
        Ok(())
    }

    /// Refuses a vault that holds nothing where the catalogue knows archives in it.
    pub(super) async fn must_be_mounted(&self, vault: &Vault) -> Result<()> {
        let known = self.catalog().count_in(vault.name()).await?;
        if known == 0 || !vault.looks_unmounted().await? {
            return Ok(());
        }
        Err(Error::NotFound(format!(
            "vault {}: there is nothing in {}, and the catalogue knows {known} backups there: is its disk mounted? Where it was \
             emptied on purpose, say `coffer backups rescan --emptied`",
            vault.name(),
            vault.url()
        )))
    }

    /// What the catalogue says of a vault: paths, and the length of what stands there.
    async fn paths_in(&self, vault: &Vault) -> Result<HashMap<String, Option<u64>>> {
        let good = BackupFilter { state: Some(State::Good), ..BackupFilter::default() };
        let backups = self.catalog().backups(&good).await?;
        let mut paths = HashMap::new();
        for backup in backups {
            let here = backup.places.iter().filter(|place| place.vault == vault.name());
            paths.extend(here.map(|place| (place.path.clone(), place.bytes)));
        }
        Ok(paths)
    }

    /// Sees to one path; tells whether the catalogue did not know it.
    async fn take_up(
        &self,
        vault: &Vault,
        path: &str,
        size: u64,
        in_catalogue: &mut HashMap<String, Option<u64>>,
    ) -> Result<bool> {
        let parsed: VaultPath = path.parse()?;
        if self.catalog().is_being_deleted(parsed.id).await? {
            in_catalogue.remove(path);
            return Ok(false);
        }
        if in_catalogue.get(path).is_some_and(|bytes| *bytes == Some(size)) {
            in_catalogue.remove(path);
            return Ok(false);
        }
        let record = self.look_at(vault, &parsed, size).await?;
        self.catalog().stands(&record, vault.name(), path).await?;
        Ok(in_catalogue.remove(path).is_none())
    }

    /// Takes an archive up that may be there, and writes what is known of it beside it where nothing is; tells whether it is there.
    pub(super) async fn adopt_if_there(&self, vault: &Vault, path: &VaultPath, trigger: Trigger) -> Result<bool> {
        let size = match ArchiveHead::size_of(&vault.archive(&path.to_string())?).await {
            Err(Error::NotFound(_)) => return Ok(false),
            size => size?,
        };
        let record = match self.look_at(vault, path, size).await {
            Ok(record) => Record { trigger, ..record },
            Err(error) if is_verdict(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        if vault.read_record(&path.to_string()).await?.is_none()
            && let Err(error) = vault.write_record(&path.to_string(), &record).await
        {
            tracing::warn!(%path, %error, "what is known of a backup could not be kept beside it");
        }
        self.catalog().stands(&record, vault.name(), &path.to_string()).await.map(|()| true)
    }

    /// What can be known of an archive: from itself where there is a key for it, and from what is kept beside it.
    async fn look_at(&self, vault: &Vault, path: &VaultPath, size: u64) -> Result<Record> {
        let place = vault.archive(&path.to_string())?;
        let head = ArchiveHead::read(&place).await?;
        if path.is_sealed() != head.id.is_some() || head.id.is_some_and(|id| id != path.id.archive()) {
            return Err(Error::Mismatch("the archive there is another than its name says".into()));
        }
        let kept = vault.read_record(&path.to_string()).await?.filter(|record| is_of(record, path));
        let bare = Record { bytes: Some(size), ..Record::new(path.id, &path.app, path.created, Trigger::Rescan) };
        let keys = ReadKeys { trust: crate::pipeline::Trust::default(), ..self.read_keys()? };
        let can_be_opened = head.id.is_none() || !keys.unlock.identities.is_empty();
        let opened = match can_be_opened {
            true => {
                let transfer = Transfer::begin(Direction::Verify, None)?;
                RandomArchive::open(&place, keys, &self.inner.budget, &transfer).await.map(|(archive, _)| archive)
            }
            false => Ok(None),
        };
        match opened {
            Ok(Some(archive)) => {
                let manifest =
                    super::store::blocking(move || Ok((archive.manifest()?, archive.summary().clone()))).await?;
                let (manifest, summary) = manifest;
                if manifest.archive_id != path.id.archive().to_string()
                    || (manifest.source.as_str(), manifest.app.as_str())
                        != (path.app.source.as_str(), path.app.app.as_str())
                {
                    return Err(Error::Mismatch("the archive there is another than its name says".into()));
                }
                // Of what the archive itself tells nobody else is believed.
                let kept = kept.filter(|kept| kept.bytes.is_none_or(|bytes| bytes == size));
                let sha256 = kept.as_ref().and_then(|kept| kept.sha256.clone());
                let told = kept.as_ref().and_then(|kept| kept.recipients.clone());
                let recipients = match head.id {
                    None => Some(Vec::new()),
                    Some(_) => told.filter(|recipients| !recipients.is_empty()),
                };
                let engine = Some(manifest.engine.kind.clone());
                let skipped = Some(manifest.skipped.len() as u64);
                let base = Record { bytes: Some(size), ..kept.unwrap_or(bare) };
                Ok(Record { engine, skipped, recipients, sha256, ..known(base, &summary, None) })
            }
            // Others packed it, so that it can be read as a stream alone.
            Ok(None) if head.id.is_none() => self.read_through(vault, path, bare).await,
            // Nothing opens it here.
            Ok(None) => fits(kept, bare, size, path.is_sealed()),
            Err(error) if error.outcome() == Outcome::WrongKey => match kept {
                Some(kept) if self.is_for_us(&kept)? => Err(Error::Mismatch(
                    "it was sealed for a key of this service, which does not open it: its header is damaged".into(),
                )),
                kept => fits(kept, bare, size, path.is_sealed()),
            },
            Err(error) => Err(error),
        }
    }
}

impl Vaults {
    /// What a plain archive holds that is no archive of ours packing: all of it has to be read.
    async fn read_through(&self, vault: &Vault, path: &VaultPath, bare: Record) -> Result<Record> {
        let (input, _) = vault.archive(&path.to_string())?.open().await?;
        let expected = Some(Expected { id: path.id.archive(), app: path.app.clone() });
        let keys = ReadKeys { expected, ..ReadKeys::default() };
        let transfer = Transfer::begin(Direction::Verify, None)?;
        let Contents { manifest, summary } = check(input, keys, &self.inner.budget, &transfer).await?;
        let (engine, skipped) = (Some(manifest.engine.kind), Some(manifest.skipped.len() as u64));
        Ok(Record { engine, skipped, recipients: Some(Vec::new()), ..known(bare, &summary, None) })
    }

    /// Whether a record says that a key of this service opens its archive.
    fn is_for_us(&self, record: &Record) -> Result<bool> {
        let own = self.inner.config.keys.load()?.identities;
        let recipients = record.recipients.as_deref().unwrap_or_default();
        Ok(own.iter().any(|identity| recipients.contains(&identity.recipient().to_string())))
    }
}

/// What is kept beside an archive that can't be opened here, where it is of that archive.
fn fits(kept: Option<Record>, bare: Record, size: u64, is_sealed: bool) -> Result<Record> {
    match kept {
        Some(kept) if kept.bytes == Some(size) => Ok(sealed_for_some(kept, is_sealed)),
        // It was about to be written anew when whoever did so died.
        Some(kept) if kept.bytes.is_none() => Ok(sealed_for_some(Record { bytes: Some(size), ..kept }, is_sealed)),
        Some(kept) => Err(Error::Mismatch(format!(
            "the archive has {size} bytes where {} were written: it is damaged or cut short",
            kept.bytes.unwrap_or_default()
        ))),
        None => Ok(bare),
    }
}

/// A sealed archive has recipients, whatever is said of it.
fn sealed_for_some(record: Record, is_sealed: bool) -> Record {
    let recipients = record.recipients.filter(|recipients| recipients.is_empty() != is_sealed);
    Record { recipients, ..record }
}

fn is_of(record: &Record, path: &VaultPath) -> bool {
    record.id().ok() == Some(path.id)
        && record.app().ok().as_ref() == Some(&path.app)
        && record.created().ok() == Some(path.created)
}

/// Whether an error says what is wrong with an archive, and not that it could not be looked at.
fn is_verdict(error: &Error) -> bool {
    matches!(
        error.outcome(),
        Outcome::Damaged
            | Outcome::Usage
            | Outcome::TooLarge
            | Outcome::NotFound
            | Outcome::Untrusted
            | Outcome::Changed
    )
}
