//! An app that an archive replaces: it is the archive's, whole; and an undo brings back what it was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::replace::{
    Edition, Folder, Place, assert_same_objects, assert_same_state, ensure_holds, ensure_no_traces, fingerprint,
    run_with, set_up, undo,
};
use coffer_tests::vault::{ask, field, summary, text};
use coffer_tests::{App, Coffer, Outcome, assert_same_app, assert_same_database, shell};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
const NOTHING_KEPT: [(&str, &str); 1] = [("COFFER_SERVER_KEEP_REPLACED", "0")];

/// Apps `local/a`, `b` and `c`, and archives of them: `old`, `new`, `third`.
fn scene(journal_mode: &'static str) -> Result<Folder> {
    let place = Folder::new(COFFER, journal_mode)?;
    set_up(&place)?;
    Ok(place)
}

fn export(coffer: &Coffer, app: &str, file: &str) -> Result<()> {
    coffer.run_well(["export", &format!("local/{app}"), "--no-encryption", "-o", file]).map(drop)
}

fn replace(coffer: &Coffer, archive: &str) -> Result<Outcome> {
    coffer.run(["restore", archive, "--into", "local/a", "--replace"])
}

/// A copy that nothing of ours had a part in.
fn copy_of(coffer: &Coffer, app: &str) -> Result<App> {
    shell(coffer.folder(), &format!("mkdir -p copies && cp -a coffer-data/apps/{app} copies/{app}"))?;
    Ok(coffer.app_at(&format!("copies/{app}")))
}

fn goes_there_and_back(journal_mode: &'static str) -> Result<()> {
    let place = scene(journal_mode)?;
    let coffer = place.coffer();
    let (before, old) = (copy_of(coffer, "a")?, fingerprint(coffer, "local/a")?);
    coffer.run(["restore", "new", "--into", "local/a"])?.ends_with(1, &["not empty"])?;
    ensure_no_traces(&place)?;
    let told = ask(coffer, 0, &["restore", "new", "--into", "local/a", "--replace"])?;
    ensure!(field(&told, "kept_bytes").as_u64().is_some_and(|bytes| bytes > 1 << 20), "{told}");
    let until = text(&told, "kept_until")?;
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    ensure_holds(coffer, "local/a", &fingerprint(coffer, "local/b")?)?;
    ensure!(!place.traces()?.is_empty(), "nothing is kept");

    // Whoever asks says what is lost.
    let untold = coffer.run(["restore", "--undo", "local/a"])?;
    untold.ends_with(1, &["--discard-changes-since", until, "MiB"])?;
    let later = coffer.run(["restore", "--undo", "local/a", "--discard-changes-since", "2999-01-01T00:00:00Z"])?;
    later.ends_with(1, &["--discard-changes-since", until])?;
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    let replaced = untold.stderr.split_once("--discard-changes-since ").context("no time")?.1;
    let replaced = replaced.split_whitespace().next().context("no time")?.to_owned();
    let undone = ask(coffer, 0, &["restore", "--undo", "local/a", "--discard-changes-since", &replaced])?;
    ensure!(field(&undone, "freed_bytes") == field(&told, "kept_bytes"), "{undone} and {told}");
    assert_same_state(&before, &coffer.app("a"))?;
    ensure_holds(coffer, "local/a", &old)?;
    ensure_no_traces(&place)?;
    undo(coffer, "local/a")?.ends_with(10, &["local/a"])?;
    assert_same_state(&before, &coffer.app("a"))
}

#[test]
fn a_replaced_app_is_the_archives_and_an_undo_brings_it_back() -> Result<()> {
    goes_there_and_back("DELETE")
}

#[test]
fn a_replaced_app_in_wal_mode_is_the_archives_and_an_undo_brings_it_back() -> Result<()> {
    goes_there_and_back("WAL")
}

/// The file stays the one that its users have open: with its pages' size, and its journal.
#[test]
fn an_app_of_other_settings_is_replaced_by_every_value() -> Result<()> {
    let place = Folder::new(COFFER, "WAL")?;
    let coffer = place.coffer();
    place.make("a", Edition::Old)?;
    coffer.app("b").fill_awkward("UTF-8")?;
    coffer.app("b").put("x/y", b"z")?;
    export(coffer, "b", "awkward")?;
    let before = copy_of(coffer, "a")?;
    replace(coffer, "awkward")?.ends_with(0, &[])?;
    let ask = |app: &str, what: &str| coffer.app(app).sqlite(&[what]);
    ensure!(ask("a", ".dump")? == ask("b", ".dump")?, "rows differ");
    for pragma in ["integrity_check", "user_version", "application_id", "encoding"] {
        let pragma = format!("PRAGMA {pragma}");
        ensure!(ask("a", &pragma)? == ask("b", &pragma)?, "{pragma} differs");
    }
    ensure!(ask("a", "PRAGMA journal_mode")?.trim() == "wal", "it is in another mode");
    assert_same_objects(&coffer.app("b").files(), &coffer.app("a").files())?;
    undo(coffer, "local/a")?.ends_with(0, &[])?;
    assert_same_state(&before, &coffer.app("a"))?;
    ensure_no_traces(&place)
}

#[test]
fn an_undo_drops_what_was_written_since() -> Result<()> {
    let place = scene("DELETE")?;
    let coffer = place.coffer();
    let before = copy_of(coffer, "a")?;
    replace(coffer, "new")?.ends_with(0, &[])?;
    let app = coffer.app("a");
    app.sqlite(&["INSERT INTO items(marker) VALUES ('later'); DROP TABLE only_new; CREATE TABLE later(a);"])?;
    app.put("later/and.txt", b"later")?;
    app.put("changed.bin", b"changed again")?;
    std::fs::remove_file(app.files().join("same.bin"))?;
    undo(coffer, "local/a")?.ends_with(0, &[])?;
    assert_same_state(&before, &app)?;
    ensure_no_traces(&place)
}

#[test]
fn an_undo_brings_back_an_app_that_is_not_there_any_more() -> Result<()> {
    let place = scene("DELETE")?;
    let coffer = place.coffer();
    let before = copy_of(coffer, "a")?;
    replace(coffer, "new")?.ends_with(0, &[])?;
    std::fs::remove_file(coffer.app("a").database())?;
    std::fs::remove_dir_all(coffer.app("a").files())?;
    undo(coffer, "local/a")?.ends_with(0, &[])?;
    assert_same_state(&before, &coffer.app("a"))?;
    ensure_no_traces(&place)
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be() -> Result<()> {
    let place = scene("WAL")?;
    let coffer = place.coffer();
    let replacing = ["restore", "new", "--into", "local/a", "--replace", "--json"];
    let outcome = run_with(coffer, &NOTHING_KEPT, &replacing)?;
    outcome.ends_with(0, &[])?;
    let told = summary(&outcome)?;
    ensure!(field(&told, "kept_until").is_null() && field(&told, "kept_bytes").is_null(), "{told}");
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    ensure_no_traces(&place)?;
    undo(coffer, "local/a")?.ends_with(10, &["keep_replaced"])
}

#[test]
fn what_is_kept_goes_when_its_time_has_come() -> Result<()> {
    let place = scene("DELETE")?;
    let coffer = place.coffer();
    let replacing = ["restore", "new", "--into", "local/a", "--replace"];
    run_with(coffer, &[("COFFER_SERVER_KEEP_REPLACED", "2s")], &replacing)?.ends_with(0, &[])?;
    // Another import's is kept for longer.
    replace(coffer, "third")?.ends_with(0, &[])?;
    let kept = place.traces()?;
    std::thread::sleep(Duration::from_millis(3_100));
    coffer.run(["recover"])?.ends_with(0, &[])?;
    let left = place.traces()?;
    ensure!(!left.is_empty() && left.len() < kept.len(), "of {kept:?} there is {left:?}");
    undo(coffer, "local/a")?.ends_with(0, &[])?;
    assert_same_state(&coffer.app("b"), &coffer.app("a"))?;
    ensure_no_traces(&place)?;
    undo(coffer, "local/a")?.ends_with(10, &[])?;
    coffer.run(["recover"])?.ends_with(0, &[])
}

#[test]
fn no_folder_is_left_of_what_was_replaced() -> Result<()> {
    let place = scene("DELETE")?;
    let coffer = place.coffer();
    let before = copy_of(coffer, "a")?;
    replace(coffer, "new")?.ends_with(0, &[])?;
    assert_same_app(&coffer.app("b"), &coffer.app("a"))?;
    undo(coffer, "local/a")?.ends_with(0, &[])?;
    assert_same_app(&before, &coffer.app("a"))
}

/// One right after the other, in less than a second.
#[test]
fn two_imports_are_undone_one_after_the_other() -> Result<()> {
    let place = scene("DELETE")?;
    let coffer = place.coffer();
    let before = copy_of(coffer, "a")?;
    for _ in 0..3 {
        for archive in ["new", "third"] {
            replace(coffer, archive)?.ends_with(0, &[])?;
        }
        assert_same_state(&coffer.app("c"), &coffer.app("a"))?;
        undo(coffer, "local/a")?.ends_with(0, &[])?;
        assert_same_state(&coffer.app("b"), &coffer.app("a")).context("the first undo")?;
        undo(coffer, "local/a")?.ends_with(0, &[])?;
        assert_same_state(&before, &coffer.app("a")).context("the second undo")?;
        ensure_no_traces(&place)?;
    }
    undo(coffer, "local/a")?.ends_with(10, &[])
}

#[test]
fn an_app_that_is_not_there_need_not_be_replaced() -> Result<()> {
    let place = scene("DELETE")?;
    let coffer = place.coffer();
    let told = ask(coffer, 0, &["restore", "new", "--into", "local/fresh", "--replace"])?;
    ensure!(field(&told, "kept_until").is_null(), "{told}");
    assert_same_state(&coffer.app("b"), &coffer.app("fresh"))?;
    coffer.app("empty").sqlite(&["CREATE TABLE t(a); DROP TABLE t; VACUUM;"])?;
    coffer.run(["restore", "new", "--into", "local/empty", "--replace"])?.ends_with(0, &[])?;
    assert_same_database(&coffer.app("b").database(), &coffer.app("empty").database())?;
    undo(coffer, "local/fresh")?.ends_with(10, &[])?;
    undo(coffer, "local/none")?.ends_with(10, &[])?;
    ensure!(!coffer.app("none").exists());
    ensure_no_traces(&place)
}
