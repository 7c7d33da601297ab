//! What archives may hold, what they may not, and that no text brings the parser down.

mod bodies;
mod code;
mod depth;
mod expressions;
mod renaming;
mod splitting;
mod statements;

use std::sync::LazyLock;

use super::check::Kind;
use super::*;

/// Some of what a server of version 15 has in `pg_catalog`, with what it says of it.
pub(super) const FUNCTIONS: &[(&str, &str, bool)] = &[
    ("function", "abs", true),
    ("function", "btrim", true),
    ("function", "char_length", true),
    ("function", "current_setting", false),
    ("function", "date_part", true),
    ("function", "float8mi", true),
    ("function", "extract", true),
    ("function", "gen_random_uuid", false),
    ("function", "length", true),
    ("function", "like_escape", true),
    ("function", "lower", true),
    ("function", "nextval", false),
    ("function", "now", false),
    ("function", "pg_read_file", false),
    ("function", "query_to_xml", false),
    ("function", "random", false),
    ("function", "row_to_json", false),
    ("function", "setweight", true),
    ("function", "similar_to_escape", true),
    ("function", "timezone", true),
    ("function", "to_tsvector", true),
    ("function", "ts_rewrite", false),
    ("function", "upper", true),
    ("function", "version", false),
    ("set", "generate_series", false),
    ("set", "pg_ls_dir", false),
    ("operator", "=", true),
    ("operator", "<>", true),
    ("operator", "<", true),
    ("operator", "<=", true),
    ("operator", ">", true),
    ("operator", ">=", true),
    ("operator", "+", true),
    ("operator", "-", true),
    ("operator", "*", true),
    ("operator", "/", true),
    ("operator", "||", true),
    ("operator", "~", true),
    ("operator", "~~", true),
    ("operator", "!~~", true),
    ("operator", "&&", true),
    ("operator", "->>", true),
    ("operator", "@@", true),
    ("operator", "<->", false),
];

static BUILTINS: LazyLock<Builtins> = LazyLock::new(|| Builtins::from_rows(FUNCTIONS.iter().copied()));

/// What `check` says to a statement for the schema `app`.
fn try_with(sql: &str, code: Code) -> crate::Result<Kind> {
    let (extension_schemas, index_methods) = (vec!["ext".to_owned()], vec!["bloom".to_owned()]);
    let rules = Rules {
        schema: "app",
        code,
        builtins: &BUILTINS,
        extension_schemas: &extension_schemas,
        index_methods: &index_methods,
    };
    check(sql, &rules)
}

/// Sees that each statement is refused, for a reason that holds the words.
fn assert_refused(code: Code, cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        match try_with(sql, code) {
            Err(Error::Refused { what, why }) => {
                assert!(why.contains(expected), "{sql}: {why}");
                assert!(what.starts_with("statement `"), "{what}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// Sees that each statement is taken, and how it is called.
fn assert_taken(code: Code, cases: &[(&str, Section, &str)]) {
    for (sql, section, label) in cases {
        let expected = Kind { section: *section, label: (*label).into() };
        assert_eq!(try_with(sql, code).unwrap_or_else(|error| panic!("{sql}: {error}")), expected, "{sql}");
    }
}
