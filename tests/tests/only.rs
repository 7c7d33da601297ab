//! Some of an archive into a new app: tables whole, objects by their paths, and nothing where something is wrong.

use anyhow::{Result, ensure};
use coffer_tests::{Coffer, Outcome, folder_listing, shell};

fn archive() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    let app = coffer.app("whole");
    app.sqlite(&["CREATE TABLE t (x)", "CREATE TABLE u (y)", "CREATE TABLE e (z)"])?;
    app.sqlite(&["INSERT INTO t VALUES ('one'), ('two')", "INSERT INTO u VALUES (1)"])?;
    app.put("invoices/2026/1", b"first")?;
    app.put("invoices/2", b"second")?;
    app.put("picture", b"third")?;
    coffer.make_identity()?;
    coffer.run_well(["export", "local/whole", "-o", "whole.coffer"])?;
    Ok(coffer)
}

fn restore(coffer: &Coffer, into: &str, only: &[&str]) -> Result<Outcome> {
    let asked = only.iter().flat_map(|glob| ["--only", glob]);
    coffer.run(["restore", "whole.coffer", "--into", into].into_iter().chain(asked))
}

#[test]
fn tables_come_whole_and_objects_by_their_paths() -> Result<()> {
    let coffer = archive()?;
    restore(&coffer, "local/part", &["database/rows/t/*", "objects/invoices/"])?.ends_with(0, &[])?;
    let app = coffer.app("part");
    let rows = app.sqlite(&["SELECT group_concat(x) FROM t", "SELECT count(*) FROM u", "SELECT count(*) FROM e"])?;
    ensure!(rows.split_whitespace().eq(["one,two", "0", "0"]), "{rows}");
    let files = shell(&app.files(), "find . -type f | LC_ALL=C sort")?;
    ensure!(files.split_whitespace().eq(["./invoices/2", "./invoices/2026/1"]), "{files}");
    // An empty table can be asked for like any other.
    restore(&coffer, "local/empty", &["database/rows/e/*"])?.ends_with(0, &[])
}

#[test]
fn what_can_not_be_had_leaves_nothing() -> Result<()> {
    let coffer = archive()?;
    restore(&coffer, "local/none", &["objects/nothing"])?.ends_with(10, &["objects/nothing"])?;
    restore(&coffer, "local/none", &["database/schema.json"])?.ends_with(2, &["schema.json"])?;
    restore(&coffer, "local/whole", &["objects/**"])?.ends_with(1, &["not empty"])?;
    let mut bytes = std::fs::read(coffer.path("whole.coffer"))?;
    let end = bytes.len() - 40;
    bytes.truncate(end);
    std::fs::write(coffer.path("whole.coffer"), bytes)?;
    restore(&coffer, "local/none", &["objects/**"])?.ends_with(13, &["whole.coffer"])?;
    let apps = folder_listing(&coffer.path("coffer-data/apps"))?;
    ensure!(apps.iter().all(|path| !path.contains("none")), "{apps:?}");
    Ok(())
}
