//! What a vault's state may not lead to: a disk that is away is no empty vault, a folder that can't be looked into holds its backups
//! still, what only looks like a backup is none, and two who do the same at once do no harm.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{STATE, Settings, VAULT, archives, ask, back_up, field, leftovers, listed, summary, text};
use coffer_tests::{Coffer, Random, assert_same_app, folder_listing, tool};
use serde_json::{Value, json};

const SPARE: &str = "spare";
const AWAY: &str = "away";
static VAULTS: [(&str, &str); 2] = [("main", "file:coffer-data/vault"), ("spare", "file:spare")];

/// A small app `local/a`, an identity and two vaults.
fn with_vaults() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    Settings { vaults: &VAULTS, ..Settings::default() }.write(&coffer)?;
    coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    coffer.app("a").fill_small()?;
    Ok(coffer)
}

/// From now on the configuration names the recipient of `new.key`.
fn change_recipients(coffer: &Coffer) -> Result<()> {
    coffer.run_well(["keygen", "-o", "new.key"])?;
    let key = std::fs::read_to_string(coffer.path("new.key"))?;
    let recipient = key.split_whitespace().find(|word| word.starts_with("age1")).context("no recipient")?;
    let keys = format!("identity_file = \"coffer-data/coffer.key\"\nrecipients = [\"{recipient}\"]");
    Settings { keys: &keys, vaults: &VAULTS, ..Settings::default() }.write(coffer)
}

/// Changes the catalogue behind the program's back.
fn sql(coffer: &Coffer, statement: &str) -> Result<()> {
    tool("sqlite3", [coffer.path(STATE).as_os_str(), statement.as_ref()]).map(drop)
}

/// What the catalogue says of the archives in one vault, by the ids of all backups.
fn known_in(coffer: &Coffer, vault: &str) -> Result<BTreeMap<String, Vec<Value>>> {
    let is_here = |place: &&Value| field(place, "vault") == vault;
    let places = |all: &Value| all.as_array().into_iter().flatten().filter(is_here).cloned().collect::<Vec<_>>();
    Ok(listed(coffer)?.into_iter().map(|(id, backup)| (id, places(field(&backup, "places")))).collect())
}

/// Checks that there are so many archives in a vault, whole and for `new.key`.
fn ensure_rewrapped(coffer: &Coffer, folder: &str, count: usize) -> Result<()> {
    let all = archives(&coffer.path(folder))?;
    ensure!(all.len() == count && leftovers(&coffer.path(folder))?.is_empty(), "{folder}: {all:?}");
    for path in all.values() {
        let verified = coffer.run_well(["verify".as_ref(), path.as_os_str(), "-i".as_ref(), "new.key".as_ref()]);
        verified.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[test]
fn two_who_rewrap_the_same_at_once_do_no_harm() -> Result<()> {
    let coffer = with_vaults()?;
    coffer.app("a").put("large.bin", &Random::new(5).bytes(2 << 20))?;
    for _ in 0..6 {
        back_up(&coffer, "local/a")?;
    }
    change_recipients(&coffer)?;
    let begin = |_: usize| {
        let mut command = coffer.command();
        command.args(["backups", "rewrap", "--all"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    };
    let runs = (0..2).map(begin).collect::<std::io::Result<Vec<_>>>()?;
    for run in runs {
        let output = run.wait_with_output()?;
        // One may tell that the other is at a backup.
        ensure!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    }
    coffer.run_well(["backups", "rewrap", "--all"])?;
    ensure_rewrapped(&coffer, VAULT, 6)?;
    coffer.run_well(["backups", "copy", "--to", SPARE, "--all"])?;
    ensure_rewrapped(&coffer, SPARE, 6)
}

/// Checks that a command sees that a vault's disk is not there, writes nothing in its place and forgets nothing of it.
fn ensure_seen(coffer: &Coffer, vault: &str, other: &Path, folder: &Path, arguments: &[&str]) -> Result<()> {
    let before = (known_in(coffer, vault)?, archives(other)?, folder.exists());
    let outcome = coffer.run(arguments)?;
    let is_told = outcome.stderr.contains("mounted") && outcome.stderr.contains(&format!("vault {vault}"));
    ensure!(outcome.code != 0 && is_told, "{outcome:?}");
    let after = (known_in(coffer, vault)?, archives(other)?, folder.exists());
    ensure!(before == after, "the catalogue or a vault was changed: {before:?} became {after:?}");
    ensure!(folder_listing(folder)?.is_empty(), "something was written: {:?}", folder_listing(folder)?);
    Ok(())
}

#[test]
fn a_vault_whose_disk_is_away_is_not_taken_for_an_empty_one() -> Result<()> {
    let coffer = with_vaults()?;
    let [delete, _] = &[back_up(&coffer, "local/a")?, back_up(&coffer, "local/a")?];
    coffer.run_well(["backups", "copy", "--to", SPARE, "--all"])?;
    // Times are told in whole seconds: this one is the newest, and stands in the first vault alone.
    std::thread::sleep(Duration::from_millis(1_100));
    let new = back_up(&coffer, "local/a")?;
    change_recipients(&coffer)?;
    let commands: [&[&str]; 4] = [
        &["backups", "copy", "--to", SPARE, "--all"],
        &["backups", "rewrap", "--all"],
        &["backups", "prune", "--keep-last", "1"],
        &["backups", "delete", delete],
    ];
    for (vault, folder, other) in [("main", VAULT, SPARE), ("spare", SPARE, VAULT)] {
        let (folder, other) = (coffer.path(folder), coffer.path(other));
        for is_there in [false, true] {
            std::fs::rename(&folder, coffer.path(AWAY))?;
            is_there.then(|| std::fs::create_dir(&folder)).transpose()?;
            for arguments in commands {
                let seen = ensure_seen(&coffer, vault, &other, &folder, arguments);
                seen.with_context(|| format!("{vault}, empty: {is_there}: {}", arguments.join(" ")))?;
            }
            // It fails where anything stands in it.
            is_there.then(|| std::fs::remove_dir(&folder)).transpose()?;
            std::fs::rename(coffer.path(AWAY), &folder)?;
        }
    }
    let told = ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(told["found"] == 5 && told["added"] == 0 && told["dropped"] == 0, "{told}");
    for (arguments, left) in commands.iter().zip([3, 3, 1]) {
        coffer.run_well(*arguments).with_context(|| arguments.join(" "))?;
        ensure!(archives(&coffer.path(VAULT))?.len() == left && archives(&coffer.path(SPARE))?.len() == left);
    }
    ensure!(listed(&coffer)?.keys().eq([&new]));
    ensure_rewrapped(&coffer, VAULT, 1)?;
    ensure_rewrapped(&coffer, SPARE, 1)
}

#[test]
fn what_stands_in_a_folder_that_can_not_be_looked_into_stays_listed() -> Result<()> {
    let coffer = with_vaults()?;
    coffer.app("b").fill_small()?;
    let [id, _, _] = [back_up(&coffer, "local/a")?, back_up(&coffer, "local/a")?, back_up(&coffer, "local/b")?];
    let (before, folder) = (listed(&coffer)?, coffer.path("coffer-data/vault/local/a"));
    std::fs::rename(&folder, coffer.path(AWAY))?;
    // Several disks may make up a vault: one of them is away.
    symlink("nowhere", &folder)?;
    let outcome = coffer.run(["backups", "rescan"])?;
    ensure!(outcome.code != 0 && outcome.stderr.contains("local/a"), "{outcome:?}");
    ensure!(listed(&coffer)? == before);
    std::fs::remove_file(&folder)?;
    std::fs::rename(coffer.path(AWAY), &folder)?;
    let told = ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(told["found"] == 3 && told["added"] == 0 && told["dropped"] == 0 && listed(&coffer)? == before, "{told}");
    coffer.run_well(["restore", &id, "--into", "local/x"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("x"))
}

#[test]
fn what_only_has_the_name_of_a_backup_is_none() -> Result<()> {
    let coffer = with_vaults()?;
    let good = back_up(&coffer, "local/a")?;
    coffer.run_well(["export", "local/a", "--no-encryption", "-o", "plain.tar.gz"])?;
    let plain = std::fs::read(coffer.path("plain.tar.gz"))?;
    let told = summary(&coffer.run(["inspect", "plain.tar.gz", "--json"])?)?;
    let (id, created) = (text(&told["manifest"], "archive_id")?, text(&told["manifest"], "created")?);
    let (id, time) = (format!("bk_{id}"), created.replace(['-', ':'], ""));
    let place = |name: &str| coffer.path("coffer-data/vault/local/a").join(name);
    let cut = plain.get(..plain.len() / 2).context("it is empty")?;
    let contents: [&[u8]; 4] = [b"garbage\n", b"", &[7; 5_000], cut];
    // Newer than all others, for whoever believes it.
    let name = |n: usize, extension| format!("20261231T000000Z-bk_{n:032x}.{extension}");
    let rubbish = (0..12).map(|n| name(n, ["tar.gz", "tar.zst", "coffer"][n % 3])).collect::<Vec<_>>();
    for (n, name) in rubbish.iter().enumerate() {
        std::fs::write(place(name), contents[n / 3])?;
    }
    let told = ask(&coffer, 0, &["backups", "rescan"])?;
    let unreadable = told["unreadable"].as_array().context("nothing is unreadable")?;
    for name in &rubbish {
        ensure!(unreadable.iter().any(|one| one["path"].to_string().contains(name)), "{name} is not told of: {told}");
    }
    ensure!(unreadable.len() == rubbish.len() && told["added"] == 0, "{told}");
    ensure!(listed(&coffer)?.keys().eq([&good]), "{:?}", listed(&coffer)?);
    coffer.run(["backups", "delete", &good])?.ends_with(1, &["last good one"])?;
    // A plain archive under its own name is a backup.
    std::fs::write(place(&format!("{time}-{id}.tar.gz")), &plain)?;
    ensure!(ask(&coffer, 0, &["backups", "rescan"])?["added"] == 1);
    let all = listed(&coffer)?;
    let backup = all.get(&id).with_context(|| format!("{id} is not listed: {all:?}"))?;
    ensure!(all.len() == 2 && backup["created"] == created && backup["recipients"] == json!([]), "{all:?}");
    coffer.run_well(["verify", &id])?;
    coffer.run_well(["restore", &id, "--into", "local/x"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("x"))
}

#[test]
fn latest_is_the_newest_of_the_past() -> Result<()> {
    let coffer = with_vaults()?;
    // In the future, long ago, and now.
    for (state, created) in [("one", "4000000000"), ("two", "1600000000"), ("three", "created")] {
        coffer.app("a").put("state.txt", state.as_bytes())?;
        let id = back_up(&coffer, "local/a")?;
        sql(&coffer, &format!("UPDATE backups SET created = {created} WHERE 'bk_' || id = '{id}'"))?;
    }
    let all = listed(&coffer)?;
    ensure!(all.len() == 3 && all.values().any(|backup| backup["created"] == "2096-10-02T07:06:40Z"), "{all:?}");
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/x"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("x"))?;
    // Nor is it one where there is no other.
    sql(&coffer, "UPDATE backups SET created = 4000000000")?;
    coffer.run(["restore", "latest", "--of", "local/a", "--into", "local/y"])?.ends_with(10, &["local/a"])
}

#[test]
fn a_backup_that_stands_nowhere_is_forgotten() -> Result<()> {
    const NOWHERE: &str = "00112233445566778899aabbccddeeff";
    let coffer = with_vaults()?;
    let good = back_up(&coffer, "local/a")?;
    let id = format!("bk_{NOWHERE}");
    for forget in [["backups", "rescan"].as_slice(), ["backups", "delete", &id].as_slice()] {
        let values = format!("VALUES ('{NOWHERE}', 'local', 'a', 1700000000, 'good', 'command')");
        sql(&coffer, &format!("INSERT INTO backups (id, source, app, created, state, started_by) {values}"))?;
        ensure!(listed(&coffer)?.get(&id).is_some_and(|backup| backup["vaults"] == json!([])), "the row is not there");
        coffer.run_well(forget)?;
        ensure!(listed(&coffer)?.keys().eq([&good]), "{forget:?}: {:?}", listed(&coffer)?);
    }
    Ok(())
}
