//! SQLite: a database that is one file.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Blueprint, Database, Dump, Load, Occupancy};
use crate::{Error, Result, sibling};

mod affinity;
mod blueprint;
mod catalog;
mod commit;
mod connection;
mod decode;
mod dump;
mod encode;
mod guard;
mod load;
mod rows;
mod scan;
mod schema;
mod script;
mod sequences;
mod staging;
mod stop;
mod tables;
#[cfg(test)]
mod tests;
mod utf16;
mod virtual_table;

/// An app's database in a file.
///
/// An export reads one snapshot in one transaction, and leaves the app's files as they are, but for the recovery that any opening
/// of a database does whose writer died. While it runs on a database in WAL mode, the log can't be cut back.
/// An import builds a file beside the target, and renames it, or copies it in where an empty database is there that somebody may
/// have open. Indexes are built with SQLite's temporary files, which it unlinks as it makes them.
///
/// Virtual tables of the modules fts3, fts4, fts5, rtree, rtree_i32 and geopoly are carried; others fail an export by name, as what
/// they hold may be elsewhere. The tables in which a module keeps its data are tables like others, with their rows. The virtual table
/// itself is a row of the catalog, written as the shell's `.dump` writes it, and stands in `schema.json` under `virtual_tables`, by
/// `name` and `module`. No module's code runs: not to read, to load or to check, so that a tokenizer which only the app has is
/// carried by its name, and an index that is damaged stays as it is.
#[derive(Clone, Debug)]
pub struct SqliteDatabase {
    path: PathBuf,
}

impl SqliteDatabase {
    /// The database at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
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

    async fn load(&self, blueprint: Blueprint) -> Result<Box<dyn Load>> {
        Ok(Box::new(load::SqliteLoad::start(sibling::absolute(&self.path)?, blueprint).await?))
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

/// Refuses a target that holds something, or beside which a log lies that SQLite would play into a new file of that name.
fn check_target(path: &Path) -> Result<Occupancy> {
    let found = occupancy(path)?;
    match found {
        Occupancy::Occupied => return Err(Error::NotEmpty { what: path.display().to_string() }),
        Occupancy::Empty => {}
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
