//! What dead processes left behind: attempts that never ended, half files, uploads that nobody goes on with.

use jiff::Timestamp;

use super::Vaults;
use super::path::VaultPath;
use super::store::Vault;
use crate::catalog::Record;
use crate::{Error, Result};

/// How old an upload is that nobody knows of, before it is taken for a leftover, in seconds.
const FORGOTTEN_SECONDS: i64 = 86_400;

impl Vaults {
    /// Clears away what processes that are gone left in the vaults and in the catalogue, and tells how many things. What living ones are
    /// at stays, also where they run on another machine. It is no more than housekeeping: that one vault can't be swept is logged, and
    /// keeps nobody from his work with another.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn sweep(&self) -> Result<u64> {
        let mut swept = self.settle().await?;
        for vault in &self.inner.vaults {
            match self.sweep_vault(vault).await {
                Ok(count) => swept += count,
                Err(error @ Error::State { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!(vault = vault.name(), %error, "what dead processes may have left could not be cleared away");
                }
            }
        }
        Ok(swept)
    }

    async fn sweep_vault(&self, vault: &Vault) -> Result<u64> {
        let uploads = vault.uploads().await?;
        // Read after the uploads were listed: what somebody has begun since is none of these.
        let writes = self.catalog().writes(vault.name()).await?;
        let now = Timestamp::now().as_second();
        let mut swept = vault.sweep_files().await?;
        for (path, upload) in &uploads {
            let write = writes.iter().find(|write| write.path == *path);
            let is_forgotten = now.saturating_sub(upload.begun) > FORGOTTEN_SECONDS;
            if write.map_or(is_forgotten, |write| write.is_dead) {
                vault.abort(upload).await?;
                swept += 1;
            }
        }
        for write in writes.iter().filter(|write| write.is_dead) {
            self.catalog().forget_write(vault.name(), &write.path, &write.worker).await?;
        }
        Ok(swept)
    }

    /// Sees to attempts and deletions whose process has gone, so that none is told of that nobody is at.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn settle(&self) -> Result<u64> {
        let settled = Box::pin(self.end_dead()).await?;
        if let Err(error) = Box::pin(self.end_half_deleted()).await {
            tracing::warn!(%error, "what stands of a backup whose deletion was broken off could not be seen");
        }
        Ok(settled)
    }

    /// Takes up what a dead attempt may have left in a vault; tells whether it is there.
    async fn adopt_from(&self, vault: &Vault, record: &Record) -> Result<bool> {
        self.must_be_mounted(vault).await?;
        let mut is_there = false;
        for extension in ["coffer", "tar.gz"] {
            let path = VaultPath::new(record.app()?, record.created()?, record.id()?, extension);
            is_there |= self.adopt_if_there(vault, &path, record.trigger).await?;
        }
        Ok(is_there)
    }

    /// Attempts whose process has gone. One that went between the end of its archive and the note of it has made a backup all the same: it
    /// is a failed one only once the vault says that there is none.
    async fn end_dead(&self) -> Result<u64> {
        let mut ended = 0;
        let attempts = self.catalog().dead_attempts().await?;
        if attempts.is_empty() {
            return Ok(0);
        }
        for attempt in attempts {
            let record = &attempt.record;
            let mut stands = false;
            for vault in &self.inner.vaults {
                match self.adopt_from(vault, record).await {
                    Ok(is_there) => stands |= is_there,
                    Err(error @ Error::State { .. }) => return Err(error),
                    Err(error) => {
                        let (backup, vault) = (&record.id, vault.name());
                        tracing::warn!(backup, vault, %error, "whether a dead process has made this backup can't be seen now");
                        stands = true;
                    }
                }
            }
            if !stands {
                self.catalog().fail(record.id()?, "its process ended before it was done", None).await?;
            }
            ended += 1;
        }
        Ok(ended)
    }
}
