//! The practice page: a chat client in the browser for one person who plays everybody.
//!
//! This room serves the embedded assets and translates the page's few requests into a [`PageWorld`]; it knows
//! nothing of how the workspace works. The page is one person's: only loopback addresses may ask, and only
//! the page itself may write.

mod assets;
mod guard;
mod local;
mod routes;
mod state;
mod tour;
mod writes;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

pub use local::{Advance, LocalWorld};
pub use routes::{PageRoom, router};
pub use state::{
    AppInfo, Bookmark, ChannelKind, MessageRef, PageChannel, PageFile, PagePerson, PageShortcut, PageTeam,
    ShortcutKind, SlashCommand, WorldState,
};

/// A polite sentence that the page shows; nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PageRefusal(pub String);

impl PageRefusal {
    /// From a whole sentence for the person at the page.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// What the app said to a submitted view.
#[derive(Clone, Debug, PartialEq)]
pub enum SubmitAnswer {
    /// Closed, updated or pushed: the next state shows which.
    Accepted,
    /// `response_action: errors`: sentences by `block_id`.
    Errors(std::collections::BTreeMap<String, String>),
}

/// Where an action happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surface {
    /// A message.
    Message(MessageRef),
    /// A modal, by the id of its view.
    View(String),
    /// The app's Home tab.
    Home,
}

/// One use of a control, as Slack's `block_actions` reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionUse {
    /// Where.
    pub surface: Surface,
    /// The control's block; empty when the block has no id.
    pub block_id: String,
    /// The control.
    pub action_id: String,
    /// The control's `type`, e.g. `button`, `static_select`, `overflow`.
    pub kind: String,
    /// What was chosen, in the field names of Slack's action object: `value`, `selected_option`,
    /// `selected_options`, `selected_user`, `selected_date`, `selected_date_time` …
    pub chosen: serde_json::Map<String, Value>,
    /// `{"values": {block_id: {action_id: …}}}`: every input on the surface.
    pub state: Value,
}

/// The workspace as one person uses it. Every write is done `by` somebody, a user id.
#[async_trait]
pub trait PageWorld: Send + Sync {
    /// What `viewer` may see; without one, what the first person sees.
    async fn state(&self, viewer: Option<&str>) -> Result<WorldState, PageRefusal>;

    /// A number that grows with each change anybody could see.
    fn subscribe(&self) -> watch::Receiver<u64>;

    /// A slash command, the whole line as typed (`/incident start …`), escaped as Slack escapes it. Answers the app's
    /// acknowledgement.
    async fn command(&self, by: &str, channel: &str, text: &str) -> Result<Value, PageRefusal>;

    /// Posts a message or, with `thread_ts`, a reply. Answers its `ts`.
    async fn message(
        &self,
        by: &str,
        channel: &str,
        text: &str,
        thread_ts: Option<&str>,
    ) -> Result<String, PageRefusal>;

    /// Changes the text of the person's own message.
    async fn edit(&self, by: &str, message: &MessageRef, text: &str) -> Result<(), PageRefusal>;

    /// Removes the person's own message.
    async fn delete(&self, by: &str, message: &MessageRef) -> Result<(), PageRefusal>;

    /// Adds (`on`) or takes away a reaction, by its name without colons.
    async fn react(&self, by: &str, message: &MessageRef, name: &str, on: bool) -> Result<(), PageRefusal>;

    /// Uses a control of Block Kit.
    async fn action(&self, by: &str, action: ActionUse) -> Result<(), PageRefusal>;

    /// Submits a view; `values` is Slack's `view.state.values`.
    async fn submit(&self, by: &str, view_id: &str, values: Value) -> Result<SubmitAnswer, PageRefusal>;

    /// Closes a view.
    async fn close(&self, by: &str, view_id: &str) -> Result<(), PageRefusal>;

    /// Uses a shortcut: a global one, or a message's.
    async fn shortcut(&self, by: &str, callback_id: &str, message: Option<&MessageRef>) -> Result<(), PageRefusal>;

    /// Opens the app's Home tab.
    async fn home(&self, by: &str) -> Result<(), PageRefusal>;

    /// Opens the direct messages with somebody. Answers the channel's id.
    async fn dm(&self, by: &str, user: &str) -> Result<String, PageRefusal>;

    /// Moves the workspace's clock forward.
    async fn advance(&self, minutes: u32) -> Result<(), PageRefusal>;

    /// A shared file's content.
    async fn file(&self, viewer: &str, id: &str) -> Result<PageFile, PageRefusal>;
}

#[cfg(test)]
mod tests;
