//! `coffer demo`: the main job end to end, on an app that it makes itself.

mod client;
mod compare;
mod sample;

use std::path::Path;
use std::time::Instant;

use clap::Args;
use coffer_storage::PostgresOptions;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cli::Report;
use crate::config::{ByteSize, Config};
use crate::http::{Service, Token};
use crate::pipeline::App;
use crate::{Error, Result};
use client::Client;

/// Do the main job end to end on a sample app: serve, export over HTTP, import over HTTP, compare
///
/// Makes a sample app in a temporary folder, serves it, exports it over HTTP into a sealed archive, imports that over HTTP
/// as another app, and compares the two in every row and byte. Leaves nothing behind.
#[derive(Args)]
pub(crate) struct Demo {
    /// How large the sample app shall be
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    size: ByteSize,
}

impl Demo {
    pub(crate) async fn run(self, report: &Report) -> Result<()> {
        let folder = tempfile::tempdir().map_err(|error| Error::file("making a temporary folder", error))?;
        let config = Config::in_folder(folder.path())?;
        config.keys.make_identity()?;
        let size = self.size.bytes();
        let root = folder.path().join("apps/acme");
        let made = tokio::task::spawn_blocking(move || sample::make(&root, size)).await;
        made.map_err(|_| Error::StageLost)??;
        report.status(&format!("made     app local/acme of about {} in a temporary folder", self.size));

        let token = Token::load(&config)?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::Io)?;
        let client = Client::new(&listener, &config)?;
        let service = Service::open(config.clone(), token).await?;
        let serving = tokio::spawn(service.serve(listener, std::future::pending()));
        let moved = self.move_app(&client, &folder.path().join("acme.coffer"), report).await;
        serving.abort();
        moved?;

        let source = config.source(&"local".parse()?)?;
        let open = |name: &str| App::of(source, &name.parse()?, PostgresOptions::default());
        let (original, copy) = (open("acme")?, open("acme-copy")?);
        let same = compare::compare(&original, &copy).await?;
        let peak = peak_memory();
        let text = format!(
            "compared {} rows and {} objects ({}): the two apps are the same in every row and byte\n\
             memory   {} at most, of this process, the service and its client together",
            same.rows,
            same.objects,
            ByteSize::new(same.bytes),
            peak.map_or_else(|| "unknown".into(), |peak| peak.to_string())
        );
        let peak = peak.map(ByteSize::bytes);
        let summary = json!({ "rows": same.rows, "objects": same.objects, "bytes": same.bytes, "peak_bytes": peak });
        report.summary(&text, &summary)?;
        Ok(())
    }

    async fn move_app(&self, client: &Client, archive: &Path, report: &Report) -> Result<()> {
        let begun = Instant::now();
        let bytes = client.export("local", "acme", archive).await?;
        report.status(&figures("exported", "POST /v1/apps/local/acme/export", bytes, self.size, begun));
        let begun = Instant::now();
        client.import("local", "acme-copy", archive).await?;
        report.status(&figures("imported", "POST /v1/apps/local/acme-copy/import", bytes, self.size, begun));
        Ok(())
    }
}

fn figures(done: &str, call: &str, bytes: u64, size: ByteSize, begun: Instant) -> String {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = size.mebibytes() / seconds;
    format!("{done} {call}: archive of {} in {seconds:.2} s, {rate:.0} MiB/s of the app", ByteSize::new(bytes))
}

/// The peak of this process's resident memory (proc(5), `VmHWM`).
fn peak_memory() -> Option<ByteSize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(ByteSize::new(kibibytes * 1_024))
}
