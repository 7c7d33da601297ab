//! What ends servers when the test process does, even by SIGKILL.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Waits for the end of its input, ends each process that a `.pid` file of the folder names and that was started in it,
/// and removes the folder. A process that has ended has no command line, though nobody may have waited for it.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
is_ours() { grep -qsF "$1" "/proc/$process/cmdline"; }
for file in "$1"/*.pid "$1"/data/postmaster.pid; do
    [ -e "$file" ] || continue
    process=$(head -n 1 "$file")
    is_ours "$1" || continue
    kill "-$2" "$process"
    tries=0
    while is_ours "$1" && [ "$tries" -lt 200 ]; do
        sleep 0.02
        tries=$((tries + 1))
    done
done
rm -rf "$1"
"#;

/// A shell that holds the other end of a pipe of ours: however we end, it sees the end.
pub(crate) struct Guardian(Child);

impl Guardian {
    /// Watches over a folder, whose processes end by a signal, such as `QUIT`.
    pub(crate) fn of(folder: &Path, signal: &str) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guardian"]).arg(folder).arg(signal).current_dir("/").process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(shell.spawn().context("sh can't be started")?))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}
