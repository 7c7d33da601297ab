//! Values of every type at its extremes, and names: COPY of the copy is COPY of the source, byte for byte.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::oracle::{Rights, assert_same, dump_of};
use coffer_tests::postgres::{Crm, identifier, literal};

use super::{ALL, crm, fresh_database};

const VALUES: &str = include_str!("../../data/postgres_values.sql");

/// The rows of each table as COPY writes them with the schema first in the path, sorted.
fn rows(crm: &Crm<'_>, app: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let schema = crm.schema(app);
    let tables =
        format!("SELECT json_agg(tablename)::text FROM pg_catalog.pg_tables WHERE schemaname = {}", literal(&schema));
    let tables: Vec<String> = serde_json::from_str(&crm.db().query(&tables)?)?;
    let rows = tables.into_iter().map(|table| {
        let (schema, name) = (identifier(&schema), identifier(&table));
        let copy = format!("SET search_path = {schema}; COPY (SELECT * FROM {schema}.{name}) TO STDOUT");
        let mut rows: Vec<_> = crm.db().psql(&copy)?.split('\n').map(str::to_owned).collect();
        rows.sort();
        Ok((table, rows))
    });
    rows.collect()
}

fn assert_same_rows(crm: &Crm<'_>, from: &str, to: &str) -> Result<()> {
    let (source, copy) = (rows(crm, from)?, rows(crm, to)?);
    ensure!(source.keys().eq(copy.keys()), "other tables: {:?} and {:?}", source.keys(), copy.keys());
    for (table, rows) in &source {
        let differ = rows.iter().zip(copy.get(table).context("no such table")?).find(|(one, other)| one != other);
        let short = |text: &String| text.chars().take(300).collect::<String>();
        let differ = differ.map(|(one, other)| (short(one), short(other)));
        ensure!(differ.is_none() && copy.get(table) == Some(rows), "table {table:?}: {differ:?}");
    }
    Ok(())
}

#[test]
fn every_type_at_its_extremes_and_every_name_come_back() -> Result<()> {
    let db = fresh_database("values")?;
    for schema in ["tenant_{app}", "Ten\"ant {app}.%é/"] {
        let crm = Crm::with_schema(env!("CARGO_BIN_EXE_coffer"), &db, schema)?;
        crm.seed("one", VALUES)?;
        crm.copy("one", "two", &ALL).context(schema.to_owned())?;
        let source = rows(&crm, "one")?;
        ensure!(source.len() > 30 && source.values().map(Vec::len).sum::<usize>() > 400, "the seed is small");
        assert_same_rows(&crm, "one", "two").context(schema.to_owned())?;
        let dump = |app| dump_of(&db, &crm.schema(app), Rights::Compared);
        assert_same(&dump("one")?, &dump("two")?)?;
        crm.assert_tells_the_same("one-two.tar.gz", "two")?;
    }
    Ok(())
}

/// A regclass is an OID: what it means where it comes is told by nobody.
#[test]
fn values_that_are_names_of_things_are_refused_by_name() -> Result<()> {
    let db = fresh_database("reg")?;
    let crm = crm(&db)?;
    crm.seed(
        "one",
        "CREATE TABLE plain (a int); CREATE DOMAIN hidden AS regprocedure; CREATE TYPE pair AS (a int, b hidden[]);
         CREATE TABLE named (a regclass); INSERT INTO named VALUES ('plain'); CREATE TABLE typed (a int, t regtype[]);
         CREATE TABLE nested (p pair); CREATE TABLE roles (r regrole); INSERT INTO roles VALUES ('pg')",
    )?;
    let refused = crm.export("one", "x.tar.gz", &[])?;
    refused.ends_with(1, &["table named", "table typed", "table nested", "regclass", "regtype", "regprocedure"])?;
    ensure!(!refused.stderr.contains("plain") && !refused.stderr.contains("roles"), "{}", refused.stderr);
    crm.export("one", "x.tar.gz", &["--skip-unsupported"])?.ends_with(0, &["table named"])?;
    crm.restore("x.tar.gz", "two", &ALL)?.ends_with(0, &[])?;
    let tables = "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'tenant_two'";
    ensure!(crm.query("two", tables)? == "plain,roles");
    Ok(())
}

/// A value that COPY writes in no encoding comes back, or is refused by name.
#[test]
fn a_character_that_is_none_comes_back_or_is_named() -> Result<()> {
    let db = fresh_database("chars")?;
    let crm = crm(&db)?;
    crm.seed(
        "one",
        "CREATE TABLE odd_chars (id int PRIMARY KEY, c \"char\");
        INSERT INTO odd_chars SELECT n, n::\"char\" FROM generate_series(-128, 127) n",
    )?;
    let exported = crm.export("one", "x.tar.gz", &[])?;
    if exported.code != 0 {
        return exported.ends_with(1, &["odd_chars"]);
    }
    crm.restore("x.tar.gz", "two", &[])?.ends_with(0, &[]).context("it was exported, and can't be restored")?;
    let values = "SELECT md5(string_agg(id || '=' || (c::int), ',' ORDER BY id)) FROM odd_chars";
    ensure!(crm.query("one", values)? == crm.query("two", values)?, "they are others");
    Ok(())
}

#[test]
fn the_widest_table_comes_back() -> Result<()> {
    let db = fresh_database("wide")?;
    let crm = crm(&db)?;
    let list = |column: &dyn Fn(u32) -> String| (1..=1_600).map(column).collect::<Vec<_>>().join(", ");
    let columns = list(&|n| format!("column_{n} {}", if n % 3 == 0 { "text" } else { "int" }));
    let values = list(&|n| if n % 3 == 0 { format!("'{}'", n % 10) } else { n.to_string() });
    let wide =
        format!("CREATE TABLE wide ({columns}); INSERT INTO wide VALUES ({values}); INSERT INTO wide DEFAULT VALUES");
    crm.seed("one", &wide)?;
    crm.copy("one", "two", &[])?;
    assert_same_rows(&crm, "one", "two")
}

#[test]
fn a_hundred_mebibytes_in_one_value_come_back() -> Result<()> {
    let db = fresh_database("large")?;
    let crm = crm(&db)?;
    // Of 1 MiB that does not compress, a hundred times; every place of it is another.
    crm.seed(
        "one",
        "CREATE TABLE large (id int PRIMARY KEY, b bytea);
        ALTER TABLE large ALTER b SET STORAGE EXTERNAL;
        INSERT INTO large VALUES (1, 'before'), (3, 'after');
        INSERT INTO large SELECT 2, string_agg(int4send(n) || block, '' ORDER BY n) FROM generate_series(1, 100) n,
            (SELECT string_agg(decode(md5(m::text), 'hex'), '') AS block FROM generate_series(1, 65536) m) AS blocks;
        INSERT INTO large SELECT n, repeat('x', 70000)::bytea FROM generate_series(4, 9) n",
    )?;
    ensure!(crm.query("one", "SELECT max(length(b)) >= 100 << 20 FROM large")? == "t", "it is smaller");
    crm.copy("one", "two", &[])?;
    let digests = "SELECT id, length(b), md5(b) FROM large ORDER BY id";
    ensure!(crm.query("one", digests)? == crm.query("two", digests)?, "it is another");
    Ok(())
}

/// COPY writes a bytea in hex, and no text of a gigabyte.
#[test]
fn a_value_that_copy_can_not_say_is_named_with_its_key() -> Result<()> {
    let db = fresh_database("huge")?;
    let crm = crm(&db)?;
    crm.seed(
        "one",
        "CREATE TABLE \"huge values\" (a int, key text, b bytea, PRIMARY KEY (key, a));
        INSERT INTO \"huge values\" SELECT n, 'key of ' || n, 'small' FROM generate_series(1, 5) n;
        INSERT INTO \"huge values\" SELECT 7, 'the huge one', repeat('x', 600000000)::bytea;
        INSERT INTO \"huge values\" VALUES (8, 'behind', 'small')",
    )?;
    let outcome = crm.export("one", "x.tar.gz", &[])?;
    outcome.ends_with(1, &["huge values", "the huge one", "7"])?;
    ensure!(!crm.coffer().path("x.tar.gz").exists(), "a file is left");
    crm.export("one", "x.tar.gz", &["--skip-unsupported"])?.ends_with(1, &["huge values", "the huge one"])?;
    ensure!(!crm.coffer().path("x.tar.gz").exists(), "rows were left out");
    Ok(())
}
