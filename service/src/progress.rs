//! A bar on standard error for whoever watches a long command.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::is_watched;
use crate::pipeline::{Cancel, Direction, Transfer};
use crate::{Error, Result};

const REDRAW: Duration = Duration::from_millis(200);
const UNKNOWN_LENGTH: &str = "{spinner} {elapsed_precise}  {binary_bytes}  {binary_bytes_per_sec}  {msg}";
const KNOWN_LENGTH: &str =
    "{elapsed_precise} [{bar:30}] {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left  {msg}";

/// Runs a command's work: shows how far its transfer is, and stops it at Ctrl-C, SIGTERM or a closed terminal. The work cleans up before this
/// returns.
///
/// # Errors
/// Those of the work; [`Error::Interrupted`] where a signal stopped it.
pub(crate) async fn watched<T>(
    transfer: &Arc<Transfer>,
    total_bytes: Option<u64>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let bar = if is_watched() { bar(total_bytes) } else { ProgressBar::hidden() };
    let noun = if transfer.direction() == Direction::Backup { "done" } else { "entries" };
    let mut ticks = tokio::time::interval(REDRAW);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Io)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Io)?;
    let mut hangup = match ignores_hangup() {
        true => None,
        false => Some(signal(SignalKind::hangup()).map_err(Error::Io)?),
    };
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                transfer.end(done.as_ref().err());
                return done;
            }
            _ = ticks.tick() => {
                bar.set_position(transfer.bytes());
                bar.set_message(format!("{} {noun}", transfer.entries()));
            }
            _ = interrupt.recv() => transfer.cancel(Cancel::Asked),
            _ = terminate.recv() => transfer.cancel(Cancel::Asked),
            Some(_) = async { hangup.as_mut()?.recv().await } => transfer.cancel(Cancel::Asked),
        }
    }
}

/// Whether whoever started this (nohup, cron) wants it to outlive its terminal (proc(5), `SigIgn`).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

fn bar(total_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_bytes {
        Some(total) => (ProgressBar::new(total), KNOWN_LENGTH),
        None => (ProgressBar::new_spinner(), UNKNOWN_LENGTH),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
