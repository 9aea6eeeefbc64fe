//! The things a practice workspace is made of: members, channels, messages, views, files, and the record of calls.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::options::{NewPerson, NewUsergroup};

/// A member of the workspace, the bot user included.
#[derive(Debug, Clone)]
pub struct Member {
    pub profile: NewPerson,
    /// Deactivated.
    pub deleted: bool,
    pub is_bot: bool,
    /// Seconds UTC of the last change.
    pub updated: i64,
}

/// A message of a channel, stored as the API gives it, except for its metadata.
#[derive(Debug, Clone)]
pub struct Message {
    pub ts: String,
    /// The thread it belongs to; its own `ts` for a thread's first message.
    pub thread_ts: Option<String>,
    pub body: Map<String, Value>,
    pub metadata: Option<Value>,
}

impl Message {
    /// The message as `conversations.history` gives it.
    #[must_use]
    pub fn json(&self, with_metadata: bool) -> Value {
        let mut body = self.body.clone();
        if with_metadata && let Some(metadata) = &self.metadata {
            body.insert("metadata".into(), metadata.clone());
        }
        Value::Object(body)
    }

    pub(crate) fn text(&self) -> &str {
        self.body.get("text").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.body.get("user").and_then(Value::as_str)
    }

    pub(crate) fn is_reply(&self) -> bool {
        self.thread_ts.as_ref().is_some_and(|root| *root != self.ts)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    Public,
    Private,
    Im,
    Mpim,
}

/// A bookmark of a channel, as the API gives it.
pub type Bookmark = Map<String, Value>;

/// A pinned message.
#[derive(Debug, Clone)]
pub struct Pin {
    pub ts: String,
    pub by: String,
    /// Seconds UTC.
    pub at: i64,
}

/// A conversation.
#[derive(Debug, Clone)]
pub struct Channel {
    pub id: String,
    pub name: String,
    pub previous_names: Vec<String>,
    pub kind: ChannelKind,
    pub is_general: bool,
    pub is_archived: bool,
    /// Seconds UTC.
    pub created: i64,
    pub creator: String,
    pub topic: Note,
    pub purpose: Note,
    /// In order of arrival.
    pub members: Vec<String>,
    /// In order of `ts`.
    pub messages: Vec<Message>,
    pub pins: Vec<Pin>,
    pub bookmarks: Vec<Bookmark>,
    /// The channel canvas.
    pub canvas: Option<String>,
}

/// A channel's topic or purpose.
#[derive(Debug, Clone, Default)]
pub struct Note {
    pub value: String,
    pub creator: String,
    pub last_set: i64,
}

impl Note {
    pub(crate) fn json(&self) -> Value {
        json!({"value": self.value, "creator": self.creator, "last_set": self.last_set})
    }
}

impl Channel {
    #[must_use]
    pub fn has(&self, user: &str) -> bool {
        self.members.iter().any(|member| member == user)
    }

    #[must_use]
    pub fn message(&self, ts: &str) -> Option<&Message> {
        let at = self.messages.binary_search_by(|message| message.ts.as_str().cmp(ts)).ok()?;
        self.messages.get(at)
    }

    pub(crate) fn message_mut(&mut self, ts: &str) -> Option<&mut Message> {
        let at = self.messages.binary_search_by(|message| message.ts.as_str().cmp(ts)).ok()?;
        self.messages.get_mut(at)
    }

    pub(crate) fn is_private(&self) -> bool {
        self.kind != ChannelKind::Public
    }

    /// `channel`, `group`, `im` or `mpim`, as message events say it.
    pub(crate) fn event_type(&self) -> &'static str {
        match self.kind {
            ChannelKind::Public => "channel",
            ChannelKind::Private => "group",
            ChannelKind::Im => "im",
            ChannelKind::Mpim => "mpim",
        }
    }

    /// The family of its scopes: `channels:read`, `groups:read` …
    pub(crate) fn scope_family(&self) -> &'static str {
        match self.kind {
            ChannelKind::Public => "channels",
            ChannelKind::Private => "groups",
            ChannelKind::Im => "im",
            ChannelKind::Mpim => "mpim",
        }
    }

    /// The name as interaction payloads give it: private places are not named.
    pub(crate) fn public_name(&self) -> &str {
        match self.kind {
            ChannelKind::Public => &self.name,
            ChannelKind::Private => "privategroup",
            ChannelKind::Im => "directmessage",
            ChannelKind::Mpim => "mpdm",
        }
    }
}

/// A message that only one person sees.
#[derive(Debug, Clone)]
pub struct Ephemeral {
    pub channel: String,
    pub user: String,
    pub ts: String,
    pub body: Map<String, Value>,
}

impl Ephemeral {
    #[must_use]
    pub fn json(&self) -> Value {
        Value::Object(self.body.clone())
    }
}

/// A modal or Home view that exists for one person.
#[derive(Debug, Clone)]
pub struct View {
    pub id: String,
    /// Who looks at it.
    pub user: String,
    /// As the API gives it, without `state`.
    pub body: Map<String, Value>,
    /// What was chosen in inputs so far: `state.values`.
    pub values: Map<String, Value>,
    /// Whether it is on the person's screen.
    pub is_open: bool,
}

impl View {
    /// The view as payloads and `views.*` give it.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut body = self.body.clone();
        body.insert("state".into(), json!({"values": self.values}));
        Value::Object(body)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A trigger id: lets the app open a view for this person, once, within 3 s.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub user: String,
    pub issued_at: i64,
    pub used: bool,
    /// The view it was issued in, for `views.push`.
    pub view: Option<String>,
}

/// A response URL: five posts within 30 minutes.
#[derive(Debug, Clone)]
pub(crate) struct ResponseUrl {
    pub channel: String,
    pub user: String,
    pub issued_at: i64,
    pub uses: u32,
    /// The message whose button was clicked; none for a command.
    pub source: Option<Source>,
}

#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub ts: String,
    pub is_ephemeral: bool,
}

/// A file, uploaded or still to be.
#[derive(Debug, Clone)]
pub struct StoredFile {
    pub id: String,
    pub name: String,
    pub title: String,
    pub mimetype: String,
    pub bytes: Vec<u8>,
    /// The length announced to `files.getUploadURLExternal`.
    pub announced: usize,
    pub stage: FileStage,
    /// Seconds UTC.
    pub created: i64,
    pub alt_txt: Option<String>,
    /// Channel ids and the messages that show it.
    pub shares: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStage {
    Announced,
    Uploaded,
    Complete,
}

/// A canvas: markdown that people and the app write.
#[derive(Debug, Clone)]
pub struct Canvas {
    pub id: String,
    pub title: String,
    pub markdown: String,
    pub channel: Option<String>,
    /// Access by user or channel id: `read`, `write`, `owner`.
    pub access: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Usergroup {
    pub group: NewUsergroup,
    pub updated: i64,
}

/// One Web API call and its answer, for tests to look at.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Milliseconds UTC by the workspace's clock.
    pub at_ms: i64,
    /// `chat.postMessage`; `response_url` and `upload` for the two addresses without a method.
    pub method: String,
    pub args: Value,
    pub status: u16,
    /// Null when no answer was given.
    pub answer: Value,
}

impl CallRecord {
    /// Whether the call was answered with `ok: true`.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.answer.get("ok").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The error code of the answer.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.answer.get("error").and_then(Value::as_str)
    }
}

/// Something Slack would have refused, ignored or punished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Milliseconds UTC by the workspace's clock.
    pub at_ms: i64,
    /// A short name: `unknown_method`, `missing_scope`, `invalid_blocks`, `late_ack` …
    pub rule: String,
    /// The method or envelope.
    pub place: String,
    pub detail: String,
}

/// Who the app is.
#[derive(Debug, Clone)]
pub struct AppIdentity {
    pub app_id: String,
    pub bot_id: String,
    pub bot_user: String,
    pub name: String,
}

/// Which workspace this is.
#[derive(Debug, Clone)]
pub struct TeamIdentity {
    pub id: String,
    pub name: String,
    pub domain: String,
}
