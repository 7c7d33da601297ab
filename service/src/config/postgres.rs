//! Where the apps of a source are in PostgreSQL: a schema each, a database each, or one app.

use std::collections::BTreeSet;
use std::path::Path;

use coffer_storage::{Error as StorageError, PostgresPlace, PostgresScope};

use super::login::Login;
use super::password::{PasswordSettings, PasswordSource};
use super::pattern::{NamePattern, PLACE};
use crate::name::Name;
use crate::{Error, Result};

/// What PostgreSQL keeps of a name; the rest it would cut off (its manual, 4.1.1).
const NAME_MAX_BYTES: usize = 63;
/// The schema that is there where nobody makes one.
const DEFAULT_SCHEMA: &str = "public";
/// What messages call a name.
const IMPORT_LOGIN: &str = "the login of import_database";
/// What the names of our own schemas begin with.
const OURS: &str = "coffer_";

/// Where each app's rows are in PostgreSQL. It shows no password.
#[derive(Debug, Clone)]
pub struct PostgresPattern {
    database: Login,
    schema: NamePattern,
    scope: PostgresScope,
    import: Option<Login>,
}

/// What `coffer.toml` says of it.
pub(super) struct PostgresSettings {
    pub(super) database: String,
    pub(super) schema: Option<String>,
    pub(super) import_database: Option<String>,
    pub(super) database_password_file: Option<String>,
    pub(super) import_database_password_file: Option<String>,
}

impl PostgresPattern {
    /// The pattern of the source `name`.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the key that is wrong, or those that contradict each other.
    pub(super) fn new(
        source: &str,
        base: &Path,
        settings: PostgresSettings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let PostgresSettings {
            database,
            schema,
            import_database,
            database_password_file,
            import_database_password_file,
        } = settings;
        let login = |key: &str, url: &str, file_key, file| {
            let variable = format!("{}_{}_PASSWORD", variable_prefix(source), key.to_ascii_uppercase());
            let find =
                |in_url| PasswordSource::find(PasswordSettings { variable, file_key, file, in_url, base, environment });
            Login::new(url, find).map_err(|error| Error::Usage(format!("{key}: {error}")))
        };
        let scope = if schema.is_some() { PostgresScope::Schema } else { PostgresScope::Database };
        let pattern = Self {
            scope,
            database: login("database", &database, "database_password_file", database_password_file)?,
            schema: NamePattern::new(schema.unwrap_or_else(|| DEFAULT_SCHEMA.into())),
            import: match (import_database, import_database_password_file) {
                (Some(url), file) => Some(login("import_database", &url, "import_database_password_file", file)?),
                (None, Some(_)) => {
                    return Err(Error::Usage(
                        "import_database_password_file is of no use without import_database".into(),
                    ));
                }
                (None, None) => None,
            },
        };
        pattern.check()?;
        Ok(pattern)
    }

    fn check(&self) -> Result<()> {
        let Self { database, schema, scope: _, import } = self;
        let wrong = |why: String| Err(Error::Usage(why));
        if schema.as_str().is_empty() || schema.as_str().contains('\0') {
            return wrong("schema: a name can't be empty, and holds no NUL".into());
        }
        if is_reserved(schema.as_str()) {
            return wrong(format!(
                "schema = {:?}: names that begin with pg_ are PostgreSQL's, and those with coffer_ are ours",
                schema.as_str()
            ));
        }
        if schema.has_place() && database.database.has_place() {
            return wrong(format!("{PLACE} stands in schema and in the name of database: an app has one or the other"));
        }
        if !self.has_place() && (database.has_place() || import.as_ref().is_some_and(Login::has_place)) {
            return wrong(format!(
                "{PLACE} stands in the login of database or in import_database, and in neither schema nor the name of \
                 database: all apps would be in one place"
            ));
        }
        if database.password().has_place() && !database.name.has_place() {
            return wrong(format!("{PLACE} stands in the path of database's password, and not in its login"));
        }
        if import.as_ref().is_some_and(|import| import.password().has_place()) && !self.has_place() {
            return wrong(format!(
                "{PLACE} stands in the path of import_database's password, and in neither schema nor the name of database"
            ));
        }
        match import {
            Some(import) if import.database != database.database => wrong(format!(
                "import_database is {:?} and database {:?}: the two are logins to one database",
                import.database.as_str(),
                database.database.as_str()
            )),
            Some(import) if import.name == database.name => wrong(format!(
                "import_database has the login {:?} as database has: an archive's SQL must not run with the service's \
                 rights; name another login, or leave it out",
                import.name.as_str()
            )),
            _ if self.has_place() => Ok(()),
            // There is one app, so that its names are known now.
            _ => {
                let import = import.iter().map(|import| (IMPORT_LOGIN, &import.name));
                let mut names = self.own_names().into_iter().chain(import);
                names.try_for_each(|(what, pattern)| fits(what, pattern, pattern.as_str()))
            }
        }
    }

    /// Whether there is an app for each schema or database.
    pub(super) fn has_place(&self) -> bool {
        self.schema.has_place() || self.database.database.has_place()
    }

    /// Where one app is, without the login for imports: whoever only reads need not have its password.
    ///
    /// # Errors
    /// [`Error::Usage`] where the app's name makes a name that is too long, [`Error::NotFound`] where it makes one that is
    /// not an app's, [`Error::File`] where the file of a password can't be read.
    pub fn fill(&self, app: &Name) -> Result<PostgresPlace> {
        for (what, pattern) in self.own_names() {
            fits(what, pattern, &pattern.fill(app))?;
        }
        let schema = self.schema.fill(app);
        let database = self.database.database.fill(app);
        if is_reserved(&schema) || is_template(&database) {
            return Err(Error::NotFound(format!(
                "{app} is no app: schema {schema:?} of database {database:?} is not for apps"
            )));
        }
        Ok(PostgresPlace { address: self.database.fill(app)?, schema, scope: self.scope, import_address: None })
    }

    /// Where one app is, to import it.
    ///
    /// # Errors
    /// Those of [`PostgresPattern::fill`], for the login for imports too.
    pub fn fill_for_import(&self, app: &Name) -> Result<PostgresPlace> {
        let place = self.fill(app)?;
        let Some(import) = &self.import else { return Ok(place) };
        fits(IMPORT_LOGIN, &import.name, &import.name.fill(app))?;
        Ok(PostgresPlace { import_address: Some(import.fill(app)?), ..place })
    }

    /// The names in the server that exports need, each with what it is of.
    fn own_names(&self) -> [(&'static str, &NamePattern); 3] {
        [
            ("schema", &self.schema),
            ("the name of database", &self.database.database),
            ("the login of database", &self.database.name),
        ]
    }

    /// Why its apps can't be listed, where they can't.
    pub(super) fn unlisted(&self) -> Option<String> {
        self.database.name.has_place().then(|| {
            format!(
                "each app has a login of its own ({}), and there is none that sees them all",
                self.database.masked()
            )
        })
    }

    /// The apps that the server has, by name: the schemas, or the databases, whose names are made by this pattern. Where
    /// there is no `{app}` in it, `source` itself.
    ///
    /// # Errors
    /// [`Error::Storage`] where the server can't be asked.
    pub(super) async fn list(&self, source: &Name) -> Result<Vec<Name>> {
        let address = self.database.for_listing()?;
        if self.database.database.has_place() {
            return Ok(matching(&self.database.database, &address.databases().await?));
        }
        let schemas = match address.schemas().await {
            Err(StorageError::NotFound { .. }) => Vec::new(),
            schemas => schemas?,
        };
        if self.schema.has_place() {
            return Ok(matching(&self.schema, &schemas));
        }
        Ok(schemas.iter().any(|schema| schema == self.schema.as_str()).then(|| source.clone()).into_iter().collect())
    }

    /// The database's URL without password and options.
    #[must_use]
    pub fn database(&self) -> &str {
        self.database.masked()
    }

    /// The schema, in which `{app}` may stand.
    #[must_use]
    pub fn schema(&self) -> &str {
        self.schema.as_str()
    }

    /// The URL of the login under which an archive's SQL runs, without password and options.
    #[must_use]
    pub fn import_database(&self) -> Option<&str> {
        self.import.as_ref().map(Login::masked)
    }

    /// Where the passwords are, of the database's login and of the one for imports.
    #[must_use]
    pub fn passwords(&self) -> (String, Option<String>) {
        let place = |login: &Login| login.password().to_string();
        (place(&self.database), self.import.as_ref().map(place))
    }

    /// What is unwise in it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let logins = [("database", Some(&self.database)), ("import_database", self.import.as_ref())];
        let in_url = logins
            .into_iter()
            .filter(|(_, login)| login.is_some_and(|login| matches!(login.password(), PasswordSource::Url)));
        let in_url = in_url.map(|(key, _)| {
            format!("the password stands in the URL of {key}: whoever reads this file has it; put it in a file of its own and \
                     name that by {key}_password_file")
        });
        let no_import = self.import.is_none().then(|| {
            "there is no import_database: imports take tables, constraints and indexes alone, and views, functions and \
             triggers only where --allow-code lets them run with the rights of database's login"
                .to_owned()
        });
        in_url.chain(no_import).collect()
    }
}

/// What the variables of a source begin with: `COFFER_SOURCE_` and its name, upper-cased, all but letters and digits as `_`.
pub(super) fn variable_prefix(source: &str) -> String {
    let word = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' };
    format!("COFFER_SOURCE_{}", source.chars().map(word).collect::<String>())
}

fn matching(pattern: &NamePattern, names: &[String]) -> Vec<Name> {
    let names = names.iter().filter(|name| !is_reserved(name) && !is_template(name));
    names.filter_map(|name| pattern.app(name)).collect::<BTreeSet<_>>().into_iter().collect()
}

fn is_reserved(schema: &str) -> bool {
    schema.starts_with("pg_") || schema == "information_schema" || schema.starts_with(OURS)
}

fn is_template(database: &str) -> bool {
    ["template0", "template1"].contains(&database)
}

/// Refuses a name of which PostgreSQL would keep a part, which may be another's.
fn fits(what: &str, pattern: &NamePattern, name: &str) -> Result<()> {
    let bytes = name.len();
    if bytes <= NAME_MAX_BYTES {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{what} {:?} makes {name:?}, which has {bytes} bytes: PostgreSQL takes names of {NAME_MAX_BYTES}",
        pattern.as_str()
    )))
}
