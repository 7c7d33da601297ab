//! A word to a thread that nobody waits for its work any longer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rusqlite::Connection;

/// How many of SQLite's instructions pass between two looks at the flag: well under a millisecond.
const LOOK_EVERY: i32 = 4_096;

/// Stops the thread's statement when it is dropped.
#[derive(Debug, Default)]
pub(super) struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// The thread's end of it.
    pub(super) fn flag(&self) -> StopFlag {
        StopFlag(self.0.clone())
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The thread's end of a [`StopOnDrop`].
#[derive(Clone, Debug)]
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Makes each running statement of `connection` end with an error once the word has come.
    pub(super) fn watch(&self, connection: &Connection) -> rusqlite::Result<()> {
        let flag = self.0.clone();
        connection.progress_handler(LOOK_EVERY, Some(move || flag.load(Ordering::Relaxed)))
    }
}
