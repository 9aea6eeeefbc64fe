//! Channels: created, renamed, archived, joined and left, whoever does it; and how the API shows them.

use serde_json::{Map, Value, json};

use super::messages::Post;
use super::model::{Channel, ChannelKind, Note};
use super::state::State;

/// The error code for a channel name Slack would not accept (docs: `conversations.create`).
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("invalid_name_required");
    }
    if name.chars().count() > 80 {
        return Some("invalid_name_maxlength");
    }
    if !name.chars().any(char::is_alphanumeric) {
        return Some("invalid_name_punctuation");
    }
    let fits = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || c == '-' || c == '_';
    if !name.chars().all(fits) {
        return Some("invalid_name_specials");
    }
    None
}

impl State {
    /// Creates a channel with its creator as only member, unless its name is taken (by an archived one too).
    ///
    /// # Errors
    /// Slack's error code.
    pub fn create_channel(&mut self, creator: &str, name: &str, is_private: bool) -> Result<String, &'static str> {
        if let Some(fault) = name_fault(name) {
            return Err(fault);
        }
        if self.channel_by_name(name).is_some() {
            return Err("name_taken");
        }
        let id = self.next_id("C");
        let kind = if is_private { ChannelKind::Private } else { ChannelKind::Public };
        self.insert_channel(&id, name, kind, creator);
        let stub = json!({"id": id, "name": name, "is_channel": true, "created": self.now_s(), "creator": creator});
        self.emit_channel_event(&id, "created", json!({"channel": stub}));
        self.add_member(&id, creator, None);
        Ok(id)
    }

    pub fn insert_channel(&mut self, id: &str, name: &str, kind: ChannelKind, creator: &str) {
        let channel = Channel {
            id: id.to_owned(),
            name: name.to_owned(),
            previous_names: Vec::new(),
            kind,
            is_general: name == "general",
            is_archived: false,
            created: self.now_s(),
            creator: creator.to_owned(),
            topic: Note::default(),
            purpose: Note::default(),
            members: Vec::new(),
            messages: Vec::new(),
            pins: Vec::new(),
            bookmarks: Vec::new(),
            canvas: None,
        };
        self.channels.insert(id.to_owned(), channel);
    }

    /// The direct conversation of these people, made when it does not exist yet; and whether it existed.
    pub fn direct(&mut self, people: &[String]) -> (String, bool) {
        let mut wanted: Vec<String> = people.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let kind = if wanted.len() > 2 { ChannelKind::Mpim } else { ChannelKind::Im };
        let found = self.channels.values().find(|channel| {
            let mut members = channel.members.clone();
            members.sort_unstable();
            channel.kind == kind && members == wanted
        });
        if let Some(channel) = found {
            return (channel.id.clone(), true);
        }
        let id = self.next_id(if kind == ChannelKind::Im { "D" } else { "G" });
        let name = if kind == ChannelKind::Im {
            String::new()
        } else {
            let handles: Vec<&str> = wanted.iter().map(|user| self.handle(user)).collect();
            format!("mpdm-{}-1", handles.join("--"))
        };
        let creator = wanted.first().cloned().unwrap_or_default();
        self.insert_channel(&id, &name, kind, &creator);
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.members = wanted;
        }
        (id, false)
    }

    /// A line Slack writes itself into a channel (`… has joined the channel`).
    pub fn system_line(&mut self, channel: &str, subtype: &str, user: &str, text: &str, more: Value) {
        let mut body = match more {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        body.insert("subtype".into(), json!(subtype));
        body.insert("user".into(), json!(user));
        body.insert("text".into(), json!(text));
        self.post(channel, Post { body, ..Post::default() });
    }

    /// Makes somebody a member; does nothing for one who is.
    pub fn add_member(&mut self, channel_id: &str, user: &str, inviter: Option<&str>) {
        let Some(channel) = self.channels.get_mut(channel_id) else {
            return;
        };
        if channel.has(user) {
            return;
        }
        channel.members.push(user.to_owned());
        let kind = if channel.is_private() { "G" } else { "C" };
        let more = inviter.map_or(Value::Null, |inviter| json!({"inviter": inviter}));
        self.system_line(channel_id, "channel_join", user, &format!("<@{user}> has joined the channel"), more);
        if self.app_is_in(channel_id) {
            let ts = self.next_ts();
            let mut event = json!({
                "type": "member_joined_channel",
                "user": user,
                "channel": channel_id,
                "channel_type": kind,
                "team": self.team.id,
                "event_ts": ts,
            });
            if let (Some(inviter), Some(map)) = (inviter, event.as_object_mut()) {
                map.insert("inviter".into(), json!(inviter));
            }
            self.emit("member_joined_channel", event);
        }
    }

    /// Ends a membership. `by` is who removed them; none when they left.
    pub fn remove_member(&mut self, channel_id: &str, user: &str, by: Option<&str>) {
        let team = self.team.id.clone();
        let Some(channel) = self.channels.get(channel_id).filter(|channel| channel.has(user)) else {
            return;
        };
        let kind = if channel.is_private() { "G" } else { "C" };
        let (text, author) = match by {
            Some(by) => (format!("removed <@{user}> from the channel"), by),
            None => (format!("<@{user}> has left the channel"), user),
        };
        let app_was_in = self.app_is_in(channel_id);
        self.system_line(channel_id, "channel_leave", author, &text, Value::Null);
        if let Some(channel) = self.channels.get_mut(channel_id) {
            channel.members.retain(|member| member != user);
        }
        let ts = self.next_ts();
        if app_was_in {
            let event = json!({
                "type": "member_left_channel", "user": user, "channel": channel_id,
                "channel_type": kind, "team": team, "event_ts": ts,
            });
            self.emit("member_left_channel", event);
        }
        if user == self.app.bot_user {
            self.emit_channel_event(channel_id, "left", json!({"actor_id": by}));
        }
    }

    pub fn rename_channel(&mut self, channel_id: &str, by: &str, name: &str) {
        let Some(channel) = self.channels.get_mut(channel_id) else {
            return;
        };
        let old = std::mem::replace(&mut channel.name, name.to_owned());
        channel.previous_names.insert(0, old.clone());
        let created = channel.created;
        self.emit_channel_event(
            channel_id,
            "rename",
            json!({"channel": {"id": channel_id, "name": name, "name_normalized": name, "created": created,
                               "is_channel": true, "is_mpim": false}}),
        );
        let text = format!("has renamed the channel from \"{old}\" to \"{name}\"");
        self.system_line(channel_id, "channel_name", by, &text, json!({"old_name": old, "name": name}));
    }

    pub fn archive_channel(&mut self, channel_id: &str, by: &str) {
        self.system_line(channel_id, "channel_archive", by, "archived the channel", Value::Null);
        if let Some(channel) = self.channels.get_mut(channel_id) {
            channel.is_archived = true;
        }
        self.emit_channel_event(channel_id, "archive", json!({"user": by, "is_moved": 0}));
    }

    pub fn unarchive_channel(&mut self, channel_id: &str, by: &str) {
        if let Some(channel) = self.channels.get_mut(channel_id) {
            channel.is_archived = false;
        }
        self.system_line(channel_id, "channel_unarchive", by, "un-archived the channel", Value::Null);
        self.emit_channel_event(channel_id, "unarchive", json!({"user": by}));
    }

    /// Sets the topic, or the purpose when `is_topic` is false, and says so in the channel.
    pub fn set_note(&mut self, channel_id: &str, by: &str, is_topic: bool, value: &str) {
        let now = self.now_s();
        let Some(channel) = self.channels.get_mut(channel_id) else {
            return;
        };
        let note = if is_topic { &mut channel.topic } else { &mut channel.purpose };
        if note.value == value {
            return;
        }
        *note = Note { value: value.to_owned(), creator: by.to_owned(), last_set: now };
        let (subtype, key) = if is_topic { ("channel_topic", "topic") } else { ("channel_purpose", "purpose") };
        let text = format!("set the channel {key}: {value}");
        self.system_line(channel_id, subtype, by, &text, json!({key: value}));
    }

    /// The conversation object as the API shows it to `viewer`.
    pub fn channel_json(&self, channel: &Channel, viewer: &str) -> Value {
        let base = json!({
            "id": channel.id,
            "created": channel.created,
            "updated": channel.created * 1000,
            "is_archived": channel.is_archived,
            "is_im": channel.kind == ChannelKind::Im,
            "is_mpim": channel.kind == ChannelKind::Mpim,
            "is_org_shared": false,
            "context_team_id": self.team.id,
        });
        let Value::Object(mut map) = base else {
            return Value::Null;
        };
        if channel.kind == ChannelKind::Im {
            let other = channel.members.iter().find(|member| *member != viewer).or(channel.members.first());
            map.insert("user".into(), json!(other));
            map.insert("is_user_deleted".into(), json!(false));
            return Value::Object(map);
        }
        let mut properties = Map::new();
        if let Some(canvas) = &channel.canvas {
            properties.insert("canvas".into(), json!({"file_id": canvas, "is_empty": false, "quip_thread_id": canvas}));
        }
        let more = json!({
            "name": channel.name,
            "name_normalized": channel.name,
            "is_channel": channel.kind == ChannelKind::Public,
            "is_group": channel.kind == ChannelKind::Private,
            "is_private": channel.is_private(),
            "is_general": channel.is_general,
            "is_shared": false,
            "is_ext_shared": false,
            "is_pending_ext_shared": false,
            "pending_shared": [],
            "shared_team_ids": [self.team.id],
            "parent_conversation": null,
            "unlinked": 0,
            "creator": channel.creator,
            "is_member": channel.has(viewer),
            "topic": channel.topic.json(),
            "purpose": channel.purpose.json(),
            "previous_names": channel.previous_names,
            "properties": properties,
        });
        if let Value::Object(more) = more {
            map.extend(more);
        }
        Value::Object(map)
    }
}

#[cfg(test)]
mod tests {
    use super::name_fault;

    #[test]
    fn channel_names_follow_slacks_rules() {
        assert_eq!(name_fault("inc-42-checkout_down"), None);
        assert_eq!(name_fault("café"), None);
        assert_eq!(name_fault(""), Some("invalid_name_required"));
        assert_eq!(name_fault(&"a".repeat(81)), Some("invalid_name_maxlength"));
        assert_eq!(name_fault("Big"), Some("invalid_name_specials"));
        assert_eq!(name_fault("a b"), Some("invalid_name_specials"));
        assert_eq!(name_fault("---"), Some("invalid_name_punctuation"));
    }
}
