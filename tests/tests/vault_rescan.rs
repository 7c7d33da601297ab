//! The vault alone is enough: a catalogue that is lost comes back from it, and one that is wrong is put right.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{STATE, VAULT, archives, ask, attempts, back_up, field, listed, summary, text};
use coffer_tests::{Coffer, Damage, assert_same_app, folder_listing, shell};
use serde_json::Value;

/// What an archive tells of itself, without its record.
const OF_THE_ARCHIVE: [&str; 9] = ["id", "source", "app", "state", "created", "bytes", "rows", "tables", "objects"];

/// Three backups of `local/a` at three times and one of `local/z`, and the ids of the three.
fn with_backups() -> Result<(Coffer, [String; 3])> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    for name in ["a", "z"] {
        coffer.app(name).fill_small()?;
    }
    let mut ids = Vec::new();
    for state in ["one", "two", "three"] {
        // Times are told in whole seconds.
        std::thread::sleep(Duration::from_millis(if ids.is_empty() { 0 } else { 1_100 }));
        coffer.app("a").put("state.txt", state.as_bytes())?;
        shell(coffer.folder(), &format!("cp -r coffer-data/apps/a original-{state}"))?;
        ids.push(back_up(&coffer, "local/a")?);
    }
    back_up(&coffer, "local/z")?;
    let ids: [String; 3] = ids.try_into().map_err(|ids: Vec<String>| anyhow::anyhow!("{ids:?}"))?;
    Ok((coffer, ids))
}

/// Deletes the state, so that nothing is known of any backup.
fn forget(coffer: &Coffer) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let file = coffer.path(&format!("{STATE}{suffix}"));
        ensure!(!suffix.is_empty() || file.exists(), "the state is not in {STATE}");
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    ensure!(listed(coffer)?.is_empty(), "backups are known without a state: {:?}", listed(coffer)?);
    Ok(())
}

/// What each backup's object says under these names.
fn only(backups: BTreeMap<String, Value>, names: &[&str]) -> BTreeMap<String, Vec<Value>> {
    let values = |backup: Value| names.iter().map(|name| field(&backup, name).clone()).collect::<Vec<_>>();
    backups.into_iter().map(|(id, backup)| (id, values(backup))).collect()
}

/// Restores each of the three states, by id and as of its time.
fn ensure_all_come_back(coffer: &Coffer, ids: &[String; 3]) -> Result<()> {
    let all = listed(coffer)?;
    for (id, state) in ids.iter().zip(["one", "two", "three"]) {
        let original = coffer.app_at(&format!("original-{state}"));
        let created = text(all.get(id).with_context(|| format!("{id} is not listed"))?, "created")?;
        for arguments in [&[id.as_str()][..], &["--at", created, "--of", "local/a"][..]] {
            coffer.run_well(["restore", "--into", "local/back"].iter().chain(arguments)).context(state)?;
            assert_same_app(&original, &coffer.app("back")).context(state)?;
            std::fs::remove_dir_all(coffer.app("back").folder())?;
        }
    }
    Ok(())
}

#[test]
fn a_catalogue_that_is_lost_comes_back_equal() -> Result<()> {
    let (coffer, ids) = with_backups()?;
    // Only the state knows of an attempt that failed, and only of that.
    shell(coffer.app("z").folder(), "ln -s readme.txt files/link")?;
    coffer.run(["backup", "local/z"])?.ends_with(1, &["link"])?;
    ensure!(attempts(&coffer, "failed")?.len() == 1);
    let (before, files) = (listed(&coffer)?, folder_listing(&coffer.path(VAULT))?);
    forget(&coffer)?;
    let told = ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(told["found"] == 4 && told["added"] == 4 && told["dropped"] == 0, "{told}");
    ensure!(told["unreadable"] == serde_json::json!([]), "{told}");
    let after = listed(&coffer)?;
    for (id, backup) in &before {
        ensure!(after.get(id) == Some(backup), "{id} was {backup} and is {:?}", after.get(id));
    }
    ensure!(after.len() == before.len() && attempts(&coffer, "failed")?.is_empty(), "{after:?}");
    // Another one finds nothing to do, and none has touched the vault.
    let again = ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(again["found"] == 4 && again["added"] == 0 && again["dropped"] == 0, "{again}");
    ensure!(listed(&coffer)? == before && folder_listing(&coffer.path(VAULT))? == files);
    ensure_all_come_back(&coffer, &ids)
}

#[test]
fn records_that_are_lost_are_derived_from_the_archives() -> Result<()> {
    let (coffer, ids) = with_backups()?;
    let before = listed(&coffer)?;
    for archive in archives(&coffer.path(VAULT))?.values() {
        std::fs::remove_file(archive.with_extension("json"))?;
    }
    forget(&coffer)?;
    let told = ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(told["added"] == 4 && told["unreadable"] == serde_json::json!([]), "{told}");
    let after = listed(&coffer)?;
    let (before, after) = (only(before, &OF_THE_ARCHIVE), only(after, &OF_THE_ARCHIVE));
    ensure!(after == before, "{OF_THE_ARCHIVE:?}: {before:?} became {after:?}");
    ensure_all_come_back(&coffer, &ids)
}

/// Damages a file in its place.
fn damage(file: &Path, damage: &Damage) -> Result<()> {
    let whole = std::fs::read(file)?;
    let damaged = damage.apply(&whole);
    ensure!(damaged != whole, "{damage:?} changes nothing");
    Ok(std::fs::write(file, damaged)?)
}

#[test]
fn what_is_foreign_or_damaged_is_told_of_and_not_listed() -> Result<()> {
    let (coffer, [cut, flipped, good]) = with_backups()?;
    let vault = coffer.path(VAULT);
    let all = archives(&vault)?;
    let archive = |id: &String| all.get(id).context("it has no archive");
    let length = usize::try_from(archive(&cut)?.metadata()?.len())?;
    damage(archive(&cut)?, &Damage::Cut { length: length / 2 })?;
    // In the envelope, where the key of the archive is.
    damage(archive(&flipped)?, &Damage::Flip { at: 100, bits: 1 })?;
    let foreign = vault.join("local/a/20200101T000000Z-bk_00112233445566778899aabbccddeeff.coffer");
    std::fs::write(&foreign, "dear diary")?;
    std::fs::write(vault.join("local/a/holiday.coffer"), "dear diary")?;
    std::fs::write(vault.join("README"), "this is the vault")?;
    let files = folder_listing(&vault)?;
    forget(&coffer)?;
    let outcome = coffer.run(["backups", "rescan", "--json"])?;
    let told = summary(&outcome)?;
    let unreadable = told["unreadable"].as_array().context("nothing is unreadable")?;
    for name in [cut.as_str(), flipped.as_str(), "bk_00112233445566778899aabbccddeeff", "holiday.coffer"] {
        let entry = unreadable.iter().find(|entry| text(entry, "path").is_ok_and(|path| path.contains(name)));
        let entry = entry.with_context(|| format!("{name} is not told of: {told}"))?;
        ensure!(!text(entry, "why")?.is_empty(), "{entry}");
    }
    let due = all.keys().filter(|id| **id != cut && **id != flipped).collect::<Vec<_>>();
    ensure!(listed(&coffer)?.keys().eq(due), "{:?}", listed(&coffer)?);
    ensure!(folder_listing(&vault)? == files, "a rescan has changed the vault");
    coffer.run(["restore", &cut, "--into", "local/b"])?.ends_with(10, &[&cut])?;
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/b"])?;
    ensure!(listed(&coffer)?.contains_key(&good));
    assert_same_app(&coffer.app_at("original-three"), &coffer.app("b"))
}

#[test]
fn a_row_whose_archive_is_gone_is_dropped() -> Result<()> {
    let (coffer, ids) = with_backups()?;
    let [one, two, three] = &ids;
    let vault = coffer.path(VAULT);
    let archive = archives(&vault)?.remove(three).context("it has no archive")?;
    std::fs::remove_file(&archive)?;
    let told = ask(&coffer, 0, &["backups", "rescan"])?;
    ensure!(told["found"] == 3 && told["added"] == 0 && told["dropped"] == 1, "{told}");
    let all = listed(&coffer)?;
    ensure!(all.len() == 3 && all.contains_key(one) && all.contains_key(two), "{all:?}");
    coffer.run(["backups", "show", three])?.ends_with(10, &[three])?;
    coffer.run_well(["restore", "latest", "--of", "local/a", "--into", "local/b"])?;
    assert_same_app(&coffer.app_at("original-two"), &coffer.app("b"))?;
    // An archive that somebody brings there is taken up again, without a record too.
    let other = archives(&vault)?.remove(two).context("it has no archive")?;
    std::fs::rename(&other, coffer.path("kept"))?;
    std::fs::remove_file(other.with_extension("json"))?;
    ensure!(ask(&coffer, 0, &["backups", "rescan"])?["dropped"] == 1);
    std::fs::rename(coffer.path("kept"), &other)?;
    ensure!(ask(&coffer, 0, &["backups", "rescan"])?["added"] == 1);
    ensure!(only(listed(&coffer)?, &OF_THE_ARCHIVE).get(two) == only(all, &OF_THE_ARCHIVE).get(two));
    Ok(())
}
