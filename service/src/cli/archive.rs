//! `coffer inspect` and `coffer verify`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use coffer_archive::{Manifest, Summary};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::entries::Entries;
use super::flags::ReadFlags;
use super::place;
use super::report::Report;
use crate::config::{ByteSize, Config};
use crate::pipeline::{ArchivePlace, Budget, Contents, Direction, RandomArchive, ReadKeys, Transfer, check};
use crate::progress::watched;
use crate::{Error, Result};

/// Show what an archive holds: its manifest and summary
///
/// Of a file it reads the two ends and, with --entries, the index: it is fast, and does not tell whether all else is whole,
/// which `coffer verify` does. What can't be seeked (`-`, a pipe), was packed by another program, or is to be signed
/// (--trust) is read and verified to its end.
#[derive(Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    archive: ArchiveFlags,
    /// List every entry: its size and path, and whether it is void (an object changed while it was read, and comes again) or
    /// vanished (it was deleted before it could be read)
    #[arg(long)]
    entries: bool,
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
    /// The archive: a file, `s3://BUCKET/KEY`, a backup's id (`bk_…`), or `-` for standard input
    archive: PathBuf,
    #[command(flatten)]
    keys: ReadFlags,
}

impl Inspect {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let keys = self.archive.keys.keys(config)?;
        let transfer = Transfer::begin(Direction::Verify, None)?;
        let budget = Budget::new(config.memory);
        let entries = self.entries.then(|| Entries::new(*report));
        let (place, keys) = place::find(config, &self.archive.archive, keys).await?;
        let work = inspect(place, keys, entries, &budget, &transfer);
        let (Contents { manifest, summary }, bytes) = watched(&transfer, None, work).await?;
        let mut lines = vec![
            format!("archive   {}", manifest.archive_id.escape_debug()),
            format!("app       {}/{}", manifest.source.escape_debug(), manifest.app.escape_debug()),
            format!("created   {} by {}", manifest.created.escape_debug(), manifest.generator.escape_debug()),
            format!("engine    {} {}", manifest.engine.kind.escape_debug(), manifest.engine.version.escape_debug()),
            format!("size      {}", ByteSize::new(bytes)),
            format!("objects   {}, {}", summary.objects.count, ByteSize::new(summary.objects.bytes)),
        ];
        if summary.objects.vanished > 0 {
            lines.push(format!("vanished  {} objects, deleted before they could be read", summary.objects.vanished));
        }
        let named = |kind: &'static str| move |thing: &String| format!("{kind} {}", thing.escape_debug());
        lines.extend(manifest.extensions.iter().map(named("extension")));
        lines.extend(manifest.skipped.iter().map(named("skipped  ")));
        // What is not read can't be vouched for.
        lines.extend(
            signed_by(&summary).map(|key| format!("signature {key}; `coffer verify --trust` tells what it covers")),
        );
        let table = |table: &coffer_archive::TableSummary| {
            format!("table     {}: {} rows, {}", table.name.escape_debug(), table.rows, ByteSize::new(table.bytes))
        };
        lines.extend(summary.tables.iter().map(table));
        report.summary(&lines.join("\n"), &json!({ "manifest": manifest, "summary": summary, "bytes": bytes }))
    }
}

/// Reads what an archive tells of itself, by random access where that can be taken at its word.
async fn inspect(
    place: ArchivePlace,
    keys: ReadKeys,
    entries: Option<Entries>,
    budget: &Budget,
    transfer: &Arc<Transfer>,
) -> Result<(Contents, u64)> {
    if keys.trust.is_asked_for() {
        // Rows are counted in the summary, and what is signed are the rows.
        return inspect_streaming(place, keys, entries, budget, transfer).await;
    }
    match RandomArchive::open(&place, keys, budget, transfer).await? {
        (Some(archive), _) => {
            let inspecting = spawn_blocking(move || inspect_random(&archive, entries));
            inspecting.await.map_err(|_| Error::StageLost)?
        }
        (None, keys) => inspect_streaming(place, keys, entries, budget, transfer).await,
    }
}

fn inspect_random(archive: &RandomArchive, entries: Option<Entries>) -> Result<(Contents, u64)> {
    let manifest = archive.manifest()?;
    if let Some(mut entries) = entries {
        let listed = archive.reader().list(|listed| Ok(entries.listed(&listed).map_err(std::io::Error::from)?));
        listed.map_err(|error| archive.blame(error))?;
        entries.finish()?;
    }
    Ok((Contents { manifest, summary: archive.summary().clone() }, archive.size_bytes()))
}

async fn inspect_streaming(
    place: ArchivePlace,
    keys: ReadKeys,
    entries: Option<Entries>,
    budget: &Budget,
    transfer: &Arc<Transfer>,
) -> Result<(Contents, u64)> {
    let entries = Arc::new(Mutex::new(entries));
    let passing_by = Arc::clone(&entries);
    let (input, _) = place.open().await?;
    let input = input.watched(move |passing| {
        let mut entries = passing_by.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = entries.as_mut().map_or(Ok(()), |entries| entries.pass(passing));
        Ok(passed.map_err(std::io::Error::from)?)
    });
    let contents = check(input, keys, budget, transfer).await?;
    let entries = entries.lock().unwrap_or_else(PoisonError::into_inner).take();
    entries.map_or(Ok(()), Entries::finish)?;
    Ok((contents, transfer.bytes()))
}

impl Verify {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let ArchiveFlags { archive, keys } = self.archive;
        let begun = Instant::now();
        let (place, keys) = place::find(config, &archive, keys.keys(config)?).await?;
        let (input, total_bytes) = place.open().await?;
        let transfer = Transfer::begin(Direction::Verify, None)?;
        let budget = Budget::new(config.memory);
        let work = check(input, keys, &budget, &transfer);
        let Contents { manifest, summary } = watched(&transfer, total_bytes, work).await?;
        let (bytes, seconds) = (transfer.bytes(), begun.elapsed().as_secs_f64());
        let rows: u64 = summary.tables.iter().map(|table| table.rows).sum();
        let (tables, objects) = (summary.tables.len(), summary.objects.count);
        let text = format!(
            "whole: {}/{} of {}, {rows} rows in {tables} tables, {objects} objects{}, {}, {seconds:.1} s",
            manifest.source.escape_debug(),
            manifest.app.escape_debug(),
            manifest.created.escape_debug(),
            marks(&summary),
            ByteSize::new(bytes),
        );
        let summary = json!({
            "whole": true, "archive_id": manifest.archive_id, "rows": rows, "tables": tables, "objects": objects,
            "vanished": summary.objects.vanished, "skipped": manifest.skipped, "signed_by": signed_by(&summary),
            "bytes": bytes, "seconds": seconds,
            "created": manifest.created, "app": app(&manifest),
        });
        report.summary(&text, &summary)
    }
}

fn app(manifest: &Manifest) -> String {
    format!("{}/{}", manifest.source, manifest.app)
}

/// Whose signature an archive bears: found to hold for its id and index digest.
pub(super) fn signed_by(summary: &Summary) -> Option<&str> {
    summary.signature.as_ref().map(|signature| signature.key.as_str())
}

/// What is not so with every archive, for a line about one.
pub(super) fn marks(summary: &Summary) -> String {
    let vanished = match summary.objects.vanished {
        0 => String::new(),
        count => format!(" ({count} more had vanished)"),
    };
    let signed = signed_by(summary).map_or_else(String::new, |key| format!(", signed by {key}"));
    format!("{vanished}{signed}")
}
