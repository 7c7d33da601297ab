//! Backups of one app: into the vault, told of by the catalogue, and back by id, as the latest and as of a time.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::vault::{VAULT, archives, ask, attempts, back_up, ensure_only_good, field, listed, text};
use coffer_tests::{Coffer, assert_same_app, folder_listing, shell};
use serde_json::Value;

/// An identity, and a small app `local/a`.
fn with_app() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app("a").fill_small()?;
    Ok(coffer)
}

#[test]
fn a_backup_is_listed_shown_whole_and_comes_back_equal() -> Result<()> {
    let coffer = with_app()?;
    let id = back_up(&coffer, "local/a")?;
    let all = listed(&coffer)?;
    let backup = all.get(&id).context("it is not listed")?;
    ensure!(all.len() == 1, "{all:?}");
    for (name, value) in [("id", id.as_str()), ("source", "local"), ("app", "a"), ("state", "good")] {
        ensure!(backup[name] == value, "{name}: {backup}");
    }
    ensure!(backup["rows"] == 3 && backup["tables"] == 1 && backup["objects"] == 3, "{backup}");
    ensure!(backup["vaults"] == serde_json::json!(["main"]) && backup["error"].is_null(), "{backup}");
    let key = std::fs::read_to_string(coffer.path("coffer-data/coffer.key"))?;
    let recipients = backup["recipients"].as_array().context("no recipients")?;
    ensure!(recipients.iter().any(|one| one.as_str().is_some_and(|one| key.contains(one))), "{backup}");

    // What `show` tells is the same and more, by a few digits too.
    for part in [id.as_str(), id.get(..9).context("a short id")?] {
        let shown = ask(&coffer, 0, &["backups", "show", part])?;
        let differs =
            backup.as_object().context("no object")?.iter().find(|(name, value)| shown[name.as_str()] != **value);
        ensure!(differs.is_none(), "{part}: {differs:?} in {shown}");
    }
    let others = listed_of(&coffer, "local/other")?;
    ensure!(others.is_empty() && listed_of(&coffer, "local/a")?.len() == 1, "{others:?}");

    // One archive in its place, readable by its owner alone, its record beside it.
    let vault = coffer.path(VAULT);
    ensure_only_good(&coffer, &vault, &mut BTreeSet::new())?;
    let path = archives(&vault)?.remove(&id).context("it has no archive")?;
    ensure!(path.starts_with(vault.join("local/a")), "{path:?}");
    ensure!(backup["bytes"] == path.metadata()?.len(), "{backup}");
    let record: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?;
    for name in ["bytes", "rows", "tables", "objects", "created"] {
        ensure!(record[name] == backup[name], "{name}: {record}");
    }
    let sum = shell(coffer.folder(), &format!("sha256sum < '{}'", path.display()))?;
    ensure!(record["sha256"].as_str() == sum.split_whitespace().next(), "{record}");

    // By its id in place of a file.
    coffer.run_well(["verify", &id])?;
    coffer.run_well(["inspect", &id])?;
    coffer.run_well(["extract", &id, "objects/readme.txt", "-C", "out"])?;
    ensure!(std::fs::read(coffer.path("out/objects/readme.txt"))? == b"hello\n");
    coffer.run_well(["restore", &id, "--into", "local/b"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))?;
    let file = path.to_str().context("not UTF-8")?;
    coffer.run_well(["restore", file, "--into", "local/c"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("c"))
}

fn listed_of(coffer: &Coffer, app: &str) -> Result<Vec<Value>> {
    let told = ask(coffer, 0, &["backups", "list", app])?;
    Ok(field(&told, "backups").as_array().context("no list")?.clone())
}

/// Nothing is in the vault but good archives, whatever goes wrong, and the catalogue says why it did.
#[test]
fn an_export_that_fails_is_a_failed_attempt() -> Result<()> {
    let coffer = with_app()?;
    let vault = coffer.path(VAULT);
    back_up(&coffer, "local/a")?;
    let before = folder_listing(&vault)?;
    let breaks = [
        ("ln -s readme.txt files/link", "link"),
        ("rm files/link; mkfifo files/pipe", "pipe"),
        ("rm files/pipe; cp data.db good.db; head -c 5000 /dev/zero | tr '\\0' x > data.db", "data"),
        // Structure and all are read before what is wrong is met, in the middle of the rows.
        (
            "sqlite3 good.db 'CREATE TABLE t(a); INSERT INTO t SELECT randomblob(900) FROM generate_series(1, 3000)'
             cp good.db data.db; dd if=/dev/zero of=data.db bs=4096 seek=500 count=40 conv=notrunc status=none",
            "",
        ),
    ];
    for (count, (script, word)) in breaks.into_iter().enumerate() {
        shell(coffer.app("a").folder(), script)?;
        coffer.run(["backup", "local/a"])?.ends_with(1, &["local/a", word]).context(script)?;
        ensure!(folder_listing(&vault)? == before, "{script}: {:?}", folder_listing(&vault)?);
        ensure!(listed(&coffer)?.len() == 1, "a failed attempt is listed");
        let failed = attempts(&coffer, "failed")?;
        ensure!(failed.len() == count + 1, "{script}: {failed:?}");
        let told = failed
            .iter()
            .any(|attempt| text(attempt, "error").is_ok_and(|error| error.contains(word) && !error.is_empty()));
        ensure!(told, "{script}: {failed:?}");
    }
    coffer.run(["backup", "local/none"])?.ends_with(10, &["local/none"])?;
    coffer.run(["backup", "none/a"])?.ends_with(10, &["none"])?;
    ensure!(folder_listing(&vault)? == before, "{:?}", folder_listing(&vault)?);
    ensure!(attempts(&coffer, "running")?.is_empty());
    // Once it is mended, all is well.
    shell(coffer.app("a").folder(), "mv good.db data.db")?;
    let id = back_up(&coffer, "local/a")?;
    ensure_only_good(&coffer, &vault, &mut BTreeSet::new())?;
    coffer.run_well(["restore", &id, "--into", "local/b"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))
}

#[test]
fn a_backup_is_deleted_and_the_last_good_one_only_by_force() -> Result<()> {
    let coffer = with_app()?;
    coffer.app("z").fill_small()?;
    let (first, second) = (back_up(&coffer, "local/a")?, back_up(&coffer, "local/a")?);
    let other = back_up(&coffer, "local/z")?;
    coffer.run_well(["backups", "delete", &first])?;
    let kept = BTreeSet::from([&second, &other]);
    ensure!(listed(&coffer)?.keys().collect::<BTreeSet<_>>() == kept, "{:?}", listed(&coffer)?);
    ensure!(archives(&coffer.path(VAULT))?.keys().collect::<BTreeSet<_>>() == kept);
    ensure!(!folder_listing(&coffer.path(VAULT))?.iter().any(|path| path.contains(&first)), "its record is left");
    for gone in ["show", "delete"] {
        coffer.run(["backups", gone, &first])?.ends_with(10, &[&first])?;
    }
    // A failed attempt is none that one could fall back on.
    shell(coffer.app("a").folder(), "ln -s readme.txt files/link")?;
    coffer.run(["backup", "local/a"])?.ends_with(1, &["link"])?;
    coffer.run(["backups", "delete", &second])?.ends_with(1, &["--force"])?;
    ensure!(listed(&coffer)?.len() == 2 && archives(&coffer.path(VAULT))?.len() == 2, "it was deleted all the same");
    coffer.run_well(["backups", "delete", "--force", &second])?;
    ensure!(listed(&coffer)?.into_keys().eq([other.clone()]), "{:?}", listed(&coffer)?);
    ensure!(archives(&coffer.path(VAULT))?.into_keys().eq([other]));
    Ok(())
}

/// Three states of an app at three times; each comes back by its id, the last one as `latest`, and each as of its time.
#[test]
fn a_backup_comes_back_by_id_as_the_latest_and_as_of_a_time() -> Result<()> {
    let coffer = with_app()?;
    let mut ids = Vec::new();
    for state in ["one", "two", "three"] {
        // Times are told in whole seconds, and one has to lie between two backups.
        std::thread::sleep(Duration::from_millis(if ids.is_empty() { 0 } else { 2_100 }));
        coffer.app("a").put("state.txt", state.as_bytes())?;
        coffer.app("a").sqlite(&[&format!("INSERT INTO notes(title) VALUES ('{state}')")])?;
        shell(coffer.folder(), &format!("cp -r coffer-data/apps/a original-{state}"))?;
        ids.push(back_up(&coffer, "local/a")?);
    }
    let [one, two, three] = &ids[..] else { anyhow::bail!("{ids:?}") };
    let all = listed(&coffer)?;
    let created = |id: &String| all.get(id).context("not listed").and_then(|backup| text(backup, "created"));
    let (one_at, two_at) = (created(one)?, created(two)?);
    let is = |app: &str, state: &str| {
        assert_same_app(&coffer.app_at(&format!("original-{state}")), &coffer.app(app)).with_context(|| app.to_owned())
    };
    let between = shell(coffer.folder(), &format!("date -u -d '{one_at} + 1 second' +%FT%TZ"))?;
    let tomorrow = shell(coffer.folder(), "date -u -d tomorrow +%F")?;
    // A day means its end.
    let day = created(three)?.get(..10).context("no time")?;
    for (app, arguments, state) in [
        ("by-id", vec![two.as_str()], "two"),
        ("short", vec![one.get(..9).context("a short id")?], "one"),
        ("latest", vec!["latest", "--of", "local/a"], "three"),
        ("at-two", vec!["--at", two_at, "--of", "local/a"], "two"),
        ("between", vec!["latest", "--of", "local/a", "--at", between.trim()], "one"),
        ("day", vec!["--at", day, "--of", "local/a"], "three"),
        ("tomorrow", vec!["--at", tomorrow.trim(), "--of", "local/a"], "three"),
    ] {
        let into = format!("local/{app}");
        coffer.run_well(["restore"].iter().chain(&arguments).chain(&["--into", &into])).context(app)?;
        is(app, state)?;
    }
    // Into the same name, which must be empty first.
    coffer.run(["restore", "latest", "--into", "local/a"])?.ends_with(1, &["not empty"])?;
    for (arguments, state) in [(&["latest"][..], "three"), (&["--at", one_at][..], "one"), (&[two.as_str()][..], "two")]
    {
        std::fs::remove_dir_all(coffer.app("a").folder())?;
        coffer.run_well(["restore"].iter().chain(arguments).chain(&["--into", "local/a"]))?;
        is("a", state)?;
    }
    std::fs::remove_dir_all(coffer.app("a").folder())?;
    for (arguments, code, word) in [
        (&["bk_0123456789abcdef0123456789abcdef"][..], 10, "bk_0123456789abcdef0123456789abcdef"),
        (&["bk_012345"][..], 10, "bk_012345"),
        (&["latest", "--of", "local/never"][..], 10, "local/never"),
        (&["--at", "2001-01-01", "--of", "local/a"][..], 10, "local/a"),
        (&["--at", "someday", "--of", "local/a"][..], 2, "someday"),
    ] {
        let outcome = coffer.run(["restore"].iter().chain(arguments).chain(&["--into", "local/none"]))?;
        outcome.ends_with(code, &[word]).with_context(|| format!("{arguments:?}"))?;
        ensure!(!coffer.app("none").exists(), "{arguments:?} left something");
    }
    Ok(())
}
