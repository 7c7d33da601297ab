//! Vaults and their catalogue, looked at from outside: by what the binary tells in JSON, and by the files that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Coffer, Memory, Outcome, folder_listing};

/// Where backups are without a configuration.
pub const VAULT: &str = "coffer-data/vault";
/// Where the catalogue is, without a configuration and with [`Settings`].
pub const STATE: &str = "coffer-data/state.db";

/// A configuration that says what holds without one, and more: lines of TOML.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Where the state is.
    pub state: &'a str,
    /// Under `[keys]`.
    pub keys: &'a str,
    /// Each vault's name and URL.
    pub vaults: &'a [(&'a str, &'a str)],
    /// Under the source `local`.
    pub source: &'a str,
    /// Sections of its own.
    pub more: &'a str,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        let keys = "identity_file = \"coffer-data/coffer.key\"";
        Self {
            state: "sqlite:coffer-data/state.db",
            keys,
            vaults: &[("main", "file:coffer-data/vault")],
            source: "",
            more: "",
        }
    }
}

impl Settings<'_> {
    /// Writes `coffer.toml`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, coffer: &Coffer) -> Result<()> {
        let vault = |(name, url): &(&str, &str)| format!("[[vault]]\nname = \"{name}\"\nurl = \"{url}\"\n");
        let text = format!(
            "[server]\ntoken_file = \"coffer-data/token\"\n[state]\nurl = \"{}\"\n[keys]\n{}\n{}\n{}\n\
             [[source]]\nname = \"local\"\ndatabase = \"sqlite:coffer-data/apps/{{app}}/data.db\"\n\
             objects = \"file:coffer-data/apps/{{app}}/files\"\n{}\n",
            self.state,
            self.keys,
            self.more,
            self.vaults.iter().map(vault).collect::<String>(),
            self.source,
        );
        std::fs::create_dir_all(coffer.path("coffer-data"))?;
        Ok(std::fs::write(coffer.path("coffer.toml"), text)?)
    }
}

/// The summary among the lines that a run with `--json` wrote.
///
/// # Errors
/// There is none.
pub fn summary(outcome: &Outcome) -> Result<Value> {
    let mut lines = outcome.json_lines()?.into_iter();
    let summary = lines.find(|line| line.get("message_type").is_some_and(|kind| kind == "summary"));
    summary
        .with_context(|| format!("there is no summary: {}{}", String::from_utf8_lossy(&outcome.stdout), outcome.stderr))
}

/// Runs a command with `--json` that has to end with `code`, and gives its summary.
///
/// # Errors
/// It ends otherwise, or without a summary.
pub fn ask(coffer: &Coffer, code: i32, arguments: &[&str]) -> Result<Value> {
    let outcome = coffer.run(arguments.iter().chain(&["--json"]))?;
    let said = || format!("{}{}", String::from_utf8_lossy(&outcome.stdout), outcome.stderr);
    ensure!(outcome.code == code, "{arguments:?}: exit code {} where {code} was due:\n{}", outcome.code, said());
    summary(&outcome)
}

/// Backs up one app, such as `local/a`, and gives the backup's id.
///
/// # Errors
/// It is not good.
pub fn back_up(coffer: &Coffer, app: &str) -> Result<String> {
    let told = ask(coffer, 0, &["backup", app])?;
    ensure!(
        told.get("good").is_some_and(|good| good == 1) && told.get("failed").is_some_and(|failed| failed == 0),
        "{told}"
    );
    Ok(text(told.pointer("/backups/0").context("it tells no backup")?, "id")?.to_owned())
}

/// What `backups list` tells of each backup, by id: all of them good.
///
/// # Errors
/// The list can't be had, or one in it is not good.
pub fn listed(coffer: &Coffer) -> Result<BTreeMap<String, Value>> {
    let all = list(coffer, &[])?;
    let other = all.iter().find(|backup| backup["state"] != "good");
    ensure!(other.is_none(), "it lists what is not good: {other:?}");
    all.into_iter().map(|backup| Ok((text(&backup, "id")?.to_owned(), backup))).collect()
}

/// What `backups list --failed` tells of the attempts in this state: `failed` or `running`.
///
/// # Errors
/// The list can't be had.
pub fn attempts(coffer: &Coffer, state: &str) -> Result<Vec<Value>> {
    Ok(list(coffer, &["--failed"])?.into_iter().filter(|backup| backup["state"] == state).collect())
}

fn list(coffer: &Coffer, arguments: &[&str]) -> Result<Vec<Value>> {
    let told = ask(coffer, 0, &[["backups", "list", "--limit", "100000"].as_slice(), arguments].concat())?;
    Ok(told.get("backups").and_then(Value::as_array).with_context(|| format!("it tells no backups: {told}"))?.clone())
}

/// A text in an object.
///
/// # Errors
/// It is not there.
pub fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("{name} is no text in {value}"))
}

/// A field of a JSON object; null where it has none.
#[must_use]
pub fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// The archives in a vault's folder by their ids, each of which has its place and its name as they have to be.
///
/// # Errors
/// One has not, or the folder can't be read.
pub fn archives(vault: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let all = folder_listing(vault)?.into_iter().map(PathBuf::from);
    let archives = all.filter(|path| file_name(path).contains("Z-bk_") && file_name(path).ends_with(".coffer"));
    archives.map(|path| Ok((id_of(&path, vault)?, path))).collect()
}

/// What dead runs left in a vault's folder.
///
/// # Errors
/// The folder can't be read.
pub fn leftovers(vault: &Path) -> Result<Vec<String>> {
    let all = folder_listing(vault)?.into_iter();
    Ok(all.filter(|path| file_name(Path::new(path)).starts_with(".coffer-tmp-")).collect())
}

/// Checks that each file of a vault's folder is an archive or the record of one, and each archive whole; those whose ids are
/// in `known` are not read again, and what was read is added.
///
/// # Errors
/// One is not.
pub fn ensure_only_good(coffer: &Coffer, vault: &Path, known: &mut BTreeSet<String>) -> Result<()> {
    let archives = archives(vault)?;
    for path in folder_listing(vault)?.into_iter().map(PathBuf::from).filter(|path| path.is_file()) {
        let archive = path.with_extension("coffer");
        let belongs = archives.values().any(|other| *other == archive);
        let is_its = path == archive || path.extension().is_some_and(|extension| extension == "json");
        ensure!(belongs && is_its, "{} is neither an archive nor the record of one", path.display());
    }
    for (id, path) in archives {
        if known.insert(id) {
            coffer.run_well(["verify".as_ref(), path.as_os_str()]).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// `SOURCE/APP/20261121T030000Z-bk_<32 hex>.coffer`: the id in it.
fn id_of(archive: &Path, vault: &Path) -> Result<String> {
    let name = file_name(archive);
    let (time, id) = name.trim_end_matches(".coffer").split_once('-').context("no name of an archive")?;
    let digits = time.chars().filter(char::is_ascii_digit).count();
    let hexadecimal = id.strip_prefix("bk_").unwrap_or_default();
    let is_id = hexadecimal.len() == 32 && hexadecimal.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'));
    let depth = archive.strip_prefix(vault)?.components().count();
    ensure!(digits == 14 && time.len() == 16 && is_id && depth == 3, "{} has no archive's name", archive.display());
    Ok(id.to_owned())
}

/// Runs a command and kills it after a while, by SIGKILL; tells whether it had still run.
///
/// # Errors
/// It can't be started.
pub fn kill_after(command: &mut Command, delay: Duration) -> Result<bool> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    while begun.elapsed() < delay {
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().ok();
    Ok(child.wait()?.code().is_none())
}

/// Runs a command to its end, and gives the most memory that it held beside how it ended.
///
/// # Errors
/// It can't be run.
pub fn run_measured(coffer: &Coffer, arguments: &[&str]) -> Result<(Outcome, u64)> {
    let (stdout, stderr) = (coffer.path("measured.stdout"), coffer.path("measured.stderr"));
    let mut command = coffer.command();
    command.args(arguments).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
    let mut child = command.spawn().context("the binary can't be run")?;
    let (memory, mut peak) = (Memory::of(child.id()), 0);
    let status = loop {
        // Gone in between: what it held before stands.
        peak = memory.peak().unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let outcome = Outcome {
        code: status.code().unwrap_or(-1),
        stdout: std::fs::read(&stdout)?,
        stderr: String::from_utf8_lossy(&std::fs::read(&stderr)?).into_owned(),
    };
    std::fs::remove_file(stdout)?;
    std::fs::remove_file(stderr)?;
    Ok((outcome, peak))
}
