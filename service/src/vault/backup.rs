//! One backup: an app's export into the vault, with what is known of it beside it and in the catalogue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_archive::{Compression, Summary};
use coffer_storage::PostgresOptions;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::path::VaultPath;
use super::store::Written;
use super::{Vaults, hook};
use crate::catalog::{Attempt, BackupId, Record, Trigger};
use crate::config::Source;
use crate::name::AppName;
use crate::pipeline::{App, Export, PATIENT, Packing, Sealing, Transfer};
use crate::{Error, Result};

/// How often, and after which pause, the catalogue is told of a backup that stands.
const NOTE_TRIES: u32 = 20;
const NOTE_PAUSE: Duration = Duration::from_secs(3);
/// How long it may take to see to it that nothing is left of one that failed.
const CLEAN_UP: Duration = Duration::from_secs(2);

/// A backup that stands.
pub struct Stands {
    /// What is known of it.
    pub record: Record,
    /// What went wrong all the same.
    pub complaint: Option<Error>,
}

/// What a backup is made with.
struct Making<'a> {
    app: &'a AppName,
    source: &'a Source,
    id: BackupId,
    trigger: Trigger,
    transfer: &'a Arc<Transfer>,
    begun: Instant,
}

impl Vaults {
    /// Makes a backup of an app in the first vault. What becomes of it stands in the catalogue, also where it fails; then there is
    /// nothing of it in the vault.
    ///
    /// # Errors
    /// Those of an export, of the vault and of the command that runs before it.
    pub async fn backup(
        &self,
        app: &AppName,
        id: BackupId,
        trigger: Trigger,
        transfer: &Arc<Transfer>,
    ) -> Result<Stands> {
        let source = self.inner.config.source(&app.source)?;
        source.check(&app.app)?;
        while !self.catalog().begin(&Attempt { id, app, created: transfer.started(), trigger }).await? {
            let next = async {
                sleep(next_second(transfer.started())).await;
                Ok(())
            };
            transfer.or_cancelled(next).await?;
            transfer.start_now();
        }
        let making = Making { app, source, id, trigger, transfer, begun: Instant::now() };
        match self.make(&making).await {
            Ok((path, mut record, complaint)) => {
                record.notice = complaint.as_ref().map(ToString::to_string);
                // Where it fails the attempt stays one that runs: whoever comes after this process finds the archive.
                let noted = self.note(&path, &record, transfer).await;
                noted.map(|()| Stands { record, complaint }).map_err(|error| {
                    error.about(format!(
                        "the archive {path} stands in the vault, but the catalogue could not be told (`coffer backups rescan` does)"
                    ))
                })
            }
            Err(error) => {
                let milliseconds = i64::try_from(making.begun.elapsed().as_millis()).ok();
                if let Err(unnoted) = self.catalog().fail(id, &error.to_string(), milliseconds).await {
                    tracing::error!(backup = %id, error = %unnoted, "a failed backup could not be noted");
                }
                Err(error)
            }
        }
    }

    /// Keeps what is known of an archive beside it, and in the catalogue.
    async fn note(&self, path: &str, record: &Record, transfer: &Transfer) -> Result<()> {
        // The archive stands: what is known of it can be made again from it.
        if let Err(error) = transfer.or_cancelled(self.first()?.write_record(path, record)).await {
            tracing::warn!(path, %error, "what is known of a backup could not be kept beside it");
        }
        let mut tries = NOTE_TRIES;
        loop {
            match self.catalog().stands(record, self.first()?.name(), path).await {
                Err(error) if tries > 0 && transfer.cancelled().is_none() => {
                    tracing::warn!(path, %error, "the catalogue could not be told of a backup: it is tried again");
                    tries -= 1;
                    sleep(NOTE_PAUSE).await;
                }
                noted => return noted,
            }
        }
    }

    /// The commands around, and the archive between them.
    async fn make(&self, making: &Making<'_>) -> Result<(String, Record, Option<Error>)> {
        let hooks = &making.source.hooks;
        let id = [("COFFER_BACKUP", making.id.to_string())];
        let made = async {
            if let Some(before) = &hooks.before {
                making.transfer.or_cancelled(hook::run("before", before, making.app, &id)).await?;
            }
            self.write(making).await
        };
        let made = made.await;
        let Some(after) = &hooks.after else { return made.map(|(path, record)| (path, record, None)) };
        let (result, error) = match &made {
            Ok(_) => ("good", String::new()),
            Err(error) => ("failed", error.to_string()),
        };
        let [id] = id;
        let variables = [id, ("COFFER_RESULT", result.to_owned()), ("COFFER_ERROR", error)];
        let after = hook::run("after", after, making.app, &variables).await;
        match (made, after) {
            (Ok((path, record)), after) => Ok((path, record, after.err())),
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(after)) => Err(error.about(format!("{after}; the backup itself failed too"))),
        }
    }

    async fn write(&self, making: &Making<'_>) -> Result<(String, Record)> {
        let &Making { app, source, id, trigger, transfer, .. } = making;
        let keys = self.inner.config.keys.load()?;
        let packing = Packing {
            sealing: Sealing::default_for(source, &keys)?,
            compression: Compression::default(),
            signing_key: self.inner.signing_key.clone(),
            archive_id: id.archive(),
        };
        let (media_type, extension) = packing.media_type();
        let opened = App::of(source, &app.app, PostgresOptions::default())?;
        let engine = opened.engine;
        let vault = self.first()?;
        self.must_be_mounted(vault).await?;
        let path = VaultPath::new(app.clone(), transfer.started(), id, extension).to_string();
        let budget = &self.inner.budget;
        let export = Export::prepare_for(opened, packing, budget.clone(), Arc::clone(transfer), vault.taker_bytes());
        let export = transfer.or_cancelled(export).await?;
        let made = export.made();
        let writing = async { vault.write(&path, media_type, export.start(PATIENT), None, budget, transfer).await };
        let written = self.writing_alone(vault, &path, writing).await;
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                // A bucket may have made it an object though its answer was lost: what failed leaves nothing.
                if !vault.is_folder()
                    && let Ok(Err(left)) = timeout(CLEAN_UP, vault.delete(&path)).await
                {
                    tracing::warn!(path, error = %left, "whether anything is left of a backup that failed can't be seen");
                }
                return Err(error);
            }
        };
        let summary = made.get().ok_or(Error::StageLost)?;
        let record = Record {
            // What a figure of milliseconds can say.
            seconds: Some((making.begun.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0),
            skipped: Some(0),
            engine: Some(engine.as_str().to_owned()),
            recipients: Some(source.readers(&keys).iter().map(ToString::to_string).collect()),
            ..known(Record::new(id, app, transfer.started(), trigger), summary, Some(written))
        };
        Ok((path, record))
    }
}

/// How long it is to the next second.
fn next_second(now: Timestamp) -> Duration {
    Duration::from_nanos(u64::from(1_000_000_000 - now.subsec_nanosecond().unsigned_abs().min(999_999_999)))
}

/// What a summary tells.
pub(super) fn known(record: Record, summary: &Summary, written: Option<Written>) -> Record {
    let (bytes, sha256) = written.map(|written| (written.bytes, written.sha256)).unzip();
    Record {
        bytes: bytes.or(record.bytes),
        sha256,
        rows: Some(summary.tables.iter().map(|table| table.rows).sum()),
        tables: Some(summary.tables.len() as u64),
        objects: Some(summary.objects.count),
        object_bytes: Some(summary.objects.bytes),
        vanished: Some(summary.objects.vanished),
        index_digest: summary.index_digest().map(|digest| digest.iter().map(|byte| format!("{byte:02x}")).collect()),
        signed_by: summary.signature.as_ref().map(|signature| signature.key.clone()),
        ..record
    }
}
