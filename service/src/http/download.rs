//! The archive of a backup, or a part of it, as it stands in the vault.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

use super::backups::id;
use super::range::{Asked as Range, asked};
use super::transfers::{Watched, begin, body_stream};
use super::{Problem, Service};
use crate::pipeline::Direction;
use crate::vault::{Found, Wanted};
use crate::{Error, Result};

/// What a download holds on its way, in pieces and in the connection.
const DOWNLOAD_BYTES: u64 = 2 << 20;

/// The archive of a backup as it stands in the vault, or a part of it.
#[utoipa::path(get, path = "/v1/backups/{id}/archive", tag = "backups",
    params(("id" = String, Path), ("range" = Option<String>, Header, description = "one range of bytes"),
        ("if-range" = Option<String>, Header, description = "the ETag that the range is of")),
    responses(
        (status = 200, description = "all of it", content((Vec<u8> = "application/vnd.coffer"), (Vec<u8> = "application/gzip"))),
        (status = 206, description = "the part that was asked for"), (status = 304, description = "it is what `If-None-Match` knows"),
        (status = 416, body = Problem),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)
    ))]
pub(super) async fn archive(
    State(service): State<Service>,
    method: Method,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = id(path)?;
    let Found { backup, place, archive, .. } = service.vaults()?.find(&Wanted::Id(id.to_string())).await?;
    let opened = archive.open_part().await?;
    let size = opened.size();
    // Whatever writes it anew, a rewrap, makes another one of it.
    let tag = place.sha256.as_deref().unwrap_or(&backup.record.id);
    let tag = format!("\"{tag}-{size}\"");
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let is_same = text(header::IF_RANGE).is_none_or(|expected| expected == tag);
    let range = asked(text(header::RANGE).filter(|_| is_same), size);
    let record = &backup.record;
    let is_plain = !place.path.ends_with(".coffer");
    let (media_type, extension) =
        if is_plain { ("application/gzip", "tar.gz") } else { ("application/vnd.coffer", "coffer") };
    let common = [
        (header::ETAG, tag.clone()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}-{}.{extension}\"", record.app, record.id)),
    ];
    let (status, bytes, told) = match range {
        Range::All => (StatusCode::OK, 0..size, None),
        Range::Part(bytes) => {
            let told = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
            (StatusCode::PARTIAL_CONTENT, bytes, Some(told))
        }
        Range::Unsatisfiable => {
            let told = [(header::CONTENT_RANGE, format!("bytes */{size}")), (header::ETAG, tag)];
            return Ok((told, Error::NoSuchPart(size)).into_response());
        }
    };
    let known = text(header::IF_NONE_MATCH).unwrap_or_default();
    let is_known = |known: &str| known == "*" || known.trim_start_matches("W/") == tag;
    if known.split(',').map(str::trim).any(is_known) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let reserve = match method {
        Method::HEAD => None,
        _ => Some(service.inner.budget.reserve(DOWNLOAD_BYTES).await?),
    };
    let begun = begin(&service, Direction::Export, record.app()?)?;
    let length = bytes.end - bytes.start;
    let body = match method {
        Method::HEAD => {
            begun.transfer.end(None);
            Body::empty()
        }
        _ => {
            let watched = Watched::of(Arc::clone(&begun.transfer), length);
            let pieces = body_stream(opened.stream(bytes), watched);
            Body::from_stream(pieces.map(move |piece| {
                // Held as long as there is something to send.
                let _ = &reserve;
                piece
            }))
        }
    };
    let mut answer = (status, common, [(header::CONTENT_LENGTH, length.to_string())], body).into_response();
    if let Some(told) = told.and_then(|told| told.parse().ok()) {
        answer.headers_mut().insert(header::CONTENT_RANGE, told);
    }
    Ok(begun.mark(answer))
}
