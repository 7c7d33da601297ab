//! The recovery scripts on every kind of archive that the binary writes, and docs/RECOVERY.md to the letter.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coffer_tests::recovery::{
    at_a_terminal, forge, outcome_of, rebuild, recover, recover_command, recovery_script, segment_offsets,
};
use coffer_tests::{Coffer, Damage, Outcome, assert_same_app, folder_listing, mebibytes, mixed_files, shell, tool};
use serde_json::{Value, json};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/RECOVERY.md");
const COMPRESSIONS: [&str; 3] = ["gzip", "none", "zstd"];
const MOST_MEMORY: u64 = 72 << 20;

fn coffer() -> Result<Coffer> {
    Coffer::new(env!("CARGO_BIN_EXE_coffer"))
}

/// An app with all that is awkward, names among it that no file system takes as they are written in an archive.
fn with_awkward_app() -> Result<Coffer> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.fill_awkward("UTF-8")?;
    app.add_broken_text()?;
    let name = "%".repeat(120);
    app.sqlite(&[&format!("CREATE TABLE \"{name}\"(a); INSERT INTO \"{name}\" VALUES ('one'), (2);")])?;
    mixed_files(&app.files(), 2 << 20)?;
    app.put("readme.txt", b"hello\n")?;
    Ok(coffer)
}

/// A small app `local/a` of several segments, its identity and its archive.
fn with_small_archive(arguments: &[&str]) -> Result<Coffer> {
    let coffer = coffer()?;
    coffer.app("a").fill_small()?;
    std::fs::copy(coffer.make_identity()?, coffer.path("coffer.key"))?;
    coffer.run_well(["export", "local/a", "-o", "whole"].iter().chain(arguments))?;
    Ok(coffer)
}

fn suffix(compression: &str) -> &'static str {
    if compression == "zstd" { "tar.zst" } else { "tar.gz" }
}

/// Takes an archive through check, decryption and extraction, and compares what is rebuilt of it with the app.
fn ensure_recovers(coffer: &Coffer, compression: &str, run: &dyn Fn(&[&str]) -> Result<Outcome>) -> Result<()> {
    let folder = coffer.folder();
    let before = folder_listing(folder)?;
    run(&["--check"])?.ends_with(0, &["is whole"])?;
    ensure!(folder_listing(folder)? == before, "--check wrote something");
    run(&["--extract", ".", "-C", "unpacked"])?.ends_with(0, &["is whole", "misplaced/00000002"])?;
    rebuild(folder, "unpacked")?;
    assert_same_app(&coffer.app("a"), &coffer.app_at("rebuilt")).context(compression.to_owned())?;
    for name in ["unpacked", "rebuilt"] {
        std::fs::remove_dir_all(coffer.path(name))?;
    }
    Ok(())
}

/// Decrypts a sealed archive, and makes sure that tools that know nothing of us take what comes out.
fn ensure_decrypts(coffer: &Coffer, compression: &str, run: &dyn Fn(&[&str]) -> Result<Outcome>) -> Result<()> {
    run(&[])?.ends_with(0, &["is whole"])?;
    let plain = format!("x.{}", suffix(compression));
    let program = if compression == "zstd" { "zstd" } else { "gzip" };
    shell(coffer.folder(), &format!("{program} -dc < {plain} | tar t --warning=no-unknown-keyword > names"))?;
    // What is plain is taken too, and says that there is nothing to decrypt.
    recover(coffer.folder(), [&plain])?.ends_with(1, &["plain already"])?;
    recover(coffer.folder(), [&plain, "--check"])?.ends_with(0, &["is whole"])?;
    Ok(std::fs::remove_file(coffer.path(&plain))?)
}

/// Exports the awkward app in each compression, and recovers each archive.
fn ensure_all_recover(coffer: &Coffer, seal: &[&str], run: &dyn Fn(&[&str]) -> Result<Outcome>) -> Result<()> {
    for compression in COMPRESSIONS {
        let export = ["export", "local/a", "-o", "x.coffer", "--compression", compression];
        coffer.run_well(export.iter().chain(seal))?;
        ensure_recovers(coffer, compression, run)?;
        if seal != ["--no-encryption"] {
            ensure_decrypts(coffer, compression, run)?;
        }
        std::fs::remove_file(coffer.path("x.coffer"))?;
    }
    Ok(())
}

#[test]
fn archives_without_a_seal_come_back() -> Result<()> {
    let coffer = with_awkward_app()?;
    let run = |more: &[&str]| recover(coffer.folder(), ["x.coffer"].iter().chain(more));
    ensure_all_recover(&coffer, &["--no-encryption"], &run)
}

#[test]
fn archives_for_one_recipient_come_back() -> Result<()> {
    let coffer = with_awkward_app()?;
    std::fs::copy(coffer.make_identity()?, coffer.path("coffer.key"))?;
    let run = |more: &[&str]| recover(coffer.folder(), ["x.coffer", "-i", "coffer.key"].iter().chain(more));
    ensure_all_recover(&coffer, &[], &run)
}

#[test]
fn archives_for_several_recipients_come_back_with_any_identity_of_theirs() -> Result<()> {
    let coffer = with_awkward_app()?;
    shell(coffer.folder(), "for n in 1 2 3; do age-keygen -o $n.key 2> /dev/null; age-keygen -y $n.key >> all; done")?;
    shell(coffer.folder(), "age-keygen -o other.key 2> /dev/null")?;
    let third = ["x.coffer", "-i", "other.key", "-i", "3.key"];
    let run = |more: &[&str]| recover(coffer.folder(), third.iter().chain(more));
    ensure_all_recover(&coffer, &["-R", "all"], &run)
}

#[test]
fn archives_with_a_passphrase_come_back_at_a_terminal() -> Result<()> {
    let coffer = with_awkward_app()?;
    std::fs::write(coffer.path("passphrase"), "correct horse battery staple\n")?;
    let script = recovery_script("recover.py");
    let run = |more: &[&str]| {
        let command = ["python3".as_ref(), script.as_os_str(), "x.coffer".as_ref()];
        let command: Vec<_> = command.into_iter().chain(more.iter().map(OsStr::new)).collect();
        at_a_terminal(coffer.folder(), &command)
    };
    ensure_all_recover(&coffer, &["--passphrase-file", "passphrase"], &run)?;

    coffer.run_well(["export", "local/a", "-o", "x.coffer", "--passphrase-file", "passphrase"])?;
    std::fs::write(coffer.path("passphrase"), "another\n")?;
    run(&["-o", "out"])?.ends_with(12, &["age could not open"])?;
    ensure!(!coffer.path("out").exists() && !coffer.path("out.part").exists(), "something came out");
    Ok(())
}

#[test]
fn empty_and_large_apps_come_back_in_bounded_memory() -> Result<()> {
    let coffer = coffer()?;
    std::fs::copy(coffer.make_identity()?, coffer.path("coffer.key"))?;
    coffer.app("empty").sqlite(&["VACUUM"])?;
    coffer.app("large").fill_large(96)?;
    for app in ["empty", "large"] {
        coffer.run_well(["export", &format!("local/{app}"), "-o", "x.coffer"])?;
        let peak = peak_memory(coffer.folder(), &["x.coffer", "-i", "coffer.key", "--extract", ".", "-C", "unpacked"])?;
        ensure!(peak < MOST_MEMORY, "{app}: {} of memory", mebibytes(peak));
        rebuild(coffer.folder(), "unpacked")?;
        assert_same_app(&coffer.app(app), &coffer.app_at("rebuilt"))?;
        shell(coffer.folder(), "rm -r unpacked rebuilt")?;
    }
    Ok(())
}

/// Runs the script, which has to end well, and gives back the most memory that it or its children had, in bytes.
fn peak_memory(folder: &Path, arguments: &[&str]) -> Result<u64> {
    const MEASURED: &str = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); \
                            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", MEASURED, "python3"]).arg(recovery_script("recover.py")).args(arguments).current_dir(folder);
    let outcome = outcome_of(&mut command)?;
    outcome.ends_with(0, &[])?;
    Ok(String::from_utf8(outcome.stdout)?.trim().parse::<u64>()? * 1_024)
}

/// Every damage to the segments of an archive that the seal is there to find.
fn damages(archive: &[u8]) -> Result<Vec<Damage>> {
    let offsets = segment_offsets(archive)?;
    ensure!(offsets.len() > 4, "the archive has too few segments");
    let mut damages = vec![Damage::Append { bytes: vec![0] }, Damage::Append { bytes: vec![7; 65_568] }];
    for segment in offsets.windows(2) {
        let &[at, end] = segment else { continue };
        let last_byte = end - 1;
        let middle = at + (end - at) / 2;
        damages.extend([at, middle, last_byte].map(|at| Damage::Flip { at, bits: 1 }));
        damages.extend([at, at + 1, middle, last_byte].map(|length| Damage::Cut { length }));
        damages.extend([Damage::Drop { at, length: end - at }, Damage::Repeat { at, length: end - at }]);
        damages.push(Damage::Swap { at });
    }
    Ok(damages)
}

#[test]
fn every_damage_to_a_segment_is_found_by_its_seal() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    let whole = std::fs::read(coffer.path("whole"))?;
    // Alone, without the script that would find most of it again in what is within.
    std::fs::copy(recovery_script("recover.py"), coffer.path("alone.py"))?;
    for damage in damages(&whole)? {
        let damaged = damage.apply(&whole);
        if damaged == whole {
            continue; // the last segment has none to change places with
        }
        std::fs::write(coffer.path("damaged"), damaged)?;
        let mut command = std::process::Command::new("python3");
        command.args(["alone.py", "damaged", "-i", "coffer.key", "-o", "out"]).current_dir(coffer.folder());
        outcome_of(&mut command)?.ends_with(13, &["damaged"]).with_context(|| format!("{damage:?}"))?;
        ensure!(
            !coffer.path("out").exists() && !coffer.path("out.part").exists(),
            "{damage:?}: something is left over"
        );
    }
    Ok(())
}

#[test]
fn damage_that_is_found_late_leaves_nothing() -> Result<()> {
    let coffer = coffer()?;
    coffer.app("a").fill_large(12)?;
    std::fs::copy(coffer.make_identity()?, coffer.path("coffer.key"))?;
    coffer.run_well(["export", "local/a", "-o", "whole"])?;
    let whole = std::fs::read(coffer.path("whole"))?;
    let last = *segment_offsets(&whole)?.iter().rev().nth(1).context("no segment")?;
    ensure!(last > 6 << 20, "nothing comes out before the damage is found");
    std::fs::write(coffer.path("damaged"), b"")?;
    let before = folder_listing(coffer.folder())?;
    for damage in [Damage::Flip { at: last, bits: 1 }, Damage::Cut { length: last }] {
        std::fs::write(coffer.path("damaged"), damage.apply(&whole))?;
        for to in [["-o", "out"].as_slice(), &["--extract", ".", "-C", "out"]] {
            let outcome = recover(coffer.folder(), ["damaged", "-i", "coffer.key"].iter().chain(to))?;
            outcome.ends_with(13, &["segment"]).with_context(|| format!("{damage:?} {to:?}"))?;
            ensure!(folder_listing(coffer.folder())? == before, "{damage:?} {to:?}: something is left over");
        }
    }
    Ok(())
}

#[test]
fn a_damaged_header_is_found() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    let whole = std::fs::read(coffer.path("whole"))?;
    let end = *segment_offsets(&whole)?.first().context("no segment")?;
    let flips = (0..end).step_by(19).chain((end - 48..end).step_by(9)).map(|at| Damage::Flip { at, bits: 1 });
    let cuts = [1, 8, 11, 12, 40, end - 48, end - 32, end - 1].map(|length| Damage::Cut { length });
    for damage in flips.chain(cuts) {
        std::fs::write(coffer.path("damaged"), damage.apply(&whole))?;
        let outcome = recover(coffer.folder(), ["damaged", "-i", "coffer.key", "-o", "out"])?;
        // What age refuses may be damage as well as a key that does not fit.
        let in_envelope = matches!(damage, Damage::Flip { at, .. } if at >= 33 && at < end - 48);
        let due = if in_envelope && outcome.code == 12 { 12 } else { 13 };
        outcome.ends_with(due, &[]).with_context(|| format!("{damage:?}"))?;
        ensure!(!coffer.path("out").exists() && !coffer.path("out.part").exists(), "{damage:?}: something came out");
    }
    let mut long = whole;
    long.splice(8..12, 65_537_u32.to_le_bytes());
    std::fs::write(coffer.path("damaged"), long)?;
    recover(coffer.folder(), ["damaged", "-i", "coffer.key"])?.ends_with(13, &["longer than any is"])
}

#[test]
fn only_what_was_checked_goes_to_standard_output() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    let whole = std::fs::read(coffer.path("whole"))?;
    let plain = recover(coffer.folder(), ["whole", "-i", "coffer.key", "-o", "-"])?;
    plain.ends_with(0, &["is whole"])?;
    for (segment, at) in segment_offsets(&whole)?.into_iter().rev().skip(1).rev().enumerate() {
        std::fs::write(coffer.path("damaged"), Damage::Flip { at: at + 100, bits: 4 }.apply(&whole))?;
        let damaged = recover(coffer.folder(), ["damaged", "-i", "coffer.key", "-o", "-"])?;
        damaged.ends_with(13, &[&format!("segment {segment} ")])?;
        let out = &damaged.stdout;
        ensure!(plain.stdout.starts_with(out) && out.len() <= segment * 65_536, "segment {segment} came out");
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_told_by_exit_code_and_words() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    coffer.run_well(["export", "local/a", "-o", "plain", "--no-encryption"])?;
    shell(
        coffer.folder(),
        "age-keygen -o other.key 2> /dev/null; echo mine > mine; echo rubbish > rubbish; : > nothing",
    )?;
    let cases: [(i32, &[&str], &str); 17] = [
        (12, &["whole", "-i", "other.key"], "age could not open"),
        (12, &["whole"], "name an identity with -i"),
        (1, &["whole", "-i", "no.key"], "no.key can't be read"),
        (10, &["missing"], "No such file"),
        (10, &["whole", "-i", "coffer.key", "--extract", "objects/nope", "--extract", "manifest.json"], "objects/nope"),
        (10, &["plain", "--extract", "objects/pictures"], "a folder's name ends in /"),
        (13, &["rubbish"], "begins like no archive"),
        (13, &["nothing"], "begins like no archive"),
        (1, &["coffer-data"], "Is a directory"),
        (1, &["plain"], "plain already"),
        (1, &["whole", "-i", "coffer.key", "-o", "mine"], "mine is there already"),
        (1, &["plain", "--extract", ".", "-C", "coffer-data"], "is there already"),
        (1, &["whole", "-i", "coffer.key", "-o", "no/such/folder"], "No such file"),
        (2, &[], "ARCHIVE"),
        (2, &["plain", "--check", "-o", "out"], "exclude one another"),
        (2, &["plain", "-C", "out"], "-C belongs to --extract"),
        (2, &["plain", "--passphrase", "x"], "unrecognized"),
    ];
    let before = folder_listing(coffer.folder())?;
    for (code, arguments, words) in cases {
        let outcome = recover(coffer.folder(), arguments)?;
        outcome.ends_with(code, &[words]).with_context(|| format!("{arguments:?}"))?;
        ensure!(!outcome.stderr.contains("Traceback"), "{arguments:?}: {}", outcome.stderr);
        ensure!(folder_listing(coffer.folder())? == before, "{arguments:?} left something");
    }
    ensure!(std::fs::read(coffer.path("mine"))? == b"mine\n", "a file that was there was written over");
    recover(coffer.folder(), ["--help"])?.ends_with(0, &[])
}

#[test]
fn some_of_an_archive_is_taken_out() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    let arguments = ["--extract", "objects/pictures/", "--extract", "manifest.json", "-C", "some"];
    recover(coffer.folder(), ["whole", "-i", "coffer.key"].iter().chain(&arguments))?.ends_with(0, &["is whole"])?;
    shell(
        coffer.folder(),
        "diff -r some/objects/pictures coffer-data/apps/a/files/pictures
        test \"$(cd some; find . -type f | sort)\" = \"./manifest.json
./objects/pictures/one.png
./objects/pictures/two words.bin\"
        test $(stat -c %a some/manifest.json) = 600
        test $(stat -c %Y some/objects/pictures/one.png) = $(stat -c %Y coffer-data/apps/a/files/pictures/one.png)",
    )
    .map(drop)
}

#[test]
fn pipes_do_for_both_ends() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    let script = recovery_script("recover.py");
    let script = script.to_str().context("not UTF-8")?;
    let commands = format!(
        "python3 {script} whole -i coffer.key -o file
        cat whole | python3 {script} - -i coffer.key -o - | cat > piped
        cmp file piped
        cat piped | python3 {script} - --extract .
        cd recovered; test -f summary.json"
    );
    let commands = commands.replace("cd recovered;", "cd recovered.extracted;");
    shell(coffer.folder(), &commands)?;
    // A reader that goes away is a failure, and none of Python's.
    let broken = format!("python3 {script} whole -i coffer.key -o - 2> said | head -c 1 > one");
    ensure!(shell(coffer.folder(), &broken).is_err(), "nobody saw that the reader was gone");
    let said = std::fs::read_to_string(coffer.path("said"))?;
    ensure!(said.contains("Broken pipe") && !said.contains("Traceback"), "{said}");
    Ok(())
}

#[test]
fn whoever_stops_it_finds_nothing_left_over() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    let whole = std::fs::read(coffer.path("whole"))?;
    let mut command = recover_command(coffer.folder());
    command.args(["-", "-i", "coffer.key", "-o", "out"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut script = command.spawn()?;
    let mut input = script.stdin.take().context("no standard input")?;
    // More than a batch of segments must be there before anything comes out.
    coffer.app("b").fill_large(12)?;
    coffer.run_well(["export", "local/b", "-o", "large"])?;
    let large = std::fs::read(coffer.path("large"))?;
    ensure!(large.len() > whole.len() && large.len() > 6 << 20, "the archive is too small");
    input.write_all(large.get(..6 << 20).context("too small")?)?;
    let begun = Instant::now();
    while !coffer.path("out.part").exists() {
        ensure!(begun.elapsed() < Duration::from_secs(20), "nothing was begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    tool("kill", ["-TERM", &script.id().to_string()])?;
    ensure!(script.wait()?.code() == Some(130), "it did not end as one that was interrupted");
    drop(input);
    ensure!(!coffer.path("out.part").exists() && !coffer.path("out").exists(), "something is left over");
    let mut said = String::new();
    #[expect(clippy::disallowed_methods, reason = "a line or two")]
    script.stderr.take().context("no standard error")?.read_to_string(&mut said)?;
    ensure!(said.contains("interrupted") && !said.contains("Traceback"), "{said}");
    Ok(())
}

/// Runs the script with programs in front of `age` and `openssl` that note what everybody who lists processes could read.
fn seen_by_others(coffer: &Coffer, arguments: &[&str]) -> Result<String> {
    shell(
        coffer.folder(),
        "rm -rf spies seen; mkdir spies; : > seen
        for name in age openssl; do
            printf '#!/bin/sh\\necho \"%s $*\" >> %s/seen; env >> %s/seen\\nexec %s \"$@\"\\n' \
                $name $PWD $PWD $(command -v $name) > spies/$name
            chmod +x spies/$name
        done",
    )?;
    let path = std::env::split_paths(&OsString::from("/usr/bin:/bin")).collect::<Vec<_>>();
    let path = std::env::join_paths([coffer.path("spies")].into_iter().chain(path))?;
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.arg(recovery_script("recover.py")).args(arguments).env("PATH", path).current_dir(coffer.folder());
    outcome_of(&mut command)?.ends_with(0, &["is whole"])?;
    Ok(std::fs::read_to_string(coffer.path("seen"))?)
}

#[test]
fn no_process_shows_a_key_unless_it_was_asked_for() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    let arguments = ["whole", "-i", "coffer.key", "-o", "out"];
    let seen = seen_by_others(&coffer, &arguments)?;
    ensure!(seen.contains("age -d -i coffer.key /dev/fd/"), "the spy saw nothing: {seen}");
    ensure!(!seen.contains("openssl enc") && !seen.contains("-K") && !seen.contains("AGE-SECRET-KEY"), "{seen}");
    std::fs::rename(coffer.path("out"), coffer.path("by-library"))?;
    let seen = seen_by_others(&coffer, &[arguments.as_slice(), &["--key-on-command-line"]].concat())?;
    ensure!(seen.contains("openssl enc -d -aes-256-ctr -K "), "the program was not run: {seen}");
    shell(coffer.folder(), "cmp out by-library").map(drop)
}

#[test]
fn the_first_script_alone_opens_the_seal() -> Result<()> {
    let coffer = with_small_archive(&[])?;
    std::fs::copy(recovery_script("recover.py"), coffer.path("recover.py"))?;
    shell(
        coffer.folder(),
        "python3 recover.py whole -i coffer.key 2> said; grep -q 'all its segments' said; gzip -t whole.tar.gz
        ! python3 recover.py whole.tar.gz --extract . 2> said; grep -q 'takes unpack.py' said
        test ! -e whole.extracted",
    )
    .map(drop)
}

/// A forged archive with one object, and what else the plan has.
fn forged(coffer: &Coffer, plan: &Value) -> Result<Outcome> {
    forge(&coffer.path("forged"), plan)?;
    recover(coffer.folder(), ["forged", "--extract", ".", "-C", "out"])
}

#[test]
fn attempts_replace_one_another_and_what_has_no_place_gets_one() -> Result<()> {
    let coffer = coffer()?;
    let second = json!({"COFFER.attempt": "2"});
    let long = format!("objects/{}", "%25".repeat(100));
    let plan = json!({"entries": [
        {"name": "objects/a", "content": "a"},
        {"name": "objects/a/b", "content": "b"},
        {"name": "objects/again", "content": "\0\0\0\0\0\0"},
        {"name": "objects/again", "content": "right", "pax": second},
        {"name": "x", "content": "long, at first", "pax": {"path": long}},
        {"name": "x", "content": "long", "pax": {"path": long, "COFFER.attempt": "2"}},
    ], "vanished": ["objects/gone"], "told": {"objects/a": {"void": false}}});
    forged(&coffer, &plan)?.ends_with(0, &["objects/a/b", "misplaced/00000002"])?;
    shell(
        coffer.folder(),
        "cd out; test \"$(cat objects/a objects/again misplaced/0000000?)\" = arightblong
        test \"$(cat misplaced/00000001.path)\" = objects/a/b; test ! -e misplaced/00000003",
    )
    .map(drop)
}

#[test]
fn an_archive_made_to_do_harm_is_refused() -> Result<()> {
    let coffer = coffer()?;
    let outside = coffer.path("outside");
    let outside = outside.to_str().context("not UTF-8")?;
    let with = |entry: Value| json!({"entries": [{"name": "objects/ok", "content": "ok"}, entry]});
    let mut names = vec!["../outside", "objects/../../outside", "objects//a", "./a", "a/.", "a\\b", "a\nb", "a/", ""];
    names.push(outside);
    let named = names.iter().map(|name| with(json!({"name": "x", "pax": {"path": name}})));
    let kinds = ["1", "2", "3", "4", "5", "6", "7", "g", "L", "\0"];
    let kinds = kinds.iter().map(|kind| with(json!({"name": "objects/x", "kind": kind})));
    let other = [
        with(json!({"name": "objects/ok", "content": "twice"})),
        with(json!({"name": "objects/x", "pax": {"size": "-1"}})),
        with(json!({"name": "objects/x", "pax": {"size": "99999999"}})),
        with(json!({"name": "manifest.json"})),
        with(json!({"name": "summary.json", "content": "{}"})),
        with(json!({"name": "summary.json", "content": "[".repeat(100_000)})),
        with(json!({"name": "index/00000001.jsonl", "content": "[1]\n"})),
    ];
    let before = folder_listing(coffer.folder())?.len() + 1;
    for plan in named.chain(kinds).chain(other) {
        let outcome = forged(&coffer, &plan)?;
        outcome.ends_with(13, &[]).with_context(|| plan.to_string().chars().take(300).collect::<String>())?;
        ensure!(!outcome.stderr.contains("Traceback"), "{plan}: {}", outcome.stderr);
        ensure!(folder_listing(coffer.folder())?.len() == before, "{plan}: something is left over");
    }
    let large = with(json!({"name": "index/00000001.jsonl", "content": " ".repeat(1_100_000)}));
    forged(&coffer, &large)?.ends_with(13, &["too large"])?;
    forged(&coffer, &with(json!({"name": "objects/x"})))?.ends_with(0, &["is whole"])
}

#[test]
fn an_archive_that_does_not_keep_its_word_is_found() -> Result<()> {
    let coffer = coffer()?;
    let path = "objects/a";
    let lies = [
        json!({"told": {path: {"sha256": "0".repeat(64)}}}),
        json!({"told": {path: {"size": 4}}}),
        json!({"told": {path: {"path": "objects/b"}}}),
        json!({"told": {path: {"sha256": 7}}}),
        json!({"told": {path: {"size": -1}}}),
        json!({"index_digest": "0".repeat(64)}),
        json!({"complete": false}),
        json!({"summary": false}),
        json!({"end_blocks": 1}),
        json!({"end_blocks": 3}),
        json!({"behind": "more"}),
        json!({"footer": false}),
        json!({"wrong_crc": true}),
        json!({"format": "coffer/2"}),
        json!({"entries": [{"name": "manifest.json", "content": "{\"format\": \"coffer/1\"}"}]}),
    ];
    let plan = |lie: &Value| {
        let mut plan = json!({"entries": [{"name": path, "content": "abc"}]});
        if let (Some(plan), Some(lie)) = (plan.as_object_mut(), lie.as_object()) {
            plan.extend(lie.clone());
        }
        plan
    };
    for lie in lies {
        forge(&coffer.path("forged"), &plan(&lie))?;
        let outcome = recover(coffer.folder(), ["forged", "--check"])?;
        outcome.ends_with(13, &["damaged"]).with_context(|| lie.to_string())?;
        ensure!(!outcome.stderr.contains("begins like no archive"), "it was not even forged: {lie}");
    }
    forged(&coffer, &plan(&json!({})))?.ends_with(0, &["is whole"])
}

#[test]
fn an_archive_without_a_rows_worth_is_not_rebuilt_in_silence() -> Result<()> {
    let coffer = with_small_archive(&["--no-encryption"])?;
    recover(coffer.folder(), ["whole", "--extract", ".", "-C", "out"])?.ends_with(0, &[])?;
    shell(coffer.folder(), "f=out/database/rows/notes/00000000.jsonl; head -n 2 $f > f; mv f $f")?;
    let failure = rebuild(coffer.folder(), "out").err().context("nobody missed the row")?;
    ensure!(failure.to_string().contains("has 2 rows here, and had 3"), "{failure}");
    // What an archive's SQL may not do.
    recover(coffer.folder(), ["whole", "--extract", ".", "-C", "more"])?.ends_with(0, &[])?;
    shell(
        coffer.folder(),
        "rm -r rebuilt; echo \"ATTACH 'evil' AS evil; CREATE TABLE evil.t(a);\" > more/database/post-data.sql",
    )?;
    ensure!(rebuild(coffer.folder(), "more").is_err() && !coffer.path("evil").exists(), "it made a file");
    Ok(())
}

/// The page's programs or commands, by the language of their fence, from one heading on to the next of its level.
fn blocks<'a>(page: &'a str, heading: &str, language: &str) -> Result<Vec<&'a str>> {
    let (_, part) = page.split_once(heading).with_context(|| format!("RECOVERY.md has no {heading}"))?;
    let part = part.split("\n# Part").next().unwrap_or_default();
    let fence = format!("```{language}\n");
    part.split(&fence).skip(1).map(|rest| Ok(rest.split_once("```").context("a fence is open")?.0)).collect()
}

#[test]
fn the_page_gets_everything_back_with_the_scripts() -> Result<()> {
    let page = std::fs::read_to_string(PAGE)?;
    let coffer = with_awkward_app()?;
    std::fs::copy(coffer.make_identity()?, coffer.path("coffer.key"))?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    let scripts = recovery_script("");
    shell(coffer.folder(), &format!("cp -r {} recover", scripts.display()))?;
    let commands = [blocks(&page, "# Recovery", "sh")?, blocks(&page, "# Part one", "sh")?].concat();
    ensure!(commands.len() >= 8, "the page has only {} blocks", commands.len());
    shell(coffer.folder(), &commands.concat())?;
    assert_same_app(&coffer.app("a"), &coffer.app_at("rebuilt"))?;
    shell(
        coffer.folder(),
        "gzip -t x.tar.gz; diff -r unpacked from-a-pipe; test $(grep -c . names) -gt 1000
        cmp some/objects/readme.txt coffer-data/apps/a/files/readme.txt; diff -r some/database unpacked/database
        test ! -e some/index",
    )
    .map(drop)
}

#[test]
fn the_page_gets_everything_back_without_the_scripts() -> Result<()> {
    let page = std::fs::read_to_string(PAGE)?;
    let coffer = with_awkward_app()?;
    let app = coffer.app("a");
    std::fs::remove_dir_all(app.files().join("%".repeat(240)))?; // tar has no place for it, which the page says
    app.sqlite(&[&format!("DROP TABLE \"{}\"", "%".repeat(120))])?;
    std::fs::copy(coffer.make_identity()?, coffer.path("coffer.key"))?;
    std::fs::write(coffer.path("passphrase"), "correct horse battery staple\n")?;
    let programs = blocks(&page, "# Part two", "python")?;
    let [envelope, check, by_hand] = programs[..] else { anyhow::bail!("the page does not have three programs") };
    ensure!(by_hand == std::fs::read_to_string(recovery_script("rebuild.py"))?, "rebuild.py is not as on the page");
    for (name, program) in [("envelope.py", envelope), ("check.py", check), ("rebuild.py", by_hand)] {
        std::fs::write(coffer.path(name), program)?;
    }
    let commands = [blocks(&page, "# Recovery", "sh")?, blocks(&page, "# Part two", "sh")?].concat().concat();
    for (compression, seal) in [("gzip", ""), ("zstd", ""), ("gzip", "--passphrase-file=passphrase")] {
        let export = ["export", "local/a", "-o", "x.coffer", "--compression", compression];
        coffer.run_well(export.into_iter().chain((!seal.is_empty()).then_some(seal)))?;
        if seal.is_empty() {
            shell(coffer.folder(), &commands)?;
        } else {
            let typed = commands.replace("age -d -i coffer.key envelope.age", "age -d envelope.age");
            let bash = ["bash", "-euo", "pipefail", "-c", &typed].map(OsStr::new);
            at_a_terminal(coffer.folder(), &bash)?.ends_with(0, &[])?;
        }
        assert_same_app(&app, &coffer.app_at("rebuilt-by-hand"))?;
        shell(coffer.folder(), "rm -r unpacked-by-hand rebuilt-by-hand")?;
    }
    the_check_by_hand_refuses_damage(&coffer)
}

fn the_check_by_hand_refuses_damage(coffer: &Coffer) -> Result<()> {
    std::fs::write(coffer.path("passphrase"), "correct horse battery staple\n")?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    shell(
        coffer.folder(),
        "python3 envelope.py x.coffer > envelope.age; age -d -i coffer.key envelope.age > archive.key
        python3 check.py x.coffer archive.key out > key",
    )?;
    let whole = std::fs::read(coffer.path("x.coffer"))?;
    let second = *segment_offsets(&whole)?.get(1).context("one segment")?;
    let append = Damage::Append { bytes: vec![0; 40] };
    for damage in
        [Damage::Flip { at: 70, bits: 1 }, Damage::Flip { at: second, bits: 1 }, Damage::Cut { length: second }, append]
    {
        std::fs::write(coffer.path("damaged"), damage.apply(&whole))?;
        let refused = shell(coffer.folder(), "python3 check.py damaged archive.key out").err();
        ensure!(refused.is_some_and(|refused| refused.to_string().contains("damaged")), "{damage:?} was not seen");
    }
    Ok(())
}
