//! Imports from their first step to their last, whatever comes between: noted ahead, swapped in, taken back or brought to their end.
//!
//! Each phase is noted in the state before its first step. After a crash the mark inside the target decides: without it the import is
//! taken back, with it brought to its end, by whoever finds it.

mod land;
mod recover;
mod undo;

use std::sync::Arc;
use std::time::Duration;

use coffer_storage::{Import, ImportId, Landing, Loaded, ObjectSwap, Occupancy, Replaced};

use tokio::runtime::Handle;

use crate::catalog::{Catalog, Journaled, Phase};
use crate::config::Config;
use crate::failpoint::failpoint;
use crate::pipeline::{App, Budget};
use crate::{Error, Result};
pub use land::Landed;
pub(crate) use land::NotLanded;
pub use recover::{Recovered, Recovery};
pub use undo::{Undone, WhatIsKept};

/// What an import does with an app that holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It is refused.
    #[default]
    Refuse,
    /// It is replaced, and kept for a while.
    Replace,
}

/// Rows and objects that wait for the swap.
type Waiting = (Box<dyn Loaded>, Option<Arc<dyn ObjectSwap>>);

/// The journal, and what is needed to act on it. Cheap to clone.
#[derive(Clone)]
pub struct Staging {
    catalog: Catalog,
    config: Arc<Config>,
    budget: Budget,
}

impl Staging {
    /// On the state that is open already.
    #[must_use]
    pub fn new(config: &Config, catalog: Catalog, budget: Budget) -> Self {
        Self { catalog, config: Arc::new(config.clone()), budget }
    }

    /// Opens the state.
    ///
    /// # Errors
    /// Those of [`Catalog::open`].
    pub async fn open(config: &Config, budget: Budget) -> Result<Self> {
        Ok(Self::new(config, Catalog::open(&config.state).await?, budget))
    }

    /// The memory that imports share.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How long what an import replaces is kept.
    #[must_use]
    pub fn keep(&self) -> Duration {
        self.config.keep_replaced
    }

    /// Begins an import of an app, which has it for itself from now on. One whose process is gone is first taken back, or brought to
    /// its end.
    ///
    /// # Errors
    /// [`Error::Busy`] where another one is under way; [`coffer_storage::Error::NotEmpty`] where the app holds something that is not to be
    /// replaced.
    pub(crate) async fn begin(&self, app: &App, existing: Existing) -> Result<Lease> {
        self.clear_way(app).await?;
        let landing = match (self.is_new(app).await?, existing) {
            (true, _) => Landing::New,
            (false, Existing::Replace) => Landing::Replace,
            (false, Existing::Refuse) => {
                app.must_be_empty().await?;
                // It was emptied between the two looks.
                Landing::New
            }
        };
        self.lease(app, landing, None).await
    }

    /// Tells early what [`Staging::begin`] would refuse, before an archive is asked for.
    ///
    /// # Errors
    /// Those of [`Staging::begin`].
    pub(crate) async fn may_begin(&self, app: &App, existing: Existing) -> Result<()> {
        self.clear_way(app).await?;
        match existing {
            Existing::Refuse => app.must_be_empty().await,
            Existing::Replace => Ok(()),
        }
    }

    async fn is_new(&self, app: &App) -> Result<bool> {
        if app.database.occupancy().await? == Occupancy::Occupied {
            return Ok(false);
        }
        match &app.objects {
            Some(objects) => Ok(objects.is_empty().await?),
            None => Ok(true),
        }
    }

    async fn lease(&self, app: &App, landing: Landing, brings_back: Option<ImportId>) -> Result<Lease> {
        let kept_seconds = i64::try_from(self.keep().as_secs()).unwrap_or(i64::MAX);
        let keeps = landing == Landing::Replace && brings_back.is_none();
        let noted = Journaled {
            import: Import { id: ImportId::random()?, landing },
            app: app.name.clone(),
            place: app.place(),
            phase: Phase::Loading,
            mark: String::new(),
            brings_back,
            landed: None,
            keep_seconds: if keeps { kept_seconds } else { 0 },
            kept_bytes: 0,
            worker: String::new(),
        };
        if let Some(other) = self.catalog.begin_import(&noted).await? {
            return Err(busy(&other));
        }
        failpoint("begun");
        let objects = self.objects(app, &noted.import);
        Ok(Lease { staging: self.clone(), app: app.clone(), noted, objects, is_noted: false })
    }

    /// The objects of an import.
    fn objects(&self, app: &App, import: &Import) -> Option<Arc<dyn ObjectSwap>> {
        app.objects.as_ref().map(|objects| objects.swap(import, self.budget.sending()))
    }
}

/// An import that this process is at: no other one of the app begins meanwhile.
pub(crate) struct Lease {
    staging: Staging,
    app: App,
    noted: Journaled,
    /// One for all of it: what it knows beside the store's word, only it knows.
    objects: Option<Arc<dyn ObjectSwap>>,
    /// Whether the journal says all that there is to say.
    is_noted: bool,
}

impl Lease {
    /// What its stores know it by.
    pub(crate) fn import(&self) -> &Import {
        &self.noted.import
    }

    /// Its objects, where the app has a place for any.
    pub(crate) fn objects(&self) -> Option<Arc<dyn ObjectSwap>> {
        self.objects.clone()
    }

    /// Notes that it goes on, before it does.
    async fn goes_on(&self, phase: Phase, mark: &str) -> Result<()> {
        self.staging.catalog.import_goes_on(&self.import().id, phase, mark).await
    }

    /// Takes away what is left of it, after a failure; what can't be taken away now is left to whoever comes next.
    pub(crate) async fn give_up(mut self) {
        match self.staging.take_back(&self.app, &self.noted, self.objects.as_deref()).await {
            Ok(()) => self.is_noted = true,
            Err(error) => {
                let app = &self.app.name;
                tracing::error!(%app, %error, "what an import left could not be taken away: `coffer recover` tries again");
                self.leave().await;
            }
        }
    }

    /// Leaves it to whoever comes next.
    async fn leave(&mut self) {
        self.is_noted = true;
        if let Err(error) = self.staging.catalog.abandon_import(&self.import().id).await {
            tracing::error!(app = %self.app.name, %error, "that an import is left to others could not be noted");
        }
    }
}

impl Drop for Lease {
    /// An import that ended without a word is left to whoever comes next, as that of a process that died.
    fn drop(&mut self) {
        if !self.is_noted
            && let Ok(runtime) = Handle::try_current()
        {
            let (catalog, id) = (self.staging.catalog.clone(), self.import().id.clone());
            // Nobody is there to be told; where it fails, the process's end says the same.
            runtime.spawn(async move { drop(catalog.abandon_import(&id).await) });
        }
    }
}

impl NotLanded {
    /// Takes away what is left where nothing came through, and gives the error.
    pub(crate) async fn give_up(self) -> Error {
        if let Some(lease) = self.lease {
            lease.give_up().await;
        }
        self.error
    }
}

/// What becomes of what an import replaces.
const fn replaced(noted: &Journaled) -> Replaced {
    match noted.keep_seconds {
        0 => Replaced::Dropped,
        _ => Replaced::Kept,
    }
}

fn busy(other: &Journaled) -> Error {
    Error::Busy(format!("another import of {} is under way: wait until it has ended", other.app))
}
