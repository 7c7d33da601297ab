//! Backups that are killed at any moment: what is in the vault under an archive's name is whole, what the catalogue lists is there,
//! and the next run clears up what the dead ones left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::s3::{Action, Bench, Rule};
use coffer_tests::vault::{
    Settings, VAULT, archives, ask, attempts, back_up, ensure_only_good, kill_after, leftovers, listed,
};
use coffer_tests::{Coffer, Random, assert_same_app, folder_listing, say};

const ROUNDS: usize = 10;
const ROUNDS_ON_S3: usize = 6;
const BIG_MEBIBYTES: u64 = 24;

/// How long after its start each run is killed: at any moment of one that takes as long as this.
fn delays(rounds: usize, whole: Duration) -> Result<Vec<Duration>> {
    let seed = Random::seed();
    say(format!("a backup takes {whole:?}, and is killed with COFFER_TESTS_SEED={seed}"));
    let mut random = Random::new(seed);
    let microseconds = usize::try_from(whole.as_micros())?;
    // Each of the stretches of a run is met once.
    let any = |round: usize| (round * microseconds + random.below(microseconds)) / rounds;
    (0..rounds).map(any).map(|delay| Ok(Duration::from_micros(delay.try_into()?))).collect()
}

#[test]
fn a_folder_has_only_whole_archives_whenever_a_backup_is_killed() -> Result<()> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app("big").fill_large(BIG_MEBIBYTES)?;
    let vault = coffer.path(VAULT);
    let begun = Instant::now();
    back_up(&coffer, "local/big")?;
    let whole = begun.elapsed();
    let (mut known, mut killed, mut left) = (BTreeSet::new(), 0, 0);
    for (round, delay) in delays(ROUNDS, whole)?.into_iter().enumerate() {
        killed += usize::from(kill_after(coffer.command().args(["backup", "local/big"]), delay)?);
        let there = archives(&vault)?;
        for (id, path) in there.iter().filter(|(id, _)| !known.contains(*id)) {
            coffer.run_well(["verify".as_ref(), path.as_os_str()]).with_context(|| format!("{id}, round {round}"))?;
        }
        known.extend(there.keys().cloned());
        left += leftovers(&vault)?.len();
        let lost = listed(&coffer)?.into_keys().find(|id| !there.contains_key(id));
        ensure!(lost.is_none(), "round {round}: {lost:?} is listed and not there");
    }
    say(format!("{killed} of {ROUNDS} runs were killed, with {left} files begun and {} archives whole", known.len()));
    ensure!(killed > ROUNDS / 3 && left > 0, "no run was killed in the middle");
    let last = back_up(&coffer, "local/big")?;
    ensure!(leftovers(&vault)?.is_empty(), "{:?}", leftovers(&vault)?);
    ensure_only_good(&coffer, &vault, &mut known)?;
    ensure!(attempts(&coffer, "running")?.is_empty(), "a run that is dead is told of as running");
    // Whatever a dead run had put into its place and not told of is a good backup too.
    ask(&coffer, 0, &["backups", "rescan"])?;
    let all = listed(&coffer)?;
    ensure!(all.keys().eq(archives(&vault)?.keys()) && all.contains_key(&last), "{:?}", folder_listing(&vault)?);
    coffer.run_well(["restore", &last, "--into", "local/back"])?;
    assert_same_app(&coffer.app("big"), &coffer.app("back"))
}

/// A folder has no archive and no catalogue yet when the very first run dies.
#[test]
fn a_first_backup_that_is_killed_leaves_nothing_in_the_way() -> Result<()> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app("big").fill_large(BIG_MEBIBYTES)?;
    let begun = Instant::now();
    // Until something of it is there.
    let mut child = coffer.command().args(["backup", "local/big"]).spawn()?;
    while leftovers(&coffer.path(VAULT))?.is_empty() {
        ensure!(child.try_wait()?.is_none(), "it ended before it was killed");
        ensure!(begun.elapsed() < Duration::from_secs(20), "nothing was begun");
    }
    child.kill()?;
    child.wait()?;
    ensure!(archives(&coffer.path(VAULT))?.is_empty() && listed(&coffer)?.is_empty());
    back_up(&coffer, "local/big")?;
    ensure!(attempts(&coffer, "running")?.is_empty());
    ensure_only_good(&coffer, &coffer.path(VAULT), &mut BTreeSet::new())
}

#[test]
fn a_bucket_has_only_whole_archives_whenever_a_backup_is_killed() -> Result<()> {
    let bench = Bench::new(env!("CARGO_BIN_EXE_coffer"))?;
    let (coffer, bucket) = (&bench.coffer, &bench.bucket);
    let server = bench.proxy.server();
    let url = format!("s3://{}/vault", bucket.name());
    let s3 = format!("[s3]\nendpoint = \"{}\"\nregion = \"{}\"\n", server.endpoint, server.region);
    Settings { vaults: &[("main", url.as_str())], more: &s3, ..Settings::default() }.write(coffer)?;
    coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    coffer.app("big").fill_large(BIG_MEBIBYTES)?;
    // Most of the time passes with parts on their way.
    bench.proxy.fail(Rule::new(Action::Delay(Duration::from_millis(150))).method("PUT").with("partNumber"));
    let verify = |known: &mut BTreeSet<String>| -> Result<BTreeSet<String>> {
        let keys = bucket.objects()?.into_keys();
        let keys = keys.filter(|key| key.ends_with(".coffer")).collect::<BTreeSet<_>>();
        for key in keys.iter().filter(|key| !known.contains(*key)) {
            coffer.run_well(["verify", &format!("s3://{}/{key}", bucket.name())]).with_context(|| key.clone())?;
        }
        known.extend(keys.iter().cloned());
        Ok(keys)
    };
    let begun = Instant::now();
    back_up(coffer, "local/big")?;
    let whole = begun.elapsed();
    let (mut known, mut killed, mut left) = (BTreeSet::new(), 0, 0);
    for (round, delay) in delays(ROUNDS_ON_S3, whole)?.into_iter().enumerate() {
        killed += usize::from(kill_after(coffer.command().args(["backup", "local/big"]), delay)?);
        let keys = verify(&mut known)?;
        left = bucket.uploads()?.len().max(left);
        let lost = listed(coffer)?.into_keys().find(|id| !keys.iter().any(|key| key.contains(id)));
        ensure!(lost.is_none(), "round {round}: {lost:?} is listed and not there");
    }
    say(format!("{killed} of {ROUNDS_ON_S3} runs were killed, with up to {left} uploads begun"));
    ensure!(killed > ROUNDS_ON_S3 / 3 && left > 0, "no run was killed in the middle");
    bench.proxy.forget_rules();
    let last = back_up(coffer, "local/big")?;
    ensure!(bucket.uploads()?.is_empty(), "uploads are left: {:?}", bucket.uploads()?);
    ask(coffer, 0, &["backups", "rescan"])?;
    let (keys, all) = (verify(&mut known)?, listed(coffer)?);
    ensure!(all.contains_key(&last) && all.len() == keys.len(), "{keys:?} and {all:?}");
    for key in bucket.objects()?.into_keys() {
        let archive = key.replace(".json", ".coffer");
        ensure!(key.starts_with("vault/local/big/") && keys.contains(&archive), "{key} is neither archive nor record");
    }
    coffer.run_well(["restore", "latest", "--of", "local/big", "--into", "local/back"])?;
    assert_same_app(&coffer.app("big"), &coffer.app("back"))
}
