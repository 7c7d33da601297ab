//! `coffer extract`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::flags::ReadFlags;
use super::place;
use super::report::Report;
use crate::config::{ByteSize, Config};
use crate::pipeline::{
    ArchivePlace, Budget, Direction, Extracted, Folder, Overwrite, RandomArchive, ReadCount, ReadKeys, Spool, Tell,
    Transfer, Wanted, check, extract_random,
};
use crate::progress::watched;
use crate::{Error, Result};

/// Take single files or folders out of an archive
///
/// From a file or a bucket it reads no more than it needs: the header, the end, a part of the index and what was asked for. Each file
/// appears under its path in the archive once its SHA-256 has been checked; that nothing else of the archive is damaged,
/// `coffer verify` tells. With --trust all of the index is read, too. An archive that can't be seeked (`-`, a pipe), or that
/// another program packed, is read to its end in one pass, and the files appear once all of it has been verified.
///
/// Nothing outside the folder is written, and no symbolic link in it is followed. A name that can't stand in a file system
/// (`objects/a` beside `objects/a/b`, or one over 255 bytes) is replaced by its first 200 bytes, `~` and 16 digits of
/// the SHA-256 of the path, and told.
#[derive(Args)]
pub(super) struct Extract {
    /// The archive: a file, `s3://BUCKET/KEY`, a backup's id (`bk_…`), or `-` for standard input
    archive: PathBuf,
    /// What to take: an entry's path, as `coffer inspect --entries` lists it (files are under objects/, rows under
    /// database/rows/), or a folder of them, ending in /
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Extract into this folder, which is made where it is missing
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Replace files that are there already; without it they are left as they are, and the exit code is 1
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    keys: ReadFlags,
}

/// How an extraction went.
struct Done {
    extracted: Extracted,
    wanted: Wanted,
    /// None where all of the archive was read in one pass.
    count: Option<ReadCount>,
}

impl Extract {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let keys = self.keys.keys(config)?;
        let transfer = Transfer::begin(Direction::Verify, None)?;
        let budget = Budget::new(config.memory);
        let begun = Instant::now();
        let (place, keys) = place::find(config, &self.archive, keys).await?;
        let work = self.extract(place, keys, &budget, &transfer, *report);
        let Done { extracted, wanted, count } = watched(&transfer, None, work).await?;
        let Extracted { files, bytes, existing } = extracted;
        let seconds = begun.elapsed().as_secs_f64();
        let read = match count {
            Some(ReadCount { ranged_reads, bytes }) => {
                format!("{} read of the archive in {ranged_reads} ranges", ByteSize::new(bytes))
            }
            None => format!("all {} of the archive read and verified", ByteSize::new(transfer.bytes())),
        };
        let text = format!("{files} files, {}; {read}, {seconds:.1} s", ByteSize::new(bytes));
        let summary = json!({
            "files": files, "bytes": bytes, "existing": existing, "seconds": seconds,
            "ranged_reads": count.unwrap_or_default().ranged_reads, "bytes_read": transfer.bytes(),
        });
        report.summary(&text, &summary)?;
        extracted.check(&wanted)
    }

    async fn extract(
        self,
        place: ArchivePlace,
        keys: ReadKeys,
        budget: &Budget,
        transfer: &Arc<Transfer>,
        report: Report,
    ) -> Result<Done> {
        match RandomArchive::open(&place, keys, budget, transfer).await? {
            (Some(archive), _) => {
                let running = Arc::clone(transfer);
                joined(spawn_blocking(move || self.extract_random(&archive, &running, report)).await)
            }
            (None, keys) => self.extract_streaming(place, keys, budget, transfer, report).await,
        }
    }

    fn folder(&self, report: Report) -> Result<Folder> {
        let overwrite = if self.force { Overwrite::Always } else { Overwrite::Never };
        let tell: Tell = Box::new(move |text| report.status(text));
        Folder::open(&self.directory, overwrite, tell)
    }

    fn extract_random(self, archive: &RandomArchive, transfer: &Transfer, report: Report) -> Result<Done> {
        let folder = self.folder(report)?;
        let mut wanted = Wanted::new(self.paths);
        let extracted = extract_random(archive, &mut wanted, folder, transfer)?;
        Ok(Done { extracted, wanted, count: Some(archive.count()) })
    }

    async fn extract_streaming(
        self,
        place: ArchivePlace,
        keys: ReadKeys,
        budget: &Budget,
        transfer: &Arc<Transfer>,
        report: Report,
    ) -> Result<Done> {
        let (input, _) = place.open().await?;
        let spool = Spool::new(self.folder(report)?, Wanted::new(self.paths))?;
        let spool = Arc::new(Mutex::new(Some(spool)));
        let spooling = Arc::clone(&spool);
        let input = input.watched(move |passing| {
            let mut spool = spooling.lock().unwrap_or_else(PoisonError::into_inner);
            let passed = spool.as_mut().map_or(Ok(()), |spool| spool.pass(passing));
            Ok(passed.map_err(std::io::Error::from)?)
        });
        check(input, keys, budget, transfer).await?;
        let spool = spool.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Error::StageLost)?;
        let (extracted, wanted) = joined(spawn_blocking(move || spool.land()).await)?;
        Ok(Done { extracted, wanted, count: None })
    }
}

fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.map_err(|_| Error::StageLost)?
}
