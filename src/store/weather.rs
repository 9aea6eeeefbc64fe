//! Bad weather for the simulation: commits that fail, and processes that end right before or right after one.
//!
//! It belongs to the thread, for a simulation drives one thing at a time and knows whose commit it is.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::Notify;

use super::StoreFault;

/// What happens to the next commits.
pub(crate) struct Weather {
    /// Draws what happens, the same for the same seed.
    pub rng: fastrand::Rng,
    /// Of a thousand commits so many end the process before, and so many after.
    pub crashes: u32,
    /// Of a thousand commits so many are refused by the database.
    pub failures: u32,
    /// Told when the process ends; what was under way waits for ever then, until it is dropped.
    pub crashed: Arc<Notify>,
}

thread_local! {
    static WEATHER: RefCell<Option<Weather>> = const { RefCell::new(None) };
}

/// From now on commits of this thread meet this.
pub(crate) fn set(weather: Option<Weather>) {
    WEATHER.with_borrow_mut(|now| *now = weather);
}

/// Whether this thread plays a simulated night.
pub(crate) fn is_simulated() -> bool {
    WEATHER.with_borrow(Option::is_some)
}

/// Changes how bad it is; the draws go on from where they are.
pub(crate) fn change(crashes: u32, failures: u32) {
    WEATHER.with_borrow_mut(|now| {
        if let Some(now) = now {
            (now.crashes, now.failures) = (crashes, failures);
        }
    });
}

pub(super) async fn before_commit() -> Result<(), StoreFault> {
    let refused = WEATHER.with_borrow_mut(|now| now.as_mut().is_some_and(|now| now.rng.u32(..1_000) < now.failures));
    if refused {
        return Err(StoreFault::Database(sqlx::Error::PoolTimedOut));
    }
    maybe_end().await;
    Ok(())
}

pub(super) async fn after_commit() {
    maybe_end().await;
}

async fn maybe_end() {
    let crashed = WEATHER.with_borrow_mut(|now| {
        let now = now.as_mut()?;
        (now.rng.u32(..1_000) < now.crashes).then(|| Arc::clone(&now.crashed))
    });
    if let Some(crashed) = crashed {
        crashed.notify_one();
        std::future::pending::<()>().await;
    }
}
