//! The REST calls under `/v1`, and what stands beside them.

mod apps;
mod auth;
mod connections;
mod openapi;
mod path;
mod problem;
mod transfers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
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

use crate::config::{Config, Keys, Source};
use crate::name::AppName;
use crate::pipeline::{App, Budget, ReadKeys, Transfers, Trust};
use crate::{Error, Result};

/// How long transfers may go on once the service was asked to stop.
const DRAIN: Duration = Duration::from_secs(30);
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
    importing: Mutex<HashSet<AppName>>,
}

impl Service {
    /// A service with this configuration and these secrets.
    #[must_use]
    pub fn new(config: Config, keys: Keys, signing_key: Option<Arc<SigningKey>>, token: Token) -> Self {
        let budget = Budget::new(config.memory);
        let (transfers, importing) = (Transfers::default(), Mutex::default());
        Self { inner: Arc::new(Inner { config, keys, signing_key, token, budget, transfers, importing }) }
    }

    /// Serves until `stop` resolves, and then lets running transfers end for at most 30 s.
    ///
    /// # Errors
    /// None but a defect of the program.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let connections = Connections::new(self.inner.config.idle_timeout, self.clone().router());
        tokio::select! {
            () = connections.accept_all(&listener) => {}
            () = stop => {}
        }
        drop(listener);
        let ended = async {
            connections.finish().await;
            // An import goes on without its client until it has cleaned up.
            self.inner.transfers.all_ended().await;
        };
        if timeout(DRAIN, ended).await.is_err() {
            tracing::warn!("transfers were still running after {DRAIN:?} and are broken off");
            self.inner.transfers.cancel_all();
            drop(timeout(CLEAN_UP, self.inner.transfers.all_ended()).await);
        }
        Ok(())
    }

    fn router(self) -> Router {
        let checked = Router::new()
            .route("/v1/apps", get(apps::list))
            .route("/v1/apps/{source}/{app}", get(apps::one))
            .route("/v1/apps/{source}/{app}/export", post(transfers::export))
            .route("/v1/apps/{source}/{app}/import", post(transfers::import))
            .route("/v1/transfers/{id}", get(transfers::one))
            .route("/v1/{*rest}", any(nothing))
            .layer(middleware::from_fn_with_state(self.clone(), auth::require_token));
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(|| async { "ok\n" }))
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
        Ok(ReadKeys { unlock, trust: Trust::default() })
    }

    /// Keeps other imports of the app out until the guard is dropped.
    fn import_alone(&self, app: &AppName) -> Result<ImportGuard> {
        let mut importing = self.inner.importing.lock().unwrap_or_else(PoisonError::into_inner);
        if !importing.insert(app.clone()) {
            return Err(Error::Busy(format!("another import of {app} is running: wait until it has ended")));
        }
        Ok(ImportGuard { service: self.clone(), app: app.clone() })
    }
}

async fn nothing() -> Error {
    Error::NotFound("there is no such path; GET /openapi.json lists those there are".into())
}

async fn other_method() -> Error {
    Error::Method
}

struct ImportGuard {
    service: Service,
    app: AppName,
}

impl Drop for ImportGuard {
    fn drop(&mut self) {
        self.service.inner.importing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
    }
}
