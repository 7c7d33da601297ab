//! Documents into statements.

use super::*;

#[test]
fn a_document_is_split_where_the_parser_splits_it() {
    let document = r#"CREATE TABLE app.t (a text DEFAULT 'x;''y', "b;""c" int); -- not; this
/* nor; /* this; */ */
CREATE FUNCTION app.f() RETURNS text LANGUAGE sql AS $body$ SELECT ';' ; SELECT $x$;$x$; $body$;
CREATE FUNCTION app.g(a int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN ';' ELSE E'\';' END; SELECT 1; END;
CREATE OR REPLACE PROCEDURE app.h() BEGIN ATOMIC INSERT INTO t VALUES (1); DELETE FROM t; END;
ALTER TABLE app.begin ADD CONSTRAINT c CHECK (a$b$c <> E'a\\' AND a < $$;$$ AND "end" = ANY (ARRAY[1, 2]));
CREATE VIEW app.v AS SELECT E'a\''
  ';\'' AS x, U&'\0041;' AS y, 1e3 AS z, $äß$;$äß$ AS q, 'begin' AS "begin";
"#;
    let parts = split(document.as_bytes()).unwrap();
    assert_eq!(parts.len(), 6);
    let parsed = pg_query::split_with_parser(document).unwrap();
    for (ours, theirs) in parts.iter().zip(&parsed) {
        assert!(theirs.ends_with(ours), "{ours}\n{theirs}");
        try_with(&ours.replace("INSERT INTO t", "INSERT INTO app.t"), Code::Allowed).unwrap();
    }
    assert_eq!(parsed.len(), 6);
    assert_eq!(split(b"").unwrap(), Vec::<&str>::new());
    assert_eq!(split(b" \n-- nothing\n").unwrap(), Vec::<&str>::new());
}

#[test]
fn what_has_no_end_is_refused() {
    let cases: &[(&[u8], &str)] = &[
        (b"SELECT 1", "does not end with a semicolon"),
        (b"SELECT 1; SELECT 'a;", "a string that nothing ends, in statement 2"),
        (b"SELECT E'a\\';", "a string that nothing ends"),
        (b"SELECT E'a\\", "a string that nothing ends"),
        (b"SELECT \"a;", "a name in quotes that nothing ends"),
        (b"SELECT $a$;$b$;", "a string between dollars that nothing ends"),
        (b"SELECT 1 /* /* */ ;", "a comment that nothing ends"),
        (b"SELECT (1;", "does not end with a semicolon"),
        (b"SELECT 1;;", "statement 2 is empty"),
        (b"SELECT '\0';", "a NUL at byte 8"),
        (b"SELECT '\xff';", "invalid utf-8"),
        (b"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;", "does not end with a semicolon"),
    ];
    for (document, expected) in cases {
        let error = split(document).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let long = format!("SELECT '{}';", "x".repeat(4 << 20));
    let many = format!("SELECT 1{};", ", 1".repeat(30_000));
    for document in [long, many] {
        assert!(split(document.as_bytes()).unwrap_err().to_string().contains("is longer than"));
    }
}
