//! How well Slack is heard: what readiness and the auditor look at.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::incident::time::Instant;

/// Shared by the doors, which write it, and by whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    links: Mutex<Links>,
    hellos: AtomicU64,
    /// Milliseconds UTC; 0 while it never happened.
    last_heard: AtomicI64,
    fault: Mutex<Option<String>>,
    switched_off: AtomicBool,
    /// Counts how often somebody wanted every connection replaced.
    reopen: tokio::sync::watch::Sender<u64>,
}

/// The connections that stand, and since when there has been one: told together, or an absence would be told wrongly.
#[derive(Debug, Clone, Copy, Default)]
struct Links {
    open: usize,
    since: Option<Instant>,
}

/// How it stands at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// Open Socket Mode connections that said hello.
    pub links: usize,
    /// Since when there has been at least one, without a gap; `None` while there is none.
    pub connected_since: Option<Instant>,
    /// When anything was last heard from Slack, by either door.
    pub last_heard: Option<Instant>,
    /// How often Slack said hello since the start; grows with every reconnection.
    pub hellos: u64,
    /// Why the last attempt to connect failed; `None` once one works.
    pub fault: Option<String>,
    /// Somebody switched Socket Mode off in the app's settings; until a connection opens again.
    pub switched_off: bool,
}

impl Health {
    /// How it stands.
    pub fn gauge(&self) -> Gauge {
        let links = *self.links();
        let heard = self.0.last_heard.load(Ordering::Acquire);
        let fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
        Gauge {
            links: links.open,
            connected_since: links.since,
            last_heard: (heard > 0).then_some(Instant(heard)),
            hellos: self.0.hellos.load(Ordering::Acquire),
            fault: fault.clone(),
            switched_off: self.0.switched_off.load(Ordering::Acquire),
        }
    }

    /// A connection said hello.
    pub(super) fn opened(&self, now: Instant) {
        let mut links = self.links();
        links.open += 1;
        links.since.get_or_insert(now);
        drop(links);
        self.0.hellos.fetch_add(1, Ordering::AcqRel);
        self.set_fault(None);
        self.0.switched_off.store(false, Ordering::Release);
        self.heard(now);
    }

    /// Wants every connection replaced: they are open, and nothing is heard.
    pub fn reopen(&self) {
        self.0.reopen.send_modify(|count| *count += 1);
    }

    /// Changes whenever every connection is to be replaced.
    pub(super) fn reopens(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.reopen.subscribe()
    }

    /// A connection that had said hello is gone.
    pub(super) fn closed(&self) {
        let mut links = self.links();
        links.open = links.open.saturating_sub(1);
        if links.open == 0 {
            links.since = None;
        }
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something came from Slack.
    pub(super) fn heard(&self, now: Instant) {
        self.0.last_heard.fetch_max(now.0, Ordering::AcqRel);
    }

    /// No connection could be made.
    pub(super) fn failed(&self, why: &str) {
        self.set_fault(Some(why.to_owned()));
    }

    /// Slack said that Socket Mode was switched off.
    pub(super) fn switched_off(&self, why: &str) {
        self.0.switched_off.store(true, Ordering::Release);
        self.failed(why);
    }

    fn set_fault(&self, fault: Option<String>) {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_since_survives_the_change_of_one_of_two_links() {
        let health = Health::default();
        health.opened(Instant(10));
        health.opened(Instant(20));
        health.closed();
        health.opened(Instant(30));
        let gauge = health.gauge();
        assert_eq!((gauge.links, gauge.connected_since, gauge.hellos), (2, Some(Instant(10)), 3));
        health.closed();
        health.closed();
        assert_eq!(health.gauge().connected_since, None);
        health.opened(Instant(40));
        assert_eq!(health.gauge().connected_since, Some(Instant(40)));
    }

    #[test]
    fn a_fault_is_forgotten_once_a_link_opens() {
        let health = Health::default();
        health.failed("Slack could not be reached.");
        assert!(health.gauge().fault.is_some());
        health.opened(Instant(1));
        assert_eq!(health.gauge().fault, None);
    }
}
