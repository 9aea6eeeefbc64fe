//! Reading a message that somebody wants in the timeline, or does not want there any more.

use serde_json::Value;

use super::super::budget::Urgency;
use super::super::client::{Slack, text};
use super::super::fault::SlackFault;
use super::super::scene::Scene;
use super::{CHANNEL_LOST, content, failed};
use crate::incident::decision::{Effect, Report};
use crate::incident::id::{MessageRef, UserId};

/// The names of 📌.
pub(in crate::slack) const PINS: [&str; 2] = ["pushpin", "round_pushpin"];

impl Slack {
    /// Reads one message with author and thread.
    pub(super) async fn read_message(
        &self,
        scene: &Scene<'_>,
        by: &UserId,
        message: &MessageRef,
    ) -> Result<Vec<Report>, SlackFault> {
        let Some(found) = self.read_one(message).await? else {
            let effect = Effect::ReadMessage { by: by.clone(), message: message.clone() };
            let fault = SlackFault::permanent("message_not_found", "The message does not exist any more.");
            return Ok(vec![failed(&effect, &fault)]);
        };
        let author = Some(text(&found, "/user")).filter(|user| !user.is_empty());
        let thread = Some(text(&found, "/thread_ts"));
        Ok(vec![Report::MessageRead {
            by: by.clone(),
            message: message.clone(),
            author: author.map(UserId),
            text: content::content(scene.rules, &found),
            thread: thread.filter(|thread| !thread.is_empty() && *thread != message.ts),
        }])
    }

    /// Looks whether a message still has a 📌 of anybody. One that is gone is told of by its deletion.
    pub(super) async fn look_for_pin(&self, by: &UserId, message: &MessageRef) -> Result<Vec<Report>, SlackFault> {
        let Some(found) = self.read_one(message).await? else { return Ok(Vec::new()) };
        let reactions = found.pointer("/reactions").and_then(Value::as_array);
        let is_pin = |reaction: &Value| PINS.contains(&text(reaction, "/name").as_str());
        if reactions.into_iter().flatten().any(is_pin) {
            return Ok(Vec::new());
        }
        Ok(vec![Report::PinGone { by: by.clone(), message: message.clone() }])
    }

    async fn read_one(&self, message: &MessageRef) -> Result<Option<Value>, SlackFault> {
        match self.read_in_thread(message).await {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => self.read_in_history(message).await,
            Err(fault) if fault.is_one_of(&["thread_not_found", "message_not_found"]) => {
                self.read_in_history(message).await
            }
            Err(fault) => Err(fault),
        }
    }

    /// A thread's first message comes first whatever is asked for, so two are asked for.
    async fn read_in_thread(&self, message: &MessageRef) -> Result<Option<Value>, SlackFault> {
        let mut query = exactly(message);
        query.push(("ts", message.ts.clone()));
        query.push(("limit", "2".to_owned()));
        let answer = self.get("conversations.replies", Urgency::Card, &query).await?;
        Ok(pick(&answer, &message.ts))
    }

    async fn read_in_history(&self, message: &MessageRef) -> Result<Option<Value>, SlackFault> {
        let mut query = exactly(message);
        query.push(("limit", "1".to_owned()));
        match self.get("conversations.history", Urgency::Card, &query).await {
            Ok(answer) => Ok(pick(&answer, &message.ts)),
            Err(fault) if fault.is_one_of(&CHANNEL_LOST) => Err(fault),
            Err(SlackFault::Permanent { code, .. }) => {
                tracing::warn!(code, "a message could not be read");
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

fn exactly(message: &MessageRef) -> Vec<(&'static str, String)> {
    vec![
        ("channel", message.channel.0.clone()),
        ("oldest", message.ts.clone()),
        ("latest", message.ts.clone()),
        ("inclusive", "true".to_owned()),
    ]
}

fn pick(answer: &Value, ts: &str) -> Option<Value> {
    let messages = answer.pointer("/messages")?.as_array()?;
    messages.iter().find(|message| text(message, "/ts") == ts).cloned()
}
