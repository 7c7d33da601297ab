//! A source: patterns that tell where each app's database and objects are, and which apps there are.

use std::path::Path;
use std::sync::Arc;

use coffer_crypto::Recipient;
use coffer_storage::{LocalFolder, ObjectStore, S3Client};

use super::file::SourceSection;
use super::hooks::Hooks;
use super::keys::{Keys, parse_recipients};
use super::login::Login;
use super::pattern::{PLACE, Pattern};
use super::postgres::{PostgresPattern, PostgresSettings};
use super::s3::{self, BucketPattern, S3Section};
use crate::name::Name;
use crate::{Error, Result};

/// A family of apps.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: Name,
    /// Where each app's database is.
    pub database: DatabasePattern,
    /// Where each app's objects are, if it has any.
    pub objects: Option<ObjectsPattern>,
    /// Who can open its archives, in place of those in `[keys]`.
    pub recipients: Vec<Recipient>,
    /// What runs before and after a backup of one of its apps.
    pub hooks: Hooks,
}

/// Where each app's database is, by engine.
#[derive(Debug, Clone)]
pub enum DatabasePattern {
    /// A schema or a database of a PostgreSQL server.
    Postgres(Box<PostgresPattern>),
    /// An SQLite file.
    Sqlite(Pattern),
}

/// Where each app's objects are.
#[derive(Debug, Clone)]
pub enum ObjectsPattern {
    /// A folder.
    Folder(Pattern),
    /// A prefix of a bucket.
    Bucket(Box<BucketPattern>),
}

impl Source {
    /// The one source where there is no configuration file.
    pub(super) fn local(base: &Path) -> Result<Self> {
        Ok(Self {
            name: "local".parse()?,
            database: DatabasePattern::Sqlite(Pattern::new(base, "apps/{app}/data.db")),
            objects: Some(ObjectsPattern::Folder(Pattern::new(base, "apps/{app}/files"))),
            recipients: Vec::new(),
            hooks: Hooks::default(),
        })
    }

    pub(super) fn new(
        base: &Path,
        mut section: SourceSection,
        s3: &S3Section,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let name = section.name.clone();
        let about = |error: Error| match error {
            Error::Usage(why) => Error::Usage(format!("[[source]] {name:?}: {why}")),
            other => other,
        };
        let own_s3 = section.s3.take();
        let hooks = Hooks::new(section.before.take(), section.after.take(), section.hook_timeout.as_deref());
        let objects = section.objects.as_deref().map(|url| match url.starts_with(s3::SCHEME) {
            true => {
                let settings = own_s3.clone().unwrap_or_default().or(s3).settings(base, environment)?;
                let bucket = BucketPattern::new(url, S3Client::new(settings))?;
                Ok(ObjectsPattern::Bucket(Box::new(bucket)))
            }
            false if own_s3.is_some() => {
                Err(Error::Usage("s3 is for objects in s3://…, and these are elsewhere".into()))
            }
            false => path_pattern(base, "objects", "file:", url).map(ObjectsPattern::Folder),
        });
        let source = Self {
            hooks: hooks.map_err(about)?,
            objects: objects.transpose().map_err(about)?,
            recipients: parse_recipients(&section.recipients, &format!("[[source]] {name:?}"))?,
            name: name.parse()?,
            database: DatabasePattern::new(base, section, environment).map_err(about)?,
        };
        source.check_objects().map_err(about)?;
        Ok(source)
    }

    fn check_objects(&self) -> Result<()> {
        let Some(objects) = &self.objects else { return Ok(()) };
        if objects.has_place() != self.database.has_place() {
            let database = match &self.database {
                DatabasePattern::Postgres(_) => "schema (or the name of database)",
                DatabasePattern::Sqlite(_) => "database",
            };
            return Err(Error::Usage(format!("{PLACE} must stand in both {database} and objects, or in neither")));
        }
        match (&self.database, objects) {
            (DatabasePattern::Sqlite(path), ObjectsPattern::Folder(objects))
                if Path::new(path.as_str()).starts_with(objects.as_str()) =>
            {
                Err(Error::Usage(
                    "the database stands in the objects' folder, and would be one of them: keep them apart".into(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// The apps whose database is there, by name.
    ///
    /// # Errors
    /// [`Error::File`] where a folder can't be listed, [`Error::Storage`] where a server can't be asked.
    pub async fn apps(&self) -> Result<Vec<Name>> {
        match &self.database {
            DatabasePattern::Postgres(pattern) => {
                pattern.list(&self.name).await.map_err(|error| error.about(format!("source {}", self.name)))
            }
            DatabasePattern::Sqlite(pattern) => {
                let (pattern, name) = (pattern.clone(), self.name.clone());
                tokio::task::spawn_blocking(move || files(&pattern, &name)).await.map_err(|_| Error::StageLost)?
            }
        }
    }

    /// Why its apps can't be listed, where they can't.
    #[must_use]
    pub fn unlisted(&self) -> Option<String> {
        match &self.database {
            DatabasePattern::Postgres(pattern) => pattern.unlisted(),
            DatabasePattern::Sqlite(_) => None,
        }
    }

    /// Who can open what is written of its apps: its own recipients, else those of all.
    #[must_use]
    pub fn readers<'a>(&'a self, keys: &'a Keys) -> &'a [Recipient] {
        if self.recipients.is_empty() { &keys.recipients } else { &self.recipients }
    }

    /// Whether a pattern over `SOURCE/APP` may mean apps of this source.
    #[must_use]
    pub fn could_be_of(&self, apps: &str) -> bool {
        let source = apps.split('/').next().unwrap_or_default();
        glob::Pattern::new(source).is_ok_and(|pattern| pattern.matches(self.name.as_str()))
    }

    /// Refuses the name of an app that this source can't have.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the source has one app, of its own name.
    pub fn check(&self, app: &Name) -> Result<()> {
        if self.database.has_place() || *app == self.name {
            return Ok(());
        }
        Err(Error::NotFound(format!("source {0} has one app alone: {0}/{0}", self.name)))
    }
}

impl ObjectsPattern {
    fn has_place(&self) -> bool {
        match self {
            Self::Folder(path) => path.has_place(),
            Self::Bucket(bucket) => bucket.has_place(),
        }
    }

    /// The objects of one app.
    #[must_use]
    pub fn fill(&self, app: &Name) -> Arc<dyn ObjectStore> {
        match self {
            Self::Folder(path) => Arc::new(LocalFolder::new(path.fill(app))),
            Self::Bucket(bucket) => Arc::new(bucket.fill(app)),
        }
    }

    /// The pattern as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Folder(path) => format!("file:{}", path.as_str()),
            Self::Bucket(bucket) => bucket.url(),
        }
    }
}

impl DatabasePattern {
    fn new(base: &Path, section: SourceSection, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let SourceSection { name, database, schema, import_database, .. } = section;
        let (password_file, import_password_file) =
            (section.database_password_file, section.import_database_password_file);
        if Login::is_url(&database) {
            let settings = PostgresSettings {
                database,
                schema,
                import_database,
                database_password_file: password_file,
                import_database_password_file: import_password_file,
            };
            let pattern = PostgresPattern::new(&name, base, settings, environment)?;
            return Ok(Self::Postgres(Box::new(pattern)));
        }
        let for_postgres = [
            ("schema", schema),
            ("import_database", import_database),
            ("database_password_file", password_file),
            ("import_database_password_file", import_password_file),
        ];
        match for_postgres.iter().find(|(_, value)| value.is_some()) {
            Some((key, _)) if database.starts_with("sqlite:") => {
                Err(Error::Usage(format!("{key} is for a database of PostgreSQL, and this one is of SQLite")))
            }
            _ => Ok(Self::Sqlite(path_pattern(base, "database", "sqlite:", &database)?)),
        }
    }

    fn has_place(&self) -> bool {
        match self {
            Self::Postgres(pattern) => pattern.has_place(),
            Self::Sqlite(pattern) => pattern.has_place(),
        }
    }

    /// The pattern as text, without a password.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Postgres(pattern) => format!("schema {} of {}", pattern.schema(), pattern.database()),
            Self::Sqlite(pattern) => pattern.as_str().to_owned(),
        }
    }
}

fn path_pattern(base: &Path, key: &str, scheme: &str, url: &str) -> Result<Pattern> {
    if let Some(path) = url.strip_prefix(scheme).filter(|path| !path.is_empty()) {
        return Ok(Pattern::new(base, path));
    }
    // What stands behind the scheme may hold a password.
    let found = url.split_once(':').map_or("…", |(scheme, _)| scheme);
    let known = match key {
        "database" => "sqlite:PATH and postgres://LOGIN@SERVER/DATABASE",
        _ => "file:PATH and s3://BUCKET/PREFIX",
    };
    Err(Error::Usage(format!("{key} = \"{found}:…\" is not known; this version takes {known}")))
}

/// The apps whose file is there.
fn files(pattern: &Pattern, source: &Name) -> Result<Vec<Name>> {
    if !pattern.has_place() {
        return Ok(pattern.fill(source).exists().then(|| source.clone()).into_iter().collect());
    }
    let mut apps = pattern.list()?;
    if pattern.as_str().ends_with(PLACE) {
        let all = apps.clone();
        apps.retain(|app| !all.iter().any(|other| is_beside(app, other)));
    }
    Ok(apps)
}

/// Whether a name is that of a file that SQLite keeps beside the other's database.
fn is_beside(name: &Name, database: &Name) -> bool {
    let rest = name.as_str().strip_prefix(database.as_str());
    rest.is_some_and(|rest| ["-wal", "-shm", "-journal"].contains(&rest))
}
