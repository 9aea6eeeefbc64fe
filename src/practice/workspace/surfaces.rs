//! Views on people's screens (modal stacks, Homes) and the finishing Slack gives to blocks it accepted.

use serde_json::{Map, Value, json};

use super::choices;
use super::model::View;
use super::state::State;

/// At most this many modals lie on each other (docs: "Modals").
pub(crate) const STACK_LIMIT: usize = 3;

/// Whether a text is missing or empty.
fn lacks(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_str).is_none_or(str::is_empty)
}

impl State {
    /// Gives blocks the ids their sender left out, and texts the fields Slack fills in.
    pub fn finish_blocks(&mut self, blocks: &mut Value) {
        for block in blocks.as_array_mut().into_iter().flatten() {
            let Some(map) = block.as_object_mut() else {
                continue;
            };
            if lacks(map, "block_id") {
                let id = self.next_id("b");
                map.insert("block_id".into(), json!(id));
            }
            self.finish_elements(block);
        }
    }

    fn finish_elements(&mut self, part: &mut Value) {
        match part {
            Value::Array(items) => items.iter_mut().for_each(|item| self.finish_elements(item)),
            Value::Object(map) => {
                let kind = map.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
                match kind.as_str() {
                    "plain_text" => {
                        map.entry("emoji").or_insert(json!(true));
                    }
                    "mrkdwn" => {
                        map.entry("verbatim").or_insert(json!(false));
                    }
                    _ if choices::is_interactive(&kind) && lacks(map, "action_id") => {
                        let id = self.next_id("a");
                        map.insert("action_id".into(), json!(id));
                    }
                    "input" => {
                        map.entry("optional").or_insert(json!(false));
                        map.entry("dispatch_action").or_insert(json!(false));
                    }
                    _ => {}
                }
                map.values_mut().for_each(|value| self.finish_elements(value));
            }
            _ => {}
        }
    }

    /// Makes a view of what the app sent, for this person. Keeps what was typed into `old` where inputs are the same.
    fn make_view(&mut self, id: String, user: &str, sent: &Map<String, Value>, old: Option<&View>) -> View {
        let mut blocks = sent.get("blocks").cloned().unwrap_or_else(|| json!([]));
        self.finish_blocks(&mut blocks);
        let mut values = choices::initial_values(&blocks);
        if let Some(old) = old {
            choices::keep(&mut values, &old.values);
        }
        let text = |key: &str| sent.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flag = |key: &str| sent.get(key).and_then(Value::as_bool).unwrap_or(false);
        let root = old.map_or_else(|| id.clone(), |old| old.text("root_view_id").to_owned());
        let previous = old.and_then(|old| old.body.get("previous_view_id").cloned()).unwrap_or(Value::Null);
        let hash = format!("{}.{}", self.now_s(), &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let finish_text = |key: &str| {
            let mut text = sent.get(key).cloned().unwrap_or(Value::Null);
            if let Value::Object(map) = &mut text {
                map.entry("emoji").or_insert(json!(true));
            }
            text
        };
        let body = json!({
            "id": id,
            "team_id": self.team.id,
            "type": text("type"),
            "title": finish_text("title"),
            "submit": finish_text("submit"),
            "close": finish_text("close"),
            "blocks": blocks,
            "private_metadata": text("private_metadata"),
            "callback_id": text("callback_id"),
            "external_id": text("external_id"),
            "hash": hash,
            "clear_on_close": flag("clear_on_close"),
            "notify_on_close": flag("notify_on_close"),
            "submit_disabled": flag("submit_disabled"),
            "root_view_id": root,
            "previous_view_id": previous,
            "app_id": self.app.app_id,
            "app_installed_team_id": self.team.id,
            "bot_id": self.app.bot_id,
        });
        let mut body = match body {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        if text("type") == "home" {
            body.insert("title".into(), json!({"type": "plain_text", "text": "View Title", "emoji": true}));
            body.remove("submit_disabled");
        }
        View { id, user: user.to_owned(), body, values, is_open: true }
    }

    /// Opens a modal on this person's screen, in place of whatever was open. Gives its id.
    pub fn open_view(&mut self, user: &str, sent: &Map<String, Value>) -> String {
        self.close_all(user);
        let id = self.next_id("V");
        let view = self.make_view(id.clone(), user, sent, None);
        self.views.insert(id.clone(), view);
        self.stacks.insert(user.to_owned(), vec![id.clone()]);
        id
    }

    /// Lays a modal on top. None when three are there already, or none is.
    pub fn push_view(&mut self, user: &str, sent: &Map<String, Value>) -> Option<String> {
        let stack = self.stacks.get(user).filter(|stack| !stack.is_empty() && stack.len() < STACK_LIMIT)?;
        let (root, top) = (stack.first()?.clone(), stack.last()?.clone());
        let id = self.next_id("V");
        let mut view = self.make_view(id.clone(), user, sent, None);
        view.body.insert("root_view_id".into(), json!(root));
        view.body.insert("previous_view_id".into(), json!(top));
        self.views.insert(id.clone(), view);
        self.stacks.entry(user.to_owned()).or_default().push(id.clone());
        Some(id)
    }

    /// Replaces what a view shows.
    pub fn update_view(&mut self, id: &str, sent: &Map<String, Value>) {
        let Some(old) = self.views.get(id).cloned() else {
            return;
        };
        let mut view = self.make_view(id.to_owned(), &old.user, sent, Some(&old));
        view.is_open = old.is_open;
        self.views.insert(id.to_owned(), view);
    }

    /// Shows a Home to this person. Gives the view's id.
    pub fn publish_home(&mut self, user: &str, sent: &Map<String, Value>) -> String {
        if let Some(id) = self.homes.get(user).cloned() {
            self.update_view(&id, sent);
            return id;
        }
        let id = self.next_id("V");
        let view = self.make_view(id.clone(), user, sent, None);
        self.views.insert(id.clone(), view);
        self.homes.insert(user.to_owned(), id.clone());
        id
    }

    /// Takes the topmost modal away. Gives it back.
    pub fn close_top(&mut self, user: &str) -> Option<View> {
        let id = self.stacks.get_mut(user)?.pop()?;
        let view = self.views.get_mut(&id)?;
        view.is_open = false;
        Some(view.clone())
    }

    /// Takes every modal of this person away, the topmost first.
    pub fn close_all(&mut self, user: &str) -> Vec<View> {
        std::iter::from_fn(|| self.close_top(user)).collect()
    }

    /// The person's topmost modal.
    pub fn top_view(&self, user: &str) -> Option<&View> {
        self.views.get(self.stacks.get(user)?.last()?)
    }
}
