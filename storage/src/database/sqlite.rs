//! SQLite: a database that is one file.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;

use self::patience::Patience;
use super::{Blueprint, Database, Dump, Load, Loaded, Occupancy};
use crate::{Error, Import, ImportId, Landing, Result, sibling};

mod affinity;
mod blueprint;
mod catalog;
mod commit;
mod connection;
mod decode;
mod dump;
mod encode;
mod guard;
mod kept;
mod load;
mod lock;
mod locked;
mod mark;
mod patience;
mod places;
mod recovery;
mod rows;
mod scan;
mod schema;
mod script;
mod sequences;
mod space;
mod staging;
mod stop;
mod swap;
mod tables;
#[cfg(test)]
mod tests;
mod undo;
mod utf16;
mod virtual_table;

/// How long an import waits for the locks of those who use the database that it replaces.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app's database in a file.
///
/// An export reads one snapshot in one transaction, and leaves the app's files as they are, but for the recovery that any opening
/// of a database does whose writer died. While it runs on a database in WAL mode, the log can't be cut back.
/// An import builds a file beside the target, and renames it, or copies it in where an empty database is there that somebody may
/// have open. One that replaces a database is copied into it by SQLite's online backup, as one transaction, while others have it open;
/// it keeps the size of its pages, its encoding and its journal's mode. With a log, readers go on with what they see and writers
/// wait for the copy; without one, everybody does. What was replaced is a copy beside it, `.NAME.coffer-replaced-ID`. Indexes are built with SQLite's temporary files, which it unlinks as it makes them.
///
/// Virtual tables of the modules fts3, fts4, fts5, rtree, rtree_i32 and geopoly are carried; others fail an export by name, as what
/// they hold may be elsewhere. The tables in which a module keeps its data are tables like others, with their rows. The virtual table
/// itself is a row of the catalog, written as the shell's `.dump` writes it, and stands in `schema.json` under `virtual_tables`, by
/// `name` and `module`. No module's code runs: not to read, to load or to check, so that a tokenizer which only the app has is
/// carried by its name, and an index that is damaged stays as it is.
#[derive(Clone, Debug)]
pub struct SqliteDatabase {
    path: PathBuf,
    patience: Duration,
}

impl SqliteDatabase {
    /// The database at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), patience: PATIENCE }
    }
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn occupancy(&self) -> Result<Occupancy> {
        let path = sibling::absolute(&self.path)?;
        blocking("looking into a database", move || occupancy(&path)).await
    }

    async fn dump(&self) -> Result<Box<dyn Dump>> {
        Ok(Box::new(dump::SqliteDump::start(sibling::absolute(&self.path)?).await?))
    }

    async fn load_for(&self, blueprint: Blueprint, import: &Import) -> Result<Box<dyn Load>> {
        let path = sibling::absolute(&self.path)?;
        Ok(Box::new(load::SqliteLoad::start(path, blueprint, import.clone(), self.patience).await?))
    }

    async fn bring_back(&self, replaced: &ImportId, import: &Import) -> Result<Box<dyn Loaded>> {
        let (path, replaced, import, patience) =
            (sibling::absolute(&self.path)?, replaced.clone(), import.clone(), self.patience);
        let loaded = blocking("bringing back a database", move || {
            let staging = undo::stage(&path, &replaced, &import)?;
            Ok(load::SqliteLoaded::new(staging, Vec::new(), patience))
        });
        Ok(Box::new(loaded.await?))
    }

    async fn has_landed(&self, import: &Import, mark: &str) -> Result<bool> {
        let (path, id, mark) = (sibling::absolute(&self.path)?, import.id.clone(), mark.to_owned());
        blocking("looking for an import", move || recovery::has_landed(&path, &id, &mark)).await
    }

    async fn roll_back(&self, import: &Import) -> Result<()> {
        let (path, id) = (sibling::absolute(&self.path)?, import.id.clone());
        blocking("rolling an import back", move || recovery::roll_back(&path, &id)).await
    }

    async fn settle(&self, import: &Import) -> Result<()> {
        let (path, id, patience) = (sibling::absolute(&self.path)?, import.id.clone(), self.patience);
        blocking("settling an import", move || recovery::settle(&path, &id, &Patience::new(patience))).await
    }

    async fn replaced_bytes(&self, import: &ImportId) -> Result<Option<u64>> {
        let (path, id) = (sibling::absolute(&self.path)?, import.clone());
        blocking("measuring what was replaced", move || recovery::replaced_bytes(&path, &id)).await
    }

    async fn drop_replaced(&self, import: &ImportId) -> Result<()> {
        let (path, id) = (sibling::absolute(&self.path)?, import.clone());
        blocking("dropping what was replaced", move || places::remove(&places::replaced(&path, &id)?)).await
    }
}

/// What is at `path`.
fn occupancy(path: &Path) -> Result<Occupancy> {
    let connection = match connection::open_source(path) {
        Err(Error::NotFound { .. }) => return Ok(Occupancy::Missing),
        other => other?,
    };
    let empty = connection::is_empty(&connection).map_err(Error::sqlite(format!("reading {}", path.display())))?;
    Ok(if empty { Occupancy::Empty } else { Occupancy::Occupied })
}

/// Refuses a target that holds something, but for what is to be replaced, or beside which a log lies that SQLite would play into a new file of that name.
fn check_target(path: &Path, landing: Landing) -> Result<Occupancy> {
    let found = occupancy(path)?;
    match found {
        Occupancy::Occupied if landing == Landing::New => {
            return Err(Error::NotEmpty { what: path.display().to_string() });
        }
        Occupancy::Occupied | Occupancy::Empty => {}
        Occupancy::Missing => {
            for suffix in ["-wal", "-journal"] {
                let log = connection::with_suffix(path, suffix);
                if log.exists() {
                    return Err(Error::NotEmpty {
                        what: format!("{}, left over without its database,", log.display()),
                    });
                }
            }
        }
    }
    Ok(found)
}

/// Runs what blocks off the async threads.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Stopped { what }))
}
