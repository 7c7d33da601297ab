//! Undo: the app that an import replaced comes back.

use std::sync::Arc;

use coffer_storage::{Import, ImportId, Landing};
use jiff::Timestamp;

use super::{Lease, Staging};
use crate::catalog::Journaled;
use crate::config::ByteSize;
use crate::pipeline::{App, Transfer};
use crate::{Error, Result};

/// What an app was before its last import, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhatIsKept {
    /// When the import replaced it.
    pub replaced: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
    /// What it takes.
    pub bytes: u64,
}

/// An app that is again as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    /// When the import was that has been undone.
    pub replaced: Timestamp,
    /// What the copy that was kept took, and takes no more.
    pub freed_bytes: u64,
    /// Objects that users stored during the undo, and that were left.
    pub left_alone: u64,
}

impl Staging {
    /// What can be brought back of an app; none where nothing can.
    ///
    /// # Errors
    /// [`Error::State`].
    pub async fn kept(&self, app: &App) -> Result<Option<WhatIsKept>> {
        Ok(self.last_kept(app).await?.as_ref().and_then(what_is_kept))
    }

    async fn last_kept(&self, app: &App) -> Result<Option<Journaled>> {
        Ok(self.catalog.kept_imports(&app.name).await?.into_iter().next())
    }

    /// Brings back the app that its last import replaced. What was written since then is gone; so whoever asks says since when
    /// changes may be lost, and no later than the import was.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nothing is kept; [`Error::Kept`] where it was not said, or a later time than the import's;
    /// [`Error::Busy`] where an import is under way.
    pub async fn undo(&self, app: &App, discard_since: Option<Timestamp>, transfer: &Transfer) -> Result<Undone> {
        self.clear_way(app).await?;
        let Some(noted) = self.last_kept(app).await? else { return Err(self.nothing_kept(app)) };
        let Some(kept) = what_is_kept(&noted) else { return Err(self.nothing_kept(app)) };
        check_discard(app, kept, discard_since)?;
        let id = noted.import.id.clone();
        let lease = self.lease(app, Landing::Replace, Some(id.clone())).await?;
        let (loaded, objects) = match Self::wait_for_swap(&lease, &id).await {
            Ok(waiting) => waiting,
            Err(error) => {
                lease.give_up().await;
                return Err(error);
            }
        };
        match lease.land(loaded, objects, transfer).await {
            Ok(landed) => {
                let left_alone = landed.left_alone;
                Ok(Undone { replaced: kept.replaced, freed_bytes: kept.bytes, left_alone })
            }
            Err(failed) => Err(failed.give_up().await),
        }
    }

    async fn wait_for_swap(lease: &Lease, replaced: &ImportId) -> Result<super::Waiting> {
        let loaded = lease.app.database.bring_back(replaced, lease.import()).await?;
        let objects = lease.objects();
        if let Some(objects) = &objects {
            objects.begin().await?;
            objects.plan_back(replaced).await?;
        }
        Ok((loaded, objects))
    }

    fn nothing_kept(&self, app: &App) -> Error {
        let hours = self.keep().as_secs_f64() / 3600.0;
        Error::NotFound(format!(
            "nothing is kept of {} that an undo could bring back: what an import replaces is kept for {hours} hours \
             ([server] keep_replaced)",
            app.name
        ))
    }

    /// The objects of an import that replaced.
    pub(super) fn objects_of(&self, app: &App, id: &ImportId) -> Option<Arc<dyn coffer_storage::ObjectSwap>> {
        self.objects(app, &Import { id: id.clone(), landing: Landing::Replace })
    }
}

fn what_is_kept(noted: &Journaled) -> Option<WhatIsKept> {
    Some(WhatIsKept { replaced: noted.landed?, until: noted.kept_until()?, bytes: noted.kept_bytes })
}

/// Whoever asks has to know what is lost.
fn check_discard(app: &App, kept: WhatIsKept, since: Option<Timestamp>) -> Result<()> {
    let WhatIsKept { replaced, until, bytes } = kept;
    match since {
        Some(since) if since <= replaced => Ok(()),
        _ => Err(Error::Kept(format!(
            "{} was replaced at {replaced}, and what it was before ({}) is kept until {until}. An undo drops everything that has been \
             written to it since then: say so with --discard-changes-since {replaced} (over HTTP discard_changes_since)",
            app.name,
            ByteSize::new(bytes)
        ))),
    }
}
