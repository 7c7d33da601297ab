//! Statements of a depth or size that nobody writes: an error, never a crash.

use super::*;

fn view(expression: &str) -> String {
    format!("CREATE VIEW app.v AS SELECT {expression}")
}

fn constraint(expression: &str) -> String {
    format!("ALTER TABLE app.t ADD CONSTRAINT c CHECK ({expression})")
}

fn nested(count: usize, before: &str, within: &str, after: &str) -> String {
    format!("{}{within}{}", before.repeat(count), after.repeat(count))
}

/// Texts whose trees, if they were made, would be `count` levels deep or more.
fn deep(count: usize) -> Vec<(&'static str, String)> {
    let some = count.min(30_000);
    vec![
        ("parentheses", nested(count, "(", "1", ")")),
        ("a chain", nested(count, "", "a", " || a")),
        ("a chain of casts", nested(count, "", "a", "::text")),
        ("casts", nested(count, "CAST(", "a", " AS text)")),
        ("not", nested(count, "NOT ", "true", "")),
        ("minus", nested(count, "- ", "1", "")),
        ("arrays", format!("ARRAY{}", nested(count, "[", "1", "]"))),
        ("queries", nested(count, "(SELECT ", "1", ")")),
        ("calls", nested(count, "lower(", "a", ")")),
        ("cases", nested(some, "CASE WHEN true THEN ", "1", " END")),
        ("rows", nested(count, "ROW(", "1", ")")),
        ("tests", nested(count, "", "a", " IS NULL")),
        ("collations", nested(count, "", "a", " COLLATE \"C\"")),
        ("indices", nested(count, "", "a", "[1]")),
        ("fields", nested(count, "(", "a", ").f")),
        ("zones", nested(count, "", "a", " AT TIME ZONE 'UTC'")),
        ("lists", nested(count, "a IN (", "1", ")")),
        ("comparisons", nested(count, "a = ANY (", "a", ")")),
        ("and, or", nested(count, "(a AND b OR ", "true", ")")),
        ("unions", nested(some, "(", "SELECT 1", " UNION SELECT 1)")),
        ("a chain of unions", format!("1 {}", "UNION SELECT 1 ".repeat(count))),
        ("joins", format!("1 FROM a {}", "JOIN b ON true ".repeat(count))),
        ("tables", format!("1 FROM {}", nested(count, "(", "a JOIN b ON true", ")"))),
    ]
}

#[test]
fn what_is_far_too_deep_is_refused() {
    for (what, expression) in deep(100_000) {
        for sql in [view(&expression), constraint(&expression)] {
            for code in [Code::Allowed, Code::Refused] {
                assert!(matches!(try_with(&sql, code), Err(Error::Refused { .. })), "{what}");
            }
            let bound = bind(&format!("{sql}, coffer_schema.f()"), "app");
            assert!(matches!(bound, Err(Error::Refused { .. })), "{what}");
            let released = release(&format!("{sql}, app.f()"), "app");
            assert!(matches!(released, Err(Error::Unsupported { .. })), "{what}");
        }
    }
}

#[test]
fn every_depth_ends_with_an_answer() {
    for count in [100, 1_000, 3_300, 4_900, 9_900, 20_000] {
        for (what, expression) in deep(count) {
            for sql in [view(&expression), constraint(&expression)] {
                let outcomes = [try_with(&sql, Code::Allowed), try_with(&sql, Code::Refused)];
                if count <= 100 {
                    assert!(outcomes[0].is_ok() || sql.contains("UNION") || sql.contains("JOIN"), "{what} {sql}");
                }
                let bound = bind(&sql.replacen("app.", "coffer_schema.", 1), "app");
                assert!(bound.is_ok_and(|bound| bound == sql) || count > 500 || outcomes[0].is_err(), "{what} {count}");
            }
        }
    }
}

#[test]
fn what_apps_have_is_not_too_deep() {
    let chain = nested(1_000, "", "a", " || 'b'::text");
    let cases = nested(500, "CASE WHEN a = 1 THEN ", "1", " ELSE 2 END");
    let cases_within = nested(500, "CASE WHEN (a = 1) THEN 1 ELSE (", "2", ") END");
    for expression in [chain, cases, cases_within] {
        try_with(&view(&expression), Code::Allowed).unwrap();
        try_with(&constraint(&format!("({expression}) IS NOT NULL")), Code::Refused).unwrap();
        let sql = view(&expression);
        let released = release(&sql, "app").unwrap();
        assert_eq!(released, sql.replacen("app.", "coffer_schema.", 1));
        assert_eq!(bind(&released, "app").unwrap(), sql);
    }
}

#[test]
fn a_statement_has_a_size() {
    let long = format!("COMMENT ON TABLE app.t IS '{}'", "x".repeat(4 << 20));
    let many = format!("CREATE TYPE app.t AS ENUM ('a'{})", ", 'b'".repeat(17_000));
    assert_refused(Code::Allowed, &[(&long, "the most is 4194304"), (&many, "more than 32000")]);
    let enough = format!("CREATE TYPE app.t AS ENUM ('a'{})", ", 'b'".repeat(15_000));
    try_with(&enough, Code::Refused).unwrap();
}
