//! Messages: posting one, editing one, each with a name in its metadata by which it is found again.

use serde_json::{Value, json};

use super::super::budget::Urgency;
use super::super::client::{Slack, text};
use super::super::fault::{self, SlackFault};
use super::super::scene::Drawn;
use crate::incident::id::{ChannelId, MessageRef};

/// The most text that `chat.update` takes (docs: chat.update, `msg_too_long`).
const UPDATE_TEXT: usize = 4_000;
/// Slack's words for blocks that it does not take, though the text alone would do.
const BLOCKS_REFUSED: [&str; 4] = ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "block_mismatch"];
/// Slack's words for a message that cannot be edited but could be posted anew.
pub(super) const MESSAGE_GONE: [&str; 4] =
    ["message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"];

/// The name of a message in its metadata: strings only, or buttons on it could not be read (platform facts 1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// `vigie_card` or `vigie_text`.
    pub kind: &'static str,
    /// What names it among its kind.
    pub fields: Vec<(&'static str, String)>,
}

impl Mark {
    fn metadata(&self) -> Value {
        let payload: serde_json::Map<String, Value> =
            self.fields.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))).collect();
        json!({"event_type": self.kind, "event_payload": payload})
    }

    /// Whether a message from Slack's history carries this mark.
    pub fn is_on(&self, message: &Value) -> bool {
        text(message, "/metadata/event_type") == self.kind
            && self.fields.iter().all(|(key, value)| text(message, &format!("/metadata/event_payload/{key}")) == *value)
    }
}

impl Slack {
    /// Posts a message. Blocks that Slack does not take are left out rather than the message.
    pub(super) async fn post_message(
        &self,
        channel: &ChannelId,
        urgency: Urgency,
        drawn: &Drawn,
        mark: &Mark,
    ) -> Result<MessageRef, SlackFault> {
        const METHOD: &str = "chat.postMessage";
        let blocks = blocks(drawn)?;
        let mut body = json!({
            "channel": channel.0,
            "text": drawn.text,
            "blocks": blocks,
            "unfurl_links": false,
            "unfurl_media": false,
            "metadata": mark.metadata(),
        });
        if drawn.blocks.is_empty() {
            without_blocks(&mut body);
        }
        let mut answer = self.post(METHOD, urgency, &channel.0, &body).await;
        if let Err(fault) = &answer
            && fault.is_one_of(&BLOCKS_REFUSED)
        {
            tracing::error!(code = fault.code(), ?mark, "Slack refused the blocks; the text alone is posted");
            without_blocks(&mut body);
            answer = self.post(METHOD, urgency, &channel.0, &body).await;
        }
        let answer = answer?;
        let message = MessageRef { channel: ChannelId(text(&answer, "/channel")), ts: text(&answer, "/ts") };
        if message.ts.is_empty() || message.channel.0.is_empty() {
            return Err(fault::garbage(METHOD));
        }
        Ok(message)
    }

    /// Edits a message; its metadata stays.
    pub(super) async fn edit_message(
        &self,
        message: &MessageRef,
        urgency: Urgency,
        drawn: &Drawn,
    ) -> Result<(), SlackFault> {
        const METHOD: &str = "chat.update";
        let text: String = drawn.text.chars().take(UPDATE_TEXT).collect();
        let mut body = json!({
            "channel": message.channel.0,
            "ts": message.ts,
            "text": text,
            "blocks": blocks(drawn)?,
        });
        let mut answer = self.post(METHOD, urgency, &message.channel.0, &body).await;
        if let Err(fault) = &answer
            && fault.is_one_of(&BLOCKS_REFUSED)
        {
            tracing::error!(code = fault.code(), "Slack refused the blocks; the text alone is shown");
            body["blocks"] = json!([]);
            answer = self.post(METHOD, urgency, &message.channel.0, &body).await;
        }
        answer.map(|_| ())
    }

    /// Posts a plain text to a Slack channel on behalf of another lane (a customer channel, an internal list).
    /// `key` names the text for ever; from the second attempt on it is looked for before it is posted again. The text
    /// is Slack markup: escape what is untrusted.
    ///
    /// # Errors
    /// A [`SlackFault`], also when the channel cannot be used.
    pub async fn post_text(
        &self,
        channel: &ChannelId,
        text: &str,
        key: &str,
        attempt: u32,
    ) -> Result<MessageRef, SlackFault> {
        let mark = Mark { kind: "vigie_text", fields: vec![("key", key.to_owned())] };
        if self.may_stand(key, attempt)
            && let Some(found) = self.find_marked(channel, None, &mark).await?
        {
            return Ok(found);
        }
        let drawn = Drawn { text: text.to_owned(), blocks: Vec::new() };
        let posted = self.post_message(channel, Urgency::Card, &drawn, &mark).await;
        self.note_attempt(key, attempt, &posted);
        posted
    }
}

fn without_blocks(body: &mut Value) {
    if let Some(body) = body.as_object_mut() {
        body.remove("blocks");
    }
}

/// Blocks as JSON.
pub(super) fn blocks(drawn: &Drawn) -> Result<Value, SlackFault> {
    serde_json::to_value(&drawn.blocks).map_err(|cause| super::undrawable("message", &cause))
}
