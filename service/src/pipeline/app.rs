//! One app with its stores, opened.

use std::path::PathBuf;
use std::sync::Arc;

use coffer_storage::{Database, LocalFolder, ObjectStore, Occupancy, SqliteDatabase};

use crate::config::Source;
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
    place: PathBuf,
}

impl App {
    /// The app of this name in a source. Nothing is opened yet.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the source can't have an app of this name.
    pub fn of(source: &Source, app: &Name) -> Result<Self> {
        source.check(app)?;
        let place = source.database.fill(app);
        Ok(Self {
            name: AppName { source: source.name.clone(), app: app.clone() },
            database: Arc::new(SqliteDatabase::new(place.clone())),
            objects: source.objects.as_ref().map(|objects| Arc::new(LocalFolder::new(objects.fill(app))) as _),
            place,
        })
    }

    /// Makes sure that there is such an app.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming it and where it was looked for.
    pub async fn must_exist(&self) -> Result<()> {
        match self.database.occupancy().await? {
            Occupancy::Missing => Err(Error::NotFound(format!(
                "there is no app {}: {} does not exist; `coffer apps` lists those there are",
                self.name,
                self.place.display()
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
            return Err(self.not_empty("its database holds tables"));
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
