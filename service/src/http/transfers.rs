//! Export as a stream over HTTP, and what became of transfers.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use coffer_archive::Compression;
use coffer_crypto::{ArchiveId, Passphrase, Recipients, WorkFactor};
use coffer_storage::PostgresOptions;
use futures::StreamExt;
use futures::stream::unfold;
use serde::Deserialize;
use tokio::time::timeout;

use super::path::AppPath;
use super::{Problem, Service};
use crate::config::parse_recipients;
use crate::name::AppName;
use crate::pipeline::{Direction, Export, Packing, Receiver, Sealing, Transfer, TransferState};
use crate::{Error, Result};

const TRANSFER_HEADER: HeaderName = HeaderName::from_static("coffer-transfer");
/// The most bytes of a request that is no archive.
const REQUEST_MAX_BYTES: usize = 64 << 10;

/// What an export may be asked for; all of it may be left out. It has no `Debug`, as it may hold a passphrase.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportRequest {
    /// Who can open the archive: age X25519 recipients.
    #[serde(default)]
    recipients: Vec<String>,
    /// A passphrase that opens it, in place of recipients.
    passphrase: Option<String>,
    /// `none` for a plain `.tar.gz` or `.tar.zst`.
    encryption: Option<String>,
    /// `gzip`, which is the default, `zstd` or `none`.
    compression: Option<String>,
    /// How hard to compress: 1 (fast) to 12 (small) for gzip, to 19 for zstd.
    level: Option<u8>,
    /// Leave out what can't be carried, and name it in the manifest, in place of refusing the app; for apps in PostgreSQL.
    #[serde(default)]
    skip_unsupported: bool,
}

/// The archive, as it is made. It has no `Content-Length`; where the export fails half-way, the connection is broken off.
#[utoipa::path(post, path = "/v1/apps/{source}/{app}/export", tag = "transfers",
    params(("source" = String, Path), ("app" = String, Path)),
    request_body = Option<ExportRequest>,
    responses(
        (status = 200, description = "the archive: sealed, or a plain .tar.gz or .tar.zst", content(
            (Vec<u8> = "application/vnd.coffer"), (Vec<u8> = "application/gzip"), (Vec<u8> = "application/zstd")
        )),
        (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem)
    ))]
pub(super) async fn export(State(service): State<Service>, AppPath(name): AppPath, body: Body) -> Response {
    let begun = match begin(&service, Direction::Export, name) {
        Ok(begun) => begun,
        Err(error) => return error.into_response(),
    };
    let watched = Watched { transfer: Arc::clone(&begun.transfer), length: None };
    let answer = match start_export(&service, &begun, body).await {
        Ok((archive, headers)) => (headers, Body::from_stream(body_stream(archive, watched))).into_response(),
        Err(error) => {
            begun.transfer.end(Some(&error));
            error.into_response()
        }
    };
    begun.mark(answer)
}

type ExportHeaders = [(header::HeaderName, String); 2];

async fn start_export(service: &Service, begun: &Begun, body: Body) -> Result<(Receiver<Bytes>, ExportHeaders)> {
    let Begun { name, transfer } = begun;
    service.source(name)?.check(&name.app)?;
    let request = export_request(&read_request(body, service.inner.config.idle_timeout).await?)?;
    let options = PostgresOptions { skip_unsupported: request.skip_unsupported, ..PostgresOptions::default() };
    let app = service.app(name, options)?;
    let packing = packing(service, name, request)?;
    let (media_type, extension) = packing.media_type();
    let export = Export::prepare(app, packing, service.inner.budget.clone(), Arc::clone(transfer)).await?;
    let file = format!("attachment; filename=\"{}.{extension}\"", name.app);
    let headers = [(header::CONTENT_TYPE, media_type.to_owned()), (header::CONTENT_DISPOSITION, file)];
    Ok((export.start(service.inner.config.idle_timeout), headers))
}

/// A body as long as its client is there: dropped before its end, it means that the client has left.
pub(super) struct Watched {
    transfer: Arc<Transfer>,
    /// Where it is known: whoever has so many bytes asks for no end.
    length: Option<u64>,
}

impl Watched {
    /// One of so many bytes.
    pub(super) fn of(transfer: Arc<Transfer>, length: u64) -> Self {
        Self { transfer, length: Some(length) }
    }

    fn has_given(&self, bytes: usize) {
        self.transfer.add_bytes(bytes as u64);
        if self.length.is_some_and(|length| self.transfer.bytes() >= length) {
            self.transfer.end(None);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.transfer.end(Some(&Error::Left("the client went away before the end of the archive")));
    }
}

/// The archive as a body: an error in it breaks the connection off.
pub(super) fn body_stream(
    archive: Receiver<Bytes>,
    watched: Watched,
) -> impl futures::Stream<Item = Result<Bytes>> + Send {
    unfold(Some((archive, watched)), |outgoing| async move {
        let (mut archive, watched) = outgoing?;
        match archive.next().await {
            Ok(Some(piece)) => {
                watched.has_given(piece.len());
                Some((Ok(piece), Some((archive, watched))))
            }
            Ok(None) => {
                watched.transfer.end(None);
                None
            }
            Err(error) => {
                watched.transfer.end(Some(&error));
                Some((Err(error), None))
            }
        }
    })
}

/// A request that is no archive: small, and soon there.
pub(super) async fn read_request(body: Body, idle: Duration) -> Result<Vec<u8>> {
    let mut body = body.into_data_stream();
    let mut request = Vec::new();
    let read = async {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| Error::Left("the client went away before the end of its request"))?;
            request.extend_from_slice(&piece);
            if request.len() > REQUEST_MAX_BYTES {
                return Err(Error::Usage("the request's body is over 64 KiB".into()));
            }
        }
        Ok(())
    };
    let stalled = |_| Error::Stalled(format!("its client did not send the request in {idle:?}"));
    timeout(idle, read).await.map_err(stalled)??;
    Ok(request)
}

fn export_request(body: &[u8]) -> Result<ExportRequest> {
    match body {
        [] => Ok(ExportRequest::default()),
        body => serde_json::from_slice(body).map_err(|error| misunderstood(&error)),
    }
}

fn packing(service: &Service, name: &AppName, request: ExportRequest) -> Result<Packing> {
    let compression = compression(request.compression.as_deref(), request.level)?;
    let sealing = sealing(service, name, request)?;
    let archive_id = ArchiveId::random()?;
    Ok(Packing { sealing, compression, signing_key: service.inner.signing_key.clone(), archive_id })
}

fn compression(kind: Option<&str>, level: Option<u8>) -> Result<Compression> {
    let unknown = |there_is| Error::Usage(format!("that compression is not known: {there_is}"));
    let kind = kind.map_or(Ok(Compression::default()), |kind| kind.parse().map_err(unknown))?;
    Ok(level.map_or(Ok(kind), |level| kind.at_level(level))?)
}

fn sealing(service: &Service, name: &AppName, request: ExportRequest) -> Result<Sealing> {
    let ExportRequest { recipients, passphrase, encryption, .. } = request;
    let ways =
        usize::from(!recipients.is_empty()) + usize::from(passphrase.is_some()) + usize::from(encryption.is_some());
    if ways > 1 {
        return Err(Error::Usage("give one of recipients, passphrase and encryption".into()));
    }
    match (passphrase, encryption.as_deref()) {
        (Some(passphrase), _) => {
            let recipients = Recipients::Passphrase(Passphrase::new(passphrase)?, WorkFactor::SERVICE_WRITE);
            Ok(Sealing::Sealed(recipients))
        }
        (None, Some("none")) if service.inner.config.keys.require_encryption => {
            Err(Error::Forbidden("the configuration says require_encryption: an archive can't be written plain".into()))
        }
        (None, Some("none")) => Ok(Sealing::Plain),
        (None, Some(_)) => Err(Error::Usage("that encryption is not known: \"none\" is, or leave it out".into())),
        (None, None) if recipients.is_empty() => Sealing::default_for(service.source(name)?, &service.inner.keys),
        (None, None) => {
            let parsed = parse_recipients(&recipients, "the request")?;
            Ok(Sealing::Sealed(Recipients::keys(parsed)?))
        }
    }
}

/// Where the body is wrong, but no value that stands there: it may be a passphrase.
fn misunderstood(error: &serde_json::Error) -> Error {
    let message = error.to_string();
    if message.starts_with("unknown field") {
        return Error::Usage(format!("the request's body: {message}"));
    }
    Error::Usage(format!(
        "the request's body is not understood at line {}, column {}: it takes recipients (a list of texts), passphrase, \
         encryption and compression (a text each), level (a number), and skip_unsupported (true or false)",
        error.line(),
        error.column()
    ))
}

/// How a transfer went: while it runs, and after it.
#[utoipa::path(get, path = "/v1/transfers/{id}", tag = "transfers", params(("id" = String, Path)),
    responses((status = 200, body = TransferState), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<TransferState>> {
    let Path(id) = path.map_err(|rejection| Error::Usage(rejection.body_text()))?;
    let found = service.inner.transfers.find(&id);
    let none =
        || Error::NotFound(format!("there is no transfer {id:?}; the last thousand since the start are remembered"));
    Ok(Json(found.ok_or_else(none)?.state()))
}

/// A transfer that a request began.
pub(super) struct Begun {
    pub(super) name: AppName,
    pub(super) transfer: Arc<Transfer>,
}

pub(super) fn begin(service: &Service, direction: Direction, name: AppName) -> Result<Begun> {
    let transfer = Transfer::begin(direction, Some(name.clone()))?;
    service.inner.transfers.add(&transfer);
    Ok(Begun { name, transfer })
}

impl Begun {
    pub(super) fn mark(&self, mut answer: Response) -> Response {
        if let Ok(id) = HeaderValue::from_str(self.transfer.id()) {
            answer.headers_mut().insert(TRANSFER_HEADER, id);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_asked_for_in_its_body() {
        assert!(!export_request(b"").unwrap().skip_unsupported);
        assert!(!export_request(b"{}").unwrap().skip_unsupported);
        assert!(export_request(br#"{"skip_unsupported":true}"#).unwrap().skip_unsupported);
        let Err(error) = export_request(br#"{"skip_unsupported":"geheim"}"#) else { panic!("it was taken") };
        assert!(error.to_string().contains("skip_unsupported") && !error.to_string().contains("geheim"), "{error}");
    }
}
