//! `coffer backups prune`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::cli::Report;
use crate::config::{Config, parse_duration};
use crate::name::AppName;
use crate::vault::{Keep, PrunedBackup, Vaults};
use crate::{Error, Result};

/// Delete what no rule of retention keeps
///
/// The rules are those of the schedules that are for an app (`keep` in [[schedule]]), or the ones given here in their place. A backup stays
/// where one rule keeps it: the newest N, or the newest of each of the last N hours, days, weeks, months or years (UTC) that have one.
/// Failed attempts count for nothing. The newest good one of an app always stays, and so does what a bucket's object lock keeps. It is
/// deleted from every vault.
#[derive(Args)]
pub(in crate::cli) struct Prune {
    /// These apps alone [default: all that have backups]
    #[arg(value_name = "SOURCE/APP")]
    apps: Vec<AppName>,
    /// Delete nothing, and say what would go and why the rest stays
    #[arg(long)]
    dry_run: bool,
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// Keep the newest of each of N hours
    #[arg(long, value_name = "N")]
    keep_hourly: Option<u32>,
    /// Keep the newest of each of N days
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// Keep the newest of each of N weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// Keep the newest of each of N months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
    /// Keep the newest of each of N years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<u32>,
    /// Keep what is younger, such as 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    minimum_age: Option<Duration>,
}

impl Prune {
    /// The rules that are given here, where any is.
    fn keep(&self) -> Result<Option<Keep>> {
        let counts =
            [self.keep_last, self.keep_hourly, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly];
        if counts.iter().all(Option::is_none) {
            return match self.minimum_age {
                Some(_) => Err(Error::Usage(
                    "--minimum-age alone keeps nothing that is older: add --keep-last or another".into(),
                )),
                None => Ok(None),
            };
        }
        let [last, hourly, daily, weekly, monthly, yearly] = counts.map(Option::unwrap_or_default);
        let minimum_age = self.minimum_age.unwrap_or_default();
        let keep = Keep { last, hourly, daily, weekly, monthly, yearly, minimum_age };
        keep.check()?;
        Ok(Some(keep))
    }

    pub(super) async fn run(self, config: &Config, vaults: &Vaults, report: &Report) -> Result<()> {
        let keep = self.keep()?;
        if keep.is_none() && config.schedules.iter().all(|schedule| schedule.keep.is_none()) {
            return Err(Error::Usage(
                "there is no rule to prune by: add a [[schedule]] with keep to the configuration, or say --keep-last N, \
                 --keep-daily N and so on"
                    .into(),
            ));
        }
        let pruned = vaults.prune(&self.apps, keep.as_ref(), self.dry_run, Timestamp::now()).await?;
        let mut lines = Vec::new();
        if self.dry_run {
            lines.extend(pruned.kept.iter().map(|backup| line("stays", backup)));
        }
        lines.extend(pruned.locked.iter().map(|backup| line("locked", backup)));
        lines.extend(pruned.gone.iter().map(|backup| line(if self.dry_run { "would go" } else { "gone" }, backup)));
        let verb = if self.dry_run { "would go" } else { "went" };
        lines.push(format!(
            "{} {verb}, {} stay, {} are locked",
            pruned.gone.len(),
            pruned.kept.len(),
            pruned.locked.len()
        ));
        for backup in &pruned.failed {
            report.status(&format!("{} of {} could not be deleted: {}", backup.id, backup.app, backup.why.join(", ")));
        }
        report.summary(&lines.join("\n"), &pruned)?;
        let (failed, all) = (pruned.failed.len(), pruned.failed.len() + pruned.gone.len());
        if failed > 0 { Err(Error::Some { what: "deletions", failed, all }) } else { Ok(()) }
    }
}

fn line(what: &str, backup: &PrunedBackup) -> String {
    format!("{what:<8}  {}  {}  {}  {}", backup.id, backup.created, backup.app, backup.why.join(", "))
}
