//! A vault that others can write to: archives exchanged or damaged, records that lie. Nothing there is taken for what it is not, and
//! no damage becomes the recorded truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use coffer_tests::vault::{STATE, Settings, VAULT, archives, ask, back_up, leftovers, listed, text};
use coffer_tests::{App, Coffer, Damage, Random, assert_same_app, folder_listing, shell};
use serde_json::{Value, json};

const SPARE: &str = "spare";
static VAULTS: [(&str, &str); 2] = [("main", "file:coffer-data/vault"), ("spare", "file:spare")];

fn with_vaults() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    Settings { vaults: &VAULTS, ..Settings::default() }.write(&coffer)?;
    coffer.run_well(["keygen", "-o", "coffer-data/coffer.key"])?;
    Ok(coffer)
}

/// So little that archives of it often have the same length.
fn fill_tiny(app: &App) -> Result<()> {
    app.sqlite(&["CREATE TABLE t(x); INSERT INTO t VALUES (1)"])?;
    app.put("one.txt", b"one\n")
}

fn archive(coffer: &Coffer, id: &str) -> Result<PathBuf> {
    archives(&coffer.path(VAULT))?.remove(id).with_context(|| format!("{id} has no archive"))
}

/// Each file below a folder, with what is in it.
fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let all = folder_listing(folder)?.into_iter().map(PathBuf::from).filter(|path| path.is_file());
    all.map(|path| Ok((path.clone(), std::fs::read(path)?))).collect()
}

/// Checks that what stands in the place of a backup is not taken for it, by whatever way it is asked for, and leads nowhere.
fn ensure_refused(coffer: &Coffer, id: &str, ways: &[&[&str]]) -> Result<()> {
    let before = (folder_listing(&coffer.path("coffer-data/apps"))?, listed(coffer)?, contents(&coffer.path(VAULT))?);
    let by_id: [&[&str]; 3] = [&["restore", id, "--into", "local/x"], &["verify", id], &["inspect", id]];
    for arguments in by_id.iter().chain(ways) {
        let refused = coffer.run(*arguments)?.ends_with(13, &["another archive"]);
        refused.with_context(|| arguments.join(" "))?;
    }
    coffer.run(["backups", "copy", "--to", SPARE, id])?.ends_with(13, &[id])?;
    let after = (folder_listing(&coffer.path("coffer-data/apps"))?, listed(coffer)?, contents(&coffer.path(VAULT))?);
    ensure!(before == after, "{id}: something was restored, or the vault or the catalogue was touched");
    let files = contents(&coffer.path("spare/local"))?;
    ensure!(files.is_empty(), "something was copied: {:?}", files.keys());
    Ok(())
}

#[test]
fn another_archive_in_the_place_of_a_backup_is_none() -> Result<()> {
    let coffer = with_vaults()?;
    fill_tiny(&coffer.app("b"))?;
    coffer.app("a").fill_small()?;
    let (old, of_b) = (back_up(&coffer, "local/a")?, back_up(&coffer, "local/b")?);
    // Times are told in whole seconds.
    std::thread::sleep(Duration::from_millis(1_100));
    coffer.app("a").put("new.bin", &Random::new(7).bytes(5_000))?;
    let new = back_up(&coffer, "local/a")?;
    // Another app's, and an older one of the same app.
    for (id, app) in [(&of_b, "local/b"), (&new, "local/a")] {
        let place = archive(&coffer, id)?;
        let own = std::fs::read(&place)?;
        std::fs::copy(archive(&coffer, &old)?, &place)?;
        let latest = ["restore", "latest", "--of", app, "--into", "local/x"];
        let at = ["restore", "--at", "2999-01-01", "--of", app, "--into", "local/x"];
        ensure_refused(&coffer, id, &[&latest, &at]).with_context(|| app.to_owned())?;
        // Whoever brings the catalogue in line is told of it.
        let told = ask(&coffer, 0, &["backups", "rescan"])?;
        let unreadable = told["unreadable"].as_array().context("nothing is unreadable")?;
        ensure!(unreadable.len() == 1 && unreadable.iter().all(|one| one["path"].to_string().contains(id)), "{told}");
        ensure!(!listed(&coffer)?.contains_key(id), "{id} is listed");
        std::fs::write(&place, own)?;
        ensure!(ask(&coffer, 0, &["backups", "rescan"])?["added"] == 1);
        coffer.run_well(["verify", id])?;
    }
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/x"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("x"))
}

/// A backup of each of two apps, which may be the same, that have the same length: their headers hold a random stretch.
fn of_same_length(coffer: &Coffer, one: &str, other: &str) -> Result<[String; 2]> {
    let (mut ones, mut others) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..80 {
        for (app, seen) in [(one, &mut ones), (other, &mut others)] {
            let id = back_up(coffer, app)?;
            seen.insert(archive(coffer, &id)?.metadata()?.len(), id);
        }
        let same = ones.iter().find_map(|(length, id)| Some([id.clone(), others.get(length)?.clone()]));
        if let Some(same) = same {
            return Ok(same);
        }
    }
    bail!("no two archives have the same length: {ones:?} and {others:?}")
}

#[test]
fn another_archive_of_the_same_length_is_none_either() -> Result<()> {
    let coffer = with_vaults()?;
    for app in ["a", "b"] {
        fill_tiny(&coffer.app(app))?;
    }
    for (one, other) in [("local/a", "local/b"), ("local/a", "local/a")] {
        let [one, other] = of_same_length(&coffer, one, other)?;
        let place = archive(&coffer, &other)?;
        let own = std::fs::read(&place)?;
        std::fs::copy(archive(&coffer, &one)?, &place)?;
        ensure!(std::fs::read(&place)?.len() == own.len(), "they have other lengths");
        ensure_refused(&coffer, &other, &[])?;
        // Nor is it once the catalogue was looked over, or made anew.
        ask(&coffer, 0, &["backups", "rescan"])?;
        ensure_refused(&coffer, &other, &[])?;
        std::fs::write(&place, own)?;
        coffer.run_well(["verify", &other])?;
    }
    Ok(())
}

/// Two backups, sealed for the identity of before, and a configuration that names the recipient of `new.key`.
fn to_be_rewrapped() -> Result<(Coffer, [String; 2])> {
    let coffer = with_vaults()?;
    coffer.app("a").fill_small()?;
    let ids = [back_up(&coffer, "local/a")?, back_up(&coffer, "local/a")?];
    coffer.run_well(["keygen", "-o", "new.key"])?;
    let key = std::fs::read_to_string(coffer.path("new.key"))?;
    let recipient = key.split_whitespace().find(|word| word.starts_with("age1")).context("no recipient")?;
    let keys = format!("identity_file = \"coffer-data/coffer.key\"\nrecipients = [\"{recipient}\"]");
    Settings { keys: &keys, vaults: &VAULTS, ..Settings::default() }.write(&coffer)?;
    Ok((coffer, ids))
}

#[test]
fn a_damaged_archive_is_not_rewrapped() -> Result<()> {
    let (coffer, [damaged, good]) = to_be_rewrapped()?;
    let place = archive(&coffer, &damaged)?;
    let whole = std::fs::read(&place)?;
    let flip = |at| Damage::Flip { at, bits: 1 };
    for damage in [
        Damage::Cut { length: whole.len() - 5_000 },
        Damage::Cut { length: 50 },
        flip(whole.len() / 2),
        flip(whole.len() - 1),
        Damage::Append { bytes: vec![0; 100] },
        // In the header: whether it is damaged or for another key can't always be told.
        flip(100),
    ] {
        std::fs::write(&place, damage.apply(&whole))?;
        let before = (contents(&coffer.path(VAULT))?, listed(&coffer)?);
        let outcome = coffer.run(["backups", "rewrap", &damaged])?;
        let codes = if damage == flip(100) { [12, 13] } else { [13, 13] };
        ensure!(codes.contains(&outcome.code) && outcome.stderr.contains(&damaged), "{damage:?}: {outcome:?}");
        let after = (contents(&coffer.path(VAULT))?, listed(&coffer)?);
        ensure!(before == after, "{damage:?}: the vault or the catalogue was touched");
        ensure!(leftovers(&coffer.path(VAULT))?.is_empty(), "{damage:?}: something is left");
    }
    // Among others it keeps none of them from being rewrapped.
    let cut = Damage::Cut { length: whole.len() - 5_000 }.apply(&whole);
    std::fs::write(&place, &cut)?;
    let before = listed(&coffer)?;
    coffer.run(["backups", "rewrap", "--all"])?.ends_with(3, &[&damaged, "1 of 2 backups failed"])?;
    ensure!(std::fs::read(&place)? == cut && listed(&coffer)?.get(&damaged) == before.get(&damaged));
    coffer.run_well(["verify", &good, "-i", "new.key"])?;
    coffer.run(["backups", "copy", "--to", SPARE, &damaged])?.ends_with(13, &[&damaged])?;
    ensure!(archives(&coffer.path(SPARE))?.is_empty(), "the damaged archive was copied");
    // With a fresh copy of it in its place it goes on.
    std::fs::write(&place, whole)?;
    ensure!(ask(&coffer, 0, &["backups", "rewrap", "--all"])?["rewrapped"] == 1);
    coffer.run_well(["verify", &damaged, "-i", "new.key"])?;
    Ok(())
}

/// What somebody may put in the place of a record.
fn forgeries(record: &Value) -> Result<Vec<Vec<u8>>> {
    let mut forged = Vec::new();
    for change in [
        json!({ "rows": 999, "tables": 0, "objects": 999, "object_bytes": u64::MAX }),
        json!({ "recipients": ["age1nobody"], "signed_by": "somebody" }),
        json!({ "bytes": 1 }),
        json!({ "bytes": u64::MAX, "rows": u64::MAX, "sha256": null }),
        json!({ "app": "other" }),
        json!({ "app": "../../etc", "source": "" }),
        json!({ "created": "1970-01-01T00:00:00Z" }),
        json!({ "id": "bk_00112233445566778899aabbccddeeff" }),
        json!({ "seconds": -1e300, "notice": "\u{0}\u{1b}[2Jgone", "engine": "\u{1b}[2J" }),
        json!({ "trigger": "nonsense", "recipients": 7 }),
    ] {
        let mut record = record.as_object().context("no record")?.clone();
        record.extend(change.as_object().context("no change")?.clone());
        forged.push(serde_json::to_vec(&record)?);
    }
    let true_one = serde_json::to_vec(record)?;
    forged.push([vec![b' '; 3 << 20], true_one].concat());
    forged.push(b"[".repeat(500_000));
    forged.extend([b"dear diary".to_vec(), Vec::new(), b"null".to_vec(), vec![0xff; 100]]);
    Ok(forged)
}

#[test]
fn records_that_lie_make_no_backup_another_one() -> Result<()> {
    let coffer = with_vaults()?;
    let app = coffer.app("a");
    fill_tiny(&app)?;
    let count = forgeries(&json!({}))?.len();
    for n in 0..count {
        app.put("one.txt", format!("state {n}\n").as_bytes())?;
        let id = back_up(&coffer, "local/a")?;
        shell(coffer.folder(), &format!("cp -r coffer-data/apps/a {id}"))?;
        let record = archive(&coffer, &id)?.with_extension("json");
        let forged = forgeries(&serde_json::from_slice(&std::fs::read(&record)?)?)?.into_iter().nth(n);
        std::fs::write(record, forged.context("no forgery")?)?;
    }
    let before = listed(&coffer)?;
    shell(coffer.folder(), &format!("rm {STATE}*"))?;
    let told = ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(told["found"] == count && told["added"] == count && told["unreadable"] == json!([]), "{told}");
    let after = listed(&coffer)?;
    ensure!(after.keys().eq(before.keys()), "{after:?}");
    for (id, backup) in &after {
        let was = before.get(id).context("it is new")?;
        for name in ["source", "app", "created", "bytes"] {
            ensure!(backup[name] == was[name], "{name} of {id} was {was} and is {backup}");
        }
        ensure!(text(backup, "app")? == "a");
        let shown = coffer.run_well(["backups", "show", id])?;
        ensure!(!shown.contains(&0x1b), "{id}: what others wrote reaches the terminal as it is");
        coffer.run_well(["restore", id, "--into", "local/back"])?;
        assert_same_app(&coffer.app_at(id), &coffer.app("back")).with_context(|| id.clone())?;
        std::fs::remove_dir_all(coffer.app("back").folder())?;
    }
    ensure!(!coffer.run_well(["backups", "list"])?.contains(&0x1b));
    Ok(())
}
