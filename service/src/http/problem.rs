//! Errors as `application/problem+json` (RFC 9457), with a stable type.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::Error;

/// A problem as its user gets it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// What kind of problem, stable over versions.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, with which name, and what to do.
    pub detail: String,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (_, status, kind, title) = error.outcome().row();
        Self { kind: format!("urn:coffer:problem:{kind}"), title, status, detail: error.to_string() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = Problem::from(&self).into_response();
        if let Some(seconds) = self.outcome().retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use coffer_storage::Error as StorageError;

    use super::*;

    #[test]
    fn what_a_server_of_databases_says_has_a_status_of_its_own() {
        let (what, why) = (|| "exporting t".to_owned(), || "no".to_owned());
        for (error, status, kind, retry) in [
            (StorageError::Denied { what: what(), why: why() }, 502, "denied", false),
            (StorageError::Setup { what: what(), why: why() }, 500, "setup", false),
            (StorageError::Unreachable { what: what(), why: why() }, 503, "unreachable", true),
            (StorageError::Postgres { what: what(), why: why() }, 500, "postgres", false),
        ] {
            let error = Error::from(error).about("app crm/acme");
            assert_eq!(error.outcome().exit(), 1, "{kind}");
            let problem = Problem::from(&error);
            assert_eq!((problem.kind.as_str(), problem.status), (&*format!("urn:coffer:problem:{kind}"), status));
            let response = error.into_response();
            assert_eq!(response.status(), status, "{kind}");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry, "{kind}");
        }
    }
}
