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
use crate::staging::WhatIsKept;

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

/// One app, and what an undo would bring back.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct OneApp {
    #[serde(flatten)]
    app: AppState,
    /// What it was before the last import that replaced it; null where nothing is kept of that.
    kept: Option<KeptApp>,
}

/// An app as it was.
#[derive(Serialize, utoipa::ToSchema)]
struct KeptApp {
    /// When it was replaced, RFC 3339.
    replaced: String,
    /// Until when it is kept.
    until: String,
    /// What it takes.
    bytes: u64,
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
    responses((status = 200, body = OneApp), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn one(State(service): State<Service>, AppPath(name): AppPath) -> Result<Json<OneApp>> {
    let app = service.app(&name, PostgresOptions::default())?;
    app.must_exist().await?;
    let kept = service.inner.staging.kept(&app).await?.map(|WhatIsKept { replaced, until, bytes }| KeptApp {
        replaced: replaced.to_string(),
        until: until.to_string(),
        bytes,
    });
    Ok(Json(OneApp { app: name.into(), kept }))
}
