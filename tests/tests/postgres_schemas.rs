//! Schemas that nobody here wrote: they can be had, hold what they are wanted for, and the oracle knows them again.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::oracle::{Rights, assert_same, dump_of};
use coffer_tests::postgres::schemas::{FIXTURES, counts, load_regression};
use coffer_tests::postgres::{Postgres, identifier};
use coffer_tests::say;

/// What all of them together have to hold.
const WANTED: [&str; 14] = [
    "partitions",
    "domains",
    "functions",
    "triggers",
    "policies",
    "generated columns",
    "identity columns",
    "exclusion constraints",
    "enums",
    "composite types",
    "ranges",
    "materialized views",
    "foreign keys",
    "views",
];

#[test]
fn each_comes_back_from_its_own_dump() -> Result<()> {
    let server = Postgres::start()?;
    let mut together = BTreeMap::new();
    for fixture in &FIXTURES {
        let db = server.fresh_database("fixture")?;
        fixture.load(&db, "the_fixture")?;
        let counts = counts(&db, "the_fixture")?;
        say(format!("{}: {counts:?}", fixture.name));
        for (kind, number) in counts {
            *together.entry(kind).or_insert(0) += number;
        }
        let before = dump_of(&db, "the_fixture", Rights::Compared)?;
        let dump = db.pg_dump(&["--schema", "the_fixture"])?;
        let moved = format!("ALTER SCHEMA {} RENAME TO moved_away", identifier("the_fixture"));
        db.psql(&moved)?;
        db.psql(&dump).with_context(|| format!("{} can't be restored", fixture.name))?;
        let after = dump_of(&db, "the_fixture", Rights::Compared)?;
        assert_same(&before, &after).with_context(|| format!("{} came back as another", fixture.name))?;
        ensure!(before.counts().get("TABLE DATA").is_some_and(|&tables| tables > 1), "{}: no rows", fixture.name);
    }
    let missing: Vec<_> = WANTED.iter().filter(|kind| !together.contains_key(**kind)).collect();
    ensure!(missing.is_empty(), "no fixture holds any {missing:?}: {together:?}");
    Ok(())
}

#[test]
fn the_regression_tests_leave_odd_things() -> Result<()> {
    let server = Postgres::start()?;
    let db = server.fresh_database("regression")?;
    load_regression(&db, "public")?;
    let counts = counts(&db, "public")?;
    say(format!("regression: {counts:?}"));
    let dump = dump_of(&db, "public", Rights::Compared)?;
    say(format!("regression, as pg_dump counts: {:?}", dump.counts()));
    for odd in ["AGGREGATE", "COLLATION", "OPERATOR", "OPERATOR CLASS", "RULE", "STATISTICS", "TEXT SEARCH DICTIONARY"]
    {
        ensure!(dump.counts().contains_key(odd), "no {odd}: {:?}", dump.counts());
    }
    Ok(())
}
