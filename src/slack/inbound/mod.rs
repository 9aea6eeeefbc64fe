//! What comes in from Slack, by whichever door: read, put into the inbox, then acknowledged (durability rule 1).
//!
//! Nothing is decided here. A line that the grammar does not know is answered at once and not stored; a command that
//! comes without its text opens a dialog, because Slack's permission for it lives 3 s; all else goes through the inbox.

mod ask;
mod command;
mod event;
mod interaction;
mod payload;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::cards::words;
use super::client::Slack;
use super::outgoing::locale_of;
use super::scene::Scene;
use crate::clock::Clock;
use crate::incident::decision::Input;
use crate::incident::id::UserId;
use crate::incident::rules::Rules;
use crate::incident::state::Incident;
use crate::incident::timeline::Entry;
use crate::incident::waiting::OpenIncidents;
use crate::incident::words::Words;
use crate::render::Renderer;
use crate::store::{Store, StoreFault, Target};

/// Slack waits 3 s; what is not done by then is acknowledged all the same.
const ACK_BEFORE: Duration = Duration::from_millis(2_300);

/// Everything an incoming payload needs.
#[derive(Clone)]
pub struct Inbound {
    store: Store,
    clock: Clock,
    rules: Arc<Rules>,
    render: Arc<Renderer>,
    slack: Slack,
}

/// Which of Slack's three kinds a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A slash command.
    Command,
    /// A click, a dialog, a shortcut.
    Interaction,
    /// Something that happened.
    Event,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Command => "command",
            Kind::Interaction => "interaction",
            Kind::Event => "event",
        }
    }
}

/// One payload.
#[derive(Debug)]
pub(super) struct Delivery {
    pub kind: Kind,
    pub payload: Value,
    /// The envelope's own id, for payloads that have none.
    pub id: String,
}

/// What Slack is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ack {
    /// Taken; with an answer where Slack takes one.
    Taken(Option<Value>),
    /// Not stored: Slack shall deliver it again.
    Again,
}

impl Ack {
    /// Taken, and nothing to say.
    const PLAIN: Ack = Ack::Taken(None);
}

impl Inbound {
    /// Puts the doors in front of the store.
    pub fn new(store: Store, clock: Clock, rules: Arc<Rules>, render: Arc<Renderer>, slack: Slack) -> Self {
        Self { store, clock, rules, render, slack }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn slack(&self) -> &Slack {
        &self.slack
    }

    /// Takes one payload; returns once it is safe in the store, or cannot be.
    pub(super) async fn take(&self, delivery: Delivery) -> Ack {
        let Delivery { kind, payload, id } = delivery;
        let before = self.clock.now();
        let ack = match kind {
            Kind::Command => self.command(payload, &id).await,
            Kind::Interaction => self.interaction(payload).await,
            Kind::Event => self.event(payload, &id).await,
        };
        let word = if ack == Ack::Again { "again" } else { "taken" };
        metrics::counter!("vigie_slack_deliveries_total", "kind" => kind.word(), "outcome" => word).increment(1);
        let took = self.clock.now().since(before);
        metrics::histogram!("vigie_slack_ack_seconds", "kind" => kind.word()).record(took.0 as f64 / 1000.0);
        ack
    }

    /// Into the inbox. A repeated delivery has the same `source` and changes nothing. Whether it is new.
    async fn receive(&self, source: &str, target: Target, input: &Input) -> Result<bool, StoreFault> {
        let new = self.store.receive(source, target, input, self.clock.now()).await?;
        if !new {
            tracing::info!(source, "a repeated delivery was dropped");
        }
        Ok(new)
    }

    /// A sentence in a person's language.
    fn say(&self, user: &UserId, words: &Words) -> String {
        let nothing = Shown { incident: None, timeline: Vec::new(), open: OpenIncidents::default() };
        let scene = self.scene(&nothing);
        words::say(&scene, locale_of(&scene, user), words).unwrap_or_else(|cause| {
            tracing::error!(key = words.key, %cause, "a sentence could not be said");
            // The key itself is better than silence, and names what to mend.
            words.key.clone()
        })
    }

    /// Something broke: the log gets the fault, the person a sentence with the reference to find it by.
    fn sorry(&self, what: &str, fault: &dyn std::fmt::Display) -> Words {
        let reference: String = uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect();
        tracing::error!(reference, what, %fault, "not taken");
        Words::new("refusal.failed").with("reference", reference)
    }

    /// An answer that only the person who asked sees.
    fn tell(&self, user: &UserId, words: &Words) -> Value {
        json!({"response_type": "ephemeral", "text": self.say(user, words)})
    }

    /// What dialogs and Home are drawn from.
    async fn shown(&self, incident: Option<Incident>, with_open: bool) -> Result<Shown, StoreFault> {
        let timeline = match &incident {
            Some(incident) => self.store.timeline(incident.id).await?,
            None => Vec::new(),
        };
        let open = if with_open { self.store.open_incidents().await? } else { OpenIncidents::default() };
        Ok(Shown { incident, timeline, open })
    }

    fn scene<'a>(&'a self, shown: &'a Shown) -> Scene<'a> {
        Scene {
            incident: shown.incident.as_ref(),
            timeline: &shown.timeline,
            workspace: self.slack.known_identity().map(|identity| identity.url.as_str()),
            ..Scene::bare(&self.rules, &self.render, self.clock.now(), &shown.open)
        }
    }
}

/// The owned half of a [`Scene`].
struct Shown {
    incident: Option<Incident>,
    timeline: Vec<Entry>,
    open: OpenIncidents,
}
