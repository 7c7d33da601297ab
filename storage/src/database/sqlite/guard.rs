//! A stranger's SQL, one statement at a time, each of which may make one thing and do nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{
    Batch, Connection, Statement,
    config::DbConfig,
    fallible_iterator::FallibleIterator,
    hooks::{AuthAction, AuthContext, Authorization},
};

use super::{
    catalog::MAX_SQL_BYTES,
    virtual_table::{self, CatalogRow, Parser},
};
use crate::{Error, Result};

/// How much of a refused statement is shown.
const SHOWN_CHARS: usize = 80;

/// The tables of ANALYZE, which SQLite lets nobody make by name. Each as SQLite writes it.
const STATISTICS: [&str; 3] = [
    "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "CREATE TABLE sqlite_stat3(tbl,idx,neq,nlt,ndlt,sample)",
    "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
];

/// Functions that a schema has no business with, whatever SQLite may think.
const DENIED_FUNCTIONS: [&str; 3] = ["load_extension", "fts3_tokenizer", "sqlite_offset"];

/// Which things a script may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    /// Tables, before there are rows; virtual ones by a row of the catalog.
    Tables,
    /// Indexes, views and triggers, after them.
    Rest,
}

/// Whether the SQL is that of a table of ANALYZE.
pub(super) fn is_statistics(sql: &str) -> bool {
    STATISTICS.contains(&sql)
}

/// Runs an archive's script.
///
/// # Errors
/// `Refused`, with the beginning of the statement, at the first that is not permitted or fails. The database is then to be
/// thrown away.
pub(super) fn run(connection: &Connection, script: &[u8], permit: Permit) -> Result<()> {
    let refused = |why: &str| Error::refused(format!("the archive's SQL ({permit:?})"), why);
    if script.len() > MAX_SQL_BYTES {
        return Err(refused("it is over 16 MiB"));
    }
    let script = std::str::from_utf8(script).map_err(|_| refused("it is not UTF-8"))?;
    if script.contains('\0') {
        return Err(refused("it holds a NUL byte"));
    }
    let parser = Parser::new().map_err(Error::sqlite("reading the archive's SQL"))?;
    let mut rest = script;
    while !rest.is_empty() {
        let special = match permit {
            Permit::Tables => special_first(connection, rest, &parser)?,
            Permit::Rest => None,
        };
        rest = match special {
            Some(after) => after,
            None => run_first(connection, rest, permit)?,
        };
    }
    Ok(())
}

/// Does what the script's first statement says, where that is one that SQLite lets nobody run, and gives what follows it.
fn special_first<'a>(connection: &Connection, script: &'a str, parser: &Parser) -> Result<Option<&'a str>> {
    if let Some((sql, after)) = statistics_first(script) {
        let created = with_writable_schema(connection, || connection.execute_batch(sql));
        return created.map(|()| Some(after)).map_err(|error| failure(script, error));
    }
    if !virtual_table::begins(script) {
        return Ok(None);
    }
    let refused = |why: &str| Error::refused(format!("statement {:?}", shorten(script)), why);
    let (CatalogRow { name, sql }, after) = virtual_table::strip_first(script).ok_or_else(|| {
        refused("an archive may write nothing into sqlite_schema but one virtual table's row at a time")
    })?;
    let carried = parser.parse_named(&name, &sql);
    carried.map_err(|why| Error::refused(format!("virtual table {name:?}"), why))?;
    with_writable_schema(connection, || insert_row(connection, &name, &sql))
        .map(|()| Some(after))
        .map_err(|error| failure(script, error))
}

/// Makes a virtual table without a word to its module. SQLite sees it once it reads the catalog anew: until then the tables in which
/// the module keeps its data can be written as all tables can.
fn insert_row(connection: &Connection, name: &str, sql: &str) -> rusqlite::Result<()> {
    let insert = "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?1, 0, ?2)";
    connection.execute(insert, (name, sql)).map(drop)
}

/// The statement of ANALYZE's that the script begins with, and what follows.
fn statistics_first(script: &str) -> Option<(&'static str, &str)> {
    STATISTICS.into_iter().find_map(|sql| Some((sql, script.trim_start().strip_prefix(sql)?.strip_prefix(";\n")?)))
}

/// Lets the catalog be written for as long as something of our own takes, which is not the archive's.
fn with_writable_schema(connection: &Connection, work: impl FnOnce() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    let done = work();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    done
}

/// Runs the first statement of a script and gives what follows it.
fn run_first<'a>(connection: &Connection, script: &'a str, permit: Permit) -> Result<&'a str> {
    let made = Arc::new(Mutex::new(Made::default()));
    let watch = made.clone();
    connection
        .authorizer(Some(move |context: AuthContext<'_>| {
            watch.lock().unwrap_or_else(PoisonError::into_inner).authorize(&context, permit)
        }))
        .map_err(|error| failure(script, error))?;
    let outcome = step_first(connection, script, &made);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(|error| failure(script, error))?;
    outcome
}

fn step_first<'a>(connection: &Connection, script: &'a str, made: &Mutex<Made>) -> Result<&'a str> {
    let refused = |why: &str| Error::refused(format!("statement {:?}", shorten(script)), why);
    let prepared = Batch::new(connection, script).next();
    let made = std::mem::take(&mut *made.lock().unwrap_or_else(PoisonError::into_inner));
    let mut statement = match (prepared, made.denied) {
        (_, Some(denied)) => return Err(refused(&format!("an archive may not do this: {denied}"))),
        (Err(error), None) => return Err(failure(script, error)),
        (Ok(None), None) => return Ok(""),
        (Ok(Some(statement)), None) => statement,
    };
    if made.things != 1 || statement.is_explain() != 0 {
        return Err(refused("it does not make exactly one thing"));
    }
    let rest = after(script, &statement);
    statement.raw_execute().map_err(|error| failure(script, error))?;
    Ok(rest)
}

/// What follows the statement in the script. SQLite gives its text back as it was, as it has no parameters; what comes before it
/// are comments and white space.
fn after<'a>(script: &'a str, statement: &Statement<'_>) -> &'a str {
    let text = statement.expanded_sql().filter(|text| !text.is_empty());
    text.and_then(|text| script.get(script.find(&text)? + text.len()..)).unwrap_or_default()
}

/// What a statement was seen to want while it was prepared.
#[derive(Default)]
struct Made {
    things: usize,
    denied: Option<String>,
}

impl Made {
    fn authorize(&mut self, context: &AuthContext<'_>, permit: Permit) -> Authorization {
        let here = context.database_name == Some("main");
        let allowed = match context.action {
            // AUTOINCREMENT makes this one on its way.
            AuthAction::CreateTable { table_name: "sqlite_sequence" } => here,
            // And a unique column this one, whose name nobody can give.
            AuthAction::CreateIndex { index_name, .. } if index_name.starts_with("sqlite_autoindex_") => here,
            AuthAction::CreateTable { .. } => self.count(here && permit == Permit::Tables),
            AuthAction::CreateIndex { .. } | AuthAction::CreateView { .. } | AuthAction::CreateTrigger { .. } => {
                self.count(here && permit == Permit::Rest)
            }
            AuthAction::Insert { table_name } | AuthAction::Update { table_name, .. } => {
                here && table_name == "sqlite_master"
            }
            AuthAction::Reindex { .. } => here && permit == Permit::Rest,
            AuthAction::Read { .. } => here,
            AuthAction::Function { function_name } => {
                !DENIED_FUNCTIONS.iter().any(|denied| function_name.eq_ignore_ascii_case(denied))
            }
            _ => false,
        };
        if allowed {
            return Authorization::Allow;
        }
        self.denied.get_or_insert_with(|| format!("{:?}", context.action));
        Authorization::Deny
    }

    fn count(&mut self, allowed: bool) -> bool {
        self.things += usize::from(allowed);
        allowed
    }
}

/// A statement that failed. What the disk or a lock has to do with is not the archive's fault; a catalog that SQLite can't read is,
/// as nobody else has written to this one.
fn failure(script: &str, error: rusqlite::Error) -> Error {
    let statement = format!("statement {:?}", shorten(script));
    match Error::sqlite(statement.clone())(error) {
        Error::Sqlite { source, .. } => Error::refused(statement, source.to_string()),
        Error::Corrupt { why, .. } => Error::refused(statement, why),
        other => other,
    }
}

/// The beginning of a statement.
fn shorten(script: &str) -> String {
    script.trim_start().chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_script(script: &str, permit: Permit) -> Result<()> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE old (a, b)").unwrap();
        run(&connection, script.as_bytes(), permit)
    }

    #[test]
    fn takes_what_schemas_are_made_of() {
        let tables = [
            "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT UNIQUE DEFAULT (datetime('now')), c AS (lower(b)) STORED);\n",
            "CREATE TABLE sqlite_stat1(tbl,idx,stat);\nCREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample);\n",
            "/* a */ -- b\n CREATE TABLE \"a;b\" (x CHECK (x <> ';'), y REFERENCES t (a)) -- end\n;\n -- tail",
            "CREATE TABLE w (a, b, PRIMARY KEY (b, a)) WITHOUT ROWID;\nCREATE TABLE s (a INT) STRICT;\n",
        ];
        try_script(&tables.concat(), Permit::Tables).unwrap();
        let rest = [
            "CREATE INDEX i ON old (a COLLATE NOCASE DESC, lower(b)) WHERE a > 1;\n",
            "CREATE VIEW v AS SELECT a, count(*) FROM old GROUP BY a -- why\n;\n",
            "CREATE TRIGGER g AFTER INSERT ON old BEGIN DELETE FROM old WHERE a = new.a; SELECT 1; END;\n",
            "CREATE VIEW broken AS SELECT nought(x) FROM nowhere;\n",
        ];
        try_script(&rest.concat(), Permit::Rest).unwrap();
    }

    #[test]
    fn refuses_everything_else() {
        let refused = [
            "ATTACH '/tmp/coffer-attached' AS x;",
            "VACUUM;",
            "VACUUM INTO '/tmp/coffer-vacuum';",
            "PRAGMA user_version = 3;",
            "PRAGMA writable_schema = ON;",
            "SELECT load_extension('x');",
            "SELECT 1;",
            "CREATE TABLE t AS SELECT * FROM old;",
            "CREATE TABLE t AS VALUES (1);",
            "CREATE VIRTUAL TABLE t USING fts5(a);",
            "INSERT INTO old VALUES (1, 2);",
            "UPDATE old SET a = 1;",
            "DELETE FROM old;",
            "DROP TABLE old;",
            "ALTER TABLE old RENAME TO new;",
            "ANALYZE;",
            "REINDEX;",
            "BEGIN;",
            "SAVEPOINT s;",
            "CREATE TEMP TABLE t (a);",
            "CREATE TEMP VIEW t AS SELECT 1;",
            "CREATE TEMP TRIGGER g AFTER INSERT ON old BEGIN SELECT 1; END;",
            "EXPLAIN CREATE TABLE t (a);",
            "CREATE TABLE t (a); /* ; */ DROP TABLE old;",
            "-- CREATE TABLE t (a);\nDROP TABLE old;",
            "CREATE TABLE t (a CHECK (load_extension(a)));",
            "CREATE TABLE sqlite_stat1(tbl,idx,stat,more);",
            "CREATE TABLE sqlite_mine(a);",
            "CREATE TABLE t (a CHECK (mine(a)));",
            "CREATE TABLE t (a);\0DROP TABLE old;",
            "CREATE nonsense",
        ];
        for script in refused {
            for permit in [Permit::Tables, Permit::Rest] {
                assert!(matches!(try_script(script, permit), Err(Error::Refused { .. })), "{script:?} ({permit:?})");
            }
        }
        assert!(try_script("CREATE TABLE t (a);", Permit::Rest).is_err());
        assert!(try_script("CREATE VIEW v AS SELECT 1;", Permit::Tables).is_err());
        assert!(try_script("CREATE INDEX i ON old (a);", Permit::Tables).is_err());
    }
}
