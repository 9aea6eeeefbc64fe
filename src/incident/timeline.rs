//! The truth: everything that happened in an incident, one fact after another.
//!
//! An incident's row is only the fold of its facts ([`super::state::Incident::apply`]); a fact, once committed, is
//! never changed. Every fact has a label `fact.<kind>` in each language, so whatever happens can be read.

use serde::{Deserialize, Serialize};

use super::approval::{ActionPlan, CheckResult, Digest, KeptFile, Outcome, PlanRequest};
use super::id::{ChannelId, DiagnosticId, IncidentId, MessageRef, PageId, RunId, UpdateId, UserId};
use super::people::{Actor, Contact, Role, Way};
use super::severity::Severity;
use super::time::{Instant, Millis};
use super::words::Words;

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the incident, from 1, without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Instant,
    /// Who caused it.
    pub by: Actor,
    /// What happened.
    pub fact: Fact,
}

/// A message in Slack that stands for something and is kept up to date by editing it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// The pinned card in the incident's channel.
    Incident,
    /// The announcement in the general incident channel.
    Announcement,
    /// The direct message of a page.
    Page(PageId),
    /// A plan, then its run, then its result.
    Run(RunId),
    /// A status update, its preview and its approval.
    Update(UpdateId),
    /// A round of diagnostics.
    Diagnostic(DiagnosticId),
    /// A message that tells of one timeline entry and is not edited afterwards.
    Notice(u64),
    /// The reminder that a status update is due; the number counts the reminders.
    Reminder(u32),
    /// The post-mortem, as a file; the number counts the versions.
    PostMortem(u32),
    /// A file that was kept before a run, by its fingerprint.
    Kept(RunId, String),
}

impl Card {
    /// The card's name in message metadata and coalescing keys: strings only, stable for ever.
    pub fn name(&self) -> String {
        match self {
            Card::Incident => "incident".into(),
            Card::Announcement => "announcement".into(),
            Card::Page(id) => id.to_string(),
            Card::Run(id) => id.to_string(),
            Card::Update(id) => id.to_string(),
            Card::Diagnostic(id) => id.to_string(),
            Card::Notice(seq) => format!("notice_{seq}"),
            Card::Reminder(n) => format!("reminder_{n}"),
            Card::PostMortem(n) => format!("postmortem_{n}"),
            Card::Kept(run, sha256) => format!("kept_{run}_{}", sha256.get(..12).unwrap_or(sha256)),
        }
    }
}

/// How a message came into the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturedBy {
    /// The 📌 reaction.
    Reaction,
    /// The message shortcut “Add to incident timeline”.
    Shortcut,
}

/// Why somebody is paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageWhy {
    /// It is their level's turn.
    Level {
        /// The level, from 0.
        level: usize,
        /// The round, from 0.
        round: u32,
    },
    /// Somebody asked for them.
    ByHand,
    /// The severity became worse, and they are first in line for it, though somebody is on it already.
    Worse,
    /// Every level stayed silent.
    Fallback,
    /// A run that did not end well was given to them.
    HandedOver,
    /// Somebody approved an action alone, in an emergency.
    GlassBroken,
    /// The status update is overdue and those in charge before them did not write it (M7).
    UpdateOverdue,
}

/// Something that happened. Serialised with its name in `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The incident began; its severity and policy are stamped here.
    Declared {
        /// The incident.
        id: IncidentId,
        /// What is wrong, in the declarer's words.
        title: String,
        /// The severity as configured at this moment.
        severity: Box<Severity>,
        /// The service concerned, by key.
        service: Option<String>,
        /// An exercise.
        drill: bool,
        /// The language of the incident's channel.
        locale: String,
        /// Where the command was given.
        place: Option<ChannelId>,
    },
    /// The incident's channel exists.
    ChannelOpened {
        /// Slack's id.
        channel: ChannelId,
        /// The name it really got.
        name: String,
    },
    /// The channel can no longer be used (archived, deleted, the bot was removed).
    ChannelLost {
        /// Slack's word for it: `is_archived`, `channel_not_found`, `not_in_channel`.
        why: String,
    },
    /// The channel can be used again.
    ChannelRegained,
    /// A card was posted.
    CardPosted {
        /// Which.
        card: Card,
        /// Where it stands.
        message: MessageRef,
    },
    /// Slack does not let the incident have a channel.
    ChannelRefused {
        /// Why not.
        why: Words,
    },
    /// Something could not be said in Slack, for good.
    ChatFailed {
        /// What was to be said or done.
        what: Words,
        /// Why not.
        why: Words,
    },
    /// People were invited to the channel.
    Invited {
        /// Who is in.
        users: Vec<UserId>,
        /// Who could not be invited, and why.
        failed: Vec<(UserId, String)>,
    },
    /// A level of the ladder is paged from now on.
    Escalated {
        /// The level, from 0.
        level: usize,
        /// The round, from 0.
        round: u32,
        /// The level above stayed silent (or could not be reached).
        because_silent: bool,
    },
    /// A page was sent off to one person in one way.
    Paged {
        /// The page.
        page: PageId,
        /// Whom.
        contact: Box<Contact>,
        /// How.
        way: Way,
        /// Why.
        why: PageWhy,
        /// A message of the person who paged by hand.
        message: Option<String>,
    },
    /// The way's provider took the page.
    PageDelivered {
        /// The page.
        page: PageId,
        /// What the provider said.
        note: Option<Words>,
    },
    /// The page did not get through.
    PageFailed {
        /// The page.
        page: PageId,
        /// Why.
        why: Words,
    },
    /// Every level of every round stayed silent; the fall-back is told.
    LadderExhausted,
    /// Somebody answered; the climb ends.
    Acknowledged,
    /// The severity changed; the new one is stamped.
    SeverityChanged {
        /// The severity as configured at this moment.
        severity: Box<Severity>,
        /// Why, in the person's words.
        reason: Option<String>,
    },
    /// A role was taken or given.
    RoleAssigned {
        /// Which.
        role: Role,
        /// To whom.
        user: UserId,
    },
    /// A line for the record.
    NoteAdded {
        /// The line.
        text: String,
    },
    /// A message of the channel was taken into the timeline.
    MessageCaptured {
        /// The message.
        message: MessageRef,
        /// Its author.
        author: Option<UserId>,
        /// Its text.
        text: String,
        /// How.
        by: CapturedBy,
        /// Its thread's first message, for a reply.
        thread: Option<String>,
    },
    /// A captured message was edited.
    MessageEdited {
        /// The message.
        message: MessageRef,
        /// The text it has now.
        text: String,
        /// Slack's stamp of the edit; a later edit has a greater one.
        edited: String,
    },
    /// A captured message was deleted in Slack; its text stays in the record.
    MessageDeleted {
        /// The message.
        message: MessageRef,
    },
    /// The 📌 was taken away again.
    CaptureWithdrawn {
        /// The message.
        message: MessageRef,
    },
    /// A round of diagnostics began.
    DiagnosticStarted {
        /// The round.
        diagnostic: DiagnosticId,
        /// Of which service.
        service: String,
    },
    /// A round of diagnostics ended.
    DiagnosticFinished {
        /// The round.
        diagnostic: DiagnosticId,
        /// What each check saw, worst first.
        results: Vec<CheckResult>,
    },
    /// Somebody asked for a runbook action; the plan is being made.
    PlanAsked {
        /// The run.
        run: RunId,
        /// The action as configured at this moment.
        action: Box<super::rules::RunbookAction>,
        /// What it was asked for with.
        #[serde(default)]
        request: PlanRequest,
    },
    /// The plan is made, frozen and shown.
    PlanShown {
        /// The run.
        run: RunId,
        /// The plan.
        plan: Box<ActionPlan>,
        /// Its fingerprint.
        digest: Digest,
        /// The last moment at which it can be approved.
        expires_at: Instant,
    },
    /// No plan could be made.
    PlanFailed {
        /// The run.
        run: RunId,
        /// Why.
        why: Words,
    },
    /// A line of the check list was ticked or un-ticked (P5).
    ItemTicked {
        /// The run.
        run: RunId,
        /// The item's key.
        item: String,
        /// Ticked or not.
        ticked: bool,
    },
    /// One person said yes.
    ApprovalGiven {
        /// The run.
        run: RunId,
        /// The plan they read.
        digest: Digest,
        /// Why they did not wait for the window, where it was closed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        override_reason: Option<String>,
    },
    /// Somebody approves alone, in an emergency.
    GlassBroken {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
        /// Why they did not wait for the window, where it was closed and they had approved before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        override_reason: Option<String>,
    },
    /// All approvals are there; the channel is told, then it runs (P3).
    Approved {
        /// The run.
        run: RunId,
        /// When it runs even if the channel could not be told.
        run_by: Instant,
        /// The state is kept anew meanwhile.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keeping: bool,
    },
    /// The state before the run was kept, as far as that was possible (K15).
    StateKept {
        /// The run.
        run: RunId,
        /// The files.
        files: Vec<KeptFile>,
        /// What could not be kept, one line each.
        missed: Vec<Words>,
        /// The run had begun before all was kept: what it had changed by then may show in it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        late: bool,
    },
    /// One person said no.
    PlanRejected {
        /// The run.
        run: RunId,
        /// Why.
        reason: Option<String>,
    },
    /// Nobody approved in time.
    PlanExpired {
        /// The run.
        run: RunId,
    },
    /// The channel was told; execution is handed to the action lane.
    RunReleased {
        /// The run.
        run: RunId,
        /// The channel really was told before.
        announced: bool,
        /// The state before was not kept by then.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        without_state: bool,
    },
    /// Execution began, under a fence that no other execution has.
    RunStarted {
        /// The run.
        run: RunId,
        /// The fence.
        fence: i64,
    },
    /// A step began.
    StepStarted {
        /// The run.
        run: RunId,
        /// The step, from 0.
        step: usize,
    },
    /// A step ended well.
    StepFinished {
        /// The run.
        run: RunId,
        /// The step, from 0.
        step: usize,
        /// What it did.
        note: Words,
        /// How long it took.
        took: Millis,
        /// The last lines of its output, redacted and capped.
        output: Option<String>,
        /// The state that was seen in the end, where the step can tell.
        #[serde(default)]
        live: Option<String>,
    },
    /// The steps are done; the verification plan is run (P2).
    VerificationStarted {
        /// The run.
        run: RunId,
    },
    /// The verification plan was run.
    VerificationFinished {
        /// The run.
        run: RunId,
        /// What each check saw.
        results: Vec<CheckResult>,
    },
    /// Somebody asked to stop the run before its next step.
    StopAsked {
        /// The run.
        run: RunId,
    },
    /// The run ended, well or not.
    RunFinished {
        /// The run.
        run: RunId,
        /// How.
        outcome: Outcome,
        /// The output of the step that failed, redacted and capped.
        output: Option<String>,
    },
    /// A step ended badly, and others that are done whatever happens come after it.
    RunHalted {
        /// The run.
        run: RunId,
        /// The step, from 0.
        step: usize,
        /// How the run ends when those are done.
        outcome: Outcome,
        /// The last lines of the step's output, redacted and capped.
        output: Option<String>,
    },
    /// A step that did not work is left out.
    StepSkipped {
        /// The run.
        run: RunId,
        /// The step, from 0.
        step: usize,
        /// Why it is not needed.
        reason: String,
    },
    /// A run that had stopped goes on; the channel is told first (P3).
    RunResumed {
        /// The run.
        run: RunId,
        /// The step that is next, from 0.
        step: usize,
        /// When it goes on even if the channel could not be told.
        run_by: Instant,
    },
    /// A run that did not end well was given to somebody.
    HandedOver {
        /// The run.
        run: RunId,
        /// Their name.
        name: String,
        /// Their Slack id.
        user: Option<UserId>,
        /// What they are told.
        text: Option<String>,
    },
    /// A person said what really happened in a run whose end nobody knew.
    RunSettled {
        /// The run.
        run: RunId,
        /// It did happen.
        happened: bool,
    },
    /// A status update was written: the internal text is out, the customer text waits for a second pair of eyes.
    UpdatePosted {
        /// The update.
        update: UpdateId,
        /// For the team; `None` when only customers are told.
        internal: Option<String>,
        /// For customers.
        customer: Option<String>,
        /// When the next update is promised for.
        next_at: Option<Instant>,
    },
    /// The customer text may go out.
    CustomerTextApproved {
        /// The update.
        update: UpdateId,
    },
    /// The customer text must not go out.
    CustomerTextRejected {
        /// The update.
        update: UpdateId,
        /// Why.
        reason: Option<String>,
    },
    /// A text reached one of its destinations.
    TextDelivered {
        /// The update.
        update: UpdateId,
        /// It was the text for customers.
        customer: bool,
        /// The destination, for people.
        destination: String,
        /// What the provider said, or how many of a list took it.
        note: Option<Words>,
        /// The destination's own id of what it shows, for later texts to change it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote_id: Option<String>,
    },
    /// An audience was told of a rollback, or was not (P3).
    RunTold {
        /// The run.
        run: RunId,
        /// It was told how it ended.
        ended: bool,
        /// The destination, for people.
        destination: String,
        /// Why it was not told.
        why: Option<Words>,
    },
    /// A text did not reach one of its destinations.
    TextFailed {
        /// The update.
        update: UpdateId,
        /// It was the text for customers.
        customer: bool,
        /// The destination, for people.
        destination: String,
        /// Why.
        why: Words,
    },
    /// Nobody wrote an update in time; the person in charge was reminded (M7).
    UpdateReminded {
        /// Counts the reminders since the last update, from 1.
        number: u32,
        /// Whom.
        who: Vec<UserId>,
        /// When the next person in charge is told.
        climbs_at: Instant,
    },
    /// The reminder was put off.
    ReminderSnoozed {
        /// Until when.
        until: Instant,
    },
    /// Users are no longer affected; the cause may still be there.
    Mitigated {
        /// What was done.
        text: Option<String>,
    },
    /// It is over.
    Resolved {
        /// How it was resolved.
        summary: String,
        /// What it did to users, in the person's words.
        impact: Option<String>,
        /// The root cause, as far as it is known.
        cause: Option<String>,
    },
    /// It is not over after all.
    Reopened {
        /// Why.
        reason: Option<String>,
    },
    /// It was none.
    Cancelled {
        /// Why.
        reason: Option<String>,
    },
    /// The post-mortem was compiled.
    PostMortemCompiled {
        /// Counts the versions, from 1.
        number: u32,
    },
    /// Something went wrong that people should see.
    Fault {
        /// What, as a label with variables.
        words: Words,
    },
}

impl Fact {
    /// The fact's name: the `kind` of its JSON and the end of its label key.
    pub fn kind(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.get("kind").and_then(|kind| kind.as_str().map(str::to_owned)))
            .unwrap_or_default()
    }
}
