//! Schemas that nobody here wrote.

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::oracle::{NormalDump, Rights, assert_same, dump_of};
use coffer_tests::postgres::schemas::Fixture;
use coffer_tests::postgres::{Crm, Uncarried, assert_same_but_skipped};
#[cfg(feature = "soak")]
use coffer_tests::postgres::{Postgres, schemas::load_regression};
use coffer_tests::say;

use super::{ALL, crm, fresh_database};

fn dump(crm: &Crm<'_>, app: &str) -> Result<NormalDump> {
    dump_of(crm.db(), &crm.schema(app), Rights::Ignored)
}

/// Brings an app to another; where it holds what can't be carried, that is refused first, by name, and then left out.
fn there_and_back(crm: &Crm<'_>, from: &str, to: &str) -> Result<()> {
    let uncarried = Uncarried::of(crm.db(), &crm.schema(from))?;
    let flags: &[&str] = if uncarried.is_nothing() { &[] } else { &["--skip-unsupported"] };
    let refused = crm.export(from, "refused.tar.gz", &[])?;
    if !uncarried.is_nothing() {
        refused.ends_with(1, &["can't be carried"])?;
        ensure!(!crm.coffer().path("refused.tar.gz").exists(), "a file is left of an export that was refused");
    }
    crm.export(from, "x.tar.gz", flags)?.ends_with(0, &[])?;
    let told = crm.inspect("x.tar.gz")?;
    uncarried.check(&told.skipped)?;
    let silent: Vec<_> = told.skipped.iter().filter(|thing| !refused.stderr.contains(thing.as_str())).collect();
    ensure!(silent.is_empty(), "the refusal does not name {silent:?}");
    crm.restore("x.tar.gz", to, &ALL)?.ends_with(0, &[])?;
    let (source, restored) = (dump(crm, from)?, dump(crm, to)?);
    say(format!("{from}: {} things, {} not carried", source.counts().values().sum::<usize>(), told.skipped.len()));
    if uncarried.is_nothing() {
        assert_same(&source, &restored)?;
    } else {
        assert_same_but_skipped(source, restored, &told.skipped)?;
    }
    crm.assert_tells_the_same("x.tar.gz", to).context("the copy's own archive")
}

fn fixture(name: &str) -> Result<()> {
    let db = fresh_database("fixture")?;
    Fixture::named(name)?.load(&db, "tenant_one")?;
    there_and_back(&crm(&db)?, "one", "two").context(name.to_owned())
}

#[test]
fn zabbix_comes_back_equal() -> Result<()> {
    fixture("zabbix")
}

#[test]
fn kea_comes_back_equal() -> Result<()> {
    fixture("kea")
}

#[test]
fn icingadb_comes_back_equal() -> Result<()> {
    fixture("icingadb")
}

#[test]
fn procrastinate_comes_back_equal() -> Result<()> {
    fixture("procrastinate")
}

#[test]
fn graphile_worker_comes_back_equal() -> Result<()> {
    fixture("graphile-worker")
}

#[test]
fn pg_boss_comes_back_equal() -> Result<()> {
    fixture("pg-boss")
}

#[test]
fn features_come_back_equal() -> Result<()> {
    fixture("features")
}

#[test]
fn row_security_comes_back_equal() -> Result<()> {
    fixture("row-security")
}

/// Long: with the others of `just soak`.
#[cfg(feature = "soak")]
#[test]
fn the_regression_schema_is_refused_by_name_and_the_rest_comes_back_equal() -> Result<()> {
    // Its tests make roles, and work outside of their schema.
    let server = Postgres::start()?;
    let db = server.fresh_database("regression")?;
    load_regression(&db, "public")?;
    // The schema's name is a word of its comment, where the oracle would take it for the name.
    db.psql("COMMENT ON SCHEMA public IS 'as initdb left it'")?;
    let crm = Crm::with_schema(env!("CARGO_BIN_EXE_coffer"), &db, "{app}")?;
    let uncarried = Uncarried::of(&db, "public")?;
    ensure!(uncarried.count() > 150, "only {} things are odd in it", uncarried.count());
    there_and_back(&crm, "public", "restored")
}
