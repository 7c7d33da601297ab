//! `coffer backups copy`.

use clap::Args;
use serde_json::json;

use super::outcome;
use crate::Result;
use crate::cli::Report;
use crate::config::ByteSize;
use crate::pipeline::{Direction, Transfer};
use crate::progress::watched;
use crate::vault::{CopyRequest, Vaults};

/// Copy backups into another vault: those that it does not have yet
///
/// The archives are copied as they are, oldest first, and each is held to the digest that it had when it was made; no key is needed. A
/// run that was stopped goes on with the archive at which it was. Exit code 3 where some failed.
#[derive(Args)]
pub(in crate::cli) struct Copy {
    /// The backups
    #[arg(required_unless_present = "all", value_name = "ID")]
    ids: Vec<String>,
    /// All good ones
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// The vault that takes them
    #[arg(long, value_name = "VAULT")]
    to: String,
    /// The vault to take them from [default: any other that has them]
    #[arg(long, value_name = "VAULT")]
    from: Option<String>,
    /// Write at most so much a second, such as 20MiB [default: that of the vault]
    #[arg(long, value_name = "SIZE")]
    bandwidth: Option<ByteSize>,
}

impl Copy {
    pub(super) async fn run(self, vaults: &Vaults, report: &Report) -> Result<()> {
        let Self { ids, all: _, to, from, bandwidth } = self;
        let transfer = Transfer::begin(Direction::Backup, None)?;
        let (mut copied, mut failures) = (0, Vec::new());
        let request = CopyRequest { to, from, ids, bandwidth };
        let tell = |backup: &crate::catalog::Backup, done: Result<()>| match done {
            Ok(()) => copied += 1,
            Err(error) => {
                report.status(&format!("{} could not be copied: {error}", backup.record.id));
                failures.push(error);
            }
        };
        watched(&transfer, None, Box::pin(vaults.copy(&request, &transfer, tell))).await?;
        let (failed, bytes) = (failures.len(), transfer.bytes());
        let text = format!("{copied} backups copied to {}, {}, {failed} failed", request.to, ByteSize::new(bytes));
        report.summary(&text, &json!({ "copied": copied, "failed": failed, "bytes": bytes, "to": request.to }))?;
        outcome(copied, &mut failures)
    }
}
