//! `coffer rewrap`.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use coffer_crypto::{Recipients, Unlock, rewrap_header};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::flags::{NewSealFlags, UnlockFlags};
use super::new_file::NewFile;
use super::report::Report;
use crate::config::{ByteSize, Config};
use crate::pipeline::{Direction, Transfer};
use crate::progress::watched;
use crate::{Error, Result};

/// How much is copied at once. The new header has another length than the old one, so that no page of the one file is a
/// page of the other: copy_file_range(2) then moves them in two parts each, and takes a quarter longer than this.
const PIECE_BYTES: usize = 1 << 20;

/// Give an archive other recipients, without sealing it anew
///
/// Whoever is named here can open it from now on, and nobody else: name again those who shall keep it. What is sealed is
/// copied as it is, so that it takes no longer than a copy, and a signature stays good. The archive itself is replaced once
/// the new one is whole and on the disk, unless -o names another file.
///
/// This does not revoke: whoever opened the archive before, or has a copy of it, can read it still. To shut somebody out,
/// restore it and export it anew. What is sealed is not checked either: `coffer verify` does that.
#[derive(Args)]
pub(super) struct Rewrap {
    /// The archive: a file, or `-` for standard input
    archive: PathBuf,
    /// Where to write it, `-` for standard output [default: in place of the archive]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    unlock: UnlockFlags,
    #[command(flatten)]
    seal: NewSealFlags,
}

/// Where the new archive goes.
enum Output {
    /// To a file that then gets its name.
    New(NewFile),
    /// Into what is there and no file: standard output, a pipe, a device.
    There(File),
}

impl Rewrap {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let (name, input) = self.input()?;
        let to_stdout = self.output.as_deref() == Some(Path::new("-"));
        if to_stdout && (report.is_json() || io::stdout().is_terminal()) {
            return Err(Error::Usage(
                "the archive can't go to standard output here: add -o FILE, or pipe it on".into(),
            ));
        }
        let recipients = self.seal.recipients()?;
        let unlock = self.unlock.unlock(config)?;
        let output = self.output()?;
        let out = output.file()?;
        let transfer = Transfer::begin(Direction::Export, None)?;
        let total_bytes = input.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        let begun = Instant::now();
        let running = Arc::clone(&transfer);
        let work = async {
            let rewrapping = spawn_blocking(move || {
                rewrap(input, &unlock, &recipients, out, &running).map_err(|error| error.about(name))
            });
            // A pipe that nothing comes out of is not waited for: what was begun is taken away with `output`.
            transfer.or_cancelled(async { rewrapping.await.map_err(|_| Error::StageLost)? }).await?;
            match output {
                Output::New(new) => spawn_blocking(|| new.persist()).await.map_err(|_| Error::StageLost)?,
                Output::There(_) => Ok(()),
            }
        };
        watched(&transfer, total_bytes, work).await?;
        let (bytes, seconds) = (transfer.bytes(), begun.elapsed().as_secs_f64());
        let size = ByteSize::new(bytes);
        let text = format!("rewrapped: {size}, {seconds:.1} s, {:.0} MiB/s", size.mebibytes() / seconds);
        if to_stdout {
            report.note(&text);
            return Ok(());
        }
        let written = self.output.as_ref().unwrap_or(&self.archive);
        report.summary(&text, &json!({ "archive": written.display().to_string(), "bytes": bytes, "seconds": seconds }))
    }

    /// The archive, read without a buffer: what follows its header is copied as it is.
    fn input(&self) -> Result<(String, File)> {
        if self.archive == Path::new("-") {
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            return Ok(("standard input".into(), stdin.map_err(|error| Error::file("standard input", error))?.into()));
        }
        let name = self.archive.display().to_string();
        match File::open(&self.archive) {
            Ok(file) => Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::NotFound(format!("there is no archive {name}")))
            }
            Err(error) => Err(Error::file(name, error)),
        }
    }

    fn output(&self) -> Result<Output> {
        let path = match &self.output {
            Some(path) if path == Path::new("-") => {
                let stdout = io::stdout().as_fd().try_clone_to_owned();
                let stdout = stdout.map_err(|error| Error::file("standard output", error))?;
                return Ok(Output::There(stdout.into()));
            }
            Some(path) => path,
            None if self.archive == Path::new("-") => {
                return Err(Error::Usage("standard input can't be replaced: add -o FILE, or -o -".into()));
            }
            None => &self.archive,
        };
        // A link is followed: what it points to is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let there = std::fs::metadata(&path).ok();
        if there.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            let opened = File::options().write(true).open(&path);
            return Ok(Output::There(
                opened.map_err(|error| Error::file(format!("writing {}", path.display()), error))?,
            ));
        }
        let new = NewFile::beside(&path)?;
        if let Some(metadata) = there {
            new.permit_as(&metadata)?;
        }
        Ok(Output::New(new))
    }
}

impl Output {
    fn file(&self) -> Result<File> {
        match self {
            Self::New(new) => new.file(),
            Self::There(file) => file.try_clone().map_err(Error::Io),
        }
    }
}

fn rewrap(mut input: File, unlock: &Unlock, recipients: &Recipients, mut out: File, transfer: &Transfer) -> Result<()> {
    let rewrapped = rewrap_header(&mut input, unlock, recipients, &mut out).map_err(|error| match error {
        coffer_crypto::Error::NotSealed => Error::Unfit(
            "it is not sealed, so that it has no recipients: `coffer restore` and `coffer export -r …` make a sealed one"
                .into(),
        ),
        other => other.into(),
    })?;
    transfer.add_bytes(rewrapped.new_header_bytes);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        transfer.check()?;
        let count = match input.read(&mut piece) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(Error::Io)?,
        };
        let written = out.write_all(piece.get(..count).unwrap_or_default());
        written.map_err(|error| Error::file("writing the new archive", error))?;
        transfer.add_bytes(count as u64);
    }
}
