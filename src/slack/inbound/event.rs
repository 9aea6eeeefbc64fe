//! Events: reactions, edits, deletions, the fate of channels, the Home tab.

use serde_json::Value;

use super::super::client::text;
use super::super::outgoing::{CANARY_HEARD, PINS, content};
use super::payload::{Event, EventCallback};
use super::{Ack, Inbound};
use crate::incident::decision::{ChatEvent, Effect, Input};
use crate::incident::id::{ChannelId, MessageRef, UserId};
use crate::store::Target;

impl Inbound {
    /// Stores what concerns an incident's channel; all else is acknowledged and dropped.
    pub(super) async fn event(&self, payload: Value, envelope: &str) -> Ack {
        let callback: EventCallback = match serde_json::from_value(payload) {
            Ok(callback) => callback,
            Err(cause) => {
                tracing::error!(%cause, "an event could not be read");
                return Ack::PLAIN;
            }
        };
        let event = &callback.event;
        match (callback.kind.as_str(), event.kind.as_str()) {
            ("app_rate_limited", _) => {
                tracing::warn!("Slack holds events back: more than 30,000 in an hour");
                return Ack::PLAIN;
            }
            (_, "tokens_revoked" | "app_uninstalled") => {
                // Perhaps only somebody's own token: the watch asks.
                let why = "the app was removed from the workspace or its tokens were revoked; install it again and set SLACK_BOT_TOKEN";
                tracing::error!("{why}");
                self.slack.note_refusal(Some(why.to_owned()));
                return Ack::PLAIN;
            }
            (_, "app_home_opened") => {
                self.home_opened(event);
                return Ack::PLAIN;
            }
            (_, "message") if self.slack.hears_canary(event.channel_id(), self.clock.now()) => {
                self.canary_was_heard().await;
                return Ack::PLAIN;
            }
            _ => {}
        }
        self.know_ourselves().await;
        let Some(happening) = self.read(event) else {
            tracing::debug!(kind = event.kind, subtype = event.subtype, "an event that Vigie does not need");
            return Ack::PLAIN;
        };
        let source = match callback.event_id.as_str() {
            "" => format!("slack:{envelope}"),
            id => format!("slack:{id}"),
        };
        self.store_event(&source, happening).await
    }

    async fn canary_was_heard(&self) {
        if !self.store.is_shared() {
            return;
        }
        if let Err(fault) = self.store.set_number(CANARY_HEARD, self.clock.now().0).await {
            tracing::warn!(%fault, "the other processes do not learn that the canary was heard");
        }
    }

    async fn store_event(&self, source: &str, happening: ChatEvent) -> Ack {
        let channel = happening.channel().clone();
        let incident = match self.store.incident_in(&channel).await {
            Ok(Some(incident)) => incident.id,
            Ok(None) => return Ack::PLAIN,
            Err(fault) => {
                tracing::error!(%fault, "an event was not taken; Slack delivers it again");
                return Ack::Again;
            }
        };
        let input = Input::Chat(happening);
        let target = Target { incident: Some(incident), channel: Some(channel) };
        match self.receive(source, target, &input).await {
            Ok(_) => Ack::PLAIN,
            Err(fault) => {
                tracing::error!(%fault, "an event was not taken; Slack delivers it again");
                Ack::Again
            }
        }
    }

    /// What an event means for an incident, if anything.
    fn read(&self, event: &Event) -> Option<ChatEvent> {
        let channel = || Some(ChannelId::from(event.channel_id())).filter(|channel| !channel.0.is_empty());
        let changed = || Some(ChatEvent::ChannelChanged { channel: channel()? });
        match event.kind.as_str() {
            "reaction_added" | "reaction_removed" => self.pinned(event),
            "message" => self.changed(event),
            "channel_archive" | "group_archive" | "channel_unarchive" | "group_unarchive" => changed(),
            "channel_deleted" | "group_deleted" | "channel_left" | "group_left" => changed(),
            "member_left_channel" | "member_joined_channel" if self.is_us(event.user_id()) => changed(),
            _ => None,
        }
    }

    fn pinned(&self, event: &Event) -> Option<ChatEvent> {
        let item = &event.item;
        let is_message = item.kind == "message" && !item.channel.is_empty() && !item.ts.is_empty();
        let by = UserId(event.user_id().to_owned());
        if !is_message || by.0.is_empty() || self.is_us(&by.0) || !PINS.contains(&event.reaction.as_str()) {
            return None;
        }
        let message = MessageRef { channel: ChannelId(item.channel.clone()), ts: item.ts.clone() };
        Some(match event.kind.as_str() {
            "reaction_added" => ChatEvent::Pinned { by, message },
            _ => ChatEvent::Unpinned { by, message },
        })
    }

    /// Edits and deletions. An unfurled link also comes as an edit, with the same text.
    fn changed(&self, event: &Event) -> Option<ChatEvent> {
        let channel = Some(ChannelId::from(event.channel_id())).filter(|channel| !channel.0.is_empty())?;
        let message = |ts: String| Some(ts).filter(|ts| !ts.is_empty()).map(|ts| MessageRef { channel, ts });
        match event.subtype.as_str() {
            "message_changed" if text(&event.message, "/subtype") == "tombstone" => {
                Some(ChatEvent::Deleted { message: message(text(&event.message, "/ts"))? })
            }
            "message_changed" => {
                let is_same = text(&event.message, "/text") == text(&event.previous_message, "/text");
                if is_same || self.is_ours(&event.message) {
                    return None;
                }
                let edited = Some(text(&event.message, "/edited/ts")).filter(|ts| !ts.is_empty());
                Some(ChatEvent::Edited {
                    message: message(text(&event.message, "/ts"))?,
                    text: content(&self.rules, &event.message),
                    edited: edited.unwrap_or_else(|| event.event_ts.clone()),
                })
            }
            "message_deleted" if !self.is_ours(&event.previous_message) => {
                Some(ChatEvent::Deleted { message: message(event.deleted_ts.clone())? })
            }
            _ => None,
        }
    }

    /// Who we are is asked at start-up; where Slack was not there then, it is asked now, before our own edits and
    /// reactions are taken for a person's.
    async fn know_ourselves(&self) {
        if self.slack.known_identity().is_none()
            && !matches!(tokio::time::timeout(super::ACK_BEFORE, self.slack.identity()).await, Ok(Ok(_)))
        {
            tracing::warn!("Slack did not say who Vigie is there");
        }
    }

    fn is_us(&self, user: &str) -> bool {
        self.slack.known_identity().is_some_and(|us| us.user.0 == user)
    }

    fn is_ours(&self, message: &Value) -> bool {
        let known = self.slack.known_identity();
        known.is_some_and(|us| {
            text(message, "/user") == us.user.0 || (!us.bot.is_empty() && text(message, "/bot_id") == us.bot)
        })
    }

    /// Draws the Home tab of whoever looks at it.
    fn home_opened(&self, event: &Event) {
        if event.tab != "home" {
            return;
        }
        let this = self.clone();
        let user = UserId(event.user_id().to_owned());
        tokio::spawn(async move {
            let shown = match this.shown(None, true).await {
                Ok(shown) => shown,
                Err(fault) => return tracing::error!(%fault, "a Home tab could not be drawn"),
            };
            let effect = Effect::Home { user };
            if let Err(fault) = this.slack.carry_out(&this.scene(&shown), &effect, 1).await {
                tracing::warn!(code = fault.code(), why = fault.why(), "a Home tab was not published");
            }
        });
    }
}
