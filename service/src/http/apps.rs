//! What the sources hold.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::path::AppPath;
use super::{Problem, Service};
use crate::Result;
use crate::name::AppName;

/// The apps of all sources.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Apps {
    apps: Vec<AppState>,
}

/// One app.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AppState {
    /// Its source.
    source: String,
    /// Its name.
    app: String,
}

impl From<AppName> for AppState {
    fn from(name: AppName) -> Self {
        Self { source: name.source.to_string(), app: name.app.to_string() }
    }
}

/// The apps of all sources, by name.
#[utoipa::path(get, path = "/v1/apps", tag = "apps", responses((status = 200, body = Apps), (status = 401, body = Problem)))]
pub(super) async fn list(State(service): State<Service>) -> Result<Json<Apps>> {
    let listed = tokio::task::spawn_blocking(move || -> Result<Vec<AppState>> {
        let mut apps = Vec::new();
        for source in &service.inner.config.sources {
            let named = |app| AppState::from(AppName { source: source.name.clone(), app });
            apps.extend(source.apps()?.into_iter().map(named));
        }
        Ok(apps)
    });
    let apps = listed.await.map_err(|_| crate::Error::StageLost)??;
    Ok(Json(Apps { apps }))
}

/// One app.
#[utoipa::path(get, path = "/v1/apps/{source}/{app}", tag = "apps",
    params(("source" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = AppState), (status = 404, body = Problem)))]
pub(super) async fn one(State(service): State<Service>, AppPath(name): AppPath) -> Result<Json<AppState>> {
    service.app(&name)?.must_exist().await?;
    Ok(Json(name.into()))
}
