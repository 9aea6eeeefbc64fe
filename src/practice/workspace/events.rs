//! Which events the app gets, and the envelope Slack wraps them in.
//!
//! An event leaves only if the manifest subscribes to it and the bot has the scope it needs (docs: "Events API").

use serde_json::{Map, Value, json};

use super::model::ChannelKind;
use super::state::State;

/// The scopes of which one is enough for this subscription; empty when none is needed.
fn needed_scopes(subscription: &str) -> &'static [&'static str] {
    match subscription {
        "message.channels" => &["channels:history"],
        "message.groups" => &["groups:history"],
        "message.im" => &["im:history"],
        "message.mpim" => &["mpim:history"],
        "reaction_added" | "reaction_removed" => &["reactions:read"],
        "pin_added" | "pin_removed" => &["pins:read"],
        "app_mention" => &["app_mentions:read"],
        "member_joined_channel" | "member_left_channel" => &["channels:read", "groups:read"],
        "channel_created" | "channel_archive" | "channel_unarchive" | "channel_deleted" | "channel_rename"
        | "channel_left" => &["channels:read"],
        "group_archive" | "group_unarchive" | "group_deleted" | "group_rename" | "group_left" => &["groups:read"],
        "subteam_created" | "subteam_updated" | "subteam_members_changed" => &["usergroups:read"],
        "user_change" | "team_join" => &["users:read"],
        "file_shared" | "file_created" => &["files:read"],
        _ => &[],
    }
}

impl State {
    /// Queues an event for the app, if it is subscribed to it and may read it.
    pub fn emit(&mut self, subscription: &str, event: Value) {
        let scopes = needed_scopes(subscription);
        let allowed = scopes.is_empty() || scopes.iter().any(|scope| self.manifest.has_scope(scope));
        if !self.manifest.is_subscribed(subscription) || !allowed {
            return;
        }
        let payload = self.event_payload(event);
        self.outgoing.push(payload);
    }

    fn event_payload(&mut self, event: Value) -> Value {
        let event_id = self.next_id("Ev");
        json!({
            "token": "practice",
            "team_id": self.team.id,
            "context_team_id": self.team.id,
            "context_enterprise_id": null,
            "api_app_id": self.app.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": event_id,
            "event_time": self.now_s(),
            "authorizations": [{
                "enterprise_id": null,
                "team_id": self.team.id,
                "user_id": self.app.bot_user,
                "is_bot": true,
                "is_enterprise_install": false,
            }],
            "is_ext_shared_channel": false,
            "event_context": format!("4-{event_id}"),
        })
    }

    /// Whether the app hears what happens in this channel.
    pub fn app_is_in(&self, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.has(&self.app.bot_user))
    }

    /// Sends a `message` event of any shape, with the fields every one of them has.
    pub fn emit_message(&mut self, channel: &str, body: Map<String, Value>) {
        if !self.app_is_in(channel) {
            return;
        }
        let Some((event_type, kind)) = self.channels.get(channel).map(|c| (c.event_type(), c.kind)) else {
            return;
        };
        let mut event = body;
        event.insert("type".into(), json!("message"));
        event.insert("channel".into(), json!(channel));
        event.insert("channel_type".into(), json!(event_type));
        let event_ts = match event.get("ts") {
            Some(ts) => ts.clone(),
            None => json!(self.next_ts()),
        };
        event.insert("event_ts".into(), event_ts);
        let subscription = match kind {
            ChannelKind::Public => "message.channels",
            ChannelKind::Private => "message.groups",
            ChannelKind::Im => "message.im",
            ChannelKind::Mpim => "message.mpim",
        };
        self.emit(subscription, Value::Object(event));
    }

    /// Sends `app_home_opened` for a tab of the app.
    pub fn open_app_tab(&mut self, user: &str, tab: &str) {
        let bot = self.app.bot_user.clone();
        let (channel, _) = self.direct(&[user.to_owned(), bot]);
        let ts = self.next_ts();
        let mut event = Map::new();
        event.insert("type".into(), json!("app_home_opened"));
        event.insert("user".into(), json!(user));
        event.insert("channel".into(), json!(channel));
        event.insert("tab".into(), json!(tab));
        event.insert("event_ts".into(), json!(ts));
        let home = self.homes.get(user).and_then(|id| self.views.get(id)).filter(|_| tab == "home");
        if let Some(view) = home {
            event.insert("view".into(), view.json());
        }
        self.emit("app_home_opened", Value::Object(event));
    }

    /// Sends `channel_x` for public channels and `group_x` for private ones.
    pub fn emit_channel_event(&mut self, channel: &str, what: &str, fields: Value) {
        let Some(kind) = self.channels.get(channel).map(|channel| channel.kind) else {
            return;
        };
        let name = match kind {
            ChannelKind::Public => format!("channel_{what}"),
            ChannelKind::Private => format!("group_{what}"),
            ChannelKind::Im | ChannelKind::Mpim => return,
        };
        // A private channel's life is known to its members only.
        if kind == ChannelKind::Private && !self.app_is_in(channel) && what != "left" {
            return;
        }
        let mut event = match fields {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        event.insert("type".into(), json!(name));
        if !event.contains_key("channel") {
            event.insert("channel".into(), json!(channel));
        }
        let ts = self.next_ts();
        event.insert("event_ts".into(), json!(ts));
        self.emit(&name, Value::Object(event));
    }
}
