//! Vaults: where backups are kept, made, found, copied and cleared away.
//!
//! A vault is a folder or a prefix of a bucket. An archive appears in it under its name only when it is whole, with a record beside it
//! of what is known of it. The vault is the truth: the catalogue tells quickly what it holds, and can be made again from it.

mod backup;
mod copy;
mod find;
mod folder;
mod hook;
mod pace;
mod path;
mod prune;
mod rescan;
mod retention;
mod rewrap;
mod run;
mod store;
mod sweep;

use std::sync::Arc;

use coffer_crypto::SigningKey;

use crate::catalog::Catalog;
use crate::config::Config;
use crate::pipeline::{Budget, EXPORT_BYTES, ReadKeys, Trust};
use crate::{Error, Result};
pub use backup::Stands;
pub use copy::CopyRequest;
pub use find::{Found, PointInTime, Wanted};
pub use path::VaultPath;
pub use prune::{Pruned, PrunedBackup};
pub use rescan::{Emptied, Rescanned};
pub use retention::{Keep, Verdict, judge};
pub use run::BackedUp;
use store::Vault;

/// All vaults with their catalogue. Cheap to clone.
#[derive(Clone)]
pub struct Vaults {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    catalog: Catalog,
    vaults: Vec<Vault>,
    signing_key: Option<Arc<SigningKey>>,
    budget: Budget,
}

impl Vaults {
    /// Opens the catalogue. The vaults are looked at when something is asked of them.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no vault; those of [`Catalog::open`] and of the keys.
    pub async fn open(config: &Config, budget: Budget) -> Result<Self> {
        config.vault(None)?;
        Self::with(config, budget, Catalog::open(&config.state).await?)
    }

    /// As [`Vaults::open`], with the catalogue that is open already.
    ///
    /// # Errors
    /// Where there is no vault; those of the keys.
    pub fn with(config: &Config, budget: Budget, catalog: Catalog) -> Result<Self> {
        config.vault(None)?;
        let vaults = config.vaults.iter().map(Vault::new).collect();
        let signing_key = config.keys.signing_key()?;
        let config = config.clone();
        let inner = Inner { config, catalog, vaults, signing_key, budget };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What is known of backups and jobs.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// What the vaults' archives are opened with where nobody says otherwise: the service's own identities. Where the service signs, or
    /// somebody is named to be trusted, nothing is taken that neither has signed.
    ///
    /// # Errors
    /// Those of the files of keys.
    pub fn read_keys(&self) -> Result<ReadKeys> {
        let mut keys = ReadKeys { trust: self.trust()?, ..ReadKeys::default() };
        keys.unlock.identities = self.inner.config.keys.load()?.identities;
        Ok(keys)
    }

    /// Whose signature has to be on what a vault gives.
    pub(crate) fn trust(&self) -> Result<Trust> {
        let own = self.inner.signing_key.as_ref().map(|key| key.public().to_string());
        let trusted: Vec<_> = self.inner.config.keys.trust.iter().cloned().chain(own).collect();
        Trust::parse(&trusted, "[keys] trust")
    }

    /// The vault that takes backups.
    fn first(&self) -> Result<&Vault> {
        self.inner.vaults.first().ok_or_else(|| Error::Usage("there is no [[vault]] to keep backups in".into()))
    }

    fn vault(&self, name: &str) -> Result<&Vault> {
        self.inner.config.vault(Some(name))?;
        let found = self.inner.vaults.iter().find(|vault| vault.name() == name);
        found.ok_or_else(|| Error::NotFound(format!("there is no vault {name:?}")))
    }

    /// Does something to a path of a vault that nobody else is at meanwhile, and that a process which comes after this one finds noted
    /// should this one die.
    ///
    /// # Errors
    /// [`Error::Busy`] where another process is at it; those of the work.
    async fn writing_alone<T>(&self, vault: &Vault, path: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.catalog().begin_write(vault.name(), path).await?;
        let done = work.await;
        // What was done is done, whether that can be noted or not.
        if let Err(error) = self.catalog().end_write(vault.name(), path).await {
            tracing::warn!(path, %error, "the end of a write could not be noted");
        }
        done
    }

    /// How many backups can be made at once with the memory that there is; at most `wished`.
    #[must_use]
    pub fn at_once(&self, wished: usize) -> usize {
        let taker_bytes = self.inner.vaults.first().map_or(0, Vault::taker_bytes);
        wished.clamp(1, self.inner.budget.transfers_at_once(EXPORT_BYTES + taker_bytes))
    }
}
