//! What the sources hold.

use axum::Json;
use axum::extract::State;
use coffer_storage::PostgresOptions;
use serde::Serialize;

use super::path::AppPath;
use super::{Problem, Service};
use crate::Result;
use crate::config::Listing;
use crate::name::AppName;

/// The apps of all sources.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Apps {
    apps: Vec<AppState>,
    /// The sources whose apps can't be listed, each with the reason; there may be apps in them.
    unlisted: Vec<String>,
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
#[utoipa::path(get, path = "/v1/apps", tag = "apps", 
    responses((status = 200, body = Apps), (status = 401, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(State(service): State<Service>) -> Result<Json<Apps>> {
    let Listing { apps, unlisted } = service.inner.config.apps().await?;
    Ok(Json(Apps { apps: apps.into_iter().map(AppState::from).collect(), unlisted }))
}

/// One app.
#[utoipa::path(get, path = "/v1/apps/{source}/{app}", tag = "apps",
    params(("source" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = AppState), (status = 404, body = Problem)))]
pub(super) async fn one(State(service): State<Service>, AppPath(name): AppPath) -> Result<Json<AppState>> {
    service.app(&name, PostgresOptions::default())?.must_exist().await?;
    Ok(Json(name.into()))
}
