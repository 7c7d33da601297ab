//! A proxy between the service and a server, which counts what passes and breaks what a test tells it to.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::connections::Connections;
use super::exchange;
use super::rule::{Action, Call};
use super::seen::Books;
use super::{Rule, Seen, Server};

/// It listens on a port of 127.0.0.1, speaks HTTP/1.1, and leaves each request as it came: its signature stays good, for
/// `Host` too goes on unchanged. Bodies stream both ways, at the pace of the slower side. Dropped, it closes everything.
pub struct Proxy {
    server: Server,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// What all its connections know.
pub(super) struct Shared {
    pub(super) connections: Connections,
    pub(super) books: Arc<Books>,
    rules: Mutex<Vec<Rule>>,
    failures: Mutex<Vec<String>>,
}

impl Proxy {
    /// A proxy in front of this server that breaks nothing yet.
    ///
    /// # Errors
    /// There is no port, or the server's URL is not of `http://`.
    pub fn start(upstream: &Server) -> Result<Self> {
        let shared = Arc::new(Shared {
            connections: Connections::to(&upstream.endpoint)?,
            books: Arc::default(),
            rules: Mutex::default(),
            failures: Mutex::default(),
        });
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let server = upstream.at(&format!("http://{}", listener.local_addr()?));
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(entered);
        runtime.spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { server, shared, runtime: Some(runtime) })
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.server.endpoint
    }

    /// The server, by way of this proxy.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Breaks the requests that a rule is for, from now on. Where a request meets several rules, all are done to it.
    pub fn fail(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Forgets all rules and all that was seen.
    pub fn reset(&self) {
        self.forget_rules();
        self.shared.books.clear();
        lock(&self.shared.failures).clear();
    }

    /// Breaks nothing more; what was seen stays.
    pub fn forget_rules(&self) {
        lock(&self.shared.rules).clear();
    }

    /// All requests, in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.books.all()
    }

    /// To how many requests a rule did something. A test that breaks something looks here whether it was broken.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.requests().iter().filter(|seen| seen.is_broken).count()
    }

    /// How many GETs there were, of listings too.
    #[must_use]
    pub fn gets(&self) -> usize {
        self.requests().iter().filter(|seen| seen.method == "GET").count()
    }

    /// How many bytes of answers' bodies were sent to the client.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.requests().iter().map(|seen| seen.response_bytes).sum()
    }

    /// How many requests were in flight at once, at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.books.most_at_once()
    }

    /// What a test's own [`Action::Before`] or [`Action::DuringResponse`] failed with.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        lock(&self.shared.failures).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // On a thread of its own: the test may drive a runtime on this one, which may not wait for another.
        std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(5))).join().ok();
    }
}

impl Shared {
    /// What the rules do to this request, which is counted in each that is for it.
    pub(super) fn actions(&self, request: &Seen) -> Vec<Action> {
        lock(&self.rules).iter_mut().filter_map(|rule| rule.meets(request)).collect()
    }

    /// Calls something of the test's, which may block.
    pub(super) async fn call(&self, call: Call) -> io::Result<()> {
        let outcome = tokio::task::spawn_blocking(move || (call.0)()).await;
        let error = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => panic.to_string(),
        };
        lock(&self.failures).push(error.clone());
        Err(io::Error::other(error))
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

/// One client's connection. That it breaks is what this proxy is for.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| exchange::answer(Arc::clone(&shared), request));
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
