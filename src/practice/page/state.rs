//! The state the page draws, as it goes over the wire. Messages, views and blocks stay Slack's own JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything one person may see of the workspace. The page's server adds inbox, shop and tour.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorldState {
    /// The person who sees it, a user id.
    #[serde(rename = "as")]
    pub viewer: String,
    /// The number of [`super::PageWorld::subscribe`] when this was read.
    pub rev: u64,
    /// The workspace's time, milliseconds UTC.
    pub now_ms: i64,
    /// Whether the clock can be moved forward.
    pub can_advance: bool,
    /// The workspace's language, e.g. `en-US`.
    pub locale: String,
    /// The workspace.
    pub team: PageTeam,
    /// Everybody, apps too.
    pub people: Vec<PagePerson>,
    /// The channels and direct messages this person sees.
    pub channels: Vec<PageChannel>,
    /// This person's open modals, bottom first: Slack's view objects, `id` among their fields.
    pub views: Vec<Value>,
    /// The Home tab as the app published it for this person.
    pub home: Option<Value>,
    /// The app.
    pub app: AppInfo,
    /// The app's slash commands.
    pub commands: Vec<SlashCommand>,
    /// The app's shortcuts.
    pub shortcuts: Vec<PageShortcut>,
}

/// The workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageTeam {
    /// Its name.
    pub name: String,
}

/// Somebody in the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PagePerson {
    /// `U…`.
    pub id: String,
    /// The short name, without `@`.
    pub name: String,
    /// The name people read.
    pub real_name: String,
    /// What they do, e.g. "On-call engineer".
    pub title: String,
    /// Their address; matches deliveries to the person.
    pub email: String,
    /// Their number in E.164; matches deliveries to the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// IANA time zone.
    pub tz: String,
    /// Whether this is an app.
    pub is_bot: bool,
}

/// The kinds of channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Everybody may join.
    #[default]
    Public,
    /// Members only.
    Private,
    /// Direct messages with one other.
    Im,
}

/// A channel as one person sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PageChannel {
    /// `C…` or `D…`.
    pub id: String,
    /// Without `#`.
    pub name: String,
    /// Public, private or direct.
    pub kind: ChannelKind,
    /// The other person of direct messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The topic.
    pub topic: String,
    /// The purpose.
    pub purpose: String,
    /// Whether it can only be read.
    pub archived: bool,
    /// User ids.
    pub members: Vec<String>,
    /// The links under the channel's name.
    pub bookmarks: Vec<Bookmark>,
    /// The `ts` of each pinned message.
    pub pins: Vec<String>,
    /// Oldest first, replies among them; as in `conversations.history`, with `"ephemeral": true` on those only this
    /// person sees.
    pub messages: Vec<Value>,
}

/// A link under a channel's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bookmark {
    /// `Bk…`.
    pub id: String,
    /// The text.
    pub title: String,
    /// The address.
    pub link: String,
    /// A short code such as `:book:`; may be empty.
    pub emoji: String,
}

/// The app that lives in the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AppInfo {
    /// Its user id.
    pub bot_user_id: String,
    /// Its name.
    pub name: String,
}

/// A slash command of the app, as in its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlashCommand {
    /// With the slash.
    pub command: String,
    /// Alternatives separated by `|` become completions.
    pub usage_hint: String,
    /// One line.
    pub description: String,
}

/// Where a shortcut is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShortcutKind {
    /// In the composer's ⚡ menu.
    #[default]
    Global,
    /// In a message's menu.
    Message,
}

/// A shortcut of the app, as in its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageShortcut {
    /// What people read.
    pub name: String,
    /// Where it is offered.
    #[serde(rename = "type")]
    pub kind: ShortcutKind,
    /// What the app knows it by.
    pub callback_id: String,
    /// One line.
    pub description: String,
}

/// One message of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessageRef {
    /// The channel's id.
    pub channel: String,
    /// The message's time stamp, its name in the channel.
    pub ts: String,
}

/// A shared file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFile {
    /// With its extension.
    pub name: String,
    /// E.g. `text/markdown`.
    pub mimetype: String,
    /// The content.
    pub bytes: Vec<u8>,
}
