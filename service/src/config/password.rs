//! A database's password: where it comes from, and never what it is.

use std::fmt;
use std::path::{Path, PathBuf};

use super::keys::read_secret;
use super::pattern::Pattern;
use crate::name::Name;
use crate::{Error, Result};

/// A text that is never shown.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever needs it itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a password is.
#[derive(Debug, Clone)]
pub(super) enum PasswordSource {
    /// In a variable of the environment.
    Variable(String, Secret),
    /// In the first line of a file.
    File(Pattern),
    /// In the URL.
    Url,
    /// Where PostgreSQL's own programs look.
    Standard,
}

/// What is said of one password, and where.
pub(super) struct PasswordSettings<'a> {
    /// The variable that may hold it; with `_FILE` behind it, the one that names a file.
    pub(super) variable: String,
    /// The key of `coffer.toml` that names a file.
    pub(super) file_key: &'static str,
    /// What that key says.
    pub(super) file: Option<String>,
    /// Whether the URL holds one.
    pub(super) in_url: bool,
    /// What relative paths are relative to.
    pub(super) base: &'a Path,
    /// Reads a variable.
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
}

impl PasswordSource {
    /// The environment before the file; a URL that holds one beside a key that does is a contradiction.
    ///
    /// # Errors
    /// [`Error::Usage`] where two places contradict each other.
    pub(super) fn find(settings: PasswordSettings<'_>) -> Result<Self> {
        let PasswordSettings { variable, file_key, file, in_url, base, environment } = settings;
        let file_variable = format!("{variable}_FILE");
        match (environment(&variable), environment(&file_variable)) {
            (Some(_), Some(_)) => {
                return Err(Error::Usage(format!("{variable} and {file_variable} are both set: unset one")));
            }
            (Some(password), None) => return Ok(Self::Variable(variable, Secret::new(password))),
            (None, Some(file)) => return Ok(Self::File(Pattern::new(base, &file))),
            (None, None) => {}
        }
        match file {
            Some(_) if in_url => {
                Err(Error::Usage(format!("there is a password in the URL and one by {file_key}: keep the latter")))
            }
            Some(file) => Ok(Self::File(Pattern::new(base, &file))),
            None if in_url => Ok(Self::Url),
            None => Ok(Self::Standard),
        }
    }

    /// Whether each app has one of its own.
    pub(super) fn has_place(&self) -> bool {
        matches!(self, Self::File(file) if file.has_place())
    }

    /// The password, where it is not the driver that finds it.
    ///
    /// # Errors
    /// [`Error::File`] naming a file that can't be read, [`Error::Usage`] naming one that holds none.
    pub(super) fn read(&self, app: Option<&Name>) -> Result<Option<Secret>> {
        match self {
            Self::Variable(_, password) => Ok(Some(password.clone())),
            Self::File(file) => {
                let path = app.map_or_else(|| PathBuf::from(file.as_str()), |app| file.fill(app));
                let text = read_secret(&path)?;
                match text.lines().next() {
                    Some(password) if !password.is_empty() => Ok(Some(Secret::new(password))),
                    _ => Err(Error::Usage(format!("the first line of {} holds no password", path.display()))),
                }
            }
            Self::Url | Self::Standard => Ok(None),
        }
    }
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name, _) => f.write_str(name),
            Self::File(file) => write!(f, "file {}", file.as_str()),
            Self::Url => f.write_str("the URL"),
            Self::Standard => f.write_str("PGPASSWORD or .pgpass"),
        }
    }
}
