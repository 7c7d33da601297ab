//! Schemas' names: structures are free of them, and bodies that are not are told.

use anyhow::{Result, ensure};
use coffer_tests::postgres::oracle::{Rights, assert_same, dump_of};
use coffer_tests::postgres::{Crm, identifier};

use super::{ALL, crm, fresh_database};

/// Names the schema in a body, in a string and in a trigger's function.
const NAMED: &str = r#"
    CREATE TABLE counted (n int);
    INSERT INTO counted VALUES (1), (2);
    CREATE FUNCTION plain() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM counted';
    DO $do$ BEGIN EXECUTE format($f$
        CREATE FUNCTION %1$I.named() RETURNS bigint LANGUAGE plpgsql AS $b$
            DECLARE found bigint; BEGIN SELECT count(*) INTO found FROM %1$I.counted; RETURN found; END $b$;
        CREATE FUNCTION %1$I.in_sql() RETURNS bigint LANGUAGE sql AS 'SELECT max(n) FROM %1$I.counted';
    $f$, current_schema()); END $do$;
"#;

#[test]
fn a_body_that_names_its_schema_is_told_or_rewritten() -> Result<()> {
    let db = fresh_database("named")?;
    let crm = crm(&db)?;
    crm.seed("one", NAMED)?;
    let before = dump_of(&db, "tenant_one", Rights::Ignored)?;
    crm.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    let refused = crm.restore("x.tar.gz", "two", &["--allow-code"])?;
    refused.ends_with(13, &["tenant_one", "named", "in_sql", "--rewrite-bodies"])?;
    ensure!(!refused.stderr.contains("plain"), "what names no schema is told: {}", refused.stderr);
    ensure!(
        crm.db().query("SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_two'")? == "0",
        "it left something"
    );
    crm.restore("x.tar.gz", "two", &ALL)?.ends_with(0, &[])?;
    // What is rewritten reads its own tables.
    crm.sql("two", "INSERT INTO counted VALUES (7)")?;
    let answers = "SELECT named(), in_sql(), plain()";
    ensure!(
        crm.query("two", &format!("SET search_path = pg_catalog; SELECT {0}.named(), {0}.in_sql()", "tenant_two"))?
            == "3|7"
    );
    ensure!(crm.query("one", answers)? == "2|2|2" && crm.query("two", answers)? == "3|7|3");
    // Under its own name it needs no rewriting.
    db.psql("DROP SCHEMA tenant_one CASCADE")?;
    crm.restore("x.tar.gz", "one", &["--allow-code"])?.ends_with(0, &[])?;
    assert_same(&before, &dump_of(&db, "tenant_one", Rights::Ignored)?)?;
    ensure!(crm.query("one", answers)? == "2|2|2");
    Ok(())
}

/// A table, a column, a parameter that is called as the schema is: no text of it names the schema.
#[test]
fn what_is_called_as_the_schema_stays_what_it_is() -> Result<()> {
    let db = fresh_database("alike")?;
    let crm = crm(&db)?;
    crm.seed(
        "one",
        "CREATE TABLE tenant_one (tenant_one int PRIMARY KEY, t text DEFAULT 'tenant');
         INSERT INTO tenant_one VALUES (1, 'tenant_one.x'), (2, DEFAULT);
         CREATE VIEW tenant AS SELECT tenant_one.tenant_one, tenant_one.t AS \"tenant_one.\" FROM tenant_one;
         CREATE FUNCTION f(tenant_one int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC
             SELECT count(*) FROM tenant_one WHERE tenant_one.tenant_one > f.tenant_one; END;
         CREATE INDEX tenant_one_i ON tenant_one ((tenant_one.t || tenant_one))",
    )?;
    crm.copy("one", "two", &["--allow-code"])?;
    ensure!(crm.query("two", "SELECT * FROM tenant_one ORDER BY 1")? == "1|tenant_one.x\n2|tenant");
    ensure!(
        crm.query("two", "SELECT tenant_one, \"tenant_one.\" FROM tenant WHERE tenant_one = 1")? == "1|tenant_one.x"
    );
    ensure!(crm.query("two", "SET search_path = pg_catalog; SELECT tenant_two.f(1)")? == "1");
    ensure!(crm.query("two", "SELECT count(*) FROM pg_indexes WHERE indexname = 'tenant_one_i'")? == "2");
    crm.assert_tells_the_same("one-two.tar.gz", "two")
}

/// A text in a view or a default may mean the schema or a word: it is told, and rows are never rewritten.
#[test]
fn a_text_that_may_name_the_schema_is_told() -> Result<()> {
    let db = fresh_database("texts")?;
    let crm = crm(&db)?;
    crm.seed(
        "one",
        "CREATE TABLE plain (t text DEFAULT 'tenant_one.x'); INSERT INTO plain VALUES (DEFAULT);
         CREATE VIEW told AS SELECT 'tenant_one'::text AS name; CREATE VIEW untold AS SELECT t FROM plain",
    )?;
    crm.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
    let refused = crm.restore("x.tar.gz", "two", &["--allow-code"])?;
    refused.ends_with(13, &["view told", "default of column t on plain", "tenant_one", "--rewrite-bodies"])?;
    ensure!(!refused.stderr.contains("untold"), "{}", refused.stderr);
    crm.restore("x.tar.gz", "two", &ALL)?.ends_with(0, &[])?;
    ensure!(crm.query("two", "SELECT t FROM plain")? == "tenant_one.x", "a row was rewritten");
    ensure!(crm.query("two", "SELECT name FROM told")? == "tenant_two");
    Ok(())
}

/// The word that stands in archives for the schema.
#[test]
fn what_is_called_as_the_placeholder_comes_back_or_is_named() -> Result<()> {
    let db = fresh_database("placeholder")?;
    let crm = crm(&db)?;
    crm.seed(
        "one",
        "CREATE TABLE coffer_schema (coffer_schema text DEFAULT 'coffer_schema.x', plain int);
        INSERT INTO coffer_schema DEFAULT VALUES; CREATE TABLE other (a int)",
    )?;
    let exported = crm.export("one", "x.tar.gz", &[])?;
    if exported.code != 0 {
        exported.ends_with(1, &["table coffer_schema"])?;
        ensure!(!exported.stderr.contains("other"), "{}", exported.stderr);
        return Ok(());
    }
    crm.restore("x.tar.gz", "two", &ALL)?.ends_with(0, &[])?;
    ensure!(crm.query("two", "SELECT * FROM coffer_schema")? == "coffer_schema.x|");
    crm.assert_tells_the_same("x.tar.gz", "two")
}

#[test]
fn apps_of_one_shape_share_their_blueprint() -> Result<()> {
    const SINK: &str = include_str!("../../src/postgres/sink.sql");
    let db = super::sink::database("shape")?;
    let mut fingerprints = Vec::new();
    for (number, schema) in ["tenant_{app}", "a \"{app}\".b", "{app}Ä%"].into_iter().enumerate() {
        let crm = Crm::with_schema(env!("CARGO_BIN_EXE_coffer"), &db, schema)?;
        crm.seed("one", SINK)?;
        // Rows are no part of the shape.
        crm.sql("one", &format!("INSERT INTO logless SELECT n FROM generate_series(1, {number}) n"))?;
        crm.export("one", "x.tar.gz", &[])?.ends_with(0, &[])?;
        let told = crm.inspect("x.tar.gz")?;
        ensure!(told.tables.get("logless").is_some_and(|(rows, _)| *rows == number as u64 + 1), "{:?}", told.tables);
        fingerprints.push((identifier(schema), told.fingerprint));
    }
    let same = fingerprints.windows(2).all(|two| matches!(two, [(_, one), (_, other)] if one == other));
    ensure!(same, "{fingerprints:?}");
    // And another shape has another.
    let crm = crm(&db)?;
    crm.sql("one", "COMMENT ON TABLE logless IS 'another'")?;
    crm.export("one", "y.tar.gz", &[])?.ends_with(0, &[])?;
    let other = crm.inspect("y.tar.gz")?.fingerprint;
    ensure!(fingerprints.iter().all(|(_, fingerprint)| *fingerprint != other), "a comment is no part of it");
    Ok(())
}
