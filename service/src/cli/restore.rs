//! `coffer restore`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use coffer_storage::PostgresOptions;
use jiff::Timestamp;
use serde_json::json;

use super::archive::{marks, signed_by};
use super::flags::ReadFlags;
use super::place;
use super::report::Report;
use crate::catalog::Catalog;
use crate::config::{ByteSize, Config};
use crate::name::AppName;
use crate::pipeline::{App, ArchivePlace, Budget, Direction, Origin, ReadKeys, Transfer, import};
use crate::progress::watched;
use crate::staging::{Existing, Staging, Undone};
use crate::vault::{Found, PointInTime, Vaults, Wanted};
use crate::{Error, Result};

/// Bring an archive into an app, whole or not at all
///
/// All of it stands in the end or, where anything is wrong, the app is as it was, also after a crash: the next command or service that
/// starts, or `coffer recover`, takes back what did not come through. The app must be new or empty, unless --replace is said; what
/// that replaces is kept for a while ([server] keep_replaced), and --undo brings it back. No code of the archive's author runs with the service's
/// rights: the SQL of an app in PostgreSQL runs under the login of import_database. Without one, tables, constraints and
/// indexes are made, and an archive with views, functions, triggers, rules or policies is refused.
#[derive(Args)]
pub(super) struct Restore {
    /// The archive: a file, `s3://BUCKET/KEY`, `-` for standard input, a backup's id (`bk_…`), or `latest`, the newest good
    /// backup
    #[arg(required_unless_present_any = ["at", "undo"])]
    archive: Option<PathBuf>,
    /// The app, as SOURCE/APP; it must be new or empty, but for --replace
    #[arg(long, value_name = "SOURCE/APP", required_unless_present = "undo")]
    into: Option<AppName>,
    /// Replace what the app holds: its users see the old app until the new one stands as a whole
    #[arg(long)]
    replace: bool,
    /// Bring rows and objects alone that this glob over entry paths tells, into an app that is new or empty; can be said again
    ///
    /// `*` and `?` stay within a folder, `**` does not, and a path that ends in `/` is all below it: 'database/rows/orders/*',
    /// 'objects/invoices/'. A table is brought whole; the others are made, and stay empty. Reads the parts that it needs.
    #[arg(long, value_name = "GLOB", conflicts_with = "replace")]
    only: Vec<String>,
    /// Bring back the app that the last --replace has replaced
    #[arg(long, value_name = "SOURCE/APP", conflicts_with_all = ["archive", "into", "at", "of", "replace", "only"])]
    undo: Option<AppName>,
    /// With --undo: what has been written to the app since then is lost; no later than the --replace was
    #[arg(long, value_name = "TIME", requires = "undo")]
    discard_changes_since: Option<Timestamp>,
    /// The newest good backup that is no younger than this: a time such as 2026-11-21T03:00:00Z, or a day to its end in UTC
    #[arg(long, value_name = "TIME")]
    at: Option<PointInTime>,
    /// The app whose backup `latest` and --at mean [default: that of --into]
    #[arg(long, value_name = "SOURCE/APP")]
    of: Option<AppName>,
    /// Run the archive's views, functions, triggers and policies with the rights of the source's own login, where it
    /// has no import_database; for apps in PostgreSQL
    ///
    /// Whoever wrote the archive then can do what that login can, to other apps too: say this for an archive of your own, or
    /// one that is signed by somebody whom you trust (--trust).
    #[arg(long)]
    allow_code: bool,
    /// Rename the schema in the bodies of functions that name it; for apps in PostgreSQL
    ///
    /// Without it, an archive with such a function is refused, unless it goes into a schema of the same name. A body is text,
    /// in which a name may be put together: look at such functions afterwards.
    #[arg(long)]
    rewrite_bodies: bool,
    /// Restore owners and grants, whose roles must exist; for apps in PostgreSQL
    ///
    /// Without it everything belongs to the login that restores it, and nobody else may touch it.
    #[arg(long)]
    grants: bool,
    #[command(flatten)]
    keys: ReadFlags,
}

impl Restore {
    fn options(&self) -> PostgresOptions {
        let &Self { allow_code, rewrite_bodies, grants, .. } = self;
        PostgresOptions { allow_code, rewrite_bodies, grants, ..PostgresOptions::default() }
    }

    /// Where the archive is, and what opens it.
    async fn place(
        &self,
        into: &AppName,
        vaults: impl Fn() -> Result<Vaults>,
        (config, keys): (&Config, ReadKeys),
        report: &Report,
    ) -> Result<(ArchivePlace, ReadKeys)> {
        let is_latest = self.archive.as_deref() == Some(Path::new("latest"));
        let of = self.of.as_ref().unwrap_or(into).clone();
        let wanted = match (&self.archive, self.at) {
            (Some(_), Some(_)) if !is_latest => {
                return Err(Error::Usage("--at chooses the backup by itself: leave the archive out".into()));
            }
            (_, Some(PointInTime(time))) => Wanted::At(of, time),
            (_, None) if is_latest => Wanted::Latest(of),
            (Some(_), None) if self.of.is_some() => {
                return Err(Error::Usage(
                    "--of is for `latest` and --at: an archive says by itself whose it is".into(),
                ));
            }
            (Some(path), None) => return place::find_in(config, path, keys, vaults).await,
            (None, None) => return Err(Error::Usage("say which archive: a file, bk_…, latest, or --at TIME".into())),
        };
        let vaults = vaults()?;
        let Found { backup, archive, expected, .. } = vaults.find(&wanted).await?;
        report.status(&format!("backup {} of {}", backup.record.id, backup.record.created));
        let trust = if keys.trust.is_asked_for() { keys.trust } else { vaults.trust()? };
        Ok((archive, ReadKeys { trust, expected: Some(expected), ..keys }))
    }

    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let budget = Budget::new(config.memory);
        let catalog = Catalog::open(&config.state).await?;
        let staging = Staging::new(config, catalog.clone(), budget.clone());
        let Some(into) = self.into.clone() else { return self.undo(config, &staging, report).await };
        let app = App::target(config.source(&into.source)?, &into.app, self.options())?;
        let existing = if self.replace { Existing::Replace } else { Existing::Refuse };
        staging.may_begin(&app, existing).await?;
        let vaults = || Vaults::with(config, budget.clone(), catalog.clone());
        let (place, keys) = self.place(&into, vaults, (config, self.keys.keys(config)?), report).await?;
        let (origin, total_bytes) = match self.only.is_empty() {
            true => {
                let (input, total_bytes) = place.open().await?;
                (Origin::Whole(input), total_bytes)
            }
            false => (Origin::Part(place, self.only.clone()), None),
        };
        let transfer = Transfer::begin(Direction::Import, Some(into.clone()))?;
        let begun = Instant::now();
        let importing = import(&app, origin, keys, &transfer, &staging, existing);
        let imported = watched(&transfer, total_bytes, importing).await?;
        let seconds = begun.elapsed().as_secs_f64();
        imported.notices.iter().for_each(|notice| report.status(notice));
        let rows: u64 = imported.summary.tables.iter().map(|table| table.rows).sum();
        let objects = imported.summary.objects;
        let size = ByteSize::new(transfer.bytes());
        let text = format!(
            "{}: {rows} rows in {} tables, {} objects{}, {size} read, {seconds:.1} s, {:.0} MiB/s",
            into,
            imported.summary.tables.len(),
            objects.count,
            marks(&imported.summary),
            size.mebibytes() / seconds
        );
        let summary = json!({
            "app": into.to_string(), "rows": rows, "tables": imported.summary.tables.len(),
            "objects": objects.count, "object_bytes": objects.bytes, "vanished": objects.vanished,
            "skipped": imported.manifest.skipped,
            "signed_by": signed_by(&imported.summary), "bytes": transfer.bytes(), "seconds": seconds,
            "kept_until": imported.landed.kept.map(|(until, _)| until.to_string()),
            "kept_bytes": imported.landed.kept.map(|(_, bytes)| bytes),
        });
        report.summary(&text, &summary)?;
        if let Some((until, bytes)) = imported.landed.kept {
            report.status(&format!(
                "{into} as it was before is kept until {until:.0} and takes {}: coffer restore --undo {into}",
                ByteSize::new(bytes)
            ));
        }
        Ok(())
    }

    async fn undo(self, config: &Config, staging: &Staging, report: &Report) -> Result<()> {
        let Some(name) = self.undo.clone() else { return Err(Error::Usage("say --into SOURCE/APP".into())) };
        let app = App::target(config.source(&name.source)?, &name.app, self.options())?;
        let transfer = Transfer::begin(Direction::Import, Some(name.clone()))?;
        let undone = watched(&transfer, None, staging.undo(&app, self.discard_changes_since, &transfer)).await?;
        let Undone { replaced, freed_bytes, left_alone } = undone;
        if left_alone > 0 {
            report.status(&format!(
                "{left_alone} objects were stored by others meanwhile, and stand as they were stored"
            ));
        }
        let text = format!(
            "{name} is again what it was before {replaced:.0}, and the copy of it that was kept is gone: {} are free again",
            ByteSize::new(freed_bytes)
        );
        let summary = json!({
            "app": name.to_string(), "undone": replaced.to_string(), "freed_bytes": freed_bytes, "left_alone": left_alone,
        });
        report.summary(&text, &summary)
    }
}
