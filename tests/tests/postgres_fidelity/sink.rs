//! A little of everything that is carried, with owners and privileges.

use anyhow::{Context, Result, ensure};
use coffer_tests::TarEntry;
use coffer_tests::postgres::oracle::{NormalDump, Rights, assert_same, dump_of};
use coffer_tests::postgres::{Crm, Db, Postgres, identifier};
use serde_json::Value;

use super::{ALL, fresh_database};

const SINK: &str = include_str!("../../src/postgres/sink.sql");

/// A database in which the sink can be made.
pub(super) fn database(name: &str) -> Result<Db<'static>> {
    for role in ["kitchen_one", "kitchen_two"] {
        make_role(Postgres::shared()?, role)?;
    }
    fresh_database(name)
}

/// Tests run side by side: whoever comes second finds it.
fn make_role(server: &Postgres, role: &str) -> Result<()> {
    let made = server.create_login(role);
    match server.query("postgres", &format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'"))?.as_str() {
        "1" => Ok(()),
        _ => made,
    }
}

#[test]
fn everything_that_is_carried_comes_back_with_its_owners_and_privileges() -> Result<()> {
    let db = database("sink")?;
    for schema in ["tenant_{app}", "Kit\"chen {app}.%é/"] {
        let crm = Crm::with_schema(env!("CARGO_BIN_EXE_coffer"), &db, schema)?;
        crm.seed("one", SINK)?;
        let dump = |app: &str, rights| dump_of(&db, &crm.schema(app), rights);
        for (to, flags, rights) in [
            ("two", &ALL[..], Rights::Ignored),
            ("three", &["--allow-code", "--rewrite-bodies", "--grants"], Rights::Compared),
        ] {
            crm.copy("one", to, flags).context(schema.to_owned())?;
            assert_same(&dump("one", rights)?, &dump(to, rights)?).with_context(|| format!("{schema}, {flags:?}"))?;
            ensure!(comment(&crm, "one")? == comment(&crm, to)?, "the schema's comment is another");
            crm.assert_tells_the_same(&format!("one-{to}.tar.gz"), to)?;
        }
        check_kinds(&dump("one", Rights::Compared)?)?;
        let own = "SELECT pg_get_userbyid(nspowner), nspacl::text FROM pg_namespace WHERE nspname = ";
        let own = |app: &str| db.query(&format!("{own}'{}'", crm.schema(app).replace('\'', "''")));
        ensure!(own("one")? == own("three")?, "the schema's own rights: {} and {}", own("one")?, own("three")?);
    }
    Ok(())
}

fn comment(crm: &Crm<'_>, app: &str) -> Result<String> {
    let schema = identifier(&crm.schema(app)).replace('\'', "''");
    crm.db().query(&format!("SELECT obj_description('{schema}'::regnamespace, 'pg_namespace')"))
}

/// The seed holds what it is there for.
fn check_kinds(dump: &NormalDump) -> Result<()> {
    let kinds = [
        "ACL",
        "CHECK CONSTRAINT",
        "COMMENT",
        "CONSTRAINT",
        "DOMAIN",
        "FK CONSTRAINT",
        "FUNCTION",
        "INDEX",
        "INDEX ATTACH",
        "MATERIALIZED VIEW",
        "MATERIALIZED VIEW DATA",
        "POLICY",
        "PROCEDURE",
        "ROW SECURITY",
        "SEQUENCE",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "TABLE",
        "TABLE ATTACH",
        "TABLE DATA",
        "TRIGGER",
        "TYPE",
        "VIEW",
    ];
    let missing: Vec<_> = kinds.iter().filter(|kind| !dump.counts().contains_key(**kind)).collect();
    ensure!(missing.is_empty(), "no {missing:?} in {:?}", dump.counts());
    Ok(())
}

#[test]
fn the_same_state_gives_the_same_archive() -> Result<()> {
    let db = database("twice")?;
    let crm = Crm::new(env!("CARGO_BIN_EXE_coffer"), &db)?;
    crm.seed("one", SINK)?;
    for file in ["one.tar.gz", "two.tar.gz"] {
        crm.export("one", file, &[])?.ends_with(0, &[])?;
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    }
    let (one, two) = (crm.entries("one.tar.gz")?, crm.entries("two.tar.gz")?);
    ensure!(one.keys().eq(two.keys()) && one.len() > 10, "they have other entries");
    for (path, entry) in &one {
        let other = two.get(path).context("no such entry")?;
        let may_differ: &[&str] = match path.as_str() {
            "manifest.json" => &["created", "archive_id"],
            "summary.json" => &["index", "index_digest"],
            // Its records tell where entries are in what is compressed.
            path if path.starts_with("index/") => continue,
            _ => {
                ensure!(entry == other, "{path} differs");
                continue;
            }
        };
        ensure!(without(entry, may_differ)? == without(other, may_differ)?, "{path} differs");
        ensure!(entry.header == other.header || path == "summary.json", "{path} has another header");
    }
    Ok(())
}

fn without(entry: &TarEntry, members: &[&str]) -> Result<Value> {
    let mut value: Value = serde_json::from_slice(&entry.content)?;
    let object = value.as_object_mut().context("no object")?;
    for member in members {
        object.remove(*member).with_context(|| format!("no {member}"))?;
    }
    Ok(value)
}
