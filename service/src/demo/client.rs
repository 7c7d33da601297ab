//! A client of the service, as small as one can be.

use std::net::SocketAddr;
use std::path::Path;

use axum::body::{Body, Bytes};
use futures::stream::unfold;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::config::{Config, read_secret};
use crate::{Error, Result};

const PIECE_BYTES: usize = 64 << 10;
const PROBLEM_MAX_BYTES: usize = 64 << 10;

pub(super) struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    pub(super) fn new(listener: &TcpListener, config: &Config) -> Result<Self> {
        let address = listener.local_addr().map_err(Error::Io)?;
        Ok(Self { address, token: read_secret(&config.token_file)?.trim().to_owned() })
    }

    /// Exports an app into a file; tells the archive's size.
    pub(super) async fn export(&self, source: &str, app: &str, into: &Path) -> Result<u64> {
        let mut answer = self.post(&format!("/v1/apps/{source}/{app}/export"), Body::empty()).await?;
        let mut file = File::create(into).await.map_err(Error::Io)?;
        let mut bytes = 0;
        while let Some(frame) = answer.body_mut().frame().await {
            let frame = frame.map_err(|_| Error::Left("the service broke the export off"))?;
            if let Ok(piece) = frame.into_data() {
                file.write_all(&piece).await.map_err(Error::Io)?;
                bytes += piece.len() as u64;
            }
        }
        file.sync_all().await.map_err(Error::Io)?;
        Ok(bytes)
    }

    /// Imports a file as an app.
    pub(super) async fn import(&self, source: &str, app: &str, from: &Path) -> Result<()> {
        let file = File::open(from).await.map_err(Error::Io)?;
        let body = Body::from_stream(unfold(file, |mut file| async move {
            let mut piece = vec![0; PIECE_BYTES];
            match file.read(&mut piece).await {
                Ok(0) => None,
                Ok(count) => {
                    piece.truncate(count);
                    Some((Ok(Bytes::from(piece)), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        }));
        self.post(&format!("/v1/apps/{source}/{app}/import"), body).await.map(|_| ())
    }

    async fn post(&self, path: &str, body: Body) -> Result<Response<Incoming>> {
        let stream = TcpStream::connect(self.address).await.map_err(Error::Io)?;
        let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(failed)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(body)
            .map_err(|error| Error::Io(std::io::Error::other(error)))?;
        let mut answer = sender.send_request(request).await.map_err(failed)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let mut problem = Vec::new();
        while let Some(Ok(frame)) = answer.body_mut().frame().await {
            problem.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
            problem.truncate(PROBLEM_MAX_BYTES);
        }
        let problem = String::from_utf8_lossy(&problem).into_owned();
        Err(Error::Io(std::io::Error::other(format!("{path} answered {}: {problem}", answer.status()))))
    }
}

fn failed(error: hyper::Error) -> Error {
    Error::Io(std::io::Error::other(error))
}
