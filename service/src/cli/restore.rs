//! `coffer restore`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use coffer_storage::PostgresOptions;
use serde_json::json;

use super::archive::{marks, signed_by};
use super::flags::ReadFlags;
use super::place;
use super::report::Report;
use crate::config::{ByteSize, Config};
use crate::name::AppName;
use crate::pipeline::{App, ArchivePlace, Budget, Direction, ReadKeys, Transfer, import};
use crate::progress::watched;
use crate::vault::{Found, PointInTime, Vaults, Wanted};
use crate::{Error, Result};

/// Bring an archive into an app that is new or empty, whole or not at all
///
/// All of it stands in the end or, where anything is wrong, nothing. No code of the archive's author runs with the service's
/// rights: the SQL of an app in PostgreSQL runs under the login of import_database. Without one, tables, constraints and
/// indexes are made, and an archive with views, functions, triggers, rules or policies is refused.
#[derive(Args)]
pub(super) struct Restore {
    /// The archive: a file, `s3://BUCKET/KEY`, `-` for standard input, a backup's id (`bk_…`), or `latest`, the newest good
    /// backup
    #[arg(required_unless_present = "at")]
    archive: Option<PathBuf>,
    /// The app, as SOURCE/APP; it must be new or empty
    #[arg(long, value_name = "SOURCE/APP")]
    into: AppName,
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
    async fn place(&self, config: &Config, keys: ReadKeys, report: &Report) -> Result<(ArchivePlace, ReadKeys)> {
        let is_latest = self.archive.as_deref() == Some(Path::new("latest"));
        let of = self.of.as_ref().unwrap_or(&self.into).clone();
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
            (Some(path), None) => return place::find(config, path, keys).await,
            (None, None) => return Err(Error::Usage("say which archive: a file, bk_…, latest, or --at TIME".into())),
        };
        let vaults = Vaults::open(config, Budget::new(config.memory)).await?;
        let Found { backup, archive, expected, .. } = vaults.find(&wanted).await?;
        report.status(&format!("backup {} of {}", backup.record.id, backup.record.created));
        let trust = if keys.trust.is_asked_for() { keys.trust } else { vaults.trust()? };
        Ok((archive, ReadKeys { trust, expected: Some(expected), ..keys }))
    }

    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let app = App::target(config.source(&self.into.source)?, &self.into.app, self.options())?;
        app.must_be_empty().await?;
        let (place, keys) = self.place(config, self.keys.keys(config)?, report).await?;
        let (input, total_bytes) = place.open().await?;
        let transfer = Transfer::begin(Direction::Import, Some(self.into.clone()))?;
        let budget = Budget::new(config.memory);
        let begun = Instant::now();
        let imported = watched(&transfer, total_bytes, import(&app, input, keys, &budget, &transfer)).await?;
        let seconds = begun.elapsed().as_secs_f64();
        imported.notices.iter().for_each(|notice| report.status(notice));
        let rows: u64 = imported.summary.tables.iter().map(|table| table.rows).sum();
        let objects = imported.summary.objects;
        let size = ByteSize::new(transfer.bytes());
        let text = format!(
            "{}: {rows} rows in {} tables, {} objects{}, {size} read, {seconds:.1} s, {:.0} MiB/s",
            self.into,
            imported.summary.tables.len(),
            objects.count,
            marks(&imported.summary),
            size.mebibytes() / seconds
        );
        let summary = json!({
            "app": self.into.to_string(), "rows": rows, "tables": imported.summary.tables.len(),
            "objects": objects.count, "object_bytes": objects.bytes, "vanished": objects.vanished,
            "skipped": imported.manifest.skipped,
            "signed_by": signed_by(&imported.summary), "bytes": transfer.bytes(), "seconds": seconds,
        });
        report.summary(&text, &summary)?;
        Ok(())
    }
}
