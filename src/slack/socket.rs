//! The Socket Mode door: WebSockets that Vigie opens to Slack (docs: “Using Socket Mode”).
//!
//! Several connections stand side by side, since any of them may get any payload and each is replaced every few hours:
//! the new one is open before the old one goes. Every envelope is taken by itself, beside all others, and acknowledged
//! once it is safe. A connection that falls silent is noticed by pings, and closed.

mod frame;
mod link;

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::fault::SlackFault;
use super::health::Health;
use super::inbound::Inbound;
use frame::Farewell;
use link::{Link, expire};

/// How patient the door is.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Connections side by side; Slack allows ten.
    pub links: usize,
    /// Each connection is pinged this often.
    pub ping_every: Duration,
    /// After so many pings without a sign of life the connection counts as dead.
    pub silent_pings: u32,
    /// Connecting, the wait for hello, and each write may take this long.
    pub answer_within: Duration,
    /// The shortest pause between two attempts; doubles with each failure.
    pub first_pause: Duration,
    /// The longest pause: for so long at most Vigie stays deaf once Slack takes connections again.
    pub longest_pause: Duration,
    /// The pause while Socket Mode is switched off in the app's settings.
    pub disabled_pause: Duration,
    /// A connection that Slack announced to close may stay open this long beside its successor.
    pub leave_within: Duration,
    /// What has been read when Vigie stops may still be stored and acknowledged for this long.
    pub finish_within: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            links: 2,
            ping_every: Duration::from_secs(4),
            silent_pings: 3,
            answer_within: Duration::from_secs(10),
            first_pause: Duration::from_millis(200),
            // Three processes with two connections each stay within the 50 attempts a minute that Slack takes.
            longest_pause: Duration::from_secs(10),
            disabled_pause: Duration::from_secs(60),
            leave_within: Duration::from_secs(60),
            finish_within: Duration::from_secs(3),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum NoLink {
    #[error(transparent)]
    Refused(#[from] SlackFault),
    #[error("Socket Mode is switched off in the app's settings; switch it on, or use the HTTP door")]
    Disabled,
    #[error("Slack's WebSocket could not be opened: {0}")]
    Broken(String),
}

/// The door.
pub struct SocketDoor {
    inbound: Inbound,
    health: Health,
    patience: Patience,
}

impl SocketDoor {
    /// A door that tells `health` how it is.
    pub fn new(inbound: Inbound, health: Health, patience: Patience) -> Self {
        Self { inbound, health, patience }
    }

    /// Keeps the connections open until `stop`. What has been read is stored and acknowledged before this returns.
    pub async fn run(self, stop: CancellationToken) {
        let slots = (0..self.patience.links).map(|slot| self.keep(slot, &stop));
        futures_util::future::join_all(slots).await;
    }

    /// Keeps one of the connections open.
    async fn keep(&self, slot: usize, stop: &CancellationToken) {
        let mut leaving = JoinSet::new();
        let mut pause = Pause::new(&self.patience);
        let mut reopen = self.health.reopens();
        while !stop.is_cancelled() {
            while leaving.try_join_next().is_some() {}
            let link = tokio::select! {
                () = stop.cancelled() => break,
                link = Link::open(&self.inbound, &self.health, &self.patience) => link,
            };
            let link = match link {
                Ok(link) => link,
                Err(none) => {
                    self.health.failed(&none.to_string());
                    let length = match none {
                        NoLink::Disabled => self.switched_off(slot),
                        NoLink::Refused(SlackFault::Permanent { .. }) => {
                            tracing::error!(slot, "{none}");
                            // What stands between may have said it in Slack's place, for a while.
                            pause.next()
                        }
                        NoLink::Refused(SlackFault::Retry { after: Some(after), .. }) => {
                            tracing::warn!(slot, "{none}");
                            pause.next().max(after)
                        }
                        _ => {
                            tracing::warn!(slot, "{none}");
                            pause.next()
                        }
                    };
                    rest(length, stop).await;
                    continue;
                }
            };
            let (ask, asked) = oneshot::channel();
            reopen.mark_unchanged();
            let leave = CancellationToken::new();
            let serving = tokio::spawn(link.serve(ask, leave.clone(), stop.clone()));
            let was_of_use = tokio::select! {
                biased;
                // Nothing is said where it ends without a farewell.
                farewell = asked => match farewell {
                    // The old connection serves on until Slack closes it; meanwhile the new one is opened.
                    Ok((Farewell::Refresh, of_use)) => {
                        leaving.spawn(serving);
                        of_use
                    }
                    Ok((Farewell::Disabled, _)) => {
                        leaving.spawn(serving);
                        rest(self.switched_off(slot), stop).await;
                        true
                    }
                    Err(_) => of_use(serving.await),
                },
                Ok(()) = reopen.changed() => {
                    tracing::warn!(slot, "a connection is replaced, for nothing is heard through it");
                    // What it was given all the same is still taken and acknowledged.
                    expire(self.patience.leave_within, leave);
                    leaving.spawn(serving);
                    true
                }
            };
            if was_of_use {
                pause.reset();
            } else {
                // Do not run in circles.
                rest(pause.next(), stop).await;
            }
        }
        while leaving.join_next().await.is_some() {}
    }

    /// Socket Mode was switched off; how long to wait before it is tried again.
    fn switched_off(&self, slot: usize) -> Duration {
        let why = NoLink::Disabled.to_string();
        tracing::error!(slot, "{why}");
        self.health.switched_off(&why);
        jittered(self.patience.disabled_pause)
    }
}

/// Whether a connection that ended was of use.
fn of_use(served: Result<bool, JoinError>) -> bool {
    served.unwrap_or_else(|broken| {
        tracing::error!(%broken, "a connection's own work failed");
        false
    })
}

/// Pauses that grow: none at first, then doubling, with jitter, so that a thousand clients do not come back at once.
struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pause {
    fn new(patience: &Patience) -> Self {
        Self { first: patience.first_pause, longest: patience.longest_pause, next: patience.first_pause }
    }

    fn next(&mut self) -> Duration {
        let length = self.next;
        self.next = (self.next * 2).min(self.longest);
        jittered(length)
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between half of `length` and all of it.
fn jittered(length: Duration) -> Duration {
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    let share = u32::try_from(random % 1_000).unwrap_or(0);
    length / 2 + length * share / 2_000
}

async fn rest(length: Duration, stop: &CancellationToken) {
    // Either the pause is over or Vigie stops; both are looked at by the caller.
    let _ = tokio::time::timeout(length, stop.cancelled()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_success() {
        let patience = Patience::default();
        let mut pause = Pause::new(&patience);
        let lengths: Vec<Duration> = (0..12).map(|_| pause.next()).collect();
        assert!(lengths.first().is_some_and(|first| *first <= Duration::from_millis(200)));
        assert!(lengths.iter().all(|length| *length <= patience.longest_pause));
        assert!(lengths.last().is_some_and(|last| *last >= patience.longest_pause / 2));
        pause.reset();
        assert!(pause.next() <= Duration::from_millis(200));
    }

    #[test]
    fn those_who_lost_their_connections_together_do_not_come_back_together() {
        let wait = Duration::from_secs(10);
        let lengths: std::collections::BTreeSet<Duration> = (0..50).map(|_| jittered(wait)).collect();
        assert!(lengths.len() > 25, "{lengths:?}");
        assert!(lengths.iter().all(|length| (wait / 2..=wait).contains(length)), "{lengths:?}");
    }

    #[test]
    fn however_long_slack_refused_it_is_asked_again_within_ten_seconds() {
        let mut pause = Pause::new(&Patience::default());
        assert!((0..1_000).map(|_| pause.next()).all(|length| length <= Duration::from_secs(10)));
    }

    #[test]
    fn the_attempts_of_three_processes_stay_within_fifty_a_minute() {
        let patience = Patience::default();
        let attempts_at_once = 3 * u32::try_from(patience.links).expect("Slack allows ten");
        let between_attempts = patience.longest_pause * 3 / 4;
        assert!(Duration::from_secs(60) * attempts_at_once <= between_attempts * 50);
    }

    #[test]
    fn a_silent_peer_is_noticed_within_twenty_seconds() {
        let patience = Patience::default();
        assert!(patience.ping_every * (patience.silent_pings + 1) <= Duration::from_secs(20));
    }
}
