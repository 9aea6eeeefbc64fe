//! What must be so after every fault, and the figures of it.
//!
//! What Slack was told is taken is in the timeline, once. Whoever had to be paged was, and nobody after the answer. No
//! rollback ran twice. Each incident has one channel, one card and one announcement. Nothing is left half done.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use vigie::clock::Clock;
use vigie::incident::approval::Outcome;
use vigie::incident::id::{PageId, RunId};
use vigie::incident::people::Way;
use vigie::incident::state::{Incident, PageOutcome, Phase, Run, replay};
use vigie::incident::time::{Instant, Millis};
use vigie::incident::timeline::{Entry, Fact, PageWhy};
use vigie::practice::phones::{Delivery, DeliveryKind};

use super::people::{People, Said, Trace};
use super::town::Town;
use super::{LEASE, LOOK, pass};
use crate::world::INCIDENTS;

/// After the last command a lease has its end, and another try or two. Then, and as long as cards wait for Slack's pace
/// (fifty edits a minute), fewer wait within this time than ever before.
const FEWER_WITHIN: Duration = LEASE.saturating_add(Duration::from_secs(75));

/// What a fault may cost.
pub struct Allowed {
    /// Nothing is later than this.
    pub late: Duration,
    /// A page that was handed over before the answer arrives no later than this after it.
    pub after_answer: Duration,
    /// A step that was done may be asked for once more: by a process that was frozen between its look at its fence and the
    /// request. Who is asked has to refuse it.
    pub asked_again: bool,
}

/// What was counted.
#[derive(Default)]
pub struct Figures {
    incidents: usize,
    pages: usize,
    runs: usize,
    asked_again: usize,
    lines: usize,
    lost: usize,
    doubled: usize,
    unknown: usize,
    worst_late: Millis,
    /// Every sentence is a promise that was broken.
    broken: String,
}

impl Figures {
    fn breaks(&mut self, sentence: String) {
        writeln!(self.broken, "  {sentence}").expect("a String takes text");
    }

    fn loses(&mut self, sentence: String) {
        self.lost += 1;
        self.breaks(sentence);
    }

    fn late(&mut self, due: Instant, came: Instant) {
        self.worst_late = self.worst_late.max(came.since(due));
    }
}

/// Waits until nothing is left to do, looks at everything, prints the figures and demands that every promise was kept.
pub async fn check(town: &Town, people: &People<'_>, kind: &str, database: &str, rounds: u32, allowed: &Allowed) {
    people.end_the_unexpected().await;
    quiet(town).await;
    let mut figures = Figures::default();
    let mut incidents = Vec::new();
    for incident in town.store.recent_incidents(100_000).await.expect("the store answers") {
        let timeline = town.store.timeline(incident.id).await.expect("the store answers");
        incidents.push((incident, timeline));
    }
    let messages = Messages::of(town);
    figures.incidents = incidents.len();
    for (incident, timeline) in &incidents {
        is_one(&mut figures, town, incident, &messages);
        tells_its_state(&mut figures, incident, timeline);
        climbed_in_time(&mut figures, timeline);
        paged(&mut figures, town, incident, &messages, allowed);
    }
    ran_once(&mut figures, town, &incidents);
    if figures.asked_again > 0 && !allowed.asked_again {
        figures.breaks(format!("a step that was done was asked for again {} times", figures.asked_again));
    }
    kept_its_word(&mut figures, &people.said(), &incidents);
    figures.doubled += messages.doubled();
    if town.store.put_aside().await.expect("the store answers") > 0 {
        figures.breaks("something was put aside as unreadable".to_owned());
    }
    for violation in town.ws().violations() {
        // Whoever is dead or frozen acknowledges nothing, and Slack gives up.
        if !["late_ack", "undelivered_event"].contains(&violation.rule.as_str()) {
            figures.breaks(format!("Slack would have refused: {violation:?}"));
        }
    }
    let late = u128::try_from(figures.worst_late.0).expect("a length is not negative");
    if late > allowed.late.as_millis() {
        figures.breaks(format!("something was {late} ms late; {:?} is allowed", allowed.late));
    }
    let Figures { incidents, pages, runs, asked_again, lines, lost, doubled, unknown, worst_late, broken } = figures;
    println!(
        "faults: kind={kind} database={database} rounds={rounds} incidents={incidents} pages={pages} runs={runs} \
         lines={lines} lost={lost} doubled={doubled} asked_again={asked_again} unknown={unknown} worst_late_ms={}",
        worst_late.0
    );
    assert!(incidents > 0 && pages > 0 && lines > 0, "nothing was tried");
    assert!(broken.is_empty(), "promises that were broken:\n{broken}");
}

/// Nothing waits, nothing is under way, and Slack has nothing more to say but what it says again much later.
async fn quiet(town: &Town) {
    let (mut fewest, mut quiet_looks) = (i64::MAX, 0);
    while quiet_looks < 5 {
        let fewer = tokio::time::timeout(FEWER_WITHIN, async {
            loop {
                pass(LOOK).await;
                let Ok((inputs, effects)) = town.store.backlog().await else { continue };
                let at_rest = town.store.is_at_rest(Clock::system().now()).await.unwrap_or_default();
                let heard = town.ws().waits_only_until().is_some() || town.ws().envelopes_waiting() == 0;
                // What was done last may have brought an event.
                quiet_looks = if inputs + effects == 0 && at_rest && heard { quiet_looks + 1 } else { 0 };
                if quiet_looks == 5 || inputs + effects < fewest {
                    break inputs + effects;
                }
            }
        });
        let Ok(left) = fewer.await else {
            panic!("it does not come to rest; in the outbox: {:#?}", town.store.waiting().await);
        };
        fewest = left;
    }
}

/// The bot's messages by their name: kind, incident, card or key.
struct Messages(BTreeMap<String, Vec<(String, Instant)>>);

impl Messages {
    fn of(town: &Town) -> Self {
        let mut named: BTreeMap<String, Vec<(String, Instant)>> = BTreeMap::new();
        for channel in town.ws().channels() {
            for message in town.ws().messages(&channel.id) {
                let name = &message["metadata"]["event_payload"];
                if name.is_object() {
                    named.entry(name_of(name)).or_default().push((channel.id.clone(), stamp(&message)));
                }
            }
        }
        Self(named)
    }

    fn card(&self, incident: &Incident, card: &str) -> &[(String, Instant)] {
        self.0.get(&format!("{} {card}", incident.id)).map_or(&[], Vec::as_slice)
    }

    /// How many are there more than once, counted without their first.
    fn doubled(&self) -> usize {
        self.0.values().map(|copies| copies.len() - 1).sum()
    }
}

fn name_of(payload: &Value) -> String {
    let field = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
    if payload["key"].is_string() { field("key") } else { format!("{} {}", field("incident"), field("card")) }
}

fn stamp(message: &Value) -> Instant {
    let ts: f64 = message["ts"].as_str().and_then(|ts| ts.parse().ok()).expect("a message has a ts");
    #[expect(clippy::cast_possible_truncation, reason = "a moment of this century")]
    Instant((ts * 1000.0) as i64)
}

/// One channel, one pinned card, one announcement.
fn is_one(figures: &mut Figures, town: &Town, incident: &Incident, messages: &Messages) {
    let start = format!("inc-{}-", incident.id.0);
    let channels: Vec<_> = town.ws().channels().into_iter().filter(|one| one.name.starts_with(&start)).collect();
    let known = incident.channel.as_ref().map(|channel| channel.id.0.as_str());
    let [channel] = channels.as_slice() else {
        return figures.breaks(format!("{} has {} channels", incident.id, channels.len()));
    };
    if known != Some(&channel.id) {
        figures.breaks(format!("{} does not know its channel", incident.id));
    }
    let cards = messages.card(incident, "incident");
    if cards.len() != 1 || cards.iter().any(|(place, _)| *place != channel.id) {
        figures.breaks(format!("{} has these cards: {cards:?}", incident.id));
    }
    let announced = messages.card(incident, "announcement");
    if announced.len() != 1 || announced.iter().any(|(place, _)| place != INCIDENTS) {
        figures.breaks(format!("{} has these announcements: {announced:?}", incident.id));
    }
    if channel.pins.len() != 1 {
        figures.breaks(format!("{} has {} pinned messages", incident.id, channel.pins.len()));
    }
}

/// The row is the fold of the timeline, whatever interrupted its writer.
fn tells_its_state(figures: &mut Figures, incident: &Incident, timeline: &[Entry]) {
    match replay(timeline) {
        Ok(replayed) if replayed == *incident => {}
        Ok(_) => figures.breaks(format!("{}: the timeline does not replay to the row", incident.id)),
        Err(bad) => figures.breaks(format!("{}: {bad}", incident.id)),
    }
}

/// Each level was due when the one before had been silent for long enough; nobody climbed after the answer.
fn climbed_in_time(figures: &mut Figures, timeline: &[Entry]) {
    let Some((first, rest)) = timeline.split_first() else { return };
    let Ok(mut incident) = Incident::declared(first) else { return };
    for entry in rest {
        match &entry.fact {
            Fact::Escalated { because_silent: true, .. } => {
                if let Some(due) = incident.ladder.next_at {
                    figures.late(due, entry.at);
                }
            }
            Fact::Paged { page, why: PageWhy::Level { .. } | PageWhy::Fallback, .. }
                if incident.acknowledged.is_some() =>
            {
                figures.breaks(format!("{page} was begun after somebody had answered"));
            }
            _ => {}
        }
        incident.apply(entry);
    }
}

/// Every page that was due arrived, or was no longer wanted, or the person was reached in another way.
fn paged(figures: &mut Figures, town: &Town, incident: &Incident, messages: &Messages, allowed: &Allowed) {
    let deliveries = town.setup.phones.deliveries();
    let mut told: BTreeMap<(String, Way), Vec<PageId>> = BTreeMap::new();
    for (page, state) in &incident.pages {
        figures.pages += 1;
        match &state.outcome {
            PageOutcome::Delivered { .. } => {
                told.entry((state.contact.key.clone(), state.way)).or_default().push(*page);
            }
            PageOutcome::Failed { why } if why.key == "trouble.answered_before" => {}
            PageOutcome::Failed { why } => {
                let same = incident.pages.values().filter(|other| other.contact.key == state.contact.key);
                if !same.clone().any(|other| matches!(other.outcome, PageOutcome::Delivered { .. })) {
                    figures.loses(format!("{page} failed ({why}), and {} was reached by nothing", state.contact.key));
                }
            }
            PageOutcome::Sending => figures.loses(format!("{page} is on its way for ever")),
        }
    }
    for ((contact, way), pages) in told {
        let arrived = arrivals(incident, way, &pages, messages, &deliveries);
        if arrived.len() < pages.len() {
            let few = format!("{contact} got {} of {} pages by {way} in {}", arrived.len(), pages.len(), incident.id);
            figures.loses(few);
        }
        // Slack's copies are counted with its other messages.
        figures.doubled += if way == Way::Slack { 0 } else { arrived.len().saturating_sub(pages.len()) };
        in_time(figures, incident, &pages, &arrived, allowed);
    }
}

/// When the pages of one person by one way arrived, oldest first.
fn arrivals(
    incident: &Incident,
    way: Way,
    pages: &[PageId],
    messages: &Messages,
    deliveries: &[Delivery],
) -> Vec<Instant> {
    let Some(contact) = pages.first().and_then(|page| incident.pages.get(page)).map(|page| &page.contact) else {
        return Vec::new();
    };
    let by = |kind: DeliveryKind, to: Option<&String>| {
        let to = to.map(|to| to.replace(' ', "")).unwrap_or_default();
        let of_it = move |one: &&Delivery| one.kind == kind && one.to == to && one.body.contains(&incident.title);
        deliveries.iter().filter(of_it).map(|one| Instant(one.at_ms)).collect::<Vec<_>>()
    };
    match way {
        Way::Slack => {
            let copies = pages.iter().flat_map(|page| messages.card(incident, &page.to_string()));
            let mut arrived: Vec<Instant> = copies.map(|(_, at)| *at).collect();
            arrived.sort();
            arrived
        }
        Way::Email => by(DeliveryKind::Email, contact.email.as_ref()),
        Way::Sms => by(DeliveryKind::Sms, contact.phone.as_ref()),
        Way::Voice => by(DeliveryKind::Call, contact.phone.as_ref()),
        other => panic!("nobody of these people is paged by {other}"),
    }
}

fn in_time(figures: &mut Figures, incident: &Incident, pages: &[PageId], arrived: &[Instant], allowed: &Allowed) {
    let begun = pages.iter().filter_map(|page| incident.pages.get(page)).map(|page| page.mark.at);
    for (begun, came) in begun.zip(arrived) {
        figures.late(begun, *came);
    }
    let Some(answered) = incident.acknowledged.as_ref().map(|mark| mark.at) else { return };
    for came in arrived.iter().filter(|came| **came > answered) {
        let after = u128::try_from(came.since(answered).0).expect("a length is not negative");
        if after > allowed.after_answer.as_millis() {
            figures.breaks(format!("{}: a page arrived {after} ms after somebody had answered", incident.id));
        }
    }
}

/// Each approved run moved the switch once at most; one that is said to be done did.
fn ran_once(figures: &mut Figures, town: &Town, incidents: &[(Incident, Vec<Entry>)]) {
    let orders = town.setup.shop.orders();
    let moves = |run: &RunId| {
        let begins = format!("{run}-");
        let of_it = |key: &String| key.starts_with(&begins);
        orders.iter().filter(|order| order.moved && order.key.as_ref().is_some_and(of_it)).count()
    };
    let asked_again = |run: &RunId| {
        let begins = format!("{run}-");
        let of_it = |key: &String| key.starts_with(&begins);
        let asked = orders.iter().filter(|order| order.key.as_ref().is_some_and(of_it));
        asked.skip_while(|order| !order.moved).skip(1).count()
    };
    let is_done = |run: &Run| run.phase == Phase::Finished { outcome: Outcome::Done };
    for (incident, run) in
        incidents.iter().flat_map(|(incident, _)| incident.runs.values().map(move |run| (incident, run)))
    {
        figures.runs += usize::from(run.fence.is_some());
        figures.asked_again += asked_again(&run.id);
        match (&run.phase, moves(&run.id)) {
            (Phase::Finished { outcome: Outcome::Done }, 1) => {}
            // Whoever saw no answer asked again, and it was done already.
            (Phase::PlanFailed { why }, 0)
                if why.key == "plan_fault.nothing_to_go_back_to" && incident.runs.values().any(is_done) => {}
            (Phase::Finished { outcome: Outcome::Unknown { .. } }, 0 | 1) => figures.unknown += 1,
            (Phase::Finished { outcome: Outcome::Done }, moved) => {
                figures.breaks(format!("{} is said to be done and moved the switch {moved} times", run.id));
            }
            (phase, moved) => figures.breaks(format!("{} moved the switch {moved} times and is {phase:?}", run.id)),
        }
    }
    let of_a_run = orders.iter().filter(|order| order.moved && order.key.is_some()).count();
    let runs = incidents.iter().map(|(incident, _)| incident.runs.len()).sum::<usize>();
    if of_a_run > runs {
        figures.breaks(format!("{runs} runs moved the switch {of_a_run} times"));
    }
}

/// What was promised is there once; what was not promised is there once at most.
fn kept_its_word(figures: &mut Figures, said: &[Said], incidents: &[(Incident, Vec<Entry>)]) {
    let mut found: BTreeMap<String, Vec<(Trace, Instant)>> = BTreeMap::new();
    for entry in incidents.iter().flat_map(|(_, timeline)| timeline) {
        let trace = match &entry.fact {
            Fact::Declared { title, .. } => Some((title.clone(), Trace::Declared)),
            Fact::NoteAdded { text } => Some((text.clone(), Trace::Note)),
            Fact::UpdatePosted { internal: Some(text), .. } => Some((text.clone(), Trace::Update)),
            _ => None,
        };
        if let Some((text, trace)) = trace {
            found.entry(text).or_default().push((trace, entry.at));
        }
    }
    for Said { trace, text, promised } in said {
        figures.lines += usize::from(promised.is_some());
        let traces = found.get(text).map_or(&[][..], Vec::as_slice);
        match (promised, traces) {
            (Some(promised), [(left, at)]) if left == trace => figures.late(*promised, *at),
            (None, []) => {}
            (None, [(left, _)]) if left == trace => {}
            (Some(_), []) => figures.loses(format!("“{text}” was taken and is nowhere")),
            (_, traces) => figures.breaks(format!("“{text}” is there as {traces:?}")),
        }
    }
}
