//! One decision, one transaction: what came in is marked done, the facts are appended, the row is their fold, the
//! effects wait, and the next wake is stored (rule 2). Of the rows that decisions wait for each other at, the incident is
//! locked first, always (rule 11); what came in is locked before it, and nobody waits for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aside::{InHand, WAKE_AGAIN};
use super::db::{Arg, Args, Conn, Row, Write, args};
use super::effects::Effects;
use super::inbox::{Arrived, Target};
use super::meant::{For, meant, named};
use super::{Store, StoreFault, read, sql, write};
use crate::incident::approval::PlannedStep;
use crate::incident::decision::{Decision, Effect, Input, Lane};
use crate::incident::id::{ChannelId, IncidentId};
use crate::incident::people::Actor;
use crate::incident::state::{Incident, Run};
use crate::incident::time::Instant;
use crate::incident::timeline::Entry;
use crate::incident::words::Refusal;

/// So many inputs of one incident or channel share a commit at most. An acknowledgement to Slack may have to wait for
/// them on SQLite. As many places as `FINISH_INPUTS` has.
const SHARE: usize = 8;

/// What became of an input or a wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Decided and committed.
    Done {
        /// The incident it changed, if it did.
        incident: Option<IncidentId>,
    },
    /// The rules said no; the answer waits in the outbox.
    Refused,
    /// It cannot be read, or the database refuses it for good: it was put aside, with the reason in the row.
    PutAside,
}

/// What is decided upon.
#[derive(Debug)]
pub struct Question<'a> {
    /// What came in.
    pub input: &'a Input,
    /// The incident it is for.
    pub incident: Option<&'a Incident>,
    /// The number an incident declared now would get; zero when nothing can be declared.
    pub fresh: IncidentId,
    /// The moment of the decision.
    pub now: Instant,
}

/// Tells the time. It is asked once an incident is kept from other decisions, so that of two decisions upon it the later
/// one has the later moment, however long it waited.
pub trait Now: Fn() -> Instant + Send + Sync + 'static {}

impl<N> Now for N where N: Fn() -> Instant + Send + Sync + 'static {}

/// Gives the rules' answer to a question. Asked again when the transaction has to be repeated.
pub trait Decide: Fn(Question<'_>) -> Result<Decision, Refusal> + Send + Sync + 'static {}

impl<F> Decide for F where F: Fn(Question<'_>) -> Result<Decision, Refusal> + Send + Sync + 'static {}

/// What waits to be decided upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecided {
    /// Something that came in.
    pub has_input: bool,
    /// When the next incident is due to wake.
    pub wake: Option<Instant>,
}

impl Store {
    /// What waits to be decided upon. Whoever looks first does not take the writer's lock for nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn undecided(&self) -> Result<Undecided, StoreFault> {
        let Some(row) = self.db.read_first(&sql::UNDECIDED, args![]).await? else {
            return Ok(Undecided { has_input: false, wake: None });
        };
        let (input, wake) = (row.maybe_int("input")?, row.maybe_int("wake")?);
        Ok(Undecided { has_input: input.is_some(), wake: wake.map(Instant) })
    }

    /// Decides upon the oldest input that waits, and upon a few that wait right behind it for the same target: a flood
    /// from one channel, whose inputs are decided in their order, does not pay for a commit each. What became of each.
    /// One whose decision the database refuses for good is put aside, alone.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then, and the inputs wait on.
    pub async fn take_next(&self, clock: impl Now, decide: impl Decide) -> Result<Vec<Taken>, StoreFault> {
        let (mind, in_hand) = (Arc::new((clock, decide)), InHand::default());
        let take = |most| self.db.write(TakeNext { mind: Arc::clone(&mind), most, in_hand: in_hand.clone() });
        let mut decided = take(SHARE).await;
        if decided.as_ref().is_err_and(StoreFault::is_for_good) {
            // By itself, so that it is known which of them it is.
            decided = take(1).await;
        }
        let decided = match decided {
            Err(fault) if fault.is_for_good() => {
                self.put_input_aside(&in_hand, fault).await?;
                vec![Decided::without_effect(Taken::PutAside)]
            }
            decided => decided?,
        };
        Ok(decided.into_iter().map(|decided| self.announce(decided)).collect())
    }

    /// Wakes the incident that is longest overdue, if one is. One that can never be woken as it stands is put aside for a minute,
    /// so that the others are.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then, and the incident stays due.
    pub async fn wake_next(&self, clock: impl Now, decide: impl Decide) -> Result<Option<Taken>, StoreFault> {
        let (in_hand, now) = (InHand::default(), clock());
        let decided = match self.db.write(WakeNext { clock, decide, in_hand: in_hand.clone() }).await {
            Err(fault) if fault.is_for_good() => {
                self.put_wake_aside(&in_hand, fault, now).await?;
                Some(Decided::without_effect(Taken::PutAside))
            }
            decided => decided?,
        };
        Ok(decided.map(|decided| self.announce(decided)))
    }

    fn announce(&self, decided: Decided) -> Taken {
        self.announce_decision(&decided.lanes);
        decided.taken
    }

    /// When the next incident is due to wake.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_wake(&self) -> Result<Option<Instant>, StoreFault> {
        let row = self.db.read_first(&sql::NEXT_WAKE, args![]).await?;
        Ok(row.map(|row| row.maybe_int("at")).transpose()?.flatten().map(Instant))
    }
}

/// What became of it, and the lanes in which something may be to be carried out now: something new, or what has waited.
struct Decided {
    taken: Taken,
    lanes: BTreeMap<Lane, bool>,
}

impl Decided {
    /// The decision's own effects; and all that waited until this was decided upon, which pages do not.
    fn done(incident: Option<IncidentId>, effects: &[Effect]) -> Self {
        let mut lanes = BTreeMap::new();
        if incident.is_some() {
            lanes.extend([Lane::Action, Lane::Comms, Lane::Chat].map(|lane| (lane, false)));
        }
        lanes.extend(effects.iter().map(|effect| (effect.lane(), true)));
        Self { taken: Taken::Done { incident }, lanes }
    }

    /// The answer goes out by chat, and what waited until this was decided upon may go on.
    fn without_effect(taken: Taken) -> Self {
        Self { taken, lanes: Lane::ALL.map(|lane| (lane, false)).into() }
    }
}

struct TakeNext<N, F> {
    /// The clock, and who decides.
    mind: Arc<(N, F)>,
    most: usize,
    in_hand: InHand,
}

impl<N: Now, F: Decide> Write for TakeNext<N, F> {
    type Out = Vec<Decided>;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
        let Some(row) = conn.first(&sql::NEXT_INPUT, args![]).await? else { return Ok(Vec::new()) };
        let (first, newest) = (Waiting::of(&row)?, row.maybe_int("newest")?);
        self.in_hand.is(first.position);
        let has_company = newest > Some(first.position) && first.may_share() && self.most > 1;
        let behind = if has_company { behind(conn, &first, self.most - 1).await? } else { Vec::new() };
        let mut effects = Effects::default();
        let (mut decided, mut done) = (Vec::new(), Vec::new());
        for waiting in [first].into_iter().chain(behind) {
            let position = waiting.position;
            let one = self.take(conn, waiting, &mut effects).await?;
            if one.taken != Taken::PutAside {
                done.push(position);
            }
            decided.push(one);
        }
        finish(conn, &done).await?;
        effects.insert(conn).await?;
        Ok(decided)
    }
}

impl<N: Now, F: Decide> TakeNext<N, F> {
    async fn take(&self, conn: &mut Conn<'_>, waiting: Waiting, effects: &mut Effects) -> Result<Decided, StoreFault> {
        let (clock, decide) = &*self.mind;
        let Waiting { position, target, input } = waiting;
        let arrived = match input {
            Ok(input) => Arrived { position, target, input },
            Err(fault) => return self.put_aside(conn, position, None, &fault, effects).await,
        };
        match take(conn, clock, &arrived, decide, effects).await {
            // It can never be decided upon; the others must not wait for it.
            Err(fault @ (StoreFault::Unreadable { .. } | StoreFault::Defect { .. })) => {
                self.put_aside(conn, position, Some(&arrived.input), &fault, effects).await
            }
            taken => taken,
        }
    }

    async fn put_aside(
        &self,
        conn: &mut Conn<'_>,
        position: i64,
        input: Option<&Input>,
        fault: &StoreFault,
        effects: &mut Effects,
    ) -> Result<Decided, StoreFault> {
        tracing::error!(%fault, position, "an input was put aside");
        conn.run(&sql::PUT_INPUT_ASIDE, args![position, fault.to_string()]).await?;
        if let Some(input) = input {
            answer(effects, (self.mind.0)(), input, &put_aside())?;
        }
        Ok(Decided::without_effect(Taken::PutAside))
    }
}

/// They have been decided upon: up to [`SHARE`] of them.
async fn finish(conn: &mut Conn<'_>, done: &[i64]) -> Result<(), StoreFault> {
    let Some(first) = done.first() else { return Ok(()) };
    // One statement has one number of places; those to spare name the first again.
    let places: [i64; SHARE] = std::array::from_fn(|place| *done.get(place).unwrap_or(first));
    conn.run(&sql::FINISH_INPUTS, Args::from(places.map(Arg::from))).await?;
    Ok(())
}

/// A row of the inbox that waits.
struct Waiting {
    position: i64,
    target: Target,
    input: Result<Input, StoreFault>,
}

impl Waiting {
    fn of(row: &Row) -> Result<Self, StoreFault> {
        Ok(Self {
            position: row.int("position")?,
            target: Target {
                incident: row.maybe_int("incident")?.map(IncidentId),
                channel: row.maybe_text("channel")?.map(ChannelId),
            },
            input: read("input", row.text("input")?),
        })
    }

    /// Whoever declares an incident keeps its number from everybody else until the commit, so it has one for itself.
    fn may_share(&self) -> bool {
        let has_target = self.target.incident.is_some() || self.target.channel.is_some();
        let declares = matches!(&self.input, Ok(Input::Command { command, .. }) if command.may_declare());
        has_target && !declares
    }
}

/// What waits behind `first` and for nothing else: as far as the targets are the same, nothing else can stand between.
/// Whoever received side by side may have committed in another order than that of the places, so that somebody decides
/// upon a later one already: it is not ours, and what stands behind it does not overtake it.
async fn behind(conn: &mut Conn<'_>, first: &Waiting, most: usize) -> Result<Vec<Waiting>, StoreFault> {
    let channel = first.target.channel.as_ref().map(|channel| channel.0.clone());
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let related = args![first.position, first.target.incident.map(|id| id.0), channel, most];
    let mut behind = Vec::new();
    for row in conn.rows(&sql::INPUTS_BEHIND, related).await? {
        let (next, is_ours) = (Waiting::of(&row)?, row.maybe_int("ours")?.is_some());
        if !is_ours || next.target != first.target || !next.may_share() {
            break;
        }
        behind.push(next);
    }
    Ok(behind)
}

struct WakeNext<N, F> {
    clock: N,
    decide: F,
    in_hand: InHand,
}

impl<N: Now, F: Decide> Write for WakeNext<N, F> {
    type Out = Option<Decided>;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
        let Some(row) = conn.first(&sql::DUE_INCIDENT, args![(self.clock)().0]).await? else { return Ok(None) };
        let id = IncidentId(row.int("id")?);
        self.in_hand.is(id.0);
        let arrived = Arrived { position: 0, target: Target::incident(id), input: Input::Wake };
        let mut effects = Effects::default();
        let decided = take(conn, &self.clock, &arrived, &self.decide, &mut effects).await?;
        effects.insert(conn).await?;
        Ok(Some(decided))
    }
}

async fn take(
    conn: &mut Conn<'_>,
    clock: &impl Now,
    arrived: &Arrived,
    decide: &impl Decide,
    effects: &mut Effects,
) -> Result<Decided, StoreFault> {
    let incident = match &arrived.input {
        Input::Command { command, .. } if !command.needs_incident() => None,
        Input::Command { .. } => match meant(conn, &arrived.target, For::Deciding).await? {
            Ok(incident) => Some(incident),
            Err(absent) => return refuse(effects, clock(), &arrived.input, &absent.refusal()),
        },
        Input::Chat(_) | Input::Report(_) | Input::Wake => named(conn, &arrived.target, For::Deciding).await?,
    };
    let fresh = fresh_number(conn, &arrived.input).await?;
    // The clocks of two processes differ, and a clock is set back: an answer is later than the page it answers.
    let now = incident.as_ref().map_or_else(&clock, |incident| clock().max(incident.touched));
    let question = Question { input: &arrived.input, incident: incident.as_ref(), fresh, now };
    // A defect in the rules ends one decision, not the process.
    let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decide(question)));
    match decided.map_err(|_| StoreFault::Defect { what: "decision" })? {
        Ok(decision) => commit(conn, now, &arrived.input, incident, decision, effects).await,
        Err(refusal) => refuse(effects, now, &arrived.input, &refusal),
    }
}

/// The number that the next incident gets, if this may declare one; kept from others until that is committed.
async fn fresh_number(conn: &mut Conn<'_>, input: &Input) -> Result<IncidentId, StoreFault> {
    if !matches!(input, Input::Command { command, .. } if command.may_declare()) {
        return Ok(IncidentId(0));
    }
    let row = conn.first(&sql::NUMBER_TO_CHANGE, args!["incident"]).await?;
    Ok(IncidentId(row.map(|row| row.int("value")).transpose()?.unwrap_or(0) + 1))
}

async fn commit(
    conn: &mut Conn<'_>,
    now: Instant,
    input: &Input,
    before: Option<Incident>,
    decision: Decision,
    effects: &mut Effects,
) -> Result<Decided, StoreFault> {
    let held = before.as_ref().map(targets).unwrap_or_default();
    let (after, entries) = fold(before, &input.by(), now, &decision)?;
    let Some(after) = after else {
        effects.add(now, None, &decision.effects)?;
        return Ok(Decided::done(None, &decision.effects));
    };
    let holds = targets(&after);
    if let Some(busy) = lock_targets(conn, &held, &holds).await? {
        let refusal = Refusal::new("refusal.target_busy").with("run", busy.run).with("target", busy.target);
        return refuse(effects, now, input, &refusal);
    }
    if !entries.is_empty() {
        save(conn, &after, &entries).await?;
    } else if matches!(input, Input::Wake) {
        move_wake(conn, &after, now).await?;
    }
    effects.add(now, Some(after.id), &decision.effects)?;
    Ok(Decided::done(Some(after.id), &decision.effects))
}

/// The incident after the decision's facts, and their timeline entries.
fn fold(
    before: Option<Incident>,
    by: &Actor,
    now: Instant,
    decision: &Decision,
) -> Result<(Option<Incident>, Vec<Entry>), StoreFault> {
    let mut incident = before;
    let mut entries = Vec::with_capacity(decision.facts.len());
    for fact in &decision.facts {
        let seq = incident.as_ref().map_or(0, |incident| incident.seq) + 1;
        let entry = Entry { seq, at: now, by: by.clone(), fact: fact.clone() };
        match &mut incident {
            Some(incident) => incident.apply(&entry),
            None => {
                let declared = Incident::declared(&entry);
                let why = |fault: crate::incident::state::BadTimeline| fault.to_string();
                incident =
                    Some(declared.map_err(|fault| StoreFault::Unreadable { what: "decision", why: why(fault) })?);
            }
        }
        entries.push(entry);
    }
    Ok((incident, entries))
}

async fn save(conn: &mut Conn<'_>, incident: &Incident, entries: &[Entry]) -> Result<(), StoreFault> {
    if entries.first().is_some_and(|entry| entry.seq == 1) {
        conn.rows(&sql::NEXT_NUMBER, args!["incident"]).await?;
    }
    let row = args![
        incident.id.0,
        incident.status.word(),
        i64::from(incident.severity.rank),
        incident.channel.as_ref().map(|channel| channel.id.0.clone()),
        write("incident", incident)?,
        number(incident.seq),
        incident.wake_at().map(|at| at.0),
        incident.declared.at.0,
    ];
    conn.run(&sql::SAVE_INCIDENT, row).await?;
    for entry in entries {
        let text = write("timeline entry", entry)?;
        let row = args![incident.id.0, number(entry.seq), entry.at.0, entry.fact.kind(), text];
        conn.run(&sql::APPEND_ENTRY, row).await?;
    }
    Ok(())
}

/// The incident was woken, and nothing was to be done: it is woken when it says, and not at once again. One that goes on saying
/// “now” is a defect, and must not keep everybody busy.
async fn move_wake(conn: &mut Conn<'_>, incident: &Incident, now: Instant) -> Result<(), StoreFault> {
    let mut at = incident.wake_at();
    if at.is_some_and(|at| at <= now) {
        tracing::error!(incident = %incident.id, "it is due, and there is nothing to do; please report this defect");
        at = Some(now + WAKE_AGAIN);
    }
    conn.run(&sql::WAKE_MOVED, args![incident.id.0, at.map(|at| at.0)]).await?;
    Ok(())
}

fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// Whoever said it is told so.
pub(super) fn put_aside() -> Refusal {
    Refusal::new("refusal.put_aside")
}

/// The answer to whoever asked; nothing else changes.
fn refuse(effects: &mut Effects, now: Instant, input: &Input, refusal: &Refusal) -> Result<Decided, StoreFault> {
    answer(effects, now, input, refusal)?;
    Ok(Decided::without_effect(Taken::Refused))
}

/// The answer to whoever asked.
pub(super) fn answer(effects: &mut Effects, now: Instant, input: &Input, refusal: &Refusal) -> Result<(), StoreFault> {
    let Input::Command { reply, .. } = input else { return Ok(()) };
    effects.add(now, None, &[Effect::Reply { to: reply.clone(), words: refusal.0.clone() }])
}

/// The targets that the incident's runs hold, each with its run; in order, so that two decisions that lock the same
/// ones never wait for each other in a circle.
fn targets(incident: &Incident) -> BTreeSet<(String, String)> {
    let of = |run: &Run| {
        let locks = run.plan.iter().flat_map(|plan| &plan.steps).flat_map(PlannedStep::locks);
        locks.map(|lock| (lock.clone(), run.id.to_string())).collect::<Vec<_>>()
    };
    incident.runs.values().filter(|run| run.holds_targets()).flat_map(of).collect()
}

/// A target that another run holds.
struct Busy {
    target: String,
    run: String,
}

/// Locks the targets that are held now and lets go of those that no longer are (rule 6). When another run has one
/// of them already, it is returned and nothing is locked.
async fn lock_targets(
    conn: &mut Conn<'_>,
    before: &BTreeSet<(String, String)>,
    after: &BTreeSet<(String, String)>,
) -> Result<Option<Busy>, StoreFault> {
    let mut locked = Vec::new();
    for (target, run) in after.difference(before) {
        let holder = lock_target(conn, target, run).await?;
        if holder.is_none() {
            locked.push((target, run));
        }
        if let Some(holder) = holder.filter(|holder| holder != run) {
            for (target, run) in locked {
                conn.run(&sql::FREE_TARGET, args![target.as_str(), run.as_str()]).await?;
            }
            return Ok(Some(Busy { target: target.clone(), run: holder }));
        }
    }
    for (target, run) in before.difference(after) {
        conn.run(&sql::FREE_TARGET, args![target.as_str(), run.as_str()]).await?;
    }
    Ok(None)
}

/// Locks one target, or tells which run holds it. A holder may let go between the two looks.
async fn lock_target(conn: &mut Conn<'_>, target: &str, run: &str) -> Result<Option<String>, StoreFault> {
    loop {
        if conn.run(&sql::LOCK_TARGET, args![target, run]).await? == 1 {
            return Ok(None);
        }
        if let Some(holder) = conn.first(&sql::TARGET_HOLDER, args![target]).await? {
            return holder.text("run").map(Some);
        }
    }
}
