//! The main job on real input: an app goes out sealed over HTTP and comes back in as another, equal in every row and byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::{
    Coffer, Service, TarEntry, assert_same_app, assert_same_database, mixed_files, say, shell, tar_entries, tool,
};
use serde_json::Value;

const README: &str = include_str!("../../README.md");

fn coffer() -> Result<Coffer> {
    Coffer::new(env!("CARGO_BIN_EXE_coffer"))
}

/// The commands of README, to the letter but for port, names and file.
fn export_and_import(service: &Service, folder: &Path, from: &str, to: &str) -> Result<Value> {
    let commands: Vec<_> =
        README.lines().filter(|line| line.starts_with("TOKEN=") || line.starts_with("curl ")).collect();
    ensure!(commands.len() == 3, "README does not show how to export and import over HTTP: {commands:?}");
    let script = commands.join("\n");
    let script = script.replace("http://127.0.0.1:8484", &service.url("")).replace("x.coffer", &format!("{to}.coffer"));
    let script =
        script.replace("/local/notes/", &format!("/local/{from}/")).replace("/local/copy/", &format!("/local/{to}/"));
    let answer = shell(folder, &script)?;
    let sealed = std::fs::read(folder.join(format!("{to}.coffer")))?;
    ensure!(sealed.starts_with(b"coffer/1"), "what was exported is not sealed");
    serde_json::from_str(&answer).context("the import was not answered with JSON")
}

fn rows(answer: &Value, table: &str) -> Option<u64> {
    let tables = answer.get("tables")?.as_array()?;
    tables.iter().find(|entry| entry["name"] == table)?["rows"].as_u64()
}

#[test]
fn an_awkward_database_comes_back_equal() -> Result<()> {
    let coffer = coffer()?;
    let service = coffer.serve()?;
    for (n, encoding) in ["UTF-8", "UTF-16le", "UTF-16be"].into_iter().enumerate() {
        let (from, to) = (format!("a{n}"), format!("b{n}"));
        coffer.app(&from).fill_awkward(encoding)?;
        let answer = export_and_import(&service, coffer.folder(), &from, &to)?;
        ensure!(rows(&answer, "plain") == Some(25) && rows(&answer, "empty") == Some(0), "{answer}");
        ensure!(answer["objects"]["count"] == 0, "{answer}");
        assert_same_app(&coffer.app(&from), &coffer.app(&to)).context(encoding)?;
    }
    Ok(())
}

#[test]
fn text_that_is_none_comes_back_equal_or_is_refused_by_name() -> Result<()> {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let coffer = coffer()?;
        coffer.make_identity()?;
        coffer.app("a").fill_awkward(encoding)?;
        coffer.app("a").add_broken_text()?;
        let outcome = coffer.run(["export", "local/a", "-o", "x.coffer"])?;
        if outcome.code != 0 {
            ensure!(encoding != "UTF-8", "bytes that are not UTF-8 have a place in the format: {}", outcome.stderr);
            outcome.ends_with(1, &["plain"]).context(encoding)?;
            continue;
        }
        coffer.run_well(["restore", "x.coffer", "--into", "local/b"]).context(encoding)?;
        assert_same_app(&coffer.app("a"), &coffer.app("b")).context(encoding)?;
    }
    Ok(())
}

#[test]
fn a_database_while_it_is_written_to_comes_back_whole() -> Result<()> {
    let coffer = coffer()?;
    let service = coffer.serve()?;
    let app = coffer.app("a");
    app.sqlite(&["PRAGMA journal_mode = WAL", "CREATE TABLE pairs(a INT, b INT)"])?;
    // The writer keeps the sum of the table at zero in every transaction.
    let database = rusqlite::Connection::open(app.database())?;
    database.busy_timeout(Duration::from_secs(20))?;
    for n in 0..2_000 {
        database.execute("INSERT INTO pairs VALUES (?1, 0), (0, -?1)", [n])?;
    }
    let writer = std::thread::spawn(move || -> Result<()> {
        for n in 0..3_000 {
            database.execute("INSERT INTO pairs VALUES (?1, 0), (0, -?1)", [n])?;
        }
        Ok(())
    });
    for n in 0..5 {
        let to = format!("b{n}");
        export_and_import(&service, coffer.folder(), "a", &to)?;
        let sum = coffer.app(&to).sqlite(&["SELECT sum(a) + sum(b), count(*) % 2, count(*) >= 4000 FROM pairs"])?;
        ensure!(sum.trim() == "0|0|1", "{sum}");
    }
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?
}

#[test]
fn a_database_that_nobody_here_wrote_comes_back_equal() -> Result<()> {
    let coffer = coffer()?;
    if !coffer.app("proj").fill_foreign()? {
        say("SKIPPED: there is no proj.db; ./run ci installs it (Debian's proj-data)");
        return Ok(());
    }
    let service = coffer.serve()?;
    let answer = export_and_import(&service, coffer.folder(), "proj", "copy")?;
    ensure!(rows(&answer, "usage").is_some_and(|rows| rows > 10_000), "{answer}");
    assert_same_database(&coffer.app("proj").database(), &coffer.app("copy").database())
}

#[test]
fn a_thousand_files_with_awkward_names_come_back_equal() -> Result<()> {
    let coffer = coffer()?;
    let (from, to) = (coffer.app("a"), coffer.app("b"));
    from.fill_small()?;
    mixed_files(&from.files(), 20 << 20)?;
    let service = coffer.serve()?;
    let answer = export_and_import(&service, coffer.folder(), "a", "b")?;
    ensure!(answer["objects"]["count"].as_u64() >= Some(1_000), "{answer}");
    assert_same_app(&from, &to)
}

#[test]
fn an_archive_of_unknown_length_is_taken() -> Result<()> {
    let coffer = coffer()?;
    coffer.app("a").fill_small()?;
    let service = coffer.serve()?;
    let apps = service.url("/v1/apps/local");
    shell(
        coffer.folder(),
        &format!(
            r#"header="Authorization: Bearer $(cat coffer-data/token)"
            curl -fsS -X POST -H "$header" {apps}/a/export | curl -fsS -X POST -T - -H "$header" {apps}/b/import"#
        ),
    )?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))
}

#[test]
fn a_passphrase_opens_what_it_sealed_on_either_side() -> Result<()> {
    let coffer = coffer()?;
    let from = coffer.app("a");
    from.fill_small()?;
    std::fs::write(coffer.path("passphrase"), "correct horse Ünïcode 🐎\n")?;
    coffer.run_well(["export", "local/a", "-o", "cli.coffer", "--passphrase-file", "passphrase"])?;
    coffer.run_well(["restore", "cli.coffer", "--into", "local/b", "--passphrase-file", "passphrase"])?;
    assert_same_app(&from, &coffer.app("b"))?;

    let service = coffer.serve()?;
    let archive = coffer.path("rest.coffer");
    let archive = archive.to_str().context("not UTF-8")?;
    let passphrase = r#"{"passphrase":"correct horse"}"#;
    let answer = service.call("/v1/apps/local/a/export", &["-f", "--json", passphrase, "-o", archive])?;
    ensure!(answer.header("content-type") == "application/vnd.coffer", "{answer:?}");
    let import = |to: &str, passphrase: &str| {
        let header = format!("Coffer-Passphrase: {passphrase}");
        service.call(&format!("/v1/apps/local/{to}/import"), &["-X", "POST", "-T", archive, "-H", &header])
    };
    import("c", "wrong horse")?.ensure_problem(422, &["passphrase"])?;
    ensure!(!coffer.app("c").exists(), "a wrong passphrase left something of the app");
    ensure!(import("c", "correct horse")?.status == 200, "the right passphrase does not open it");
    assert_same_app(&from, &coffer.app("c"))?;
    std::fs::write(coffer.path("passphrase"), "correct horse")?;
    coffer.run_well(["restore", "rest.coffer", "--into", "local/d", "--passphrase-file", "passphrase"])?;
    assert_same_app(&from, &coffer.app("d"))
}

#[test]
fn standard_streams_carry_an_archive() -> Result<()> {
    let coffer = coffer()?;
    coffer.app("a").fill_small()?;
    coffer.make_identity()?;
    let archive = coffer.run_well(["export", "local/a"])?;
    std::fs::write(coffer.path("x.coffer"), archive)?;
    let input = std::fs::File::open(coffer.path("x.coffer"))?;
    let status = coffer.command().args(["restore", "-", "--into", "local/b"]).stdin(input).status()?;
    ensure!(status.success(), "{status}");
    assert_same_app(&coffer.app("a"), &coffer.app("b"))
}

#[test]
fn the_demo_does_the_main_job_and_says_so() -> Result<()> {
    let outcome = coffer()?.run(["demo"])?;
    let said = format!("{}{}", String::from_utf8_lossy(&outcome.stdout), outcome.stderr);
    ensure!(outcome.code == 0, "{said}");
    for figure in ["rows", "objects", "MiB/s", "memory"] {
        ensure!(said.contains(figure), "it says nothing of {figure}:\n{said}");
    }
    Ok(())
}

/// The entries of an unsealed archive, by path.
fn unsealed_entries(archive: &Path) -> Result<BTreeMap<String, TarEntry>> {
    let tar = tool("gzip", [Path::new("-dc"), archive])?;
    Ok(tar_entries(&tar)?.into_iter().map(|entry| (entry.path.clone(), entry)).collect())
}

/// A document with what may differ between two exports of the same state taken out.
fn without(entry: &TarEntry, members: &[&str]) -> Result<Vec<Value>> {
    let lines = entry.content.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut values = lines.map(serde_json::from_slice).collect::<serde_json::Result<Vec<Value>>>()?;
    for value in values.iter_mut().filter_map(Value::as_object_mut) {
        members.iter().for_each(|member| drop(value.remove(*member)));
        if value.get("path").is_some_and(|path| path == "manifest.json") {
            value.remove("sha256");
        }
    }
    Ok(values)
}

#[test]
fn the_same_state_gives_the_same_archive() -> Result<()> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.fill_awkward("UTF-8")?;
    mixed_files(&app.files(), 1 << 20)?;
    coffer.run_well(["export", "local/a", "-o", "one.tar.gz", "--no-encryption"])?;
    std::thread::sleep(Duration::from_millis(1_100));
    coffer.run_well(["export", "local/a", "-o", "two.tar.gz", "--no-encryption"])?;
    let (one, two) = (unsealed_entries(&coffer.path("one.tar.gz"))?, unsealed_entries(&coffer.path("two.tar.gz"))?);
    ensure!(one.keys().eq(two.keys()), "they have other entries");
    for (path, entry) in &one {
        let other = two.get(path).context("no such entry")?;
        let may_differ: &[&str] = match path.as_str() {
            "manifest.json" => {
                let (one, other) = (without(entry, &[])?, without(other, &[])?);
                ensure!(one[0]["created"] != other[0]["created"] && one[0]["archive_id"] != other[0]["archive_id"]);
                &["created", "archive_id"]
            }
            path if path.starts_with("index/") => &["member", "skip"],
            "summary.json" => &["index", "index_digest"],
            _ => {
                ensure!(entry == other, "{path} differs");
                continue;
            }
        };
        ensure!(without(entry, may_differ)? == without(other, may_differ)?, "{path} differs");
    }
    Ok(())
}
