//! The shell around the core: takes what came in, has it decided and committed, and carries out what follows.
//!
//! No leader, no timers in memory, no state of its own: whatever this process holds can be lost at any instant. What
//! is due is read from the store, at the latest once a second, so a missed signal costs a second and nothing else
//! (durability rules 2, 3, 9).

mod act;
mod delivery;
mod page;
mod patience;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actions::Actions;
use crate::clock::Clock;
use crate::comms::Comms;
use crate::incident::decision::{Context, Decision, Input, Lane, ReplyTo, decide};
use crate::incident::rules::Rules;
use crate::incident::words::Refusal;
use crate::paging::PagingChannel;
use crate::render::Renderer;
use crate::slack::Slack;
use crate::store::{Question, Store, StoreFault};

/// The longest that anything due waits for a signal that was missed.
const POLL: Duration = Duration::from_secs(1);
/// Decisions side by side: while one waits for its commit, the next is made. An incident's own keep their order.
const DECIDERS: usize = 4;

/// What the engine works with.
#[derive(Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The team's rules.
    pub rules: Arc<Rules>,
    /// Texts.
    pub render: Arc<Renderer>,
    /// Slack.
    pub slack: Slack,
    /// Runbook actions and checks.
    pub actions: Actions,
    /// The ways to reach people beside Slack.
    pub paging: Vec<Arc<dyn PagingChannel>>,
    /// The audiences of texts.
    pub comms: Comms,
}

/// The engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    parts: Arc<Parts>,
}

impl Engine {
    /// Makes an engine; nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Works until `stop`; what is being carried out then is finished, up to `grace`.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        let mut loops = JoinSet::new();
        for _ in 0..DECIDERS {
            let (engine, token) = (self.clone(), stop.clone());
            loops.spawn(async move { engine.decide_until(token).await });
        }
        for lane in Lane::ALL {
            let (engine, token) = (self.clone(), stop.clone());
            loops.spawn(async move { engine.deliver_until(lane, token).await });
        }
        stop.cancelled().await;
        let ended = tokio::time::timeout(grace, async { while loops.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("stopped with work under way; its leases end by themselves and it is taken up again");
        }
    }

    async fn decide_until(&self, stop: CancellationToken) {
        let mut changes = self.parts.store.changes();
        while !stop.is_cancelled() {
            changes.mark_unchanged();
            let next = match self.decide_due().await {
                Ok(()) => self.parts.store.next_wake().await,
                Err(fault) => Err(fault),
            };
            let next = next.unwrap_or_else(|fault| {
                tracing::error!(%fault, "deciding failed; trying again");
                None
            });
            tokio::select! {
                () = stop.cancelled() => {}
                _ = changes.changed() => {}
                () = self.parts.clock.wait_until(next, POLL) => {}
            }
        }
    }

    /// Decides upon everything that came in and everything that time brought.
    ///
    /// # Errors
    /// When the store fails; what was not decided waits on.
    pub async fn decide_due(&self) -> Result<(), StoreFault> {
        let (store, clock) = (&self.parts.store, &self.parts.clock);
        loop {
            let (engine, now) = (self.clone(), clock.now());
            if store.take_next(now, move |question| engine.answer(&question, now)).await?.is_some() {
                continue;
            }
            let (engine, now) = (self.clone(), clock.now());
            if store.wake_next(now, move |question| engine.answer(&question, now)).await?.is_none() {
                return Ok(());
            }
        }
    }

    fn answer(&self, question: &Question<'_>, now: crate::incident::time::Instant) -> Result<Decision, Refusal> {
        let by = question.input.by();
        let nobody = ReplyTo::Nobody;
        let (channel, reply) = match question.input {
            Input::Command { channel, reply, .. } => (channel.as_ref(), reply),
            _ => (None, &nobody),
        };
        let context = Context { rules: &self.parts.rules, now, by: &by, channel, reply, fresh: question.fresh };
        decide(context, question.incident, question.input)
    }
}
