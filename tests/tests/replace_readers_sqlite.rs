//! Apps in SQLite that are replaced under their users, which are other processes: each reader sees the old app or the new one, no
//! commit is lost, and nobody waits for long.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::field;
use coffer_tests::{Coffer, folder_listing, say, tool};
use serde_json::Value;

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sqlite_client.py");
/// An app's rows are about 1 KiB each.
const MEBIBYTES: u32 = if cfg!(feature = "soak") { 256 } else { 16 };
const OLD_ROWS: u32 = MEBIBYTES * 1_024;
const NEW_ROWS: u32 = OLD_ROWS + 77;
/// No user may wait for longer.
const LONGEST: Duration = Duration::from_secs(if cfg!(feature = "soak") { 2 } else { 6 });
/// Users are there for so long before and after an import.
const AROUND: Duration = Duration::from_millis(700);

/// A user of SQLite in a process of its own.
fn user(role: &str, database: &Path, stop: &Path) -> Result<Child> {
    let rows = format!("{{\"old\": {OLD_ROWS}, \"new\": {NEW_ROWS}}}");
    let mut command = Command::new("python3");
    command.arg(CLIENT).arg(role).arg(database).arg(stop).arg(rows).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().context("python3 can't be run")
}

fn is_read_and_written_all_the_time(journal_mode: &str) -> Result<()> {
    let coffer = Coffer::new(COFFER)?;
    for (app, marker, rows) in [("a", "old", OLD_ROWS), ("b", "new", NEW_ROWS)] {
        coffer.app(app).sqlite(&[&format!(
            "PRAGMA journal_mode = {journal_mode};
             CREATE TABLE items(id INTEGER PRIMARY KEY, marker TEXT NOT NULL, payload);
             INSERT INTO items SELECT value, '{marker}', randomblob(1000) FROM generate_series(1, {rows});"
        )])?;
    }
    coffer.run_well(["export", "local/b", "--no-encryption", "-o", "new"])?;
    let (database, stop) = (coffer.app("a").database(), coffer.path("stop"));
    let roles = ["read", "read again", "read anew", "write"];
    let users = roles.iter().map(|role| user(role, &database, &stop)).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(AROUND);
    let begun = Instant::now();
    let replaced = coffer.run(["restore", "new", "--into", "local/a", "--replace"]);
    let whole = begun.elapsed();
    std::thread::sleep(AROUND);
    std::fs::write(&stop, "")?;
    let told = users.into_iter().map(|user| {
        let output = user.wait_with_output()?;
        serde_json::from_slice::<Value>(&output.stdout).context("a user told nothing")
    });
    let told = told.collect::<Result<Vec<_>>>()?;
    replaced?.ends_with(0, &[])?;
    let mut written = Vec::new();
    for told in told {
        let longest = field(&told, "longest").as_f64().context("no time")?;
        let (role, seen) = (field(&told, "role"), field(&told, "seen"));
        say(format!("{journal_mode}, {role}: {seen}, waited for {longest:.2} s at most, of an import of {whole:?}"));
        let is_good = |name: &str| field(&told, name).as_array().is_some_and(Vec::is_empty);
        ensure!(is_good("wrong") && is_good("failed") && longest < LONGEST.as_secs_f64(), "{told}");
        ensure!(role == "write" || (!seen["old"].is_null() && !seen["new"].is_null()), "{told}");
        written.extend(field(&told, "written").as_array().into_iter().flatten().filter_map(Value::as_u64));
    }
    let is_kept = |path: &String| path.contains(".data.db.coffer-replaced-") && !path.ends_with("-wal");
    let kept = folder_listing(coffer.app("a").folder())?.into_iter().find(is_kept).context("nothing is kept")?;
    let found = |path: &str, marker: &str| -> Result<Vec<u64>> {
        let query = format!("SELECT id FROM items WHERE payload = 'written' AND marker = '{marker}'");
        let rows = tool("sqlite3", ["-readonly", path, &query])?;
        String::from_utf8(rows)?.lines().map(|row| Ok(row.parse()?)).collect()
    };
    let (old, new) = (found(&kept, "old")?, found(database.to_str().context("not UTF-8")?, "new")?);
    ensure!(!old.is_empty() && !new.is_empty(), "{} rows before and {} after", old.len(), new.len());
    ensure!([old.clone(), new.clone()].concat() == written, "of {written:?} there are {old:?} and {new:?}");
    ensure!(coffer.app("a").sqlite(&["PRAGMA integrity_check"])?.trim() == "ok");
    Ok(())
}

#[test]
fn nobody_sees_half_a_database_in_wal_mode_and_no_commit_is_lost() -> Result<()> {
    is_read_and_written_all_the_time("WAL")
}

#[test]
fn nobody_sees_half_a_database_and_no_commit_is_lost() -> Result<()> {
    is_read_and_written_all_the_time("DELETE")
}
