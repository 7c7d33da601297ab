//! Many apps by one command: those that can't be backed up are named and hold up none of the others, in memory that does not
//! grow with their number.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{
    VAULT, archives, ask, attempts, ensure_only_good, field, listed, run_measured, summary, text,
};
use coffer_tests::{Coffer, assert_same_app, folder_listing, mebibytes, say, shell};
use serde_json::Value;

const APPS: usize = 500;
const MOST_MEMORY: u64 = 96 << 20;

/// What is broken in an app, and a word of what must be told of it.
const BROKEN: [(&str, &str, &str); 3] = [
    ("app0100", "head -c 8192 /dev/zero | tr '\\0' x > data.db", "data"),
    ("app0250", "ln -s note.txt files/shortcut", "shortcut"),
    (
        "app0499",
        "sqlite3 data.db 'CREATE VIRTUAL TABLE words USING fts5(word)' 'CREATE VIRTUAL TABLE seek USING fts5vocab(words, row)'",
        "seek",
    ),
];

fn name(n: usize) -> String {
    format!("app{n:04}")
}

/// One database, copied so many times, each with a file of its own; then three are broken.
fn with_apps() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app(&name(0)).sqlite(&["CREATE TABLE notes(id INTEGER PRIMARY KEY, title TEXT);
         INSERT INTO notes(title) SELECT 'note ' || value FROM generate_series(1, 50);"])?;
    for n in 0..APPS {
        let app = coffer.app(&name(n));
        app.put("note.txt", format!("of app {n}\n").as_bytes())?;
        if n > 0 {
            std::fs::copy(coffer.app(&name(0)).database(), app.database())?;
        }
    }
    for (app, script, _) in BROKEN {
        shell(coffer.app(app).folder(), script)?;
    }
    Ok(coffer)
}

/// The good backups in the order in which they were made: id by app.
fn by_app(all: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Vec<String>>> {
    let mut sorted = all.values().collect::<Vec<_>>();
    sorted.sort_by_key(|backup| backup["created"].as_str().unwrap_or_default());
    let mut apps = BTreeMap::<_, Vec<_>>::new();
    for backup in sorted {
        apps.entry(text(backup, "app")?.to_owned()).or_default().push(text(backup, "id")?.to_owned());
    }
    Ok(apps)
}

#[test]
fn five_hundred_apps_are_backed_up_at_once_and_three_are_told_of() -> Result<()> {
    let coffer = with_apps()?;
    let vault = coffer.path(VAULT);
    let begun = Instant::now();
    let (outcome, peak) = run_measured(&coffer, &["backup", "--all", "--jobs", "8", "--json"])?;
    say(format!("{APPS} apps: {:.1} s, {} at most", begun.elapsed().as_secs_f64(), mebibytes(peak)));
    outcome.ends_with(3, &[])?;
    ensure!(peak > 0 && peak <= MOST_MEMORY, "its memory went up to {}", mebibytes(peak));
    ensure_told(&summary(&outcome)?)?;
    let statuses =
        outcome.json_lines()?.into_iter().filter(|line| line["message_type"] == "status").collect::<Vec<_>>();
    for (app, _, word) in BROKEN {
        let told = |line: &Value| [app, word].iter().all(|word| line.to_string().contains(word));
        ensure!(statuses.iter().any(told), "no status tells of {app}: {statuses:?}");
    }
    ensure_listed(&coffer, &vault)?;

    // A second one of a few, told in words.
    let again = ["backup", "local/app0000", "local/app0001", "local/app0250", "--jobs", "2"];
    coffer.run(again)?.ends_with(3, &["local/app0250", "shortcut"])?;
    std::thread::sleep(Duration::from_millis(1_100)); // times are told in whole seconds
    coffer.run_well(["backup", "local/app0000", "local/app0001"])?;
    ensure!(listed(&coffer)?.len() == APPS - BROKEN.len() + 4, "the second ones are not all there");
    pruned_only_when_asked(&coffer, &vault)
}

/// What is given to a pod is enough: 128 MiB.
#[test]
fn large_apps_at_once_take_no_more_memory_than_small_ones() -> Result<()> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    let apps = ["a", "b", "c", "d"].map(|app| format!("local/{app}"));
    for app in ["a", "b", "c", "d"] {
        coffer.app(app).fill_large(24)?;
    }
    let mut arguments = vec!["backup", "--jobs", "4", "--json"];
    arguments.extend(apps.iter().map(String::as_str));
    let (outcome, peak) = run_measured(&coffer, &arguments)?;
    say(format!("4 apps of 24 MiB at once: {} at most", mebibytes(peak)));
    outcome.ends_with(0, &[])?;
    ensure!(peak > 0 && peak <= MOST_MEMORY, "its memory went up to {}", mebibytes(peak));
    Ok(())
}

fn ensure_told(told: &Value) -> Result<()> {
    let good = APPS - BROKEN.len();
    ensure!(told["good"] == good && told["failed"] == BROKEN.len(), "{} good, {} failed", told["good"], told["failed"]);
    let failures = told["failures"].as_array().context("no failures")?;
    ensure!(failures.len() == BROKEN.len(), "{failures:?}");
    for (app, _, word) in BROKEN {
        let its = failures.iter().find(|failure| failure["app"] == format!("local/{app}"));
        let why = text(its.with_context(|| format!("{app} is not told of: {failures:?}"))?, "error")?;
        ensure!(why.contains(word), "{app}: {why}");
    }
    let backups = told["backups"].as_array().context("no backups")?;
    let apps = backups.iter().map(|backup| text(backup, "app")).collect::<Result<BTreeSet<_>>>()?;
    ensure!(backups.len() == good && apps.len() == good, "{} backups of {} apps", backups.len(), apps.len());
    Ok(())
}

/// All but three are listed, each with an archive that is its own; and some of them come back.
fn ensure_listed(coffer: &Coffer, vault: &Path) -> Result<()> {
    let all = listed(coffer)?;
    let due = (0..APPS).map(name).filter(|app| BROKEN.iter().all(|(broken, ..)| broken != app));
    ensure!(by_app(&all)?.into_keys().eq(due), "others are listed: {:?}", by_app(&all)?.keys());
    let files = archives(vault)?;
    ensure!(files.keys().eq(all.keys()), "{} archives for {} backups", files.len(), all.len());
    let failed = attempts(coffer, "failed")?;
    ensure!(failed.len() == BROKEN.len() && attempts(coffer, "running")?.is_empty(), "{failed:?}");
    // All names, and every tenth archive to its end.
    let mut known = files.into_keys().enumerate().filter(|(n, _)| n % 10 > 0).map(|(_, id)| id).collect();
    ensure_only_good(coffer, vault, &mut known)?;
    for app in [0, 101, 498].map(name) {
        coffer.run_well([
            "restore",
            "latest",
            "--of",
            &format!("local/{app}"),
            "--into",
            &format!("local/back-{app}"),
        ])?;
        let back = coffer.app(&format!("back-{app}"));
        assert_same_app(&coffer.app(&app), &back)?;
        std::fs::remove_dir_all(back.folder())?;
    }
    Ok(())
}

fn ids(told: &Value, list: &str) -> Result<BTreeSet<String>> {
    let list = told[list].as_array().with_context(|| format!("there is no {list} in {told}"))?;
    list.iter().map(|backup| text(backup, "id").map(str::to_owned)).collect()
}

/// Of two apps there are three backups, of the others one.
fn pruned_only_when_asked(coffer: &Coffer, vault: &Path) -> Result<()> {
    let (all, files) = (listed(coffer)?, folder_listing(vault)?);
    let apps = by_app(&all)?;
    let older = |app: &str| {
        let of_app = apps.get(app).and_then(|ids| ids.split_last());
        of_app.map_or_else(Vec::new, |(_, older)| older.to_vec())
    };
    let due: BTreeSet<_> = ["app0000", "app0001"].iter().flat_map(|app| older(app)).collect();
    ensure!(due.len() == 4, "{due:?}");
    let prune = ["backups", "prune", "--keep-last", "1"];
    let dry = ask(coffer, 0, &[prune.as_slice(), &["--dry-run"]].concat())?;
    ensure!(field(&dry, "dry_run") == true && ids(&dry, "gone")? == due, "{due:?} were due: {}", field(&dry, "gone"));
    ensure!(ids(&dry, "kept")?.len() == all.len() - due.len(), "{} are kept", ids(&dry, "kept")?.len());
    ensure!(listed(coffer)? == all && folder_listing(vault)? == files, "a dry run has changed something");
    // Without a word on what to keep, all is kept.
    coffer.run(["backups", "prune"])?;
    ensure!(listed(coffer)? == all && folder_listing(vault)? == files, "it was pruned by no rule");
    // Of one app, then of all.
    let one = ask(coffer, 0, &[prune.as_slice(), &["local/app0000"]].concat())?;
    ensure!(field(&one, "dry_run") == false && ids(&one, "gone")?.len() == 2, "{one}");
    ask(coffer, 0, &prune)?;
    let (left, files) = (listed(coffer)?, archives(vault)?);
    ensure!(left.len() == APPS - BROKEN.len() && left.keys().all(|id| !due.contains(id)), "{} are left", left.len());
    ensure!(files.keys().eq(left.keys()), "the vault and the catalogue differ");
    let records = folder_listing(vault)?.into_iter().filter(|path| path.ends_with(".json")).count();
    ensure!(records == left.len(), "{records} records for {} archives", left.len());
    Ok(())
}
