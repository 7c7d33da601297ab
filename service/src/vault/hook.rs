//! Commands of the operator's that run around a backup.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::HookCommand;
use crate::name::AppName;
use crate::{Error, Result};

/// How much of what a command said last is told where it fails.
const TAIL_BYTES: usize = 2_048;
/// How long what it said is waited for once it has ended: what it left running may keep its output open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a command to its end, with these variables in its environment. It gets no input, and what it prints is not shown.
///
/// # Errors
/// [`Error::Hook`] with its last words where it can't be run, says no by its exit code, or takes too long: then it and all that it
/// started is killed.
pub(super) async fn run(when: &str, hook: &HookCommand, app: &AppName, variables: &[(&str, String)]) -> Result<()> {
    let about = |why: String| Error::Hook(format!("the {when} command {:?} of app {app} {why}", hook.program()));
    let mut words = hook.words(&app.app);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("COFFER_SOURCE", app.source.as_str()).env("COFFER_APP", app.app.as_str());
    command.envs(variables.iter().map(|(name, value)| (name, value))).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| about(format!("can't be run: {error}")))?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let tail = Tail::default();
    let readers = [
        child.stdout.take().map(|out| tokio::spawn(tail.clone().read(out))),
        child.stderr.take().map(|out| tokio::spawn(tail.clone().read(out))),
    ];
    let ended = timeout(hook.timeout, child.wait()).await;
    if let Ok(Ok(status)) = &ended
        && status.success()
    {
        group.let_go();
        return Ok(());
    }
    if ended.is_ok() {
        for reader in readers.into_iter().flatten() {
            drop(timeout(LAST_WORDS, reader).await);
        }
    }
    drop(group);
    let said = tail.text();
    Err(about(match ended {
        Ok(Ok(status)) => format!("{}{said}", failure(status)),
        Ok(Err(error)) => format!("could not be waited for: {error}"),
        Err(_) => format!("took longer than {:?} and was killed{said}", hook.timeout),
    }))
}

fn failure(status: ExitStatus) -> String {
    status.code().map_or_else(|| format!("failed: {status}"), |code| format!("failed with exit code {code}"))
}

/// A command and what it started. Dropped, they are killed, unless they were let go.
struct Group(Option<Pid>);

impl Group {
    fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// The last that was said.
#[derive(Clone, Default)]
struct Tail(Arc<Mutex<Vec<u8>>>);

impl Tail {
    async fn read(self, mut out: impl AsyncRead + Unpin) {
        let mut piece = [0; 1_024];
        while let Ok(count @ 1..) = out.read(&mut piece).await {
            let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend_from_slice(piece.get(..count).unwrap_or_default());
            let over = tail.len().saturating_sub(TAIL_BYTES);
            tail.drain(..over);
        }
    }

    fn text(&self) -> String {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail);
        let text = text.trim();
        if text.is_empty() { String::new() } else { format!(", and said: {}", text.escape_debug()) }
    }
}
