//! Clicks, dialogs and shortcuts.

use serde_json::{Value, json};

use super::super::outgoing::content;
use super::super::views;
use super::ask::{Ask, Asked};
use super::payload::{Interaction, some};
use super::{Ack, Inbound};
use crate::incident::command::{Command, Line, Start, UsageError, parse};
use crate::incident::decision::{ChatEvent, Input, ReplyTo};
use crate::incident::id::{ChannelId, MessageRef, UserId};
use crate::incident::words::Words;
use crate::store::Target;

/// The global shortcut's name in the manifest.
const START_INCIDENT: &str = "start_incident";
/// The message shortcut's name in the manifest.
const ADD_TO_TIMELINE: &str = "add_to_timeline";

impl Inbound {
    pub(super) async fn interaction(&self, payload: Value) -> Ack {
        let what: Interaction = match serde_json::from_value(payload.clone()) {
            Ok(what) => what,
            Err(cause) => {
                tracing::error!(%cause, "an interaction could not be read");
                return Ack::PLAIN;
            }
        };
        match (what.kind.as_str(), what.callback_id.as_str()) {
            ("block_actions", _) => self.clicked(&what, &payload).await,
            ("view_submission", _) => self.submitted(&what, &payload).await,
            ("shortcut", START_INCIDENT) => self.shortcut(&what).await,
            ("message_action", ADD_TO_TIMELINE) => self.message_shortcut(&what).await,
            ("view_closed", _) => Ack::PLAIN,
            (kind, callback) => {
                tracing::warn!(kind, callback, "an interaction that Vigie does not know was acknowledged");
                Ack::PLAIN
            }
        }
    }

    /// A button or a menu: its value is the command line it stands for.
    async fn clicked(&self, what: &Interaction, payload: &Value) -> Ack {
        if let Some(ack) = self.in_dialog(what, payload).await {
            return ack;
        }
        let Some((action, line)) = what.actions.iter().find_map(|action| Some((action, action.line()?))) else {
            tracing::debug!("a click without a command line was acknowledged");
            return Ack::PLAIN;
        };
        let user = UserId(what.user.id.clone());
        let reply = reply_to(what);
        let line = match parse(line) {
            Ok(line) => line,
            Err(UsageError(words)) => {
                // A button of an older version, or one that is not a command.
                tracing::warn!(action = action.action_id, key = words.key, "a button's line is not understood");
                self.answer_later(reply, words);
                return Ack::PLAIN;
            }
        };
        let ask = Ask {
            line,
            user,
            channel: what.channel_id().map(ChannelId::from),
            response_url: some(&what.response_url),
            trigger: what.trigger_id.clone(),
            clicked: true,
            source: what.source(),
        };
        if let Asked::Answer(words) = self.ask(ask).await {
            self.answer_later(reply, words);
        }
        Ack::PLAIN
    }

    /// Buttons inside a dialog (preview) change the dialog and nothing else.
    async fn in_dialog(&self, what: &Interaction, payload: &Value) -> Option<Ack> {
        let view = what.view.as_ref().filter(|view| view.kind == "modal")?;
        let user = UserId(what.user.id.clone());
        let incident = match views::incident_of(payload) {
            Some(id) => self.store.incident(id).await,
            None => Ok(None),
        };
        let shown = match incident {
            Ok(incident) => self.shown(incident, false).await,
            Err(fault) => Err(fault),
        };
        let drawn = match &shown {
            Ok(shown) => {
                views::changed(&self.scene(shown), payload, &user).map_err(|cause| self.sorry("a dialog", &cause))
            }
            Err(fault) => Err(self.sorry("a dialog", fault)),
        };
        match drawn {
            Ok(Some(fresh)) => {
                let changing = self.slack.update_view(&view.id, &view.hash, &fresh);
                match tokio::time::timeout(super::ACK_BEFORE, changing).await {
                    Ok(Ok(())) => {}
                    Ok(Err(fault)) => tracing::warn!(code = fault.code(), "a dialog was not updated"),
                    Err(_) => tracing::warn!("whether a dialog was updated is not known: Slack did not say in time"),
                }
            }
            Ok(None) => return None,
            Err(words) => self.answer_later(reply_to(what), words),
        }
        Some(Ack::PLAIN)
    }

    /// A dialog was sent off.
    async fn submitted(&self, what: &Interaction, payload: &Value) -> Ack {
        let user = UserId(what.user.id.clone());
        let read = match views::read(payload) {
            Ok(read) => read,
            Err(errors) => {
                let told: serde_json::Map<String, Value> =
                    errors.into_iter().map(|(block, words)| (block, self.say(&user, &words).into())).collect();
                return Ack::Taken(Some(json!({"response_action": "errors", "errors": told})));
            }
        };
        let view = what.view.as_ref().map(|view| view.id.as_str()).unwrap_or_default();
        let source = if view.is_empty() { what.source() } else { format!("slack:{view}") };
        let blame = read.block;
        let ask = Ask {
            line: read.line,
            user: user.clone(),
            channel: read.channel,
            response_url: None,
            trigger: String::new(),
            clicked: false,
            source,
        };
        let asked = match self.would_be_refused(&ask).await {
            Ok(None) => self.store_line(ask).await,
            Ok(Some(refusal)) => Asked::Answer(refusal),
            Err(fault) => Asked::Answer(self.sorry("a dialog", &fault)),
        };
        match asked {
            // What was written stays in the dialog, so that nothing has to be typed again.
            Asked::Answer(words) => {
                let errors = json!({blame: self.say(&user, &words)});
                Ack::Taken(Some(json!({"response_action": "errors", "errors": errors})))
            }
            Asked::Stored | Asked::Opened => Ack::Taken(Some(json!({"response_action": "clear"}))),
        }
    }

    /// “Start an incident” from the lightning menu.
    async fn shortcut(&self, what: &Interaction) -> Ack {
        let ask = Ask {
            line: Line { command: Command::Start(Start::default()), incident: None },
            user: UserId(what.user.id.clone()),
            channel: None,
            response_url: None,
            trigger: what.trigger_id.clone(),
            clicked: true,
            source: what.source(),
        };
        if let Asked::Answer(words) = self.ask(ask).await {
            self.answer_later(reply_to(what), words);
        }
        Ack::PLAIN
    }

    /// “Add to incident timeline” on a message; the message comes with it.
    async fn message_shortcut(&self, what: &Interaction) -> Ack {
        let by = UserId(what.user.id.clone());
        let reply = reply_to(what);
        let Some(channel) = what.channel_id().map(ChannelId::from) else {
            self.answer_later(reply, Words::new("refusal.not_incident_channel"));
            return Ack::PLAIN;
        };
        let target = match self.store.incident_in(&channel).await {
            Ok(Some(incident)) => Target { incident: Some(incident.id), channel: Some(channel.clone()) },
            Ok(None) => {
                self.answer_later(reply, Words::new("refusal.not_incident_channel"));
                return Ack::PLAIN;
            }
            Err(fault) => {
                self.answer_later(reply, self.sorry("a message shortcut", &fault));
                return Ack::PLAIN;
            }
        };
        let text = |pointer: &str| super::super::client::text(&what.message, pointer);
        let ts = some(&text("/ts")).unwrap_or_else(|| what.message_ts.clone());
        let input = Input::Chat(ChatEvent::Shortcut {
            by,
            author: some(&text("/user")).map(UserId),
            text: content(&self.rules, &what.message),
            thread: some(&text("/thread_ts")).filter(|thread| *thread != ts),
            message: MessageRef { channel, ts },
            reply: reply.clone(),
        });
        if let Err(fault) = self.receive(&what.source(), target, &input).await {
            self.answer_later(reply, self.sorry("a message shortcut", &fault));
        }
        Ack::PLAIN
    }

    /// Tells one person, after the acknowledgement.
    fn answer_later(&self, to: ReplyTo, words: Words) {
        let this = self.clone();
        tokio::spawn(async move {
            let ReplyTo::Person { user, .. } = &to else { return };
            let drawn = super::super::scene::Drawn { text: this.say(user, &words), blocks: Vec::new() };
            if let Err(fault) = this.slack.answer(&to, &drawn).await {
                tracing::warn!(code = fault.code(), key = words.key, "an answer did not get through");
            }
        });
    }
}

fn reply_to(what: &Interaction) -> ReplyTo {
    ReplyTo::Person {
        user: UserId(what.user.id.clone()),
        channel: what.channel_id().map(ChannelId::from),
        response_url: some(&what.response_url),
    }
}
