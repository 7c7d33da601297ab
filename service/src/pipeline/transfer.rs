//! A transfer as its user sees it: how far it is, how it ended, and why.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use crate::http::Problem;
use crate::name::AppName;
use crate::{Error, Result};

/// How many transfers are remembered.
const REMEMBERED: usize = 1_000;
/// How often somebody who waits for the last of them looks.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Which way the data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Out of an app.
    Export,
    /// Into an app.
    Import,
    /// Read and checked alone.
    Verify,
    /// Several archives on their way into a vault.
    Backup,
}

/// Why a transfer is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// Somebody asked for it: a signal.
    Asked,
    /// Its client is gone.
    ClientLeft,
    /// The service is told to stop, and does not wait for it any longer.
    Stopping,
}

impl Cancel {
    fn error(self) -> Error {
        match self {
            Self::Asked | Self::Stopping => Error::Interrupted,
            Self::ClientLeft => Error::Left("the client went away before all of it stood"),
        }
    }
}

/// One export, import or verification.
pub struct Transfer {
    id: String,
    direction: Direction,
    app: Option<AppName>,
    started: Mutex<jiff::Timestamp>,
    bytes: AtomicU64,
    entries: AtomicU64,
    vanished: AtomicU64,
    skipped: AtomicU64,
    cancelled: OnceLock<Cancel>,
    cancel: Notify,
    outcome: Mutex<Option<Ended>>,
}

struct Ended {
    at: jiff::Timestamp,
    problem: Option<Problem>,
}

/// What `GET /v1/transfers/{id}` tells.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TransferState {
    /// The transfer's id, as in `Coffer-Transfer`.
    pub id: String,
    /// Which way the data goes.
    pub kind: Direction,
    /// The source of the app.
    pub source: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// `running`, `done` or `failed`.
    pub state: &'static str,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it ended.
    pub finished: Option<String>,
    /// Bytes of the archive that have passed.
    pub bytes: u64,
    /// Entries and chunks that have passed.
    pub entries: u64,
    /// Objects that were listed, and gone when they were to be read.
    pub vanished: u64,
    /// Things that the app holds and the archive does not, as whoever made it asked for: its manifest names them.
    pub skipped: u64,
    /// Why it failed.
    pub error: Option<Problem>,
}

impl Transfer {
    /// A transfer that begins now.
    ///
    /// # Errors
    /// [`Error::Io`] where the system gives no randomness for its id.
    pub fn begin(direction: Direction, app: Option<AppName>) -> Result<Arc<Self>> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(|error| Error::Io(io::Error::other(error)))?;
        Ok(Arc::new(Self {
            id: format!("tr_{:016x}", u64::from_be_bytes(id)),
            direction,
            app,
            started: Mutex::new(jiff::Timestamp::now()),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            vanished: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            cancelled: OnceLock::new(),
            cancel: Notify::new(),
            outcome: Mutex::new(None),
        }))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which way its data goes.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> jiff::Timestamp {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that it begins only now: its turn has come.
    pub fn start_now(&self) {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = jiff::Timestamp::now();
    }

    /// Why it is to stop, where it is.
    #[must_use]
    pub fn cancelled(&self) -> Option<Cancel> {
        self.cancelled.get().copied()
    }

    /// Counts bytes of the archive.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts an entry.
    pub fn add_entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts objects that were listed, and gone when they were to be read.
    pub fn add_vanished(&self, objects: u64) {
        self.vanished.fetch_add(objects, Ordering::Relaxed);
    }

    /// Objects that were listed, and gone when they were to be read.
    #[must_use]
    pub fn vanished(&self) -> u64 {
        self.vanished.load(Ordering::Relaxed)
    }

    /// Counts things that an archive leaves out.
    pub fn add_skipped(&self, things: u64) {
        self.skipped.fetch_add(things, Ordering::Relaxed);
    }

    /// Bytes of the archive that have passed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Entries and chunks that have passed.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Asks its stages to stop; they clean up behind themselves.
    pub fn cancel(&self, why: Cancel) {
        // The first reason counts.
        self.cancelled.get_or_init(|| why);
        self.cancel.notify_waiters();
    }

    /// Runs a step that ends at once where the transfer is cancelled.
    ///
    /// # Errors
    /// Those of the step; the reason of a [`Transfer::cancel`].
    pub async fn or_cancelled<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        let cancelled = self.cancel.notified();
        self.check()?;
        tokio::select! {
            done = step => done,
            () = cancelled => self.check().and(Err(Error::Interrupted)),
        }
    }

    /// Stops a stage that goes on after a cancel.
    ///
    /// # Errors
    /// The reason of a [`Transfer::cancel`].
    pub fn check(&self) -> Result<()> {
        self.cancelled.get().map_or(Ok(()), |why| Err(why.error()))
    }

    /// Notes and logs how it ended; the first word counts.
    pub fn end(&self, error: Option<&Error>) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.is_some() {
            return;
        }
        // Stages that are broken off say what they saw of it, and not why.
        let why = error.and(self.cancelled()).map(Cancel::error);
        let error = why.as_ref().or(error);
        match error {
            None => tracing::info!(transfer = %self, bytes = self.bytes(), entries = self.entries(), "transfer done"),
            Some(error) => tracing::warn!(transfer = %self, bytes = self.bytes(), %error, "transfer failed"),
        }
        *outcome = Some(Ended { at: jiff::Timestamp::now(), problem: error.map(Problem::from) });
    }

    fn is_running(&self) -> bool {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// What its user is told.
    #[must_use]
    pub fn state(&self) -> TransferState {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match &*outcome {
            None => "running",
            Some(Ended { problem: None, .. }) => "done",
            Some(_) => "failed",
        };
        TransferState {
            id: self.id.clone(),
            kind: self.direction,
            source: self.app.as_ref().map(|app| app.source.to_string()),
            app: self.app.as_ref().map(|app| app.app.to_string()),
            state,
            started: self.started().to_string(),
            finished: outcome.as_ref().map(|ended| ended.at.to_string()),
            bytes: self.bytes(),
            entries: self.entries(),
            vanished: self.vanished(),
            skipped: self.skipped.load(Ordering::Relaxed),
            error: outcome.as_ref().and_then(|ended| ended.problem.clone()),
        }
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        self.app.as_ref().map_or(Ok(()), |app| write!(f, " ({app})"))
    }
}

/// The transfers of this process, the last thousand of them.
#[derive(Default)]
pub struct Transfers {
    known: Mutex<VecDeque<Arc<Transfer>>>,
}

impl Transfers {
    /// Remembers a transfer.
    pub fn add(&self, transfer: &Arc<Transfer>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back(Arc::clone(transfer));
        if known.len() > REMEMBERED {
            known.pop_front();
        }
    }

    /// Waits until none is running.
    pub async fn all_ended(&self) {
        while !self.running().is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Cancels those that are running, as the service stops.
    pub fn cancel_all(&self) {
        self.running().iter().for_each(|transfer| transfer.cancel(Cancel::Stopping));
    }

    fn running(&self) -> Vec<Arc<Transfer>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|transfer| transfer.is_running()).cloned().collect()
    }

    /// The transfer of this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Transfer>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|transfer| transfer.id == id).cloned()
    }
}

/// Counts what is read for a transfer, and ends with an error once that is cancelled.
pub(super) struct Counted<R> {
    pub(super) input: R,
    pub(super) transfer: Arc<Transfer>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.transfer.check()?;
        let count = self.input.read(space)?;
        self.transfer.add_bytes(count as u64);
        Ok(count)
    }
}
