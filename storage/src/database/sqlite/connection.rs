//! How databases are opened: an app's for reading, a new one for an archive's SQL and rows.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};

use super::{mark, schema::Settings};
use crate::{Error, Result};

/// How long a lock of somebody else's is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two looks at it. SQLite's own grow to a tenth of a second, and hardly ever find the moment between two transactions
/// of one who writes all the time.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The longest value or record that a stranger's SQL may make, until there are rows that need more.
const STRANGERS_LENGTH_BYTES: i32 = 16 << 20;
/// What a record has beyond its values.
const RECORD_OVERHEAD_BYTES: usize = 1 << 20;
/// The page cache of a database that is read from one end to the other.
const SCAN_CACHE_KIBIBYTES: i32 = 512;

/// `path` with `suffix` after its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The length of the log of the database at `path`; none is 0.
pub(super) fn wal_size_bytes(path: &Path) -> u64 {
    fs::metadata(with_suffix(path, "-wal")).map_or(0, |log| log.len())
}

/// Opens an app's database to read it. It is opened for writing as well, as a journal whose writer died must be rolled back, and
/// where the file can't be written SQLite itself opens it for reading; but no statement can write, and a log that somebody left is
/// not moved into the database.
pub(super) fn open_source(path: &Path) -> Result<Connection> {
    let what = || format!("reading {}", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NotFound { what: format!("database {}", path.display()) });
        }
        other => other.map_err(Error::io(what()))?,
    };
    let connection = open(path).map_err(Error::sqlite(what()))?;
    // An empty log is left by nobody: then closing may take away the one that reading makes.
    let found_log = wal_size_bytes(path) > 0;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, found_log)
        .and_then(|_| connection.pragma_update(None, "query_only", true))
        // A scan needs each page once.
        .and_then(|()| connection.pragma_update(None, "cache_size", -SCAN_CACHE_KIBIBYTES))
        .map_err(Error::sqlite(what()))?;
    Ok(connection)
}

/// Opens an existing database, distrusting its schema.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_handler(Some(|looks| wait(looks, PATIENCE)))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Waits for a lock that somebody has, `looks` times already; says whether to look again.
pub(super) fn wait(looks: i32, patience: Duration) -> bool {
    thread::sleep(LOOK_EVERY);
    LOOK_EVERY.saturating_mul(looks.unsigned_abs()) < patience
}

/// Opens the empty file at `path` to build a database in it that nobody else sees: without a journal, as a failure takes the
/// whole file away.
pub(super) fn open_staging(path: &Path, settings: &Settings) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    prepare_for_strangers(&connection, settings)?;
    Ok(connection)
}

/// Opens a database in memory under the same rules.
pub(super) fn open_rehearsal(settings: &Settings) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_in_memory_with_flags(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    prepare_for_strangers(&connection, settings)?;
    Ok(connection)
}

/// Sets what must stand before the first table, and shuts what a stranger's SQL has no business with.
fn prepare_for_strangers(connection: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", settings.page_size)?;
    connection.pragma_update(None, "encoding", &settings.encoding)?;
    connection.pragma_update(None, "auto_vacuum", settings.auto_vacuum)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "ignore_check_constraints", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, STRANGERS_LENGTH_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    Ok(())
}

/// Lets a row of so many encoded bytes be stored, and indexed: four times as much, for UTF-16 has two bytes for one of them, and
/// a generated column may be a copy. SQLite sees to it that its own limit is not passed.
pub(super) fn make_room(connection: &Connection, row_bytes: usize) -> rusqlite::Result<()> {
    let needed_bytes = row_bytes.saturating_mul(4).saturating_add(RECORD_OVERHEAD_BYTES);
    let needed_bytes = i32::try_from(needed_bytes).unwrap_or(i32::MAX);
    if connection.limit(Limit::SQLITE_LIMIT_LENGTH)? < needed_bytes {
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, needed_bytes)?;
    }
    Ok(())
}

/// Whether the schema is without an entry, but for our own.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE NOT (type = 'table' AND name GLOB ?1))";
    connection.query_row(sql, [mark::pattern()], |row| row.get(0))
}

/// Writes a name as SQL.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
