//! `coffer restore`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use coffer_storage::PostgresOptions;
use serde_json::json;

use super::archive::{marks, signed_by};
use super::flags::ReadFlags;
use super::report::Report;
use crate::Result;
use crate::config::{ByteSize, Config};
use crate::name::AppName;
use crate::pipeline::{App, Budget, Direction, Transfer, import};
use crate::progress::watched;

/// Bring an archive into an app that is new or empty, whole or not at all
///
/// All of it stands in the end or, where anything is wrong, nothing. No code of the archive's author runs with the service's
/// rights: the SQL of an app in PostgreSQL runs under the login of import_database. Without one, tables, constraints and
/// indexes are made, and an archive with views, functions, triggers, rules or policies is refused.
#[derive(Args)]
pub(super) struct Restore {
    /// The archive: a file, `s3://BUCKET/KEY`, or `-` for standard input
    archive: PathBuf,
    /// The app, as SOURCE/APP; it must be new or empty
    #[arg(long, value_name = "SOURCE/APP")]
    into: AppName,
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

    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let app = App::target(config.source(&self.into.source)?, &self.into.app, self.options())?;
        app.must_be_empty().await?;
        let (input, total_bytes) = config.archive(&self.archive)?.open().await?;
        let keys = self.keys.keys(config)?;
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
