//! One app with its stores, opened.

use std::sync::Arc;

use coffer_storage::{
    Database, EngineKind, ObjectStore, Occupancy, PostgresDatabase, PostgresOptions, PostgresPlace, SqliteDatabase,
};

use crate::config::{DatabasePattern, PostgresPattern, Source};
use crate::name::{AppName, Name};
use crate::{Error, Result};

/// An app's database and objects.
#[derive(Clone)]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// Its rows.
    pub database: Arc<dyn Database>,
    /// Its objects, where its source has any.
    pub objects: Option<Arc<dyn ObjectStore>>,
    /// What its database is of: it takes archives of no other.
    pub engine: EngineKind,
    place: String,
    objects_place: Option<String>,
}

impl App {
    /// The app of this name in a source, to read it. Nothing is opened yet, but the file of a password is read.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the source can't have an app of this name; [`Error::Usage`] where its name is too long there,
    /// and where an option is for another engine.
    pub fn of(source: &Source, app: &Name, options: PostgresOptions) -> Result<Self> {
        Self::open(source, app, options, PostgresPattern::fill)
    }

    /// The app of this name in a source, to import into it: with the login under which an archive's SQL runs.
    ///
    /// # Errors
    /// Those of [`App::of`].
    pub fn target(source: &Source, app: &Name, options: PostgresOptions) -> Result<Self> {
        Self::open(source, app, options, PostgresPattern::fill_for_import)
    }

    fn open(
        source: &Source,
        app: &Name,
        options: PostgresOptions,
        fill: impl FnOnce(&PostgresPattern, &Name) -> Result<PostgresPlace>,
    ) -> Result<Self> {
        source.check(app)?;
        let name = AppName { source: source.name.clone(), app: app.clone() };
        let (database, engine, place): (Arc<dyn Database>, _, _) = match &source.database {
            DatabasePattern::Postgres(pattern) => {
                let place = fill(pattern, app).map_err(|error| error.about(format!("app {name}")))?;
                let told = format!("schema {:?} of {}", place.schema, place.address);
                (Arc::new(PostgresDatabase::new(place, options)), EngineKind::Postgres, told)
            }
            DatabasePattern::Sqlite(pattern) => {
                refuse(options, source)?;
                let path = pattern.fill(app);
                let told = path.display().to_string();
                (Arc::new(SqliteDatabase::new(path)), EngineKind::Sqlite, told)
            }
        };
        let objects = source.objects.as_ref().map(|objects| objects.fill(app));
        let objects_place = source.objects.as_ref().map(|objects| objects.url());
        Ok(Self { name, database, objects, engine, place, objects_place })
    }

    /// Where its rows and objects are, without a password.
    #[must_use]
    pub fn place(&self) -> String {
        self.objects_place.as_ref().map_or_else(|| self.place.clone(), |objects| format!("{}, {objects}", self.place))
    }

    /// Makes sure that there is such an app.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming it and where it was looked for.
    pub async fn must_exist(&self) -> Result<()> {
        match self.database.occupancy().await? {
            Occupancy::Missing => Err(Error::NotFound(format!(
                "there is no app {}: {} does not exist; `coffer apps` lists those there are",
                self.name, self.place
            ))),
            Occupancy::Empty | Occupancy::Occupied => Ok(()),
        }
    }

    /// Makes sure that the app is new or holds nothing.
    ///
    /// # Errors
    /// [`coffer_storage::Error::NotEmpty`] naming what holds something.
    pub async fn must_be_empty(&self) -> Result<()> {
        if self.database.occupancy().await? == Occupancy::Occupied {
            return Err(self.not_empty(match self.engine {
                EngineKind::Postgres => "its schema holds something",
                EngineKind::Sqlite => "its database holds tables",
            }));
        }
        match &self.objects {
            Some(objects) if !objects.is_empty().await? => Err(self.not_empty("it holds files")),
            _ => Ok(()),
        }
    }

    fn not_empty(&self, why: &str) -> Error {
        let what = format!("app {} ({why})", self.name);
        coffer_storage::Error::NotEmpty { what }.into()
    }
}

/// Refuses what is asked for of an SQLite app and would be passed over.
fn refuse(options: PostgresOptions, source: &Source) -> Result<()> {
    let PostgresOptions { skip_unsupported, allow_code, rewrite_bodies, grants } = options;
    let asked = [
        ("skip_unsupported", skip_unsupported),
        ("allow_code", allow_code),
        ("rewrite_bodies", rewrite_bodies),
        ("grants", grants),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((option, _)) => Err(Error::Usage(format!(
            "--{} (over HTTP {option}) is for apps in PostgreSQL, and those of source {} are in SQLite: leave it out",
            option.replace('_', "-"),
            source.name
        ))),
        None => Ok(()),
    }
}
