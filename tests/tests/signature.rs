//! Who wrote an archive: signed ones are told from others, and a key to trust takes nothing else.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use coffer_tests::{Coffer, Contents, assert_same_app};

/// A small app `local/a`, a service that signs, and the public key that belongs to it.
fn signing() -> Result<(Coffer, String)> {
    let coffer = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    coffer.make_identity()?;
    coffer.app("a").fill_small()?;
    let public = new_key(&coffer, "sign.key")?;
    let key = coffer.path("sign.key").to_str().context("not UTF-8")?.to_owned();
    Ok((coffer.with_variable("COFFER_KEYS_SIGNING_KEY_FILE", &key), public))
}

/// Makes a signing key; its public key is the first line printed.
fn new_key(coffer: &Coffer, file: &str) -> Result<String> {
    let told = String::from_utf8(coffer.run_well(["keygen", "--signing", "-o", file])?)?;
    let mode = coffer.path(file).metadata()?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "others can read the signing key: {mode:o}");
    let public = told.lines().next().context("it told no key")?;
    ensure!(public.len() == 64 && std::fs::read_to_string(coffer.path(file))?.contains(public), "{told}");
    Ok(public.to_owned())
}

/// The commands that take a key to trust, for an archive.
fn readers<'a>(archive: &'a str, key: &'a str) -> [Vec<&'a str>; 4] {
    [
        vec!["verify", archive, "--trust", key],
        vec!["inspect", archive, "--trust", key],
        vec!["restore", archive, "--trust", key, "--into", "local/b"],
        vec!["extract", archive, "--trust", key, "objects/readme.txt", "-C", "out"],
    ]
}

/// Makes sure that every reader refuses an archive, and that nothing of it is anywhere.
fn ensure_refused(coffer: &Coffer, archive: &str, key: &str, words: &[&str]) -> Result<()> {
    for arguments in readers(archive, key) {
        coffer.run(&arguments)?.ends_with(13, words).with_context(|| format!("{arguments:?}"))?;
        ensure!(!coffer.app("b").exists(), "something of the app is there: {arguments:?}");
        ensure!(!coffer.path("out/objects").exists(), "something was extracted: {arguments:?}");
    }
    Ok(())
}

fn ensure_taken(coffer: &Coffer, archive: &str, key: &str) -> Result<()> {
    for arguments in readers(archive, key) {
        coffer.run_well(&arguments).with_context(|| format!("{arguments:?}"))?;
    }
    assert_same_app(&coffer.app("a"), &coffer.app("b"))?;
    std::fs::remove_dir_all(coffer.app("b").folder())?;
    ensure!(std::fs::read(coffer.path("out/objects/readme.txt"))? == b"hello\n", "another file was extracted");
    Ok(std::fs::remove_dir_all(coffer.path("out"))?)
}

#[test]
fn what_is_signed_is_taken_by_its_key_and_by_no_other() -> Result<()> {
    let (coffer, public) = signing()?;
    let other = new_key(&coffer, "other.key")?;
    let service = coffer.serve()?;
    let rest = coffer.path("rest.coffer");
    let rest = rest.to_str().context("not UTF-8")?;
    let answer = service.call("/v1/apps/local/a/export", &["-f", "-X", "POST", "-o", rest])?;
    ensure!(answer.status == 200, "{answer:?}");
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    coffer.run_well(["export", "local/a", "-o", "x.tar.gz", "--no-encryption"])?;
    for archive in ["x.coffer", "x.tar.gz", "rest.coffer"] {
        ensure_refused(&coffer, archive, &other, &[&public, "none of the keys to trust"])?;
        ensure_taken(&coffer, archive, &public).context(archive)?;
        // One of several is enough.
        coffer.run_well(["verify", archive, "--trust", &other, "--trust", &public])?;
        for command in ["verify", "inspect"] {
            let told = String::from_utf8(coffer.run_well([command, archive])?)?;
            ensure!(told.contains(&public), "{command} does not tell who signed: {told}");
        }
    }
    let answer = service.call("/v1/apps/local/c/import", &["-X", "POST", "-T", rest])?;
    ensure!(answer.json()?["signed_by"] == public.as_str(), "{answer:?}");
    Ok(())
}

#[test]
fn what_nobody_signed_is_refused_where_somebody_is_to_be_trusted() -> Result<()> {
    let (coffer, public) = signing()?;
    let unsigned = Coffer::new(env!("CARGO_BIN_EXE_coffer"))?;
    unsigned.app("a").fill_small()?;
    let archive = coffer.path("unsigned");
    let archive = archive.to_str().context("not UTF-8")?;
    unsigned.run_well(["export", "local/a", "-o", archive, "--no-encryption"])?;
    coffer.run_well(["verify", "unsigned"])?;
    ensure_refused(&coffer, "unsigned", &public, &["not signed"])
}

#[test]
fn a_signature_holds_for_what_it_was_made_for_alone() -> Result<()> {
    let (coffer, public) = signing()?;
    coffer.run_well(["export", "local/a", "-o", "x", "--no-encryption"])?;
    let contents = Contents::read(&coffer.path("x"))?;
    // Written anew as it was, it is the same: what follows is due to the changes.
    contents.clone().write(&coffer.path("same"))?;
    ensure_taken(&coffer, "same", &public)?;

    let mut content = contents.clone();
    content.objects.last_mut().context("no object")?.1[0] ^= 1;
    let mut rows = contents.clone();
    rows.rows[0].1.splice(..3, *b"[7,");
    let mut more = contents.clone();
    more.add_object(b"zzz");
    let mut id = contents.clone();
    id.manifest.archive_id = "0".repeat(32);
    let mut value = contents.clone();
    let signature = value.signature.as_mut().context("no signature")?;
    let flipped = if signature.value.starts_with('0') { "1" } else { "0" };
    signature.value.replace_range(..1, flipped);
    let mut key = contents.clone();
    key.signature.as_mut().context("no signature")?.key = new_key(&coffer, "other.key")?;
    for (what, changed) in
        [("content", content), ("rows", rows), ("more", more), ("id", id), ("value", value), ("key", key)]
    {
        changed.write(&coffer.path("changed"))?;
        ensure_refused(&coffer, "changed", &public, &["signature"]).context(what)?;
        // A signature that does not hold is damage, whoever is to be trusted.
        for arguments in [
            &["verify", "changed"][..],
            &["restore", "changed", "--into", "local/b"],
            &["inspect", "changed"],
            &["extract", "changed", "objects/readme.txt", "-C", "out"],
        ] {
            coffer.run(arguments)?.ends_with(13, &["signature"]).with_context(|| format!("{what}: {arguments:?}"))?;
        }
        ensure!(!coffer.app("b").exists() && !coffer.path("out/objects").exists(), "{what}: something is there");
    }
    let mut malformed = contents;
    malformed.manifest.archive_id = "0".repeat(31);
    malformed.write(&coffer.path("changed"))?;
    coffer.run(["verify", "changed"])?.ends_with(13, &["archive_id is not"])
}

/// Writes `forged`: `x` with another word in an object and that word's digest in the index, and all else as it was signed.
/// The members are stored, so that nothing moves; their checksums are made to fit.
const FORGE: &str = r#"
import hashlib, struct, zlib
old, new = b"hello\n", b"jello\n"
digest = lambda word: hashlib.sha256(word).hexdigest().encode()
archive = bytearray(open("x", "rb").read())
at, changed = 0, 0
while at < len(archive):
    (length,) = struct.unpack_from("<I", archive, at + 16)
    member = bytes(archive[at:at + length])
    for before, after in ((old, new), (digest(old), digest(new))):
        changed += member.count(before)
        member = member.replace(before, after)
    plain = zlib.decompressobj(-15).decompress(member[12 + struct.unpack_from("<H", member, 10)[0]:])
    archive[at:at + length] = member[:-8] + struct.pack("<I", zlib.crc32(plain)) + member[-4:]
    at += length
assert changed == 2, changed
open("forged", "wb").write(archive)
"#;

#[test]
fn an_index_that_was_changed_behind_its_signature_is_refused() -> Result<()> {
    let (coffer, public) = signing()?;
    coffer.app("a").sqlite(&["DELETE FROM notes"])?;
    coffer.run_well(["export", "local/a", "-o", "x", "--no-encryption", "--compression", "none"])?;
    std::fs::write(coffer.path("forge.py"), FORGE)?;
    coffer_tests::shell(coffer.folder(), "python3 forge.py")?;
    ensure_refused(&coffer, "forged", &public, &["index digest"])?;
    coffer.run(["verify", "forged"])?.ends_with(13, &["index digest"])
}

#[test]
fn a_signature_survives_other_recipients_and_other_packing() -> Result<()> {
    let (coffer, public) = signing()?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    coffer.run_well(["keygen", "-o", "new.key"])?;
    let new = std::fs::read_to_string(coffer.path("new.key"))?;
    let recipient = new.split_whitespace().find(|word| word.starts_with("age1")).context("no recipient")?;
    coffer.run_well(["rewrap", "x.coffer", "-r", recipient])?;
    coffer.run_well(["verify", "x.coffer", "-i", "new.key", "--trust", &public])?;
    coffer.run_well(["extract", "x.coffer", "-i", "new.key", "--trust", &public, "objects/", "-C", "out"])?;

    coffer.run_well(["export", "local/a", "-o", "x", "--no-encryption"])?;
    coffer_tests::shell(coffer.folder(), "gzip -dc x | zstd -q > y")?;
    coffer.run_well(["verify", "y", "--trust", &public])?;
    // Through a pipe, where nothing can be looked up.
    let input = File::open(coffer.path("y"))?;
    let status = coffer.command().args(["inspect", "-", "--trust", &public]).stdin(input).status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn what_is_no_key_is_told_and_not_repeated() -> Result<()> {
    let (coffer, public) = signing()?;
    coffer.run_well(["export", "local/a", "-o", "x.coffer"])?;
    let secret = std::fs::read_to_string(coffer.path("sign.key"))?;
    let secret = secret.lines().last().context("no secret")?.to_owned();
    for wrong in [secret.as_str(), "hunter2", &public[1..], &public.to_uppercase()] {
        let outcome = coffer.run(["verify", "x.coffer", "--trust", wrong])?;
        outcome.ends_with(2, &["--trust"])?;
        ensure!(!outcome.stderr.contains(wrong), "it repeats what may be a secret: {}", outcome.stderr);
    }
    coffer.run(["verify", "x.coffer", "--trust", &secret])?.ends_with(2, &["secret"])?;
    // A signing key that is configured and missing is no reason to write unsigned.
    std::fs::remove_file(coffer.path("sign.key"))?;
    coffer.run(["export", "local/a", "-o", "y.coffer"])?.ends_with(1, &["sign.key"])?;
    ensure!(!coffer.path("y.coffer").exists(), "it was written unsigned");
    // Nor one to read nothing.
    coffer.run_well(["verify", "x.coffer"]).map(drop)
}
