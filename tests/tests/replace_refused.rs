//! Imports into an app that is there which fail, are stopped or stand in each other's way: the app is just what it was.

use std::io::Write;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use coffer_tests::replace::{Folder, LONG_AGO, Place, assert_same_state, ensure_no_traces, set_up, undo, wait_until};
use coffer_tests::{App, Coffer, Damage, Outcome, shell, tool};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");

/// Apps `local/a`, `b` and `c`, and archives of them: `old`, `new`, `third`.
fn scene(journal_mode: &'static str) -> Result<Folder> {
    let place = Folder::new(COFFER, journal_mode)?;
    set_up(&place)?;
    Ok(place)
}

fn replace(coffer: &Coffer, archive: &str) -> Result<Outcome> {
    coffer.run(["restore", archive, "--into", "local/a", "--replace"])
}

/// Every path of an app, and what tells whether it was touched: times, inodes, bytes.
fn state_of(app: &App) -> Result<String> {
    shell(
        app.folder(),
        "find . -mindepth 1 -printf '%p %y %m %i %s %T@\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum",
    )
}

/// An archive's bytes, damaged, and the exit code that is due.
fn damaged(coffer: &Coffer) -> Result<Vec<(&'static str, Vec<u8>, i32)>> {
    let (open, sealed) = (std::fs::read(coffer.path("new"))?, std::fs::read(coffer.path("sealed"))?);
    let flip = |at| Damage::Flip { at, bits: 4 };
    shell(
        coffer.folder(),
        "gzip -dc new > new.tar; sed -b 's/\"rows\":2500/\"rows\":2501/' new.tar | gzip -c > miscounted",
    )?;
    let miscounted = std::fs::read(coffer.path("miscounted"))?;
    ensure!(
        tool("gzip", ["-dc".as_ref(), coffer.path("miscounted").as_os_str()])?
            != std::fs::read(coffer.path("new.tar"))?
    );
    Ok(vec![
        ("no footer", Damage::Cut { length: open.len() - 40 }.apply(&open), 13),
        ("no second half", Damage::Cut { length: open.len() / 2 }.apply(&open), 13),
        ("a flipped bit in the middle", flip(open.len() / 2).apply(&open), 13),
        ("another count", miscounted, 13),
        ("a wrong last segment", flip(sealed.len() - 50).apply(&sealed), 13),
        ("a flipped bit in a segment", flip(sealed.len() / 2).apply(&sealed), 13),
        ("no last segment", Damage::Cut { length: sealed.len() - 70_000 }.apply(&sealed), 13),
        ("no archive", b"no archive".to_vec(), 13),
        ("nothing", Vec::new(), 13),
    ])
}

#[test]
fn an_archive_that_is_not_whole_changes_nothing() -> Result<()> {
    let place = scene("WAL")?;
    let coffer = place.coffer();
    coffer.make_identity()?;
    coffer.run_well(["export", "local/b", "-o", "sealed"])?;
    std::fs::write(coffer.path("words"), "correct horse battery staple\n")?;
    std::fs::write(coffer.path("other"), "another one\n")?;
    coffer.run_well(["export", "local/b", "--passphrase-file", "words", "-o", "by-words"])?;
    let before = state_of(&coffer.app("a"))?;
    let ensure_unchanged = |what: &str| {
        ensure!(state_of(&coffer.app("a"))? == before, "{what}: the app was touched");
        ensure_no_traces(&place).context(what.to_owned())
    };
    let service = coffer.serve()?;
    for (what, bytes, code) in damaged(coffer)? {
        std::fs::write(coffer.path("damaged"), bytes)?;
        replace(coffer, "damaged")?.ends_with(code, &[]).context(what)?;
        ensure_unchanged(what)?;
        let file = coffer.path("damaged");
        let arguments = ["-X", "POST", "-T", file.to_str().context("not UTF-8")?];
        let answer = service.call("/v1/apps/local/a/import?replace=true", &arguments)?;
        answer.ensure_problem(422, &[]).context(what)?;
        ensure_unchanged(what)?;
    }
    let arguments = ["restore", "by-words", "--into", "local/a", "--replace", "--passphrase-file", "other"];
    coffer.run(arguments)?.ends_with(12, &[])?;
    ensure_unchanged("another passphrase")?;
    replace(coffer, "missing")?.ends_with(10, &["missing"])?;
    ensure_unchanged("no file")?;
    replace(coffer, "sealed")?.ends_with(0, &[])?;
    assert_same_state(&coffer.app("b"), &coffer.app("a"))
}

/// A binary that has got the first half of an archive, of which it is building.
fn half_given(place: &Folder, archive: &[u8]) -> Result<Child> {
    let mut command = place.coffer().command();
    command.args(["restore", "-", "--into", "local/a", "--replace"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let half = archive.get(..archive.len() / 2).context("no half")?;
    child.stdin.as_mut().context("no input")?.write_all(half)?;
    wait_until("the import has begun", || Ok(!place.traces()?.is_empty()))?;
    Ok(child)
}

#[test]
fn whoever_stops_an_import_has_the_old_app() -> Result<()> {
    let place = scene("DELETE")?;
    let (coffer, archive) = (place.coffer(), std::fs::read(place.coffer().path("new"))?);
    let before = state_of(&coffer.app("a"))?;
    for signal in ["-TERM", "-INT"] {
        let mut child = half_given(&place, &archive)?;
        // Its input stays open: a wait would end it.
        let input = child.stdin.take();
        tool("kill", [signal, &child.id().to_string()])?;
        let status = child.wait()?;
        drop(input);
        ensure!(status.code() == Some(130), "{signal}: {status}");
        ensure!(state_of(&coffer.app("a"))? == before, "{signal}: the app was touched");
        ensure_no_traces(&place).context(signal)?;
    }
    // Its input ends.
    let mut child = half_given(&place, &archive)?;
    drop(child.stdin.take());
    ensure!(child.wait()?.code() == Some(13));
    ensure!(state_of(&coffer.app("a"))? == before, "the app was touched");
    ensure_no_traces(&place)
}

#[test]
fn one_import_of_an_app_runs_at_a_time() -> Result<()> {
    let place = scene("WAL")?;
    let (coffer, archive) = (place.coffer(), std::fs::read(place.coffer().path("new"))?);
    replace(coffer, "third")?.ends_with(0, &[])?;
    let mut child = half_given(&place, &archive)?;
    let others: Vec<_> = (0..9)
        .map(|n| {
            let mut command = coffer.command();
            // By each way that would change the app.
            match n {
                0 => command.args(["restore", "--undo", "local/a", "--discard-changes-since", LONG_AGO]),
                1 => command.args(["restore", "third", "--into", "local/a"]),
                _ => command.args(["restore", "third", "--into", "local/a", "--replace"]),
            };
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("no process")
        })
        .collect::<Result<_>>()?;
    for (n, other) in others.into_iter().enumerate() {
        let output = other.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(11), "{n}: {}: {said}", output.status);
    }
    // Another app is not in the way.
    coffer.run(["restore", "third", "--into", "local/b", "--replace"])?.ends_with(0, &[])?;
    undo(coffer, "local/b")?.ends_with(0, &[])?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(archive.get(archive.len() / 2..).context("no half")?)?;
    drop(input);
    ensure!(child.wait()?.success(), "the one that was first has failed");
    assert_same_state(&coffer.app("b"), &coffer.app("a"))
}
