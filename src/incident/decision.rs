//! What may come in, what must be done about it. `decide` is the one door to the core.
//!
//! Pure: the same incident, input and instant give the same decision on every machine, so a decision can be
//! repeated after a crash, in a test, and in a simulation.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::approval::{ActionPlan, CheckResult, Choice, KeptFile, Outcome};
use super::command::Command;
use super::id::{ChannelId, DiagnosticId, IncidentId, MessageRef, PageId, RunId, UpdateId, UserId};
pub use super::lane::Lane;
use super::people::{Actor, Contact, Way};
use super::rules::Rules;
use super::state::Incident;
use super::time::{Instant, Millis};
use super::timeline::{Card, Fact};
use super::words::{Refusal, Words};

/// Where a command's answer goes. Slack's `response_url` lives 30 minutes and five uses; after that the answer is
/// posted as an ephemeral message, then as a direct message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyTo {
    /// To one person in Slack.
    Person {
        /// Who.
        user: UserId,
        /// Where they asked.
        channel: Option<ChannelId>,
        /// Slack's one-time address for answers.
        response_url: Option<String>,
    },
    /// To whoever waits at a terminal; the answer is kept in the store under this name.
    Terminal {
        /// The question's own name.
        ask: String,
    },
    /// To nobody.
    Nobody,
}

impl ReplyTo {
    /// Whose turn it is to be answered, in the names of queues.
    pub(super) fn name(&self) -> &str {
        match self {
            ReplyTo::Person { user, .. } => &user.0,
            ReplyTo::Terminal { .. } => "terminal",
            ReplyTo::Nobody => "nobody",
        }
    }
}

/// Something that came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// A command line, a button or a modal.
    Command {
        /// Who.
        by: Actor,
        /// What.
        command: Box<Command>,
        /// The channel it was given in.
        channel: Option<ChannelId>,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// Something happened in Slack.
    Chat(ChatEvent),
    /// The result of something Vigie did outside.
    Report(Report),
    /// `wake_at` has come.
    Wake,
}

/// What Slack tells about the incident's channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ChatEvent {
    /// Somebody put 📌 on a message.
    Pinned {
        /// Who.
        by: UserId,
        /// The message.
        message: MessageRef,
    },
    /// Somebody took 📌 away.
    Unpinned {
        /// Who.
        by: UserId,
        /// The message.
        message: MessageRef,
    },
    /// Somebody chose the message shortcut; the message came with it.
    Shortcut {
        /// Who.
        by: UserId,
        /// The message.
        message: MessageRef,
        /// Its author.
        author: Option<UserId>,
        /// Its text.
        text: String,
        /// Its thread's first message, for a reply.
        thread: Option<String>,
        /// Where an answer goes.
        reply: ReplyTo,
    },
    /// A message was edited.
    Edited {
        /// The message.
        message: MessageRef,
        /// The text it has now.
        text: String,
        /// Slack's stamp of the edit; a later edit has a greater one.
        edited: String,
    },
    /// A message was deleted.
    Deleted {
        /// The message.
        message: MessageRef,
    },
    /// The channel was archived, deleted or opened again, or the bot was removed from it or let in. Such events come in
    /// any order, so Slack is asked how the channel is now.
    ChannelChanged {
        /// The channel.
        channel: ChannelId,
    },
}

impl ChatEvent {
    /// The conversation it is about.
    pub fn channel(&self) -> &ChannelId {
        match self {
            ChatEvent::Pinned { message, .. }
            | ChatEvent::Unpinned { message, .. }
            | ChatEvent::Shortcut { message, .. }
            | ChatEvent::Edited { message, .. }
            | ChatEvent::Deleted { message } => &message.channel,
            ChatEvent::ChannelChanged { channel } => channel,
        }
    }
}

/// A result that came back from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The channel exists and is ours.
    ChannelOpened {
        /// Slack's id.
        channel: ChannelId,
        /// The name it got.
        name: String,
    },
    /// A card was posted for the first time.
    CardPosted {
        /// Which.
        card: Card,
        /// Where.
        message: MessageRef,
    },
    /// People were invited.
    Invited {
        /// Who is in.
        users: Vec<UserId>,
        /// Who could not be invited, and why.
        failed: Vec<(UserId, String)>,
    },
    /// Something could not be said or done in Slack, for good.
    ChatFailed {
        /// What was to be done.
        effect: Box<Effect>,
        /// Slack's word for the reason.
        code: String,
        /// The reason.
        why: Words,
    },
    /// A page was taken by its provider.
    PageDelivered {
        /// The page.
        page: PageId,
        /// What its provider said.
        note: Option<Words>,
    },
    /// A page did not get through.
    PageFailed {
        /// The page.
        page: PageId,
        /// Why.
        why: Words,
    },
    /// Nobody has 📌 on a message any more.
    PinGone {
        /// Who took the last one away.
        by: UserId,
        /// The message.
        message: MessageRef,
    },
    /// How the channel is, as Slack says.
    ChannelSeen {
        /// Why it cannot be used: `is_archived`, `channel_not_found`, `not_in_channel`.
        lost: Option<String>,
    },
    /// A message that somebody wanted captured was read.
    MessageRead {
        /// Who wanted it.
        by: UserId,
        /// The message.
        message: MessageRef,
        /// Its author.
        author: Option<UserId>,
        /// Its text.
        text: String,
        /// Its thread's first message, for a reply.
        thread: Option<String>,
    },
    /// A round of diagnostics ended.
    Diagnosed {
        /// The round.
        diagnostic: DiagnosticId,
        /// What was seen.
        results: Vec<CheckResult>,
    },
    /// A plan was made, or could not be.
    Planned {
        /// The run.
        run: RunId,
        /// The plan, or why there is none.
        plan: Result<Box<ActionPlan>, Words>,
    },
    /// The state before a run was kept, as far as that was possible.
    StateKept {
        /// The run.
        run: RunId,
        /// The files.
        files: Vec<KeptFile>,
        /// What could not be kept.
        missed: Vec<Words>,
    },
    /// Slack said which user groups somebody is a member of, or did not.
    GroupsSeen {
        /// Who.
        by: UserId,
        /// The groups, of those that were asked about.
        member_of: Result<Vec<String>, Words>,
        /// What they wanted to do.
        command: Box<Command>,
        /// Where they said it.
        channel: Option<ChannelId>,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// What can be chosen was looked up, or could not be.
    Offered {
        /// The action's key.
        action: String,
        /// What can be chosen, or why nobody can say.
        choices: Result<Vec<Choice>, Words>,
        /// Only the plan is to be seen.
        #[serde(default)]
        dry_run: bool,
        /// Who asked.
        to: ReplyTo,
    },
    /// An execution began.
    RunStarted {
        /// The run.
        run: RunId,
        /// Its fence.
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
        /// The fence under which it was begun; a release before this one did not tell.
        #[serde(default)]
        fence: Option<i64>,
        /// The step, from 0.
        step: usize,
        /// What it did.
        note: Words,
        /// How long it took.
        took: Millis,
        /// Its output.
        output: Option<String>,
        /// The state that was seen in the end, where the step can tell.
        #[serde(default)]
        live: Option<String>,
    },
    /// A step ended badly, and others that are done whatever happens come after it.
    RunHalted {
        /// The run.
        run: RunId,
        /// The step, from 0.
        step: usize,
        /// How the run ends when those are done.
        outcome: Outcome,
        /// The step's output.
        output: Option<String>,
    },
    /// Verification began.
    VerificationStarted {
        /// The run.
        run: RunId,
    },
    /// Verification ended.
    VerificationFinished {
        /// The run.
        run: RunId,
        /// What was seen.
        results: Vec<CheckResult>,
    },
    /// An execution ended.
    RunFinished {
        /// The run.
        run: RunId,
        /// How.
        outcome: Outcome,
        /// The failing step's output.
        output: Option<String>,
    },
    /// Nobody will tell how an execution ends.
    RunLost {
        /// The run.
        run: RunId,
        /// Why.
        why: Words,
    },
    /// A text reached a destination.
    TextDelivered {
        /// The update.
        update: UpdateId,
        /// It was the text for customers.
        customer: bool,
        /// The destination.
        destination: String,
        /// What its provider said, or how many of a list took it.
        note: Option<Words>,
        /// The destination's own id of what it shows, for later texts to change it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote_id: Option<String>,
    },
    /// Nobody worked, or heard Slack, for a while.
    WasAway {
        /// Since when.
        from: Instant,
        /// Until when.
        until: Instant,
    },
    /// Some addresses of a list were missed for now; they are tried again, and only they.
    TextMissed {
        /// The update.
        update: UpdateId,
        /// It was the text for customers.
        customer: bool,
        /// The destination.
        destination: String,
        /// Whom it did not reach.
        addresses: BTreeSet<String>,
    },
    /// An audience was told of a rollback, or was not.
    RunTold {
        /// The run.
        run: RunId,
        /// It was told how it ended.
        ended: bool,
        /// The destination.
        destination: String,
        /// Why it was not told.
        why: Option<Words>,
    },
    /// A text did not reach a destination.
    TextFailed {
        /// The update.
        update: UpdateId,
        /// It was the text for customers.
        customer: bool,
        /// The destination.
        destination: String,
        /// Why.
        why: Words,
    },
}

/// What must be done outside. Written to the outbox in the transaction that appends the facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Reach one person in one way.
    Page {
        /// The page; also the idempotency key.
        page: PageId,
        /// Whom.
        contact: Box<Contact>,
        /// How.
        way: Way,
    },
    /// Make the incident's channel (or adopt ours), set its topic and bookmarks.
    OpenChannel,
    /// Post a card, or edit it to how the incident stands when it is sent. Waiting copies of one card fold into one.
    ShowCard {
        /// Which.
        card: Card,
    },
    /// Look whether the incident's channel can be used.
    LookAtChannel,
    /// Pin the incident's card in its channel.
    PinCard,
    /// Bring the topic and bookmarks in line with the incident.
    Topic,
    /// Invite people to the channel.
    Invite {
        /// Whom.
        users: Vec<UserId>,
    },
    /// Publish somebody's Home tab afresh.
    Home {
        /// Whose.
        user: UserId,
    },
    /// Answer one person, seen by nobody else.
    Reply {
        /// Where.
        to: ReplyTo,
        /// What.
        words: Words,
    },
    /// Answer one person with something longer than a sentence.
    ReplyWith {
        /// Where.
        to: ReplyTo,
        /// What to show.
        sheet: Sheet,
    },
    /// Read a message from Slack that somebody wants in the timeline.
    ReadMessage {
        /// Who wants it.
        by: UserId,
        /// The message.
        message: MessageRef,
    },
    /// Look whether anybody still has 📌 on a message, now that somebody took theirs away.
    LookForPin {
        /// Who took theirs away.
        by: UserId,
        /// The message.
        message: MessageRef,
    },
    /// Run a service's checks side by side.
    Diagnose {
        /// The round.
        diagnostic: DiagnosticId,
        /// The service.
        service: String,
    },
    /// Look up what an action leaves to choose; reads only.
    Offer {
        /// The action's key.
        action: String,
        /// Only the plan is to be seen.
        #[serde(default)]
        dry_run: bool,
        /// Who asked.
        to: ReplyTo,
    },
    /// Ask Slack whether somebody is a member of one of these user groups at this moment.
    AskGroups {
        /// Who.
        by: UserId,
        /// The groups.
        groups: Vec<String>,
        /// What they want to do.
        command: Box<Command>,
        /// Where they said it.
        channel: Option<ChannelId>,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// Tell an audience that a rollback is in progress, or how it ended (P3).
    TellRun {
        /// The run.
        run: RunId,
        /// It has ended.
        ended: bool,
        /// The destination: `<audience>/<destination>` of the configuration.
        destination: String,
    },
    /// Make the plan of an action; reads only.
    Plan {
        /// The run.
        run: RunId,
    },
    /// Keep the state of what a plan would change; reads only.
    KeepState {
        /// The run.
        run: RunId,
    },
    /// Execute the approved plan of a run, at most once.
    Run {
        /// The run.
        run: RunId,
    },
    /// Send a text to one destination.
    Deliver {
        /// The update.
        update: UpdateId,
        /// The destination: `<audience>/<destination>` of the configuration.
        destination: String,
        /// Which text.
        customer: bool,
        /// Only these addresses of a list, which were missed before; empty means all.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        only: BTreeSet<String>,
    },
}

/// An answer that is more than one sentence, seen by one person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "sheet", rename_all = "snake_case")]
pub enum Sheet {
    /// How the incident stands.
    Status,
    /// The timeline, newest last.
    Timeline,
    /// What the checks of a round of diagnostics saw, line by line.
    Details {
        /// The round.
        diagnostic: DiagnosticId,
    },
    /// The whole plan of a run.
    Plan {
        /// The run.
        run: RunId,
    },
    /// All open incidents.
    List,
    /// Help on everything or on one command.
    Help {
        /// The command.
        topic: Option<String>,
    },
    /// The actions that can be chosen, each with a button.
    Actions {
        /// Only rollbacks.
        rollbacks: bool,
    },
    /// What an action leaves to choose, each with a button.
    Choices {
        /// The action's key.
        action: String,
        /// Only the plan is to be seen.
        #[serde(default)]
        dry_run: bool,
        /// What can be chosen.
        choices: Vec<Choice>,
    },
}

/// What follows from an input.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// What is now true, in order.
    pub facts: Vec<Fact>,
    /// What must be done, in order.
    pub effects: Vec<Effect>,
}

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The team's rules.
    pub rules: &'a Rules,
    /// Now.
    pub now: Instant,
    /// Who caused it.
    pub by: &'a Actor,
    /// Where it was said.
    pub channel: Option<&'a ChannelId>,
    /// Where the answer goes.
    pub reply: &'a ReplyTo,
    /// The number the store reserved, should an incident be declared; zero when nothing can be.
    pub fresh: IncidentId,
    /// The user groups that the person is a member of, of those that matter; nothing when Slack was not asked.
    pub member_of: Option<&'a [String]>,
}

/// Decides. `incident` is the one the input belongs to: that of the channel, or the one it names.
///
/// # Errors
/// A [`Refusal`] when the rules say no: nothing changes, and the sentence is shown to the person who asked.
pub fn decide(context: Context<'_>, incident: Option<&Incident>, input: &Input) -> Result<Decision, Refusal> {
    match input {
        Input::Command { command, .. } => command.decide(context, incident),
        Input::Chat(event) => {
            Ok(incident.map(|incident| super::capture::chat(context, incident, event)).unwrap_or_default())
        }
        Input::Report(report) => {
            Ok(incident.map(|incident| super::report::report(context, incident, report)).unwrap_or_default())
        }
        Input::Wake => Ok(incident.map(|incident| super::wake::wake(context, incident)).unwrap_or_default()),
    }
}

impl Input {
    /// Who caused it.
    pub fn by(&self) -> Actor {
        match self {
            Input::Command { by, .. } => by.clone(),
            Input::Chat(
                ChatEvent::Pinned { by, .. } | ChatEvent::Unpinned { by, .. } | ChatEvent::Shortcut { by, .. },
            ) => Actor::Person(by.clone()),
            Input::Report(
                Report::MessageRead { by, .. } | Report::PinGone { by, .. } | Report::GroupsSeen { by, .. },
            ) => Actor::Person(by.clone()),
            Input::Chat(_) | Input::Report(_) | Input::Wake => Actor::Vigie,
        }
    }
}
