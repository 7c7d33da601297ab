//! What ends servers when the test process does, even by SIGKILL.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Waits for the end of its input, ends each process that a `.pid` file of the folder names and that was started in it,
/// and removes the folder.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
for file in "$1"/*.pid "$1"/data/postmaster.pid; do
    [ -e "$file" ] || continue
    process=$(head -n 1 "$file")
    grep -qsF "$1" "/proc/$process/cmdline" || continue
    kill -QUIT "$process"
    tries=0
    while kill -0 "$process" && [ "$tries" -lt 200 ]; do
        sleep 0.02
        tries=$((tries + 1))
    done
done
rm -rf "$1"
"#;

/// A shell that holds the other end of a pipe of ours: however we end, it sees the end.
pub(super) struct Guardian(Child);

impl Guardian {
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guardian"]).arg(folder).current_dir("/").process_group(0);
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
