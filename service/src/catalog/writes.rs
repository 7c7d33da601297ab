//! What is being written into the vaults, so that what a dead process left behind is told from what a living one is at.

use sqlx::{query, query_as};

use super::{Catalog, Worker};
use crate::{Error, Result};

/// A path of a vault that somebody writes.
pub(crate) struct Writing {
    /// The path.
    pub(crate) path: String,
    /// Who writes it.
    pub(crate) worker: String,
    /// Whether that one has ended.
    pub(crate) is_dead: bool,
}

impl Catalog {
    /// Notes that this process is about to write there.
    ///
    /// # Errors
    /// [`Error::Busy`] where another one does.
    pub(crate) async fn begin_write(&self, vault: &str, path: &str) -> Result<()> {
        let sql = "INSERT INTO writes (vault, path, worker) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let this = Worker::this().to_string();
        let insert = query(sql).bind(vault.to_owned()).bind(path.to_owned()).bind(this.clone());
        let done = insert.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
        let sql = "SELECT worker FROM writes WHERE vault = $1 AND path = $2";
        let select = query_as::<_, (String,)>(sql).bind(vault.to_owned()).bind(path.to_owned());
        let found = select.fetch_optional(&self.pool).await.map_err(|error| self.failed(error))?;
        let busy = || Error::Busy(format!("{path} of vault {vault} is being written by another process: wait for it"));
        let Some((worker,)) = found else { return Err(busy()) };
        if !self.is_gone(&worker).await? {
            return Err(busy());
        }
        // Of several that find the same dead one, one takes its place.
        let sql = "UPDATE writes SET worker = $3 WHERE vault = $1 AND path = $2 AND worker = $4";
        let update = query(sql).bind(vault.to_owned()).bind(path.to_owned()).bind(this).bind(worker);
        let done = update.execute(&self.pool).await.map_err(|error| self.failed(error))?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(busy()) }
    }

    /// Notes that nothing is being written there any more.
    pub(crate) async fn end_write(&self, vault: &str, path: &str) -> Result<()> {
        self.forget_write(vault, path, &Worker::this().to_string()).await
    }

    /// Forgets what a process wrote there that is gone.
    pub(crate) async fn forget_write(&self, vault: &str, path: &str, worker: &str) -> Result<()> {
        let delete = query("DELETE FROM writes WHERE vault = $1 AND path = $2 AND worker = $3");
        let delete = delete.bind(vault.to_owned()).bind(path.to_owned()).bind(worker.to_owned());
        delete.execute(&self.pool).await.map(drop).map_err(|error| self.failed(error))
    }

    /// What is being written into a vault, or was by processes that have ended since.
    pub(crate) async fn writes(&self, vault: &str) -> Result<Vec<Writing>> {
        let select = query_as::<_, (String, String)>("SELECT path, worker FROM writes WHERE vault = $1");
        let rows = select.bind(vault.to_owned()).fetch_all(&self.pool).await.map_err(|error| self.failed(error))?;
        let mut writes = Vec::with_capacity(rows.len());
        for (path, worker) in rows {
            writes.push(Writing { path, is_dead: self.is_gone(&worker).await?, worker });
        }
        Ok(writes)
    }
}
