//! `coffer export`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use super::flags::SealFlags;
use super::report::Report;
use crate::config::{ByteSize, Config};
use crate::name::AppName;
use crate::pipeline::{self, App, Budget, Direction, Receiver, Transfer};
use crate::progress::watched;
use crate::{Error, Result};

/// A command's own output is waited for as long as it takes.
const PATIENT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Stream an app into an archive
///
/// Its rows and files go into one archive as they are read. The file appears under its name only when it is whole.
#[derive(Args)]
pub(super) struct Export {
    /// The app, as SOURCE/APP
    app: AppName,
    /// Where to write the archive; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    seal: SealFlags,
}

#[derive(Serialize)]
struct Exported {
    app: String,
    bytes: u64,
    entries: u64,
    seconds: f64,
}

impl Export {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let to_stdout = self.output == Path::new("-");
        if to_stdout && report.is_json() {
            return Err(Error::Usage("with --json the archive can't go to standard output: add -o FILE".into()));
        }
        if to_stdout && std::io::stdout().is_terminal() {
            return Err(Error::Usage("an archive is no sight for a terminal: add -o FILE, or pipe it on".into()));
        }
        let source = config.source(&self.app.source)?;
        let app = App::of(source, &self.app.app)?;
        app.must_exist().await?;
        let sealing = self.seal.sealing(config, source)?;
        let transfer = Transfer::begin(Direction::Export, Some(self.app.clone()))?;
        let begun = Instant::now();
        let work = async {
            let budget = Budget::new(config.memory);
            let export = pipeline::Export::prepare(app, sealing, budget, transfer.clone()).await?;
            let archive = export.start(PATIENT);
            if to_stdout {
                write_out(archive, std::io::stdout(), "standard output", &transfer).await.map(|_| ())
            } else {
                write_file(archive, &self.output, &transfer).await
            }
        };
        watched(&transfer, None, work).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let (bytes, entries) = (transfer.bytes(), transfer.entries());
        let (name, size) = (&self.app, ByteSize::new(bytes));
        let text =
            format!("{name}: {size}, {entries} entries, {seconds:.1} s, {:.0} MiB/s", size.mebibytes() / seconds);
        let app = self.app.to_string();
        if to_stdout {
            report.note(&text);
        } else {
            report.summary(&text, &Exported { app, bytes, entries, seconds })?;
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
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.display().to_string();
    let failed = |error: std::io::Error| Error::file(format!("writing {}", path.display()), error);
    let temporary = tempfile::Builder::new().prefix(".coffer-tmp-").tempfile_in(folder).map_err(failed)?;
    let (file, temporary) = temporary.into_parts();
    let file = write_out(archive, file, &name, transfer).await?;
    file.sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

async fn write_out<W>(mut archive: Receiver<Bytes>, mut out: W, name: &str, transfer: &Transfer) -> Result<W>
where
    W: Write + Send + 'static,
{
    while let Some(piece) = transfer.or_cancelled(archive.next()).await? {
        transfer.add_bytes(piece.len() as u64);
        let written = tokio::task::spawn_blocking(move || out.write_all(&piece).map(|()| out));
        let written = transfer.or_cancelled(async { written.await.map_err(|_| Error::StageLost) }).await?;
        out = written.map_err(|error| Error::file(format!("writing {name}"), error))?;
    }
    out.flush().map_err(|error| Error::file(format!("writing {name}"), error))?;
    Ok(out)
}
