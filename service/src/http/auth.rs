//! The bearer token (RFC 6750).

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Service;
use crate::config::{Config, read_secret, write_secret};
use crate::{Error, Result};

const TOKEN_BYTES: usize = 32;
const SHORTEST: usize = 16;

/// A token, kept as its digest alone.
pub struct Token {
    digest: [u8; 32],
}

impl Token {
    /// Reads the token file; where there is no configuration, makes it at first.
    ///
    /// # Errors
    /// [`Error::File`] naming the file, [`Error::Usage`] where what it holds is too short to be a secret.
    pub fn load(config: &Config) -> Result<Self> {
        let path = &config.token_file;
        if config.is_default() && !path.exists() {
            let mut bytes = [0; TOKEN_BYTES];
            getrandom::fill(&mut bytes).map_err(|error| Error::Io(std::io::Error::other(error)))?;
            let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            write_secret(path, &token)?;
        }
        let text = read_secret(path)?;
        let token = text.trim();
        if token.len() < SHORTEST {
            let why = format!("the token in {} is shorter than {SHORTEST} characters", path.display());
            return Err(Error::Usage(why));
        }
        Ok(Self { digest: digest(token) })
    }

    /// Compares in constant time.
    fn is(&self, token: &str) -> bool {
        self.digest.ct_eq(&digest(token)).into()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// What the bearer of a request's token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// Everything: the token of the token file.
    Admin,
}

/// Makes sure that a request may have what could let an archive's author act with the service's rights: each further kind of
/// token has to be decided on here.
pub(super) fn must_be_admin(rights: Rights) -> Result<()> {
    match rights {
        Rights::Admin => Ok(()),
    }
}

/// Lets a request through that bears the token, and tells what that may do.
pub(super) async fn require_token(State(service): State<Service>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match token {
        Some((_, token)) if service.inner.token.is(token.trim()) => {
            request.extensions_mut().insert(Rights::Admin);
            next.run(request).await
        }
        _ => {
            let mut response = Error::Unauthorized.into_response();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            response
        }
    }
}
