//! The recovery scripts, run as an operator runs them, and archives made to try them that no writer of ours makes.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::Outcome;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../recover");

/// Runs what follows it at a terminal of its own, on which it types the first line of the file `passphrase` when asked.
const AT_A_TERMINAL: &str = r"
import os, pty, sys
asked = []
def read(terminal):
    seen = os.read(terminal, 1024)
    if b'passphrase' in seen and not asked:
        asked.append(True)
        os.write(terminal, open('passphrase', 'rb').readline().rstrip() + b'\n')
    return seen
sys.exit(pty.spawn(sys.argv[1:], read) >> 8)
";

/// Writes an unsealed archive of the entries it is told, with an index and a summary that are true unless told otherwise.
const FORGE: &str = r#"
import gzip, hashlib, json, struct, sys
plan = json.load(sys.stdin)
def header(name, size, kind):
    fields = [name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0" * 2, b"%011o\0" % size, b"0" * 11 + b"\0"]
    block = b"".join(fields) + b" " * 8 + kind.encode() + b"\0" * 100 + b"ustar\x0000"
    block = block.ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
def padded(content):
    return content + bytes(-len(content) % 512)
def record(key, value):
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body
def entry(name, content, pax={}, kind="0"):
    extra = b"".join(record(*pair) for pair in pax.items())
    first = header("x", len(extra), "x") + padded(extra) if extra else b""
    return first + header(name, len(content), kind) + padded(content)
tar, lines, records = b"", [], hashlib.sha256()
vanished = hashlib.sha256()
def add(name, content, pax={}, kind="0"):
    global tar
    tar += entry(name, content, pax, kind)
    path, digest = pax.get("path", name), hashlib.sha256(content)
    told = {"path": path, "size": len(content), "member": 0, "skip": 0, "sha256": digest.hexdigest()}
    told.update(plan.get("told", {}).get(path, {}))
    lines.append(json.dumps(told))
    try:
        where = struct.pack("<QQI", told["size"], told["member"], told["skip"])
        records.update(told["path"].encode() + b"\0" + where + bytes.fromhex(told["sha256"]))
    except (struct.error, TypeError):
        pass  # a record that says what no digest has room for
add("manifest.json", json.dumps({"format": plan.get("format", "coffer/1")}).encode())
for made in plan["entries"]:
    add(made["name"], made.get("content", "").encode(), made.get("pax", {}), made.get("kind", "0"))
for path in plan.get("vanished", []):
    lines.append(json.dumps({"path": path, "vanished": True}))
    vanished.update(path.encode() + b"\1")
tar += entry("index/00000000.jsonl", "".join(line + "\n" for line in lines).encode())
both = hashlib.sha256(records.digest() + vanished.digest()).hexdigest()
summary = {"complete": plan.get("complete", True), "index_digest": plan.get("index_digest", both)}
if plan.get("summary", True):
    tar += entry("summary.json", json.dumps(summary).encode())
tar += bytes(512 * plan.get("end_blocks", 2)) + plan.get("behind", "").encode()
footer = bytes.fromhex("1f8b08040000000000ff180043460400" "2e00000043580c00" + "00" * 12 + "0300" + "00" * 8)
packed = gzip.compress(tar)
if plan.get("wrong_crc"):
    packed = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
sys.stdout.buffer.write(packed + (footer if plan.get("footer", True) else b""))
"#;

/// Where one of the recovery scripts lies.
#[must_use]
pub fn recovery_script(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// `recover.py` in a folder, ready for arguments.
#[must_use]
pub fn recover_command(folder: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg(recovery_script("recover.py")).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs `recover.py` in a folder to its end.
///
/// # Errors
/// It can't be run.
pub fn recover(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Outcome> {
    outcome_of(recover_command(folder).args(arguments))
}

/// Runs a command at a terminal, where somebody types the first line of the file `passphrase` once they are asked. What
/// it writes there counts as its standard error.
///
/// # Errors
/// It can't be run.
pub fn at_a_terminal(folder: &Path, command: &[&OsStr]) -> Result<Outcome> {
    let mut python = Command::new("python3");
    python.args(["-c", AT_A_TERMINAL]).args(command).current_dir(folder).stdin(Stdio::null());
    let mut outcome = outcome_of(&mut python)?;
    outcome.stderr.push_str(&String::from_utf8_lossy(&outcome.stdout));
    Ok(outcome)
}

/// Runs a command to its end.
///
/// # Errors
/// It can't be run.
pub fn outcome_of(command: &mut Command) -> Result<Outcome> {
    let output = command.output().with_context(|| format!("{command:?} can't be run: ./run ci installs it"))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr })
}

/// Makes the app `rebuilt` of what was unpacked in a folder.
///
/// # Errors
/// The script fails.
pub fn rebuild(folder: &Path, unpacked: &str) -> Result<()> {
    let mut command = Command::new("python3");
    command.arg(recovery_script("rebuild.py")).args([unpacked, "rebuilt"]).current_dir(folder);
    outcome_of(&mut command)?.ends_with(0, &[])
}

/// Writes an unsealed archive of any entries at all, whose index and summary lie only where the plan says so.
///
/// # Errors
/// The archive can't be written.
pub fn forge(archive: &Path, plan: &Value) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(["-c", FORGE]).stdin(Stdio::piped()).stdout(std::fs::File::create(archive)?);
    let mut python = command.spawn().context("python3 can't be run: ./run ci installs it")?;
    let mut input = python.stdin.take().context("no standard input")?;
    input.write_all(plan.to_string().as_bytes())?;
    drop(input);
    anyhow::ensure!(python.wait()?.success(), "the archive could not be forged");
    Ok(())
}

/// The offset of each segment of a sealed archive, and of its end.
///
/// # Errors
/// It has no header.
pub fn segment_offsets(archive: &[u8]) -> Result<Vec<usize>> {
    let length = archive.get(8..12).context("no header")?.try_into()?;
    let first = 60 + usize::try_from(u32::from_le_bytes(length))?;
    Ok((first..archive.len()).step_by(65_536 + 32).chain([archive.len()]).collect())
}
