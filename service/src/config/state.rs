//! Where the service keeps its own state: what backups there are, and which jobs run.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::login::Login;
use super::password::{PasswordSettings, PasswordSource};
use crate::{Error, Result};

const URL_VARIABLE: &str = "COFFER_STATE_URL";
const PASSWORD_VARIABLE: &str = "COFFER_STATE_PASSWORD";

/// `[state]` as it is written. It has no `Debug`, as its URL may hold a password.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateSection {
    url: Option<String>,
    password_file: Option<String>,
}

/// The database of the service's own.
#[derive(Debug, Clone)]
pub enum StatePlace {
    /// A file, for one machine.
    Sqlite(PathBuf),
    /// A database that several machines share.
    Postgres(Box<StateLogin>),
}

/// A login to PostgreSQL. No password is in its `Debug`.
#[derive(Debug, Clone)]
pub struct StateLogin {
    url: super::password::Secret,
    login: Login,
}

impl StatePlace {
    /// Reads what is set; `default` is the file where nothing is.
    pub(super) fn new(
        base: &Path,
        section: StateSection,
        default: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let StateSection { url, password_file } = section;
        let about = |error: Error| match error {
            Error::Usage(why) => Error::Usage(format!("[state] url: {why}")),
            other => other,
        };
        let Some(url) = environment(URL_VARIABLE).or(url) else { return Ok(Self::Sqlite(base.join(default))) };
        if Login::is_url(&url) {
            let login = Login::new(&url, |in_url| {
                PasswordSource::find(PasswordSettings {
                    variable: PASSWORD_VARIABLE.into(),
                    file_key: "password_file",
                    file: password_file,
                    in_url,
                    base,
                    environment,
                })
            });
            let login = login.map_err(about)?;
            if login.has_place() {
                return Err(about(Error::Usage("{app} has no place in it".into())));
            }
            return Ok(Self::Postgres(Box::new(StateLogin { url: super::password::Secret::new(url), login })));
        }
        match url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            Some(path) => Ok(Self::Sqlite(base.join(path))),
            None => Err(about(Error::Usage("it is not known: this version takes sqlite:PATH and postgres://…".into()))),
        }
    }

    /// Where it is, without a password.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(login) => login.login.masked().to_owned(),
        }
    }
}

impl StateLogin {
    /// The URL, and the password that goes into it where there is one elsewhere.
    ///
    /// # Errors
    /// Those of the file that holds the password.
    pub(crate) fn open(&self) -> Result<(&str, Option<String>)> {
        let password = self.login.password().read(None).map_err(|error| error.about("[state]"))?;
        Ok((self.url.reveal(), password.map(|password| password.reveal().to_owned())))
    }
}
