//! A stack that holds the deepest tree that the parser gives.

use std::{cell::Cell, thread};

use crate::{Error, Result};

/// libpg_query gives no tree of more than 10,000 messages within each other, each of which takes a few frames of whoever walks it:
/// reading, writing or freeing the deepest takes less than half of this. Only what is used of it is ever real memory.
const STACK_BYTES: usize = 128 << 20;

thread_local! {
    static ENOUGH: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` where deep trees are no danger: on a thread of its own, or at once if this is one already. Every function of this
/// crate does so for itself; whoever has many statements saves a thread for each by doing all in one.
///
/// # Errors
/// Those of `work`; `Refused` where it panicked or no thread could be had.
pub fn with_stack<T, E>(work: impl FnOnce() -> Result<T, E> + Send) -> Result<T, E>
where
    T: Send,
    E: From<Error> + Send,
{
    if ENOUGH.get() {
        return work();
    }
    let on_thread = || {
        ENOUGH.set(true);
        work()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("sql".into()).stack_size(STACK_BYTES).spawn_scoped(scope, on_thread);
        match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::refused("a statement", "the parser failed on it").into()),
            Err(error) => Err(Error::refused("a statement", format!("no thread to parse it on: {error}")).into()),
        }
    })
}
