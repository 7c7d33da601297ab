//! The database of an app: a stream of encoded rows out of it, and into a new one that nobody sees until it is committed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Import, ImportId, Result};

mod chunk;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod summary;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresAddress, PostgresDatabase, PostgresOptions, PostgresPlace, PostgresScope};
pub use sqlite::SqliteDatabase;
pub use summary::{RowsDigest, TableSummary};

/// A family of database engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// PostgreSQL.
    Postgres,
    /// SQLite 3.
    Sqlite,
}

impl EngineKind {
    /// The word for it in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

/// What made a blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Its family.
    pub kind: EngineKind,
    /// Its release, as it says itself.
    pub version: String,
}

/// How rows are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowEncoding {
    /// PostgreSQL's COPY text format.
    Copy,
    /// One JSON array a line.
    JsonLines,
}

impl RowEncoding {
    /// The word for it in a manifest, which is also the extension of the rows' entries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::JsonLines => "jsonl",
        }
    }

    /// The extension of the rows' entries.
    #[must_use]
    pub fn extension(self) -> &'static str {
        self.as_str()
    }
}

/// The structure of a database, without its rows. The same structure gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blueprint {
    /// What it was read from.
    pub engine: Engine,
    /// How the rows that go with it are written.
    pub row_encoding: RowEncoding,
    /// `schema.json`.
    pub schema: Bytes,
    /// The SQL that must run before rows go in.
    pub pre_data: Bytes,
    /// The SQL that runs after them.
    pub post_data: Bytes,
    /// The names of the tables, in the order of `schema.json`.
    pub tables: Vec<Arc<str>>,
    /// The names of the engine's extensions that the structure needs.
    pub extensions: Vec<String>,
    /// What the app holds and the blueprint does not, each with its kind and name, where that was asked for.
    pub skipped: Vec<String>,
}

/// A piece of one table's rows: at most 4 MiB, cut after a row unless a single row is larger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChunk {
    /// The table.
    pub table: Arc<str>,
    /// The encoded rows, never empty.
    pub bytes: Bytes,
}

/// What is at a database's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupancy {
    /// Nothing.
    Missing,
    /// A database without a table or anything else in its schema.
    Empty,
    /// A database that holds something.
    Occupied,
}

/// The database of one app.
#[async_trait]
pub trait Database: Send + Sync {
    /// What is there now. Changes nothing.
    async fn occupancy(&self) -> Result<Occupancy>;

    /// Begins an export. When this returns the snapshot is taken and all that can be refused has been: the blueprint has been
    /// read and tried. Dropping the dump ends its reading.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` where something can't be carried; `Busy` and `Corrupt` as the engine says.
    async fn dump(&self) -> Result<Box<dyn Dump>>;

    /// Begins an import. Nothing of it is visible before [`Loaded::commit`], and dropping what is returned, or this future, leaves
    /// nothing behind (soon after the drop: a thread takes it away).
    ///
    /// # Errors
    /// `NotEmpty` where the target holds something; `Refused` where the blueprint is not one that we would have written.
    async fn load(&self, blueprint: Blueprint) -> Result<Box<dyn Load>> {
        self.load_for(blueprint, &Import::new()?).await
    }

    /// As [`Database::load`], for an import that is known by its id and may be one that replaces what is there. One that replaces
    /// keeps what it replaced: after the commit, that waits for [`Database::bring_back`] or [`Database::drop_replaced`].
    ///
    /// # Errors
    /// Those of [`Database::load`]; of one that replaces: `Taken` where another one runs, `Refused` listing what outside of the
    /// app depends on what is there.
    async fn load_for(&self, blueprint: Blueprint, import: &Import) -> Result<Box<dyn Load>>;

    /// Begins to put back what the import `replaced` put aside: the commit swaps it in, and what was there is then what `import` has
    /// replaced.
    ///
    /// # Errors
    /// `NotFound` where nothing of it is there any more.
    async fn bring_back(&self, replaced: &ImportId, import: &Import) -> Result<Box<dyn Loaded>>;

    /// Whether an import's commit came through. It is asked after a crash, of an import that had been prepared; `mark` is what
    /// [`Loaded::mark`] gave.
    ///
    /// # Errors
    /// Whoever can't tell: then nothing may be done yet.
    async fn has_landed(&self, import: &Import, mark: &str) -> Result<bool>;

    /// Takes away what an import that did not come through has left. Nothing being there is fine.
    async fn roll_back(&self, import: &Import) -> Result<()>;

    /// Takes away what only the swap of an import needed that came through: not what it replaced.
    async fn settle(&self, import: &Import) -> Result<()>;

    /// The bytes that are kept of what an import replaced; none where nothing is.
    async fn replaced_bytes(&self, import: &ImportId) -> Result<Option<u64>>;

    /// Lets go of what an import replaced. Nothing being there is fine.
    async fn drop_replaced(&self, import: &ImportId) -> Result<()>;
}

/// An export under way: one snapshot, from blueprint to last row.
#[async_trait]
pub trait Dump: Send {
    /// The structure.
    fn blueprint(&self) -> &Blueprint;

    /// `sequences.json`.
    fn sequences(&self) -> Bytes;

    /// The next piece of the rows, the tables in the blueprint's order. `None` is said once, after the last row of the last
    /// table, and never for an error.
    async fn next(&mut self) -> Result<Option<RowChunk>>;

    /// What an operator should be told, each once.
    fn notices(&mut self) -> Vec<String>;
}

/// An import under way.
#[async_trait]
pub trait Load: Send {
    /// Takes a piece of a table's rows, cut anywhere. Tables may come in any order, all pieces of one together. Waits while the
    /// database is behind. An error may be that of an earlier piece; after one, nothing but a drop is of use.
    async fn write(&mut self, table: &str, bytes: Bytes) -> Result<()>;

    /// Ends the rows, and builds and checks the rest, which can take hours. After it, or an error of it, nothing but a drop is of
    /// use; dropping its future half-way ends nothing, and a drop or [`Load::discard`] then does.
    async fn finish(&mut self, sequences: Bytes) -> Result<Box<dyn Loaded>>;

    /// Takes it away, and ends what it is doing: nothing is left when this returns.
    async fn discard(self: Box<Self>) -> Result<()>;
}

/// An import that only waits to be made visible. Dropping it discards it.
#[async_trait]
pub trait Loaded: Send {
    /// What stands in the new database, read back from it, in the blueprint's order.
    fn tables(&self) -> &[TableSummary];

    /// Takes the last look at the target and whatever locks a commit needs, so that after it `commit` all but can't fail. Changes
    /// nothing that can be seen. Dropping this, or a discard, gives the locks back.
    ///
    /// # Errors
    /// `NotEmpty` where somebody filled the target meanwhile, `Busy` where somebody holds it; another try may succeed.
    async fn prepare(&mut self) -> Result<()>;

    /// What will tell whether the commit came through, for [`Database::has_landed`]. It is asked for once it is prepared, and noted
    /// before the commit.
    async fn mark(&mut self) -> Result<String>;

    /// Makes it visible, at once and whole. Prepares it first where nobody has.
    ///
    /// # Errors
    /// Those of [`Loaded::prepare`]; then nothing is visible.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Takes it away.
    async fn discard(self: Box<Self>) -> Result<()>;
}
