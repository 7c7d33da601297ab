//! `coffer export`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use clap::Args;
use coffer_archive::Compression;
use coffer_crypto::ArchiveId;
use coffer_storage::{PART_BYTES, PostgresOptions};
use serde::Serialize;

use super::flags::SealFlags;
use super::new_file::NewFile;
use super::report::Report;
use crate::config::{ByteSize, Config};
use crate::name::AppName;
use crate::pipeline::{
    self, App, ArchivePlace, Budget, Direction, GRACE, PATIENT, Packing, Receiver, Transfer, write_object, write_out,
};
use crate::progress::watched;
use crate::{Error, Result};

/// Stream an app into an archive
///
/// Its rows and files go into one archive as they are read. The file appears under its name only when it is whole. What the
/// archive could not carry without loss makes the export fail, and is named.
#[derive(Args)]
pub(super) struct Export {
    /// The app, as SOURCE/APP
    app: AppName,
    /// Where to write the archive: a file, `s3://BUCKET/KEY`, or `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// How to compress: gzip, zstd (smaller and faster; an unsealed archive is then a .tar.zst), or none
    #[arg(long, value_name = "HOW", default_value = "gzip")]
    compression: Compression,
    /// How hard to try: 1 (fast) to 12 (small) for gzip, to 19 for zstd [default: 1 for gzip, 3 for zstd]
    #[arg(long, value_name = "N")]
    level: Option<u8>,
    /// Leave out what can't be carried, in place of refusing the app; for apps in PostgreSQL
    ///
    /// Nothing is left out in silence: each thing is told at the end and named in the archive's manifest, where `coffer
    /// inspect` shows it, and whoever restores the archive is told again. Rows are never left out of a table that is carried.
    #[arg(long)]
    skip_unsupported: bool,
    #[command(flatten)]
    seal: SealFlags,
}

#[derive(Serialize)]
struct Exported {
    app: String,
    bytes: u64,
    entries: u64,
    vanished: u64,
    skipped: Vec<String>,
    seconds: f64,
}

impl Export {
    fn compression(&self) -> Result<Compression> {
        Ok(self.level.map_or(Ok(self.compression), |level| self.compression.at_level(level))?)
    }

    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let to_stdout = self.output == Path::new("-");
        if to_stdout && report.is_json() {
            return Err(Error::Usage("with --json the archive can't go to standard output: add -o FILE".into()));
        }
        if to_stdout && std::io::stdout().is_terminal() {
            return Err(Error::Usage("an archive is no sight for a terminal: add -o FILE, or pipe it on".into()));
        }
        let source = config.source(&self.app.source)?;
        let options = PostgresOptions { skip_unsupported: self.skip_unsupported, ..PostgresOptions::default() };
        let app = App::of(source, &self.app.app, options)?;
        app.must_exist().await?;
        let packing = Packing {
            sealing: self.seal.sealing(config, source)?,
            compression: self.compression()?,
            signing_key: config.keys.signing_key()?,
            archive_id: ArchiveId::random()?,
        };
        let target = config.archive(&self.output)?;
        let media_type = packing.media_type().0;
        let transfer = Transfer::begin(Direction::Export, Some(self.app.clone()))?;
        let begun = Instant::now();
        let work = async {
            let budget = Budget::new(config.memory);
            let taker_bytes = match target {
                ArchivePlace::Object { .. } => PART_BYTES,
                ArchivePlace::File(_) => 0,
            };
            let export =
                pipeline::Export::prepare_for(app, packing, budget.clone(), transfer.clone(), taker_bytes).await?;
            let skipped = export.skipped().to_vec();
            let archive = export.start(PATIENT);
            match target {
                ArchivePlace::Object { store, key, name } => {
                    let upload = store.upload(&key, budget.sending(), media_type)?;
                    write_object(archive, upload, &transfer, GRACE).await.map_err(|error| error.about(name))?;
                }
                ArchivePlace::File(_) if to_stdout => {
                    write_out(archive, std::io::stdout(), "standard output", &transfer).await.map(drop)?;
                }
                ArchivePlace::File(path) => write_file(archive, &path, &transfer).await?,
            }
            Ok(skipped)
        };
        let skipped = watched(&transfer, None, work).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let (bytes, entries, vanished) = (transfer.bytes(), transfer.entries(), transfer.vanished());
        if vanished > 0 {
            report.note(&format!(
                "{vanished} objects were deleted between their listing and their reading, and are not in the archive: \
                 `coffer inspect --entries` names them"
            ));
        }
        if !skipped.is_empty() {
            report.note(&format!("{} things can't be carried, and are not in the archive:", skipped.len()));
            skipped.iter().for_each(|thing| report.note(&format!("  {}", thing.escape_debug())));
        }
        let (name, size) = (&self.app, ByteSize::new(bytes));
        let text =
            format!("{name}: {size}, {entries} entries, {seconds:.1} s, {:.0} MiB/s", size.mebibytes() / seconds);
        let app = self.app.to_string();
        if to_stdout {
            report.note(&text);
        } else {
            report.summary(&text, &Exported { app, bytes, entries, vanished, skipped, seconds })?;
        }
        Ok(())
    }
}

/// Writes beside the file, and gives it its name once it is whole and on the disk. What is there and no file (a device, a
/// named pipe) is written into; a link is followed.
async fn write_file(archive: Receiver<Bytes>, path: &Path, transfer: &Transfer) -> Result<()> {
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let name = path.display().to_string();
        let opened = std::fs::OpenOptions::new().write(true).open(path);
        let out = opened.map_err(|error| Error::file(format!("writing {name}"), error))?;
        return write_out(archive, out, &name, transfer).await.map(|_| ());
    }
    let new = NewFile::beside(path)?;
    let name = path.display().to_string();
    let file = write_out(archive, new.file()?, &name, transfer).await?;
    drop(file);
    new.persist()
}
