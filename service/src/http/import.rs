//! Import: an archive that streams in as a request's body.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use coffer_crypto::Passphrase;
use coffer_storage::PostgresOptions;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::auth::{Rights, must_be_admin};
use super::path::AppPath;
use super::transfers::begin;
use super::{Problem, Service};
use crate::pipeline::{
    App, ArchiveInput, Cancel, Direction, Imported, Origin, PipeReader, Sender, Transfer, import as run_import, pipe,
};
use crate::staging::Existing;
use crate::{Error, Result};

const PASSPHRASE_HEADER: HeaderName = HeaderName::from_static("coffer-passphrase");
/// Pieces of a request's body on their way to the stage that reads them.
const PIECES: usize = 4;
/// What must come in each idle timeout, as much as an export's piece has.
const PROGRESS_BYTES: usize = 64 << 10;
/// How long a client that is still sending is heard after its import has failed.
const DRAIN: Duration = Duration::from_secs(5);

/// What an import may be asked for in the URL.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// Replaces what the app holds: its users see the old app until the new one stands as a whole, and what is replaced is kept
    /// for a while, for an undo.
    #[serde(default)]
    replace: bool,
    /// For apps in PostgreSQL: runs the archive's views, functions, triggers and policies with the rights of the service's own login, where
    /// the source has no import_database: whoever wrote the archive then has these rights. Needs an admin's token.
    #[serde(default)]
    allow_code: bool,
    /// For apps in PostgreSQL: renames the schema in the bodies of functions that name it. Needs an admin's token.
    #[serde(default)]
    rewrite_bodies: bool,
    /// For apps in PostgreSQL: restores owners and grants. Needs an admin's token.
    #[serde(default)]
    grants: bool,
}

impl ImportQuery {
    fn options(&self, rights: Rights) -> Result<PostgresOptions> {
        let &Self { allow_code, rewrite_bodies, grants, .. } = self;
        if allow_code || rewrite_bodies || grants {
            must_be_admin(rights)?;
        }
        Ok(PostgresOptions { allow_code, rewrite_bodies, grants, ..PostgresOptions::default() })
    }

    const fn existing(&self) -> Existing {
        if self.replace { Existing::Replace } else { Existing::Refuse }
    }
}

/// What an import brought.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ImportAnswer {
    /// The transfer's id.
    transfer: String,
    /// The app that the archive was made of.
    exported_from: String,
    /// Rows by table.
    tables: Vec<TableAnswer>,
    /// The objects together.
    objects: ObjectsAnswer,
    /// The public key of whoever signed the archive; null where nobody did. That the signature holds has been checked, and
    /// whose key it is has not.
    signed_by: Option<String>,
    /// Until when the app that was replaced is kept, RFC 3339; null where nothing is.
    kept_until: Option<String>,
    /// What it takes.
    kept_bytes: Option<u64>,
    /// What its user should know.
    notices: Vec<String>,
}

/// One table's rows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TableAnswer {
    name: String,
    rows: u64,
}

/// Objects, counted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ObjectsAnswer {
    count: u64,
    bytes: u64,
    /// Those that were deleted while the archive was made, and are not in it.
    vanished: u64,
}

/// The archive as the body, into an app that is new or empty, or with `replace` in the place of what it holds. Answers once all of it
/// stands; after an error the app is as it was.
#[utoipa::path(post, path = "/v1/apps/{source}/{app}/import", tag = "transfers",
    params(
        ("source" = String, Path), ("app" = String, Path), ImportQuery,
        ("coffer-passphrase" = Option<String>, Header, description = "opens an archive that is sealed with one")
    ),
    request_body(content = Vec<u8>, content_type = "application/vnd.coffer"),
    responses(
        (status = 200, body = ImportAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem),
        (status = 503, body = Problem)
    ))]
pub(super) async fn import(
    State(service): State<Service>,
    AppPath(name): AppPath,
    Extension(rights): Extension<Rights>,
    query: Result<Query<ImportQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let asked = query.map_err(misplaced).and_then(|Query(query)| Ok((query.options(rights)?, query.existing())));
    let (options, existing) = match asked {
        Ok(asked) => asked,
        Err(error) => return error.into_response(),
    };
    let begun = match begin(&service, Direction::Import, name) {
        Ok(begun) => begun,
        Err(error) => return error.into_response(),
    };
    // A task of its own, which cleans up behind itself where its client leaves.
    let _leaving = CancelOnDrop(Arc::clone(&begun.transfer));
    let (name, running) = (begun.name.clone(), Arc::clone(&begun.transfer));
    let task = tokio::spawn(async move {
        let imported = match service.target(&name, options) {
            Ok(app) => {
                let body = body.into_data_stream();
                receive(&service, &app, existing, &running, &headers, body).await
            }
            Err(error) => Err(error),
        };
        running.end(imported.as_ref().err());
        imported
    });
    let answer = match task.await {
        Ok(Ok(imported)) => Json(import_answer(begun.transfer.id(), imported)).into_response(),
        Ok(Err(error)) => error.into_response(),
        Err(_) => Error::StageLost.into_response(),
    };
    begun.mark(answer)
}

fn misplaced(rejection: QueryRejection) -> Error {
    Error::Usage(format!(
        "{}: replace, allow_code, rewrite_bodies and grants may stand here, each true or false",
        rejection.body_text()
    ))
}

/// Whoever leaves stops the work. Once it is done, that changes nothing.
struct CancelOnDrop(Arc<Transfer>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel(Cancel::ClientLeft);
    }
}

async fn receive(
    service: &Service,
    app: &App,
    existing: Existing,
    transfer: &Arc<Transfer>,
    headers: &HeaderMap,
    body: BodyDataStream,
) -> Result<Imported> {
    let passphrase = headers.get(PASSPHRASE_HEADER).map(passphrase).transpose()?;
    let (pieces, arriving) = pipe(PIECES);
    let idle = service.inner.config.idle_timeout;
    let keys = service.read_keys(passphrase)?;
    tokio::spawn(forward(body, pieces, idle));
    let input = ArchiveInput::new(PipeReader::new(arriving), "the request's body");
    run_import(app, Origin::Whole(input), keys, transfer, &service.inner.staging, existing).await
}

fn passphrase(value: &HeaderValue) -> Result<Passphrase> {
    let text = std::str::from_utf8(value.as_bytes());
    let text = text.map_err(|_| Error::Usage("the header Coffer-Passphrase is not UTF-8".into()))?;
    Ok(Passphrase::new(text)?)
}

/// Brings the body into the pipe, and notices a client that stalls or leaves: 64 KiB must come in each `idle`, not counting
/// the time in which it is us who are slow.
async fn forward(mut body: BodyDataStream, pieces: Sender<Bytes>, idle: Duration) {
    let (mut left, mut received) = (idle, 0);
    let ended = loop {
        let asked = Instant::now();
        match timeout(left, body.next()).await {
            Ok(Some(Ok(piece))) => {
                left = left.saturating_sub(asked.elapsed());
                received += piece.len();
                if received >= PROGRESS_BYTES {
                    (left, received) = (idle, 0);
                }
                if pieces.send(piece).await.is_err() {
                    return drain(body).await;
                }
            }
            Ok(Some(Err(_))) => break Err(Error::Left("the client went away before the end of its request")),
            Ok(None) => break Ok(()),
            Err(_) => break Err(Error::Stalled(format!("its client sent less than 64 KiB in {idle:?}"))),
        }
    };
    pieces.end(ended).await;
}

/// Takes what a client still sends after its import has failed, for a while: a connection that is closed on a client which
/// is sending would lose the answer on its way (RFC 9112, 9.6).
async fn drain(mut body: BodyDataStream) {
    let discard = async { while let Some(Ok(_)) = body.next().await {} };
    drop(timeout(DRAIN, discard).await);
}

pub(super) fn import_answer(transfer: &str, imported: Imported) -> ImportAnswer {
    let Imported { manifest, summary, landed, notices } = imported;
    let (kept_until, kept_bytes) = landed.kept.map(|(until, bytes)| (until.to_string(), bytes)).unzip();
    let tables = summary.tables.into_iter().map(|table| TableAnswer { name: table.name, rows: table.rows }).collect();
    let coffer_archive::ObjectTotals { count, bytes, vanished } = summary.objects;
    let objects = ObjectsAnswer { count, bytes, vanished };
    let signed_by = summary.signature.map(|signature| signature.key);
    let exported_from = format!("{}/{}", manifest.source, manifest.app);
    ImportAnswer {
        transfer: transfer.to_owned(),
        exported_from,
        tables,
        objects,
        signed_by,
        kept_until,
        kept_bytes,
        notices,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(query: &str) -> Result<PostgresOptions> {
        let uri = format!("/v1/apps/crm/acme/import{query}").parse().unwrap();
        Query::try_from_uri(&uri)
            .map_err(misplaced)
            .and_then(|Query(query): Query<ImportQuery>| query.options(Rights::Admin))
    }

    #[test]
    fn an_import_is_asked_for_in_its_url() {
        for (query, expected) in [
            ("", [false; 3]),
            ("?allow_code=true", [true, false, false]),
            ("?allow_code=false&rewrite_bodies=true", [false, true, false]),
            ("?grants=true&allow_code=true", [true, false, true]),
        ] {
            let PostgresOptions { allow_code, rewrite_bodies, grants, skip_unsupported } = options(query).unwrap();
            assert_eq!([allow_code, rewrite_bodies, grants], expected, "{query}");
            assert!(!skip_unsupported);
        }
        for wrong in
            ["?allow_code", "?allow_code=1", "?allow_codes=true", "?skip_unsupported=true", "?grants=true&grants=false"]
        {
            let error = options(wrong).unwrap_err();
            assert!(error.outcome().exit() == 2 && error.to_string().contains("rewrite_bodies"), "{wrong}: {error}");
        }
    }
}
