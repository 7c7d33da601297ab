//! Connections: accepted one by one, and closed where their peer gives no request or takes no byte for too long.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

/// How much later than the pipeline a connection gives up, so that the transfer tells why.
const GRACE: Duration = Duration::from_secs(2);
/// How long nobody is accepted after the system had no more descriptors.
const BREATH: Duration = Duration::from_millis(200);

/// All connections of a service.
pub(super) struct Connections {
    idle: Duration,
    router: Router,
    open: GracefulShutdown,
}

impl Connections {
    /// Connections that `router` answers. A request's head must be there within `idle`, and a byte of an answer taken.
    pub(super) fn new(idle: Duration, router: Router) -> Self {
        Self { idle, router, open: GracefulShutdown::new() }
    }

    /// Accepts for ever.
    pub(super) async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.serve(stream),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.idle + GRACE));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(self.idle);
        let service = TowerToHyperService::new(self.router.clone());
        let connection = server.serve_connection(TokioIo::new(Box::pin(stream)), service);
        let watched = self.open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                // A peer that leaves, or an archive that was broken off on purpose: the transfer tells why.
                tracing::debug!(%error, "a connection was closed");
            }
        });
    }

    /// Lets what is being answered end, and closes the rest.
    pub(super) async fn finish(self) {
        self.open.shutdown().await;
    }
}
