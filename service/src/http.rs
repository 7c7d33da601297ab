//! The REST calls under `/v1`, and what stands beside them.

mod apps;
mod auth;
mod backups;
mod connections;
mod download;
mod import;
mod jobs;
mod openapi;
mod path;
mod problem;
mod range;
mod ready;
mod transfers;
mod undo;

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{any, get, post};
use axum::{Json, Router, middleware};
use coffer_crypto::{Passphrase, SigningKey, Unlock, WorkFactor};
use coffer_storage::PostgresOptions;
use tokio::net::TcpListener;
use tokio::time::timeout;

pub use auth::Token;
use connections::Connections;
pub use problem::Problem;

use crate::catalog::Catalog;
use crate::config::{Config, Keys, Source};
use crate::jobs::Jobs;
use crate::name::AppName;
use crate::pipeline::{App, Budget, ReadKeys, Transfers};
use crate::staging::Staging;
use crate::vault::Vaults;
use crate::{Error, Result};

/// How long transfers may go on once the service was asked to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// How often dead processes are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(30);
/// How many jobs run at once, where there is the memory for so many.
const JOBS: usize = 4;
/// How long transfers that are broken off then may take to clean up.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// What every call can reach.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    keys: Keys,
    signing_key: Option<Arc<SigningKey>>,
    token: Token,
    budget: Budget,
    transfers: Transfers,
    staging: Staging,
    backups: Option<(Vaults, Jobs)>,
}

impl Service {
    /// A service with this configuration, and the keys that it names. Where it names a vault, the catalogue is opened, and what a
    /// service that died has left behind is cleared away.
    ///
    /// # Errors
    /// Those of the keys, and of [`Vaults::open`].
    pub async fn open(config: Config, token: Token) -> Result<Self> {
        let budget = Budget::new(config.memory);
        let (keys, signing_key) = (config.keys.load()?, config.keys.signing_key()?);
        let catalog = Catalog::open(&config.state).await?;
        let staging = Staging::new(&config, catalog.clone(), budget.clone());
        staging.keep_house().await?;
        let backups = match config.vaults.is_empty() {
            true => None,
            false => {
                let vaults = Vaults::with(&config, budget.clone(), catalog)?;
                vaults.sweep().await?;
                let jobs = Jobs::new(vaults.catalog().clone(), vaults.at_once(JOBS)).await?;
                Some((vaults, jobs))
            }
        };
        let transfers = Transfers::default();
        let inner = Inner { config, keys, signing_key, token, budget, transfers, staging, backups };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The vaults.
    fn vaults(&self) -> Result<&Vaults> {
        self.inner.backups.as_ref().map(|(vaults, _)| vaults).ok_or_else(no_vault)
    }

    /// What goes on by itself.
    fn jobs(&self) -> Result<&Jobs> {
        self.inner.backups.as_ref().map(|(_, jobs)| jobs).ok_or_else(no_vault)
    }

    /// Serves until `stop` resolves, and then lets running transfers end for at most 30 s.
    ///
    /// # Errors
    /// None but a defect of the program.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let connections = Connections::new(self.inner.config.idle_timeout, self.clone().router());
        tokio::select! {
            () = connections.accept_all(&listener) => {}
            () = self.keep_house() => {}
            () = stop => {}
        }
        drop(listener);
        let ended = async {
            connections.finish().await;
            // An import goes on without its client until it has cleaned up.
            self.all_ended().await;
        };
        if timeout(DRAIN, ended).await.is_err() {
            tracing::warn!("transfers were still running after {DRAIN:?} and are broken off");
            self.inner.transfers.cancel_all();
            drop(timeout(CLEAN_UP, self.all_ended()).await);
        }
        Ok(())
    }

    /// Waits for what runs, and until it is noted how it ended.
    async fn all_ended(&self) {
        self.inner.transfers.all_ended().await;
        if let Ok(jobs) = self.jobs() {
            jobs.all_ended().await;
        }
    }

    /// Sees every half minute to what processes that died have left behind, for ever.
    async fn keep_house(&self) {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            let kept = async {
                self.inner.staging.keep_house().await?;
                let (Ok(vaults), Ok(jobs)) = (self.vaults(), self.jobs()) else { return Ok(()) };
                vaults.settle().await.and(jobs.end_dead().await)
            };
            if let Err(error) = kept.await {
                tracing::warn!(%error, "what dead processes may have left could not be seen to");
            }
        }
    }

    fn router(self) -> Router {
        let checked = Router::new()
            .route("/v1/apps", get(apps::list))
            .route("/v1/apps/{source}/{app}", get(apps::one))
            .route("/v1/apps/{source}/{app}/export", post(transfers::export))
            .route("/v1/apps/{source}/{app}/import", post(import::import))
            .route("/v1/apps/{source}/{app}/undo", post(undo::undo))
            .route("/v1/apps/{source}/{app}/backups", post(backups::make))
            .route("/v1/backups", get(backups::list))
            .route("/v1/backups/{id}", get(backups::one).delete(backups::delete))
            .route("/v1/backups/{id}/archive", get(download::archive))
            .route("/v1/backups/{id}/restore", post(backups::restore))
            .route("/v1/jobs", get(jobs::list))
            .route("/v1/jobs/{id}", get(jobs::one).delete(jobs::cancel))
            .route("/v1/transfers/{id}", get(transfers::one))
            .route("/v1/{*rest}", any(nothing))
            .method_not_allowed_fallback(other_method)
            .layer(middleware::from_fn_with_state(self.clone(), auth::require_token));
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready::ready))
            .route("/openapi.json", get(|| async { Json(openapi::document()) }))
            .merge(checked)
            .fallback(nothing)
            .method_not_allowed_fallback(other_method)
            .with_state(self)
    }

    fn source(&self, app: &AppName) -> Result<&Source> {
        self.inner.config.source(&app.source)
    }

    fn app(&self, app: &AppName, options: PostgresOptions) -> Result<App> {
        App::of(self.source(app)?, &app.app, options)
    }

    fn target(&self, app: &AppName, options: PostgresOptions) -> Result<App> {
        App::target(self.source(app)?, &app.app, options)
    }

    /// What an import may be opened with: the service's identity, and what the request brings.
    fn read_keys(&self, passphrase: Option<Passphrase>) -> Result<ReadKeys> {
        let identities = self.inner.config.keys.load()?.identities;
        let unlock = Unlock { identities, passphrase, max_work_factor: WorkFactor::SERVICE_READ_MAX };
        Ok(ReadKeys { unlock, ..ReadKeys::default() })
    }
}

fn no_vault() -> Error {
    Error::NotFound("the configuration has no [[vault]]: this service keeps no backups".into())
}

async fn nothing() -> Error {
    Error::NotFound("there is no such path; GET /openapi.json lists those there are".into())
}

async fn other_method() -> Error {
    Error::Method
}
