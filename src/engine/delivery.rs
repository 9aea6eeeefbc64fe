//! Carrying effects out: each lane on its own, so that a slow one never delays another (rule 4). Within the lane of pages each
//! way, within that of actions each kind, and within that of texts each destination has room of its own: e-mails that hang hold
//! up no page in Slack, executions no plan, and a customer's webhook no status page.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::patience::{Kind, Next, Trouble, given_up, next};
use super::tell::Errand;
use super::{Engine, POLL};
use crate::incident::decision::{Effect, Lane, Report, Sheet};
use crate::incident::lane::{EXECUTIONS, ONE_BULKHEAD};
use crate::incident::state::{Incident, Progress};
use crate::incident::time::{Instant, Millis};
use crate::incident::timeline::{Card, Entry};
use crate::incident::waiting::OpenIncidents;
use crate::incident::words::Words;
use crate::slack::scene::Scene;
use crate::store::{Claimed, Place, StoreFault};

/// How long an effect may take before another process takes it over; longer work renews it. A page in the hands of a
/// process that died waits for so long, and no longer.
pub const LEASE: Millis = Millis::seconds(15);
/// How often it does, in real time; and how soon again when that failed.
const RENEW: Duration = Duration::from_secs(5);
const RENEW_AGAIN: Duration = Duration::from_millis(500);
/// What happened is kept anew after this long when the database failed, and then after twice that, up to [`RENEW_AGAIN`].
const SOON: Duration = Duration::from_millis(10);
/// And at so many failures it is logged once, about each minute.
const LOGGED_EVERY: u64 = 120;

/// So many effects of one queue are carried out without a look at the other queues.
const IN_A_ROW: u32 = 16;

/// What is due next is looked for so long after something was taken, unless an end or a decision asks for a look before: mostly
/// one look then serves for all.
const A_MOMENT: Duration = Duration::from_millis(10);

/// A process that looked at nothing for so long stood still, and its leases may have ended over its own work.
const STOOD_STILL: Millis = Millis(LEASE.0 / 2);

/// What a lane remembers between two looks; may be lost.
#[derive(Debug)]
struct Look {
    /// When it last looked and saw something.
    at: Instant,
    /// How many renewals had failed when this process's leases were last renewed all at once.
    failed: u64,
}

/// What a lane has in hand; may be lost.
#[derive(Debug)]
pub(crate) struct Hands {
    bulkheads: Bulkheads,
    under_way: JoinSet<()>,
    look: Look,
    /// A decision has brought something, so that it need not be looked for.
    has_news: bool,
}

/// When a lane looks again, if nothing asks it to before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Again {
    at: Option<Instant>,
    within: Duration,
}

impl Again {
    /// When the next is due, as far as is known.
    pub(crate) const fn at(at: Option<Instant>) -> Self {
        Self { at, within: POLL }
    }
}

impl Hands {
    /// One look at what waits is enough for all that ended meanwhile.
    fn forget_ended(&mut self) {
        while self.under_way.try_join_next().is_some() {}
    }

    /// As if a decision had brought something.
    #[cfg(test)]
    pub(crate) fn are_told(&mut self) {
        self.has_news = true;
    }

    /// As if calls that hang had taken every place of a lane with one bulkhead.
    #[cfg(test)]
    pub(crate) fn are_full(&mut self) {
        let bulkhead = self.bulkheads.bulkhead_of("");
        bulkhead.forget_permits(bulkhead.available_permits());
    }
}

/// The bulkheads of a lane: what fills one leaves the others free. One is made when something is first carried out in it.
#[derive(Debug)]
struct Bulkheads {
    lane: Lane,
    by_name: BTreeMap<String, Arc<Semaphore>>,
}

impl Bulkheads {
    fn of(lane: Lane) -> Self {
        Self { lane, by_name: BTreeMap::new() }
    }

    /// Those that are full, and how many effects may be taken without a look at where they belong: all of them may belong
    /// to one.
    fn left(&self) -> (Vec<&str>, usize) {
        let free = |one: &Semaphore| one.available_permits();
        let full = self.by_name.iter().filter(|(_, one)| free(one) == 0).map(|(name, _)| name.as_str());
        let left = self.by_name.values().map(|one| free(one)).filter(|free| *free > 0);
        (full.collect(), left.fold(width(self.lane), usize::min))
    }

    fn bulkhead_of(&mut self, queue: &str) -> Arc<Semaphore> {
        let (lane, name) = (self.lane, self.lane.bulkhead(queue));
        let width = if name == EXECUTIONS { SIDE_BY_SIDE } else { width(lane) };
        let bulkhead = self.by_name.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(width)));
        Arc::clone(bulkhead)
    }
}

/// So many runs are executed side by side. Each has targets of its own and mostly waits, for half an hour where a roll-out
/// takes so long, and none may hold up another's approved rollback: this only bounds what a process holds in memory.
const SIDE_BY_SIDE: usize = 256;

/// What any other bulkhead of a lane carries out side by side.
const fn width(lane: Lane) -> usize {
    match lane {
        Lane::Page => 64,
        Lane::Action | Lane::Comms => 16,
        Lane::Chat => 32,
    }
}

/// What an effect is carried out with, read from the store at that moment.
#[derive(Debug, Default)]
pub(super) struct Setting {
    pub incident: Option<Incident>,
    pub timeline: Vec<Entry>,
    pub open: OpenIncidents,
    pub progress: Option<Progress>,
    pub kept: Option<String>,
}

impl Engine {
    pub(crate) fn hands(&self, lane: Lane) -> Hands {
        let look = Look { at: self.parts.clock.now(), failed: self.failed_renewals() };
        Hands { bulkheads: Bulkheads::of(lane), under_way: JoinSet::new(), look, has_news: false }
    }

    pub(super) async fn deliver_until(self, lane: Lane, stop: CancellationToken) {
        let mut decisions = self.parts.store.decisions(lane);
        let mut hands = self.hands(lane);
        let mut brought = *decisions.borrow();
        while !stop.is_cancelled() {
            let before = std::mem::replace(&mut brought, *decisions.borrow_and_update());
            hands.has_news = brought != before;
            let again = self.begin_due(&mut hands, &stop).await;
            let again = again.unwrap_or_else(|fault| {
                tracing::error!(%fault, lane = lane.word(), "the outbox cannot be read; trying again");
                Again::at(None)
            });
            tokio::select! {
                () = stop.cancelled() => {}
                _ = decisions.changed() => {}
                Some(_) = hands.under_way.join_next(), if !hands.under_way.is_empty() => hands.forget_ended(),
                () = self.parts.clock.wait_until(again.at, again.within) => {}
            }
        }
        while hands.under_way.join_next().await.is_some() {}
    }

    /// Takes what is due and begins it, and tells when to look again.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn begin_due(&self, hands: &mut Hands, stop: &CancellationToken) -> Result<Again, StoreFault> {
        let Hands { bulkheads, under_way, look, has_news } = hands;
        let lane = bulkheads.lane;
        loop {
            let now = self.parts.clock.now();
            self.parts.store.give_back_what_was_lost(now).await?;
            // Or this process would take over from itself what it is still doing.
            let failed = self.failed_renewals();
            if now.since(look.at) >= STOOD_STILL || failed != look.failed {
                self.parts.store.extend_all(now + LEASE).await?;
                *look = Look { at: now, failed };
            }
            let (full, left) = bulkheads.left();
            if full.contains(&ONE_BULKHEAD) {
                // It does not stand still. Renewals now would keep what was lost on the way to us from everybody, too.
                look.at = now;
                return Ok(Again::at(None));
            }
            // Looking first keeps an idle process from taking the writer's lock for nothing.
            let had_news = std::mem::take(has_news);
            if !had_news {
                let next = self.parts.store.next_due(lane).await?;
                look.at = now;
                if next.is_none_or(|at| at > now) {
                    return Ok(Again::at(next));
                }
            }
            let most = u32::try_from(left).unwrap_or(u32::MAX);
            let claimed = self.parts.store.claim_beside(lane, now, LEASE, most, &full).await?;
            look.at = now;
            if claimed.is_empty() && had_news {
                continue;
            }
            if claimed.is_empty() {
                // It waits for a decision, or for a place behind a bulkhead that is full: both wake this lane.
                return Ok(Again::at(None));
            }
            let is_all = claimed.len() < left;
            for one in claimed {
                let Ok(permit) = bulkheads.bulkhead_of(&one.queue).acquire_owned().await else {
                    return Ok(Again::at(None));
                };
                let (engine, stop) = (self.clone(), stop.clone());
                under_way.spawn(async move {
                    engine.deliver_in_a_row(one, &stop).await;
                    drop(permit);
                });
            }
            if is_all {
                return Ok(Again { at: None, within: A_MOMENT });
            }
        }
    }

    /// Carries out one effect and then what its queue has next, a few of them: then others have their turn.
    async fn deliver_in_a_row(&self, first: Claimed, stop: &CancellationToken) {
        let mut next = Some(first);
        for number in 1..=IN_A_ROW {
            let Some(one) = next else { return };
            next = self.deliver_then(&one, || number < IN_A_ROW && !stop.is_cancelled()).await;
        }
    }

    #[cfg(test)]
    pub(crate) async fn deliver(&self, claimed: Claimed, goes_on: bool) {
        if goes_on {
            self.deliver_in_a_row(claimed, &CancellationToken::new()).await;
        } else {
            self.deliver_then(&claimed, || false).await;
        }
    }

    /// Carries out one effect and keeps what came of it; when it goes on, it takes what its queue has next.
    async fn deliver_then(&self, claimed: &Claimed, goes_on: impl Fn() -> bool) -> Option<Claimed> {
        if !self.is_still_ours(claimed).await {
            return None;
        }
        // A defect in one effect is that effect's trouble and nobody else's.
        let working = AssertUnwindSafe(self.carry_out(claimed)).catch_unwind();
        let result = tokio::select! {
            biased;
            result = working => result.unwrap_or_else(|_| Err(defect(&claimed.effect))),
            () = self.lease_is_lost(claimed) => {
                tracing::warn!(id = claimed.id, "another process has taken this over; it is left to that one");
                return None;
            }
        };
        // Else it would be done once more. What became of it is decided once: that nothing could be kept for a while is no
        // reason to give a page up that was never tried.
        let now = self.parts.clock.now();
        // Nor may the lease end while the database takes its time. Once it is kept there is nothing to renew.
        let kept = tokio::select! {
            biased;
            kept = self.insist(|| self.keep_result(claimed, &result, now, &goes_on)) => kept,
            never = async { self.lease_is_lost(claimed).await; pending().await } => never,
        };
        kept.unwrap_or_else(|fault| {
            tracing::error!(%fault, id = claimed.id, "the result cannot be kept; the lease ends by itself");
            None
        })
    }

    /// Keeps what came of an effect. A second time changes nothing. Where the database refuses it for good, to carry the effect
    /// out once more would end no better.
    async fn keep_result(
        &self,
        claimed: &Claimed,
        result: &Result<Vec<Report>, Trouble>,
        now: Instant,
        goes_on: impl Fn() -> bool,
    ) -> Result<Option<Claimed>, StoreFault> {
        let store = &self.parts.store;
        let reports = match result {
            Ok(reports) => reports.clone(),
            Err(trouble) => return self.after_trouble(claimed, trouble, now).await.map(|()| None),
        };
        let kept = if claimed.has_others_behind && goes_on() {
            store.done_and_next(claimed, reports, now, LEASE).await
        } else {
            // What came into its queue meanwhile is found by the lane.
            store.done(claimed, reports, now).await.map(|_| None)
        };
        match kept {
            Err(fault) if fault.is_for_good() => store.put_effect_aside(claimed, &fault).await.map(|()| None),
            kept => kept,
        }
    }

    /// Keeps what happened for as long as it takes: only this process knows it. `keep` may have succeeded although it says
    /// that the database failed, and must change nothing then.
    pub(super) async fn insist<T, F>(&self, keep: impl Fn() -> F) -> Result<T, StoreFault>
    where
        F: Future<Output = Result<T, StoreFault>>,
    {
        let (mut wait, mut failed) = (SOON, 0_u64);
        loop {
            match keep().await {
                Err(fault) if fault.may_pass() => {
                    if failed.is_multiple_of(LOGGED_EVERY) {
                        tracing::warn!(%fault, "what happened could not be kept; it is tried again until it is");
                    }
                    failed += 1;
                    // Nor is any other lease renewed meanwhile.
                    self.failed_renewals.fetch_add(1, Ordering::SeqCst);
                    self.wait_before_again(wait).await;
                    wait = (wait * 2).min(RENEW_AGAIN);
                }
                ended => return ended,
            }
        }
    }

    async fn wait_before_again(&self, wait: Duration) {
        // A simulated night does one thing at a time: nothing gets better while it waits.
        #[cfg(test)]
        if crate::store::weather::is_simulated() {
            return;
        }
        self.parts.clock.wait_until(None, wait).await;
    }

    /// A lease that is half over before the work begins may be over, and the work done by somebody else, before that
    /// somebody can be noticed: it is renewed first.
    async fn is_still_ours(&self, claimed: &Claimed) -> bool {
        let now = self.parts.clock.now();
        if claimed.until.since(now) > STOOD_STILL {
            return true;
        }
        let renewed = self.parts.store.extend(claimed, now + LEASE).await;
        renewed.unwrap_or_else(|fault| {
            tracing::error!(%fault, id = claimed.id, "a lease could not be renewed; its effect is taken up later");
            false
        })
    }

    /// Renews the lease while the work goes on; returns only when it has passed to another process.
    async fn lease_is_lost(&self, claimed: &Claimed) {
        let mut wait = RENEW;
        loop {
            self.parts.clock.wait_until(None, wait).await;
            wait = match self.parts.store.extend(claimed, self.parts.clock.now() + LEASE).await {
                Ok(true) => RENEW,
                Ok(false) => return,
                Err(fault) => {
                    if wait == RENEW {
                        tracing::error!(%fault, id = claimed.id, "a lease could not be renewed; it is tried again until it is");
                    }
                    self.failed_renewals.fetch_add(1, Ordering::SeqCst);
                    RENEW_AGAIN
                }
            };
        }
    }

    fn failed_renewals(&self) -> u64 {
        self.failed_renewals.load(Ordering::SeqCst)
    }

    async fn after_trouble(&self, claimed: &Claimed, trouble: &Trouble, now: Instant) -> Result<(), StoreFault> {
        let effect = name_of(&claimed.effect);
        match next(claimed, trouble, now) {
            Next::Again(at) => {
                tracing::info!(effect, why = trouble.told(), attempts = claimed.attempts, "not yet; trying again");
                let place = self.place_of(claimed).await;
                self.parts.store.postpone(claimed, at, place, &trouble.told()).await
            }
            Next::GiveUp => {
                tracing::warn!(effect, why = trouble.told(), attempts = claimed.attempts, "given up");
                self.parts.store.give_up(claimed, given_up(&claimed.effect, trouble), now).await
            }
        }
    }

    /// A card that people must act upon does not wait for an edit that Slack's limits, or trouble, hold back.
    async fn place_of(&self, claimed: &Claimed) -> Place {
        let (Some(id), true) = (claimed.incident, claimed.effect.may_refresh()) else { return Place::Kept };
        let incident = self.parts.store.incident(id).await.unwrap_or_else(|fault| {
            tracing::warn!(%fault, id = claimed.id, "an effect keeps its place, for its incident cannot be read");
            None
        });
        let only_refreshes = incident.is_some_and(|incident| claimed.effect.only_refreshes(&incident));
        if only_refreshes { Place::LetsPass } else { Place::Kept }
    }

    async fn carry_out(&self, claimed: &Claimed) -> Result<Vec<Report>, Trouble> {
        let setting = self.setting(claimed).await?;
        match &claimed.effect {
            Effect::Page { page, contact, way } => self.page(&setting, *page, contact, *way, claimed.attempts).await,
            Effect::Diagnose { diagnostic, service } => Ok(self.diagnose(*diagnostic, service).await),
            Effect::Offer { action, dry_run, to } => Ok(self.offer(action, *dry_run, to).await),
            Effect::Plan { run } => Ok(self.plan(&setting, *run).await),
            Effect::KeepState { run } => Ok(self.keep_state(&setting, *run).await?),
            Effect::Run { run } => self.execute(claimed, &setting, *run).await,
            Effect::Deliver { update, destination, customer, only } => {
                let errand = Errand { update: *update, place: destination, customer: *customer, only };
                self.tell(&setting, &errand, claimed.attempts).await
            }
            Effect::TellRun { run, ended, destination } => {
                self.tell_of_run(&setting, *run, *ended, destination, claimed).await
            }
            chat => Ok(self.parts.slack.carry_out(&self.scene(&setting), chat, claimed.attempts).await?),
        }
    }

    async fn setting(&self, claimed: &Claimed) -> Result<Setting, StoreFault> {
        let store = &self.parts.store;
        let (wants_timeline, wants_open) = wants(&claimed.effect);
        let Some(id) = claimed.incident else {
            let open = if wants_open { store.open_incidents().await? } else { OpenIncidents::default() };
            return Ok(Setting { open, ..Setting::default() });
        };
        Ok(Setting {
            incident: store.incident(id).await?,
            timeline: if wants_timeline { store.timeline(id).await? } else { Vec::new() },
            open: if wants_open { store.open_incidents().await? } else { OpenIncidents::default() },
            progress: match &claimed.effect {
                Effect::ShowCard { card: Card::Run(run) } => store.progress(*run).await?,
                _ => None,
            },
            kept: match &claimed.effect {
                Effect::ShowCard { card: Card::Kept(run, sha256) } => store.kept_file(*run, sha256).await?,
                _ => None,
            },
        })
    }

    pub(super) fn scene<'a>(&'a self, setting: &'a Setting) -> Scene<'a> {
        Scene {
            rules: &self.parts.rules,
            render: &self.parts.render,
            now: self.parts.clock.now(),
            incident: setting.incident.as_ref(),
            timeline: &setting.timeline,
            open: &setting.open,
            progress: setting.progress.as_ref(),
            kept: setting.kept.as_deref(),
            workspace: self.parts.slack.workspace(),
        }
    }
}

/// Whether an effect is drawn from the timeline, and from the other open incidents.
fn wants(effect: &Effect) -> (bool, bool) {
    match effect {
        Effect::ShowCard { card: Card::Notice(_) | Card::Reminder(_) | Card::PostMortem(_) } => (true, false),
        Effect::ReplyWith { sheet: Sheet::Timeline | Sheet::Status, .. } => (true, false),
        Effect::ReplyWith { sheet: Sheet::List, .. } | Effect::Home { .. } => (false, true),
        _ => (false, false),
    }
}

/// It may have been done, and a page may be tried again; the details are in the log.
fn defect(effect: &Effect) -> Trouble {
    let effect = name_of(effect);
    tracing::error!(effect, "carrying an effect out failed by a defect in Vigie; please report it");
    Trouble { kind: Kind::Unknown, why: Words::new("trouble.defect"), detail: None }
}

/// The effect's own word, for the log.
fn name_of(effect: &Effect) -> String {
    let value = serde_json::to_value(effect).unwrap_or_default();
    value.get("effect").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::id::IncidentId;

    fn fill(bulkheads: &mut Bulkheads, queue: &str, places: usize) {
        bulkheads.bulkhead_of(queue).forget_permits(places);
    }

    #[test]
    fn sixteen_roll_outs_that_take_their_time_leave_the_seventeenth_rollback_its_place() {
        let mut bulkheads = Bulkheads::of(Lane::Action);
        fill(&mut bulkheads, &Effect::Run { run: "run_1_1".parse().unwrap() }.queue(Some(IncidentId(1))), 16);
        let (full, left) = bulkheads.left();
        assert!(full.is_empty(), "{full:?}");
        assert_eq!(left, 16, "of what comes next nobody knows where it belongs, and a plan has sixteen places");
        fill(&mut bulkheads, &Effect::Run { run: "run_17_1".parse().unwrap() }.queue(Some(IncidentId(17))), 240);
        assert_eq!(bulkheads.left(), (vec!["run:run_"], 16));
    }

    #[test]
    fn a_destination_that_hangs_fills_its_own_bulkhead() {
        let mut bulkheads = Bulkheads::of(Lane::Comms);
        let deliver = |destination: &str| Effect::Deliver {
            update: "upd_1_1".parse().unwrap(),
            destination: destination.to_owned(),
            customer: true,
            only: Default::default(),
        };
        let (webhook, page) = (deliver("webhook").queue(None), deliver("status page").queue(None));
        fill(&mut bulkheads, &webhook, 16);
        fill(&mut bulkheads, &page, 15);
        assert_eq!(bulkheads.left(), (vec![Lane::Comms.bulkhead(&webhook)], 1));
    }
}
