//! `coffer backups rewrap`.

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::outcome;
use crate::Result;
use crate::cli::Report;
use crate::cli::flags::UnlockFlags;
use crate::config::{ByteSize, Config};
use crate::pipeline::{Direction, Transfer};
use crate::progress::watched;
use crate::vault::Vaults;

/// Give backups the recipients that the configuration names now
///
/// What is sealed is copied as it is: ids and signatures stay. Those that have these recipients already are passed over. It needs an
/// identity that opens the archives (-i, or that of the configuration).
///
/// This does not revoke: whoever opened an archive before, or has a copy of it, can read it still. In a bucket with versions the older
/// version stays until its rules remove it.
#[derive(Args)]
pub(in crate::cli) struct Rewrap {
    /// The backups
    #[arg(required_unless_present = "all", value_name = "ID")]
    ids: Vec<String>,
    /// All good ones
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    unlock: UnlockFlags,
}

impl Rewrap {
    pub(super) async fn run(self, config: &Config, vaults: &Vaults, report: &Report) -> Result<()> {
        let unlock = Arc::new(self.unlock.unlock(config)?);
        let transfer = Transfer::begin(Direction::Backup, None)?;
        let (mut rewrapped, mut failures) = (0, Vec::new());
        let tell = |backup: &crate::catalog::Backup, done: Result<()>| match done {
            Ok(()) => rewrapped += 1,
            Err(error) => {
                report.status(&format!("{} could not be rewrapped: {error}", backup.record.id));
                failures.push(error);
            }
        };
        watched(&transfer, None, Box::pin(vaults.rewrap(&self.ids, &unlock, &transfer, tell))).await?;
        let (failed, bytes) = (failures.len(), transfer.bytes());
        let text = format!("{rewrapped} backups rewrapped, {}, {failed} failed", ByteSize::new(bytes));
        report.summary(&text, &json!({ "rewrapped": rewrapped, "failed": failed, "bytes": bytes }))?;
        outcome(rewrapped, &mut failures)
    }
}
