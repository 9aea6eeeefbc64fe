//! The one place of this room that measures and waits. Only lengths of time come from here, never a time of day.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::incident::time::Millis;

/// Measures how long something takes, on a clock that never jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts measuring.
    pub(super) fn start() -> Self {
        Self { started: now() }
    }

    /// The time since the start.
    pub(super) fn took(self) -> Millis {
        Millis(i64::try_from((now() - self.started).as_millis()).unwrap_or(i64::MAX))
    }

    /// What is left of a deadline that began with the start.
    pub(super) fn left_of(self, deadline: Duration) -> Duration {
        deadline.saturating_sub(now() - self.started)
    }
}

fn now() -> Instant {
    #[cfg(test)]
    return Instant::now() + leaps::so_far();
    #[cfg(not(test))]
    Instant::now()
}

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLate;

/// The future's result, unless the deadline passes first; the future is dropped then.
pub(super) async fn within<F: Future>(deadline: Duration, future: F) -> Result<F::Output, TooLate> {
    tokio::time::timeout(deadline, future).await.map_err(|_| TooLate)
}

/// Waits between two looks at the same thing.
#[expect(clippy::disallowed_methods, reason = "the world outside does not move when the clock is moved by hand")]
pub(super) async fn pause(length: Duration) {
    #[cfg(test)]
    if leaps::are_made(length) {
        return tokio::task::yield_now().await;
    }
    tokio::time::sleep(length).await;
}

/// In a simulated night nobody waits: a pause moves the stopwatches by its length, and the runtime's own time stands still.
/// So no limit passes, and no lease is renewed, because a machine is slow.
#[cfg(test)]
pub(crate) mod leaps {
    use std::cell::Cell;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    thread_local! {
        static LEAPED: Cell<Option<Duration>> = const { Cell::new(None) };
    }

    pub(super) fn so_far() -> Duration {
        LEAPED.get().unwrap_or_default()
    }

    /// Whether the night leaps over a pause of this length; then it has.
    pub(super) fn are_made(length: Duration) -> bool {
        LEAPED.set(LEAPED.get().map(|so_far| so_far + length));
        LEAPED.get().is_some()
    }

    /// Time stands still on this thread's runtime as long as this is kept.
    #[derive(Debug)]
    pub(crate) struct StandsStill {
        _ends: Sender<()>,
    }

    impl StandsStill {
        /// For a runtime of one thread that was started with its time paused.
        pub(crate) fn begin() -> Self {
            let (ends, ended) = channel::<()>();
            // Paused time goes on by itself when there is nothing to do, as while a database answers; not while there is
            // a task that blocks.
            tokio::task::spawn_blocking(move || ended.recv());
            LEAPED.set(Some(Duration::ZERO));
            Self { _ends: ends }
        }
    }

    impl Drop for StandsStill {
        fn drop(&mut self) {
            LEAPED.set(None);
        }
    }
}

/// What a look has at least that begins just before the end.
const MOMENT: Duration = Duration::from_secs(1);

/// Looking again and again at the same thing until it is good or the patience is at an end.
#[derive(Debug)]
pub(super) struct Patience {
    watch: Stopwatch,
    whole: Duration,
    every: Duration,
}

impl Patience {
    pub(super) fn new(whole: Duration) -> Self {
        let every = (whole / 10).clamp(Duration::from_millis(10), Duration::from_millis(500));
        Self { watch: Stopwatch::start(), whole, every }
    }

    /// How long the next look may take. The last one may begin just before the end; it gets a moment of its own.
    pub(super) fn one_look(&self) -> Duration {
        self.watch.left_of(self.whole).max(MOMENT).min(Duration::from_secs(5))
    }

    /// There is no time for another look.
    pub(super) fn is_over(&self) -> bool {
        self.watch.left_of(self.whole).is_zero()
    }

    /// Waits until the next look.
    pub(super) async fn pause(&self) {
        pause(self.every).await;
    }
}
