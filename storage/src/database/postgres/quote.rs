//! Names and strings as SQL.

use coffer_sql::PLACEHOLDER;

/// A name as an identifier, always in quotes: what is a keyword differs between releases.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name in the schema that a blueprint is free of.
pub(super) fn own(name: &str) -> String {
    format!("{PLACEHOLDER}.{}", ident(name))
}

/// A text as a string constant that reads the same whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match doubled.contains('\\') {
        true => format!("E'{}'", doubled.replace('\\', "\\\\")),
        false => format!("'{doubled}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(own("t"), "coffer_schema.\"t\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }
}
