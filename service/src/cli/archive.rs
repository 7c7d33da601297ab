//! `coffer inspect` and `coffer verify`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::flags::UnlockFlags;
use super::report::Report;
use crate::Result;
use crate::config::{ByteSize, Config};
use crate::pipeline::{ArchiveInput, Budget, Contents, Direction, Transfer, check};
use crate::progress::watched;

/// Show what an archive holds: its manifest and summary
///
/// All of it is read and checked on the way.
#[derive(Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    archive: ArchiveFlags,
}

/// Read and check all of an archive, and restore nothing
///
/// Each tag, digest and count is checked; exit code 13 where it is not whole.
#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    archive: ArchiveFlags,
}

#[derive(Args)]
struct ArchiveFlags {
    /// The archive: a file, or `-` for standard input
    archive: PathBuf,
    #[command(flatten)]
    unlock: UnlockFlags,
}

impl ArchiveFlags {
    async fn check(&self, config: &Config) -> Result<(Contents, u64)> {
        let input = ArchiveInput::open(&self.archive)?;
        let total_bytes = std::fs::metadata(&self.archive).ok().map(|metadata| metadata.len());
        let unlock = self.unlock.unlock(config)?;
        let transfer = Transfer::begin(Direction::Verify, None)?;
        let budget = Budget::new(config.memory);
        let contents = watched(&transfer, total_bytes, check(input, unlock, &budget, &transfer)).await?;
        Ok((contents, transfer.bytes()))
    }
}

impl Inspect {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let (Contents { manifest, summary }, bytes) = self.archive.check(config).await?;
        let mut lines = vec![
            format!("archive   {}", manifest.archive_id.escape_debug()),
            format!("app       {}/{}", manifest.source.escape_debug(), manifest.app.escape_debug()),
            format!("created   {} by {}", manifest.created.escape_debug(), manifest.generator.escape_debug()),
            format!("engine    {} {}", manifest.engine.kind.escape_debug(), manifest.engine.version.escape_debug()),
            format!("size      {}", ByteSize::new(bytes)),
            format!("objects   {}, {}", summary.objects.count, ByteSize::new(summary.objects.bytes)),
        ];
        let table = |table: &coffer_archive::TableSummary| {
            format!("table     {}: {} rows, {}", table.name.escape_debug(), table.rows, ByteSize::new(table.bytes))
        };
        lines.extend(summary.tables.iter().map(table));
        report.summary(&lines.join("\n"), &json!({ "manifest": manifest, "summary": summary, "bytes": bytes }))?;
        Ok(())
    }
}

impl Verify {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let begun = Instant::now();
        let (Contents { manifest, summary }, bytes) = self.archive.check(config).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let rows: u64 = summary.tables.iter().map(|table| table.rows).sum();
        let (tables, objects) = (summary.tables.len(), summary.objects.count);
        let size = ByteSize::new(bytes);
        let text = format!(
            "whole: {}/{} of {}, {rows} rows in {tables} tables, {objects} objects, {size}, {seconds:.1} s",
            manifest.source.escape_debug(),
            manifest.app.escape_debug(),
            manifest.created.escape_debug()
        );
        let summary = json!({
            "whole": true, "archive_id": manifest.archive_id, "rows": rows, "tables": tables, "objects": objects,
            "bytes": bytes, "seconds": seconds,
        });
        report.summary(&text, &summary)?;
        Ok(())
    }
}
