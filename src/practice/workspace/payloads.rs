//! The payloads Slack sends when a person does something: commands, clicks, forms, shortcuts (docs: "Interaction payloads").

use serde_json::{Map, Value, json};

use super::choices::{self, Found};
use super::model::{Ephemeral, Message, Source};
use super::state::State;

/// What a person clicked on.
#[derive(Debug, Clone)]
pub(crate) enum Surface {
    Message {
        channel: String,
        ts: String,
    },
    /// A message only this person sees.
    Ephemeral {
        channel: String,
        ts: String,
    },
    /// A modal or Home.
    View {
        id: String,
    },
}

impl State {
    fn interaction(&mut self, kind: &str, user: &str) -> Map<String, Value> {
        let base = json!({
            "type": kind,
            "token": "practice",
            "api_app_id": self.app.app_id,
            "team": self.team_stub(),
            "user": self.user_stub(user),
            "enterprise": null,
            "is_enterprise_install": false,
        });
        match base {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn channel_stub(&self, channel: &str) -> Value {
        let name = self.channels.get(channel).map_or("", |channel| channel.public_name());
        json!({"id": channel, "name": name})
    }

    /// The blocks a surface shows.
    pub fn blocks_of(&self, user: &str, surface: &Surface) -> Option<Value> {
        let blocks = match surface {
            Surface::Message { channel, ts } => {
                self.channels.get(channel)?.message(ts).map(|message| message.body.get("blocks").cloned())?
            }
            Surface::Ephemeral { channel, ts } => {
                self.ephemeral(user, channel, ts).map(|message| message.body.get("blocks").cloned())?
            }
            Surface::View { id } => self.views.get(id).map(|view| view.body.get("blocks").cloned())?,
        };
        Some(blocks.unwrap_or_else(|| json!([])))
    }

    pub fn ephemeral(&self, user: &str, channel: &str, ts: &str) -> Option<&Ephemeral> {
        self.ephemerals.iter().find(|one| one.user == user && one.channel == channel && one.ts == ts)
    }

    /// Remembers what was chosen on a surface.
    pub fn remember(&mut self, user: &str, surface: &Surface, found: &Found, value: Value) {
        match surface {
            Surface::View { id } => {
                if let Some(view) = self.views.get_mut(id) {
                    choices::put(&mut view.values, found, value);
                }
            }
            Surface::Message { channel, ts } | Surface::Ephemeral { channel, ts } => {
                let blocks = self.blocks_of(user, surface).unwrap_or_default();
                let key = (user.to_owned(), channel.clone(), ts.clone());
                let values = self.choices.entry(key).or_insert_with(|| choices::initial_values(&blocks));
                choices::put(values, found, value);
            }
        }
    }

    fn values_of(&self, user: &str, surface: &Surface) -> Map<String, Value> {
        match surface {
            Surface::View { id } => self.views.get(id).map(|view| view.values.clone()).unwrap_or_default(),
            Surface::Message { channel, ts } | Surface::Ephemeral { channel, ts } => {
                let key = (user.to_owned(), channel.clone(), ts.clone());
                let blocks = || self.blocks_of(user, surface).unwrap_or_default();
                self.choices.get(&key).cloned().unwrap_or_else(|| choices::initial_values(&blocks()))
            }
        }
    }

    /// What both clicks and option searches say about where they happened.
    fn place(&self, user: &str, surface: &Surface, map: &mut Map<String, Value>) {
        match surface {
            Surface::View { id } => {
                map.insert("container".into(), json!({"type": "view", "view_id": id}));
                let view = self.views.get(id).map_or(Value::Null, |view| view.json());
                map.insert("view".into(), view);
            }
            Surface::Message { channel, ts } => {
                let message = self.channels.get(channel).and_then(|channel| channel.message(ts));
                let mut container =
                    json!({"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": false});
                add_thread(&mut container, message.and_then(|message| message.thread_ts.as_deref()));
                map.insert("container".into(), container);
                map.insert("channel".into(), self.channel_stub(channel));
                map.insert("message".into(), message.map_or(Value::Null, |message| message.json(true)));
            }
            Surface::Ephemeral { channel, ts } => {
                let mut container =
                    json!({"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": true});
                let thread = self.ephemeral(user, channel, ts).and_then(|one| one.body.get("thread_ts"));
                add_thread(&mut container, thread.and_then(Value::as_str));
                map.insert("container".into(), container);
                map.insert("channel".into(), self.channel_stub(channel));
            }
        }
    }

    /// A `block_actions` payload for an element used on a surface.
    pub fn block_actions(&mut self, user: &str, surface: &Surface, found: &Found, chosen: Option<&Value>) -> Value {
        let action_ts = self.next_ts();
        let mut map = self.interaction("block_actions", user);
        self.place(user, surface, &mut map);
        let view = match surface {
            Surface::View { id } => Some(id.clone()),
            _ => None,
        };
        let trigger = self.new_trigger(user, view.as_deref());
        map.insert("trigger_id".into(), json!(trigger));
        map.insert("actions".into(), json!([choices::action(found, chosen, &action_ts)]));
        if let Surface::Message { channel, ts } | Surface::Ephemeral { channel, ts } = surface {
            let source = Source { ts: ts.clone(), is_ephemeral: matches!(surface, Surface::Ephemeral { .. }) };
            let url = self.new_response_url(channel, user, Some(source));
            map.insert("response_url".into(), json!(url));
            map.insert("state".into(), json!({"values": self.values_of(user, surface)}));
        }
        Value::Object(map)
    }

    /// A `block_suggestion` payload: a person types into an external select.
    pub fn block_suggestion(&mut self, user: &str, surface: &Surface, found: &Found, typed: &str) -> Value {
        let mut map = self.interaction("block_suggestion", user);
        self.place(user, surface, &mut map);
        map.insert("action_id".into(), json!(found.action_id));
        map.insert("block_id".into(), json!(found.block_id));
        map.insert("value".into(), json!(typed));
        Value::Object(map)
    }

    /// A `view_submission` payload.
    pub fn view_submission(&mut self, user: &str, view_id: &str) -> Value {
        let mut map = self.interaction("view_submission", user);
        let trigger = self.new_trigger(user, Some(view_id));
        let view = self.views.get(view_id).map_or(Value::Null, |view| view.json());
        map.insert("trigger_id".into(), json!(trigger));
        map.insert("view".into(), view);
        map.insert("response_urls".into(), json!([]));
        Value::Object(map)
    }

    /// A `view_closed` payload.
    pub fn view_closed(&mut self, user: &str, view: Value, is_cleared: bool) -> Value {
        let mut map = self.interaction("view_closed", user);
        map.insert("view".into(), view);
        map.insert("is_cleared".into(), json!(is_cleared));
        Value::Object(map)
    }

    /// A `shortcut` payload.
    pub fn shortcut(&mut self, user: &str, callback_id: &str) -> Value {
        let mut map = self.interaction("shortcut", user);
        let (trigger, ts) = (self.new_trigger(user, None), self.next_ts());
        map.insert("callback_id".into(), json!(callback_id));
        map.insert("trigger_id".into(), json!(trigger));
        map.insert("action_ts".into(), json!(ts));
        Value::Object(map)
    }

    /// A `message_action` payload.
    pub fn message_action(&mut self, user: &str, callback_id: &str, channel: &str, message: &Message) -> Value {
        let mut map = self.interaction("message_action", user);
        let (trigger, ts) = (self.new_trigger(user, None), self.next_ts());
        let source = Source { ts: message.ts.clone(), is_ephemeral: false };
        let url = self.new_response_url(channel, user, Some(source));
        map.insert("callback_id".into(), json!(callback_id));
        map.insert("trigger_id".into(), json!(trigger));
        map.insert("action_ts".into(), json!(ts));
        map.insert("message_ts".into(), json!(message.ts));
        map.insert("channel".into(), self.channel_stub(channel));
        map.insert("message".into(), message.json(true));
        map.insert("response_url".into(), json!(url));
        Value::Object(map)
    }

    /// The form of a slash command (docs: "Implementing slash commands").
    pub fn slash_command(&mut self, user: &str, channel: &str, command: &str, typed: &str) -> Value {
        let should_escape = self.manifest.command(command).is_some_and(|known| known.should_escape);
        let text = self.compose_command(typed.trim(), should_escape);
        let trigger = self.new_trigger(user, None);
        let url = self.new_response_url(channel, user, None);
        json!({
            "token": "practice",
            "team_id": self.team.id,
            "team_domain": self.team.domain,
            "channel_id": channel,
            "channel_name": self.channels.get(channel).map_or("", |channel| channel.public_name()),
            "user_id": user,
            "user_name": self.handle(user),
            "command": command,
            "text": text,
            "api_app_id": self.app.app_id,
            "is_enterprise_install": "false",
            "response_url": url,
            "trigger_id": trigger,
        })
    }
}

fn add_thread(container: &mut Value, thread: Option<&str>) {
    if let (Some(map), Some(thread)) = (container.as_object_mut(), thread) {
        map.insert("thread_ts".into(), json!(thread));
    }
}
