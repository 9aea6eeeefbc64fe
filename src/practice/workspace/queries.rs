//! What there is to see in a practice workspace, in the shapes the API gives.

use serde_json::{Value, json};

use super::Workspace;
use super::model::{Bookmark, Canvas, Channel, Member, StoredFile};

impl Workspace {
    /// Every conversation.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.read(|state| state.channels.values().cloned().collect())
    }

    /// The channel of this id or name.
    #[must_use]
    pub fn channel(&self, id_or_name: &str) -> Option<Channel> {
        self.read(|state| state.channels.get(id_or_name).or_else(|| state.channel_by_name(id_or_name)).cloned())
    }

    /// The id of the channel of this id or name.
    #[must_use]
    pub fn channel_id(&self, id_or_name: &str) -> Option<String> {
        self.read(|state| {
            state.channels.get(id_or_name).or_else(|| state.channel_by_name(id_or_name)).map(|c| c.id.clone())
        })
    }

    /// Every message of a channel, replies in threads included, oldest first, with metadata.
    #[must_use]
    pub fn messages(&self, channel: &str) -> Vec<Value> {
        self.look(channel, |channel| channel.messages.iter().map(|message| message.json(true)).collect())
    }

    /// The first message of a thread and its replies, oldest first.
    #[must_use]
    pub fn thread(&self, channel: &str, ts: &str) -> Vec<Value> {
        self.look(channel, |channel| {
            let in_thread = channel.messages.iter().filter(|m| m.ts == ts || m.thread_ts.as_deref() == Some(ts));
            in_thread.map(|message| message.json(true)).collect()
        })
    }

    /// One message.
    #[must_use]
    pub fn message(&self, channel: &str, ts: &str) -> Option<Value> {
        self.look(channel, |channel| channel.message(ts).map(|message| message.json(true)))
    }

    fn look<T: Default>(&self, id_or_name: &str, look: impl FnOnce(&Channel) -> T) -> T {
        self.read(|state| {
            state.channels.get(id_or_name).or_else(|| state.channel_by_name(id_or_name)).map(look).unwrap_or_default()
        })
    }

    /// What only this person sees, oldest first; each with its `channel`.
    #[must_use]
    pub fn ephemerals(&self, user: &str) -> Vec<Value> {
        self.read(|state| {
            let mine = state.ephemerals.iter().filter(|one| one.user == user);
            mine.map(|one| {
                let mut shown = one.json();
                if let Value::Object(map) = &mut shown {
                    map.insert("channel".into(), json!(one.channel));
                }
                shown
            })
            .collect()
        })
    }

    /// The modals on this person's screen, the topmost last.
    #[must_use]
    pub fn views(&self, user: &str) -> Vec<Value> {
        self.read(|state| {
            let stack = state.stacks.get(user).into_iter().flatten();
            stack.filter_map(|id| state.views.get(id)).map(|view| view.json()).collect()
        })
    }

    /// The topmost modal on this person's screen.
    #[must_use]
    pub fn top_view(&self, user: &str) -> Option<Value> {
        self.read(|state| state.top_view(user).map(|view| view.json()))
    }

    /// This person's Home.
    #[must_use]
    pub fn home(&self, user: &str) -> Option<Value> {
        self.read(|state| state.homes.get(user).and_then(|id| state.views.get(id)).map(|view| view.json()))
    }

    /// Every file, with its bytes.
    #[must_use]
    pub fn files(&self) -> Vec<StoredFile> {
        self.read(|state| state.files.values().cloned().collect())
    }

    /// The bytes of one file.
    #[must_use]
    pub fn file_bytes(&self, id: &str) -> Option<Vec<u8>> {
        self.read(|state| state.files.get(id).map(|file| file.bytes.clone()))
    }

    /// Every canvas.
    #[must_use]
    pub fn canvases(&self) -> Vec<Canvas> {
        self.read(|state| state.canvases.values().cloned().collect())
    }

    /// The bookmarks of a channel, as the API gives them.
    #[must_use]
    pub fn bookmarks(&self, channel: &str) -> Vec<Bookmark> {
        self.look(channel, |channel| channel.bookmarks.clone())
    }

    /// The pinned messages of a channel.
    #[must_use]
    pub fn pins(&self, channel: &str) -> Vec<Value> {
        self.look(channel, |channel| {
            channel.pins.iter().filter_map(|pin| channel.message(&pin.ts)).map(|m| m.json(true)).collect()
        })
    }

    /// The user ids of a channel's members.
    #[must_use]
    pub fn members(&self, channel: &str) -> Vec<String> {
        self.look(channel, |channel| channel.members.clone())
    }

    /// Everybody in the workspace, the bot included.
    #[must_use]
    pub fn people(&self) -> Vec<Member> {
        self.read(|state| state.members.values().cloned().collect())
    }
}
