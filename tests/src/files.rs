//! Folders of files, with every name that a file system allows and a program might not.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::Random;

const NAMES: [&[u8]; 40] = [
    b"plain.txt",
    b"two words.txt",
    b" begins with a space",
    b"ends with a space ",
    b" ",
    b"it's \"quoted\".json",
    b"`$(reboot)`; echo & | <x>",
    "🎉 👩‍👩‍👧.png".as_bytes(),
    "Grüße/世界/مرحبا.html".as_bytes(),
    "e\u{301} is not \u{e9}".as_bytes(),
    "\u{e9} is not e\u{301}".as_bytes(),
    "bidi \u{202e}txt.exe".as_bytes(),
    b"...",
    b".hidden",
    b".config/.deep/.file",
    b"a..b",
    b"dots/... /.. /. ",
    b"ends with a dot.",
    b"100%",
    b"%41%2F%00",
    b"%",
    b"line one\nline two",
    b"\n",
    b"tab\tand\rreturn",
    b"bell\x07 escape\x1b[31m delete\x7f",
    b"back\\slash",
    b"back\\slash\\in/a\\folder\\",
    b"caf\xe9 is Latin 1",
    b"\xff\xfe/\x80",
    b"cut short \xf0\x9f\x8e",
    b"-rf",
    b"--help",
    b"~",
    b"*?[a]{b}",
    b"#!:=@+,;",
    b"con.aux.nul",
    b"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p",
    b"manifest.json",
    b"objects/summary.json",
    b"CASE and case/CASE/case",
];
const EXTENSIONS: [&str; 8] = ["txt", "json", "png", "bin", "html", "tar.gz", "PDF", "nonsense"];

/// Makes a thousand files of all sizes and with awkward names, one of them of `largest` bytes.
///
/// # Errors
/// They can't be written.
pub fn mixed_files(folder: &Path, largest: usize) -> Result<()> {
    let mut random = Random::new(1_000);
    let long = [b"n".repeat(240), "ü".repeat(120).into_bytes(), [b"%".repeat(240), b"/x".to_vec()].concat()];
    let deep = [vec![b'd'; 200], vec![b'e'; 200], vec![b'f'; 240]].join(&b'/');
    let awkward = NAMES.iter().map(|name| name.to_vec()).chain(long).chain([deep]);
    let mut count = 0;
    for (n, name) in awkward.enumerate() {
        let content = random.bytes(n * 37);
        write(folder, &name, &content)?;
        count += 1;
    }
    write(folder, b"empty", b"")?;
    write(folder, b"empty too/in a folder", b"")?;
    write(folder, b"large.bin", &half_random(&mut random, largest))?;
    for n in count + 3..1_000 {
        let extension = EXTENSIONS.iter().cycle().nth(n).context("no extension")?;
        let name = format!("many/{}/file {n:04}.{extension}", n % 23);
        let length = [0, 1, 511, 512, 513, 4_096, 30_000].get(random.below(7)).copied().unwrap_or(0);
        write(folder, name.as_bytes(), &half_random(&mut random, length))?;
    }
    Ok(())
}

/// Makes files of about `mebibytes` in all: one half of that, and many of 1 MiB and less.
///
/// # Errors
/// They can't be written.
pub fn large_files(folder: &Path, mebibytes: u64) -> Result<()> {
    std::fs::create_dir_all(folder.join("many"))?;
    let mut random = Random::new(2);
    let mut large = std::fs::File::create(folder.join("large.bin"))?;
    for n in 0..mebibytes / 2 {
        let block = half_random(&mut random, 1 << 20);
        large.write_all(&block)?;
        match n % 4 {
            0 => std::fs::write(folder.join(format!("many/{n}.bin")), &block)?,
            _ => small_ones(folder, n, &block)?,
        }
    }
    Ok(())
}

fn small_ones(folder: &Path, n: u64, block: &[u8]) -> Result<()> {
    for (part, content) in block.chunks(64 << 10).enumerate() {
        std::fs::write(folder.join(format!("many/{n}-{part}.txt")), content)?;
    }
    Ok(())
}

/// Bytes of which every second stretch of 4 KiB compresses well.
fn half_random(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = random.bytes(length);
    bytes.chunks_mut(4_096).step_by(2).for_each(|stretch| stretch.fill(b'.'));
    bytes
}

fn write(folder: &Path, name: &[u8], content: &[u8]) -> Result<()> {
    let path = folder.join(OsStr::from_bytes(name));
    std::fs::create_dir_all(path.parent().context("no folder")?)?;
    let mut file = std::fs::File::create(&path).with_context(|| format!("{path:?}"))?;
    file.write_all(content)?;
    Ok(file.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000 + content.len() as u64))?)
}

/// Makes `count` files of `size_bytes` each, a thousand to a folder, their content told by their names.
///
/// # Errors
/// The folder can't be written.
pub fn many_files(folder: &Path, count: u64, size_bytes: usize) -> Result<()> {
    for n in 0..count {
        let below = folder.join(format!("{:04}", n / 1_000));
        if n % 1_000 == 0 {
            std::fs::create_dir_all(&below)?;
        }
        let mut content = Random::new(n).bytes(size_bytes);
        // Half of it compresses.
        content.iter_mut().take(size_bytes / 2).for_each(|byte| *byte = b'x');
        std::fs::write(below.join(format!("{n:07}")), content)?;
    }
    Ok(())
}
