//! What must hold after every run.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Ended, World};
use crate::engine::LEASE;
use crate::incident::approval::PlannedStep;
use crate::incident::id::{IncidentId, RunId, UserId};
use crate::incident::people::Actor;
use crate::incident::state::{Incident, PageOutcome, Phase, replay};
use crate::incident::time::{Instant, Millis};
use crate::incident::timeline::{Entry, Fact};

/// Beyond what a run's faults explain, a page may be this late.
const BOUND: Millis = Millis::seconds(2);
/// By so much the clocks of two processes may differ, and what one of them is to do may come so much later.
const APART: Millis = Millis(super::world::MOST_AHEAD.end);

/// Every promise that was broken.
pub(super) async fn broken(world: &World) -> Vec<String> {
    let mut faults = Vec::new();
    let mut timelines = Vec::new();
    let incidents = incidents(world).await;
    for incident in &incidents {
        let timeline = world.store.timeline(incident.id).await.unwrap_or_else(|fault| panic!("{fault}"));
        match replay(&timeline) {
            Ok(again) if again == *incident => {}
            Ok(_) => faults.push(format!("{}: the timeline does not replay to the row", incident.id)),
            Err(fault) => faults.push(format!("{}: {fault}", incident.id)),
        }
        pages(world, incident, &mut faults);
        runs(incident, &timeline, &mut faults);
        reminders(incident, &timeline, &mut faults);
        in_time(world, &timeline, &mut faults);
        surroundings(world, incident, &mut faults);
        timelines.push((incident.id, timeline));
    }
    acknowledged(world, &timelines, &mut faults);
    acted_upon(world, &incidents, &mut faults);
    left_a_trace(world, &timelines, &mut faults);
    targets(world, &incidents, &mut faults).await;
    messages(world, &mut faults);
    executions(world, &timelines, &mut faults);
    rest(world, &mut faults).await;
    faults
}

pub(super) async fn figures(world: &World) -> Ended {
    let mut ended = world.ended.clone();
    for incident in incidents(world).await {
        ended.incidents += 1;
        ended.pages += incident.pages.len() as u64;
        ended.runs += incident.runs.values().filter(|run| run.fence.is_some()).count() as u64;
        let timeline = world.store.timeline(incident.id).await.unwrap_or_default();
        let unknown = |entry: &&Entry| matches!(&entry.fact, Fact::RunFinished { outcome, .. } if is_unknown(outcome));
        ended.unknown += timeline.iter().filter(unknown).count() as u64;
        let count = |is: fn(&Fact) -> bool| timeline.iter().filter(|entry| is(&entry.fact)).count() as u64;
        ended.resumed += count(|fact| matches!(fact, Fact::RunResumed { .. }));
        ended.skipped += count(|fact| matches!(fact, Fact::StepSkipped { .. }));
        let back = incident.runs.values().filter(|run| run.request.undo_of.is_some() && run.fence.is_some());
        ended.undone += back.count() as u64;
    }
    ended.rings += world.outside.state().rings.len() as u64;
    ended
}

fn is_unknown(outcome: &crate::incident::approval::Outcome) -> bool {
    matches!(outcome, crate::incident::approval::Outcome::Unknown { .. })
}

async fn incidents(world: &World) -> Vec<Incident> {
    let mut all = world.store.recent_incidents(100).await.unwrap_or_else(|fault| panic!("{fault}"));
    all.reverse();
    all
}

/// Every page was on its way in time, unless nobody was to be woken any more, and none is taken for delivered that did not
/// arrive.
fn pages(world: &World, incident: &Incident, faults: &mut Vec<String>) {
    let state = world.outside.state();
    for (id, page) in &incident.pages {
        if page.outcome == PageOutcome::Sending {
            faults.push(format!("{id} is still on its way"));
        }
        if matches!(page.outcome, PageOutcome::Delivered { .. }) && !state.has_arrived(*id) {
            faults.push(format!("{id} ({}) is taken for delivered, and never arrived", page.way));
        }
        match state.rings.iter().find(|ring| ring.page == *id) {
            Some(ring) => {
                let (late, explained) = (ring.at.since(page.mark.at), explained(world, page.mark.at, ring.at));
                if late.0 > explained.0 + BOUND.0 {
                    faults.push(format!("{id} was {} ms late; {} ms are explained", late.0, explained.0));
                }
            }
            None if was_answered(world, incident, page.mark.at) => {}
            None => faults.push(format!("{id} ({}) was never sent: {:?}", page.way, page.outcome)),
        }
    }
}

/// Somebody answered, or all was over, before the page had to be on its way.
fn was_answered(world: &World, incident: &Incident, since: Instant) -> bool {
    let ends = [
        incident.acknowledged.as_ref(),
        incident.mitigated.as_ref().map(|(mark, _)| mark),
        incident.resolution.as_ref().map(|resolution| &resolution.mark),
        incident.cancelled.as_ref().map(|(mark, _)| mark),
    ];
    let mut after = ends.into_iter().flatten().map(|mark| mark.at).filter(|at| *at >= since);
    after.any(|at| at.since(since).0 <= explained(world, since, at).0 + BOUND.0)
}

/// How late something may be: nobody was there, the database failed, or whoever had taken it was lost with its lease, which ends by
/// a clock that may be ahead.
fn explained(world: &World, from: Instant, until: Instant) -> Millis {
    let overlap = |(begin, end): &(Instant, Instant)| (*end).min(until).since((*begin).max(from)).0;
    let unattended: i64 = world.unattended.iter().map(overlap).sum();
    let within = |at: &&Instant| **at >= from - LEASE && **at <= until;
    let lost = world.losses.iter().filter(within).count() as i64;
    let failed = world.failures.iter().filter(within).count() as i64;
    Millis(unattended + lost * (LEASE.0 + APART.0) + failed * 1_000)
}

/// Nothing runs without an approval, after a rejection or an expiry, or twice.
fn runs(incident: &Incident, timeline: &[Entry], faults: &mut Vec<String>) {
    let mut seen: BTreeMap<RunId, Seen> = BTreeMap::new();
    for entry in timeline {
        let Some((run, step)) = moved(&entry.fact) else { continue };
        let seen = seen.entry(run).or_default();
        match step {
            Moved::Approved => seen.approved += 1,
            Moved::Ended => seen.ended += 1,
            // Somebody let it go on: what was not done is begun again, and what was done is not.
            Moved::Resumed(step) => {
                seen.ended = 0;
                seen.done = seen.done.min(step);
            }
            Moved::Started(fence) => {
                if seen.approved != 1 || seen.ended > 0 {
                    faults.push(format!("{run} was begun without standing approval"));
                }
                if fence <= seen.fence {
                    faults.push(format!("{run} was begun again with fence {fence} after {}", seen.fence));
                }
                seen.fence = fence;
            }
            Moved::StepDone => {
                seen.done += 1;
                if seen.ended > 0 || seen.done > 1 {
                    faults.push(format!("{run} finished a step twice or after its end"));
                }
            }
        }
    }
    for (run, state) in &incident.runs {
        if state.approved_plan().is_some() {
            faults.push(format!("{run} was approved and never ended: {:?}", state.phase));
        }
    }
}

#[derive(Default)]
struct Seen {
    approved: u32,
    ended: u32,
    fence: i64,
    done: u32,
}

enum Moved {
    Approved,
    Started(i64),
    StepDone,
    Ended,
    Resumed(u32),
}

fn moved(fact: &Fact) -> Option<(RunId, Moved)> {
    Some(match fact {
        Fact::Approved { run, .. } => (*run, Moved::Approved),
        Fact::RunStarted { run, fence, .. } => (*run, Moved::Started(*fence)),
        Fact::StepFinished { run, .. } => (*run, Moved::StepDone),
        Fact::RunResumed { run, step, .. } => (*run, Moved::Resumed(u32::try_from(*step).unwrap_or(u32::MAX))),
        Fact::PlanRejected { run, .. } | Fact::PlanExpired { run, .. } | Fact::RunFinished { run, .. } => {
            (*run, Moved::Ended)
        }
        _ => return None,
    })
}

/// No reminder is doubled: each counts one more than the last, and never two at one instant.
fn reminders(incident: &Incident, timeline: &[Entry], faults: &mut Vec<String>) {
    let reminded: Vec<Instant> = timeline
        .iter()
        .filter(|entry| matches!(entry.fact, Fact::UpdateReminded { .. }))
        .map(|entry| entry.at)
        .collect();
    if reminded.windows(2).any(|pair| pair[1].since(pair[0]) < Millis::minutes(1)) {
        faults.push(format!("{}: reminders within a minute of each other: {reminded:?}", incident.id));
    }
}

/// What time was to bring came in time: the next level, a reminder, the end of a plan, a run whose announcement is late.
/// Between two entries, and after the last, nothing may have been due for longer than the faults explain.
fn in_time(world: &World, timeline: &[Entry], faults: &mut Vec<String>) {
    for number in 1..=timeline.len() {
        let Ok(incident) = replay(timeline.get(..number).unwrap_or_default()) else { return };
        let until = timeline.get(number).map_or(world.clock.now(), |entry| entry.at);
        for (what, due) in due(&incident) {
            // What was overdue when this entry made it due is due with it.
            let due = due.max(incident.touched);
            let late = until.since(due);
            let allowed = explained(world, due, until).0 + BOUND.0 + APART.0;
            if late.0 > allowed {
                let (id, seq) = (incident.id, incident.seq);
                faults.push(format!(
                    "{id}: {what} did not come for {} ms after entry {seq}; {allowed} ms are allowed",
                    late.0
                ));
            }
        }
    }
}

/// What time is to bring an incident, and when: not by what it tells the store, which may be wrong.
fn due(incident: &Incident) -> Vec<(&'static str, Instant)> {
    let climb = incident.ladder.next_at.filter(|_| incident.status.is_open());
    let mut due: Vec<_> = climb.map(|at| ("the next level", at)).into_iter().collect();
    due.extend(incident.reminder_at().map(|at| ("a reminder", at)));
    for run in incident.runs.values() {
        due.extend(match &run.phase {
            Phase::Pending => run.expires_at.map(|at| ("the end of a plan", at)),
            Phase::Announcing { run_by, .. } => Some(("the release of a run", *run_by)),
            _ => None,
        });
    }
    due
}

/// One channel, one card in it, one announcement.
fn surroundings(world: &World, incident: &Incident, faults: &mut Vec<String>) {
    let state = world.outside.state();
    let channels = state.channels.get(&incident.id).map_or(0, Vec::len);
    let named = |card: &str| {
        let name = format!("{}:{card}", incident.id);
        state.messages.iter().filter(|((_, key), _)| *key == name).map(|(_, count)| *count).sum::<u32>()
    };
    let (cards, announcements) = (named("incident"), named("announcement"));
    if (channels, cards, announcements) != (1, 1, 1) {
        let id = incident.id;
        faults.push(format!("{id}: {channels} channels, {cards} cards, {announcements} announcements"));
    }
}

/// Whatever somebody was told is received was acted upon, once.
fn acknowledged(world: &World, timelines: &[(IncidentId, Vec<Entry>)], faults: &mut Vec<String>) {
    for (said, existed) in &world.acknowledged {
        let Some(note) = said.note() else { continue };
        let is_it = |entry: &&Entry| matches!(&entry.fact, Fact::NoteAdded { text } if text == note);
        let times = timelines.iter().flat_map(|(_, timeline)| timeline).filter(is_it).count();
        // A note on an incident that was declared only later was refused, and whoever wrote it was told.
        if times > 1 || (times == 0 && *existed) {
            faults.push(format!("“{}” stands {times} times in the timeline", said.line));
        }
    }
}

/// Every declaration that somebody was told is received is an incident, and what was said of one shows in it.
fn acted_upon(world: &World, incidents: &[Incident], faults: &mut Vec<String>) {
    let starts = world.acknowledged.iter().filter(|(said, _)| said.line.starts_with("start "));
    let starts: BTreeSet<&str> = starts.map(|(said, _)| said.source.as_str()).collect();
    if starts.len() != incidents.len() {
        faults.push(format!(
            "{} declarations were acknowledged, and there are {} incidents",
            starts.len(),
            incidents.len()
        ));
    }
    let answered = world.outside.state().answered.clone();
    for (said, _) in world.acknowledged.iter().filter(|(_, existed)| *existed) {
        let wanted = said.input().0.incident;
        let Some(incident) = incidents.iter().find(|incident| Some(incident.id) == wanted) else { continue };
        // What is said of one that has ended is refused.
        let has_ended = !incident.status.is_open();
        let has_begun = incident.runs.values().any(|run| run.fence.is_some());
        let shows = match said.line.split(' ').next() {
            Some("ack") => incident.acknowledged.is_some() || has_ended,
            // While a run is under way, or nobody knows how it ended, whoever says it is told that it has to wait.
            Some("resolve" | "cancel") => has_ended || (has_begun && answered.contains(&said.source)),
            Some("severity") => said.line.contains(&format!(" {} ", incident.severity.key)) || has_ended,
            _ => true,
        };
        if !shows {
            faults.push(format!("“{}” was acknowledged, and {} does not show it", said.line, incident.id));
        }
    }
}

/// What people decide, ask for and tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trace {
    Plan,
    Approval,
    Rejection,
    Retry,
    Skip,
    Update,
    Page,
}

impl Trace {
    fn of_line(line: &str) -> Option<Self> {
        Some(match line.split(' ').next()? {
            "rollback" | "undo" => Trace::Plan,
            "approve" => Trace::Approval,
            "reject" => Trace::Rejection,
            "retry" => Trace::Retry,
            "skip" => Trace::Skip,
            "update" => Trace::Update,
            "page" => Trace::Page,
            _ => return None,
        })
    }

    /// One such fact for each command that did something.
    fn of_fact(fact: &Fact) -> Option<Self> {
        Some(match fact {
            Fact::PlanAsked { .. } => Trace::Plan,
            Fact::ApprovalGiven { .. } => Trace::Approval,
            Fact::PlanRejected { .. } => Trace::Rejection,
            Fact::RunResumed { .. } => Trace::Retry,
            Fact::StepSkipped { .. } => Trace::Skip,
            Fact::UpdatePosted { .. } => Trace::Update,
            Fact::Paged { .. } => Trace::Page,
            _ => return None,
        })
    }
}

/// Whatever somebody was told is received has its fact, by them, or they were answered why not.
fn left_a_trace(world: &World, timelines: &[(IncidentId, Vec<Entry>)], faults: &mut Vec<String>) {
    let answered = world.outside.state().answered.clone();
    let mut said: BTreeMap<(Option<IncidentId>, &str, Trace), BTreeSet<&str>> = BTreeMap::new();
    for (one, _) in &world.acknowledged {
        if let Some(trace) = Trace::of_line(&one.line).filter(|_| !answered.contains(&one.source)) {
            said.entry((one.input().0.incident, one.who, trace)).or_default().insert(&one.source);
        }
    }
    for ((incident, who, trace), sources) in said {
        let timeline = timelines.iter().find(|(id, _)| Some(*id) == incident).map(|(_, timeline)| timeline);
        let by = Actor::Person(UserId::from(who));
        let theirs = timeline.into_iter().flatten().filter(|entry| entry.by == by);
        // Somebody is paged in several ways by one command, and skipping goes on with the run by itself.
        let moments: BTreeSet<Instant> =
            theirs.filter(|entry| Trace::of_fact(&entry.fact) == Some(trace)).map(|entry| entry.at).collect();
        if moments.len() < sources.len() {
            let (wanted, found) = (sources.len(), moments.len());
            faults.push(format!("{incident:?}: {wanted} × {trace:?} by {who} was acknowledged; {found} show"));
        }
    }
}

/// The targets of each run that holds them are held for it, and no others.
async fn targets(world: &World, incidents: &[Incident], faults: &mut Vec<String>) {
    let runs = incidents.iter().flat_map(|incident| incident.runs.values()).filter(|run| run.holds_targets());
    let locks = runs.flat_map(|run| {
        let locks = run.plan.iter().flat_map(|plan| &plan.steps).flat_map(PlannedStep::locks);
        locks.map(|target| (target.clone(), run.id.to_string()))
    });
    let due: BTreeSet<(String, String)> = locks.collect();
    let held: BTreeSet<(String, String)> =
        world.store.held_targets().await.unwrap_or_else(|fault| panic!("{fault}")).into_iter().collect();
    for (target, run) in held.difference(&due) {
        faults.push(format!("{target} is still held for {run}"));
    }
    for (target, run) in due.difference(&held) {
        faults.push(format!("{target} is not held for {run}"));
    }
}

/// Nothing was posted twice.
fn messages(world: &World, faults: &mut Vec<String>) {
    for ((place, name), count) in &world.outside.state().messages {
        if *count > 1 {
            faults.push(format!("{name} stands {count} times in {place}"));
        }
    }
}

/// The shop did each step once, and once more at most for each time that somebody let its run go on. What it refuses it does
/// not do, so that may be asked for again.
fn executions(world: &World, timelines: &[(IncidentId, Vec<Entry>)], faults: &mut Vec<String>) {
    let entries = timelines.iter().flat_map(|(_, timeline)| timeline);
    let mut allowed: BTreeMap<String, u32> = BTreeMap::new();
    for entry in entries {
        if let Fact::RunResumed { run, .. } = &entry.fact {
            *allowed.entry(run.to_string()).or_default() += 1;
        }
    }
    let mut asked: BTreeMap<String, u32> = BTreeMap::new();
    world.shop.with(|shop| {
        let key = |headers: &axum::http::HeaderMap| {
            headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or("no key").to_owned()
        };
        for (headers, _) in &shop.sets {
            *asked.entry(key(headers)).or_default() += 1;
        }
        for headers in &shop.refused {
            *asked.entry(key(headers)).or_default() -= 1;
        }
    });
    let most = |key: &str| 1 + allowed.get(key.split("-step-").next().unwrap_or(key)).copied().unwrap_or_default();
    for (key, times) in asked.iter().filter(|(key, times)| **times > most(key)) {
        faults.push(format!("{key} was done {times} times"));
    }
}

/// Nothing is left to do, and nothing is held.
async fn rest(world: &World, faults: &mut Vec<String>) {
    let waiting = world.store.waiting().await.unwrap_or_else(|fault| panic!("{fault}"));
    if !waiting.is_empty() {
        faults.push(format!("still waiting: {waiting:?}"));
    }
    let (inputs, _) = world.store.backlog().await.unwrap_or_else(|fault| panic!("{fault}"));
    if inputs > 0 {
        faults.push(format!("{inputs} inputs were never decided upon"));
    }
    let aside = world.store.put_aside().await.unwrap_or_else(|fault| panic!("{fault}"));
    if aside > 0 {
        faults.push(format!("{aside} were put aside"));
    }
}
