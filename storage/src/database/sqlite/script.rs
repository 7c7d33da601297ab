//! Statements one after the other, as a document has them.

use super::catalog::MAX_SQL_BYTES;
use crate::{Error, Result};

/// A document in the making.
#[derive(Default)]
pub(super) struct Script(String);

impl Script {
    /// Adds a statement of `sqlite_schema`, ended so that neither SQLite nor a person's shell reads over its end.
    pub(super) fn push(&mut self, sql: &str) {
        self.0.push_str(sql);
        if ends_in_comment(sql) {
            self.0.push_str("*/");
        }
        let last_line = sql.rsplit('\n').next().unwrap_or_default();
        self.0.push_str(if last_line.contains("--") { "\n;\n" } else { ";\n" });
    }

    /// Adds what has its own end.
    pub(super) fn push_ended(&mut self, statements: &str) {
        self.0.push_str(statements);
    }

    /// The document.
    ///
    /// # Errors
    /// `Unsupported` where it is longer than a reader takes.
    pub(super) fn finish(self) -> Result<String> {
        if self.0.len() > MAX_SQL_BYTES {
            let length = self.0.len();
            return Err(Error::unsupported(format!(
                "{length} bytes of SQL in the schema; the most is {MAX_SQL_BYTES}"
            )));
        }
        Ok(self.0)
    }
}

/// Whether a statement ends inside a comment that `*/` should close, but only the end of the text does, as SQLite allows. A quote
/// that stands twice ends one string and begins another.
fn ends_in_comment(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(at) = rest.find(['\'', '"', '`', '[', '-', '/']) {
        let from = rest.split_at(at).1;
        let (opening, closing) = match from.as_bytes() {
            [b'/', b'*', _, ..] => ("/*", "*/"),
            [b'-', b'-', ..] => ("--", "\n"),
            [b'\'', ..] => ("'", "'"),
            [b'"', ..] => ("\"", "\""),
            [b'`', ..] => ("`", "`"),
            [b'[', ..] => ("[", "]"),
            _ => ("-", ""),
        };
        match from.split_at(opening.len()).1.split_once(closing) {
            Some((_, after)) => rest = after,
            None => return opening == "/*",
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_comment_that_nothing_closes() {
        let cases = [
            ("CREATE TABLE t (a)", false),
            ("CREATE VIEW v AS SELECT 1 - 2 / 3 * 4 -- why", false),
            ("CREATE VIEW v AS SELECT 1 -- why\n", false),
            ("CREATE VIEW v AS SELECT 1 -- /* why\n, 2", false),
            ("CREATE VIEW v AS SELECT 1 /* why", true),
            ("CREATE VIEW v AS SELECT 1 /*/", true),
            ("CREATE VIEW v AS SELECT 1 /* -- 'why\n*", true),
            ("CREATE VIEW v AS SELECT 1 /* why */", false),
            ("CREATE VIEW v AS SELECT 1 /**/ /* why *//* ü", true),
            ("CREATE VIEW v AS SELECT '/* '' /* ü', \"--\", \"\"\"/*\", `/*`, [/*'], '--'", false),
            ("CREATE VIEW v AS SELECT 'it''s', \"a\"\"b\", [a\"] /* it's", true),
            ("CREATE VIEW v AS SELECT '/*' --'", false),
        ];
        for (sql, expected) in cases {
            assert_eq!(ends_in_comment(sql), expected, "{sql}");
        }
    }
}
