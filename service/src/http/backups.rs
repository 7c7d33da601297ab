//! Backups: made, listed, restored and deleted.

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use coffer_crypto::{ArchiveId, WorkFactor};
use coffer_storage::PostgresOptions;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::auth::{Rights, must_be_admin};
use super::import::import_answer;
use super::jobs::{accepted, request_key};
use super::path::AppPath;
use super::transfers::read_request;
use super::{Problem, Service};
use crate::catalog::{Backup, BackupFilter, BackupId, JobKind, State as BackupState, Trigger};
use crate::jobs::Asked;
use crate::name::AppName;
use crate::pipeline::{Origin, import};
use crate::staging::Existing;
use crate::vault::{Found, Wanted};
use crate::{Error, Result};

const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// Which backups are asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BackupsQuery {
    /// How many; 100 where it is left out, and 1,000 at most.
    limit: Option<u32>,
    /// What the page before ended with, as its `next` said.
    cursor: Option<String>,
    /// Those of this source alone.
    source: Option<String>,
    /// Those of apps of this name alone.
    app: Option<String>,
    /// Those in this state alone: `good`, `running` or `failed`. Failed attempts come only where they are asked for.
    state: Option<BackupState>,
}

/// A page of backups, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Backups {
    backups: Vec<Backup>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

impl BackupsQuery {
    fn filter(self) -> Result<BackupFilter> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::Usage(format!("limit must be a number from 1 to {PAGE_MAX}")));
        }
        Ok(BackupFilter {
            source: self.source.map(|name| name.parse()).transpose()?,
            app: self.app.map(|name| name.parse()).transpose()?,
            state: self.state,
            without_failed: true,
            after: self.cursor.as_deref().map(read_cursor).transpose()?,
            limit,
            ..BackupFilter::default()
        })
    }
}

fn cursor(last: &Backup) -> Option<String> {
    let time = last.record.created().ok()?.as_second();
    Some(format!("{time}-{}", last.record.id))
}

fn read_cursor(text: &str) -> Result<(Timestamp, BackupId)> {
    let parsed = text.split_once('-').and_then(|(time, id)| {
        let time = Timestamp::from_second(time.parse().ok()?).ok()?;
        Some((time, id.parse().ok()?))
    });
    parsed.ok_or_else(|| Error::Usage("the cursor is none that `next` of a page gave".into()))
}

/// Backups, newest first, page by page.
#[utoipa::path(get, path = "/v1/backups", tag = "backups", params(BackupsQuery),
    responses((status = 200, body = Backups), (status = 400, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(service): State<Service>,
    query: Result<Query<BackupsQuery>, QueryRejection>,
) -> Result<Json<Backups>> {
    let Query(query) = query.map_err(|rejection| Error::Usage(rejection.body_text()))?;
    let filter = query.filter()?;
    let vaults = service.vaults()?;
    // One more tells whether there is a next page.
    let mut backups = vaults.catalog().backups(&BackupFilter { limit: filter.limit + 1, ..filter }).await?;
    let wanted = filter.limit as usize;
    let is_more = backups.len() > wanted;
    backups.truncate(wanted);
    let next = backups.last().filter(|_| is_more).and_then(cursor);
    Ok(Json(Backups { backups, next }))
}

/// One backup.
#[utoipa::path(get, path = "/v1/backups/{id}", tag = "backups", params(("id" = String, Path)),
    responses((status = 200, body = Backup), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn one(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Backup>> {
    Ok(Json(service.vaults()?.catalog().backup(&id(path)?.to_string()).await?))
}

pub(super) fn id(path: Result<Path<String>, PathRejection>) -> Result<BackupId> {
    let Path(id) = path.map_err(|rejection| Error::Usage(rejection.body_text()))?;
    id.parse()
}

/// How a backup is deleted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// Also the last good one of its app.
    #[serde(default)]
    force: bool,
}

/// Deletes a backup from every vault. The last good one of an app goes only with `force`, and what a bucket's object lock keeps stays.
#[utoipa::path(delete, path = "/v1/backups/{id}", tag = "backups", params(("id" = String, Path), DeleteQuery),
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn delete(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<DeleteQuery>, QueryRejection>,
) -> Result<StatusCode> {
    let Query(query) = query.map_err(|rejection| Error::Usage(rejection.body_text()))?;
    service.vaults()?.delete(&id(path)?.to_string(), query.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins a backup of an app. The same `Idempotency-Key` again gives the same job.
#[utoipa::path(post, path = "/v1/apps/{source}/{app}/backups", tag = "backups",
    params(("source" = String, Path), ("app" = String, Path), ("idempotency-key" = Option<String>, Header)),
    responses((status = 202, body = crate::catalog::Job), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn make(
    State(service): State<Service>,
    AppPath(name): AppPath,
    headers: HeaderMap,
) -> Result<Response> {
    let (vaults, jobs) = (service.vaults()?.clone(), service.jobs()?);
    service.app(&name, PostgresOptions::default())?.must_exist().await?;
    let backup = BackupId::from(ArchiveId::random()?);
    let asked = Asked {
        kind: JobKind::Backup,
        app: &name,
        backup,
        request: String::new(),
        request_key: request_key(&headers)?,
    };
    let app = name.clone();
    let job = jobs.begin(
        asked,
        |transfer| service.inner.transfers.add(transfer),
        move |transfer| async move {
            let stands = vaults.backup(&app, backup, Trigger::Rest, &transfer).await?;
            serde_json::to_value(stands.record).map_err(|error| Error::Io(error.into()))
        },
    );
    Ok(accepted(job.await?))
}

/// What a restore may be asked for; all of it may be left out.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestoreRequest {
    /// The app that it goes into; by default the one that it was made of.
    into: Option<String>,
    /// Replaces what the app holds; without it, the app must be new or empty.
    #[serde(default)]
    replace: bool,
    /// Rows and objects alone that one of these globs over entry paths tells, tables whole; into an app that is new or empty.
    #[serde(default)]
    only: Vec<String>,
    /// Runs the archive's code with the rights of the service's own login; for apps in PostgreSQL.
    #[serde(default)]
    allow_code: bool,
    /// Renames the schema in the bodies of functions that name it.
    #[serde(default)]
    rewrite_bodies: bool,
    /// Restores owners and grants.
    #[serde(default)]
    grants: bool,
}

impl RestoreRequest {
    fn read(body: &[u8]) -> Result<Self> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(body).map_err(|error| {
            Error::Usage(format!(
                "the request's body is not understood: {error}; it takes into (\"SOURCE/APP\"), only (a list of globs), replace, allow_code, \
                 rewrite_bodies and grants (true or false)"
            ))
        })
    }
}

/// Begins to restore a backup, opened with the service's identity, into an app. The same `Idempotency-Key` again
/// gives the same job.
#[utoipa::path(post, path = "/v1/backups/{id}/restore", tag = "backups",
    params(("id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = Option<RestoreRequest>,
    responses((status = 202, body = crate::catalog::Job), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn restore(
    State(service): State<Service>,
    Extension(rights): Extension<Rights>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let (vaults, jobs) = (service.vaults()?.clone(), service.jobs()?);
    let id = id(path)?;
    let request = RestoreRequest::read(&read_request(body, service.inner.config.idle_timeout).await?)?;
    let Found { archive: place, expected, .. } = vaults.find(&Wanted::Id(id.to_string())).await?;
    let of = expected.app.clone();
    let into: AppName = request.into.as_deref().map_or_else(|| Ok(of.clone()), str::parse)?;
    let RestoreRequest { replace, only, allow_code, rewrite_bodies, grants, .. } = request;
    if replace && !only.is_empty() {
        return Err(Error::Usage("`only` brings a part into an app that is new or empty: leave `replace` out".into()));
    }
    let existing = if replace { Existing::Replace } else { Existing::Refuse };
    if into != of || allow_code || rewrite_bodies || grants {
        must_be_admin(rights)?;
    }
    let options = PostgresOptions { allow_code, rewrite_bodies, grants, ..PostgresOptions::default() };
    let app = service.target(&into, options)?;
    let request_key = request_key(&headers)?;
    let request = format!("{id} {replace} {only:?} {allow_code} {rewrite_bodies} {grants}");
    let asked = Asked { kind: JobKind::Restore, app: &into, backup: id, request, request_key };
    let running = service.clone();
    let job = jobs.begin(
        asked,
        |transfer| service.inner.transfers.add(transfer),
        move |transfer| async move {
            let mut keys = vaults.read_keys()?;
            keys.unlock.max_work_factor = WorkFactor::SERVICE_READ_MAX;
            keys.expected = Some(expected);
            let origin = match only.is_empty() {
                true => Origin::Whole(place.open().await?.0),
                false => Origin::Part(place, only),
            };
            let imported = import(&app, origin, keys, &transfer, &running.inner.staging, existing).await?;
            serde_json::to_value(import_answer(transfer.id(), imported)).map_err(|error| Error::Io(error.into()))
        },
    );
    Ok(accepted(job.await?))
}
