//! What is done with imports whose process has ended, and with what is kept for no longer.

use coffer_storage::{ObjectSwap, PostgresOptions};
use serde::Serialize;

use super::{Staging, busy};
use crate::catalog::{Journaled, Phase};
use crate::name::AppName;
use crate::pipeline::App;
use crate::{Error, Result};

/// What was done with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// It had not come through: the app is as it was.
    TakenBack,
    /// It had come through: the app is the new one, with all its objects.
    BroughtToEnd,
    /// What it had replaced was kept long enough, and is gone.
    LetGo,
}

/// An import that was found, and what came of it.
#[derive(Debug)]
pub struct Recovered {
    /// The app.
    pub app: AppName,
    /// What was done, or why nothing could be.
    pub done: Result<Recovery>,
}

impl Staging {
    /// Sees to all imports whose process has ended, and to what is kept for no longer. Those that run are left.
    ///
    /// # Errors
    /// [`Error::State`]; what fails with one import stands in its place.
    pub async fn recover(&self) -> Result<Vec<Recovered>> {
        let mut recovered = Vec::new();
        for noted in self.catalog.imports_under_way().await? {
            if self.catalog.claim_import(&noted).await? {
                recovered.push(Recovered { app: noted.app.clone(), done: self.recover_claimed(&noted).await });
            }
        }
        for noted in self.catalog.expired_imports().await? {
            if self.catalog.claim_import(&noted).await? {
                let done = self.let_expired_go(&noted).await.map(|()| Recovery::LetGo);
                self.leave_failed(&noted, done.is_err()).await;
                recovered.push(Recovered { app: noted.app.clone(), done });
            }
        }
        Ok(recovered)
    }

    /// As [`Staging::recover`], and tells the log.
    pub(crate) async fn keep_house(&self) -> Result<()> {
        for Recovered { app, done } in self.recover().await? {
            match done {
                Ok(done) => {
                    tracing::info!(%app, ?done, "an import was seen to whose process has ended, or whose time has come")
                }
                Err(error) => tracing::warn!(%app, %error, "an import whose process has ended can't be seen to yet"),
            }
        }
        Ok(())
    }

    /// Sees to an import of the app whose process has ended.
    ///
    /// # Errors
    /// [`Error::Busy`] where one runs.
    pub(super) async fn clear_way(&self, app: &App) -> Result<()> {
        let under_way = self.catalog.imports_under_way().await?;
        let Some(noted) = under_way.into_iter().find(|noted| noted.app == app.name) else { return Ok(()) };
        if !self.catalog.claim_import(&noted).await? {
            return Err(busy(&noted));
        }
        let about = || format!("an earlier import of {}, whose process has ended, has to be seen to first", noted.app);
        self.recover_claimed(&noted).await.map(drop).map_err(|error| error.about(about()))
    }

    async fn recover_claimed(&self, noted: &Journaled) -> Result<Recovery> {
        let done = self.take_back_or_end(noted).await;
        self.leave_failed(noted, done.is_err()).await;
        done
    }

    async fn take_back_or_end(&self, noted: &Journaled) -> Result<Recovery> {
        let app = self.app_of(noted)?;
        let has_landed = match noted.phase {
            Phase::Loading | Phase::Publishing => false,
            Phase::Swapping => app.database.has_landed(&noted.import, &noted.mark).await?,
            Phase::Landed | Phase::Kept => true,
        };
        if has_landed {
            self.bring_to_end(&app, noted).await.map(|_| Recovery::BroughtToEnd)
        } else {
            let objects = self.objects(&app, &noted.import);
            self.take_back(&app, noted, objects.as_deref()).await.map(|()| Recovery::TakenBack)
        }
    }

    /// Takes away what an import left that did not come through. Objects go first, as it was they that came last.
    pub(super) async fn take_back(&self, app: &App, noted: &Journaled, objects: Option<&dyn ObjectSwap>) -> Result<()> {
        let import = &noted.import;
        if let Some(objects) = objects {
            objects.roll_back().await?;
        }
        app.database.roll_back(import).await?;
        self.catalog.end_import(&import.id).await
    }

    async fn let_expired_go(&self, noted: &Journaled) -> Result<()> {
        self.let_go(&self.app_of(noted)?, &noted.import.id).await
    }

    /// What could not be seen to is left to whoever comes next.
    async fn leave_failed(&self, noted: &Journaled, has_failed: bool) {
        if has_failed && let Err(error) = self.catalog.abandon_import(&noted.import.id).await {
            tracing::warn!(app = %noted.app, %error, "that an import is left to others could not be noted");
        }
    }

    /// The app, where it still is where the import found it.
    fn app_of(&self, noted: &Journaled) -> Result<App> {
        let source = self.config.source(&noted.app.source)?;
        let app = App::target(source, &noted.app.app, PostgresOptions::default())?;
        if app.place() == noted.place {
            return Ok(app);
        }
        Err(Error::Unfit(format!(
            "an import of {} was under way at {}, and the configuration has it at {} now: set the source as it was until \
             `coffer recover` has seen to it",
            noted.app,
            noted.place,
            app.place()
        )))
    }
}
