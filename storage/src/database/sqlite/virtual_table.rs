//! Virtual tables, carried as the shell's `.dump` carries them: the tables in which a module keeps its data go as all tables do, and
//! the statement goes into the catalog as it stands.
//!
//! No code of a module runs, on either side: what a module or a tokenizer is made of need not be there, nor be trusted with a
//! stranger's bytes.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{
    Batch, Connection,
    fallible_iterator::FallibleIterator,
    hooks::{AuthAction, AuthContext, Authorization},
};

use super::schema::VirtualTable;

/// The modules that keep all they hold in tables of the same file.
const MODULES: [&str; 6] = ["fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"];

/// What the shell asks for before it writes into the catalog. The rest of a statement is [`statement`]'s, to the letter.
const OPENING: &str = "PRAGMA writable_schema=ON;\n";
const INSERT: &str = "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table',";
const ROOT_PAGE: &str = ",0,";
const END: &str = ");\n";

/// SQLite's own parser on an empty database of its own, which runs nothing.
pub(super) struct Parser {
    connection: Connection,
    /// Each table and module that a statement was seen to want.
    seen: Seen,
}

type Seen = Arc<Mutex<Vec<(String, String)>>>;

impl Parser {
    /// One that has read nothing.
    pub(super) fn new() -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        let seen = Seen::default();
        let watch = seen.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| authorize(&context, &watch)))?;
        Ok(Self { connection, seen })
    }

    /// What a statement of `sqlite_schema` makes; why it is none that is carried otherwise.
    pub(super) fn parse(&self, sql: &str) -> Result<VirtualTable, String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut batch = Batch::new(&self.connection, sql);
        let is_explained = batch.next().map_err(|error| error.to_string())?.is_none_or(|first| first.is_explain() != 0);
        let is_alone = batch.next().map_err(|error| error.to_string())?.is_none();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some((name, module)), true, true, false) = (seen.pop(), seen.is_empty(), is_alone, is_explained) else {
            return Err("its SQL is not one CREATE VIRTUAL TABLE".into());
        };
        match MODULES.into_iter().find(|known| known.eq_ignore_ascii_case(&module)) {
            Some(known) => Ok(VirtualTable { name, module: known.into() }),
            None => Err(format!("its module {module:?} is none of {}", MODULES.join(", "))),
        }
    }

    /// What the statement makes, if that has the name.
    pub(super) fn parse_named(&self, name: &str, sql: &str) -> Result<VirtualTable, String> {
        let table = self.parse(sql)?;
        if table.name == name { Ok(table) } else { Err(format!("its SQL makes table {:?}", table.name)) }
    }
}

/// Lets the one statement be prepared, which writes a row of the catalog, and no other.
fn authorize(context: &AuthContext<'_>, seen: &Seen) -> Authorization {
    match context.action {
        AuthAction::Insert { table_name: "sqlite_master" }
        | AuthAction::Update { table_name: "sqlite_master", .. }
        | AuthAction::Read { table_name: "sqlite_master", .. } => Authorization::Allow,
        AuthAction::CreateVtable { table_name, module_name } if context.database_name == Some("main") => {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((table_name.into(), module_name.into()));
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// What a document has for a virtual table: what a person's shell takes, and puts into the catalog without a look at it.
pub(super) fn statement(name: &str, sql: &str) -> String {
    let name = literal(name);
    format!("{OPENING}{INSERT}{name},{name}{ROOT_PAGE}{}{END}", literal(sql))
}

/// A row that a document puts into the catalog.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CatalogRow {
    /// The table's name.
    pub(super) name: String,
    /// Its statement.
    pub(super) sql: String,
}

/// Whether a script begins with what only a virtual table's row may come after.
pub(super) fn begins(script: &str) -> bool {
    script.trim_start().starts_with(OPENING)
}

/// The row that a script begins with, and what follows. None where it is not written as [`statement`] writes it.
pub(super) fn strip_first(script: &str) -> Option<(CatalogRow, &str)> {
    let rest = script.trim_start().strip_prefix(OPENING)?.strip_prefix(INSERT)?;
    let (name, rest) = strip_literal(rest)?;
    let (table_name, rest) = strip_literal(rest.strip_prefix(',')?)?;
    let (sql, rest) = strip_literal(rest.strip_prefix(ROOT_PAGE)?)?;
    let rest = rest.strip_prefix(END)?;
    (name == table_name).then_some((CatalogRow { name, sql }, rest))
}

/// Writes text as SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The text that a script begins with, and what follows its closing quote.
fn strip_literal(script: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = script.strip_prefix('\'')?;
    loop {
        let (part, after) = rest.split_once('\'')?;
        text.push_str(part);
        rest = match after.strip_prefix('\'') {
            None => return Some((text, after)),
            Some(more) => more,
        };
        text.push('\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        for (name, sql) in
            [("t", "x"), ("", ""), ("'", "''\n;'"), ("a\"b 'c'", "CREATE VIRTUAL TABLE 'it''s' USING fts5(a)")]
        {
            let written = statement(name, sql);
            let row = CatalogRow { name: name.into(), sql: sql.into() };
            assert!(begins(&written));
            assert_eq!(strip_first(&format!("\n{written}rest")), Some((row, "rest")));
            for at in 0..written.len() {
                let (before, after) = written.split_at(at);
                assert_eq!(strip_first(before), None, "{before}");
                assert_ne!(
                    strip_first(&format!("{before}~{after}")).map(|(row, _)| statement(&row.name, &row.sql)),
                    Some(written.clone())
                );
            }
        }
        let written = statement("t", "x");
        for (from, to) in
            [("'table'", "'index'"), (",0,", ",1,"), ("'t','t'", "'t','u'"), ("'x'", "'x' || 'y'"), (");", "),(1);")]
        {
            assert_eq!(strip_first(&written.replacen(from, to, 1)), None, "{to}");
        }
    }

    #[test]
    fn parses_as_sqlite_does() {
        let parser = Parser::new().unwrap();
        let carried = [
            ("CREATE VIRTUAL TABLE t USING fts5(a)", "t", "fts5"),
            ("create virtual table [a b] using \"FTS4\"", "a b", "fts4"),
            ("CREATE VIRTUAL TABLE 'it''s' USING [RTree](id, x0, x1)", "it's", "rtree"),
            ("CREATE /* */ VIRTUAL TABLE \"\" USING `rtree_i32` (a, b, c) -- end", "", "rtree_i32"),
            ("CREATE VIRTUAL TABLE t USING fts5(a, tokenize = 'theirs', prefix='1 2', content=\"a ) b\")", "t", "fts5"),
            ("CREATE VIRTUAL TABLE t USING geopoly(a, b);", "t", "geopoly"),
            ("CREATE VIRTUAL TABLE t USING fts3", "t", "fts3"),
        ];
        for _ in 0..2 {
            for (sql, name, module) in carried {
                assert_eq!(parser.parse(sql), Ok(VirtualTable { name: name.into(), module: module.into() }), "{sql}");
            }
        }
        for sql in [
            "",
            "-- nothing",
            "CREATE VIRTUAL TABLE t USING dbstat",
            "CREATE VIRTUAL TABLE t USING fts5vocab(a, row)",
            "CREATE VIRTUAL TABLE t USING ' fts5'(a)",
            "CREATE VIRTUAL TABLE temp.t USING fts5(a)",
            "CREATE VIRTUAL TABLE sqlite_t USING fts5(a)",
            "CREATE VIRTUAL TABLE t USING fts5(a",
            "CREATE VIRTUAL TABLE t USING fts5(a))",
            "CREATE VIRTUAL TABLE t fts5(a)",
            "CREATE VIRTUAL TABLE t USING fts5(a); DROP TABLE t",
            "CREATE VIRTUAL TABLE t USING fts5(a); CREATE VIRTUAL TABLE u USING fts5(a)",
            "EXPLAIN CREATE VIRTUAL TABLE t USING fts5(a)",
            "CREATE TABLE t (a)",
            "CREATE VIEW t AS SELECT 1",
            "SELECT 1",
            "DROP TABLE t",
            "PRAGMA writable_schema = ON",
        ] {
            assert!(parser.parse(sql).is_err(), "{sql}");
        }
    }
}
