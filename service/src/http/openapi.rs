//! The description of the calls, for programs.

use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

/// Every call, as OpenAPI tells it.
#[derive(OpenApi)]
#[openapi(
    info(title = "Coffer", description = "Streaming, encrypted export, import and backup of apps"),
    paths(
        super::apps::list,
        super::apps::one,
        super::transfers::export,
        super::import::import,
        super::undo::undo,
        super::transfers::one,
        super::backups::make,
        super::backups::list,
        super::backups::one,
        super::backups::delete,
        super::download::archive,
        super::backups::restore,
        super::jobs::list,
        super::jobs::one,
        super::jobs::cancel
    ),
    security(("token" = []))
)]
struct Document;

/// The document that `GET /openapi.json` answers.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
    document
}
