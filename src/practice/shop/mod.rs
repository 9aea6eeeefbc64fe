//! The toy shop: a small real HTTP service in two versions behind a switch, made to be broken and rolled back.
//!
//! Each version is a listener of its own with its own behaviour; the front door passes requests on to the active
//! one and counts them. No customer comes by itself: every figure is a real request of somebody.

mod figures;
mod front;
mod version;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use figures::Figures;
pub use figures::Request;
use version::Version;

/// The largest request the shop takes, in bytes.
const LARGEST: usize = 64 * 1024;

/// Why the shop did not open.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// No port was free.
    #[error("The toy shop cannot listen on 127.0.0.1: {0}. Close other programs that hold many ports and try again.")]
    Listen(#[from] std::io::Error),
    /// The front door's HTTP client could not be made.
    #[error(
        "The toy shop's front door cannot call its versions: {0}. A TLS provider must be installed before the shop opens."
    )]
    Client(#[from] reqwest::Error),
}

/// Which version serves the customers, and which one did before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// `v1` or `v2`.
    pub active: String,
    /// The version that was active before.
    pub previous: String,
    /// Both versions, oldest first.
    pub versions: Vec<VersionState>,
    /// When the switch was last moved, milliseconds UTC.
    pub changed_at_ms: i64,
}

/// One version of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionState {
    /// `v1` or `v2`: what the switch is moved to.
    pub name: String,
    /// What people call it, e.g. `1.3.0`.
    pub label: String,
    /// Whether its checkout works.
    pub healthy: bool,
}

/// Everything the page shows of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShopState {
    /// `ok` or `failing`: what a customer meets now.
    pub status: &'static str,
    /// Whether the new version is broken, be it active or not.
    pub broken: bool,
    /// The switch.
    #[serde(flatten)]
    pub switch: Switch,
    /// The front door's address, without a trailing slash.
    pub url: String,
    /// Requests that came through the front door since it opened.
    pub requests: u64,
    /// Of those, the ones answered with 500 or more.
    pub errors: u64,
    /// The latest requests of customers, oldest first; health checks are left out.
    pub recent: Vec<Request>,
}

/// Why the switch was not moved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotSwitched {
    /// It no longer stands where the caller thought.
    Moved,
    /// There is no such version.
    Unknown,
}

/// The toy shop. Clones share it; it closes when the last clone is gone.
#[derive(Clone)]
pub struct Shop {
    inner: Arc<Inner>,
    /// Only the owners' clones hold this: when it is dropped the listeners close.
    _open: Arc<tokio_util::sync::DropGuard>,
}

struct Inner {
    now: Box<dyn Fn() -> i64 + Send + Sync>,
    versions: [Version; 2],
    broken: Arc<AtomicBool>,
    silence: Mutex<Option<Silence>>,
    /// Nobody is told how the shop is; customers are served on.
    hangs: AtomicBool,
    lever: Mutex<Lever>,
    orders: Mutex<Vec<Order>>,
    figures: Figures,
    changes: watch::Sender<u64>,
    client: reqwest::Client,
    url: String,
}

/// What happens to the one who moves the switch and is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The switch stays where it is.
    BeforeMoving,
    /// The switch is moved all the same.
    AfterMoving,
}

/// Somebody's order to move the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The sender's `idempotency-key`, if there was one.
    pub key: Option<String>,
    /// The switch was moved; it stays where it is when it does not stand where the sender thought.
    pub moved: bool,
}

#[derive(Clone, Copy)]
struct Lever {
    active: usize,
    previous: usize,
    changed_at_ms: i64,
}

const OLD: usize = 0;
const NEW: usize = 1;

impl Shop {
    /// Opens both versions and the front door on free loopback ports, the new version active and well.
    /// `now` tells the time in milliseconds UTC.
    ///
    /// # Errors
    /// When no port is free or the HTTP client cannot be made.
    pub async fn start(now: impl Fn() -> i64 + Send + Sync + 'static) -> Result<Self, ShopError> {
        let closing = CancellationToken::new();
        let broken = Arc::new(AtomicBool::new(false));
        let versions =
            [version::open_old(closing.clone()).await?, version::open_new(broken.clone(), closing.clone()).await?];
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let changed_at_ms = now();
        let inner = Arc::new(Inner {
            now: Box::new(now),
            versions,
            broken,
            silence: Mutex::new(None),
            hangs: AtomicBool::new(false),
            lever: Mutex::new(Lever { active: NEW, previous: OLD, changed_at_ms }),
            orders: Mutex::default(),
            figures: Figures::default(),
            changes: watch::Sender::new(0),
            client: reqwest::Client::builder().no_proxy().build()?,
            url: format!("http://{}", listener.local_addr()?),
        });
        version::serve(listener, front::routes(inner.clone()), closing.clone());
        Ok(Self { inner, _open: Arc::new(closing.drop_guard()) })
    }

    /// The front door's address, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Everything there is to know about the shop now.
    pub fn state(&self) -> ShopState {
        self.inner.state()
    }

    /// A number that grows with each change: a request, a switch, a break, a mend.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Ships the broken new version: it becomes active, and its checkout answers 500.
    pub fn break_it(&self) {
        self.inner.break_it();
    }

    /// Repairs the new version, whichever is active.
    pub fn mend(&self) {
        self.inner.mend();
    }

    /// Every order to move the switch that was answered or carried out, oldest first.
    pub fn orders(&self) -> Vec<Order> {
        self.inner.orders().clone()
    }

    /// The next one who moves the switch gets no answer, ever.
    pub fn silence_next_switch(&self, silence: Silence) {
        *self.inner.silence() = Some(silence);
    }

    /// Whether somebody has met the silence that was ordered.
    pub fn is_silence_met(&self) -> bool {
        self.inner.silence().is_none()
    }

    /// From now on `/health` takes requests and never answers them, whichever version is active; or answers again.
    /// Requests that wait already are not answered any more.
    pub fn hang_health(&self, on: bool) {
        self.inner.hangs.store(on, Ordering::SeqCst);
        self.inner.changed();
    }

    /// Buys one book through the front door, as a customer would. Returns the HTTP status.
    ///
    /// # Errors
    /// When the front door does not answer.
    pub async fn buy(&self) -> Result<u16, reqwest::Error> {
        let order = serde_json::json!({"book": "The Lighthouse Keeper", "quantity": 1});
        let answer = self.inner.client.post(format!("{}/checkout", self.inner.url)).json(&order).send().await?;
        Ok(answer.status().as_u16())
    }
}

impl Inner {
    // The lever is a Copy value replaced whole, so a panic elsewhere cannot leave it half moved.
    fn lever(&self) -> MutexGuard<'_, Lever> {
        self.lever.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Orders are only ever added.
    fn orders(&self) -> MutexGuard<'_, Vec<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silence(&self) -> MutexGuard<'_, Option<Silence>> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    fn healthy(&self, index: usize) -> bool {
        index != NEW || !self.broken.load(Ordering::SeqCst)
    }

    fn active(&self) -> &Version {
        &self.versions[self.lever().active]
    }

    fn switch(&self) -> Switch {
        let lever = *self.lever();
        let versions = self.versions.iter().enumerate().map(|(index, version)| VersionState {
            name: version.name.to_owned(),
            label: version.label.to_owned(),
            healthy: self.healthy(index),
        });
        Switch {
            active: self.versions[lever.active].name.to_owned(),
            previous: self.versions[lever.previous].name.to_owned(),
            versions: versions.collect(),
            changed_at_ms: lever.changed_at_ms,
        }
    }

    fn state(&self) -> ShopState {
        let active = self.lever().active;
        let (requests, errors) = self.figures.totals();
        ShopState {
            status: if self.healthy(active) { "ok" } else { "failing" },
            broken: self.broken.load(Ordering::SeqCst),
            switch: self.switch(),
            url: self.url.clone(),
            requests,
            errors,
            recent: self.figures.recent(),
        }
    }

    fn break_it(&self) {
        self.broken.store(true, Ordering::SeqCst);
        let moved = self.lever().active != NEW;
        if moved {
            self.move_to(NEW);
        }
        self.changed();
    }

    fn mend(&self) {
        self.broken.store(false, Ordering::SeqCst);
        self.changed();
    }

    fn move_to(&self, index: usize) {
        let mut lever = self.lever();
        *lever = Lever { active: index, previous: lever.active, changed_at_ms: (self.now)() };
        self.figures.forget_recent();
    }

    /// Moves the switch from `expected` to `to`. To where it stands already counts as moved.
    fn try_switch(&self, to: &str, expected: &str) -> Result<(), NotSwitched> {
        let index = |name: &str| self.versions.iter().position(|v| v.name == name).ok_or(NotSwitched::Unknown);
        let (to, expected) = (index(to)?, index(expected)?);
        {
            let mut lever = self.lever();
            if lever.active != expected {
                return Err(NotSwitched::Moved);
            }
            if lever.active != to {
                *lever = Lever { active: to, previous: expected, changed_at_ms: (self.now)() };
                self.figures.forget_recent();
            }
        }
        self.changed();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
