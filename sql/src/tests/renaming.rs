//! A schema's name out of a statement, and another's into it.

use super::*;

/// Statements as PostgreSQL deparses them for the schema `shop`, where everything that can be confused with it has its name too.
const SHOP: &[(&str, &str)] = &[
    (
        "CREATE TABLE shop.shop (shop integer, a shop.shop, b shop.\"Mood\"[])",
        "CREATE TABLE @.shop (shop integer, a @.shop, b @.\"Mood\"[])",
    ),
    ("CREATE TABLE \"shop\".t (a int)", "CREATE TABLE @.t (a int)"),
    ("CREATE TABLE SHOP . /* why */ t (a int)", "CREATE TABLE @ . /* why */ t (a int)"),
    (
        "CREATE VIEW shop.v AS SELECT shop.shop, shop.*, (shop.b).shop, shop.f(shop.a), shop.shop::shop.shop FROM shop.shop shop",
        "CREATE VIEW @.v AS SELECT shop.shop, shop.*, (shop.b).shop, @.f(shop.a), shop.shop::@.shop FROM @.shop shop",
    ),
    ("CREATE VIEW shop.v AS SELECT shop.t.a, shop.t.* FROM shop.t", "CREATE VIEW @.v AS SELECT @.t.a, @.t.* FROM @.t"),
    (
        "CREATE VIEW shop.v AS SELECT shop.f(1) AS shop, 1 OPERATOR(shop.+) 2, a COLLATE shop.c FROM shop.f(2) shop(a)",
        "CREATE VIEW @.v AS SELECT @.f(1) AS shop, 1 OPERATOR(@.+) 2, a COLLATE @.c FROM @.f(2) shop(a)",
    ),
    (
        "CREATE OR REPLACE FUNCTION shop.f(shop shop.t) RETURNS SETOF shop.t LANGUAGE sql SET search_path TO 'shop', 'public' SET shop.x TO 'shop' AS $function$ SELECT * FROM shop.t $function$",
        "CREATE OR REPLACE FUNCTION @.f(shop @.t) RETURNS SETOF @.t LANGUAGE sql SET search_path TO '@', 'public' SET shop.x TO 'shop' AS $function$ SELECT * FROM shop.t $function$",
    ),
    (
        "CREATE FUNCTION shop.f() RETURNS int SET search_path = public, shop LANGUAGE sql BEGIN ATOMIC UPDATE shop.t SET shop.a = 1 WHERE shop.t.a = 2; INSERT INTO shop.t AS shop (shop.a) VALUES (1) RETURNING shop.a; END",
        "CREATE FUNCTION @.f() RETURNS int SET search_path = public, @ LANGUAGE sql BEGIN ATOMIC UPDATE @.t SET shop.a = 1 WHERE @.t.a = 2; INSERT INTO @.t AS shop (shop.a) VALUES (1) RETURNING shop.a; END",
    ),
    (
        "CREATE TRIGGER shop AFTER INSERT ON shop.shop FOR EACH ROW EXECUTE FUNCTION shop.shop('shop')",
        "CREATE TRIGGER shop AFTER INSERT ON @.shop FOR EACH ROW EXECUTE FUNCTION @.shop('shop')",
    ),
    ("COMMENT ON COLUMN shop.shop.shop IS 'of shop.shop'", "COMMENT ON COLUMN @.shop.shop IS 'of shop.shop'"),
    ("COMMENT ON CONSTRAINT shop ON shop.shop IS 'x'", "COMMENT ON CONSTRAINT shop ON @.shop IS 'x'"),
    ("COMMENT ON CONSTRAINT shop ON DOMAIN shop.shop IS 'x'", "COMMENT ON CONSTRAINT shop ON DOMAIN @.shop IS 'x'"),
    ("COMMENT ON FUNCTION shop.f(shop.t, shop integer) IS 'x'", "COMMENT ON FUNCTION @.f(@.t, shop integer) IS 'x'"),
    ("ALTER SEQUENCE shop.s OWNED BY shop.t.shop", "ALTER SEQUENCE @.s OWNED BY @.t.shop"),
    (
        "ALTER TABLE ONLY shop.t ADD CONSTRAINT e EXCLUDE USING gist (a shop.ops WITH OPERATOR(shop.&&))",
        "ALTER TABLE ONLY @.t ADD CONSTRAINT e EXCLUDE USING gist (a @.ops WITH OPERATOR(@.&&))",
    ),
    (
        "CREATE INDEX shop ON shop.t USING gin (a COLLATE shop.c shop.ops) WITH (fillfactor='70')",
        "CREATE INDEX shop ON @.t USING gin (a COLLATE @.c @.ops) WITH (fillfactor='70')",
    ),
    (
        "CREATE TYPE shop.r AS RANGE (subtype = shop.d, subtype_diff = shop.f, multirange_type_name = shop.m)",
        "CREATE TYPE @.r AS RANGE (subtype = @.d, subtype_diff = @.f, multirange_type_name = @.m)",
    ),
    (
        "CREATE TABLE shop.p PARTITION OF shop.t FOR VALUES IN ('shop')",
        "CREATE TABLE @.p PARTITION OF @.t FOR VALUES IN ('shop')",
    ),
    (
        "ALTER TABLE shop.t ALTER COLUMN a SET DEFAULT nextval('shop.s'::regclass)",
        "ALTER TABLE @.t ALTER COLUMN a SET DEFAULT nextval('shop.s'::regclass)",
    ),
    (
        "CREATE POLICY shop ON shop.t TO shop USING (shop.f(shop) = shop.a)",
        "CREATE POLICY shop ON @.t TO shop USING (@.f(shop) = shop.a)",
    ),
];

#[test]
fn only_the_schema_is_renamed() {
    for (sql, expected) in SHOP {
        let expected = expected.replace('@', PLACEHOLDER);
        assert_eq!(release(sql, "shop").unwrap_or_else(|error| panic!("{sql}: {error}")), expected);
        for target in ["shop", "tenant_2", "My \"Shop\"", "select", "o'brien", "ß", "a\\b"] {
            let bound = bind(&expected, target).unwrap();
            assert_eq!(release(&bound, target).unwrap(), expected, "{bound}");
        }
        let back = bind(&expected, "shop").unwrap();
        assert_eq!(back, sql.replace("\"shop\".t", "shop.t").replace("SHOP .", "shop ."));
    }
}

#[test]
fn the_name_may_need_quotes() {
    let sql = "CREATE TABLE \"My \"\"Shop\"\"\".t (a \"My \"\"Shop\"\"\".d, \"my \"\"shop\"\"\" int)";
    let released = release(sql, "My \"Shop\"").unwrap();
    assert_eq!(released, "CREATE TABLE coffer_schema.t (a coffer_schema.d, \"my \"\"shop\"\"\" int)");
    assert_eq!(bind(&released, "My \"Shop\"").unwrap(), sql);
    let unicode = release("CREATE TABLE U&\"\\0073hop\".t ()", "shop").unwrap();
    assert_eq!(unicode, "CREATE TABLE coffer_schema.t ()");
    let option = "CREATE TABLE toast.t (a int) WITH (toast.autovacuum_enabled='false')";
    let released = release(option, "toast").unwrap();
    assert_eq!(released, "CREATE TABLE coffer_schema.t (a int) WITH (toast.autovacuum_enabled='false')");
    let long = "x".repeat(63);
    assert_eq!(release(&format!("CREATE TABLE {long}y.t ()"), &long).unwrap(), "CREATE TABLE coffer_schema.t ()");
}

#[test]
fn what_does_not_name_the_schema_stays_as_it_is() {
    for sql in ["CREATE TABLE other.t (a int)", "no SQL at all", "CREATE TABLE workshop.t (a int)"] {
        let expected = if sql.contains("shop") { release(sql, "shop").unwrap() } else { sql.to_owned() };
        assert_eq!(expected, sql);
    }
    assert_eq!(bind("ALTER TABLE x.t ADD a int", "app").unwrap(), "ALTER TABLE x.t ADD a int");
}

#[test]
fn an_app_s_own_text_must_not_hold_the_placeholder() {
    for sql in [
        "SELECT a FROM coffer_schema",
        "'coffer_schema'::text",
        "((\"coffer_schema\" > 1))",
        "U&\"coffer\\005fschema\".a, coffer_schema",
    ] {
        assert!(matches!(sees_no_placeholder(sql), Err(Error::Unsupported { .. })), "{sql}");
    }
    for sql in ["SELECT a FROM coffer_schemas", "'the coffer_schema'", "((a > 1)) /* coffer_schema */"] {
        sees_no_placeholder(sql).unwrap();
    }
}

#[test]
fn what_can_not_be_told_apart_is_not_carried() {
    let cases = [
        ("CREATE TABLE shop.t (a int); CREATE TABLE shop.u (a int)", "2 statements"),
        ("CREATE TABLE shop.t (a int", "syntax error"),
        ("CREATE TABLE db.shop.t (a int)", "too many parts"),
        ("CREATE FUNCTION shop.f(a shop.t.b%TYPE) RETURNS int LANGUAGE sql AS ''", "%TYPE"),
        ("COMMENT ON COLUMN shop.a IS 'shop.a'", "can't be told from other names"),
    ];
    for (sql, expected) in cases {
        match release(sql, "shop") {
            Err(Error::Unsupported { what }) => {
                assert!(what.contains(expected) && what.starts_with("statement `"), "{sql}: {what:?}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    for sql in ["CREATE TABLE coffer_schema.t (", "SELECT coffer_schema.f(); SELECT 1"] {
        assert!(matches!(bind(sql, "app"), Err(Error::Refused { .. })), "{sql}");
    }
}
