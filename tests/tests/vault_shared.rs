//! Vaults and a state that are not ours alone: a vault that can't be reached or is gone from the configuration, processes that begin
//! at once, and backups that go while they are copied.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use coffer_tests::vault::{STATE, Settings, VAULT, archives, ask, attempts, back_up, leftovers, listed, text};
use coffer_tests::{Coffer, Random, shell};
use serde_json::{Value, json};

const SPARE: &str = "spare";
/// A port at which nobody listens.
const CLOSED: u16 = 1;
const MAIN: (&str, &str) = ("main", "file:coffer-data/vault");
static VAULTS: [(&str, &str); 2] = [MAIN, ("spare", "file:spare")];

/// A small app `local/a`, an identity, and these vaults; there is no server for those in a bucket.
fn with_vaults(vaults: &[(&str, &str)]) -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    let coffer = coffer.with_variable("AWS_ACCESS_KEY_ID", "nobody").with_variable("AWS_SECRET_ACCESS_KEY", "nothing");
    configure(&coffer, vaults)?;
    coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    coffer.app("a").fill_small()?;
    Ok(coffer)
}

fn configure(coffer: &Coffer, vaults: &[(&str, &str)]) -> Result<()> {
    let s3 = format!("[s3]\nendpoint = \"http://127.0.0.1:{CLOSED}\"\nregion = \"us-east-1\"\nattempts = 2\n");
    Settings { vaults, more: &s3, ..Settings::default() }.write(coffer)
}

/// The vaults that the catalogue names of a backup.
fn vaults_of(coffer: &Coffer, id: &str) -> Result<Value> {
    Ok(listed(coffer)?.get(id).with_context(|| format!("{id} is not listed"))?["vaults"].clone())
}

#[test]
fn a_vault_that_can_not_be_used_keeps_nobody_from_the_others() -> Result<()> {
    // A server that is down, and a file where the folder was: what a disk that is not mounted may leave.
    for url in ["s3://bucket/vault", "file:occupied"] {
        let main_first = [MAIN, ("far", url)];
        let coffer = with_vaults(&main_first)?;
        std::fs::write(coffer.path("occupied"), "dear diary")?;
        let outcome = coffer.run(["backup", "--all"])?;
        outcome.ends_with(0, &["far"]).with_context(|| url.to_owned())?;
        let id = back_up(&coffer, "local/a")?;
        let all = listed(&coffer)?;
        ensure!(all.len() == 2 && attempts(&coffer, "failed")?.is_empty(), "{url}: {all:?}");
        coffer.run_well(["restore", &id, "--into", "local/b"])?;
        // What needs the other one says so.
        let copied = coffer.run(["backups", "copy", "--to", "far", &id])?;
        ensure!(copied.code != 0 && copied.stderr.contains(&id), "{url}: {copied:?}");
        // Nor does the order of vaults decide which are looked at; of the one that can't be, nothing is forgotten.
        configure(&coffer, &[("far", url), MAIN])?;
        for begin in ["", &format!("rm {STATE}*")] {
            shell(coffer.folder(), begin)?;
            coffer.run(["backups", "rescan"])?.ends_with(1, &["far"]).with_context(|| url.to_owned())?;
            ensure!(listed(&coffer)? == all, "{url}: {:?}", listed(&coffer)?);
        }
        coffer.run_well(["backups", "prune", "--keep-last", "1"])?;
        ensure!(listed(&coffer)?.len() == 1 && archives(&coffer.path(VAULT))?.len() == 1, "{url}");
        ensure!(std::fs::read(coffer.path("occupied"))? == b"dear diary");
    }
    Ok(())
}

/// The first vault is lost and no longer named; three backups stand in the other one, and a fourth stood in the lost one alone.
fn without_main() -> Result<(Coffer, Vec<String>)> {
    let coffer = with_vaults(&VAULTS)?;
    let copied = (0..3).map(|_| back_up(&coffer, "local/a")).collect::<Result<Vec<_>>>()?;
    ask(&coffer, 0, &["backups", "copy", "--to", SPARE, "--all"])?;
    back_up(&coffer, "local/a")?;
    shell(coffer.folder(), &format!("mv {VAULT} lost"))?;
    configure(&coffer, VAULTS.get(1..).context("no spare")?)?;
    Ok((coffer, copied))
}

#[test]
fn a_vault_that_is_gone_from_the_configuration_stops_nothing_and_counts_for_nothing() -> Result<()> {
    let (coffer, copied) = without_main()?;
    let spare = coffer.path(SPARE);
    // Without a rescan before: what the lost vault had is no good backup any more.
    let pruned = ask(&coffer, 0, &["backups", "prune", "--keep-last", "1"])?;
    let left = archives(&spare)?.into_keys().collect::<Vec<_>>();
    ensure!(left.len() == 1 && left.iter().all(|id| copied.contains(id)), "{left:?} is left: {pruned}");
    let last = left.first().context("nothing is left")?;
    coffer.run(["backups", "delete", last])?.ends_with(1, &["last good one", "--force"])?;
    ensure!(archives(&spare)?.len() == 1, "the last good one was deleted");
    ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(listed(&coffer)?.keys().eq([last]) && vaults_of(&coffer, last)? == json!(["spare"]));
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/b"])?;

    // The same by hand, one after the other.
    let (coffer, copied) = without_main()?;
    let spare = coffer.path(SPARE);
    let [one, two, three] = copied.as_slice() else { bail!("{copied:?}") };
    for id in [one, two] {
        coffer.run_well(["backups", "delete", id])?;
        ensure!(!archives(&spare)?.contains_key(id) && !listed(&coffer)?.contains_key(id), "{id} is still there");
    }
    coffer.run(["backups", "delete", three])?.ends_with(1, &["last good one", "--force"])?;
    ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(listed(&coffer)?.keys().eq([three]) && vaults_of(&coffer, three)? == json!(["spare"]));
    coffer.run(["backups", "delete", three])?.ends_with(1, &["last good one"])?;
    coffer.run_well(["backups", "delete", three, "--force"])?;
    ensure!(listed(&coffer)?.is_empty() && archives(&spare)?.is_empty());
    ensure!(archives(&coffer.path("lost"))?.len() == 4, "what is not in the configuration was touched");
    Ok(())
}

#[test]
fn many_that_begin_at_once_on_a_fresh_state_all_succeed() -> Result<()> {
    const AT_ONCE: usize = 8;
    let coffer = with_vaults(&VAULTS)?;
    for n in 0..AT_ONCE {
        shell(coffer.folder(), &format!("cp -r coffer-data/apps/a coffer-data/apps/app{n}"))?;
    }
    for round in 1..=3 {
        shell(coffer.folder(), &format!("rm -f {STATE}*"))?;
        let begin = |n: usize| {
            let mut command = coffer.command();
            command.args(["backup", &format!("local/app{n}")]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        };
        let runs = (0..AT_ONCE).map(begin).collect::<std::io::Result<Vec<_>>>()?;
        for run in runs {
            let output = run.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "round {round}: {}: {said}", output.status);
        }
        ensure!(listed(&coffer)?.len() == AT_ONCE, "round {round}: {:?}", listed(&coffer)?);
        ensure!(archives(&coffer.path(VAULT))?.len() == round * AT_ONCE && attempts(&coffer, "failed")?.is_empty());
    }
    Ok(())
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so()? {
        ensure!(begun.elapsed() < Duration::from_secs(20), "{what}: it does not come to that");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[test]
fn a_backup_that_goes_while_it_is_copied_does_not_come_back() -> Result<()> {
    let coffer = with_vaults(&VAULTS)?;
    coffer.app("a").put("large.bin", &Random::new(3).bytes(2 << 20))?;
    back_up(&coffer, "local/a")?;
    for prune in [true, false] {
        back_up(&coffer, "local/a")?;
        let told = ask(&coffer, 0, &["backups", "prune", "--keep-last", "1", "--dry-run"])?;
        let old = text(told.pointer("/gone/0").context("nothing would go")?, "id")?.to_owned();
        let mut command = coffer.command();
        command.args(["backups", "copy", "--to", SPARE, &old, "--bandwidth", "1MiB"]);
        let copying = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        wait_until("copying", || Ok(!leftovers(&coffer.path(SPARE))?.is_empty()))?;
        match prune {
            true => drop(ask(&coffer, 0, &["backups", "prune", "--keep-last", "1"])?),
            false => drop(coffer.run_well(["backups", "delete", &old])?),
        }
        ensure!(!leftovers(&coffer.path(SPARE))?.is_empty(), "it was copied before it went");
        let output = copying.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // That somebody has deleted it is no failure.
        ensure!(output.status.success() && !said.contains("could not be copied"), "{}: {said}", output.status);
        let files = shell(coffer.folder(), "find spare -mindepth 2 -type f")?;
        ensure!(files.is_empty(), "it is back: {files}");
        ensure!(listed(&coffer)?.len() == 1 && !listed(&coffer)?.contains_key(&old), "{:?}", listed(&coffer)?);
        let told = ask(&coffer, 0, &["backups", "rescan"])?;
        ensure!(told["found"] == 1 && told["added"] == 0, "{told}");
    }
    Ok(())
}
