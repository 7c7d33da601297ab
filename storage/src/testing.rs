//! What every backend must do, and stores that fail where a test wants them to.
//!
//! A suite panics with what was found. It is given `fresh`, which makes a place where nothing is yet, and `traces`, which names
//! all that can be seen around the places handed out: what a drop or a failure must not add to.

mod database;
mod faulty;
mod object;
mod swap;

pub use database::database_conformance;
pub use faulty::{Fault, FaultPoint, Faulty};
pub use object::{StoreKind, object_store_conformance};
pub use swap::object_swap_conformance;

use std::time::Duration;

/// Waits until the traces are what they were: what is dropped goes away on a thread, soon but not at once.
#[expect(clippy::panic, clippy::future_not_send, reason = "a suite fails by panicking, and stays on its thread")]
async fn expect_traces(traces: &impl Fn() -> Vec<String>, before: &[String], after: &str) {
    for _ in 0..500 {
        if traces() == before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{after}: left behind {:?}, where there was {before:?}", traces());
}
