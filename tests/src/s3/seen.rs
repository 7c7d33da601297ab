//! What the proxy saw pass.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::Request;

/// A request, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path, encoded as it came.
    pub path: String,
    /// Its query, encoded as it came; empty where there is none.
    pub query: String,
    /// Which bytes it asked for.
    pub range: Option<String>,
    /// The status that was answered, by the server or by a rule; none where the connection was closed without.
    pub status: Option<u16>,
    /// So many bytes of the answer's body were handed to the connection.
    pub response_bytes: u64,
    /// So many bytes of the request's body were handed to the server.
    pub request_bytes: u64,
    /// Did a rule do something to it?
    pub is_broken: bool,
}

/// One request's part of the books.
pub(super) struct Record {
    head: Seen,
    status: AtomicU16,
    pub(super) response_bytes: AtomicU64,
    pub(super) request_bytes: AtomicU64,
    is_broken: AtomicBool,
}

impl Record {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let range = request.headers().get("range").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let head = Seen {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            range,
            ..Seen::default()
        };
        Self {
            head,
            status: AtomicU16::new(0),
            response_bytes: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            is_broken: AtomicBool::new(false),
        }
    }

    pub(super) fn answered(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(super) fn mark_broken(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    pub(super) fn head(&self) -> &Seen {
        &self.head
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            status: Some(self.status.load(Ordering::Relaxed)).filter(|&status| status != 0),
            response_bytes: self.response_bytes.load(Ordering::Relaxed),
            request_bytes: self.request_bytes.load(Ordering::Relaxed),
            is_broken: self.is_broken.load(Ordering::Relaxed),
            ..self.head.clone()
        }
    }
}

/// All requests since the proxy began, or was reset.
#[derive(Default)]
pub(super) struct Books {
    records: Mutex<Vec<Arc<Record>>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Books {
    pub(super) fn note<B>(&self, request: &Request<B>) -> Arc<Record> {
        let record = Arc::new(Record::of(request));
        self.records().push(Arc::clone(&record));
        record
    }

    /// Counts a request as in flight until the value is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.records().iter().map(|record| record.seen()).collect()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.records().clear();
        self.most.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn records(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request between its first byte and the last of its answer.
pub(super) struct InFlight(Arc<Books>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}
