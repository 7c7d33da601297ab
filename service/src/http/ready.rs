//! Whether the service can do its work, and what its operator should know.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Service;

/// 200 and `ok`, with a line for each warning; 503 where the service's own database does not answer.
pub(super) async fn ready(State(service): State<Service>) -> Response {
    if let Ok(vaults) = service.vaults()
        && let Err(error) = vaults.catalog().ping().await
    {
        tracing::warn!(%error, "not ready");
        return (StatusCode::SERVICE_UNAVAILABLE, "the state does not answer\n").into_response();
    }
    // Whoever asks has shown no token: which files there are is not his affair.
    let warning = service
        .inner
        .config
        .one_holder()
        .map(|_| "warning: the identity has no second holder: `coffer config check` tells more\n");
    let warning = warning.unwrap_or_default();
    format!("ok\n{warning}").into_response()
}
