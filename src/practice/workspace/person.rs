//! What a person can do in the workspace: talk, react, use commands and shortcuts, click, fill in forms.
//!
//! The practice page and every test act through this; nothing here does what Slack's own client would not let a person do.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Workspace;
use super::choices::{self, Found};
use super::messages::Post;
use super::model::Channel;
use super::payloads::Surface;
use super::state::State;

/// What came of a slash command.
#[derive(Debug, Clone)]
pub struct CommandAck {
    /// The acknowledgement's payload, if it had one.
    pub payload: Option<Value>,
    /// From sending the envelope to its acknowledgement, in real time.
    pub elapsed: Duration,
    /// What Slack tells the person when the app did not answer.
    pub failure: Option<String>,
}

impl CommandAck {
    /// The text of the acknowledgement.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.payload.as_ref()?.get("text")?.as_str()
    }
}

/// What came of a click, a choice or a shortcut.
#[derive(Debug, Clone)]
pub struct Acted {
    pub elapsed: Duration,
    /// What Slack tells the person when the app did not answer.
    pub failure: Option<String>,
}

/// What came of submitting a modal.
#[derive(Debug, Clone, PartialEq)]
pub enum SubmitOutcome {
    /// The modal closed; the one below it, if any, is seen again.
    Closed,
    /// Every modal closed.
    Cleared,
    /// Block id → sentence. The modal stays.
    Errors(Map<String, Value>),
    /// The modal shows something else now.
    Updated(Value),
    /// Another modal lies on top.
    Pushed(Value),
    /// The app did not answer, or not properly; the modal stays.
    Failed(String),
}

/// Slack's client would not let this person do that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPossible(pub String);

pub(super) fn not<T>(why: impl Into<String>) -> Result<T, NotPossible> {
    Err(NotPossible(why.into()))
}

/// A member of the workspace with hands.
#[derive(Clone)]
pub struct Person {
    pub(super) ws: Workspace,
    pub(super) id: String,
}

impl State {
    pub(super) fn channel_for(&self, user: &str, channel: &str) -> Result<&Channel, NotPossible> {
        if self.active(user).is_none() {
            return not(format!("{user} is not an active member of the workspace"));
        }
        let found = self.channels.get(channel).or_else(|| self.channel_by_name(channel));
        let Some(found) = found.filter(|found| !found.is_private() || found.has(user)) else {
            return not(format!("{user} sees no channel {channel}"));
        };
        Ok(found)
    }

    /// A channel this person can write in.
    pub(super) fn writable(&self, user: &str, channel: &str) -> Result<String, NotPossible> {
        let found = self.channel_for(user, channel)?;
        if found.is_archived {
            return not(format!("#{} is archived", found.name));
        }
        if !found.has(user) {
            return not(format!("{user} is not in #{}", found.name));
        }
        Ok(found.id.clone())
    }

    /// The surface of this message, as this person sees it.
    pub(super) fn surface(&self, user: &str, channel: &str, ts: &str) -> Result<Surface, NotPossible> {
        let found = self.channel_for(user, channel)?;
        if self.ephemeral(user, &found.id, ts).is_some() {
            return Ok(Surface::Ephemeral { channel: found.id.clone(), ts: ts.to_owned() });
        }
        if found.message(ts).is_some() {
            return Ok(Surface::Message { channel: found.id.clone(), ts: ts.to_owned() });
        }
        not(format!("there is no message {ts} in #{} for {user}", found.name))
    }

    pub(super) fn element(&self, user: &str, surface: &Surface, wanted: &str) -> Result<Found, NotPossible> {
        let blocks = self.blocks_of(user, surface).unwrap_or_default();
        match choices::find(&blocks, wanted) {
            Some(found) => Ok(found),
            None => not(format!("there is no {wanted:?} to use here; there is: {}", choices::describe(&blocks))),
        }
    }
}

impl Person {
    pub(super) fn new(ws: Workspace, id: &str) -> Self {
        Self { ws, id: id.to_owned() }
    }

    /// The user id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Posts a message; mentions and links are written as a person types them. Gives its `ts`.
    ///
    /// # Errors
    /// [`NotPossible`] when this person cannot write there.
    pub fn say(&self, channel: &str, text: &str) -> Result<String, NotPossible> {
        self.speak(channel, None, text, false)
    }

    /// Replies in a thread. Gives the reply's `ts`.
    ///
    /// # Errors
    /// [`NotPossible`] when this person cannot write there or there is no such message.
    pub fn reply(&self, channel: &str, ts: &str, text: &str) -> Result<String, NotPossible> {
        self.speak(channel, Some(ts), text, false)
    }

    /// Replies in a thread and shows the reply in the channel too.
    ///
    /// # Errors
    /// As [`Person::reply`].
    pub fn reply_and_broadcast(&self, channel: &str, ts: &str, text: &str) -> Result<String, NotPossible> {
        self.speak(channel, Some(ts), text, true)
    }

    fn speak(&self, channel: &str, thread: Option<&str>, text: &str, broadcast: bool) -> Result<String, NotPossible> {
        self.ws.with(|state| {
            let channel = state.writable(&self.id, channel)?;
            if let Some(ts) = thread
                && state.channels.get(&channel).is_none_or(|channel| channel.message(ts).is_none())
            {
                return not(format!("there is no message {ts} to reply to"));
            }
            let blocks = state.rich_text(text);
            let body = json!({
                "user": self.id,
                "text": state.compose(text),
                "client_msg_id": uuid::Uuid::new_v4().to_string(),
                "blocks": blocks,
            });
            let body = body.as_object().cloned().unwrap_or_default();
            Ok(state.post(&channel, Post { body, thread_ts: thread.map(str::to_owned), broadcast, metadata: None }))
        })
    }

    /// Edits one of this person's messages.
    ///
    /// # Errors
    /// [`NotPossible`] when it is not theirs or not there.
    pub fn edit(&self, channel: &str, ts: &str, text: &str) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            let channel = self.own_message(state, channel, ts)?;
            let blocks = state.rich_text(text);
            let changes = json!({"text": state.compose(text), "blocks": blocks});
            state.edit(&channel, ts, &self.id, changes.as_object().cloned().unwrap_or_default());
            Ok(())
        })
    }

    /// Deletes one of this person's messages.
    ///
    /// # Errors
    /// [`NotPossible`] when it is not theirs or not there.
    pub fn delete(&self, channel: &str, ts: &str) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            let channel = self.own_message(state, channel, ts)?;
            state.delete(&channel, ts);
            Ok(())
        })
    }

    fn own_message(&self, state: &State, channel: &str, ts: &str) -> Result<String, NotPossible> {
        let channel = state.writable(&self.id, channel)?;
        let author = state.channels.get(&channel).and_then(|channel| channel.message(ts)).and_then(|m| m.user());
        if author != Some(self.id.as_str()) {
            return not(format!("{} has no message {ts} there", self.id));
        }
        Ok(channel)
    }

    /// Adds a reaction (its name without colons).
    ///
    /// # Errors
    /// [`NotPossible`] when there is no such message, or the reaction is there already.
    pub fn react(&self, channel: &str, ts: &str, name: &str) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            let channel = state.channel_for(&self.id, channel)?.id.clone();
            if state.react(&channel, ts, &self.id, name) { Ok(()) } else { not("no such message, or reacted already") }
        })
    }

    /// Takes a reaction back.
    ///
    /// # Errors
    /// [`NotPossible`] when this person had not given it.
    pub fn unreact(&self, channel: &str, ts: &str, name: &str) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            let channel = state.channel_for(&self.id, channel)?.id.clone();
            if state.unreact(&channel, ts, &self.id, name) {
                Ok(())
            } else {
                not("there is no such reaction of theirs")
            }
        })
    }

    /// Creates a channel with this person in it. Gives its id.
    ///
    /// # Errors
    /// [`NotPossible`] with Slack's error code when the name is taken or not allowed.
    pub fn create_channel(&self, name: &str, is_private: bool) -> Result<String, NotPossible> {
        self.ws
            .with(|state| state.create_channel(&self.id, name, is_private).map_err(|code| NotPossible(code.to_owned())))
    }

    /// Joins a public channel.
    ///
    /// # Errors
    /// [`NotPossible`] when there is no such channel, or it is archived.
    pub fn join(&self, channel: &str) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            let found = state.channel_for(&self.id, channel)?;
            if found.is_archived {
                return not(format!("#{} is archived", found.name));
            }
            let id = found.id.clone();
            state.add_member(&id, &self.id, None);
            Ok(())
        })
    }

    /// Leaves a channel.
    ///
    /// # Errors
    /// [`NotPossible`] when there is no such channel for this person.
    pub fn leave(&self, channel: &str) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            let id = state.channel_for(&self.id, channel)?.id.clone();
            state.remove_member(&id, &self.id, None);
            Ok(())
        })
    }

    /// Invites somebody (the bot, for example) to a channel this person is in.
    ///
    /// # Errors
    /// [`NotPossible`] when this person is not in it.
    pub fn invite(&self, channel: &str, user: &str) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            let id = state.writable(&self.id, channel)?;
            state.add_member(&id, user, Some(&self.id));
            Ok(())
        })
    }

    /// Opens the direct conversation with somebody; with the app, its Messages tab. Gives its channel id.
    #[must_use]
    pub fn open_dm(&self, user: &str) -> String {
        self.ws.with(|state| {
            let (channel, _) = state.direct(&[self.id.clone(), user.to_owned()]);
            if user == state.app.bot_user && state.manifest.features.app_home.messages_tab_enabled {
                state.open_app_tab(&self.id, "messages");
            }
            channel
        })
    }

    /// Opens the app's Home tab.
    ///
    /// # Errors
    /// [`NotPossible`] when the manifest has none.
    pub fn open_home(&self) -> Result<(), NotPossible> {
        self.ws.with(|state| {
            if !state.manifest.features.app_home.home_tab_enabled {
                return not("the app has no Home tab");
            }
            state.open_app_tab(&self.id, "home");
            Ok(())
        })
    }
}
