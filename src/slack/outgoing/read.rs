//! Reading a message that somebody wants in the timeline.

use serde_json::Value;

use super::super::budget::Urgency;
use super::super::client::{Slack, text};
use super::super::fault::SlackFault;
use super::super::scene::Scene;
use super::{CHANNEL_LOST, failed};
use crate::incident::command::plain_text;
use crate::incident::decision::{Effect, Report};
use crate::incident::id::{MessageRef, UserId};
use crate::incident::rules::Rules;

impl Slack {
    /// Reads one message with author and thread.
    pub(super) async fn read_message(
        &self,
        scene: &Scene<'_>,
        by: &UserId,
        message: &MessageRef,
    ) -> Result<Vec<Report>, SlackFault> {
        let found = match self.read_in_thread(message).await {
            Ok(Some(found)) => Some(found),
            Ok(None) => self.read_in_history(message).await?,
            Err(fault) if fault.is_one_of(&["thread_not_found", "message_not_found"]) => {
                self.read_in_history(message).await?
            }
            Err(fault) => return Err(fault),
        };
        let Some(found) = found else {
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
            text: content(scene.rules, &found),
            thread: thread.filter(|thread| !thread.is_empty() && *thread != message.ts),
        }])
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

/// A message's text and the names of its files, as plain text.
pub(in crate::slack) fn content(rules: &Rules, message: &Value) -> String {
    let mut lines = vec![plain(rules, &text(message, "/text"))];
    let files = message.pointer("/files").and_then(Value::as_array);
    for file in files.into_iter().flatten() {
        let name = ["/name", "/title"].iter().map(|at| text(file, at)).find(|name| !name.is_empty());
        lines.extend(name.map(|name| format!("📎 {name}")));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// Slack's markup as plain text; people of the plan are named as the plan names them.
fn plain(rules: &Rules, text: &str) -> String {
    let mut named = text.to_owned();
    for contact in rules.contacts.values() {
        if let Some(user) = &contact.slack {
            named = named.replace(&format!("<@{user}>"), &format!("<@{user}|{}>", contact.name));
        }
    }
    plain_text(&named)
}
