//! The grammar: one file per subcommand, with its words, its rules and its tests.
//!
//! There is one grammar for everything: a slash command is a line, a button's value is a line, a modal makes the
//! same [`Command`]; so there is one parser, one authorisation and one path. Help is generated from here.

mod ack;
mod aftermath;
mod approve;
mod cancel;
mod diag;
mod files;
mod lists;
mod mitigate;
mod note;
mod page;
mod postmortem;
mod reopen;
mod resolve;
mod role;
mod run;
mod severity;
mod start;
mod tokens;
mod update;

use std::sync::{LazyLock, Mutex, PoisonError};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decision::{Context, Decision, Effect};
use super::id::{IncidentId, RunId, UserId};
use super::state::Incident;
use super::words::{Refusal, Words};

pub use self::tokens::{line_of, plain_text, quote};
pub use ack::Ack;
pub use aftermath::{Handover, Retry, Skip, Undo};
pub use approve::{Approve, Reject, Settle, Stop, Tick, Untick};
pub use cancel::Cancel;
pub use diag::Diag;
pub use files::Files;
pub use lists::{Details, Help, List, Plan, Status, Timeline};
pub use mitigate::Mitigate;
pub use note::Note;
pub use page::Page;
pub use postmortem::Postmortem;
pub use reopen::Reopen;
pub use resolve::Resolve;
pub use role::RoleCommand;
pub use run::{Rollback, RunAction};
pub use severity::SeverityCommand;
pub use start::Start;
pub use update::{Hold, Send, Snooze, Update};

/// A whole line: the command and, where the channel does not say it, the incident.
#[derive(Debug, Clone, PartialEq, Parser, Serialize, Deserialize)]
#[command(
    name = "/incident",
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true
)]
pub struct Line {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// The incident meant, when the command is not given in its channel.
    #[arg(long = "in", global = true, value_name = "inc_7")]
    pub incident: Option<IncidentId>,
}

/// Everything a person can ask for.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Declare an incident.
    #[command(visible_aliases = ["declare", "new"])]
    Start(Start),
    /// Answer the page and stop the climb.
    #[command(visible_alias = "acknowledge")]
    Ack(Ack),
    /// Show how the incident stands.
    Status(Status),
    /// List open incidents.
    List(List),
    /// Change the severity.
    #[command(visible_alias = "sev")]
    Severity(SeverityCommand),
    /// Take or give a role.
    Role(RoleCommand),
    /// Page a person or a level now.
    Page(Page),
    /// Run the service's checks.
    #[command(visible_aliases = ["diagnose", "check"])]
    Diag(Diag),
    /// Plan a rollback.
    Rollback(Rollback),
    /// Plan any runbook action.
    Run(RunAction),
    /// Approve a plan.
    Approve(Approve),
    /// Reject a plan.
    Reject(Reject),
    /// Tick an item of a plan's check list.
    Tick(Tick),
    /// Un-tick an item of a plan's check list.
    Untick(Untick),
    /// Stop a run before its next step.
    Stop(Stop),
    /// Say what really happened in a run whose end is unknown.
    Settle(Settle),
    /// Go on with a run at the step that failed.
    Retry(Retry),
    /// Go on with a run after the step that failed.
    Skip(Skip),
    /// Plan to take back what a run did.
    Undo(Undo),
    /// Give a run to somebody, who is paged.
    Handover(Handover),
    /// Share what was kept of the state before a run.
    Files(Files),
    /// Write a status update.
    Update(Update),
    /// Send the customer text of an update.
    Send(Send),
    /// Hold back the customer text of an update.
    Hold(Hold),
    /// Put the update reminder off.
    Snooze(Snooze),
    /// Add a line to the timeline.
    Note(Note),
    /// Show the timeline.
    Timeline(Timeline),
    /// Show what the checks of a diagnostic saw, line by line.
    Details(Details),
    /// Show the whole plan of a run: every step with all that it changes.
    Plan(Plan),
    /// Users are no longer affected.
    Mitigate(Mitigate),
    /// The incident is over.
    Resolve(Resolve),
    /// It is not over after all.
    Reopen(Reopen),
    /// It was no incident.
    Cancel(Cancel),
    /// Compile the post-mortem.
    #[command(visible_alias = "pm")]
    Postmortem(Postmortem),
    /// Explain the commands.
    Help(Help),
}

/// The modal that a command opens when it comes without its text.
/// It begins with what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modal<'c> {
    /// Declare an incident.
    Start(&'c Start),
    /// Write a status update.
    Update(&'c Update),
    /// Resolve.
    Resolve(&'c Resolve),
}

impl Command {
    /// The modal to open instead of acting, if the command came without what it needs.
    pub fn modal(&self) -> Option<Modal<'_>> {
        match self {
            Command::Start(start) if start.is_bare() => Some(Modal::Start(start)),
            Command::Update(update) if update.is_bare() => Some(Modal::Update(update)),
            Command::Resolve(resolve) if resolve.is_bare() => Some(Modal::Resolve(resolve)),
            _ => None,
        }
    }

    /// The incident that the command itself names.
    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Command::Approve(Approve { run, .. }) | Command::Reject(Reject { run, .. }) => Some(run.incident),
            Command::Tick(Tick { run, .. }) | Command::Untick(Untick { run, .. }) => Some(run.incident),
            Command::Stop(Stop { run }) | Command::Settle(Settle { run, .. }) => Some(run.incident),
            Command::Retry(Retry { run }) | Command::Skip(Skip { run, .. }) => Some(run.incident),
            Command::Undo(Undo { run }) | Command::Handover(Handover { run, .. }) => Some(run.incident),
            Command::Files(Files { run }) | Command::Plan(Plan { run }) => Some(run.incident),
            Command::Details(Details { diagnostic }) => Some(diagnostic.incident),
            Command::Send(Send { update }) | Command::Hold(Hold { update, .. }) => Some(update.incident),
            _ => None,
        }
    }

    /// The run that goes on by it, when enough people want that.
    pub fn sets_going(&self) -> Option<RunId> {
        match self {
            Command::Approve(Approve { run, .. }) => Some(*run),
            Command::Retry(Retry { run }) | Command::Skip(Skip { run, .. }) => Some(*run),
            _ => None,
        }
    }

    /// Needs an incident to make sense.
    pub fn needs_incident(&self) -> bool {
        !matches!(self, Command::Start(_) | Command::List(_) | Command::Help(_))
    }

    /// Whether it may declare an incident, which needs a number.
    pub fn may_declare(&self) -> bool {
        matches!(self, Command::Start(_))
    }

    /// Decides what follows. Where a person may only decide as a member of a user group, Slack is asked first.
    ///
    /// # Errors
    /// A [`Refusal`] when the rules say no.
    pub fn decide(&self, context: Context<'_>, incident: Option<&Incident>) -> Result<Decision, Refusal> {
        let decided = self.decide_now(context, incident);
        let may_be_member = decided.as_ref().is_err_and(|refusal| refusal.0.key == "refusal.not_approver");
        let groups = incident.filter(|_| may_be_member && context.member_of.is_none());
        let groups = groups.map(|incident| self.groups(context, incident)).unwrap_or_default();
        let (false, Some(by)) = (groups.is_empty(), context.by.person().cloned()) else { return decided };
        let (channel, reply) = (context.channel.cloned(), context.reply.clone());
        let ask = Effect::AskGroups { by, groups, command: Box::new(self.clone()), channel, reply };
        Ok(Decision { effects: vec![ask], ..Decision::default() })
    }

    /// The user groups whose members may do this.
    fn groups(&self, context: Context<'_>, incident: &Incident) -> Vec<String> {
        let of_run = |run: &RunId, glass: bool| {
            let action = incident.runs.get(run).map(|run| &run.action);
            let by = action.map(|action| match &action.break_glass {
                Some(by) if glass => by.as_slice(),
                _ => action.approval.by.as_slice(),
            });
            super::run::groups(by.unwrap_or_default())
        };
        match self {
            Command::Approve(Approve { run, break_glass, .. }) => of_run(run, break_glass.is_some()),
            Command::Reject(Reject { run, .. })
            | Command::Settle(Settle { run, .. })
            | Command::Retry(Retry { run })
            | Command::Skip(Skip { run, .. }) => of_run(run, false),
            Command::Send(_) | Command::Hold(_) => super::run::groups(&context.rules.customer_approval.by),
            _ => Vec::new(),
        }
    }

    fn decide_now(&self, context: Context<'_>, incident: Option<&Incident>) -> Result<Decision, Refusal> {
        if let Command::Start(start) = self {
            return start.decide(context);
        }
        if let Command::List(list) = self {
            return Ok(list.decide(context));
        }
        if let Command::Help(help) = self {
            return Ok(help.decide(context));
        }
        let incident = incident.ok_or_else(|| Refusal::new("refusal.no_incident"))?;
        match self {
            Command::Start(_) | Command::List(_) | Command::Help(_) => Ok(Decision::default()),
            Command::Ack(ack) => ack.decide(context, incident),
            Command::Status(status) => Ok(status.decide(context)),
            Command::Severity(severity) => severity.decide(context, incident),
            Command::Role(role) => role.decide(context, incident),
            Command::Page(page) => page.decide(context, incident),
            Command::Diag(diag) => diag.decide(context, incident),
            Command::Rollback(rollback) => rollback.decide(context, incident),
            Command::Run(run) => run.decide(context, incident),
            Command::Approve(approve) => approve.decide(context, incident),
            Command::Reject(reject) => reject.decide(context, incident),
            Command::Tick(tick) => tick.decide(context, incident),
            Command::Untick(untick) => untick.decide(context, incident),
            Command::Stop(stop) => stop.decide(context, incident),
            Command::Settle(settle) => settle.decide(context, incident),
            Command::Retry(retry) => retry.decide(context, incident),
            Command::Skip(skip) => skip.decide(context, incident),
            Command::Undo(undo) => undo.decide(context, incident),
            Command::Handover(handover) => handover.decide(context, incident),
            Command::Files(files) => files.decide(context, incident),
            Command::Plan(plan) => plan.decide(context, incident),
            Command::Update(update) => update.decide(context, incident),
            Command::Send(send) => send.decide(context, incident),
            Command::Hold(hold) => hold.decide(context, incident),
            Command::Snooze(snooze) => snooze.decide(context, incident),
            Command::Note(note) => note.decide(context, incident),
            Command::Timeline(timeline) => Ok(timeline.decide(context)),
            Command::Details(details) => Ok(details.decide(context)),
            Command::Mitigate(mitigate) => mitigate.decide(context, incident),
            Command::Resolve(resolve) => resolve.decide(context, incident),
            Command::Reopen(reopen) => reopen.decide(context, incident),
            Command::Cancel(cancel) => cancel.decide(context, incident),
            Command::Postmortem(postmortem) => postmortem.decide(context, incident),
        }
    }
}

/// A line that the grammar does not know. Shown with its cure; nothing is stored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("not understood: {}", .0.key)]
pub struct UsageError(pub Words);

/// Reads a line as it came from Slack, a button or a terminal.
///
/// # Errors
/// A [`UsageError`] that names the word that was not understood and the nearest one that would have been.
pub fn parse(line: &str) -> Result<Line, UsageError> {
    let words = tokens::split(line);
    if words.is_empty() {
        return Ok(Line { command: Command::Help(Help { topic: None }), incident: None });
    }
    let first = words.first().map_or("", |word| word.text.as_str());
    let (command, rest) = (first.to_lowercase(), words.get(1..).unwrap_or_default());
    if let Some(option) = unquoted(&command, rest) {
        let usage = usage_of(&command).unwrap_or_default();
        return Err(UsageError(Words::new("usage.quotes").with("option", option).with("usage", usage)));
    }
    let rest: Vec<String> = rest.iter().map(|word| word.text.clone()).collect();
    // The command's own word is not case-sensitive: phones begin lines with a capital.
    let line = std::iter::once(command.clone()).chain(protect_dashes(&command, &rest));
    let matches = PARSER.lock().unwrap_or_else(PoisonError::into_inner).try_get_matches_from_mut(line);
    let read = matches.and_then(|matches| Line::from_arg_matches(&matches));
    read.map_err(|error| usage_error(&error, first))
}

/// The grammar, built once: building it takes hundreds of times as long as reading a line by it, and whoever typed the
/// line waits for its acknowledgement.
static GRAMMAR: LazyLock<clap::Command> = LazyLock::new(|| {
    let mut root = Line::command();
    root.build();
    root
});
/// The same, to read by: clap notes in it what it has looked at.
static PARSER: LazyLock<Mutex<clap::Command>> = LazyLock::new(|| Mutex::new(GRAMMAR.clone()));

/// The first option whose text seems to go on without quotes: only its first word would be taken, and the others would
/// go to other readers than they were meant for.
fn unquoted(command: &str, words: &[tokens::Word]) -> Option<String> {
    let found = GRAMMAR.find_subcommand(command)?;
    let option = |name: &str| found.get_arguments().find(|option| option.get_long() == Some(name));
    let takes_text = |name: &str| {
        let names = option(name).and_then(clap::Arg::get_value_names);
        names.is_some_and(|names| names.iter().any(|name| name == "text"))
    };
    let named = |word: &str| tokens::as_option(word).map(|option| option.trim_start_matches("--").to_owned());
    let is_option =
        |word: &str| named(word).is_some_and(|name| option(name.split('=').next().unwrap_or(&name)).is_some());
    words.iter().enumerate().find_map(|(place, word)| {
        let given = named(&word.text)?;
        let (name, value_at) = given.split_once('=').map_or((given.as_str(), place + 1), |(name, _)| (name, place));
        let quoted = words.get(value_at)?.quoted;
        let goes_on = words.get(value_at + 1).is_some_and(|next| !is_option(&next.text));
        (takes_text(name) && !quoted && goes_on).then(|| format!("--{name}"))
    })
}

/// Options as the grammar writes them. In a command with free text, a word that begins with a dash and is none of its
/// options is text, as it was typed: `note -5 % —really`.
fn protect_dashes(command: &str, words: &[String]) -> Vec<String> {
    let found = GRAMMAR.find_subcommand(command);
    let has_text = found.is_some_and(|sub| sub.get_arguments().any(|argument| argument.get_id() == "words"));
    let is_option = |word: &str| {
        let name = word.trim_start_matches("--").split('=').next();
        found.is_some_and(|sub| sub.get_arguments().any(|argument| argument.get_long() == name))
    };
    let protect = |word: &String| match tokens::as_option(word) {
        Some(option) if !has_text || is_option(&option) => option,
        _ if has_text && word.starts_with('-') => format!("{}{word}", tokens::GUARD),
        _ => word.clone(),
    };
    words.iter().map(protect).collect()
}

fn usage_error(error: &clap::Error, command: &str) -> UsageError {
    let text = |kind| error.get(kind).map(context_text).unwrap_or_default();
    let argument = text(ContextKind::InvalidArg).to_lowercase();
    let usage = usage_of(&command.to_lowercase()).unwrap_or_else(|| "/incident help".to_owned());
    let words = match error.kind() {
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => match nearest(command) {
            Some(nearest) => Words::new("usage.did_you_mean").with("suggestion", nearest),
            None => Words::new("usage.unknown_command"),
        }
        .with("found", command),
        ErrorKind::MissingRequiredArgument => {
            Words::new("usage.missing").with("missing", argument).with("usage", usage)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => Words::new("usage.bad_value")
            .with("found", text(ContextKind::InvalidValue))
            .with("argument", argument)
            .with("usage", usage),
        _ => Words::new("usage.not_understood").with("found", text(ContextKind::InvalidArg)).with("usage", usage),
    };
    UsageError(words)
}

fn context_text(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(" "),
        other => other.to_string(),
    }
}

/// How a command is typed, from the grammar: `/incident role <role> [person]`. In small letters, like what is typed.
pub fn usage_of(command: &str) -> Option<String> {
    let rendered = GRAMMAR.find_subcommand(command)?.clone().render_usage().to_string();
    let usage = rendered.trim_start_matches("Usage:").replace(" [OPTIONS]", "").replace("--in <inc_7>", "");
    let usage = usage.replace("]...", " …]");
    Some(usage.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
}

/// One line of the generated help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandHelp {
    /// The command's word; its sentence is the label `help.<name>`.
    pub name: String,
    /// Other words for it.
    pub aliases: Vec<String>,
    /// How it is typed.
    pub usage: String,
}

/// Every command, in the order of the grammar.
pub fn all_help() -> Vec<CommandHelp> {
    let commands = GRAMMAR.get_subcommands().map(|sub| CommandHelp {
        name: sub.get_name().to_owned(),
        aliases: sub.get_visible_aliases().map(str::to_owned).collect(),
        usage: usage_of(sub.get_name()).unwrap_or_default(),
    });
    commands.collect()
}

/// The command whose word is closest to `word`, if any is close.
fn nearest(word: &str) -> Option<String> {
    let all = GRAMMAR.get_subcommands().flat_map(|sub| {
        std::iter::once(sub.get_name().to_owned()).chain(sub.get_all_aliases().map(str::to_owned).collect::<Vec<_>>())
    });
    let word = word.to_lowercase();
    let near = all.map(|candidate| (distance(&word, &candidate), candidate)).min();
    near.filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 3)).map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(40).collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let cost = usize::from(left != right);
            let mut best = (rows[i][j] + cost).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *right && a[i] == b[j - 1] {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Free text of a command: the words as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text {
    /// The words.
    #[arg(value_parser = tokens::plain_word, value_name = "text")]
    words: Vec<String>,
}

impl Text {
    /// A text that was written in a modal.
    pub fn of(text: &str) -> Self {
        Self { words: vec![text.to_owned()] }
    }

    /// The text.
    pub fn text(&self) -> String {
        tokens::join(&self.words)
    }

    /// The text, unless it is empty.
    pub fn optional(&self) -> Option<String> {
        Some(self.text()).filter(|text| !text.is_empty())
    }
}

/// A person as typed: `me`, a mention, or the key of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Whoever types.
    Me,
    /// A mention.
    User(UserId),
    /// The key of a contact of the emergency plan.
    Key(String),
}

impl std::str::FromStr for Who {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inside = text.strip_prefix("<@").and_then(|rest| rest.strip_suffix('>'));
        if let Some(id) = inside.and_then(|inside| inside.split('|').next()).filter(|id| is_user_id(id)) {
            return Ok(Who::User(UserId(id.to_owned())));
        }
        match text.to_lowercase().as_str() {
            "me" | "moi" => Ok(Who::Me),
            key => Ok(Who::Key(key.trim_start_matches('@').to_owned())),
        }
    }
}

/// Slack's ids are capital letters and digits, 9 to 11 of them today. A terminal takes whatever is typed, and an id becomes
/// the name of a queue.
fn is_user_id(id: &str) -> bool {
    (2..=30).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

impl Who {
    /// The Slack person meant.
    ///
    /// # Errors
    /// When the key is nobody's, or that contact has no Slack id, or nobody types.
    pub fn user(&self, context: Context<'_>) -> Result<UserId, Refusal> {
        match self {
            Who::Me => context.by.person().cloned().ok_or_else(|| Refusal::new("refusal.me_at_terminal")),
            Who::User(user) => Ok(user.clone()),
            Who::Key(key) => {
                let contact = context.rules.contacts.get(key);
                let contact = contact.ok_or_else(|| unknown_person(context, key))?;
                contact
                    .slack
                    .clone()
                    .ok_or_else(|| Refusal::new("refusal.no_slack_id").with("name", contact.name.as_str()))
            }
        }
    }
}

/// The refusal that names the people that would have been understood.
fn unknown_person(context: Context<'_>, key: &str) -> Refusal {
    let known: Vec<Value> = context.rules.contacts.keys().map(|key| Value::from(key.as_str())).collect();
    Refusal::new("refusal.unknown_person").with("found", plain_text(key)).with("known", known)
}

/// The incident must still need people.
///
/// # Errors
/// A refusal that says how it ended.
fn must_be_open(incident: &Incident) -> Result<(), Refusal> {
    if incident.status.is_open() {
        return Ok(());
    }
    Err(Refusal::new("refusal.not_open")
        .with("incident", incident.id.to_string())
        .with("status", incident.status.word()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        parse(line).unwrap().command
    }

    #[test]
    fn free_text_may_hold_dashes_and_options_may_stand_anywhere() {
        let Command::Start(start) = command("Start sev2 load at -5 % --drill --now") else { panic!() };
        assert!(start.drill);
        assert_eq!(start.text.text(), "sev2 load at -5 % --now");
        assert_eq!(parse("note hello --in inc_7").unwrap().incident, Some(IncidentId(7)));
        assert_eq!(parse("note hello --in INC-7 there").unwrap().incident, Some(IncidentId(7)));
    }

    #[test]
    fn every_button_line_reads_back() {
        for line in [
            "approve run_7_1",
            "reject run_7_1",
            "tick run_7_1 db",
            "settle run_7_1 not-happened",
            "send upd_7_1",
            "hold upd_7_1 too early",
            "snooze --in inc_7",
            "ack --in inc_7",
            "run rollback-shop --in inc_7",
            "stop run_7_1",
            "role commander <@U1|lead>",
            "page level 2 come quick",
            "postmortem",
            "update --in inc_7",
            "files run_7_1",
            "help",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_mention_has_the_form_of_slacks_ids_or_is_a_name_that_nobody_has() {
        let too_long = format!("<@{}>", "A".repeat(31));
        for (text, user) in [
            ("<@U0ONCALL>", Some("U0ONCALL")),
            ("<@W012A3CDE|lead>", Some("W012A3CDE")),
            ("<@u0oncall>", None),
            ("<@U1 U2>", None),
            ("<@>", None),
            (too_long.as_str(), None),
        ] {
            let who: Who = text.parse().unwrap();
            let found = match &who {
                Who::User(user) => Some(user.0.as_str()),
                Who::Me | Who::Key(_) => None,
            };
            assert_eq!(found, user, "{text}");
        }
    }

    #[test]
    fn an_unknown_word_gets_the_nearest_one() {
        let wrong = parse("rolback").unwrap_err().0;
        assert_eq!((wrong.key.as_str(), wrong.vars["suggestion"].as_str()), ("usage.did_you_mean", Some("rollback")));
        assert_eq!(parse("xyzzyquux").unwrap_err().0.key, "usage.unknown_command");
        assert_eq!(parse("role").unwrap_err().0.key, "usage.missing");
        assert_eq!(parse("approve nonsense").unwrap_err().0.key, "usage.bad_value");
    }

    #[test]
    fn every_command_has_a_usage_line() {
        for help in all_help() {
            assert!(help.usage.starts_with(&format!("/incident {}", help.name)), "{help:?}");
        }
        assert_eq!(usage_of("role").as_deref(), Some("/incident role <role> [person]"));
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_the_grammar_panic(line in ".{0,200}") {
            let _ = parse(&line);
            let _ = parse(&format!("start {line}"));
        }
    }
}
