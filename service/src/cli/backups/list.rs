//! `coffer backups list` and `show`.

use clap::Args;
use serde_json::json;

use crate::Result;
use crate::catalog::{Backup, BackupFilter, State};
use crate::cli::Report;
use crate::config::ByteSize;
use crate::name::AppName;
use crate::vault::Vaults;

/// List backups, newest first
///
/// Those that are good, and those that are being made. An attempt that failed is no backup: --failed lists these, with their reasons.
#[derive(Args)]
pub(in crate::cli) struct List {
    /// Those of this app alone
    app: Option<AppName>,
    /// The attempts that failed, with their reasons
    #[arg(long)]
    failed: bool,
    /// At most so many [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

impl List {
    pub(super) async fn run(self, vaults: &Vaults, report: &Report) -> Result<()> {
        vaults.settle().await?;
        let (source, app) = self.app.map(|name| (name.source, name.app)).unzip();
        let state = self.failed.then_some(State::Failed);
        let limit = self.limit.unwrap_or_default();
        let filter = BackupFilter { source, app, state, without_failed: true, limit, ..BackupFilter::default() };
        let backups = vaults.catalog().backups(&filter).await?;
        let lines: Vec<_> = backups.iter().map(line).collect();
        let text = match lines.is_empty() {
            true => "there are none".to_owned(),
            false => lines.join("\n"),
        };
        report.summary(&text, &json!({ "backups": backups }))
    }
}

fn line(backup: &Backup) -> String {
    let record = &backup.record;
    let size = record.bytes.map_or_else(|| "-".to_owned(), |bytes| ByteSize::new(bytes).to_string());
    let rest = match (backup.state, &backup.error) {
        (State::Failed, Some(error)) => format!("failed: {error}"),
        (State::Failed, None) => "failed".into(),
        (State::Running, _) => "being made".into(),
        (State::Deleting, _) => "being deleted".into(),
        (State::Good, _) => {
            let readers = match &record.recipients {
                Some(recipients) if recipients.is_empty() => "not sealed".to_owned(),
                Some(recipients) => format!("{} can open it", recipients.len()),
                None => "sealed, for whom is not known".to_owned(),
            };
            format!("{size:>10}  in {}  {readers}", backup.vaults.join(", "))
        }
    };
    format!("{}  {}  {}/{}  {rest}", record.id, record.created, record.source, record.app)
}

/// Show all that is known of a backup
///
/// Also who can open it: the recipients that it was sealed for.
#[derive(Args)]
pub(in crate::cli) struct Show {
    /// The backup: its id, or at least the first six digits of it
    id: String,
}

impl Show {
    pub(super) async fn run(self, vaults: &Vaults, report: &Report) -> Result<()> {
        let backup = vaults.lookup(&self.id).await?;
        let shown = serde_json::to_value(&backup).unwrap_or_default();
        let lines = shown.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let lines: Vec<_> = lines.map(|(name, value)| format!("{name:<13} {}", words(value))).collect();
        report.summary(&lines.join("\n"), &backup)
    }
}

fn words(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.escape_debug().to_string(),
        serde_json::Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
        serde_json::Value::Object(fields) => {
            ["vault", "path"].map(|name| fields.get(name).map(words).unwrap_or_default()).join(": ")
        }
        other => other.to_string(),
    }
}
