//! How fast a vault is written to.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets so many bytes through in a second, for all that share it.
pub(super) struct Pace {
    bytes_per_second: f64,
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        // Exact up to 2^53 bytes a second.
        Self { bytes_per_second: bytes_per_second as f64, next: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may go.
    pub(super) async fn wait(&self, bytes: usize) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_is_what_was_let_through() {
        let pace = Pace::new(1_000_000);
        let begun = Instant::now();
        for _ in 0..10 {
            pace.wait(5_000).await;
        }
        // The last may go once those before them have.
        assert!(begun.elapsed() >= Duration::from_millis(45), "{:?}", begun.elapsed());
    }
}
