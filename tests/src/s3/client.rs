//! Requests of the harness's own to a server.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use tokio::runtime::{Builder, Runtime};

use super::connections::{Body, Connections};
use super::sign::{percent_encode, sha256, sign};
use super::{Server, xml};

/// Names of headers, in lower case, and their values.
pub type Headers = BTreeMap<String, String>;

/// What bodies are signed as that are not there whole when they are signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// No server of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

static RUNTIME: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build());

/// What a server answered, whatever it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// All of the body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of S3's error, such as `NoSuchKey`; empty where there is none.
    #[must_use]
    pub fn error_code(&self) -> String {
        xml::text(&self.text(), "Code").unwrap_or_default()
    }
}

/// A request that is to be signed.
#[derive(Clone, Default)]
pub(super) struct Ask {
    method: &'static str,
    target: String,
    headers: Headers,
    body: Bytes,
}

impl Ask {
    /// One for a bucket, or for an object in it.
    pub(super) fn new(method: &'static str, bucket: &str, key: Option<&str>) -> Self {
        let key = key.map_or_else(String::new, |key| format!("/{}", percent_encode(key, "/")));
        Self { method, target: format!("/{bucket}{key}"), ..Self::default() }
    }

    /// With these parameters, the values not yet encoded.
    pub(super) fn query(mut self, parameters: &[(&str, &str)]) -> Self {
        let encode = |(name, value): &(&str, &str)| (percent_encode(name, ""), percent_encode(value, ""));
        let mut parameters: Vec<_> = parameters.iter().map(encode).collect();
        parameters.sort();
        for (at, (name, value)) in parameters.iter().enumerate() {
            let sign = if at == 0 { '?' } else { '&' };
            self.target.push_str(&format!("{sign}{name}={value}"));
        }
        self
    }

    pub(super) fn headers(mut self, headers: &[(&str, &str)]) -> Self {
        self.headers.extend(headers.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// Talks to one server in the name of one user.
pub(super) struct Client {
    server: Server,
    connections: Connections,
}

impl Client {
    pub(super) fn of(server: &Server) -> Result<Self> {
        Ok(Self { server: server.clone(), connections: Connections::to(&server.endpoint)? })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The answer, which has to be of success.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Reply> {
        let what = format!("{} {}", ask.method, ask.target);
        let reply = self.any(ask).await?;
        ensure!((200..300).contains(&reply.status), "{what}: {} {}", reply.status, reply.text());
        Ok(reply)
    }

    /// The answer, whatever it is.
    pub(super) async fn any(&self, ask: Ask) -> Result<Reply> {
        let mut body = Vec::new();
        let (status, headers) = self.read(ask, |piece| body.extend_from_slice(piece)).await?;
        Ok(Reply { status, headers, body })
    }

    /// The answer's status and headers, its body given away piece by piece.
    pub(super) async fn read(&self, ask: Ask, take: impl FnMut(&[u8]) + Send) -> Result<(u16, Headers)> {
        let (digest, length) = (sha256(&ask.body), ask.body.len());
        let body = Full::new(ask.body.clone()).map_err(|never| match never {}).boxed_unsync();
        self.exchange(ask, &digest, length.try_into()?, body, take).await
    }

    /// Sends a body that is made while it is sent; the answer has to be of success.
    pub(super) async fn send(&self, ask: Ask, length: u64, body: Body) -> Result<()> {
        let (what, mut told) = (ask.target.clone(), Vec::new());
        let (status, _) = self.exchange(ask, UNSIGNED, length, body, |piece| told.extend_from_slice(piece)).await?;
        ensure!((200..300).contains(&status), "{what}: {status} {}", String::from_utf8_lossy(&told));
        Ok(())
    }

    async fn exchange(
        &self,
        ask: Ask,
        digest: &str,
        length: u64,
        body: Body,
        take: impl FnMut(&[u8]) + Send,
    ) -> Result<(u16, Headers)> {
        let what = format!("{} {}", ask.method, ask.target);
        let request = self.signed(ask, digest, length, body)?;
        let exchange = async {
            let mut connection = self.connections.take().await?;
            let response = connection.send_request(request).await?;
            self.finish(connection, response, take).await
        };
        let late = || format!("{what}: no answer in {} s", PATIENCE.as_secs());
        tokio::time::timeout(PATIENCE, exchange).await.with_context(late)?.with_context(|| what.clone())
    }

    fn signed(&self, ask: Ask, digest: &str, length: u64, body: Body) -> Result<Request<Body>> {
        let mut headers = ask.headers;
        let host = self.server.endpoint.split("://").nth(1).unwrap_or_default();
        headers.insert("host".to_owned(), host.to_owned());
        sign(&self.server, ask.method, &ask.target, &mut headers, digest)?;
        let mut request = Request::builder().method(ask.method).uri(&ask.target);
        for (name, value) in &headers {
            request = request.header(name, value.as_bytes());
        }
        Ok(request.header("content-length", length).body(body)?)
    }

    async fn finish(
        &self,
        connection: SendRequest<Body>,
        response: Response<Incoming>,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<(u16, Headers)> {
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                take(&data);
            }
        }
        self.connections.give_back(connection);
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok((head.status.as_u16(), headers))
    }
}

/// Waits for what is done on the harness's own threads, from any thread: one that drives a runtime as well.
pub(super) fn wait<T: Send>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let runtime = RUNTIME.as_ref().map_err(|error| anyhow!("no threads: {error}"))?;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| runtime.block_on(future));
        waiting.join().map_err(|_| anyhow!("a request panicked"))?
    })
}
