//! The `coffer` binary in a folder of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{App, Service};

/// The binary and the folder it runs in; without a configuration file it keeps its data in `coffer-data` there.
pub struct Coffer {
    program: PathBuf,
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Coffer {
    /// The binary in a new, empty folder. Pass `env!("CARGO_BIN_EXE_coffer")`.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub fn new(program: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("coffer-tests-").tempdir()?;
        Ok(Self { program: program.into(), folder, environment: Vec::new() })
    }

    /// The same with a variable in the environment of each process to come.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where an app of the source `local` has its data, whether there is one or not.
    #[must_use]
    pub fn app(&self, name: &str) -> App {
        self.app_at(&format!("coffer-data/apps/{name}"))
    }

    /// An app in any folder below.
    #[must_use]
    pub fn app_at(&self, folder: &str) -> App {
        App::at(self.path(folder))
    }

    /// A command that runs the binary, ready for arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the binary to its end.
    ///
    /// # Errors
    /// It can't be run.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Outcome> {
        let output = self.command().args(arguments).output().context("the binary can't be run")?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Outcome { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr })
    }

    /// Runs the binary, which has to end with 0, and gives back what it wrote to standard output.
    ///
    /// # Errors
    /// It ended with another code.
    pub fn run_well(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Vec<u8>> {
        let outcome = self.run(arguments)?;
        ensure!(outcome.code == 0, "exit code {}:\n{}", outcome.code, outcome.stderr);
        Ok(outcome.stdout)
    }

    /// Starts `serve` on a free port and waits until it listens.
    ///
    /// # Errors
    /// It ends, or says nothing within 20 seconds.
    pub fn serve(&self) -> Result<Service> {
        Service::start(self)
    }

    /// The identity that the first `serve` makes.
    ///
    /// # Errors
    /// `serve` does not start.
    pub fn make_identity(&self) -> Result<PathBuf> {
        drop(self.serve()?);
        let identity = self.path("coffer-data/coffer.key");
        ensure!(identity.is_file(), "serve made no identity");
        Ok(identity)
    }
}

impl Outcome {
    /// What it wrote to standard output, as one JSON value a line.
    ///
    /// # Errors
    /// A line is no JSON.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        let lines = self.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context("a line is no JSON")).collect()
    }

    /// Checks how it ended, and that it said each of `words` to standard error.
    ///
    /// # Errors
    /// It did not.
    pub fn ends_with(&self, code: i32, words: &[&str]) -> Result<()> {
        ensure!(self.code == code, "exit code {} where {code} was due:\n{}", self.code, self.stderr);
        let missing = words.iter().find(|word| !self.stderr.contains(**word));
        ensure!(missing.is_none(), "{missing:?} is not in its message:\n{}", self.stderr);
        Ok(())
    }
}
