//! The app that a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::name::AppName;
use crate::{Error, Result};

/// `{source}/{app}` of a path, checked.
pub(super) struct AppPath(pub(super) AppName);

impl<S: Send + Sync> FromRequestParts<S> for AppPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((source, app)) = path.map_err(|rejection| Error::Usage(rejection.body_text()))?;
        Ok(Self(AppName { source: source.parse()?, app: app.parse()? }))
    }
}
