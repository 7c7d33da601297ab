//! What runs before and after a backup: in which order, with which words, and what becomes of the backup when it fails.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{Settings, VAULT, archives, ask, attempts, ensure_only_good, listed, text};
use coffer_tests::{Coffer, assert_same_app, folder_listing};

/// Small apps `local/a` and `local/z`, and two hooks, the programs of whose scripts are given; each first writes down that it ran.
fn with_hooks(before: &str, after: &str, timeout: &str) -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    for app in ["a", "z"] {
        coffer.app(app).fill_small()?;
    }
    for (name, script) in [("before", before), ("after", after)] {
        let said = "$(basename $0) $* $COFFER_SOURCE/$COFFER_APP ${COFFER_RESULT-} ${COFFER_BACKUP-} ${COFFER_ERROR-}";
        let note = format!("echo \"$(echo \"{said}\" | tr '\\n' ' ')\" >> log");
        let text = format!("#!/bin/sh\ncd '{}'\n{note}\n{script}\n", coffer.folder().display());
        std::fs::write(coffer.path(name), text)?;
        std::fs::set_permissions(coffer.path(name), std::fs::Permissions::from_mode(0o755))?;
    }
    let folder = coffer.folder().display();
    let source = format!(
        "before = [\"{folder}/before\", \"{{app}}\", \"two words\"]\nafter = [\"{folder}/after\", \"of-{{app}}\"]\n\
         hook_timeout = \"{timeout}\"\n"
    );
    Settings { source: &source, ..Settings::default() }.write(&coffer)?;
    Ok(coffer)
}

/// What the hooks wrote down, a line each.
fn log(coffer: &Coffer) -> Result<Vec<String>> {
    Ok(std::fs::read_to_string(coffer.path("log"))?.lines().map(|line| line.trim_end().to_owned()).collect())
}

/// The one attempt that failed, and its reason.
fn ensure_failed(coffer: &Coffer, words: &[&str]) -> Result<()> {
    let failed = attempts(coffer, "failed")?;
    let [attempt] = &failed[..] else { anyhow::bail!("{failed:?}") };
    let missing = words.iter().find(|word| !text(attempt, "error").is_ok_and(|error| error.contains(**word)));
    ensure!(missing.is_none(), "{missing:?} is not in {attempt}");
    ensure!(listed(coffer)?.is_empty() && archives(&coffer.path(VAULT))?.is_empty(), "there is an archive");
    let left = folder_listing(&coffer.path(VAULT))?.into_iter().find(|path| std::path::Path::new(path).is_file());
    ensure!(left.is_none(), "{left:?} is left");
    Ok(())
}

#[test]
fn hooks_run_in_order_and_know_what_they_run_for() -> Result<()> {
    // The state of an app between its two hooks is what is backed up.
    let (before, after) = (
        "echo quiet > coffer-data/apps/$1/files/quiesced; cp -r coffer-data/apps/$1 original-$1",
        "rm coffer-data/apps/$COFFER_APP/files/quiesced",
    );
    let coffer = with_hooks(before, after, "60s")?;
    ask(&coffer, 0, &["backup", "--all", "--jobs", "1"])?;
    let all = listed(&coffer)?;
    ensure!(all.len() == 2, "{all:?}");
    let id = |app: &str| all.iter().find(|(_, backup)| backup["app"] == app).map(|(id, _)| id.as_str());
    let (a, z) = (id("a").context("no backup of a")?, id("z").context("no backup of z")?);
    let due = [
        "before a two words local/a".to_owned(),
        format!("after of-a local/a good {a}"),
        "before z two words local/z".to_owned(),
        format!("after of-z local/z good {z}"),
    ];
    // An attempt may have its id before its first hook runs, and tell it.
    let said = log(&coffer)?.into_iter().map(|line| match line.split_once("  bk_") {
        Some((line, _)) if line.starts_with("before") => line.to_owned(),
        _ => line,
    });
    let said = said.collect::<Vec<_>>();
    ensure!(said == due || said == [&due[2..], &due[..2]].concat(), "{said:#?}");
    for app in ["a", "z"] {
        ensure!(!coffer.app(app).files().join("quiesced").exists(), "`after` did not run for {app}");
        let (of, into) = (format!("local/{app}"), format!("local/back-{app}"));
        coffer.run_well(["restore", "latest", "--of", &of, "--into", &into])?;
        assert_same_app(&coffer.app_at(&format!("original-{app}")), &coffer.app(&format!("back-{app}")))?;
    }
    Ok(())
}

#[test]
fn a_before_that_fails_fails_the_attempt() -> Result<()> {
    let coffer = with_hooks("echo working; echo 'the disk is on fire' >&2; exit 7", "", "60s")?;
    coffer.run(["backup", "local/a"])?.ends_with(1, &["local/a", "before", "the disk is on fire", "7"])?;
    ensure_failed(&coffer, &["before", "the disk is on fire"])?;
    let said = log(&coffer)?;
    let [before, after] = &said[..] else { anyhow::bail!("{said:?}") };
    ensure!(before.starts_with("before a two words local/a"), "{before}");
    ensure!(after.starts_with("after of-a local/a failed") && after.contains("the disk is on fire"), "{after}");
    // Of several, the others are good.
    std::fs::write(coffer.path("before"), "#!/bin/sh\ntest $1 = z\n")?;
    let told = ask(&coffer, 3, &["backup", "--all"])?;
    ensure!(told["good"] == 1 && told["failed"] == 1 && told["failures"][0]["app"] == "local/a", "{told}");
    // A program that is not there is a `before` that fails, too.
    std::fs::remove_file(coffer.path("before"))?;
    coffer.run(["backup", "local/a"])?.ends_with(1, &["before"])
}

/// The ids of processes whose command line is `sleep` and this.
fn sleepers(seconds: &str) -> Result<Vec<String>> {
    let processes = std::fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
    let is_it = |line: &[u8]| line == format!("sleep\0{seconds}\0").as_bytes();
    let sleeping = processes.filter(|path| std::fs::read(path.join("cmdline")).is_ok_and(|line| is_it(&line)));
    Ok(sleeping.map(|path| path.display().to_string()).collect())
}

#[test]
fn a_hook_that_takes_too_long_is_ended_with_all_that_it_started() -> Result<()> {
    // A number that no other process sleeps for.
    let seconds = format!("7{:07}.5", std::process::id());
    let script = format!("sh -c 'trap \"\" TERM; sleep {seconds}' &\necho 'waiting for the lock' >&2\nsleep {seconds}");
    let coffer = with_hooks(&script, "", "1s")?;
    let begun = Instant::now();
    coffer.run(["backup", "local/a"])?.ends_with(1, &["before", "waiting for the lock"])?;
    let took = begun.elapsed();
    ensure!((Duration::from_secs(1)..Duration::from_secs(20)).contains(&took), "it took {took:?}");
    // The system may take a moment to bury them.
    while !sleepers(&seconds)?.is_empty() {
        ensure!(begun.elapsed() < took + Duration::from_secs(2), "these still run: {:?}", sleepers(&seconds)?);
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure_failed(&coffer, &["before", "waiting for the lock"])?;
    let said = log(&coffer)?;
    ensure!(said.len() == 2 && said.iter().any(|line| line.starts_with("after of-a local/a failed")), "{said:?}");
    Ok(())
}

#[test]
fn an_after_that_fails_leaves_the_backup_good_and_is_told() -> Result<()> {
    let coffer = with_hooks("", "echo 'can not wake it up' >&2; test $COFFER_APP = z", "60s")?;
    coffer.run(["backup", "local/a"])?.ends_with(3, &["local/a", "after", "can not wake it up"])?;
    let all = listed(&coffer)?;
    ensure!(all.len() == 1 && attempts(&coffer, "failed")?.is_empty(), "{all:?}");
    ensure_only_good(&coffer, &coffer.path(VAULT), &mut Default::default())?;
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/back"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("back"))?;
    let outcome = coffer.run(["backup", "local/a", "local/z", "--json"])?;
    outcome.ends_with(3, &[])?;
    ensure!(String::from_utf8_lossy(&outcome.stdout).contains("can not wake it up"), "{outcome:?}");
    ensure!(listed(&coffer)?.len() == 3, "{:?}", listed(&coffer)?);
    // An export that fails is told to `after`, and is what the run ends with.
    std::os::unix::fs::symlink("readme.txt", coffer.app("z").files().join("link"))?;
    coffer.run(["backup", "local/z"])?.ends_with(1, &["link"])?;
    let last = log(&coffer)?.pop().context("nothing was written down")?;
    ensure!(last.starts_with("after of-z local/z failed") && last.contains("link"), "{last}");
    Ok(())
}
