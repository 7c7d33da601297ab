//! Undo over HTTP.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use coffer_storage::PostgresOptions;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::path::AppPath;
use super::transfers::{begin, read_request};
use super::{Problem, Service};
use crate::pipeline::Direction;
use crate::staging::Undone;
use crate::{Error, Result};

/// What an undo is told.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UndoRequest {
    /// What has been written to the app since then is lost: a time of RFC 3339, no later than the import was that is undone.
    discard_changes_since: Option<String>,
}

/// An app that is again as it was.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct UndoAnswer {
    /// The transfer's id.
    transfer: String,
    /// When the import was that has been undone, RFC 3339.
    undone: String,
    /// What the copy that was kept took, and takes no more.
    freed_bytes: u64,
    /// Objects that the app's users stored meanwhile, and that stand as they were stored.
    left_alone: u64,
}

impl UndoRequest {
    fn read(body: &[u8]) -> Result<Option<Timestamp>> {
        let Self { discard_changes_since } = match body {
            [] => Self::default(),
            body => serde_json::from_slice(body).map_err(|error| {
                Error::Usage(format!("the request's body is not understood: {error}; it takes discard_changes_since"))
            })?,
        };
        let parse = |text: String| {
            text.parse().map_err(|_| Error::Usage(format!("discard_changes_since: {text:?} is no time of RFC 3339")))
        };
        discard_changes_since.map(parse).transpose()
    }
}

/// Brings back the app that its last import with `replace` has replaced. Without `discard_changes_since` it says since when what was
/// written would be lost, and what is kept, and does nothing. Goes on where its client leaves.
#[utoipa::path(post, path = "/v1/apps/{source}/{app}/undo", tag = "transfers",
    params(("source" = String, Path), ("app" = String, Path)),
    request_body = Option<UndoRequest>,
    responses(
        (status = 200, body = UndoAnswer), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)
    ))]
pub(super) async fn undo(State(service): State<Service>, AppPath(name): AppPath, body: Body) -> Result<Response> {
    let since = UndoRequest::read(&read_request(body, service.inner.config.idle_timeout).await?)?;
    let app = service.target(&name, PostgresOptions::default())?;
    let begun = begin(&service, Direction::Import, name)?;
    let transfer = std::sync::Arc::clone(&begun.transfer);
    let task = tokio::spawn(async move {
        let undone = service.inner.staging.undo(&app, since, &transfer).await;
        transfer.end(undone.as_ref().err());
        undone
    });
    let answer = match task.await {
        Ok(Ok(Undone { replaced, freed_bytes, left_alone })) => {
            let (transfer, undone) = (begun.transfer.id().to_owned(), replaced.to_string());
            Json(UndoAnswer { transfer, undone, freed_bytes, left_alone }).into_response()
        }
        Ok(Err(error)) => error.into_response(),
        Err(_) => Error::StageLost.into_response(),
    };
    Ok(begun.mark(answer))
}
