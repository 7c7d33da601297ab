//! How many requests run at once: more while that brings more, fewer where the server is overwhelmed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests at once, in the beginning, at least and at most.
const AT_FIRST: usize = 8;
const AT_LEAST: usize = 1;
pub(super) const AT_MOST: usize = 64;
/// How long what came through is counted before it is compared.
const WINDOW: Duration = Duration::from_millis(500);
/// What a request counts for beside its bytes, so that many small objects are progress too.
const REQUEST_BYTES: u64 = 64 << 10;
/// The most bytes that count of one request.
const COUNTED_BYTES: u64 = 5 << 20;

/// Hands out turns.
#[derive(Debug)]
pub(super) struct Adaptive {
    turns: Arc<Semaphore>,
    tuner: Arc<Mutex<Tuner>>,
}

/// A request's turn. It counts as done when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    turns: Arc<Semaphore>,
    tuner: Arc<Mutex<Tuner>>,
    bytes: u64,
}

impl Adaptive {
    pub(super) fn new() -> Self {
        let tuner = Tuner::new(Instant::now());
        Self { turns: Arc::new(Semaphore::new(tuner.allowed)), tuner: Arc::new(Mutex::new(tuner)) }
    }

    /// Waits for a turn, in the order of asking.
    pub(super) async fn turn(&self) -> Turn {
        if self.turns.available_permits() == 0 {
            self.tuner.lock().unwrap_or_else(PoisonError::into_inner).is_wanted = true;
        }
        let permit = Arc::clone(&self.turns).acquire_owned().await.ok();
        Turn { permit, turns: Arc::clone(&self.turns), tuner: Arc::clone(&self.tuner), bytes: 0 }
    }

    /// The server said that there are too many.
    pub(super) fn slow_down(&self) {
        self.tuner.lock().unwrap_or_else(PoisonError::into_inner).slowed(Instant::now());
    }
}

impl Turn {
    /// Notes bytes that came through.
    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut tuner = self.tuner.lock().unwrap_or_else(PoisonError::into_inner);
        let change = tuner.finished(Instant::now(), self.bytes);
        match change {
            Change::More(count) => self.turns.add_permits(count),
            Change::Swallow => {
                if let Some(permit) = self.permit.take() {
                    permit.forget();
                }
            }
            Change::None => {}
        }
    }
}

/// What becomes of the turns when one has ended.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    /// There are so many more.
    More(usize),
    /// This one is not handed out again.
    Swallow,
}

/// Climbs while the rate grows. It is told the time, so that it can be tried out without any passing.
#[derive(Debug)]
struct Tuner {
    allowed: usize,
    /// Turns that are still out there and above what is allowed.
    excess: usize,
    /// Whether anybody had to wait for a turn in this window.
    is_wanted: bool,
    begun: Instant,
    done_bytes: u64,
    done: usize,
    /// Bytes a second of the window before.
    rate: f64,
    slowed: Option<Instant>,
}

impl Tuner {
    fn new(now: Instant) -> Self {
        Self {
            allowed: AT_FIRST,
            excess: 0,
            is_wanted: false,
            begun: now,
            done_bytes: 0,
            done: 0,
            rate: 0.0,
            slowed: None,
        }
    }

    fn finished(&mut self, now: Instant, bytes: u64) -> Change {
        self.done += 1;
        // Of a large one only its beginning has come by now.
        self.done_bytes += bytes.min(COUNTED_BYTES) + REQUEST_BYTES;
        let passed = now.saturating_duration_since(self.begun);
        let before = self.allowed;
        if passed >= WINDOW && self.done >= self.allowed {
            self.compare(self.rate_of(passed));
            (self.begun, self.done, self.done_bytes, self.is_wanted) = (now, 0, 0, false);
        }
        self.settle(before)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is compared by the twentieth")]
    fn rate_of(&self, passed: Duration) -> f64 {
        self.done_bytes as f64 / passed.as_secs_f64().max(0.001)
    }

    /// A window is over: more if the last step up brought anything, fewer if less came through than before.
    fn compare(&mut self, rate: f64) {
        if self.is_wanted && rate > self.rate * 1.05 {
            self.allowed = (self.allowed + (self.allowed / 4).max(1)).min(AT_MOST);
        } else if self.is_wanted && rate < self.rate * 0.9 {
            self.allowed = (self.allowed - self.allowed / 8).max(AT_LEAST);
        }
        // Old news fade, so that a better time is tried out again.
        self.rate = rate.max(self.rate * 0.95);
    }

    /// Half as many; once in a window, as those under way will be told the same.
    fn slowed(&mut self, now: Instant) {
        let is_news = self.slowed.is_none_or(|before| now.saturating_duration_since(before) >= WINDOW);
        if is_news {
            let fewer = (self.allowed / 2).max(AT_LEAST);
            self.excess += self.allowed - fewer;
            self.allowed = fewer;
            (self.slowed, self.rate) = (Some(now), 0.0);
            (self.begun, self.done, self.done_bytes) = (now, 0, 0);
        }
    }

    fn settle(&mut self, before: usize) -> Change {
        if self.allowed < before {
            self.excess += before - self.allowed;
        }
        let more = self.allowed.saturating_sub(before);
        let paid = more.min(self.excess);
        self.excess -= paid;
        if more > paid {
            Change::More(more - paid)
        } else if self.excess > 0 {
            self.excess -= 1;
            Change::Swallow
        } else {
            Change::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of 10 ms each on a server that serves at most `capacity` at once without getting slower.
    fn settles(tuner: &mut Tuner, now: &mut Instant, capacity: usize) -> usize {
        for _ in 0..20_000 {
            let each = Duration::from_secs_f64(0.01 / tuner.allowed.min(capacity) as f64);
            *now += each;
            tuner.is_wanted = true;
            tuner.finished(*now, 4_096);
        }
        tuner.allowed
    }

    #[test]
    fn climbs_as_long_as_it_brings_more() {
        let mut now = Instant::now();
        let mut tuner = Tuner::new(now);
        let few = settles(&mut tuner, &mut now, 4);
        assert!(few <= 16, "{few} where 4 do");
        let mut tuner = Tuner::new(now);
        let many = settles(&mut tuner, &mut now, 40);
        assert!(many >= 32, "{many} where 40 do");
    }

    #[test]
    fn halves_once_for_one_wave_and_climbs_again() {
        let mut now = Instant::now();
        let mut tuner = Tuner::new(now);
        settles(&mut tuner, &mut now, 64);
        let before = tuner.allowed;
        tuner.slowed(now);
        tuner.slowed(now);
        assert_eq!(tuner.allowed, before / 2);
        let swallowed = (0..before).filter(|_| tuner.finished(now, 0) == Change::Swallow).count();
        assert_eq!(swallowed, before - before / 2);
        assert!(settles(&mut tuner, &mut now, 64) > before / 2);
        for _ in 0..20 {
            now += WINDOW;
            tuner.slowed(now);
        }
        assert_eq!(tuner.allowed, AT_LEAST);
    }

    #[tokio::test]
    async fn the_turns_out_there_are_those_that_are_allowed() {
        let adaptive = Adaptive::new();
        let turns = futures::future::join_all((0..AT_FIRST).map(|_| adaptive.turn())).await;
        adaptive.slow_down();
        drop(turns);
        assert_eq!(adaptive.turns.available_permits(), AT_FIRST / 2);
    }
}
