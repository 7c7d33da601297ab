//! Expressions where no code of a tenant's may run.

use super::*;

/// Where an expression is evaluated while importing.
const PLACES: &[&str] = &[
    "CREATE TABLE app.t (a text, b text GENERATED ALWAYS AS (@) STORED)",
    "CREATE TABLE app.t (a text CHECK (@))",
    "CREATE TABLE app.t (a text, CONSTRAINT c CHECK (@))",
    "CREATE TABLE app.t (a text) PARTITION BY LIST ((@))",
    "CREATE TABLE app.t (a text, CONSTRAINT c EXCLUDE USING gist ((@) WITH =))",
    "CREATE TABLE app.t (a text, CONSTRAINT c EXCLUDE USING gist (a WITH =) WHERE (@))",
    "CREATE DOMAIN app.d AS text CHECK (@)",
    "ALTER DOMAIN app.d ADD CONSTRAINT c CHECK (@) NOT VALID",
    "ALTER TABLE app.t ADD CONSTRAINT c CHECK (@) NOT VALID",
    "ALTER TABLE app.t ADD CONSTRAINT c EXCLUDE USING gist ((@) WITH =)",
    "ALTER TABLE app.t ATTACH PARTITION app.p FOR VALUES IN ('a', @)",
    "ALTER TABLE app.t ATTACH PARTITION app.p FOR VALUES FROM (@) TO ('b')",
    "ALTER TABLE app.t ATTACH PARTITION app.p FOR VALUES FROM ('a') TO (@)",
    "CREATE INDEX i ON app.t ((@))",
    "CREATE INDEX i ON app.t (a) WHERE (@)",
];

/// Where an expression is kept for later.
const DEFAULTS: &[&str] = &[
    "CREATE TABLE app.t (a text DEFAULT (@))",
    "CREATE DOMAIN app.d AS text DEFAULT (@)",
    "ALTER TABLE app.t ALTER a SET DEFAULT (@)",
];

const SAFE: &[&str] = &[
    "a > 0 AND (b < 1 OR NOT c) AND d IS NOT NULL AND e IS TRUE",
    "lower(a) || upper(pg_catalog.btrim(b)) ~~ 'x%'",
    "a LIKE 'x' AND a NOT LIKE 'y' ESCAPE '!' AND a SIMILAR TO 'x'",
    "a BETWEEN 1 AND 2 OR a NOT BETWEEN SYMMETRIC 3 AND 4",
    "a IN (1, 2) AND a = ANY (ARRAY['x'::text, 'y'::text]) AND a <> ALL ('{}'::app.mood[])",
    "CASE a WHEN 1 THEN 2 ELSE abs(-3) END",
    "COALESCE(a, 'x'::text) IS DISTINCT FROM NULLIF(b, GREATEST(c, LEAST(d, e)))",
    "(a)::numeric(10,2) = '5'::ext.citext",
    "ROW(a, b) = ROW(1, 2) AND (a).x = b[1] AND c[1:2] = '{}'",
    "a COLLATE \"C\" = b AND EXTRACT(year FROM d) > 1 AND d AT TIME ZONE 'UTC' < e",
    "1 OPERATOR(pg_catalog.+) 2 = 3",
    "to_tsvector('english'::regconfig, a) @@ 'x'::tsquery",
];

const CALLS: &[(&str, &str)] = &[
    ("pg_read_file('/etc/passwd')", "pg_read_file is not immutable"),
    ("query_to_xml('SELECT 1', true, true, '')", "query_to_xml is not immutable"),
    ("'/etc/passwd'::text = (a).pg_read_file", "pg_read_file is not immutable"),
    ("t.row_to_json IS NULL", "row_to_json is not immutable"),
    ("('x'::text).generate_series", "generate_series gives a set"),
    ("lower(CASE WHEN true THEN random()::text END)", "random is not immutable"),
    ("a[random()] = 1", "random is not immutable"),
    ("a IN (1, version())", "version is not immutable"),
    ("current_setting('x') = 'y'", "current_setting is not immutable"),
    ("nextval('app.s')", "nextval is not immutable"),
    ("dblink('x', 'y')", "dblink is not one of pg_catalog"),
    ("app.lower(a)", "app.lower is not one of pg_catalog"),
    ("ext.lower(a)", "ext.lower is not one of pg_catalog"),
    ("my_function(a)", "my_function is not one of pg_catalog"),
    ("lower(a) OVER ()", "as an aggregate"),
    ("lower(DISTINCT a)", "as an aggregate"),
    ("lower(a ORDER BY b)", "as an aggregate"),
    ("lower(a) FILTER (WHERE true)", "as an aggregate"),
    ("1 OPERATOR(app.=) 2", "operator app.= is not one of pg_catalog"),
    ("1 OPERATOR(ext.=) 2", "operator ext.= is not one of pg_catalog"),
    ("1 <-> 2", "<-> is not immutable"),
    ("1 === 2", "=== is not one of pg_catalog"),
    ("1 === ANY (ARRAY[2])", "=== is not one of pg_catalog"),
    ("a = (SELECT 1)", "holds a query"),
    ("EXISTS (SELECT 1 FROM app.t)", "holds a query"),
    ("a IN (SELECT 1)", "holds a query"),
    ("ARRAY(SELECT 1) = a", "holds a query"),
    ("CURRENT_USER = a", "holds a SqlvalueFunction"),
    ("XMLPARSE(DOCUMENT a) IS NULL", "holds a XmlSerialize|XmlExpr"),
    ("JSON_VALUE(a, '$.x') = 'x'", "holds a JsonFuncExpr"),
    ("ROW(t.*) IS NULL", "names all columns|names all fields"),
    ("(a).* IS NULL", "names all fields"),
    ("a = $1", "holds a ParamRef"),
    ("a::setof_type('x'||version()) IS NULL", "parameter is not a constant"),
    ("grouping(a) = 1", "holds a GroupingFunc"),
];

fn refused(place: &str, expression: &str, expected: &str) {
    let sql = place.replace('@', expression);
    let error = try_with(&sql, Code::Refused).expect_err(&sql).to_string();
    assert!(expected.split('|').any(|expected| error.contains(expected)), "{sql}: {error}");
}

#[test]
fn what_only_computes_is_taken() {
    for expression in SAFE {
        for place in PLACES.iter().chain(DEFAULTS) {
            let sql = place.replace('@', expression);
            try_with(&sql, Code::Refused).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
}

#[test]
fn what_does_more_is_refused_wherever_it_stands() {
    for (expression, expected) in CALLS {
        for place in PLACES {
            refused(place, expression, expected);
        }
    }
}

#[test]
fn what_a_default_may_call_is_in_pg_catalog() {
    let later = [
        "now()",
        "nextval('app.s'::regclass)",
        "gen_random_uuid()",
        "CURRENT_TIMESTAMP",
        "LOCALTIME(3)",
        "random() <-> 2",
    ];
    for place in DEFAULTS {
        for expression in later {
            let sql = place.replace('@', expression);
            try_with(&sql, Code::Refused).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        for (expression, expected) in
            CALLS.iter().filter(|(_, why)| !why.contains("immutable") && !why.contains("Sqlvalue"))
        {
            refused(place, expression, expected);
        }
        refused(place, "generate_series(1, 2)", "gives a set");
        refused(place, "pg_catalog.pg_ls_dir('/')", "gives a set");
    }
}

#[test]
fn operators_and_functions_of_types_are_safe_too() {
    let cases = [
        ("CREATE TABLE app.t (a int, EXCLUDE USING gist (a WITH OPERATOR(app.=)))", "operator app.= is not one of"),
        ("CREATE TABLE app.t (a int, EXCLUDE USING gist (a WITH <->))", "operator <-> is not immutable"),
        ("CREATE TYPE app.r AS RANGE (subtype = int, subtype_diff = app.f)", "function app.f is not one of"),
        ("CREATE TYPE app.r AS RANGE (subtype = int, subtype_diff = random)", "random is not immutable"),
    ];
    for (sql, expected) in cases {
        assert_refused(Code::Refused, &[(sql, expected), (sql, "needs --allow-code or import_database")]);
        try_with(sql, Code::Allowed).unwrap();
    }
}

#[test]
fn a_server_that_changed_a_function_is_believed() {
    let rows = FUNCTIONS.iter().map(|(kind, name, safe)| (*kind, *name, *safe && *name != "lower"));
    let builtins = Builtins::from_rows(rows);
    let rules =
        Rules { schema: "app", code: Code::Refused, builtins: &builtins, extension_schemas: &[], index_methods: &[] };
    let error = check("CREATE INDEX i ON app.t (lower(a))", &rules).unwrap_err().to_string();
    assert!(error.contains("lower is not immutable"), "{error}");
    let strange = Builtins::from_rows([("procedure", "lower", true)]);
    let rules = Rules { builtins: &strange, ..rules };
    assert!(check("CREATE INDEX i ON app.t (lower(a))", &rules).is_err());
}
