//! Backups of several apps, some of them at once.

use std::sync::Arc;

use coffer_crypto::ArchiveId;
use futures::StreamExt;

use super::Vaults;
use super::backup::Stands;
use crate::catalog::Trigger;
use crate::name::AppName;
use crate::pipeline::{Cancel, Direction, Transfer};
use crate::{Error, Result};

/// What became of one app.
pub struct BackedUp {
    /// The app.
    pub app: AppName,
    /// Its backup, or why there is none.
    pub outcome: Result<Stands>,
}

impl Vaults {
    /// Backs up apps, at most `jobs` of them at once, and fewer where the memory asks for it; tells of each when it is done. That one
    /// fails keeps no other from its backup. Where `run` is cancelled, those that run are broken off and no other begins.
    pub async fn backup_all(
        &self,
        apps: Vec<AppName>,
        jobs: usize,
        run: &Arc<Transfer>,
        mut tell: impl FnMut(BackedUp),
    ) {
        let backing_up = futures::stream::iter(apps).map(|app| async move {
            let outcome = self.backup_one(&app, run).await;
            BackedUp { app, outcome }
        });
        let mut backing_up = std::pin::pin!(backing_up.buffer_unordered(self.at_once(jobs)));
        while let Some(done) = backing_up.next().await {
            run.add_entry();
            tell(done);
        }
    }

    async fn backup_one(&self, app: &AppName, run: &Arc<Transfer>) -> Result<Stands> {
        run.check()?;
        let transfer = Transfer::begin(Direction::Export, Some(app.clone()))?;
        let (vaults, app, working) = (self.clone(), app.clone(), Arc::clone(&transfer));
        let id = ArchiveId::random()?.into();
        // A task of its own, so that apps are worked on by all cores.
        let mut task = tokio::spawn(async move {
            let made = vaults.backup(&app, id, Trigger::Command, &working).await;
            working.end(made.as_ref().err());
            made
        });
        let made = tokio::select! {
            made = &mut task => made,
            _ = run.or_cancelled(std::future::pending::<Result<()>>()) => {
                transfer.cancel(Cancel::Asked);
                task.await
            }
        };
        run.add_bytes(transfer.bytes());
        made.map_err(|_| Error::StageLost)?
    }
}
