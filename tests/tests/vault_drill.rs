//! The disaster drill of docs/OPERATING.md, to the letter: an empty folder, the vault and an identity, and every app is back.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::recovery::outcome_of;
use coffer_tests::vault::{VAULT, back_up};
use coffer_tests::{Coffer, assert_same_app, folder_listing, mixed_files, shell};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATING.md");
const APPS: [&str; 4] = ["a.b-c_d", "empty", "notes", "wiki"];

fn coffer() -> Result<Coffer> {
    Coffer::new(env!("CARGO_BIN_EXE_coffer"))
}

/// The page's commands between the marks, in the order in which they stand there.
fn drill() -> Result<Vec<String>> {
    let page = std::fs::read_to_string(PAGE)?;
    let mut blocks = Vec::new();
    for part in page.split("<!-- drill -->").skip(1) {
        let (part, _) = part.split_once("<!-- /drill -->").context("the drill has no end")?;
        for block in part.split("```sh\n").skip(1) {
            blocks.push(block.split_once("```").context("a fence is open")?.0.to_owned());
        }
    }
    Ok(blocks)
}

/// Runs a script in a folder as somebody does who has just logged in: with a path on which `coffer` is, and two variables.
fn run_there(folder: &Path, path: &str, vault: &Path, identity: &Path, script: &str) -> Result<String> {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder).stdin(Stdio::null()).env_clear();
    command.env("PATH", path).env("VAULT", format!("file:{}", vault.display())).env("IDENTITY", identity);
    let outcome = outcome_of(&mut command)?;
    let stdout = String::from_utf8_lossy(&outcome.stdout).into_owned();
    ensure!(outcome.code == 0, "exit code {}:\n{script}\n{stdout}\n{}", outcome.code, outcome.stderr);
    Ok(stdout)
}

/// A machine with four apps and a vault; some of the apps have changed since their first backup, and one since its last.
fn with_backups() -> Result<Coffer> {
    let coffer = coffer()?;
    coffer.make_identity()?;
    coffer.app("notes").fill_awkward("UTF-8")?;
    mixed_files(&coffer.app("notes").files(), 1 << 20)?;
    coffer.app("empty").sqlite(&["VACUUM"])?;
    for name in ["wiki", "a.b-c_d"] {
        coffer.app(name).fill_small()?;
        back_up(&coffer, &format!("local/{name}"))?;
    }
    std::thread::sleep(Duration::from_millis(1_100)); // times are told in whole seconds
    coffer.app("wiki").put("later.txt", b"later")?;
    coffer.app("wiki").sqlite(&["DELETE FROM notes WHERE id = 1"])?;
    coffer.run_well(["backup", "--all"])?;
    Ok(coffer)
}

#[test]
fn the_drill_gets_every_app_back_from_the_vault_and_an_identity() -> Result<()> {
    let lost = with_backups()?;
    // What outlives the machine, and what it held, to compare with.
    let safe = coffer()?;
    let from = lost.folder().display();
    shell(
        safe.folder(),
        &format!(
            "cp -a '{from}/{VAULT}' vault; cp '{from}/coffer-data/coffer.key' me.key; cp -a '{from}/coffer-data/apps' apps"
        ),
    )?;
    drop(lost);
    let command = safe.command();
    let program = Path::new(command.get_program()).canonicalize()?;
    std::fs::create_dir(safe.path("bin"))?;
    std::os::unix::fs::symlink(program, safe.path("bin/coffer"))?;
    let path = format!("{}:/usr/bin:/bin", safe.path("bin").display());
    let before = shell(safe.folder(), "find vault -type f -exec sha256sum {} + | sort")?;

    let fresh = coffer()?;
    let run = |script: &str| run_there(fresh.folder(), &path, &safe.path("vault"), &safe.path("me.key"), script);
    ensure!(folder_listing(fresh.folder())?.is_empty(), "the folder is not empty");
    let blocks = drill()?;
    ensure!(blocks.len() == 5, "the drill has {} blocks", blocks.len());
    let said = run(&blocks.concat())?;
    for app in APPS {
        ensure!(said.contains(&format!("local/{app} bk_")), "nothing was said of {app}:\n{said}");
        let original = safe.app_at(&format!("apps/{app}"));
        assert_same_app(&original, &fresh.app_at(&format!("apps/{app}"))).with_context(|| app.to_owned())?;
    }
    ensure!(said.matches("is back").count() == APPS.len(), "{said}");
    let after = shell(safe.folder(), "find vault -type f -exec sha256sum {} + | sort")?;
    ensure!(after == before, "the drill has changed the vault");

    // Without the identity nothing comes back, and that is said.
    std::fs::remove_dir_all(fresh.path("apps"))?;
    std::fs::remove_file(fresh.path("coffer.key"))?;
    run("coffer keygen -o coffer.key; mkdir apps")?;
    let refused = run("coffer restore latest --into local/wiki").err().context("another identity opened it")?;
    ensure!(refused.to_string().contains("exit code 12"), "{refused}");
    Ok(())
}
