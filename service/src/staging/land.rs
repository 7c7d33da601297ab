//! How what waits becomes what there is: new objects, then the rows, then the rest of the objects.

use std::sync::Arc;
use std::time::Duration;

use coffer_storage::{ImportId, Landing, Loaded, ObjectSwap};
use jiff::Timestamp;

use super::{Lease, Staging, replaced};
use crate::catalog::{Journaled, Phase};
use crate::failpoint::failpoint;
use crate::pipeline::{App, Transfer};
use crate::{Error, Result};

/// How often the steps after the swap are tried, and after which pause, times the tries before.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// What an import has done, beside what it brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landed {
    /// Until when what it replaced is kept, and how many bytes that takes.
    pub kept: Option<(Timestamp, u64)>,
    /// Objects that the app's users stored during the swap, and that were left as they are.
    pub left_alone: u64,
}

/// An import that did not land as it should.
pub(crate) struct NotLanded {
    /// Why.
    pub(crate) error: Error,
    /// Where nothing of it came through: what is yet to be given up. Else the journal has it.
    pub(crate) lease: Option<Lease>,
}

impl Lease {
    /// Makes visible what waits, and ends the import. `objects` have their plan.
    pub(crate) async fn land(
        self,
        mut loaded: Box<dyn Loaded>,
        objects: Option<Arc<dyn ObjectSwap>>,
        transfer: &Transfer,
    ) -> Result<Landed, NotLanded> {
        let mark = match self.make_ready(loaded.as_mut(), objects.as_deref(), transfer).await {
            Ok(mark) => mark,
            Err(error) => {
                if let Err(error) = loaded.discard().await {
                    tracing::error!(app = %self.app.name, %error, "rows that had been staged could not be removed yet");
                }
                return Err(NotLanded { error, lease: Some(self) });
            }
        };
        failpoint("swapping");
        if let Err(error) = loaded.commit().await {
            return Err(self.after_failed_commit(&mark, error.into()).await);
        }
        failpoint("swapped");
        self.finish().await.map_err(|error| NotLanded { error, lease: None })
    }

    /// All that comes before the swap of the rows; gives its mark, which is noted.
    async fn make_ready(
        &self,
        loaded: &mut dyn Loaded,
        objects: Option<&dyn ObjectSwap>,
        transfer: &Transfer,
    ) -> Result<String> {
        transfer.or_cancelled(async { Ok(loaded.prepare().await?) }).await?;
        failpoint("prepared");
        if let Some(objects) = objects {
            self.goes_on(Phase::Publishing, "").await?;
            failpoint("publishing");
            transfer.or_cancelled(async { Ok(objects.publish_new().await?) }).await?;
            failpoint("published");
        }
        let mark = loaded.mark().await?;
        transfer.check()?;
        self.goes_on(Phase::Swapping, &mark).await?;
        Ok(mark)
    }

    /// The target knows whether the swap came through.
    async fn after_failed_commit(mut self, mark: &str, error: Error) -> NotLanded {
        match self.app.database.has_landed(self.import(), mark).await {
            Ok(false) => NotLanded { error, lease: Some(self) },
            Ok(true) => {
                let finished = self.finish().await.err();
                let error =
                    finished.unwrap_or_else(|| error.about("all of it stands, although its server told of a failure"));
                NotLanded { error, lease: None }
            }
            Err(unknown) => {
                tracing::error!(app = %self.app.name, error = %unknown, "nobody knows yet whether an import came through");
                self.leave().await;
                let what =
                    "nobody knows yet whether it came through; `coffer recover` asks again, and brings it to its end";
                NotLanded { error: error.about(what), lease: None }
            }
        }
    }

    /// The steps after the swap, with patience.
    async fn finish(mut self) -> Result<Landed> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.staging.bring_to_end(&self.app, &self.noted).await {
                Ok(landed) => {
                    self.is_noted = true;
                    return Ok(landed);
                }
                Err(error) if tries < TRIES => {
                    tracing::warn!(app = %self.app.name, %error, "an import has come through; its last steps are tried again");
                    tokio::time::sleep(PAUSE * tries).await;
                }
                Err(error) => {
                    self.leave().await;
                    let what = "all rows stand, and not yet all objects; `coffer recover` goes on with it";
                    return Err(error.about(what));
                }
            }
        }
    }
}

impl Staging {
    /// The steps after the swap of the rows. Each may have been done before.
    pub(super) async fn bring_to_end(&self, app: &App, noted: &Journaled) -> Result<Landed> {
        let import = &noted.import;
        let landed = self.catalog.import_landed(&import.id).await?;
        failpoint("landed");
        let left_alone = match self.objects(app, import) {
            Some(objects) => objects.publish_rest(replaced(noted)).await?,
            None => 0,
        };
        failpoint("published-rest");
        app.database.settle(import).await?;
        failpoint("settled");
        if let Some(brought_back) = &noted.brings_back {
            self.let_go(app, brought_back).await?;
        }
        if import.landing == Landing::New || noted.keep_seconds == 0 {
            self.let_go(app, &import.id).await?;
            return Ok(Landed { kept: None, left_alone });
        }
        let bytes = self.kept_bytes(app, &import.id).await?;
        self.catalog.import_keeps(&import.id, bytes).await?;
        let noted = Journaled { landed: Some(landed), ..noted.clone() };
        Ok(Landed { kept: noted.kept_until().map(|until| (until, bytes)), left_alone })
    }

    /// What an import replaced and keeps.
    async fn kept_bytes(&self, app: &App, id: &ImportId) -> Result<u64> {
        let rows = app.database.replaced_bytes(id).await?.unwrap_or_default();
        let objects = match self.objects_of(app, id) {
            Some(objects) => objects.kept_bytes().await?,
            None => 0,
        };
        Ok(rows + objects)
    }

    /// Lets go of what an import replaced, and forgets it.
    pub(super) async fn let_go(&self, app: &App, id: &ImportId) -> Result<()> {
        app.database.drop_replaced(id).await?;
        if let Some(objects) = self.objects_of(app, id) {
            objects.drop_kept().await?;
        }
        self.catalog.end_import(id).await
    }
}
