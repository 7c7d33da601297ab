//! Two vaults: copies that are the same bytes and go on where they stopped, other recipients for all, and what is left when one vault
//! is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{
    STATE, Settings, VAULT, archives, ask, back_up, ensure_only_good, field, kill_after, leftovers, listed,
};
use coffer_tests::{Coffer, Random, assert_same_app, folder_listing, shell};
use serde_json::{Value, json};

const SPARE: &str = "spare";
static VAULTS: [(&str, &str); 2] = [("main", "file:coffer-data/vault"), ("spare", "file:spare")];

/// A small app `local/a`, and two vaults.
fn with_vaults() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app("a").fill_small()?;
    Settings { vaults: &VAULTS, ..Settings::default() }.write(&coffer)?;
    Ok(coffer)
}

fn copy(coffer: &Coffer, arguments: &[&str]) -> Result<Value> {
    ask(coffer, 0, &[["backups", "copy", "--to", SPARE].as_slice(), arguments].concat())
}

/// In which vaults each backup is.
fn vaults(coffer: &Coffer) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let names = |backup: &Value| {
        let names = backup["vaults"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    Ok(listed(coffer)?.iter().map(|(id, backup)| (id.clone(), names(backup))).collect())
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Each file below a folder by its path in it: which one it is, and when it was written.
fn files(folder: &Path) -> Result<BTreeMap<String, (u64, i64, i64)>> {
    let all = folder_listing(folder)?.into_iter().filter(|path| Path::new(path).is_file());
    let look = |path: String| -> Result<_> {
        let about = Path::new(&path).metadata()?;
        let name = Path::new(&path).strip_prefix(folder)?.display().to_string();
        Ok((name, (about.ino(), about.mtime(), about.mtime_nsec())))
    };
    all.map(look).collect()
}

/// Checks that the archives in the spare vault are among those in the main one, at the same places and the same bytes, and counts
/// them.
fn ensure_copies(coffer: &Coffer) -> Result<usize> {
    let (main, spare) = (coffer.path(VAULT), coffer.path(SPARE));
    let copies = archives(&spare)?;
    for copy in copies.values() {
        let original = main.join(copy.strip_prefix(&spare)?);
        ensure!(
            std::fs::read(copy)? == std::fs::read(&original)?,
            "{} differs from {}",
            copy.display(),
            original.display()
        );
    }
    Ok(copies.len())
}

#[test]
fn a_copy_is_the_same_and_enough_when_the_first_vault_is_gone() -> Result<()> {
    let coffer = with_vaults()?;
    let (main, spare) = (coffer.path(VAULT), coffer.path(SPARE));
    let first = back_up(&coffer, "local/a")?;
    shell(
        coffer.folder(),
        "cp -r coffer-data/apps/a original-one; sleep 1.1; echo two > coffer-data/apps/a/files/two",
    )?;
    let second = back_up(&coffer, "local/a")?;
    copy(&coffer, &[&first])?;
    ensure!(ensure_copies(&coffer)? == 1, "one was named: {:?}", archives(&spare)?);
    let due = BTreeMap::from([(first.clone(), named(&["main", "spare"])), (second.clone(), named(&["main"]))]);
    ensure!(vaults(&coffer)? == due, "{:?}", vaults(&coffer)?);
    copy(&coffer, &["--all"])?;
    ensure!(ensure_copies(&coffer)? == 2, "{:?}", archives(&spare)?);
    ensure!(vaults(&coffer)?.values().all(|vaults| *vaults == named(&["main", "spare"])), "{:?}", vaults(&coffer)?);
    ensure_only_good(&coffer, &spare, &mut BTreeSet::new())?;
    ensure!(files(&spare)?.keys().eq(files(&main)?.keys()), "records and archives differ: {:?}", files(&spare)?);
    // Nothing is left to do, and nothing is written.
    let before = (files(&main)?, files(&spare)?);
    copy(&coffer, &["--all"])?;
    ensure!((files(&main)?, files(&spare)?) == before, "something was written again");
    coffer.run(["backups", "copy", "--to", "nowhere", "--all"])?.ends_with(10, &["nowhere"])?;
    // One that went missing in the first vault comes from the second.
    let lost = archives(&main)?.remove(&second).context("no archive")?;
    std::fs::remove_file(&lost)?;
    ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(vaults(&coffer)?.get(&second) == Some(&named(&["spare"])), "{:?}", vaults(&coffer)?);
    ask(&coffer, 0, &["backups", "copy", "--to", "main", "--from", "spare", "--all"])?;
    ensure!(lost.exists() && ensure_copies(&coffer)? == 2, "it did not come back");

    // The first vault is empty, and then not even named; the state is gone, too.
    shell(&main, "rm -r ./*")?;
    // It looks like a disk that is not mounted: nothing is forgotten, and nothing written there, unless somebody says so.
    coffer.run(["backups", "rescan"])?.ends_with(10, &["main", "mounted", "--emptied"])?;
    ensure!(vaults(&coffer)?.get(&first) == Some(&named(&["main", "spare"])), "{:?}", vaults(&coffer)?);
    coffer.run(["backup", "local/a"])?.ends_with(10, &["mounted"])?;
    ensure!(files(&main)?.is_empty(), "{:?}", files(&main)?);
    ask(&coffer, 0, &["backups", "rescan", "--emptied"])?;
    ensure!(vaults(&coffer)?.values().all(|vaults| *vaults == named(&["spare"])), "{:?}", vaults(&coffer)?);
    coffer.run_well(["restore", &first, "--into", "local/one"])?;
    assert_same_app(&coffer.app_at("original-one"), &coffer.app("one"))?;
    let before = listed(&coffer)?;
    std::fs::remove_dir_all(&main)?;
    shell(coffer.folder(), &format!("rm {STATE}*"))?;
    Settings { vaults: &VAULTS[1..], ..Settings::default() }.write(&coffer)?;
    ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(listed(&coffer)? == before && before.len() == 2, "{:?}", listed(&coffer)?);
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/two"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("two"))
}

#[test]
fn a_copy_that_is_killed_goes_on_where_it_stopped() -> Result<()> {
    let coffer = with_vaults()?;
    coffer.app("m").fill_large(12)?;
    coffer.app("z").fill_small()?;
    coffer.run_well(["backup", "--all"])?;
    let mut copying = coffer.command();
    copying.args(["backups", "copy", "--to", SPARE, "--all", "--bandwidth", "3MiB"]);
    ensure!(kill_after(&mut copying, Duration::from_millis(1_200))?, "it was not killed in the middle");
    let count = ensure_copies(&coffer)?;
    ensure!(count < 3, "all were copied in no time");
    let spare = coffer.path(SPARE);
    let done = archives(&spare)?.into_values().map(|path| Ok(path.strip_prefix(&spare)?.display().to_string()));
    let (done, before) = (done.collect::<Result<Vec<_>>>()?, files(&spare)?);
    copy(&coffer, &["--all"])?;
    ensure!(ensure_copies(&coffer)? == 3, "{:?}", archives(&spare)?);
    let after = files(&spare)?;
    let again = done.iter().find(|name| before.get(*name) != after.get(*name));
    ensure!(again.is_none(), "{again:?} was copied again");
    ensure!(leftovers(&spare)?.is_empty(), "{:?}", leftovers(&spare)?);
    ensure_only_good(&coffer, &spare, &mut BTreeSet::new())
}

fn recipient(coffer: &Coffer, identity: &str) -> Result<String> {
    let text = std::fs::read_to_string(coffer.path(identity))?;
    Ok(text.split_whitespace().find(|word| word.starts_with("age1")).context("no recipient")?.to_owned())
}

/// Two backups, each in both vaults, sealed for the identity `old.key`. There is `new.key`, too, and `both.key` has the two.
fn sealed_for_old() -> Result<Coffer> {
    let coffer = with_vaults()?;
    for name in ["old.key", "new.key"] {
        coffer.run_well(["keygen", "-o", name])?;
    }
    shell(coffer.folder(), "cat old.key new.key > both.key")?;
    configure(&coffer, "old.key", "old.key")?;
    back_up(&coffer, "local/a")?;
    back_up(&coffer, "local/a")?;
    copy(&coffer, &["--all"])?;
    let (old, all) = (recipient(&coffer, "old.key")?, listed(&coffer)?);
    ensure!(all.values().all(|backup| backup["recipients"] == json!([old])), "{all:?}");
    Ok(coffer)
}

/// Seals for one identity what is written from now on, and opens with another.
fn configure(coffer: &Coffer, writes_for: &str, identity: &str) -> Result<()> {
    let recipient = recipient(coffer, writes_for)?;
    let keys = format!("recipients = [\"{recipient}\"]\nidentity_file = \"{identity}\"");
    Settings { keys: &keys, vaults: &VAULTS, ..Settings::default() }.write(coffer)
}

/// Checks that `new.key` opens each archive in both vaults and `old.key` none, and that the records beside them are true.
fn ensure_new_alone_opens(coffer: &Coffer) -> Result<()> {
    for vault in [VAULT, SPARE].map(|vault| coffer.path(vault)) {
        let all = archives(&vault)?;
        ensure!(all.len() == 2, "{all:?}");
        for path in all.values() {
            let name = path.to_str().context("not UTF-8")?;
            coffer.run_well(["verify", name, "-i", "new.key"])?;
            coffer.run(["verify", name, "-i", "old.key"])?.ends_with(12, &["identities"]).context(name.to_owned())?;
            let record: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?;
            let sum = shell(coffer.folder(), &format!("sha256sum < '{name}'"))?;
            ensure!(field(&record, "sha256").as_str() == sum.split_whitespace().next(), "{name}: {record}");
            ensure!(*field(&record, "recipients") == json!([recipient(coffer, "new.key")?]), "{name}: {record}");
        }
    }
    Ok(())
}

#[test]
fn all_backups_are_rewrapped_for_the_recipients_of_now() -> Result<()> {
    let coffer = sealed_for_old()?;
    let (before, places) = (listed(&coffer)?, files(&coffer.path(SPARE))?.into_keys().collect::<Vec<_>>());
    // The old identity still opens them.
    configure(&coffer, "new.key", "old.key")?;
    ask(&coffer, 0, &["backups", "rewrap", "--all"])?;
    let after = listed(&coffer)?;
    for (id, backup) in &after {
        let was = before.get(id).with_context(|| format!("{id} is new"))?;
        for name in ["source", "app", "created", "rows", "tables", "objects", "vaults"] {
            ensure!(backup[name] == was[name], "{name}: {backup} was {was}");
        }
        ensure!(backup["recipients"] == json!([recipient(&coffer, "new.key")?]), "{backup}");
    }
    ensure!(after.len() == before.len(), "{after:?}");
    for vault in [VAULT, SPARE] {
        let files = files(&coffer.path(vault))?;
        ensure!(files.keys().eq(&places), "{files:?}");
    }
    ensure_new_alone_opens(&coffer)?;
    // Who has the new identity alone has all that is needed; the catalogue comes back the same.
    configure(&coffer, "new.key", "new.key")?;
    std::fs::rename(coffer.path("old.key"), coffer.path("thrown away"))?;
    shell(coffer.folder(), &format!("rm {STATE}*"))?;
    ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(listed(&coffer)? == after, "{:?}", listed(&coffer)?);
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/b"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))?;
    // Copies are made of what was rewrapped, from either vault.
    for (lacks, has) in [(SPARE, VAULT), (VAULT, SPARE)] {
        shell(&coffer.path(lacks), "rm -r ./*")?;
        ask(&coffer, 0, &["backups", "rescan", "--emptied"])?;
        let to = if lacks == SPARE { "spare" } else { "main" };
        ask(&coffer, 0, &["backups", "copy", "--to", to, "--all"])?;
        ensure!(ensure_copies(&coffer)? == 2, "{lacks} did not get back what {has} has");
    }
    Ok(())
}

/// Where one of two copies could not be rewrapped, the next run sees to it: that the other one was is no reason to pass it over.
#[test]
fn a_rewrap_that_stopped_half_way_is_brought_to_its_end() -> Result<()> {
    let coffer = sealed_for_old()?;
    configure(&coffer, "new.key", "both.key")?;
    for vault in [VAULT, SPARE].map(|vault| coffer.path(vault)) {
        configure(&coffer, "old.key", "both.key")?;
        ask(&coffer, 0, &["backups", "rewrap", "--all"])?;
        configure(&coffer, "new.key", "both.key")?;
        let path = archives(&vault)?.into_values().next().context("no archive")?;
        std::fs::rename(&path, coffer.path("aside"))?;
        let outcome = coffer.run(["backups", "rewrap", "--all"])?;
        ensure!(outcome.code != 0 && outcome.stderr.contains("bk_"), "nobody was told: {outcome:?}");
        std::fs::rename(coffer.path("aside"), &path)?;
        ask(&coffer, 0, &["backups", "rewrap", "--all"])?;
        ensure_new_alone_opens(&coffer)?;
    }
    Ok(())
}

/// 3 MiB at 1 MiB a second: at the very least one and a half seconds.
#[test]
fn a_vault_is_written_to_no_faster_than_it_may_be() -> Result<()> {
    let coffer = with_vaults()?;
    coffer.app("a").put("large.bin", &Random::new(3).bytes(3 << 20))?;
    let limited = "[[vault]]\nname = \"main\"\nurl = \"file:coffer-data/vault\"\nbandwidth = \"1MiB\"";
    let unlimited = &VAULTS[1..];
    Settings { more: limited, vaults: unlimited, ..Settings::default() }.write(&coffer)?;
    let timed = |arguments: &[&str]| -> Result<Duration> {
        let begun = Instant::now();
        ask(&coffer, 0, arguments)?;
        Ok(begun.elapsed())
    };
    let backup = timed(&["backup", "local/a"])?;
    let copied = timed(&["backups", "copy", "--to", SPARE, "--all", "--bandwidth", "1MiB"])?;
    let least = Duration::from_millis(1_500);
    ensure!(backup >= least && copied >= least, "a backup took {backup:?}, and its copy {copied:?}");
    ensure!(ensure_copies(&coffer)? == 1, "{:?}", archives(&coffer.path(SPARE))?);
    ensure_only_good(&coffer, &coffer.path(SPARE), &mut BTreeSet::new())
}
