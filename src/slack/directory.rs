//! People and channels as Slack knows them, asked for anew; direct-message conversations, remembered and never relied on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::budget::Urgency;
use super::client::{Slack, text};
use super::fault::{self, SlackFault};
use crate::incident::id::{ChannelId, UserId};

const OPEN: &str = "conversations.open";
/// A conversation may take this long to open, the wait for somebody else's call included: half a second more than one call
/// may. Else those who wait would each sit out the calls of all before them when Slack falls silent.
const OPENED_WITHIN: Duration = Duration::from_millis(10_500);

/// One person as Slack knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name people see.
    pub name: String,
    /// The account is switched off: nobody reads its messages.
    pub deleted: bool,
    /// Not a person.
    pub is_bot: bool,
}

/// One channel as Slack knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its name, without `#`.
    pub name: String,
    /// Nobody can write there any more.
    pub archived: bool,
    /// Only those who are invited see it.
    pub private: bool,
    /// Vigie is in it.
    pub member: bool,
}

impl Slack {
    /// A person's profile (`users.info`).
    ///
    /// # Errors
    /// What Slack says; `user_not_found` for an id that is nobody's.
    pub async fn profile(&self, user: &UserId) -> Result<Profile, SlackFault> {
        let query = [("user", user.0.clone())];
        let answer = self.get("users.info", Urgency::Card, &query).await?;
        let flag = |pointer: &str| answer.pointer(pointer).and_then(|v| v.as_bool()).unwrap_or(false);
        let names = ["/user/profile/display_name", "/user/real_name", "/user/profile/real_name", "/user/name"];
        let name = names.iter().map(|at| text(&answer, at)).find(|name| !name.is_empty());
        Ok(Profile {
            name: name.unwrap_or_else(|| user.0.clone()),
            deleted: flag("/user/deleted"),
            is_bot: flag("/user/is_bot"),
        })
    }

    /// How a channel is (`conversations.info`).
    ///
    /// # Errors
    /// What Slack says; `channel_not_found` for one that is nowhere, or private and not Vigie's.
    pub async fn room(&self, channel: &ChannelId) -> Result<Room, SlackFault> {
        let query = [("channel", channel.0.clone())];
        let answer = self.get("conversations.info", Urgency::Card, &query).await?;
        let flag = |pointer: &str| answer.pointer(pointer).and_then(|v| v.as_bool()).unwrap_or(false);
        Ok(Room {
            name: text(&answer, "/channel/name"),
            archived: flag("/channel/is_archived"),
            private: flag("/channel/is_private"),
            member: flag("/channel/is_member"),
        })
    }

    /// The account is switched off, so that nobody reads what is posted to it. Asked afresh, since Slack takes messages
    /// for such an account all the same; where Slack does not say, somebody is taken to be there.
    pub(super) async fn has_left(&self, user: &UserId) -> bool {
        match self.profile(user).await {
            Ok(profile) => profile.deleted,
            Err(fault) => {
                tracing::info!(code = fault.code(), %user, "whether the account is in use is not known");
                false
            }
        }
    }

    /// The direct-message conversation with a person (`conversations.open`). Asked for once at a time: a storm of pages
    /// to one person would use up the method's calls of a minute. After a failure the next who waits asks anew.
    ///
    /// # Errors
    /// What Slack says; `user_not_found`, `user_disabled` … for good.
    pub(super) async fn direct_messages(&self, user: &UserId) -> Result<ChannelId, SlackFault> {
        let conversation = Arc::clone(self.memory().dms.entry(user.clone()).or_default().value());
        let opening = conversation.get_or_try_init(|| self.open_direct_messages(user));
        match tokio::time::timeout(OPENED_WITHIN, opening).await {
            Ok(opened) => opened.cloned(),
            Err(_) => Err(fault::late(OPEN, OPENED_WITHIN)),
        }
    }

    async fn open_direct_messages(&self, user: &UserId) -> Result<ChannelId, SlackFault> {
        let answer = self.post(OPEN, Urgency::Person, "", &json!({"users": user.0})).await?;
        let channel = ChannelId(text(&answer, "/channel/id"));
        if channel.0.is_empty() { Err(fault::garbage(OPEN)) } else { Ok(channel) }
    }

    /// A conversation that was remembered and is gone.
    pub(super) fn forget_direct_messages(&self, user: &UserId) {
        self.memory().dms.remove(user);
    }
}
