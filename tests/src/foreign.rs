//! Foreign tools, run as their users run them.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs a tool and gives back what it wrote to standard output.
///
/// # Errors
/// The tool is missing, or did not end with 0; what it wrote to standard error is in the message.
pub fn tool(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("{program} can't be run: ./run ci installs it"))?;
    ensure!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// Runs a script of bash in a folder, ending at its first failure, and gives back what it wrote to standard output.
///
/// # Errors
/// The script did not end with 0.
pub fn shell(folder: &Path, script: &str) -> Result<String> {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder).stdin(Stdio::null());
    let output = command.output().context("bash can't be run")?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{script}\n{}\n{stdout}\n{stderr}", output.status);
    Ok(stdout.into_owned())
}

/// Says something that is to be seen even when the test passes: figures, and what had to be left out.
pub fn say(words: impl std::fmt::Display) {
    writeln!(std::io::stderr(), "      {words}").ok();
}
