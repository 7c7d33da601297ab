//! How long a lock of somebody else's is waited for, in tries that keep nobody else waiting for long.

use std::{
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::connection;
use crate::{Error, Result};

/// How long one try may take. While it waits for readers of a database without a log to end, it keeps new ones out.
const TRY: Duration = Duration::from_secs(1);
/// How long others have between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// The time that is left for all tries together.
#[derive(Debug)]
pub(super) struct Patience {
    until: Instant,
}

impl Patience {
    pub(super) fn new(whole: Duration) -> Self {
        Self { until: Instant::now() + whole }
    }

    /// Waits before another try.
    ///
    /// # Errors
    /// `Busy` where there is no time left for one.
    pub(super) fn pause(&self, what: impl FnOnce() -> String) -> Result<()> {
        if Instant::now() >= self.until {
            return Err(Error::Busy { what: what() });
        }
        thread::sleep(PAUSE);
        Ok(())
    }

    /// Does something that may find the database locked, until it does not.
    pub(super) fn retry<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            match work() {
                Err(Error::Busy { what }) => self.pause(|| what)?,
                other => return other,
            }
        }
    }
}

/// Lets each try of a connection end in time. It also begins the wait anew, which only a statement does of itself.
pub(super) fn limit_tries(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(|looks| connection::wait(looks, TRY)))
}
