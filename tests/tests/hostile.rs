//! Archives that were damaged by accident, and archives that were made to do harm.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use coffer_tests::{Coffer, Contents, Damage, Random, assert_same_app, folder_listing, say};

const ROUNDS: usize = 300;

/// A small app `local/a` and its archive.
fn with_archive(arguments: &[&str]) -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app("a").fill_small()?;
    coffer.run_well(["export", "local/a", "-o", "whole"].iter().chain(arguments))?;
    Ok(coffer)
}

/// Restores an archive that must be refused, and makes sure that nothing of the target is there.
fn ensure_refused(coffer: &Coffer, archive: &str, codes: &[i32]) -> Result<()> {
    let outcome = coffer.run(["restore", archive, "--into", "local/b"])?;
    ensure!(codes.contains(&outcome.code), "exit code {}: {}", outcome.code, outcome.stderr);
    ensure!(!outcome.stderr.trim().is_empty(), "it was refused without a word");
    let left = folder_listing(coffer.app("b").folder())?;
    ensure!(!coffer.app("b").exists(), "the target's folder is there, with {left:?}: {}", outcome.stderr);
    Ok(())
}

fn damages(length: usize) -> (u64, Vec<Damage>) {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    (seed, (0..ROUNDS).map(|_| Damage::any(&mut random, length)).collect())
}

#[test]
fn a_sealed_archive_that_is_damaged_anywhere_is_refused() -> Result<()> {
    let coffer = with_archive(&[])?;
    let before = folder_listing(&coffer.path("coffer-data"))?;
    let whole = std::fs::read(coffer.path("whole"))?;
    let (seed, damages) = damages(whole.len());
    say(format!("sealed archives are damaged with COFFER_TESTS_SEED={seed}"));
    let mut refused = 0;
    for damage in damages {
        let damaged = damage.apply(&whole);
        if damaged == whole {
            continue;
        }
        std::fs::write(coffer.path("damaged"), damaged)?;
        ensure_refused(&coffer, "damaged", &[12, 13]).with_context(|| format!("seed {seed}, {damage:?}"))?;
        refused += 1;
    }
    ensure!(refused > ROUNDS * 9 / 10, "only {refused} archives were damaged at all");
    ensure!(folder_listing(&coffer.path("coffer-data"))? == before, "something was left over");
    coffer.run_well(["restore", "whole", "--into", "local/b"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))
}

#[test]
fn an_unsealed_archive_that_is_damaged_is_refused_or_means_the_same() -> Result<()> {
    let coffer = with_archive(&["--no-encryption"])?;
    let whole = std::fs::read(coffer.path("whole"))?;
    let (seed, damages) = damages(whole.len());
    say(format!("unsealed archives are damaged with COFFER_TESTS_SEED={seed}"));
    for damage in damages {
        std::fs::write(coffer.path("damaged"), damage.apply(&whole))?;
        let outcome = coffer.run(["restore", "damaged", "--into", "local/b"])?;
        let told = || format!("seed {seed}, {damage:?}: {outcome:?}");
        match outcome.code {
            0 => {
                assert_same_app(&coffer.app("a"), &coffer.app("b")).with_context(told)?;
                std::fs::remove_dir_all(coffer.app("b").folder())?;
            }
            13 => ensure!(!coffer.app("b").exists(), told()),
            _ => anyhow::bail!(told()),
        }
    }
    Ok(())
}

/// Statements that an archive must not get run, `{}` being a file that they would make.
const EVIL_SQL: [&str; 24] = [
    "ATTACH DATABASE '{}' AS evil;",
    "/* harmless */ ATTACH '{}' AS evil;",
    "CREATE TABLE ok(a); ATTACH '{}' AS evil;",
    "VACUUM INTO '{}';",
    "VACUUM;",
    "PRAGMA journal_mode = DELETE;",
    "PRAGMA writable_schema = ON;",
    "PRAGMA temp_store_directory = '{}';",
    "SELECT load_extension('{}');",
    "SELECT 1;",
    "CREATE TABLE loaded AS SELECT load_extension('{}');",
    "CREATE TABLE loaded AS SELECT writefile('{}', 'evil');",
    "CREATE TABLE loaded AS SELECT readfile('/etc/hostname');",
    "CREATE TABLE copied AS SELECT * FROM notes;",
    "CREATE VIRTUAL TABLE evil USING fts5(a);",
    "CREATE TEMP TABLE evil(a);",
    "CREATE TABLE temp.evil(a);",
    "INSERT INTO notes VALUES (99, 'evil', NULL);",
    "DELETE FROM notes;",
    "DROP TABLE notes;",
    "ALTER TABLE notes RENAME TO evil;",
    "COMMIT;",
    "SAVEPOINT evil;",
    "CREATE TABLE sqlite_evil(a);",
];

/// What there is beside the program's own state.
fn left(coffer: &Coffer) -> Result<Vec<String>> {
    let listing = folder_listing(coffer.folder())?.into_iter();
    Ok(listing.filter(|path| !path.contains("state.db")).collect())
}

#[test]
fn sql_that_an_app_has_no_need_of_is_refused() -> Result<()> {
    let coffer = with_archive(&["--no-encryption"])?;
    let contents = Contents::read(&coffer.path("whole"))?;
    let evil = coffer.path("coffer-data/evil");
    let evil = evil.to_str().context("not UTF-8")?;
    let before = left(&coffer)?.len() + 1;
    for sql in EVIL_SQL.map(|sql| sql.replace("{}", evil)) {
        for in_pre_data in [true, false] {
            let mut contents = contents.clone();
            let document = if in_pre_data { &mut contents.pre_data } else { &mut contents.post_data };
            document.extend_from_slice(sql.as_bytes());
            document.push(b'\n');
            contents.write(&coffer.path("evil.tar.gz"))?;
            ensure_refused(&coffer, "evil.tar.gz", &[13]).with_context(|| sql.clone())?;
            ensure!(left(&coffer)?.len() == before, "{sql} left a file");
        }
    }
    Ok(())
}

#[test]
fn rows_that_do_not_fit_are_refused() -> Result<()> {
    let coffer = with_archive(&["--no-encryption"])?;
    let contents = Contents::read(&coffer.path("whole"))?;
    for row in [
        "[99]",
        "[99,\"a\",\"b\",\"c\"]",
        "{\"id\":99}",
        "99",
        "[99,\"a\"",
        "[99,{\"base64\":\"not base64!\"},null]",
        "[99,{\"text\":\"a\"},null]",
        "[99,[1],null]",
        "[99,true,null]",
        "[1,\"the same key\",null]",
        "[9223372036854775808,\"a\",null]",
        "",
    ] {
        let mut contents = contents.clone();
        let (_, rows) = contents.rows.first_mut().context("no rows")?;
        rows.extend_from_slice(row.as_bytes());
        rows.push(b'\n');
        contents.write(&coffer.path("evil.tar.gz"))?;
        ensure_refused(&coffer, "evil.tar.gz", &[13]).context(row)?;
    }
    Ok(())
}

#[test]
fn keys_that_would_leave_the_folder_are_refused() -> Result<()> {
    let coffer = with_archive(&["--no-encryption"])?;
    let contents = Contents::read(&coffer.path("whole"))?;
    let before = left(&coffer)?.len() + 1;
    for key in [
        &b"../evil"[..],
        b"..",
        b".",
        b"pictures/../../evil",
        b"pictures/../evil",
        b"/etc/coffer-evil",
        b"//evil",
        b"pictures/",
        b"pictures//evil",
        b"./evil",
        b"nul\0evil",
        b"readme.txt/evil",
        b"pictures",
        &[b'n'; 256],
    ] {
        let mut contents = contents.clone();
        contents.add_object(key);
        contents.write(&coffer.path("evil.tar.gz"))?;
        let key = String::from_utf8_lossy(key);
        ensure_refused(&coffer, "evil.tar.gz", &[1, 13]).with_context(|| format!("{key:?}"))?;
        ensure!(left(&coffer)?.len() == before, "{key:?} left a file");
        ensure!(!Path::new("/etc/coffer-evil").exists(), "it left the folder");
    }
    Ok(())
}

#[test]
fn a_symbolic_link_at_the_target_is_not_followed() -> Result<()> {
    let coffer = with_archive(&[])?;
    let elsewhere = coffer.path("elsewhere");
    std::fs::create_dir(&elsewhere)?;
    std::fs::create_dir_all(coffer.app("b").folder())?;
    std::os::unix::fs::symlink(&elsewhere, coffer.app("b").files())?;
    let outcome = coffer.run(["restore", "whole", "--into", "local/b"])?;
    ensure!(outcome.code != 0, "it was restored through a link");
    ensure!(folder_listing(&elsewhere)?.is_empty(), "something went through the link");
    Ok(())
}
