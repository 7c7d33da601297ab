//! `coffer serve`.

use std::io::IsTerminal;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::first_start::first_start;
use super::report::Report;
use crate::config::Config;
use crate::http::{Service, Token};
use crate::{Error, Result};

/// Run the service
///
/// Serves exports, imports, backups and restores over HTTP until it is told to stop (SIGTERM or Ctrl-C), and then lets running transfers end
/// for at most 30 s. Without a configuration file the first start makes an identity, a recovery sheet and a token in
/// ./coffer-data.
#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen, as ADDRESS:PORT; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Serve {
    pub(super) async fn run(self, config: Config, report: &Report) -> Result<()> {
        first_start(&config, report)?;
        let token = Token::load(&config)?;
        let service = Service::open(config.clone(), token).await?;
        let address = self.listen.as_ref().unwrap_or(&config.listen).clone();
        let failed = |error| Error::file(format!("listening on {address}"), error);
        let listener = TcpListener::bind(&address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        report.note(&format!("listening on http://{bound}"));
        report.note(&format!("the token is in {}", config.token_file.display()));
        service.serve(listener, asked_to_stop()?).await
    }
}

fn asked_to_stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Io)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Io)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    })
}

/// The log goes to standard error: as `RUST_LOG` asks, else as `default` says.
pub(super) fn start_log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}
