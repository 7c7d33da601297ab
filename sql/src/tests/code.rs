//! What runs a tenant's own queries.

use super::*;

const CODE: &[(&str, Section, &str)] = &[
    (
        "CREATE VIEW app.v (a) WITH (security_barrier='true') AS SELECT t.a FROM app.t WITH LOCAL CHECK OPTION",
        Section::Either,
        "view v",
    ),
    (
        "CREATE OR REPLACE VIEW app.v AS SELECT a, count(*) FILTER (WHERE b) OVER w FROM t, LATERAL ext.f(a) x(b) WINDOW w AS (ORDER BY a)",
        Section::Either,
        "view v",
    ),
    (
        "CREATE MATERIALIZED VIEW app.m WITH (fillfactor='70') AS SELECT 1 AS a WITH NO DATA",
        Section::Either,
        "materialized view m",
    ),
    ("REFRESH MATERIALIZED VIEW app.m", Section::PostData, "rows of materialized view m"),
    (
        "CREATE OR REPLACE FUNCTION app.f(a integer DEFAULT 1, VARIADIC b app.t[] DEFAULT '{}') RETURNS SETOF app.t LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER PARALLEL SAFE COST 5 ROWS 7 LEAKPROOF SET search_path TO 'app', 'pg_temp' AS $function$BEGIN RETURN; END$function$",
        Section::Either,
        "function f",
    ),
    ("CREATE FUNCTION app.f() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; END", Section::Either, "function f"),
    ("CREATE FUNCTION app.f() RETURNS integer RETURN 1", Section::Either, "function f"),
    ("CREATE PROCEDURE app.p(INOUT a int) LANGUAGE sql AS 'SELECT 1'", Section::Either, "procedure p"),
    (
        "CREATE CONSTRAINT TRIGGER t AFTER UPDATE OF a ON app.t FROM app.u DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.a > 1) EXECUTE FUNCTION f('a', 'b')",
        Section::PostData,
        "trigger t",
    ),
    (
        "CREATE TRIGGER t AFTER INSERT ON app.t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION app.f()",
        Section::PostData,
        "trigger t",
    ),
    (
        "CREATE POLICY p ON app.t AS RESTRICTIVE FOR SELECT TO PUBLIC, someone USING (a = CURRENT_USER) WITH CHECK (true)",
        Section::PostData,
        "policy p",
    ),
    ("ALTER TABLE app.t ENABLE ROW LEVEL SECURITY", Section::PostData, "change of table t"),
    ("ALTER TABLE ONLY app.t FORCE ROW LEVEL SECURITY", Section::PostData, "change of table t"),
    ("ALTER TABLE app.t DISABLE TRIGGER x", Section::PostData, "change of table t"),
    ("ALTER TABLE app.t ENABLE ALWAYS TRIGGER x", Section::PostData, "change of table t"),
    ("ALTER VIEW app.v ALTER COLUMN a SET DEFAULT 1", Section::Either, "change of view v"),
    ("ALTER MATERIALIZED VIEW app.m ALTER COLUMN a SET STATISTICS 1", Section::Either, "change of materialized view m"),
    ("COMMENT ON VIEW app.v IS 'x'", Section::Either, "comment on view v"),
    ("COMMENT ON MATERIALIZED VIEW app.m IS 'x'", Section::Either, "comment on materialized view m"),
    ("COMMENT ON FUNCTION app.f(integer, app.t[]) IS 'x'", Section::Either, "comment on function f"),
    ("COMMENT ON PROCEDURE app.p(integer) IS 'x'", Section::Either, "comment on procedure p"),
    ("COMMENT ON TRIGGER t ON app.t IS 'x'", Section::Either, "comment on trigger t"),
    ("COMMENT ON POLICY p ON app.t IS 'x'", Section::Either, "comment on policy p"),
];

#[test]
fn code_comes_in_where_it_may() {
    assert_taken(Code::Allowed, CODE);
}

#[test]
fn code_stays_out_where_it_may_not() {
    let expected = "is code, which needs --allow-code or import_database";
    let cases: Vec<_> = CODE.iter().map(|(sql, ..)| (*sql, expected)).collect();
    assert_refused(Code::Refused, &cases);
}

#[test]
fn what_could_leave_the_database_is_refused_always() {
    assert_refused(
        Code::Allowed,
        &[
            ("CREATE FUNCTION app.f() RETURNS int LANGUAGE c AS 'lib', 'symbol'", "neither in SQL nor"),
            ("CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'lib', 'symbol'", "of a library"),
            ("CREATE FUNCTION app.f() RETURNS int LANGUAGE internal AS 'pg_read_file'", "neither in SQL nor"),
            ("CREATE FUNCTION app.f() RETURNS int LANGUAGE plpython3u AS ''", "neither in SQL nor"),
            ("CREATE FUNCTION app.f() RETURNS int AS 'SELECT 1'", "names no language"),
            ("CREATE FUNCTION app.f() RETURNS int LANGUAGE sql WINDOW AS ''", "window is not carried"),
            ("CREATE FUNCTION app.f() RETURNS int LANGUAGE sql SUPPORT app.g AS ''", "support is not carried"),
            (
                "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql TRANSFORM FOR TYPE int AS ''",
                "transform is not carried",
            ),
            ("CREATE TEMP VIEW app.v AS SELECT 1", "temporary views"),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY app.m", "CONCURRENTLY"),
            ("CREATE MATERIALIZED VIEW app.m AS SELECT 1 INTO x WITH NO DATA", "not of a query"),
        ],
    );
}

#[test]
fn constants_name_the_apps_own_things_alone() {
    let rules = |sql: &str| try_with(sql, Code::Refused);
    for sql in [
        "ALTER TABLE app.t ADD CONSTRAINT c CHECK (a <> 'other.t'::regclass)",
        "ALTER TABLE app.t ADD CONSTRAINT c CHECK (a <> '\"Other\".t'::pg_catalog.regclass)",
        "ALTER TABLE ONLY app.t ALTER COLUMN a SET DEFAULT nextval('other.s'::regclass)",
        "ALTER TABLE ONLY app.t ALTER COLUMN a SET DEFAULT nextval('other.s')",
        "CREATE TABLE app.t (a regclass)",
        "CREATE DOMAIN app.d AS regproc",
    ] {
        assert!(rules(sql).is_err(), "{sql}");
    }
    for sql in [
        "ALTER TABLE ONLY app.t ALTER COLUMN a SET DEFAULT nextval('s'::regclass)",
        "ALTER TABLE ONLY app.t ALTER COLUMN a SET DEFAULT nextval('app.s'::regclass)",
        "ALTER TABLE ONLY app.t ALTER COLUMN a SET DEFAULT nextval('\"a.b\"'::regclass)",
        "ALTER TABLE app.t ADD CONSTRAINT c CHECK (a ~ 'x.y'::text)",
        "CREATE TABLE app.t (a regclass GENERATED ALWAYS AS ('t'::regclass) STORED)",
    ] {
        assert!(rules(sql).is_ok(), "{sql}: {:?}", rules(sql).err());
    }
}
