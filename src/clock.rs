//! The only reader of the time. Everybody else is given a [`Clock`] or an instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::incident::time::{Instant, Millis};

/// Tells the time. Cheap to clone; clones share the same hands.
#[derive(Debug, Clone)]
pub struct Clock {
    kind: Kind,
    moved: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The machine's clock, moved forward by so many milliseconds (practice moves it; `serve` never does).
    System(Arc<AtomicI64>),
    /// Stands still until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of(Kind::System(Arc::new(AtomicI64::new(0))))
    }

    /// A clock that stands still at `at` until it is moved.
    pub fn manual(at: Instant) -> Self {
        Self::of(Kind::Manual(Arc::new(AtomicI64::new(at.0))))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, moved: Arc::new(watch::channel(0).0) }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        match &self.kind {
            Kind::System(ahead) => Instant(machine_now() + ahead.load(Ordering::SeqCst)),
            Kind::Manual(at) => Instant(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves the hands forward.
    pub fn advance(&self, by: Millis) {
        match &self.kind {
            Kind::System(hands) | Kind::Manual(hands) => hands.fetch_add(by.0.max(0), Ordering::SeqCst),
        };
        self.moved.send_modify(|count| *count += 1);
    }

    /// Waits until `at`, or until the hands are moved past it; at most `longest` of real time.
    pub async fn wait_until(&self, at: Option<Instant>, longest: Duration) {
        let mut moved = self.moved.subscribe();
        let left = at.map_or(longest, |at| Duration::from_millis(at.since(self.now()).0.unsigned_abs()));
        let real = match self.kind {
            Kind::System(_) => left.min(longest),
            Kind::Manual(_) if left.is_zero() => left,
            Kind::Manual(_) => longest,
        };
        tokio::select! {
            () = sleep(real) => {}
            _ = moved.changed() => {}
        }
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
}
