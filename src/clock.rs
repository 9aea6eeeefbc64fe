//! The only reader of the time. Everybody else is given a [`Clock`] or an instant.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::incident::time::{Instant, Millis};

/// Tells the time. Cheap to clone; clones share the same hands.
#[derive(Debug, Clone)]
pub struct Clock {
    kind: Kind,
    by_hand: Arc<AtomicI64>,
    moved: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The machine's clock, kept from going back, and moved forward by so many milliseconds (practice moves it; `serve`
    /// never does).
    System { steady: Arc<Mutex<Steady>>, ahead: Arc<AtomicI64> },
    /// Stands still until it is moved; it may go ahead of others that are moved with it.
    Manual { at: Arc<AtomicI64>, ahead: Arc<AtomicI64> },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let steady = Steady { wall: machine_now(), since: std::time::Instant::now() };
        Self::of(Kind::System { steady: Arc::new(Mutex::new(steady)), ahead: Arc::default() })
    }

    /// A clock that stands still at `at` until it is moved.
    pub fn manual(at: Instant) -> Self {
        Self::of(Kind::Manual { at: Arc::new(AtomicI64::new(at.0)), ahead: Arc::default() })
    }

    fn of(kind: Kind) -> Self {
        Self { kind, by_hand: Arc::default(), moved: Arc::new(watch::channel(0).0) }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        match &self.kind {
            Kind::System { steady, ahead } => {
                let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
                Instant(steady.tell(machine_now(), std::time::Instant::now()) + ahead.load(Ordering::SeqCst))
            }
            Kind::Manual { at, ahead } => Instant(at.load(Ordering::SeqCst) + ahead.load(Ordering::SeqCst)),
        }
    }

    /// Another machine's clock, which is moved with this one and goes ahead of it by so many milliseconds.
    #[cfg(test)]
    pub(crate) fn apart(&self, ahead: Arc<AtomicI64>) -> Self {
        let Kind::Manual { at, .. } = &self.kind else { panic!("nobody sets the machine's clock") };
        let (by_hand, moved) = (Arc::clone(&self.by_hand), Arc::clone(&self.moved));
        Self { kind: Kind::Manual { at: Arc::clone(at), ahead }, by_hand, moved }
    }

    /// Moves the hands forward.
    pub fn advance(&self, by: Millis) {
        self.by_hand.fetch_add(by.0.max(0), Ordering::SeqCst);
        self.passes(by);
    }

    /// Time passes in one leap without anybody moving the hands, as for a machine that was suspended.
    pub fn passes(&self, by: Millis) {
        match &self.kind {
            Kind::System { ahead: hands, .. } | Kind::Manual { at: hands, .. } => {
                hands.fetch_add(by.0.max(0), Ordering::SeqCst)
            }
        };
        self.moved.send_modify(|count| *count += 1);
    }

    /// How far somebody has moved the hands in all: so much of what went by was not lived through.
    pub fn moved_by_hand(&self) -> Millis {
        Millis(self.by_hand.load(Ordering::SeqCst))
    }

    /// Waits until `at`, or until the hands are moved past it; at most `longest` of real time.
    pub async fn wait_until(&self, at: Option<Instant>, longest: Duration) {
        let mut moved = self.moved.subscribe();
        let left = at.map_or(longest, |at| Duration::from_millis(at.since(self.now()).0.unsigned_abs()));
        let real = match self.kind {
            Kind::System { .. } => left.min(longest),
            Kind::Manual { .. } if left.is_zero() => left,
            Kind::Manual { .. } => longest,
        };
        tokio::select! {
            () = sleep(real) => {}
            _ = moved.changed() => {}
        }
    }
}

/// A machine's clock may be set back. Then this one goes on, an eighth slower, until the machine's has caught up with it: what
/// is due waits for an eighth longer, and not for as long as the clock was set back.
#[derive(Debug)]
struct Steady {
    /// What the machine's clock said, in milliseconds, when it was last not behind.
    wall: i64,
    since: std::time::Instant,
}

impl Steady {
    fn tell(&mut self, wall: i64, now: std::time::Instant) -> i64 {
        let passed = now.saturating_duration_since(self.since).as_millis();
        let slower = self.wall.saturating_add(i64::try_from(passed - passed / 8).unwrap_or(i64::MAX));
        if wall < slower {
            return slower;
        }
        *self = Self { wall, since: now };
        wall
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn machine_now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[expect(clippy::disallowed_methods, reason = "the one place that waits for time to pass")]
async fn sleep(length: Duration) {
    tokio::time::sleep(length).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Instant(1_000));
        let other = clock.clone();
        other.advance(Millis::minutes(15));
        assert_eq!(clock.now(), Instant(901_000));
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_and_comes_right_by_itself() {
        const HOUR: i64 = 3_600_000;
        let start = std::time::Instant::now();
        let mut steady = Steady { wall: 10 * HOUR, since: start };
        let mut at = |wall: i64, after: i64| steady.tell(wall, start + Duration::from_millis(after.unsigned_abs()));
        assert_eq!(at(10 * HOUR + 5_000, 5_000), 10 * HOUR + 5_000);
        // Set back by an hour: ten seconds later 8.75 have passed here.
        assert_eq!(at(9 * HOUR + 5_000, 5_000), 10 * HOUR + 5_000);
        assert_eq!(at(9 * HOUR + 15_000, 15_000), 10 * HOUR + 5_000 + 8_750);
        // After eight hours it is right again, and stays so.
        assert_eq!(at(17 * HOUR + 5_000, 8 * HOUR + 5_000), 17 * HOUR + 5_000);
        assert_eq!(at(17 * HOUR + 6_000, 8 * HOUR + 6_000), 17 * HOUR + 6_000);
        // Set forward, it follows at once.
        assert_eq!(at(20 * HOUR, 8 * HOUR + 7_000), 20 * HOUR);
    }
}
