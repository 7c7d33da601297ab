//! Servers and disks that fail in the middle of an import that replaces: the app is the old one or the new one, and once they are
//! there again nothing else is left.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use coffer_tests::postgres::Postgres;
use coffer_tests::replace::{
    Fingerprint, Folder, Place, Servers, Settings, both, ensure_holds, ensure_no_traces, fingerprint, run_with, set_up,
    undo, wait_until,
};
use coffer_tests::s3::{Action, Proxy, Rule};
use coffer_tests::{Coffer, Outcome, say, tool};

const COFFER: &str = env!("CARGO_BIN_EXE_coffer");
const REPLACING: [&str; 5] = ["restore", "new", "--into", "crm/a", "--replace"];
const NOTHING_KEPT: [(&str, &str); 1] = [("COFFER_SERVER_KEEP_REPLACED", "0")];
/// In how many stretches of an import a bucket's server goes.
const STRETCHES: usize = if cfg!(feature = "soak") { 40 } else { 8 };

/// A binary that has got half of the archive, whose rows it copies.
fn half_given(place: &Servers<'_>, archive: &[u8]) -> Result<Child> {
    let mut command = place.coffer().command();
    command.args(["restore", "-", "--into", "crm/a", "--replace"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    child.stdin.as_mut().context("no input")?.write_all(archive.get(..archive.len() / 2).context("no half")?)?;
    let ours =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coffer' AND datname = current_database()";
    wait_until("the import is there", || Ok(place.db().query(ours)? != "0"))?;
    Ok(child)
}

/// Gives it the rest, and waits for its end.
fn end(mut child: Child, archive: &[u8]) -> Result<Outcome> {
    let mut input = child.stdin.take().context("no input")?;
    // It may be gone.
    input.write_all(archive.get(archive.len() / 2..).context("no half")?).ok();
    drop(input);
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr })
}

#[test]
fn a_server_of_postgres_that_goes_leaves_the_old_app() -> Result<()> {
    let server = Postgres::start()?;
    let bucket = coffer_tests::s3::server()?.bucket()?;
    let place = Servers::new(COFFER, server.fresh_database("goes")?, bucket)?;
    set_up(&place)?;
    let (coffer, (old, new)) = (place.coffer(), both(&place)?);
    let archive = std::fs::read(coffer.path("new"))?;
    // A crash leaves out values of sequences that were in use.
    server.psql("postgres", "CHECKPOINT")?;
    for how in ["terminated", "restarted", "stopped"] {
        let child = half_given(&place, &archive)?;
        match how {
            "terminated" => ensure!(server.kill_backends(place.db().name())? > 0, "nobody was there"),
            "restarted" => server.restart()?,
            _ => server.stop()?,
        }
        end(child, &archive)?.ends_with(1, &[]).context(how)?;
        if how == "stopped" {
            // What can't be seen to is told, and is tried again.
            coffer.run(["recover"])?.ends_with(3, &["crm/a"]).context("while the server is gone")?;
            server.restart()?;
        }
        coffer.run(["recover"])?.ends_with(0, &[])?;
        ensure_holds(coffer, "crm/a", &old).context(how)?;
        ensure_no_traces(&place).context(how)?;
    }
    coffer.run(REPLACING)?.ends_with(0, &[])?;
    ensure_holds(coffer, "crm/a", &new)
}

#[test]
fn backends_that_are_ended_at_any_moment_leave_one_of_both_apps() -> Result<()> {
    let server = Postgres::shared()?;
    let bucket = coffer_tests::s3::server()?.bucket()?;
    let place = Servers::new(COFFER, server.fresh_database("ended")?, bucket)?;
    set_up(&place)?;
    let (coffer, (old, new)) = (place.coffer(), both(&place)?);
    let begun = Instant::now();
    run_with(coffer, &[], &REPLACING)?.ends_with(0, &[])?;
    let whole = begun.elapsed();
    undo(coffer, "crm/a")?.ends_with(0, &[])?;
    let (mut failed, mut landed) = (0, 0);
    for stretch in 1..=STRETCHES {
        let delay = whole * u32::try_from(stretch)? / u32::try_from(STRETCHES)?;
        let mut command = coffer.command();
        command.args(REPLACING).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn()?;
        std::thread::sleep(delay);
        server.kill_backends(place.db().name())?;
        let output = child.wait_with_output()?;
        failed += usize::from(!output.status.success());
        let about = || format!("after {delay:?}: {}", String::from_utf8_lossy(&output.stderr));
        coffer.run(["recover"])?.ends_with(0, &[]).with_context(about)?;
        landed += usize::from(ensure_one_of_both(&place, output.status.success(), &old, &new).with_context(about)?);
    }
    say(format!("{failed} of {STRETCHES} imports failed, and {landed} came through"));
    Ok(())
}

/// Whether it is the new one. It is the old one in the end.
fn ensure_one_of_both(place: &dyn Place, is_done: bool, old: &Fingerprint, new: &Fingerprint) -> Result<bool> {
    let (coffer, name) = (place.coffer(), place.name("a"));
    let found = fingerprint(coffer, &name)?;
    if found == *old {
        ensure!(!is_done, "it was told to be the new one");
        ensure_no_traces(place)?;
        return Ok(false);
    }
    ensure_holds(coffer, &name, new).context("it is not the old one; is it the new one?")?;
    undo(coffer, &name)?.ends_with(0, &[])?;
    ensure_holds(coffer, &name, old)?;
    ensure_no_traces(place)?;
    Ok(true)
}

/// A place whose bucket is behind a proxy.
fn with_proxy(name: &str, test: impl FnOnce(&Servers<'_>, &Proxy) -> Result<()>) -> Result<()> {
    let bucket = coffer_tests::s3::server()?.bucket()?;
    let proxy = Proxy::start(bucket.server())?;
    let place = Servers::new(COFFER, Postgres::shared()?.fresh_database(name)?, bucket)?;
    let s3 = "stall_timeout = \"2s\"\nattempts = 3";
    place.configure(Settings { server: Some(proxy.server()), s3 })?;
    set_up(&place)?;
    test(&place, &proxy)
}

#[test]
fn a_bucket_that_breaks_off_now_and_then_does_not_matter() -> Result<()> {
    with_proxy("breaks", |place, proxy| {
        let (coffer, (old, new)) = (place.coffer(), both(place)?);
        for (action, method) in [
            (Action::CloseRequestAfter(1_000), "PUT"),
            (Action::CloseAfterwards, "PUT"),
            (Action::CloseAfterwards, "DELETE"),
            (Action::CloseAfterwards, "POST"),
            (Action::Status(503, "SlowDown"), "GET"),
        ] {
            let about = format!("{action:?} {method}");
            proxy.reset();
            proxy.fail(Rule::new(action).method(method).one_in(9, 1));
            coffer.run(REPLACING)?.ends_with(0, &[]).context(about.clone())?;
            proxy.forget_rules();
            ensure_holds(coffer, "crm/a", &new).context(about.clone())?;
            undo(coffer, "crm/a")?.ends_with(0, &[])?;
            ensure_holds(coffer, "crm/a", &old).context(about.clone())?;
            ensure_no_traces(place).context(about)?;
        }
        Ok(())
    })
}

#[test]
fn a_bucket_that_goes_for_good_leaves_one_of_both_apps() -> Result<()> {
    with_proxy("goes", |place, proxy| {
        let (coffer, (old, new)) = (place.coffer(), both(place)?);
        proxy.reset();
        coffer.run(REPLACING)?.ends_with(0, &[])?;
        let requests = proxy.requests().len();
        undo(coffer, "crm/a")?.ends_with(0, &[])?;
        let (mut landed, mut left) = (0, 0);
        for stretch in 0..STRETCHES {
            let after = u64::try_from(stretch * requests / STRETCHES)?;
            proxy.reset();
            proxy.fail(Rule::new(Action::Status(403, "AccessDenied")).after(after));
            let outcome = coffer.run(REPLACING)?;
            ensure!(proxy.broken() > 0, "after {after} of {requests} requests nothing was broken");
            left += usize::from(!place.traces()?.is_empty());
            proxy.forget_rules();
            let about = || format!("after {after} of {requests} requests: {outcome:?}");
            coffer.run(["recover"])?.ends_with(0, &[]).with_context(about)?;
            landed += usize::from(ensure_one_of_both(place, outcome.code == 0, &old, &new).with_context(about)?);
        }
        say(format!("of {STRETCHES} imports, {landed} came through and {left} had left something"));
        ensure!(landed > 0 && landed < STRETCHES && left > 0, "not each half was met");
        Ok(())
    })
}

/// A full disk of 8 MiB, unmounted when dropped.
struct SmallDisk<'f>(&'f Path);

impl<'f> SmallDisk<'f> {
    fn mount(folder: &'f Path) -> Option<Self> {
        std::fs::create_dir_all(folder).ok()?;
        let options = ["-t", "tmpfs", "-o", "size=8m", "coffer-tests"].map(Path::new);
        tool("mount", options.into_iter().chain([folder])).ok().map(|_| Self(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        tool("umount", [Path::new("-l"), self.0]).ok();
    }
}

/// Archives of apps that are too large for the disk, in one way or the other, and one that is not.
fn too_large() -> Result<Coffer> {
    let large = Coffer::new(COFFER)?;
    large.app("rows").fill_rows(12)?;
    large.app("files").sqlite(&["CREATE TABLE t(a)"])?;
    coffer_tests::large_files(&large.app("files").files(), 12)?;
    // It fits once, and not beside the one that is there and a copy of that.
    large.app("beside").fill_rows(5)?;
    large.app("small").fill_small()?;
    for app in ["rows", "files", "beside", "small"] {
        large.run_well(["export", &format!("local/{app}"), "--no-encryption", "-o", app])?;
    }
    Ok(large)
}

#[test]
fn a_full_disk_leaves_the_old_app() -> Result<()> {
    let large = too_large()?;
    // With the state on the disk that fills up, and elsewhere.
    for is_state_there in [true, false] {
        let elsewhere = tempfile::tempdir()?;
        let state = if is_state_there {
            "sqlite:state.db".into()
        } else {
            format!("sqlite:{}/s.db", elsewhere.path().display())
        };
        let place = Folder::of(Coffer::new(COFFER)?.with_variable("COFFER_STATE_URL", &state), "WAL");
        let (coffer, data) = (place.coffer(), place.coffer().path("coffer-data"));
        let Some(_disk) = SmallDisk::mount(&data) else {
            say("SKIPPED: a full disk needs the right to mount a tmpfs");
            return Ok(());
        };
        coffer.app("a").fill_rows(1)?;
        coffer.app("a").put("x/y.bin", &[7; 100_000])?;
        let old = fingerprint(coffer, "local/a")?;
        for app in ["rows", "files", "beside"] {
            let about = || format!("{app}, with the state {}", if is_state_there { "there" } else { "elsewhere" });
            let archive = large.path(app).display().to_string();
            let outcome = coffer.run(["restore", &archive, "--into", "local/a", "--replace"])?;
            outcome.ends_with(1, &["space"]).with_context(about)?;
            ensure_holds(coffer, "local/a", &old).with_context(about)?;
            coffer.run(["recover"])?.ends_with(0, &[]).with_context(about)?;
            ensure!(place.traces()?.is_empty(), "{}: {:?}", about(), place.traces()?);
        }
        let archive = large.path("small").display().to_string();
        run_with(coffer, &NOTHING_KEPT, &["restore", &archive, "--into", "local/a", "--replace"])?.ends_with(0, &[])?;
        coffer_tests::replace::assert_same_objects(&large.app("small").files(), &coffer.app("a").files())?;
    }
    Ok(())
}
