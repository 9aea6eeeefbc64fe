//! People and channels as Slack knows them, asked for anew; direct-message conversations, remembered and never relied on.

use serde_json::json;

use super::budget::Urgency;
use super::client::{Slack, text};
use super::fault::SlackFault;
use crate::incident::id::{ChannelId, UserId};

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

    /// The direct-message conversation with a person (`conversations.open`).
    ///
    /// # Errors
    /// What Slack says; `user_not_found`, `user_disabled` … for good.
    pub(super) async fn direct_messages(&self, user: &UserId) -> Result<ChannelId, SlackFault> {
        if let Some(known) = self.memory().dms.get(user) {
            return Ok(known.clone());
        }
        let body = json!({"users": user.0});
        let answer = self.post("conversations.open", Urgency::Person, "", &body).await?;
        let channel = ChannelId(text(&answer, "/channel/id"));
        if channel.0.is_empty() {
            return Err(super::fault::garbage("conversations.open"));
        }
        self.memory().dms.insert(user.clone(), channel.clone());
        Ok(channel)
    }

    /// A conversation that was remembered and is gone.
    pub(super) fn forget_direct_messages(&self, user: &UserId) {
        self.memory().dms.remove(user);
    }
}
