//! Archives in the hands of tools that know nothing of us, and keys that others made.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use coffer_tests::{Coffer, assert_same_app, assert_same_files, decode_name, mixed_files, shell, tar_entries, tool};

fn coffer() -> Result<Coffer> {
    Coffer::new(env!("CARGO_BIN_EXE_coffer"))
}

/// An app with all that is awkward, but for the names that a tar on a file system has no room for.
fn with_awkward_app() -> Result<Coffer> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.fill_awkward("UTF-8")?;
    app.add_broken_text()?;
    mixed_files(&app.files(), 2 << 20)?;
    std::fs::remove_dir_all(app.files().join("%".repeat(240)))?;
    Ok(coffer)
}

#[test]
fn gzip_and_tar_take_an_unsealed_archive() -> Result<()> {
    let coffer = with_awkward_app()?;
    coffer.run_well(["export", "local/a", "-o", "x.tar.gz", "--no-encryption"])?;
    shell(
        coffer.folder(),
        "export LC_ALL=C.UTF-8
        gzip -t x.tar.gz
        tar tf x.tar.gz --warning=no-unknown-keyword > names
        mkdir unpacked
        tar xf x.tar.gz --warning=no-unknown-keyword -C unpacked
        test $(wc -l < names) = $(find unpacked -type f | wc -l)
        test \"$(head -n 1 names)\" = manifest.json
        test \"$(tail -n 1 names)\" = summary.json",
    )?;
    // Names that the format wrote as %XX are read back, and then every file is there.
    let tar = tool("gzip", [Path::new("-dc"), &coffer.path("x.tar.gz")])?;
    let mut objects = BTreeMap::new();
    for entry in tar_entries(&tar)? {
        if let Some(key) = entry.path.strip_prefix("objects/") {
            objects.insert(decode_name(key), entry.path.clone());
        }
    }
    let renamed = coffer.path("renamed");
    for (key, path) in &objects {
        let to = renamed.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(key));
        std::fs::create_dir_all(to.parent().context("no folder")?)?;
        std::fs::rename(coffer.path("unpacked").join(path), to).with_context(|| path.clone())?;
    }
    assert_same_files(&coffer.app("a").files(), &renamed)
}

#[test]
fn keys_of_age_are_keys_of_ours() -> Result<()> {
    let coffer = coffer()?;
    let app = coffer.app("a");
    app.fill_small()?;
    let recipient = shell(coffer.folder(), "age-keygen -o theirs.key 2>/dev/null; age-keygen -y theirs.key")?;
    let recipient = recipient.trim();
    coffer.run_well(["keygen", "-o", "ours.key"])?;
    let ours = shell(coffer.folder(), "age-keygen -y ours.key")?;
    let ours = ours.trim();
    coffer.run_well(["export", "local/a", "-o", "x.coffer", "-r", recipient, "-r", ours])?;
    for (identity, to) in [("theirs.key", "b"), ("ours.key", "c")] {
        coffer.run_well(["restore", "x.coffer", "--into", &format!("local/{to}"), "-i", identity])?;
        assert_same_app(&app, &coffer.app(to))?;
    }
    // The envelope is an age file: the same key is in it for both.
    let archive = std::fs::read(coffer.path("x.coffer"))?;
    let length = u32::from_le_bytes(archive.get(8..12).context("no header")?.try_into()?) as usize;
    std::fs::write(coffer.path("envelope.age"), archive.get(12..12 + length).context("no envelope")?)?;
    shell(
        coffer.folder(),
        "age -d -i theirs.key envelope.age > one
        age -d -i ours.key envelope.age > two
        cmp one two
        test $(stat -c %s one) = 32",
    )
    .map(drop)
}

#[test]
fn an_archive_packed_anew_by_gzip_is_taken_whole_or_not_at_all() -> Result<()> {
    let coffer = coffer()?;
    coffer.app("a").fill_small()?;
    coffer.run_well(["export", "local/a", "-o", "x.tar.gz", "--no-encryption"])?;
    shell(coffer.folder(), "gzip -dc x.tar.gz | gzip > y.tar.gz; head -c -100 y.tar.gz > cut.tar.gz")?;
    coffer.run(["restore", "cut.tar.gz", "--into", "local/b"])?.ends_with(13, &[])?;
    ensure!(!coffer.app("b").exists(), "something of the target is there");
    coffer.run_well(["restore", "y.tar.gz", "--into", "local/b"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))
}
