//! Single files and folders out of an archive, and what is in one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use coffer_tests::{
    Coffer, Contents, Outcome, Random, assert_same_app, decode_name, folder_listing, mixed_files, shell,
};
use serde_json::Value;

fn coffer() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    Ok(coffer)
}

/// A small app `local/a` and its archives, `x.coffer` and `x.tar.gz`.
fn with_archives() -> Result<Coffer> {
    let coffer = coffer()?;
    coffer.app("a").fill_small()?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    coffer.run_well(["export", "local/a", "-o", "x.tar.gz", "--no-encryption"])?;
    Ok(coffer)
}

/// The summary of a run with `--json`.
fn summary(outcome: &Outcome) -> Result<Value> {
    let lines = outcome.json_lines()?;
    lines.into_iter().find(|line| line["message_type"] == "summary").with_context(|| format!("no summary: {outcome:?}"))
}

/// The lines of `inspect --entries`.
fn entries(coffer: &Coffer, archive: &str) -> Result<Vec<Value>> {
    let outcome = coffer.run(["inspect", "--entries", "--json", archive])?;
    outcome.ends_with(0, &[])?;
    Ok(outcome.json_lines()?.into_iter().filter(|line| line["message_type"] == "entry").collect())
}

/// Runs with the archive at standard input.
fn run_piped(coffer: &Coffer, archive: &str, arguments: &[&str]) -> Result<Outcome> {
    let mut command = coffer.command();
    // A pipe, which can't be seeked, and not the file.
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut input, bytes) = (child.stdin.take().context("no input")?, std::fs::read(coffer.path(archive))?);
    let feeding = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output()?;
    feeding.join().map_err(|_| anyhow::anyhow!("the feeder panicked"))?.ok();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr })
}

fn names(coffer: &Coffer, folder: &str) -> Result<Vec<String>> {
    let prefix = format!("{}/", coffer.path(folder).display());
    Ok(folder_listing(&coffer.path(folder))?.into_iter().map(|path| path.replace(&prefix, "")).collect())
}

#[test]
fn each_path_of_an_app_comes_out_as_it_went_in() -> Result<()> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.fill_awkward("UTF-8")?;
    mixed_files(&app.files(), 1 << 20)?;
    for (compression, flags) in [("gzip", &[][..]), ("zstd", &["--no-encryption"]), ("none", &[])] {
        let export = ["export", "local/a", "-o", "x", "--compression", compression];
        coffer.run_well(export.iter().chain(flags))?;
        let listed = entries(&coffer, "x")?;
        let objects =
            listed.iter().filter_map(|line| line["path"].as_str()).filter(|path| path.starts_with("objects/"));
        let objects: Vec<_> = objects.collect();
        ensure!(objects.len() >= 1_000, "{} objects are listed", objects.len());

        let outcome = coffer.run(["extract", "--json", "x", "objects/", "-C", "out"])?;
        outcome.ends_with(0, &[])?;
        ensure!(summary(&outcome)?["files"] == objects.len(), "{:?}", summary(&outcome)?);
        let others = other_names(&outcome)?;
        ensure!(!others.is_empty(), "a name of 720 bytes found room");
        for path in &objects {
            let key = decode_name(path.strip_prefix("objects/").context("no object")?);
            let expected = std::fs::read(app.files().join(OsStr::from_bytes(&key)))?;
            let written = others.get(*path).map_or(*path, String::as_str);
            let found = std::fs::read(coffer.path("out").join(written)).with_context(|| (*path).to_owned())?;
            ensure!(found == expected, "{path} has other content");
        }
        ensure!(names(&coffer, "out")?.iter().all(|name| name.starts_with("objects")), "something else is there");
        std::fs::remove_dir_all(coffer.path("out"))?;
    }
    Ok(())
}

/// Paths that were written under another name.
fn other_names(outcome: &Outcome) -> Result<BTreeMap<String, String>> {
    let mut others = BTreeMap::new();
    for line in outcome.json_lines()? {
        let message = line.get("message").and_then(Value::as_str).unwrap_or_default();
        if let Some((path, written)) =
            message.split_once(" can't stand in a file system beside the rest: it is written as ")
        {
            others.insert(serde_json::from_str(path)?, serde_json::from_str(written)?);
        }
    }
    Ok(others)
}

#[test]
fn one_of_many_objects_takes_four_reads_of_little() -> Result<()> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.sqlite(&["CREATE TABLE t(a)"])?;
    let mut random = Random::new(3);
    for n in 0..5_000 {
        app.put(&format!("many/{n:05}.bin"), &random.bytes(2_000))?;
    }
    for (name, arguments) in [
        ("gzip", &["--compression", "gzip"][..]),
        ("zstd", &["--compression", "zstd"]),
        ("none", &["--compression", "none"]),
        ("gzip-plain", &["--no-encryption"]),
        ("zstd-plain", &["--no-encryption", "--compression", "zstd"]),
    ] {
        coffer.run_well(["export", "local/a", "-o", name].iter().chain(arguments))?;
        let whole = coffer.path(name).metadata()?.len();
        ensure!(whole > 10_000_000, "{name} has {whole} bytes");
        for object in ["many/00000.bin", "many/02500.bin", "many/04999.bin"] {
            let path = format!("objects/{object}");
            let outcome = coffer.run(["extract", "--json", name, &path, "-C", "out"])?;
            outcome.ends_with(0, &[])?;
            let summary = summary(&outcome)?;
            let (reads, bytes) = (summary["ranged_reads"].as_u64(), summary["bytes_read"].as_u64());
            ensure!((1..=4).contains(&reads.unwrap_or(0)), "{name} {path}: {summary}");
            ensure!((1..3_000_000).contains(&bytes.unwrap_or(0)), "{name} {path}: {summary}");
            let found = std::fs::read(coffer.path("out").join(&path))?;
            ensure!(found == std::fs::read(app.files().join(object))?, "{name} {path} has other content");
            std::fs::remove_dir_all(coffer.path("out"))?;
        }
    }
    Ok(())
}

#[test]
fn files_folders_and_documents_come_out_of_files_and_streams() -> Result<()> {
    let coffer = with_archives()?;
    shell(coffer.folder(), "gzip -dc x.tar.gz | gzip > foreign; gzip -dc x.tar.gz | zstd -q > foreign-zstd")?;
    let app = coffer.app("a");
    for archive in ["x.coffer", "x.tar.gz", "foreign", "foreign-zstd"] {
        for piped in [false, true] {
            let archive_argument = if piped { "-" } else { archive };
            let arguments =
                ["extract", archive_argument, "-C", "out", "objects/pictures/", "objects/readme.txt", "manifest.json"];
            let outcome = if piped { run_piped(&coffer, archive, &arguments)? } else { coffer.run(arguments)? };
            outcome.ends_with(0, &[]).with_context(|| format!("{archive}, piped: {piped}"))?;
            ensure!(
                names(&coffer, "out")?
                    == [
                        "manifest.json",
                        "objects",
                        "objects/pictures",
                        "objects/pictures/one.png",
                        "objects/pictures/two words.bin",
                        "objects/readme.txt"
                    ],
                "{archive}: {:?}",
                names(&coffer, "out")?
            );
            for object in ["pictures/one.png", "pictures/two words.bin", "readme.txt"] {
                let found = std::fs::read(coffer.path("out/objects").join(object))?;
                ensure!(found == std::fs::read(app.files().join(object))?, "{archive}: {object}");
            }
            std::fs::remove_dir_all(coffer.path("out"))?;
        }
        ensure!(entries(&coffer, archive)?.len() == 9, "{archive}: {:?}", entries(&coffer, archive)?);
    }
    // A named pipe is no file to be seeked either.
    shell(
        coffer.folder(),
        &format!(
            "mkfifo pipe; cat x.coffer > pipe & {:?} extract pipe objects/readme.txt -C out; wait",
            coffer.command().get_program()
        ),
    )?;
    ensure!(std::fs::read(coffer.path("out/objects/readme.txt"))? == b"hello\n", "nothing came out of the pipe");
    Ok(())
}

#[test]
fn what_is_there_already_stays_unless_forced() -> Result<()> {
    let coffer = with_archives()?;
    for piped in [false, true] {
        let archive = if piped { "-" } else { "x.coffer" };
        let run = |arguments: &[&str]| {
            let arguments = [&["extract", archive, "-C", "out"], arguments].concat();
            if piped { run_piped(&coffer, "x.coffer", &arguments) } else { coffer.run(&arguments) }
        };
        std::fs::create_dir_all(coffer.path("out/objects"))?;
        std::fs::write(coffer.path("out/objects/readme.txt"), "mine")?;
        run(&["objects/"])?.ends_with(1, &["objects/readme.txt", "--force"])?;
        ensure!(std::fs::read(coffer.path("out/objects/readme.txt"))? == b"mine", "it was overwritten");
        ensure!(coffer.path("out/objects/pictures/one.png").exists(), "the others were not extracted");
        run(&["objects/", "--force"])?.ends_with(0, &[])?;
        ensure!(std::fs::read(coffer.path("out/objects/readme.txt"))? == b"hello\n", "it was not replaced");
        std::fs::remove_dir_all(coffer.path("out"))?;

        // What is missing is named, and the rest is there.
        let missing = run(&["objects/readme.txt", "objects/pictures", "objects/nothing", "database/rows/none/"])?;
        missing.ends_with(10, &["\"objects/pictures\"", "\"objects/nothing\"", "\"database/rows/none/\""])?;
        ensure!(!missing.stderr.contains("readme.txt"), "{}", missing.stderr);
        ensure!(names(&coffer, "out")? == ["objects", "objects/readme.txt"], "{:?}", names(&coffer, "out")?);
        std::fs::remove_dir_all(coffer.path("out"))?;
    }
    coffer.run(["extract", "gone", "objects/a"])?.ends_with(10, &["gone"])
}

#[test]
fn nothing_of_a_damaged_archive_appears() -> Result<()> {
    let coffer = with_archives()?;
    let whole = std::fs::read(coffer.path("x.coffer"))?;
    // A bit in the midst, where the large object is; the end missing.
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (damaged, place) in [(flipped, "midst"), (whole[..whole.len() - 1].to_vec(), "end")] {
        std::fs::write(coffer.path("damaged"), damaged)?;
        for piped in [false, true] {
            let arguments = ["extract", if piped { "-" } else { "damaged" }, "objects/pictures/", "-C", "out"];
            let outcome = if piped { run_piped(&coffer, "damaged", &arguments)? } else { coffer.run(arguments)? };
            outcome.ends_with(13, &[]).with_context(|| format!("{place}, piped: {piped}"))?;
            let left = names(&coffer, "out")?;
            // By random access, what was whole before may be there.
            let whole_ones = ["objects", "objects/pictures", "objects/pictures/two words.bin"];
            let allowed = |name: &String| !piped && whole_ones.contains(&name.as_str());
            ensure!(left.iter().all(allowed), "{place}, piped: {piped}: {left:?} is there");
            std::fs::remove_dir_all(coffer.path("out")).ok();
        }
    }
    Ok(())
}

#[test]
fn no_link_in_the_folder_is_followed_out_of_it() -> Result<()> {
    let coffer = with_archives()?;
    let elsewhere = coffer.path("elsewhere");
    std::fs::create_dir(&elsewhere)?;
    std::fs::write(elsewhere.join("one.png"), "theirs")?;
    type Set = fn(&std::path::Path, &std::path::Path) -> std::io::Result<()>;
    let set_ups: [(Set, i32); 4] = [
        (|out, elsewhere| symlink(elsewhere, out.join("objects")), 1),
        (
            |out, elsewhere| {
                std::fs::create_dir(out.join("objects"))?;
                symlink(elsewhere, out.join("objects/pictures"))
            },
            1,
        ),
        // The file itself is a link: it is replaced, and what it points to stays.
        (
            |out, elsewhere| {
                std::fs::create_dir_all(out.join("objects/pictures"))?;
                symlink(elsewhere.join("one.png"), out.join("objects/pictures/one.png"))
            },
            0,
        ),
        (|out, _| symlink("/nowhere", out.join("objects")), 1),
    ];
    for (n, (set_up, code)) in set_ups.into_iter().enumerate() {
        for piped in [false, true] {
            std::fs::create_dir(coffer.path("out"))?;
            set_up(&coffer.path("out"), &elsewhere)?;
            let archive = if piped { "-" } else { "x.coffer" };
            let arguments = ["extract", archive, "objects/pictures/one.png", "-C", "out", "--force"];
            let outcome = if piped { run_piped(&coffer, "x.coffer", &arguments)? } else { coffer.run(arguments)? };
            outcome.ends_with(code, &[]).with_context(|| format!("{n}, piped: {piped}"))?;
            ensure!(code == 0 || outcome.stderr.contains("symbolic link"), "{}", outcome.stderr);
            ensure!(std::fs::read(elsewhere.join("one.png"))? == b"theirs", "{n}: something outside was overwritten");
            ensure!(folder_listing(&elsewhere)?.len() == 1, "{n}: something outside was written");
            ensure!(names(&coffer, "out")?.iter().all(|name| !name.contains("coffer-tmp")), "{n}: something was left");
            std::fs::remove_dir_all(coffer.path("out"))?;
        }
    }
    // The folder named may be a link itself: whoever named it meant it.
    std::fs::create_dir(coffer.path("real"))?;
    symlink("real", coffer.path("out"))?;
    coffer.run_well(["extract", "x.coffer", "objects/readme.txt", "-C", "out"])?;
    ensure!(coffer.path("real/objects/readme.txt").is_file(), "it went elsewhere");
    Ok(())
}

#[test]
fn hostile_and_impossible_names_stay_in_the_folder() -> Result<()> {
    let coffer = with_archives()?;
    let mut contents = Contents::read(&coffer.path("x.tar.gz"))?;
    let long = vec![b'n'; 300];
    let keys: [&[u8]; 11] = [
        b"../evil",
        b"/etc/coffer-evil",
        b"a/../../evil",
        b"readme.txt/below",
        b"readme.txt/deeper/below",
        b"pictures",
        b"nul\0byte",
        b"new\nline",
        b"\x1b[31mred",
        &long,
        &[&long, b"/in it".as_slice()].concat(),
    ];
    keys.iter().for_each(|key| contents.add_object(key));
    contents.write(&coffer.path("evil"))?;
    for piped in [false, true] {
        let before = folder_listing(coffer.folder())?.len();
        std::fs::create_dir(coffer.path("out"))?;
        let arguments = ["extract", "--json", if piped { "-" } else { "evil" }, "objects/", "-C", "out"];
        let outcome = if piped { run_piped(&coffer, "evil", &arguments)? } else { coffer.run(arguments)? };
        outcome.ends_with(0, &[])?;
        ensure!(summary(&outcome)?["files"] == 3 + keys.len(), "{:?}", summary(&outcome)?);
        let others = other_names(&outcome)?;
        // What can't stand has the name that the help tells: cut, and with the digest of its path.
        let digest = |path: &str| -> Result<String> {
            let told = shell(coffer.folder(), &format!("printf %s '{path}' | sha256sum | cut -c -16"))?;
            Ok(told.trim().to_owned())
        };
        let cut = "n".repeat(200);
        let (flat, deep) = (format!("objects/{}", "n".repeat(300)), format!("objects/{}/in it", "n".repeat(300)));
        let expected = BTreeMap::from([
            ("objects/readme.txt/below".to_owned(), {
                format!("objects/readme.txt~{}/below", digest("objects/readme.txt/below")?)
            }),
            ("objects/readme.txt/deeper/below".to_owned(), {
                format!("objects/readme.txt~{}/deeper/below", digest("objects/readme.txt/deeper/below")?)
            }),
            (flat.clone(), format!("objects/{cut}~{}", digest(&flat)?)),
            (deep.clone(), format!("objects/{cut}~{}/in it", digest(&deep)?)),
        ]);
        // `pictures` comes before `pictures/one.png`, which then has to give way.
        let pictures = others.keys().filter(|path| path.starts_with("objects/pictures/")).count();
        ensure!(pictures == 2, "{others:?}");
        for (path, written) in &expected {
            ensure!(others.get(path) == Some(written), "{path} is written as {:?}", others.get(path));
        }
        for written in others.values() {
            ensure!(coffer.path("out").join(written).is_file(), "{written} is not there");
        }
        ensure!(std::fs::read(coffer.path("out/objects/%2E%2E/evil"))? == b"evil", "an object with .. is not there");
        ensure!(!PathBuf::from("/etc/coffer-evil").exists(), "it left the folder");
        let inside = folder_listing(&coffer.path("out"))?.len() + 1;
        ensure!(folder_listing(coffer.folder())?.len() == before + inside, "something is beside the folder");
        std::fs::remove_dir_all(coffer.path("out"))?;
    }
    // Names are told so that no terminal obeys them.
    let told = coffer.run_well(["inspect", "--entries", "evil"])?;
    ensure!(!told.contains(&0x1b), "an escape came through");
    Ok(())
}

/// An export that waits in the midst of its first object, of 24 MiB, until `change` has been made.
fn export_while(coffer: &Coffer, change: impl FnOnce() -> Result<()>) -> Result<Outcome> {
    let mut command = coffer.command();
    let mut child = command.args(["export", "local/a"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().context("no output")?;
    let mut archive = vec![0; 4 << 20];
    output.read_exact(&mut archive)?;
    change()?;
    let mut rest = File::create(coffer.path("x.coffer"))?;
    rest.write_all(&archive)?;
    std::io::copy(&mut output, &mut rest)?;
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: Vec::new(), stderr })
}

/// An app whose first object is large and does not compress, with others behind it.
fn with_large_object() -> Result<Coffer> {
    let coffer = coffer()?;
    coffer.app("a").fill_small()?;
    coffer.app("a").put("large", &Random::new(4).bytes(24 << 20))?;
    // Too large to be read ahead of its turn.
    coffer.app("a").put("z/gone", &Random::new(5).bytes(5 << 20))?;
    Ok(coffer)
}

#[test]
fn what_changes_and_what_goes_during_an_export_is_told_of() -> Result<()> {
    let coffer = with_large_object()?;
    let app = coffer.app("a");
    let outcome = export_while(&coffer, || {
        File::options().append(true).open(app.files().join("large"))?.write_all(b"and more")?;
        Ok(std::fs::remove_file(app.files().join("z/gone"))?)
    })?;
    outcome.ends_with(0, &["1 objects were deleted"])?;
    coffer.run_well(["verify", "x.coffer"])?;
    let told = String::from_utf8(coffer.run_well(["inspect", "x.coffer"])?)?;
    ensure!(told.contains("vanished  1"), "{told}");
    coffer.run(["restore", "x.coffer", "--into", "local/b"])?.ends_with(0, &["1 objects were deleted"])?;
    std::fs::remove_dir(app.files().join("z")).ok();
    assert_same_app(&app, &coffer.app("b"))?;

    // The attempt that counts for nothing is in the archive, and so is the word of what is gone.
    for piped in [false, true] {
        let arguments = ["inspect", "--json", "--entries", if piped { "-" } else { "x.coffer" }];
        let outcome = if piped { run_piped(&coffer, "x.coffer", &arguments)? } else { coffer.run(arguments)? };
        outcome.ends_with(0, &[])?;
        let lines = outcome.json_lines()?;
        let of = |path: &str| lines.iter().filter(|line| line["path"] == path).cloned().collect::<Vec<_>>();
        let (large, gone) = (of("objects/large"), of("objects/z/gone"));
        ensure!(large.len() == 2 && large[0]["void"] == true && large[1]["void"].is_null(), "{large:?}");
        ensure!(large[1]["size"] == (24 << 20) + 8, "{large:?}");
        ensure!(gone.len() == 1 && gone[0]["vanished"] == true, "{gone:?}");

        let archive = if piped { "-" } else { "x.coffer" };
        let arguments = ["extract", archive, "objects/large", "objects/z/gone", "-C", "out"];
        let outcome = if piped { run_piped(&coffer, "x.coffer", &arguments)? } else { coffer.run(arguments)? };
        outcome.ends_with(10, &["objects/z/gone", "deleted while the archive was made"])?;
        ensure!(names(&coffer, "out")? == ["objects", "objects/large"], "{:?}", names(&coffer, "out")?);
        let found = std::fs::read(coffer.path("out/objects/large"))?;
        ensure!(found == std::fs::read(app.files().join("large"))?, "the attempt that is void came out");
        std::fs::remove_dir_all(coffer.path("out"))?;
    }
    Ok(())
}

#[test]
fn what_changes_and_then_goes_fails_the_export_by_its_name() -> Result<()> {
    let coffer = with_large_object()?;
    let large = coffer.app("a").files().join("large");
    let outcome = export_while(&coffer, || {
        File::options().append(true).open(&large)?.write_all(b"and more")?;
        Ok(std::fs::remove_file(&large)?)
    })?;
    outcome.ends_with(1, &["object large", "deleted"])?;
    coffer.run(["verify", "x.coffer"])?.ends_with(13, &[])
}
