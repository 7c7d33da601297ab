//! No more requests in a second than were set.

use std::{num::NonZeroU32, time::Duration};

use tokio::{sync::Mutex, time::Instant};

/// Spaces requests evenly, where there is a limit.
#[derive(Debug)]
pub(super) struct Pace {
    between: Option<Duration>,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(per_second: Option<NonZeroU32>) -> Self {
        let between = per_second.map(|count| Duration::from_secs(1) / count.get());
        Self { between, next: Mutex::new(None) }
    }

    /// Waits until another request may begin.
    pub(super) async fn wait(&self) {
        let Some(between) = self.between else { return };
        let at = {
            let mut next = self.next.lock().await;
            let at = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(at + between);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_spaced() {
        let pace = Pace::new(NonZeroU32::new(100));
        let begun = Instant::now();
        for _ in 0..21 {
            pace.wait().await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }
}
