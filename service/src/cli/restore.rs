//! `coffer restore`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::archive::{marks, signed_by};
use super::flags::ReadFlags;
use super::report::Report;
use crate::Result;
use crate::config::{ByteSize, Config};
use crate::name::AppName;
use crate::pipeline::{App, ArchiveInput, Budget, Direction, Transfer, import};
use crate::progress::watched;

/// Bring an archive into an app that is new or empty, whole or not at all
///
/// All of it stands in the end or, where anything is wrong, nothing.
#[derive(Args)]
pub(super) struct Restore {
    /// The archive: a file, or `-` for standard input
    archive: PathBuf,
    /// The app, as SOURCE/APP; it must be new or empty
    #[arg(long, value_name = "SOURCE/APP")]
    into: AppName,
    #[command(flatten)]
    keys: ReadFlags,
}

impl Restore {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let app = App::of(config.source(&self.into.source)?, &self.into.app)?;
        app.must_be_empty().await?;
        let input = ArchiveInput::open(&self.archive)?;
        let total_bytes = std::fs::metadata(&self.archive).ok().map(|metadata| metadata.len());
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
            "signed_by": signed_by(&imported.summary), "bytes": transfer.bytes(), "seconds": seconds,
        });
        report.summary(&text, &summary)?;
        Ok(())
    }
}
