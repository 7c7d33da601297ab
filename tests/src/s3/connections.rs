//! Connections to a server, kept for the next request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A body of either direction.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Those to one server that are idle.
pub(super) struct Connections {
    address: String,
    idle: Mutex<Vec<SendRequest<Body>>>,
}

impl Connections {
    /// None so far, to the server at this URL.
    pub(super) fn to(endpoint: &str) -> Result<Self> {
        let address = endpoint.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
        let address = address.with_context(|| format!("{endpoint}: the harness speaks http:// alone"))?;
        let address = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
        Ok(Self { address, idle: Mutex::new(Vec::new()) })
    }

    /// One that is ready for a request.
    pub(super) async fn take(&self) -> Result<SendRequest<Body>> {
        while let Some(mut idle) = self.pop() {
            if let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(1), idle.ready()).await {
                return Ok(idle);
            }
        }
        let refused = || format!("{} takes no connection", self.address);
        let stream = TcpStream::connect(&self.address).await.with_context(refused)?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Takes one back, whose answer was read to its end.
    pub(super) fn give_back(&self, sender: SendRequest<Body>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }

    fn pop(&self) -> Option<SendRequest<Body>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}
