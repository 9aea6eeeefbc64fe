//! Messages: posted, edited, deleted, reacted to; in channels, threads and for one person's eyes only.

use serde_json::{Map, Value, json};

use super::model::{Ephemeral, Message};
use super::state::State;

/// What a new message is made of.
#[derive(Debug, Default)]
pub(crate) struct Post {
    /// `user`, `text`, `blocks`, `bot_id` …: everything but `ts`, `type`, `team` and `thread_ts`.
    pub body: Map<String, Value>,
    pub thread_ts: Option<String>,
    /// Whether a reply is shown in the channel too.
    pub broadcast: bool,
    pub metadata: Option<Value>,
}

impl State {
    /// Puts a message in a channel and tells the app. Gives its `ts`.
    pub fn post(&mut self, channel_id: &str, post: Post) -> String {
        let ts = self.next_ts();
        let mut body = post.body;
        body.insert("type".into(), json!("message"));
        body.insert("ts".into(), json!(ts));
        body.insert("team".into(), json!(self.team.id));
        let root = post.thread_ts.map(|asked| self.thread_root(channel_id, &asked));
        if let Some(root) = &root {
            body.insert("thread_ts".into(), json!(root));
            self.count_reply(channel_id, root, &ts, body.get("user").and_then(Value::as_str));
            if let Some(author) = self.channels.get(channel_id).and_then(|c| c.message(root)).and_then(Message::user) {
                body.insert("parent_user_id".into(), json!(author));
            }
            if post.broadcast {
                body.insert("subtype".into(), json!("thread_broadcast"));
            }
        }
        let message = Message { ts: ts.clone(), thread_ts: root, body, metadata: post.metadata };
        let event = message.json(true);
        let mentions = self.mentions_the_bot(&message);
        if let Some(channel) = self.channels.get_mut(channel_id) {
            channel.messages.push(message);
        }
        if let Value::Object(event) = event {
            if mentions && self.app_is_in(channel_id) {
                let mut mention = event.clone();
                mention.insert("type".into(), json!("app_mention"));
                mention.insert("channel".into(), json!(channel_id));
                mention.insert("event_ts".into(), json!(ts));
                self.emit("app_mention", Value::Object(mention));
            }
            self.emit_message(channel_id, event);
        }
        ts
    }

    fn mentions_the_bot(&self, message: &Message) -> bool {
        message.user() != Some(self.app.bot_user.as_str())
            && !message.body.contains_key("subtype")
            && message.text().contains(&format!("<@{}>", self.app.bot_user))
    }

    /// The first message of the thread that `ts` is in.
    pub fn thread_root(&self, channel: &str, ts: &str) -> String {
        self.channels
            .get(channel)
            .and_then(|channel| channel.message(ts))
            .and_then(|message| message.thread_ts.clone())
            .unwrap_or_else(|| ts.to_owned())
    }

    fn count_reply(&mut self, channel: &str, root: &str, ts: &str, user: Option<&str>) {
        let Some(parent) = self.channels.get_mut(channel).and_then(|c| c.message_mut(root)) else {
            return;
        };
        parent.thread_ts = Some(root.to_owned());
        let body = &mut parent.body;
        body.insert("thread_ts".into(), json!(root));
        let count = body.get("reply_count").and_then(Value::as_u64).unwrap_or(0) + 1;
        let mut users = body.get("reply_users").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(user) = user.map(|user| json!(user))
            && !users.contains(&user)
        {
            users.push(user);
        }
        body.insert("reply_count".into(), json!(count));
        body.insert("reply_users_count".into(), json!(users.len()));
        body.insert("reply_users".into(), Value::Array(users));
        body.insert("latest_reply".into(), json!(ts));
        body.insert("is_locked".into(), json!(false));
        body.insert("subscribed".into(), json!(false));
    }

    /// Recounts a thread after a reply was deleted.
    fn recount_replies(&mut self, channel: &str, root: &str) {
        let Some(channel) = self.channels.get_mut(channel) else {
            return;
        };
        let replies: Vec<&Message> =
            channel.messages.iter().filter(|m| m.is_reply() && m.thread_ts.as_deref() == Some(root)).collect();
        let mut users: Vec<Value> = Vec::new();
        for user in replies.iter().filter_map(|m| m.user()).map(|user| json!(user)) {
            if !users.contains(&user) {
                users.push(user);
            }
        }
        let (count, latest) = (replies.len(), replies.last().map(|m| m.ts.clone()));
        let Some(parent) = channel.message_mut(root) else {
            return;
        };
        if let Some(latest) = latest {
            parent.body.insert("latest_reply".into(), json!(latest));
            parent.body.insert("reply_count".into(), json!(count));
            parent.body.insert("reply_users_count".into(), json!(users.len()));
            parent.body.insert("reply_users".into(), Value::Array(users));
        } else {
            for key in ["latest_reply", "reply_count", "reply_users_count", "reply_users", "is_locked", "subscribed"] {
                parent.body.remove(key);
            }
            parent.body.remove("thread_ts");
            parent.thread_ts = None;
        }
    }

    /// Replaces parts of a message (a null removes one) and tells the app. False when there is no such message.
    pub fn edit(&mut self, channel_id: &str, ts: &str, editor: &str, changes: Map<String, Value>) -> bool {
        let edited_ts = self.next_ts();
        let Some(message) = self.channels.get_mut(channel_id).and_then(|channel| channel.message_mut(ts)) else {
            return false;
        };
        let previous = message.json(true);
        for (key, value) in changes {
            if key == "metadata" {
                message.metadata = Some(value).filter(|value| value.as_object().is_some_and(|map| !map.is_empty()));
            } else if value.is_null() {
                message.body.remove(&key);
            } else {
                message.body.insert(key, value);
            }
        }
        message.body.insert("edited".into(), json!({"user": editor, "ts": edited_ts}));
        let current = message.json(true);
        self.emit_changed(channel_id, &current, &previous);
        true
    }

    fn emit_changed(&mut self, channel: &str, current: &Value, previous: &Value) {
        let ts = self.next_ts();
        let mut event = Map::new();
        event.insert("subtype".into(), json!("message_changed"));
        event.insert("hidden".into(), json!(true));
        event.insert("message".into(), current.clone());
        event.insert("previous_message".into(), previous.clone());
        event.insert("ts".into(), json!(ts));
        self.emit_message(channel, event);
    }

    /// Removes a message and tells the app; one that has replies leaves a tombstone. False when there is no such message.
    pub fn delete(&mut self, channel_id: &str, ts: &str) -> bool {
        let Some(channel) = self.channels.get_mut(channel_id) else {
            return false;
        };
        let Ok(at) = channel.messages.binary_search_by(|message| message.ts.as_str().cmp(ts)) else {
            return false;
        };
        channel.pins.retain(|pin| pin.ts != ts);
        let has_replies = channel.messages.get(at).is_some_and(|m| m.body.contains_key("reply_count"));
        if has_replies {
            self.bury(channel_id, ts);
            return true;
        }
        let gone = channel.messages.remove(at);
        let event_ts = self.next_ts();
        let mut event = Map::new();
        event.insert("subtype".into(), json!("message_deleted"));
        event.insert("hidden".into(), json!(true));
        event.insert("deleted_ts".into(), json!(ts));
        event.insert("previous_message".into(), gone.json(true));
        event.insert("ts".into(), json!(event_ts));
        self.emit_message(channel_id, event);
        if let Some(root) = gone.thread_ts.filter(|root| root != ts) {
            self.recount_replies(channel_id, &root);
        }
        true
    }

    fn bury(&mut self, channel_id: &str, ts: &str) {
        let Some(message) = self.channels.get_mut(channel_id).and_then(|c| c.message_mut(ts)) else {
            return;
        };
        let previous = message.json(true);
        for key in ["blocks", "attachments", "files", "reactions", "bot_id", "app_id", "bot_profile", "edited"] {
            message.body.remove(key);
        }
        message.metadata = None;
        message.body.insert("subtype".into(), json!("tombstone"));
        message.body.insert("user".into(), json!("USLACKBOT"));
        message.body.insert("text".into(), json!("This message was deleted."));
        message.body.insert("hidden".into(), json!(true));
        let current = message.json(true);
        self.emit_changed(channel_id, &current, &previous);
    }

    /// Shows a message to one person. Gives its `ts`.
    pub fn post_ephemeral(
        &mut self,
        channel: &str,
        user: &str,
        mut body: Map<String, Value>,
        thread: Option<&str>,
    ) -> String {
        let ts = self.next_ts();
        body.insert("type".into(), json!("message"));
        body.insert("ts".into(), json!(ts));
        body.insert("is_ephemeral".into(), json!(true));
        if let Some(thread) = thread {
            body.insert("thread_ts".into(), json!(thread));
        }
        self.ephemerals.push(Ephemeral { channel: channel.to_owned(), user: user.to_owned(), ts: ts.clone(), body });
        ts
    }

    /// Adds a reaction and tells the app. False when this person had given it already or there is no such message.
    pub fn react(&mut self, channel_id: &str, ts: &str, user: &str, name: &str) -> bool {
        let Some(message) = self.channels.get_mut(channel_id).and_then(|c| c.message_mut(ts)) else {
            return false;
        };
        let mut reactions = message.body.get("reactions").and_then(Value::as_array).cloned().unwrap_or_default();
        let who = json!(user);
        match reactions.iter_mut().find(|reaction| reaction["name"] == name) {
            Some(reaction) => {
                let mut users = reaction["users"].as_array().cloned().unwrap_or_default();
                if users.contains(&who) {
                    return false;
                }
                users.push(who);
                *reaction = json!({"name": name, "count": users.len(), "users": users});
            }
            None => reactions.push(json!({"name": name, "users": [who], "count": 1})),
        }
        message.body.insert("reactions".into(), Value::Array(reactions));
        let author = message.user().map(str::to_owned);
        self.emit_reaction("reaction_added", channel_id, ts, user, name, author.as_deref());
        true
    }

    /// Takes a reaction back. False when this person had not given it.
    pub fn unreact(&mut self, channel_id: &str, ts: &str, user: &str, name: &str) -> bool {
        let Some(message) = self.channels.get_mut(channel_id).and_then(|c| c.message_mut(ts)) else {
            return false;
        };
        let mut reactions = message.body.get("reactions").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(reaction) = reactions.iter_mut().find(|reaction| reaction["name"] == name) else {
            return false;
        };
        let mut users = reaction["users"].as_array().cloned().unwrap_or_default();
        let before = users.len();
        users.retain(|have| have != user);
        if users.len() == before {
            return false;
        }
        *reaction = json!({"name": name, "count": users.len(), "users": users});
        reactions.retain(|reaction| reaction["count"] != 0);
        if reactions.is_empty() {
            message.body.remove("reactions");
        } else {
            message.body.insert("reactions".into(), Value::Array(reactions));
        }
        let author = message.user().map(str::to_owned);
        self.emit_reaction("reaction_removed", channel_id, ts, user, name, author.as_deref());
        true
    }

    fn emit_reaction(&mut self, event: &str, channel: &str, ts: &str, user: &str, name: &str, author: Option<&str>) {
        if !self.app_is_in(channel) {
            return;
        }
        let event_ts = self.next_ts();
        let payload = json!({
            "type": event,
            "user": user,
            "reaction": name,
            "item": {"type": "message", "channel": channel, "ts": ts},
            "item_user": author,
            "event_ts": event_ts,
        });
        self.emit(event, payload);
    }
}
