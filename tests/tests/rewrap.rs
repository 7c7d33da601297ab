//! Other recipients for a sealed archive: the segments stay the same bytes, and a failure leaves the old archive.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coffer_tests::{Coffer, assert_same_app, folder_listing, say, shell, tool};

/// A small app `local/a`, the identities `one`, `two` and `three`, and `x`, which `one` and `two` open.
fn with_archive() -> Result<Coffer> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.app("a").fill_small()?;
    for name in ["one", "two", "three"] {
        coffer.run_well(["keygen", "-o", name])?;
        std::fs::write(coffer.path(&format!("{name}.pub")), recipient(&coffer, name)?)?;
    }
    let (one, two) = (recipient(&coffer, "one")?, recipient(&coffer, "two")?);
    coffer.run_well(["export", "local/a", "-o", "x", "-r", &one, "-r", &two])?;
    Ok(coffer)
}

fn recipient(coffer: &Coffer, identity: &str) -> Result<String> {
    let text = std::fs::read_to_string(coffer.path(identity))?;
    Ok(text.split_whitespace().find(|word| word.starts_with("age1")).context("no recipient")?.to_owned())
}

/// Where the header's tag begins.
fn tag_at(archive: &[u8]) -> Result<usize> {
    ensure!(archive.starts_with(b"coffer/1"), "it is not sealed");
    let length = archive.get(8..12).context("it has no length")?;
    Ok(28 + u32::from_le_bytes(length.try_into()?) as usize)
}

/// What follows the header, and the id in it.
fn segments(archive: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(archive)?;
    let tag = tag_at(&bytes)?;
    let (id, segments) = (bytes.get(tag - 16..tag).context("no id")?, bytes.get(tag + 32..).context("no segments")?);
    Ok([id, segments].concat())
}

fn ensure_opens(coffer: &Coffer, archive: &str, identities: &[&str], not: &[&str]) -> Result<()> {
    for identity in identities {
        coffer.run_well(["verify", archive, "-i", identity]).with_context(|| format!("{archive}, {identity}"))?;
    }
    for identity in not {
        coffer.run(["verify", archive, "-i", identity])?.ends_with(12, &["identities"])?;
    }
    Ok(())
}

#[test]
fn others_open_it_and_the_segments_stay() -> Result<()> {
    let coffer = with_archive()?;
    let before = segments(&coffer.path("x"))?;
    ensure_opens(&coffer, "x", &["one", "two"], &["three"])?;
    let (two, three) = (recipient(&coffer, "two")?, recipient(&coffer, "three")?);

    // To another file, and the archive stays as it is.
    let whole = std::fs::read(coffer.path("x"))?;
    coffer.run_well(["rewrap", "x", "-i", "one", "-r", &three, "-o", "y"])?;
    ensure!(std::fs::read(coffer.path("x"))? == whole, "the archive itself has changed");
    ensure_opens(&coffer, "y", &["three"], &["one", "two"])?;
    ensure!(segments(&coffer.path("y"))? == before, "the segments are others");

    // In its place, from either of two, for two of whom one is new.
    std::fs::set_permissions(coffer.path("x"), std::fs::Permissions::from_mode(0o640))?;
    coffer.run_well(["rewrap", "x", "-i", "two", "-R", "two.pub", "-r", &three])?;
    ensure_opens(&coffer, "x", &["two", "three"], &["one"])?;
    ensure!(segments(&coffer.path("x"))? == before, "the segments are others");
    let mode = coffer.path("x").metadata()?.permissions().mode() & 0o777;
    ensure!(mode == 0o640, "its permissions are {mode:o}");
    coffer.run_well(["restore", "x", "--into", "local/b", "-i", "three"])?;
    assert_same_app(&coffer.app("a"), &coffer.app("b"))?;

    // Through streams.
    shell(coffer.folder(), &format!("ln -s x link; cat y > piped; {} < piped > z", command(&coffer, "-", &two)?))?;
    ensure_opens(&coffer, "z", &["two"], &["three"])?;
    ensure!(segments(&coffer.path("z"))? == before, "the segments are others");
    // A link is followed, and stays one.
    coffer.run_well(["rewrap", "link", "-i", "two", "-r", &two])?;
    ensure!(coffer.path("link").symlink_metadata()?.is_symlink(), "the link was replaced");
    ensure_opens(&coffer, "x", &["two"], &["three"])
}

fn command(coffer: &Coffer, archive: &str, recipient: &str) -> Result<String> {
    let command = coffer.command();
    let program = command.get_program().to_str().context("not UTF-8")?;
    Ok(format!("{program} rewrap {archive} -i three -r {recipient} -o -"))
}

#[test]
fn a_passphrase_takes_the_place_of_keys_and_back() -> Result<()> {
    let coffer = with_archive()?;
    let before = segments(&coffer.path("x"))?;
    std::fs::write(coffer.path("old"), "correct horse\n")?;
    std::fs::write(coffer.path("new"), "battery staple\n")?;
    coffer.run_well(["rewrap", "x", "-i", "one", "--new-passphrase-file", "old"])?;
    coffer.run_well(["verify", "x", "--passphrase-file", "old"])?;
    coffer.run(["verify", "x", "-i", "one"])?.ends_with(12, &["passphrase"])?;
    coffer.run_well(["rewrap", "x", "--passphrase-file", "old", "--new-passphrase-file", "new"])?;
    coffer.run(["verify", "x", "--passphrase-file", "old"])?.ends_with(12, &["passphrase"])?;
    let one = recipient(&coffer, "one")?;
    coffer.run_well(["rewrap", "x", "--passphrase-file", "new", "-r", &one])?;
    ensure_opens(&coffer, "x", &["one"], &["two"])?;
    ensure!(segments(&coffer.path("x"))? == before, "the segments are others");
    let both = ["rewrap", "x", "-i", "one", "-r", &one, "--new-passphrase-file", "new"];
    coffer.run(both)?.ends_with(2, &["stands alone"])
}

#[test]
fn what_can_not_be_rewrapped_is_left_as_it_is() -> Result<()> {
    let coffer = with_archive()?;
    let one = recipient(&coffer, "one")?;
    coffer.run_well(["export", "local/a", "-o", "plain", "--no-encryption"])?;
    let whole = std::fs::read(coffer.path("x"))?;
    std::fs::write(coffer.path("cut"), &whole[..100])?;
    let mut damaged = whole.clone();
    damaged[tag_at(&whole)?] ^= 1;
    std::fs::write(coffer.path("damaged"), damaged)?;
    std::fs::write(coffer.path("empty"), "")?;
    let listing = folder_listing(coffer.folder())?;
    for (archive, identity, code, word) in [
        ("x", "three", 12, "identities"),
        ("plain", "one", 1, "not sealed"),
        ("cut", "one", 13, "cut short"),
        ("damaged", "one", 13, "tag"),
        ("empty", "one", 13, "cut short"),
        ("gone", "one", 10, "gone"),
    ] {
        let before = std::fs::read(coffer.path(archive)).ok();
        let outcome = coffer.run(["rewrap", archive, "-i", identity, "-r", &one])?;
        outcome.ends_with(code, &[word]).context(archive)?;
        ensure!(std::fs::read(coffer.path(archive)).ok() == before, "{archive} has changed");
    }
    coffer.run(["rewrap", "x", "-i", "one"])?.ends_with(2, &["-r RECIPIENT"])?;
    coffer.run(["rewrap", "-", "-i", "one", "-r", &one])?.ends_with(2, &["-o"])?;
    ensure!(std::fs::read(coffer.path("x"))? == whole, "the archive has changed");
    ensure!(folder_listing(coffer.folder())? == listing, "something was left: {:?}", folder_listing(coffer.folder())?);
    Ok(())
}

#[test]
fn an_interrupted_one_leaves_the_old_archive() -> Result<()> {
    let coffer = with_archive()?;
    let (whole, three) = (std::fs::read(coffer.path("x"))?, recipient(&coffer, "three")?);
    let listing = folder_listing(coffer.folder())?;
    let mut command = coffer.command();
    command.args(["rewrap", "-", "-i", "one", "-r", &three, "-o", "x"]).stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    // All but the end comes; the rest is waited for.
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(&whole[..whole.len() - 1_000])?;
    for _ in 0..100 {
        if folder_listing(coffer.folder())?.len() > listing.len() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(folder_listing(coffer.folder())?.len() > listing.len(), "it writes to no new file");
    std::thread::sleep(Duration::from_millis(300));
    tool("kill", ["-INT", &child.id().to_string()])?;
    let status = child.wait()?;
    ensure!(status.code() == Some(130), "{status}");
    drop(input);
    ensure!(std::fs::read(coffer.path("x"))? == whole, "the old archive has changed");
    ensure!(folder_listing(coffer.folder())? == listing, "something was left: {:?}", folder_listing(coffer.folder())?);
    Ok(())
}

#[test]
fn a_full_disk_leaves_the_old_archive() -> Result<()> {
    let coffer = with_archive()?;
    let disk = coffer.path("disk");
    std::fs::create_dir(&disk)?;
    let folder = disk.to_str().context("not UTF-8")?;
    if tool("mount", ["-t", "tmpfs", "-o", "size=500k", "coffer-tests", folder]).is_err() {
        say("SKIPPED: a full disk needs the right to mount a tmpfs");
        return Ok(());
    }
    let tried = || -> Result<()> {
        std::fs::copy(coffer.path("x"), disk.join("x"))?;
        let one = recipient(&coffer, "one")?;
        coffer.run(["rewrap", "disk/x", "-i", "one", "-r", &one])?.ends_with(1, &["space"])?;
        ensure!(std::fs::read(disk.join("x"))? == std::fs::read(coffer.path("x"))?, "the old archive has changed");
        ensure!(folder_listing(&disk)?.len() == 1, "something was left: {:?}", folder_listing(&disk)?);
        Ok(())
    };
    let tried = tried();
    tool("umount", ["-l", folder])?;
    tried
}
