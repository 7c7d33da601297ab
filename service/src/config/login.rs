//! The URL of a PostgreSQL database, in which `{app}` may stand, and the password that goes with it.

use coffer_storage::PostgresAddress;

use super::password::{PasswordSource, Secret};
use super::pattern::{NamePattern, PLACE};
use crate::name::Name;
use crate::{Error, Result};

/// What the driver takes behind the `?` of a URL. Of anything else it would log the value, which may be a password.
const OPTIONS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// The database of every server that nobody's app is in, from which the others are listed.
const MAINTENANCE: &str = "postgres";

/// A server, a database in it and a login, for each app or for all. No password is in its `Debug` or in an error.
#[derive(Debug, Clone)]
pub(super) struct Login {
    url: Secret,
    password: PasswordSource,
    masked: String,
    /// The database's name.
    pub(super) database: NamePattern,
    /// The login's own.
    pub(super) name: NamePattern,
}

impl Login {
    /// Whether a database's URL is PostgreSQL's.
    pub(super) fn is_url(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }

    /// Reads a URL. `find_password` is told whether it holds one.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is none, and where `{app}` stands anywhere but in the names of login and database.
    pub(super) fn new(url: &str, find_password: impl FnOnce(bool) -> Result<PasswordSource>) -> Result<Self> {
        check_form(url)?;
        let address = PostgresAddress::new(url, None).map_err(|error| Error::Usage(error.to_string()))?;
        let (database, name) = (NamePattern::new(address.database()), NamePattern::new(address.login()));
        // The driver is who tells what is what in a URL.
        if url.matches(PLACE).count() != database.places() + name.places() {
            return Err(Error::Usage(format!(
                "{PLACE} may stand in the names of the login and of the database alone, and the URL must have the latter"
            )));
        }
        let password = find_password(has_password(url))?;
        Ok(Self { url: Secret::new(url), password, masked: address.to_string(), database, name })
    }

    /// The URL without its password, and without its options.
    pub(super) fn masked(&self) -> &str {
        &self.masked
    }

    /// Where its password is.
    pub(super) fn password(&self) -> &PasswordSource {
        &self.password
    }

    pub(super) fn has_place(&self) -> bool {
        self.database.has_place() || self.name.has_place()
    }

    /// The address of one app's database.
    ///
    /// # Errors
    /// [`Error::Usage`] where the name makes another URL than the pattern says, or there is no password.
    pub(super) fn fill(&self, app: &Name) -> Result<PostgresAddress> {
        let url = self.url.reveal().replace(PLACE, app.as_str());
        let address = self.address(&url, Some(app))?;
        if address.database() != self.database.fill(app) || address.login() != self.name.fill(app) {
            return Err(Error::Usage(format!("{} can't be filled with {app}: put no % before {PLACE}", self.masked)));
        }
        Ok(address)
    }

    /// The address from which the databases of the server, or the schemas of the one database, are listed.
    pub(super) fn for_listing(&self) -> Result<PostgresAddress> {
        let address = self.address(self.url.reveal(), None)?;
        Ok(if self.database.has_place() { address.with_database(MAINTENANCE) } else { address })
    }

    fn address(&self, url: &str, app: Option<&Name>) -> Result<PostgresAddress> {
        let password = self.password.read(app);
        let password = password.map_err(|error| error.about(format!("the password for {}", self.masked)))?;
        Ok(PostgresAddress::new(url, password.as_ref().map(Secret::reveal))?)
    }
}

/// Refuses what would be misread, without repeating what may be a part of a password.
fn check_form(url: &str) -> Result<()> {
    let (authority, rest) = parts(url);
    if rest.contains(['@', '#']) {
        return Err(Error::Usage(
            "an @ or # stands behind the server's name: write /, ?, #, @ and % of a password as %2F, %3F, %23, %40 and %25"
                .into(),
        ));
    }
    if authority.contains(char::is_whitespace) {
        return Err(Error::Usage("white space stands in it".into()));
    }
    match options(rest).find(|key| !OPTIONS.contains(key) && !key.starts_with("options[")) {
        Some(unknown) => Err(Error::Usage(format!("the option {unknown:?} behind its ? is not known"))),
        None => Ok(()),
    }
}

/// A URL's login, server and port, and what follows.
fn parts(url: &str) -> (&str, &str) {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.split_at(behind.find(['/', '?', '#']).unwrap_or(behind.len()))
}

fn options(rest: &str) -> impl Iterator<Item = &str> {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|option| !option.is_empty()).map(|option| option.split('=').next().unwrap_or(option))
}

fn has_password(url: &str) -> bool {
    let (authority, rest) = parts(url);
    let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
    login.split_once(':').is_some_and(|(_, password)| !password.is_empty())
        || options(rest).any(|key| key == "password")
}
