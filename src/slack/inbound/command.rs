//! Slash commands: `/incident …`.

use serde_json::Value;

use super::ask::{Ask, Asked};
use super::payload::{SlashCommand, some};
use super::{Ack, Inbound};
use crate::incident::command::{Command, UsageError, parse};
use crate::incident::id::{ChannelId, UserId};
use crate::incident::words::Words;

impl Inbound {
    /// Reads, stores, then answers. Slack does not deliver a command twice, so a failure is told and never silent.
    pub(super) async fn command(&self, payload: Value, envelope: &str) -> Ack {
        let typed: SlashCommand = match serde_json::from_value(payload) {
            Ok(typed) => typed,
            Err(cause) => {
                tracing::error!(%cause, "a slash command could not be read");
                return Ack::PLAIN;
            }
        };
        let user = UserId(typed.user_id);
        let line = match parse(&typed.text) {
            Ok(line) => line,
            Err(UsageError(words)) => return Ack::Taken(Some(self.tell(&user, &words))),
        };
        let declares = matches!(line.command, Command::Start(_));
        let source = some(&typed.trigger_id).unwrap_or_else(|| envelope.to_owned());
        let ask = Ask {
            line,
            user: user.clone(),
            channel: some(&typed.channel_id).map(ChannelId),
            response_url: some(&typed.response_url),
            trigger: typed.trigger_id,
            clicked: false,
            source: format!("slack:{source}"),
        };
        match self.ask(ask).await {
            Asked::Answer(words) => Ack::Taken(Some(self.tell(&user, &words))),
            Asked::Stored if declares => Ack::Taken(Some(self.tell(&user, &Words::new("reply.declaring")))),
            Asked::Stored | Asked::Opened => Ack::PLAIN,
        }
    }
}
