//! Looking for a message that may already have been posted, by the name in its metadata (durability rule 5).

use serde_json::Value;

use super::super::budget::Urgency;
use super::super::client::{Slack, text};
use super::super::fault::SlackFault;
use super::post::Mark;
use crate::incident::id::{ChannelId, MessageRef};
use crate::incident::time::{Instant, Millis};

/// Pages of the history that are read at most, the newest first.
const PAGES: usize = 5;
/// Messages of one page.
const PAGE: usize = 200;
/// Slack's clock and ours may differ by this much.
const CLOCKS_DIFFER: Millis = Millis::minutes(10);

impl Slack {
    /// Whether an earlier attempt may have posted what `name` names. Only known for the attempt right before this one;
    /// after a restart anything may have happened.
    pub(super) fn may_stand(&self, name: &str, attempt: u32) -> bool {
        let untouched = self.memory().untouched.remove(name).map(|(_, attempt)| attempt);
        attempt > 1 && untouched != Some(attempt - 1)
    }

    /// Keeps in mind how an attempt ended, so that waiting for our turn costs no search.
    pub(super) fn note_attempt<T>(&self, name: &str, attempt: u32, result: &Result<T, SlackFault>) {
        if let Err(fault) = result
            && fault.is_before_work()
        {
            self.memory().untouched.insert(name.to_owned(), attempt);
        }
    }

    /// The message with this mark that Vigie posted in a conversation since `since`, if there is one.
    pub(super) async fn find_marked(
        &self,
        channel: &ChannelId,
        since: Option<Instant>,
        mark: &Mark,
    ) -> Result<Option<MessageRef>, SlackFault> {
        self.find_message(channel, since, |message| mark.is_on(message)).await
    }

    /// The newest message of Vigie's in a conversation that `wanted` recognises.
    pub(super) async fn find_message(
        &self,
        channel: &ChannelId,
        since: Option<Instant>,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Option<MessageRef>, SlackFault> {
        let us = self.identity().await?;
        let ours = |message: &Value| {
            text(message, "/user") == us.user.0 || (!us.bot.is_empty() && text(message, "/bot_id") == us.bot)
        };
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let page = self.history(channel, since, &cursor).await?;
            let messages = page.pointer("/messages").and_then(Value::as_array);
            let found = messages.into_iter().flatten().find(|message| ours(message) && wanted(message));
            if let Some(message) = found {
                return Ok(Some(MessageRef { channel: channel.clone(), ts: text(message, "/ts") }));
            }
            cursor = text(&page, "/response_metadata/next_cursor");
            if cursor.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    async fn history(&self, channel: &ChannelId, since: Option<Instant>, cursor: &str) -> Result<Value, SlackFault> {
        let mut query = vec![
            ("channel", channel.0.clone()),
            ("include_all_metadata", "true".to_owned()),
            ("limit", PAGE.to_string()),
        ];
        if let Some(since) = since {
            let oldest = (since - CLOCKS_DIFFER).0.max(0) / 1000;
            query.push(("oldest", format!("{oldest}.000000")));
        }
        if !cursor.is_empty() {
            query.push(("cursor", cursor.to_owned()));
        }
        self.get("conversations.history", Urgency::Person, &query).await
    }
}
