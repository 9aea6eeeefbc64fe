//! What Slack does with an app's answer: shows a command's text, follows a modal's `response_action`.

use serde_json::{Map, Value, json};

use super::super::validate;
use super::choices::{self, Found};
use super::messages::Post;
use super::model::View;
use super::payloads::Surface;
use super::person::{NotPossible, SubmitOutcome};
use super::state::State;

/// What a submission led to.
pub(crate) struct Submitted {
    pub seen: SubmitOutcome,
    /// Views that were closed by the app's answer and may want to be told.
    pub closed: Vec<View>,
}

impl State {
    /// The bot's half of a message body: who it is from.
    pub fn bot_body(&self) -> Map<String, Value> {
        let body = json!({
            "user": self.app.bot_user,
            "bot_id": self.app.bot_id,
            "app_id": self.app.app_id,
            "bot_profile": self.bot_profile(),
        });
        body.as_object().cloned().unwrap_or_default()
    }

    /// Shows what a command was acknowledged with: to the person alone, or to all when it says so.
    pub fn show_command_answer(&mut self, channel: &str, user: &str, payload: &Value) {
        let Some(answer) = payload.as_object() else {
            return;
        };
        if !answer.contains_key("text") && !answer.contains_key("blocks") && !answer.contains_key("attachments") {
            return;
        }
        let faults = validate::message(answer);
        if !faults.is_empty() {
            self.violate("invalid_blocks", "slash_commands ack", faults.join("; "));
            return;
        }
        let mut body = self.answer_body(answer);
        if answer.get("response_type").and_then(Value::as_str) == Some("in_channel") {
            body.insert("subtype".into(), json!("bot_message"));
            body.remove("user");
            self.post(channel, Post { body, ..Post::default() });
        } else {
            self.post_ephemeral(channel, user, body, None);
        }
    }

    /// The body of a message that came as an answer.
    pub fn answer_body(&mut self, answer: &Map<String, Value>) -> Map<String, Value> {
        let mut body = self.bot_body();
        for key in ["text", "blocks", "attachments"] {
            if let Some(value) = answer.get(key).filter(|value| !value.is_null()) {
                let mut value = value.clone();
                if key == "blocks" {
                    self.finish_blocks(&mut value);
                }
                body.insert(key.to_owned(), value);
            }
        }
        body.entry("text").or_insert_with(|| json!(""));
        body
    }

    /// Follows the answer to a `view_submission`.
    pub fn after_submit(&mut self, user: &str, view_id: &str, answer: Option<&Value>) -> Submitted {
        let stays = |seen| Submitted { seen, closed: Vec::new() };
        let action = answer.and_then(|answer| answer.get("response_action")).and_then(Value::as_str);
        let view = answer.and_then(|answer| answer.get("view")).and_then(Value::as_object).cloned();
        if let Some(view) = &view {
            let faults = validate::view(view);
            if !faults.is_empty() {
                self.violate("invalid_view", "view_submission ack", faults.join("; "));
                return stays(SubmitOutcome::Failed(
                    "the app answered with a view that Slack does not accept".to_owned(),
                ));
            }
        }
        match (action, view) {
            (None, _) => {
                self.close_top(user);
                stays(SubmitOutcome::Closed)
            }
            (Some("clear"), _) => {
                let mut closed = self.close_all(user);
                // The one that was submitted was not closed by the person.
                closed.retain(|view| view.id != view_id);
                Submitted { seen: SubmitOutcome::Cleared, closed }
            }
            (Some("errors"), _) => self.show_errors(view_id, answer),
            (Some("update"), Some(view)) => {
                self.update_view(view_id, &view);
                let shown = self.views.get(view_id).map_or(Value::Null, View::json);
                stays(SubmitOutcome::Updated(shown))
            }
            (Some("push"), Some(view)) => match self.push_view(user, &view) {
                Some(id) => stays(SubmitOutcome::Pushed(self.views.get(&id).map_or(Value::Null, View::json))),
                None => {
                    self.violate("push_limit_reached", "view_submission ack", "three modals are open already");
                    stays(SubmitOutcome::Failed("push_limit_reached".to_owned()))
                }
            },
            (Some(other), _) => {
                self.violate("invalid_response_action", "view_submission ack", other);
                stays(SubmitOutcome::Failed(format!("the app answered with response_action {other:?}")))
            }
        }
    }

    fn show_errors(&mut self, view_id: &str, answer: Option<&Value>) -> Submitted {
        let errors =
            answer.and_then(|answer| answer.get("errors")).and_then(Value::as_object).cloned().unwrap_or_default();
        let blocks = self.views.get(view_id).and_then(|view| view.body.get("blocks").cloned()).unwrap_or_default();
        let inputs: Vec<&str> = blocks
            .as_array()
            .into_iter()
            .flatten()
            .filter(|block| block["type"] == "input")
            .filter_map(|block| block["block_id"].as_str())
            .collect();
        let unknown: Vec<&String> = errors.keys().filter(|key| !inputs.contains(&key.as_str())).collect();
        if errors.is_empty() || !unknown.is_empty() {
            let detail = format!("errors must name input blocks by block_id; these are none: {unknown:?}");
            self.violate("invalid_errors", "view_submission ack", detail);
            let seen = SubmitOutcome::Failed("the app reported errors for inputs that do not exist".to_owned());
            return Submitted { seen, closed: Vec::new() };
        }
        Submitted { seen: SubmitOutcome::Errors(errors), closed: Vec::new() }
    }

    /// Whether using this element sends an envelope: inputs only with `dispatch_action`.
    pub fn dispatches(&self, user: &str, surface: &Surface, found: &Found) -> bool {
        let blocks = self.blocks_of(user, surface).unwrap_or_default();
        let block = blocks.as_array().into_iter().flatten().find(|block| block["block_id"] == found.block_id.as_str());
        block.is_none_or(|block| block["type"] != "input" || block["dispatch_action"] == true)
    }

    /// An input of a view by action id, block id or label.
    pub fn input(&self, view_id: &str, wanted: &str) -> Result<Found, NotPossible> {
        let Some(view) = self.views.get(view_id) else {
            return Err(NotPossible(format!("there is no view {view_id}")));
        };
        let blocks = view.body.get("blocks").cloned().unwrap_or_default();
        let labelled: Option<&str> = blocks
            .as_array()
            .into_iter()
            .flatten()
            .find(|block| {
                block["block_id"] == wanted || block.pointer("/label/text").and_then(Value::as_str) == Some(wanted)
            })
            .and_then(|block| block["block_id"].as_str());
        let by_block =
            labelled.and_then(|id| choices::elements(&blocks).into_iter().find(|found| found.block_id == id));
        by_block.or_else(|| choices::find(&blocks, wanted)).ok_or_else(|| {
            NotPossible(format!("there is no input {wanted:?}; there is: {}", choices::describe(&blocks)))
        })
    }

    /// Turns handles and channel names into ids where an element wants ids.
    pub fn person_choice(&self, found: &Found, choice: Value) -> Value {
        match choice {
            Value::Array(many) => Value::Array(many.into_iter().map(|one| self.person_choice(found, one)).collect()),
            Value::String(name) => {
                let plain = name.trim_start_matches(['@', '#']);
                let user = || self.members.values().find(|member| member.profile.handle == plain);
                let channel = || self.channel_by_name(plain);
                let kind = found.kind();
                let id = if kind.ends_with("users_select") {
                    user().map(|member| member.profile.id.clone())
                } else if kind.ends_with("channels_select") || kind.ends_with("conversations_select") {
                    channel().map(|channel| channel.id.clone())
                } else {
                    None
                };
                Value::String(id.unwrap_or(name))
            }
            other => other,
        }
    }
}
