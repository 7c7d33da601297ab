//! `coffer backup`.

use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::first_start::first_start;
use super::report::Report;
use crate::config::{ByteSize, Config};
use crate::name::AppName;
use crate::pipeline::{Budget, Direction, Transfer};
use crate::progress::watched;
use crate::vault::{BackedUp, Vaults};
use crate::{Error, Result};

/// Back apps up into the first vault, once: what a cron job runs
///
/// Each app is an archive of its own, which appears in the vault when it is whole. That one app fails keeps no other from its backup:
/// those that failed are named, and the exit code is then 3, or with one app alone the code of its failure. The commands `before` and
/// `after` of a source run around each of its apps: a `before` that fails fails the backup; where an `after` fails, the backup stands and
/// the exit code is 3. What runs that died have left in the vaults is cleared away first.
#[derive(Args)]
pub(super) struct Backup {
    /// The apps, as SOURCE/APP
    #[arg(required_unless_present = "all", value_name = "SOURCE/APP")]
    apps: Vec<AppName>,
    /// All apps of all sources
    #[arg(long, conflicts_with = "apps")]
    all: bool,
    /// How many apps at once; fewer run where the memory ([server] memory) asks for it
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
}

#[derive(Serialize)]
struct Done {
    app: String,
    id: String,
    bytes: Option<u64>,
    seconds: Option<f64>,
}

#[derive(Serialize)]
struct Failure {
    app: String,
    error: String,
}

#[derive(Serialize)]
struct Summary {
    good: usize,
    failed: usize,
    backups: Vec<Done>,
    failures: Vec<Failure>,
    seconds: f64,
}

impl Backup {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        first_start(config, report)?;
        let vaults = Vaults::open(config, Budget::new(config.memory)).await?;
        let (apps, mut failures) = self.apps(config).await?;
        let is_single = !self.all && apps.len() == 1;
        let begun = Instant::now();
        let run = Transfer::begin(Direction::Backup, None)?;
        let (mut backups, mut complaints, mut only) = (Vec::new(), 0, None);
        let tell = |BackedUp { app, outcome }: BackedUp| match outcome {
            Ok(stands) => {
                let record = stands.record;
                let size = ByteSize::new(record.bytes.unwrap_or_default());
                report.note_for_people(&format!("{app}: {} ({size})", record.id));
                if let Some(complaint) = stands.complaint {
                    report.status(&format!("{app}: {} stands, but {complaint}", record.id));
                    failures.push(Failure { app: app.to_string(), error: complaint.to_string() });
                    complaints += 1;
                }
                let (bytes, seconds) = (record.bytes, record.seconds);
                backups.push(Done { app: app.to_string(), id: record.id, bytes, seconds });
            }
            Err(error) => {
                report.status(&format!("{app} failed: {error}"));
                failures.push(Failure { app: app.to_string(), error: error.to_string() });
                only = Some(error);
            }
        };
        let work = async {
            let swept = run.or_cancelled(vaults.sweep()).await?;
            if swept > 0 {
                report.status(&format!("{swept} things that runs which died had left were cleared away"));
            }
            vaults.backup_all(apps, self.jobs, &run, tell).await;
            run.check()
        };
        let ran = watched(&run, None, work).await;
        let (good, failed) = (backups.len(), failures.len());
        let all = good + failed - complaints;
        let seconds = begun.elapsed().as_secs_f64();
        let bytes: u64 = backups.iter().filter_map(|backup| backup.bytes).sum();
        let text = format!("{good} of {all} apps backed up, {}, {seconds:.1} s", ByteSize::new(bytes));
        match (ran, only) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(error)) if is_single => Err(error),
            (Ok(()), _) => {
                backups.sort_by(|a, b| a.app.cmp(&b.app));
                failures.sort_by(|a, b| a.app.cmp(&b.app));
                report.summary(&text, &Summary { good, failed, backups, failures, seconds })?;
                match failed {
                    0 => Ok(()),
                    _ if failed == complaints => {
                        Err(Error::Some { what: "commands after a backup", failed, all: good })
                    }
                    _ => Err(Error::Some { what: "apps", failed: failed - complaints, all }),
                }
            }
        }
    }

    /// The apps, each once, and the sources whose apps can't be listed: to pass over those in silence would be to have no backup of them.
    async fn apps(&self, config: &Config) -> Result<(Vec<AppName>, Vec<Failure>)> {
        let mut apps = self.apps.clone();
        let mut failures = Vec::new();
        if self.all {
            for source in &config.sources {
                let listed = match source.unlisted() {
                    Some(why) => Err(why),
                    None => source.apps().await.map_err(|error| error.to_string()),
                };
                match listed {
                    Ok(found) => apps.extend(found.into_iter().map(|app| AppName { source: source.name.clone(), app })),
                    Err(error) => {
                        let error = format!("the apps of source {} can't be listed: {error}", source.name);
                        failures.push(Failure { app: format!("{}/*", source.name), error });
                    }
                }
            }
        }
        apps.sort();
        apps.dedup();
        Ok((apps, failures))
    }
}
