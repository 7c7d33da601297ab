//! `coffer backups`: what the vaults hold.

mod copy;
mod list;
mod prune;
mod rewrap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::report::Report;
use crate::config::Config;
use crate::pipeline::{Budget, Direction, Transfer};
use crate::progress::watched;
use crate::vault::{Emptied, Vaults};
use crate::{Error, Result};

/// Look after the backups in the vaults
#[derive(Subcommand)]
pub(super) enum Backups {
    List(list::List),
    Show(list::Show),
    Delete(Delete),
    Prune(prune::Prune),
    Rescan(Rescan),
    Copy(copy::Copy),
    Rewrap(rewrap::Rewrap),
}

impl Backups {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let vaults = Vaults::open(config, Budget::new(config.memory)).await?;
        match self {
            Self::List(list) => list.run(&vaults, report).await,
            Self::Show(show) => show.run(&vaults, report).await,
            Self::Delete(delete) => delete.run(&vaults, report).await,
            Self::Prune(prune) => prune.run(config, &vaults, report).await,
            Self::Rescan(rescan) => rescan.run(&vaults, report).await,
            Self::Copy(copy) => copy.run(&vaults, report).await,
            Self::Rewrap(rewrap) => rewrap.run(config, &vaults, report).await,
        }
    }
}

/// Delete a backup from every vault
///
/// The last good one of an app goes only with --force, and what a bucket's object lock keeps does not go. Of an attempt that failed the
/// note goes.
#[derive(Args)]
pub(super) struct Delete {
    /// The backup: its id, or at least the first six digits of it
    id: String,
    /// Delete it even if it is the last good one of its app
    #[arg(long)]
    force: bool,
}

impl Delete {
    async fn run(self, vaults: &Vaults, report: &Report) -> Result<()> {
        let backup = vaults.delete(&self.id, self.force).await?;
        let id = &backup.record.id;
        report.summary(&format!("{id} is deleted"), &json!({ "deleted": id, "vaults": backup.vaults }))
    }
}

/// Bring the catalogue in line with what stands in the vaults
///
/// The vault is the truth: archives that the catalogue does not know are taken up, and backups whose archive is gone are dropped from it. So
/// a catalogue that was lost is made again; what is lost with it is the note of failed attempts. What stands in a vault and is no archive,
/// or a damaged one, is named. This reads the ends of archives that it does not know yet; `coffer verify bk_…` reads all of one.
#[derive(Args)]
pub(super) struct Rescan {
    /// Take a vault whose folder holds nothing for one that was emptied on purpose, and not for a disk that is not mounted
    #[arg(long)]
    emptied: bool,
}

impl Rescan {
    async fn run(self, vaults: &Vaults, report: &Report) -> Result<()> {
        let transfer = Transfer::begin(Direction::Verify, None)?;
        let emptied = if self.emptied { Emptied::OnPurpose } else { Emptied::Unlikely };
        let work = async { transfer.or_cancelled(Box::pin(vaults.rescan(emptied))).await };
        let mut rescanned = watched(&transfer, None, work).await?;
        for unreadable in &rescanned.unreadable {
            report.status(&format!("{} can't be taken up: {}", unreadable.path, unreadable.why));
        }
        let text = format!(
            "{} archives stand in the vaults: {} were taken up, {} are gone and were dropped, {} things there are no backup",
            rescanned.found,
            rescanned.added,
            rescanned.dropped,
            rescanned.unreadable.len()
        );
        report.summary(&text, &rescanned)?;
        for failure in rescanned.failures.iter().skip(1) {
            report.status(&failure.to_string());
        }
        if rescanned.failures.is_empty() { Ok(()) } else { Err(rescanned.failures.swap_remove(0)) }
    }
}

/// The code of a command over several backups.
fn outcome(done: usize, failures: &mut Vec<Error>) -> Result<()> {
    match (failures.len(), done) {
        (0, _) => Ok(()),
        (1, 0) => Err(failures.remove(0)),
        (failed, done) => Err(Error::Some { what: "backups", failed, all: failed + done }),
    }
}
