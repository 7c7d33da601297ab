//! Apps to give to the service: a folder with `data.db` and `files`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{Random, large_files, tool};

const AWKWARD_SQL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/awkward.sql");
const BROKEN_TEXT_SQL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/broken_text.sql");
/// A database of coordinate systems that a Debian package brings: 36 tables, 26 of them WITHOUT ROWID, views and triggers.
const FOREIGN_DATABASE: &str = "/usr/share/proj/proj.db";

/// Where one app's data lies, whether there is any or not.
#[derive(Debug, Clone)]
pub struct App {
    folder: PathBuf,
}

impl App {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Is there anything of it?
    #[must_use]
    pub fn exists(&self) -> bool {
        self.folder.symlink_metadata().is_ok()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.join("data.db")
    }

    /// The folder of its objects.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Runs statements and dot commands of `sqlite3` on its database.
    ///
    /// # Errors
    /// One of them fails.
    pub fn sqlite(&self, statements: &[&str]) -> Result<String> {
        std::fs::create_dir_all(&self.folder)?;
        let database = self.database();
        let database = database.to_str().context("the folder's name is not UTF-8")?;
        let output = tool("sqlite3", ["-bail", database].iter().chain(statements))?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Writes one object.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.files().join(name);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        Ok(std::fs::write(path, content)?)
    }

    /// A few rows and a few files of 300 KiB in all: several members, several segments.
    ///
    /// # Errors
    /// It can't be written.
    pub fn fill_small(&self) -> Result<()> {
        self.sqlite(&["CREATE TABLE notes(id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT);
             CREATE INDEX by_title ON notes(title);
             INSERT INTO notes(title, body) VALUES ('first', 'hello'), ('second', NULL), ('🎉', 'it''s');"])?;
        let mut random = Random::new(1);
        self.put("readme.txt", b"hello\n")?;
        self.put("pictures/one.png", &random.bytes(200_000))?;
        self.put("pictures/two words.bin", &random.bytes(100_000))
    }

    /// A database with everything that is easily lost, and settings that are not the default.
    ///
    /// # Errors
    /// It can't be written.
    pub fn fill_awkward(&self, encoding: &str) -> Result<()> {
        let settings = format!(
            "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA encoding = '{encoding}';
             PRAGMA journal_mode = WAL;"
        );
        self.sqlite(&[settings.as_str(), &format!(".read '{AWKWARD_SQL}'")]).map(drop)
    }

    /// Adds text that is not of the database's encoding to the table `plain` of [`App::fill_awkward`].
    ///
    /// # Errors
    /// It can't be written.
    pub fn add_broken_text(&self) -> Result<()> {
        self.sqlite(&[&format!(".read '{BROKEN_TEXT_SQL}'")]).map(drop)
    }

    /// A database that nobody here wrote; false where it is not installed.
    ///
    /// # Errors
    /// It can't be copied.
    pub fn fill_foreign(&self) -> Result<bool> {
        if !Path::new(FOREIGN_DATABASE).is_file() {
            return Ok(false);
        }
        std::fs::create_dir_all(&self.folder)?;
        std::fs::copy(FOREIGN_DATABASE, self.database())?;
        Ok(true)
    }

    /// Rows and files of about `mebibytes` in all, half each; the largest file is half of the files.
    ///
    /// # Errors
    /// It can't be written.
    pub fn fill_large(&self, mebibytes: u64) -> Result<()> {
        self.fill_rows(mebibytes / 2)?;
        large_files(&self.files(), mebibytes / 2)
    }

    /// A table of rows of 1 KiB, half of which does not compress.
    ///
    /// # Errors
    /// It can't be written.
    pub fn fill_rows(&self, mebibytes: u64) -> Result<()> {
        let rows = mebibytes * 1_024;
        self.sqlite(&[
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;",
            &format!(
                "CREATE TABLE events(id INTEGER PRIMARY KEY, at TEXT, payload BLOB, words TEXT);
                 INSERT INTO events(at, payload, words) SELECT datetime(value, 'unixepoch'), randomblob(500),
                     printf('%.*c', 500, char(97 + value % 26)) FROM generate_series(1, {rows});
                 CREATE INDEX by_time ON events(at);"
            ),
        ])
        .map(drop)
    }
}
