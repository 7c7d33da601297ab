//! The REST calls under `/v1`, and what stands beside them.

mod apps;
mod auth;
mod openapi;
mod problem;
mod transfers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::serve::{Listener, ListenerExt};
use axum::{Json, Router, middleware};
use coffer_crypto::{Passphrase, Unlock, WorkFactor};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

pub use auth::Token;
pub use problem::Problem;

use crate::config::{Config, Keys, Source};
use crate::name::AppName;
use crate::pipeline::{App, Budget, Transfers};
use crate::{Error, Result};

/// The most bytes of a request that is no archive.
const REQUEST_MAX_BYTES: usize = 64 << 10;
/// How long transfers may go on once the service was asked to stop.
const DRAIN: Duration = Duration::from_secs(30);
/// How much later than the pipeline a connection gives up, so that the transfer tells why.
const SOCKET_GRACE: Duration = Duration::from_secs(2);

/// What every call can reach.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    keys: Keys,
    token: Token,
    budget: Budget,
    transfers: Transfers,
    importing: Mutex<HashSet<AppName>>,
}

impl Service {
    /// A service with this configuration and these secrets.
    #[must_use]
    pub fn new(config: Config, keys: Keys, token: Token) -> Self {
        let budget = Budget::new(config.memory);
        let (transfers, importing) = (Transfers::default(), Mutex::default());
        Self { inner: Arc::new(Inner { config, keys, token, budget, transfers, importing }) }
    }

    /// Serves until `stop` resolves, and then lets running transfers end for at most 30 s.
    ///
    /// # Errors
    /// [`Error::Io`] of the listener.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let idle = self.inner.config.idle_timeout;
        let listener = Impatient { listener, idle: idle + SOCKET_GRACE }.tap_io(|_| ());
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let signal = async move {
            stop.await;
            drop(stopping);
        };
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(signal).into_future();
        let too_late = async move {
            drop(stopped.await);
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            served = serving => Ok(served.map_err(Error::Io)?),
            () = too_late => {
                tracing::warn!("transfers were still running after {DRAIN:?} and are broken off");
                Ok(())
            }
        }
    }

    fn router(self) -> Router {
        let checked = Router::new()
            .route("/v1/apps", get(apps::list))
            .route("/v1/apps/{source}/{app}", get(apps::one))
            .route("/v1/apps/{source}/{app}/export", post(transfers::export))
            .route("/v1/transfers/{id}", get(transfers::one))
            .layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES))
            .route("/v1/apps/{source}/{app}/import", post(transfers::import))
            .layer(middleware::from_fn_with_state(self.clone(), auth::require_token));
        let open = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(|| async { "ok\n" }))
            .route("/openapi.json", get(|| async { Json(openapi::document()) }));
        let nothing =
            || async { Error::NotFound("there is no such path; GET /openapi.json lists those there are".into()) };
        open.merge(checked).fallback(nothing).with_state(self)
    }

    fn source(&self, app: &AppName) -> Result<&Source> {
        self.inner.config.source(&app.source)
    }

    fn app(&self, app: &AppName) -> Result<App> {
        App::of(self.source(app)?, &app.app)
    }

    /// What an import may be opened with: the service's identity, and what the request brings.
    fn unlock(&self, passphrase: Option<Passphrase>) -> Result<Unlock> {
        let identities = self.inner.config.keys.load()?.identities;
        Ok(Unlock { identities, passphrase, max_work_factor: WorkFactor::SERVICE_READ_MAX })
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

struct ImportGuard {
    service: Service,
    app: AppName,
}

impl Drop for ImportGuard {
    fn drop(&mut self) {
        self.service.inner.importing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
    }
}

/// A listener whose connections are closed where their peer takes no byte for too long.
struct Impatient {
    listener: TcpListener,
    idle: Duration,
}

impl Listener for Impatient {
    type Io = std::pin::Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.idle));
        (Box::pin(stream), address)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
