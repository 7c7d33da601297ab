//! Apps of which each is a SQLite database and a folder.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{Edition, Place};
use crate::{App, Coffer, assert_same_database, folder_listing, shell};

/// The source `local`, which is there without a configuration.
pub struct Folder {
    coffer: Coffer,
    journal_mode: &'static str,
}

impl Folder {
    /// In a folder of its own, with databases of this journal mode. Pass `env!("CARGO_BIN_EXE_coffer")`.
    ///
    /// # Errors
    /// There is no room for one.
    pub fn new(program: &str, journal_mode: &'static str) -> Result<Self> {
        Ok(Self::of(Coffer::new(program)?, journal_mode))
    }

    /// Of a binary that has further variables.
    #[must_use]
    pub fn of(coffer: Coffer, journal_mode: &'static str) -> Self {
        Self { coffer, journal_mode }
    }
}

impl Place for Folder {
    fn coffer(&self) -> &Coffer {
        &self.coffer
    }

    fn name(&self, app: &str) -> String {
        format!("local/{app}")
    }

    fn make(&self, app: &str, edition: Edition) -> Result<()> {
        let (marker, rows) = (edition.marker(), edition.rows());
        let app = self.coffer.app(app);
        app.sqlite(&[&format!(
            "PRAGMA journal_mode = {};
             CREATE TABLE items(id INTEGER PRIMARY KEY, marker TEXT NOT NULL, payload BLOB);
             INSERT INTO items SELECT value, '{marker}', randomblob(600) FROM generate_series(1, {rows});
             CREATE INDEX by_marker ON items(marker);
             CREATE TABLE only_{marker}(id INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT);
             INSERT INTO only_{marker}(word) VALUES ('{marker}'), (NULL);
             CREATE VIEW seen AS SELECT id, '{marker}' AS as_of FROM items;",
            self.journal_mode
        )])?;
        for (name, content, _) in edition.objects() {
            app.put(&name, &content)?;
        }
        Ok(())
    }

    fn traces(&self) -> Result<Vec<String>> {
        let all = folder_listing(&self.coffer.path("coffer-data/apps"))?.into_iter();
        // A journal that nobody has open is one of a transaction that did not end.
        Ok(all.filter(|path| path.contains(".coffer-") || path.ends_with("-journal")).collect())
    }

    fn parts(&self, app: &str) -> Result<Vec<String>> {
        // An empty folder is no app.
        folder_listing(self.coffer.app(app).folder())
    }
}

/// Checks that two apps are equal in every row and in every object, by its name and its bytes. An empty folder is no object.
///
/// # Errors
/// They are not.
pub fn assert_same_state(one: &App, other: &App) -> Result<()> {
    assert_same_database(&one.database(), &other.database())?;
    assert_same_objects(&one.files(), &other.files())
}

/// Checks that two folders hold the same files.
///
/// # Errors
/// They do not.
pub fn assert_same_objects(one: &Path, other: &Path) -> Result<()> {
    let files = |folder| shell(folder, "find . -type f -print0 | sort -z | xargs -0r sha256sum");
    let (one, other) = (files(one)?, files(other)?);
    ensure!(one == other, "objects differ:\n{one}\n{other}");
    Ok(())
}
