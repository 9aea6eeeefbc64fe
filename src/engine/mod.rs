//! The shell around the core: takes what came in, has it decided and committed, and carries out what follows.
//!
//! No leader, no timers in memory, no state of its own: whatever this process holds can be lost at any instant. What
//! is due is read from the store, at the latest once a second, so a missed signal costs a second and nothing else
//! (durability rules 2, 3, 9).

mod act;
mod chat;
mod delivery;
mod page;
mod patience;
mod tell;
mod watch;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actions::Actions;
use crate::clock::Clock;
use crate::comms::Comms;
use crate::incident::decision::{Context, Decision, Input, Lane, ReplyTo, decide};
use crate::incident::rules::Rules;
use crate::incident::time::Instant;
use crate::incident::words::Refusal;
use crate::paging::PagingChannel;
use crate::render::Renderer;
use crate::store::{Question, Store, StoreFault};

pub use chat::Chat;
#[cfg(test)]
pub(crate) use delivery::{Again, LEASE};
pub use watch::Watch;

/// The longest that anything due waits for a signal that was missed.
const POLL: Duration = Duration::from_secs(1);
/// How long a decider leaves to the others what they have in their hands.
const OTHERS_AT_IT: Duration = Duration::from_millis(20);
/// Decisions side by side: while one waits for its commit, the next is made. An incident's own keep their order.
const DECIDERS: usize = 4;

/// What a decider did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// One decision, or a few of one incident or channel.
    Decided,
    /// What waits is in the hands of others, or behind what is.
    Busy,
    /// There was nothing to decide upon.
    Nothing {
        /// When time brings something.
        next: Option<Instant>,
    },
}

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
    pub slack: Arc<dyn Chat>,
    /// Runbook actions and checks.
    pub actions: Actions,
    /// The ways to reach people beside Slack.
    pub paging: Vec<Arc<dyn PagingChannel>>,
    /// The audiences of texts.
    pub comms: Comms,
    /// How Vigie looks after itself.
    pub watch: Watch,
}

/// The engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    parts: Arc<Parts>,
    /// How often a lease could not be renewed: then any of this process's leases may have ended over its own work.
    failed_renewals: Arc<AtomicU64>,
}

impl Engine {
    /// Makes an engine; nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), failed_renewals: Arc::default() }
    }

    /// Works until `stop`; what is being carried out then is finished, up to `grace`.
    pub async fn run(&self, stop: CancellationToken, grace: Duration) {
        if !self.may_begin(&stop).await {
            return;
        }
        // Before anything is decided: it tells what is late by then.
        let noted = self.note_absence().await.inspect_err(|fault| {
            tracing::error!(%fault, "whether anybody was away could not be looked at; it is tried again");
        });
        let was_out = noted.is_err();
        let mut loops = JoinSet::new();
        for _ in 0..DECIDERS {
            let (engine, token) = (self.clone(), stop.clone());
            loops.spawn(keep("deciding", stop.clone(), move || engine.clone().decide_until(token.clone())));
        }
        for lane in Lane::ALL {
            let (engine, token) = (self.clone(), stop.clone());
            loops.spawn(keep(lane.word(), stop.clone(), move || engine.clone().deliver_until(lane, token.clone())));
        }
        let (engine, token) = (self.clone(), stop.clone());
        loops.spawn(keep("watch", stop.clone(), move || engine.clone().watch_until(token.clone(), was_out)));
        stop.cancelled().await;
        let ended = tokio::time::timeout(grace, async { while loops.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("stopped with work under way; its leases end by themselves and it is taken up again");
        }
    }

    /// Decides and carries out what changes systems, until `stop`: what a terminal needs on the day Slack is down. Pages
    /// and messages wait for whoever runs all of it.
    pub async fn run_without_slack(&self, stop: CancellationToken, grace: Duration) {
        if !self.may_begin(&stop).await {
            return;
        }
        let mut loops = JoinSet::new();
        let (engine, token) = (self.clone(), stop.clone());
        loops.spawn(keep("deciding", stop.clone(), move || engine.clone().decide_until(token.clone())));
        let (engine, token) = (self.clone(), stop.clone());
        loops.spawn(keep(Lane::Action.word(), stop.clone(), move || {
            engine.clone().deliver_until(Lane::Action, token.clone())
        }));
        stop.cancelled().await;
        let ended = tokio::time::timeout(grace, async { while loops.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("stopped with work under way; its leases end by themselves and it is taken up again");
        }
    }

    /// Waits while the database is one that was restored from a backup and nobody has let it go on.
    async fn may_begin(&self, stop: &CancellationToken) -> bool {
        let mut told = false;
        while !stop.is_cancelled() {
            match self.parts.store.is_paused().await {
                Ok(false) => return true,
                Ok(true) if !told => {
                    told = true;
                    tracing::error!(
                        "this database was restored from a backup: nothing is done until “vigie resume” (on SQLite: stop this first)"
                    );
                }
                Ok(true) => {}
                Err(fault) => tracing::error!(%fault, "the database cannot be read; trying again"),
            }
            self.parts.clock.wait_until(None, POLL).await;
        }
        false
    }

    async fn decide_until(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let step = self.decide_due().await.unwrap_or_else(|fault| {
                tracing::error!(%fault, "deciding failed; trying again");
                Step::Nothing { next: None }
            });
            let Step::Nothing { next } = step else {
                // Not woken by each input that comes into a flood: whoever has it in hand goes on with it.
                self.parts.clock.wait_until(None, OTHERS_AT_IT).await;
                continue;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.parts.store.arrival() => {}
                () = self.parts.clock.wait_until(next, POLL) => {}
            }
        }
    }

    /// Decides upon everything that came in and everything that time brought, as far as nobody else is at it.
    async fn decide_due(&self) -> Result<Step, StoreFault> {
        loop {
            match self.decide_one().await? {
                Step::Decided => {}
                step => return Ok(step),
            }
        }
    }

    /// Decides upon the oldest input that waits, else wakes the incident that is longest overdue.
    pub(crate) async fn decide_one(&self) -> Result<Step, StoreFault> {
        let store = &self.parts.store;
        let waits = store.undecided().await?;
        let (engine, clock) = (self.clone(), self.parts.clock.clone());
        let decide = move |question: Question<'_>| engine.answer(&question);
        let now = move || clock.now();
        // In turns: nobody is paged late because others talk much, and nobody is not heard because a wake fails.
        let is_overdue = waits.wake.is_some_and(|at| at <= now());
        let woken = if is_overdue { store.wake_next(now.clone(), decide.clone()).await } else { Ok(None) };
        let taken = if waits.has_input { store.take_next(now, decide).await } else { Ok(Vec::new()) };
        match (woken, taken) {
            (Ok(woken), Ok(taken)) if woken.is_some() || !taken.is_empty() => Ok(Step::Decided),
            (Ok(_), Ok(_)) if waits.has_input || is_overdue => Ok(Step::Busy),
            (Ok(_), Ok(_)) => Ok(Step::Nothing { next: waits.wake }),
            (Err(fault), Ok(taken)) if !taken.is_empty() => {
                tracing::error!(%fault, "an incident could not be woken; what came in is decided upon meanwhile");
                Ok(Step::Decided)
            }
            (Err(fault), Ok(_)) | (Ok(_), Err(fault)) => Err(fault),
            (Err(wake), Err(fault)) => {
                tracing::error!(%wake, "an incident could not be woken either");
                Err(fault)
            }
        }
    }

    fn answer(&self, question: &Question<'_>) -> Result<Decision, Refusal> {
        let by = question.input.by();
        let nobody = ReplyTo::Nobody;
        let (channel, reply) = match question.input {
            Input::Command { channel, reply, .. } => (channel.as_ref(), reply),
            _ => (None, &nobody),
        };
        let (rules, now, fresh) = (&self.parts.rules, question.now, question.fresh);
        let context = Context { rules, now, by: &by, channel, reply, fresh, member_of: None };
        decide(context, question.incident, question.input)
    }
}

/// Runs one of the engine's loops until `stop`, and begins it again should it end by a defect: whatever it held is in
/// the store.
async fn keep<F: Future<Output = ()> + Send>(name: &str, stop: CancellationToken, begin: impl Fn() -> F + Send) {
    while !stop.is_cancelled() {
        if AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
            tracing::error!(
                name,
                "a loop of the engine failed by a defect in Vigie and begins again; please report it"
            );
            // Either the pause is over or Vigie stops; both are looked at above.
            let _ = tokio::time::timeout(POLL, stop.cancelled()).await;
        }
    }
}
