//! How an incident stands: the fold of its timeline.
//!
//! [`Incident::apply`] is the one mutator. It matches every fact, so a new fact does not compile until somebody has
//! said what it changes; `replay(timeline) == stored row` is demanded of every scenario in the tests.

mod run;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::approval::CheckResult;
use super::id::{ChannelId, DiagnosticId, IncidentId, MessageRef, PageId, RunId, UpdateId, UserId};
use super::people::{Actor, Contact, Role, Way};
use super::severity::Severity;
use super::time::{Instant, Millis};
use super::timeline::{CapturedBy, Card, Entry, Fact, PageWhy};
use super::words::Words;

pub use run::{HandedTo, Kept, Phase, Progress, Run, StepState};
pub use update::{Arrival, CustomerText, Miss, StatusUpdate};

/// Where an incident is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Declared; nobody has answered yet.
    Triggered,
    /// Somebody is on it.
    Acknowledged,
    /// Users are no longer affected.
    Mitigated,
    /// Over.
    Resolved,
    /// It was none.
    Cancelled,
}

impl Status {
    /// The word in the store and in label keys.
    pub const fn word(self) -> &'static str {
        match self {
            Status::Triggered => "triggered",
            Status::Acknowledged => "acknowledged",
            Status::Mitigated => "mitigated",
            Status::Resolved => "resolved",
            Status::Cancelled => "cancelled",
        }
    }

    /// Still needs people.
    pub const fn is_open(self) -> bool {
        matches!(self, Status::Triggered | Status::Acknowledged | Status::Mitigated)
    }
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Instant,
}

/// The incident's channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Slack's id.
    pub id: ChannelId,
    /// Its name.
    pub name: String,
    /// Slack's word for why it cannot be used; `None` while it can.
    pub lost: Option<String>,
}

/// Where the climb stands (E2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The level paged last, from 0.
    pub level: usize,
    /// The round, from 0.
    pub round: u32,
    /// When the next level is paged; `None` once somebody answered or nobody is left.
    pub next_at: Option<Instant>,
    /// Everybody stayed silent; the fall-back was told.
    pub exhausted: bool,
    /// The number of the first page of the level paged last; those before belong to other levels or earlier climbs.
    #[serde(default)]
    pub first_page: u32,
}

/// One page and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageState {
    /// Whom.
    pub contact: Contact,
    /// How.
    pub way: Way,
    /// Why.
    pub why: PageWhy,
    /// Who caused it, and when.
    pub mark: Mark,
    /// What a person who paged by hand wrote.
    pub message: Option<String>,
    /// What became of it.
    pub outcome: PageOutcome,
}

/// What became of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageOutcome {
    /// On its way.
    Sending,
    /// Taken by the provider.
    Delivered {
        /// When.
        at: Instant,
    },
    /// Did not get through.
    Failed {
        /// Why.
        why: Words,
    },
}

/// A round of diagnostics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Who asked, and when.
    pub asked: Mark,
    /// The service.
    pub service: String,
    /// What was seen; `None` while it runs.
    pub results: Option<Vec<CheckResult>>,
}

/// The next status update (M7).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateDue {
    /// When the next update or the next reminder is due; `None` while nobody need be reminded.
    pub at: Option<Instant>,
    /// When it was promised for.
    pub promised: Option<Instant>,
    /// Reminders since the last update.
    pub reminded: u32,
}

/// A message taken into the timeline, as it reads now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Its author.
    pub author: Option<UserId>,
    /// Its text now.
    pub text: String,
    /// How it came in.
    pub by: CapturedBy,
    /// Slack's stamp of its last edit after it was captured.
    pub edited: Option<String>,
    /// It was deleted in Slack.
    pub deleted: bool,
    /// The 📌 was taken away again.
    pub withdrawn: bool,
}

/// What the resolver said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Who and when.
    pub mark: Mark,
    /// How it was resolved.
    pub summary: String,
    /// What it did to users.
    pub impact: Option<String>,
    /// The root cause.
    pub cause: Option<String>,
}

/// An incident as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// What is wrong.
    pub title: String,
    /// The severity stamped into it, with its policy.
    pub severity: Severity,
    /// The service concerned.
    pub service: Option<String>,
    /// Where it is in its life.
    pub status: Status,
    /// An exercise.
    pub drill: bool,
    /// The language of its channel.
    pub locale: String,
    /// Who declared it, and when.
    pub declared: Mark,
    /// Where the command was given.
    pub place: Option<ChannelId>,
    /// Its channel, once there is one.
    pub channel: Option<Channel>,
    /// Why Slack does not let it have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_refused: Option<Words>,
    /// The climb.
    pub ladder: Ladder,
    /// Every page.
    #[serde(with = "pairs")]
    pub pages: BTreeMap<PageId, PageState>,
    /// The first answer.
    pub acknowledged: Option<Mark>,
    /// Everybody who answered.
    pub acknowledged_by: BTreeSet<UserId>,
    /// When users were no longer affected, and how.
    pub mitigated: Option<(Mark, Option<String>)>,
    /// How it ended.
    pub resolution: Option<Resolution>,
    /// When it was cancelled, and why.
    pub cancelled: Option<(Mark, Option<String>)>,
    /// Who holds which role.
    pub roles: BTreeMap<Role, UserId>,
    /// Everybody invited to the channel.
    pub invited: BTreeSet<UserId>,
    /// Where each card stands.
    #[serde(with = "pairs")]
    pub cards: BTreeMap<Card, MessageRef>,
    /// Every runbook action.
    #[serde(with = "pairs")]
    pub runs: BTreeMap<RunId, Run>,
    /// Every status update.
    #[serde(with = "pairs")]
    pub updates: BTreeMap<UpdateId, StatusUpdate>,
    /// Every round of diagnostics.
    #[serde(with = "pairs")]
    pub diagnostics: BTreeMap<DiagnosticId, Diagnostic>,
    /// Every captured message.
    #[serde(with = "pairs")]
    pub captured: BTreeMap<MessageRef, Captured>,
    /// The next status update.
    pub update_due: UpdateDue,
    /// Versions of the post-mortem so far.
    pub postmortems: u32,
    /// Reminders so far, over the whole incident.
    pub reminders: u32,
    /// Those of them that an update or the end has settled; the others still ask.
    #[serde(default)]
    pub reminders_settled: u32,
    /// Facts applied so far.
    pub seq: u64,
    /// When the last of them was. No later one has an earlier moment, whatever clocks say.
    #[serde(default)]
    pub touched: Instant,
}

/// Maps whose keys are not plain strings are stored as lists of pairs: JSON objects know only strings.
mod pairs {
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_seq(map.iter())
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// A timeline that cannot be read as an incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTimeline {
    /// The first fact is not a declaration.
    #[error("the timeline does not begin with a declaration")]
    NotDeclared,
    /// An entry is missing or doubled.
    #[error("entry {found} of the timeline stands where entry {expected} should stand")]
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

/// The incident that a timeline tells of.
///
/// # Errors
/// When the timeline does not begin with a declaration or has a gap.
pub fn replay(timeline: &[Entry]) -> Result<Incident, BadTimeline> {
    let (first, rest) = timeline.split_first().ok_or(BadTimeline::NotDeclared)?;
    let mut incident = Incident::declared(first)?;
    for entry in rest {
        if entry.seq != incident.seq + 1 {
            return Err(BadTimeline::Gap { expected: incident.seq + 1, found: entry.seq });
        }
        incident.apply(entry);
    }
    Ok(incident)
}

impl Incident {
    /// The incident that a first entry declares.
    ///
    /// # Errors
    /// When the entry is not a declaration.
    pub fn declared(entry: &Entry) -> Result<Self, BadTimeline> {
        let Fact::Declared { id, title, severity, service, drill, locale, place } = &entry.fact else {
            return Err(BadTimeline::NotDeclared);
        };
        let mut incident = Self {
            id: *id,
            title: title.clone(),
            severity: severity.as_ref().clone(),
            service: service.clone(),
            status: Status::Triggered,
            drill: *drill,
            locale: locale.clone(),
            declared: Mark { by: entry.by.clone(), at: entry.at },
            place: place.clone(),
            channel: None,
            channel_refused: None,
            ladder: Ladder::default(),
            pages: BTreeMap::new(),
            acknowledged: None,
            acknowledged_by: BTreeSet::new(),
            mitigated: None,
            resolution: None,
            cancelled: None,
            roles: BTreeMap::new(),
            invited: BTreeSet::new(),
            cards: BTreeMap::new(),
            runs: BTreeMap::new(),
            updates: BTreeMap::new(),
            diagnostics: BTreeMap::new(),
            captured: BTreeMap::new(),
            update_due: UpdateDue::default(),
            postmortems: 0,
            reminders: 0,
            reminders_settled: 0,
            seq: entry.seq,
            touched: entry.at,
        };
        incident.promise_update(entry.at);
        Ok(incident)
    }

    /// Takes one more fact in. The only way an incident changes.
    pub fn apply(&mut self, entry: &Entry) {
        let mark = Mark { by: entry.by.clone(), at: entry.at };
        self.seq = entry.seq;
        self.touched = entry.at;
        match &entry.fact {
            Fact::Declared { .. } | Fact::NoteAdded { .. } | Fact::Fault { .. } | Fact::ChatFailed { .. } => {}
            Fact::ChannelOpened { channel, name } => {
                self.channel = Some(Channel { id: channel.clone(), name: name.clone(), lost: None });
                self.channel_refused = None;
            }
            Fact::ChannelRefused { why } => self.channel_refused = Some(why.clone()),
            Fact::ChannelLost { why } => self.lose_channel(Some(why.clone())),
            Fact::ChannelRegained => self.lose_channel(None),
            Fact::CardPosted { card, message } => {
                self.cards.insert(card.clone(), message.clone());
            }
            Fact::Invited { users, failed: _ } => self.invited.extend(users.iter().cloned()),
            Fact::Escalated { level, round, because_silent: _ } => self.climb_to(*level, *round, entry.at),
            Fact::Paged { page, contact, way, why, message } => {
                let state = PageState {
                    contact: contact.as_ref().clone(),
                    way: *way,
                    why: *why,
                    mark,
                    message: message.clone(),
                    outcome: PageOutcome::Sending,
                };
                self.pages.insert(*page, state);
            }
            Fact::PageDelivered { page, note: _ } => self.page_outcome(*page, PageOutcome::Delivered { at: entry.at }),
            Fact::PageFailed { page, why } => self.page_outcome(*page, PageOutcome::Failed { why: why.clone() }),
            Fact::LadderExhausted => {
                self.ladder.exhausted = true;
                self.ladder.next_at = None;
            }
            Fact::Acknowledged => self.take_acknowledgement(mark),
            Fact::SeverityChanged { severity, reason: _ } => self.change_severity(severity, entry.at),
            Fact::RoleAssigned { role, user } => {
                self.roles.insert(*role, user.clone());
            }
            Fact::MessageCaptured { message, author, text, by, thread: _ } => {
                let captured = Captured {
                    author: author.clone(),
                    text: text.clone(),
                    by: *by,
                    edited: None,
                    deleted: false,
                    withdrawn: false,
                };
                self.captured.insert(message.clone(), captured);
            }
            Fact::MessageEdited { message, text, edited } => {
                if let Some(captured) = self.captured.get_mut(message) {
                    captured.text = text.clone();
                    captured.edited = Some(edited.clone());
                }
            }
            Fact::MessageDeleted { message } => {
                if let Some(captured) = self.captured.get_mut(message) {
                    captured.deleted = true;
                }
            }
            Fact::CaptureWithdrawn { message } => {
                if let Some(captured) = self.captured.get_mut(message) {
                    captured.withdrawn = true;
                }
            }
            Fact::DiagnosticStarted { diagnostic, service } => {
                self.diagnostics
                    .insert(*diagnostic, Diagnostic { asked: mark, service: service.clone(), results: None });
            }
            Fact::DiagnosticFinished { diagnostic, results } => {
                if let Some(round) = self.diagnostics.get_mut(diagnostic) {
                    round.results = Some(results.clone());
                }
            }
            Fact::PlanAsked { run, action, request } => {
                self.runs.insert(*run, Run::asked(*run, action.as_ref().clone(), request.clone(), mark));
            }
            Fact::PlanShown { run, .. }
            | Fact::PlanFailed { run, .. }
            | Fact::ItemTicked { run, .. }
            | Fact::ApprovalGiven { run, .. }
            | Fact::Approved { run, .. }
            | Fact::StateKept { run, .. }
            | Fact::PlanRejected { run, .. }
            | Fact::PlanExpired { run }
            | Fact::RunReleased { run, .. }
            | Fact::RunStarted { run, .. }
            | Fact::StepStarted { run, .. }
            | Fact::StepFinished { run, .. }
            | Fact::RunHalted { run, .. }
            | Fact::VerificationStarted { run }
            | Fact::VerificationFinished { run, .. }
            | Fact::StopAsked { run }
            | Fact::RunFinished { run, .. }
            | Fact::StepSkipped { run, .. }
            | Fact::RunResumed { run, .. }
            | Fact::HandedOver { run, .. }
            | Fact::GlassBroken { run, .. }
            | Fact::RunTold { run, .. }
            | Fact::RunSettled { run, .. } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.apply(entry, mark);
                }
            }
            Fact::UpdatePosted { update, internal, customer, next_at } => {
                let written = StatusUpdate {
                    id: *update,
                    written: mark,
                    internal: internal.clone(),
                    customer: customer.clone(),
                    customer_state: customer.as_ref().map(|_| CustomerText::Pending),
                    next_at: *next_at,
                    delivered: Vec::new(),
                    failed: Vec::new(),
                };
                self.updates.insert(*update, written);
                self.reminders_settled = self.reminders;
                self.next_update(entry.at, *next_at);
            }
            Fact::CustomerTextApproved { update } => {
                self.set_customer_state(*update, CustomerText::Approved { mark });
            }
            Fact::CustomerTextRejected { update, reason } => {
                self.set_customer_state(*update, CustomerText::Rejected { mark, reason: reason.clone() });
            }
            Fact::TextDelivered { update, customer, destination, note: _, remote_id } => {
                if let Some(update) = self.updates.get_mut(update) {
                    update.arrived(*customer, destination, remote_id.as_ref());
                }
            }
            Fact::TextFailed { update, customer, destination, why } => {
                if let Some(update) = self.updates.get_mut(update) {
                    let (customer, destination) = (*customer, destination.clone());
                    update.failed.push(Miss { customer, destination, why: why.clone() });
                }
            }
            Fact::UpdateReminded { number, who: _, climbs_at } => {
                self.update_due.reminded = *number;
                self.update_due.at = Some(*climbs_at);
                self.reminders += 1;
            }
            Fact::ReminderSnoozed { until } => self.update_due.at = Some(*until),
            Fact::Mitigated { text } => {
                self.status = Status::Mitigated;
                self.mitigated = Some((mark, text.clone()));
                self.ladder.next_at = None;
            }
            Fact::Resolved { summary, impact, cause } => {
                self.end(Status::Resolved);
                self.resolution =
                    Some(Resolution { mark, summary: summary.clone(), impact: impact.clone(), cause: cause.clone() });
            }
            Fact::Reopened { reason: _ } => {
                let answered = self.acknowledged.is_some();
                self.status = if answered { Status::Acknowledged } else { Status::Triggered };
                self.mitigated = None;
                self.resolution = None;
                self.cancelled = None;
                self.promise_update(entry.at);
            }
            Fact::Cancelled { reason } => {
                self.end(Status::Cancelled);
                self.cancelled = Some((mark, reason.clone()));
            }
            Fact::PostMortemCompiled { number } => self.postmortems = *number,
        }
    }

    /// When something must happen by itself: the earliest of all that is due. Derived, never set (invariant: no
    /// timer is ever set or cancelled).
    pub fn wake_at(&self) -> Option<Instant> {
        let runs = self.runs.values().filter_map(|run| match &run.phase {
            Phase::Pending => run.expires_at,
            Phase::Announcing { run_by, .. } => Some(*run_by),
            _ => None,
        });
        let climb = if self.status.is_open() { self.ladder.next_at } else { None };
        runs.chain(climb).chain(self.reminder_at()).min()
    }

    /// When whoever is in charge is reminded of the update. Nobody is while the ladder is being climbed: then nobody
    /// is in charge yet, and the page is what matters.
    pub fn reminder_at(&self) -> Option<Instant> {
        let climbing = self.ladder.next_at.is_some();
        if self.status.is_open() && !climbing { self.update_due.at } else { None }
    }

    /// The channel, if it can be used.
    pub fn usable_channel(&self) -> Option<&Channel> {
        self.channel.as_ref().filter(|channel| channel.lost.is_none())
    }

    /// The newest round of diagnostics that has ended.
    pub fn last_diagnostic(&self) -> Option<(&DiagnosticId, &Diagnostic)> {
        self.diagnostics.iter().rev().find(|(_, round)| round.results.is_some())
    }

    /// The newest status update.
    pub fn last_update(&self) -> Option<&StatusUpdate> {
        self.updates.values().next_back()
    }

    /// The reminders that still ask for an update.
    pub fn asking_reminders(&self) -> std::ops::RangeInclusive<u32> {
        self.reminders_settled + 1..=self.reminders
    }

    /// When it stopped, for open incidents `None`.
    pub fn ended_at(&self) -> Option<Instant> {
        let resolved = self.resolution.as_ref().map(|r| r.mark.at);
        resolved.or_else(|| self.cancelled.as_ref().map(|(mark, _)| mark.at))
    }

    /// How long it has lasted, or did last.
    pub fn duration(&self, now: Instant) -> Millis {
        self.ended_at().unwrap_or(now).since(self.declared.at)
    }

    /// Whoever is in charge: the commander, else whoever answered first, else whoever declared it.
    pub fn in_charge(&self) -> Option<&UserId> {
        let commander = self.roles.get(&Role::Commander);
        let answered = self.acknowledged.as_ref().and_then(|mark| mark.by.person());
        commander.or(answered).or_else(|| self.declared.by.person())
    }

    fn lose_channel(&mut self, why: Option<String>) {
        if let Some(channel) = &mut self.channel {
            channel.lost = why;
        }
    }

    fn climb_to(&mut self, level: usize, round: u32, at: Instant) {
        let wait = self.severity.policy.levels.get(level).map(|l| l.wait);
        let first_page = self.pages.keys().next_back().map_or(1, |last| last.number + 1);
        self.ladder = Ladder { level, round, next_at: wait.map(|wait| at + wait), exhausted: false, first_page };
    }

    fn page_outcome(&mut self, page: PageId, outcome: PageOutcome) {
        if let Some(page) = self.pages.get_mut(&page) {
            page.outcome = outcome;
        }
    }

    fn take_acknowledgement(&mut self, mark: Mark) {
        self.ladder.next_at = None;
        if let Some(user) = mark.by.person() {
            self.acknowledged_by.insert(user.clone());
        }
        if self.status == Status::Triggered {
            self.status = Status::Acknowledged;
        }
        // An update that fell due while nobody was there is not held against whoever just came.
        let grace = mark.at + self.severity.update_grace;
        if self.acknowledged.is_none() && self.update_due.at.is_some_and(|at| at < grace) {
            self.update_due = UpdateDue { at: Some(grace), promised: Some(grace), reminded: 0 };
        }
        if self.acknowledged.is_none() {
            self.acknowledged = Some(mark);
        }
    }

    fn change_severity(&mut self, severity: &Severity, at: Instant) {
        self.severity = severity.clone();
        self.promise_update(at);
    }

    fn set_customer_state(&mut self, update: UpdateId, state: CustomerText) {
        if let Some(update) = self.updates.get_mut(&update) {
            update.customer_state = Some(state);
        }
    }

    /// What an update promises: nothing more after the end.
    fn next_update(&mut self, at: Instant, next_at: Option<Instant>) {
        if !self.status.is_open() {
            return;
        }
        self.promise_update(at);
        if self.update_due.at.is_some() && next_at.is_some() {
            self.update_due.at = next_at;
            self.update_due.promised = next_at;
        }
    }

    /// The next update is owed one interval from `at`, or never when the severity asks for none.
    fn promise_update(&mut self, at: Instant) {
        let due = self.severity.update_every.map(|every| at + every);
        self.update_due = UpdateDue { at: due, promised: due, reminded: 0 };
    }

    fn end(&mut self, status: Status) {
        self.status = status;
        self.ladder.next_at = None;
        self.update_due = UpdateDue::default();
        self.reminders_settled = self.reminders;
    }
}
