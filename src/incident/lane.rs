//! Where an effect waits until it is carried out: its lane, its queue in that, and what it folds with; an answer for a
//! terminal waits in the store instead.

use serde::{Deserialize, Serialize};

use super::decision::{Effect, ReplyTo, Sheet};
use super::id::IncidentId;
use super::state::Incident;
use super::timeline::Card;
use super::words::Words;

/// The order in which the engine serves effects: a slow lane never delays another (durability rule 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Reaching people.
    Page,
    /// Looking at and changing the world.
    Action,
    /// Telling people outside the incident.
    Comms,
    /// Slack.
    Chat,
}

/// The bulkhead of a lane that has no others.
pub const ONE_BULKHEAD: &str = "";

/// The bulkhead of executions, which take as long as a roll-out takes.
pub const EXECUTIONS: &str = "run:run_";

/// So many letters of a queue's name tell its bulkhead; the statement that claims says the same.
const BULKHEAD: usize = 8;

impl Lane {
    /// Every lane, most urgent first.
    pub const ALL: [Lane; 4] = [Lane::Page, Lane::Action, Lane::Comms, Lane::Chat];

    /// What of a queue's name says where its effects are carried out beside others: one way of paging, one kind of
    /// action, or one destination of texts (or a few that have the same [`short`]). Each has room of its own, so that one which
    /// is slow leaves the others theirs. A lane that goes to one place has one bulkhead.
    pub fn bulkhead(self, queue: &str) -> &str {
        match self {
            Lane::Page | Lane::Action | Lane::Comms => queue.get(..BULKHEAD).unwrap_or(queue),
            Lane::Chat => ONE_BULKHEAD,
        }
    }

    /// The word in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Lane::Page => "page",
            Lane::Action => "action",
            Lane::Comms => "comms",
            Lane::Chat => "chat",
        }
    }
}

/// Two letters for a destination, so that its bulkhead can be told by the beginning of a queue's name.
fn short(destination: &str) -> String {
    let sum = destination.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    format!("{sum:02x}")
}

impl Sheet {
    /// What a terminal is told instead: most of it is only for Slack.
    pub fn in_words(&self) -> Words {
        match self {
            Sheet::Choices { action, choices, .. } => {
                let list: Vec<serde_json::Value> = choices
                    .iter()
                    .map(|one| {
                        Words::new("terminal.choice").with("value", one.value.as_str()).with("what", one.label.clone())
                    })
                    .map(Into::into)
                    .collect();
                Words::new("terminal.choices").with("action", action.as_str()).with("choices", list)
            }
            _ => Words::new("terminal.only_in_slack"),
        }
    }
}

impl Effect {
    /// What whoever waits at a terminal is answered, and the name of their question.
    pub fn answer(&self) -> Option<(&str, Words)> {
        match self {
            Effect::Reply { to: ReplyTo::Terminal { ask }, words } => Some((ask, words.clone())),
            Effect::ReplyWith { to: ReplyTo::Terminal { ask }, sheet } => Some((ask, sheet.in_words())),
            _ => None,
        }
    }

    /// The lane it is served in.
    pub fn lane(&self) -> Lane {
        match self {
            Effect::Page { .. } => Lane::Page,
            Effect::Diagnose { .. }
            | Effect::Offer { .. }
            | Effect::Plan { .. }
            | Effect::KeepState { .. }
            | Effect::Run { .. } => Lane::Action,
            Effect::Deliver { .. } | Effect::TellRun { .. } => Lane::Comms,
            _ => Lane::Chat,
        }
    }

    /// The queue it waits in: one sender at a time, order kept (durability rule 3). Only what refreshes lets others pass
    /// once it was put off.
    pub fn queue(&self, incident: Option<IncidentId>) -> String {
        let of = incident.map(|id| id.to_string()).unwrap_or_default();
        match self {
            Effect::Page { page, way, .. } => format!("page:{way}:{page}"),
            Effect::Diagnose { diagnostic, .. } => format!("action:{diagnostic}"),
            Effect::Offer { action, to, .. } => format!("offer:{of}:{action}:{}", to.name()),
            Effect::Plan { run } => format!("action:{run}"),
            Effect::Run { run } => format!("run:{run}"),
            Effect::KeepState { run } => format!("keep:{run}"),
            Effect::Deliver { update, destination, customer, .. } => {
                format!("comms:{}:{update}:{destination}:{customer}", short(destination))
            }
            Effect::TellRun { run, ended, destination } => {
                format!("comms:{}:{run}:{destination}:{ended}", short(destination))
            }
            Effect::AskGroups { by, .. } => format!("chat:groups:{by}"),
            Effect::ShowCard { card: Card::Announcement } => format!("chat:announce:{of}"),
            Effect::ShowCard { card: Card::Page(page) } => format!("chat:{page}"),
            Effect::Home { user } => format!("chat:home:{user}"),
            Effect::Reply { to: to @ ReplyTo::Person { .. }, .. }
            | Effect::ReplyWith { to: to @ ReplyTo::Person { .. }, .. } => format!("chat:reply:{}", to.name()),
            Effect::Reply { .. } | Effect::ReplyWith { .. } => "chat:reply".into(),
            _ => format!("chat:{of}"),
        }
    }

    /// Waiting effects with the same key fold into one: the state is read when it is sent, so the newest wins.
    pub fn fold_key(&self) -> Option<String> {
        match self {
            Effect::ShowCard { card } => Some(format!("card:{}", card.name())),
            Effect::Topic => Some("topic".into()),
            Effect::PinCard => Some("pin".into()),
            Effect::LookAtChannel => Some("look".into()),
            Effect::Home { user } => Some(format!("home:{user}")),
            _ => None,
        }
    }

    /// Whether it may change nothing but how something looks that is there already: it depends on the incident.
    pub fn may_refresh(&self) -> bool {
        matches!(self, Effect::Topic | Effect::PinCard | Effect::ShowCard { .. })
    }

    /// Whether it changes nothing but how something looks that is there already, so that it matters to nobody whether it is
    /// done before or after what else its queue holds.
    pub fn only_refreshes(&self, incident: &Incident) -> bool {
        match self {
            Effect::ShowCard { card } => incident.cards.get(card).is_some_and(|message| {
                // What stood in a channel that was lost is posted anew.
                let elsewhere = matches!(card, Card::Announcement | Card::Page(_));
                let channel = incident.usable_channel();
                elsewhere || channel.is_some_and(|channel| channel.id == message.channel)
            }),
            _ => self.may_refresh(),
        }
    }
}
