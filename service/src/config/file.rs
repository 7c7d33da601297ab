//! The shape of `coffer.toml`, and the environment.

use std::path::Path;

use serde::Deserialize;

use super::s3::S3Section;
use super::schedule::ScheduleSection;
use super::state::StateSection;
use super::vault::VaultSection;
use crate::{Error, Result};

/// The file as it is written; what it leaves out has a default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    #[serde(default)]
    pub(super) server: Server,
    #[serde(default)]
    pub(super) keys: KeySection,
    #[serde(default)]
    pub(super) s3: S3Section,
    #[serde(default)]
    pub(super) state: StateSection,
    #[serde(default)]
    pub(super) vault: Vec<VaultSection>,
    #[serde(default)]
    pub(super) source: Vec<SourceSection>,
    #[serde(default)]
    pub(super) schedule: Vec<ScheduleSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) listen: Option<String>,
    pub(super) memory: Option<String>,
    pub(super) idle_timeout: Option<String>,
    pub(super) keep_replaced: Option<String>,
    pub(super) token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeySection {
    #[serde(default)]
    pub(super) recipients: Vec<String>,
    pub(super) identity_file: Option<String>,
    pub(super) signing_key_file: Option<String>,
    #[serde(default)]
    pub(super) require_encryption: bool,
    #[serde(default)]
    pub(super) trust: Vec<String>,
}

/// It has no `Debug`, as its URLs may hold passwords.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceSection {
    pub(super) name: String,
    pub(super) database: String,
    pub(super) schema: Option<String>,
    pub(super) import_database: Option<String>,
    pub(super) database_password_file: Option<String>,
    pub(super) import_database_password_file: Option<String>,
    pub(super) objects: Option<String>,
    pub(super) s3: Option<S3Section>,
    #[serde(default)]
    pub(super) recipients: Vec<String>,
    pub(super) before: Option<Vec<String>>,
    pub(super) after: Option<Vec<String>>,
    pub(super) hook_timeout: Option<String>,
}

impl ConfigFile {
    /// Reads a file; what is wrong with it is told with its line.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Usage(format!("the configuration {} can't be read: {error}", path.display())))?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| text.bytes().take(span.start).filter(|&b| b == b'\n').count() + 1);
            Error::Usage(format!("{}, line {line}: {}", path.display(), error.message()))
        })
    }
}

/// A variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
