//! Jobs: what was asked for and goes on by itself.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Problem, Service};
use crate::catalog::Job;
use crate::{Error, Result};

const KEY_HEADER: &str = "idempotency-key";
/// The longest key of a request.
const KEY_MAX_BYTES: usize = 255;

/// The last thousand jobs, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Jobs {
    jobs: Vec<Job>,
}

/// The last thousand jobs, newest first. Ended ones are remembered for 30 days.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs",
    responses((status = 200, body = Jobs), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(State(service): State<Service>) -> Result<Json<Jobs>> {
    Ok(Json(Jobs { jobs: service.vaults()?.catalog().jobs().await? }))
}

/// A job: how far it is, and what came of it.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = Job), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn one(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>> {
    Ok(Json(service.vaults()?.catalog().job(&id(path)?).await?))
}

/// Ends a job. It stops soon, cleans up behind itself, and is `cancelled` then; one that has ended stays as it is.
#[utoipa::path(delete, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 202, body = Job), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn cancel(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<Job>)> {
    Ok((StatusCode::ACCEPTED, Json(service.jobs()?.cancel(&id(path)?).await?)))
}

fn id(path: Result<Path<String>, PathRejection>) -> Result<String> {
    let Path(id) = path.map_err(|rejection| Error::Usage(rejection.body_text()))?;
    match id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        true => Ok(id),
        false => Err(Error::NotFound("no job has such an id".into())),
    }
}

/// 202, and where the job is to be followed.
pub(super) fn accepted(job: Job) -> Response {
    let location = [(header::LOCATION, format!("/v1/jobs/{}", job.id))];
    (StatusCode::ACCEPTED, location, Json(job)).into_response()
}

/// What a client calls its request by.
pub(super) fn request_key(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(key) = headers.get(KEY_HEADER) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_MAX_BYTES);
    key.map(Some).ok_or_else(|| {
        Error::Usage(format!("the header Idempotency-Key must hold 1 to {KEY_MAX_BYTES} printable characters of ASCII"))
    })
}
