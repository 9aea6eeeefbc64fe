//! What Slack sends, read leniently: everything may be missing, nothing unknown is refused.
//!
//! Field names from Slack's pages “Slash commands”, “Interaction payloads” and “Event types”; slack-morphism's own
//! models refuse whole payloads for a field that they do not know (platform facts 1.6).

use serde::Deserialize;
use serde_json::Value;

/// A slash command.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlashCommand {
    pub text: String,
    pub user_id: String,
    pub channel_id: String,
    pub response_url: String,
    pub trigger_id: String,
}

/// Something with nothing but an id that matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WithId {
    pub id: String,
}

/// A click, a dialog, a shortcut.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Interaction {
    #[serde(rename = "type")]
    pub kind: String,
    pub user: WithId,
    pub channel: Option<WithId>,
    pub container: Container,
    pub trigger_id: String,
    pub response_url: String,
    pub callback_id: String,
    pub action_ts: String,
    pub message_ts: String,
    pub actions: Vec<Action>,
    pub message: Value,
    pub view: Option<View>,
}

/// Where a clicked element stands.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub message_ts: String,
    pub channel_id: String,
    pub view_id: String,
}

/// One element that was used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Action {
    pub action_id: String,
    pub action_ts: String,
    pub value: Option<String>,
    pub selected_option: Option<Choice>,
    pub selected_user: Option<String>,
}

/// An option of a menu.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    pub value: String,
}

/// A dialog or a Home tab. Its answers are read from the raw JSON by `views`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    pub id: String,
    pub hash: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// The wrapper of an event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EventCallback {
    #[serde(rename = "type")]
    pub kind: String,
    pub event_id: String,
    pub event: Event,
}

/// An event, the union of those that Vigie listens to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub kind: String,
    pub subtype: String,
    pub user: Value,
    pub channel: Value,
    pub reaction: String,
    pub item: Item,
    pub tab: String,
    pub deleted_ts: String,
    pub message: Value,
    pub previous_message: Value,
    pub event_ts: String,
}

/// What was reacted to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item {
    #[serde(rename = "type")]
    pub kind: String,
    pub channel: String,
    pub ts: String,
}

impl Event {
    /// The channel's id, which some events give bare and others in an object.
    pub fn channel_id(&self) -> &str {
        id_of(&self.channel)
    }

    /// The user's id, likewise.
    pub fn user_id(&self) -> &str {
        id_of(&self.user)
    }
}

fn id_of(value: &Value) -> &str {
    match value {
        Value::String(id) => id,
        other => other.get("id").and_then(Value::as_str).unwrap_or_default(),
    }
}

impl Interaction {
    /// The conversation it happened in; none on Home and in dialogs.
    pub fn channel_id(&self) -> Option<&str> {
        let named = self.channel.as_ref().map(|channel| channel.id.as_str());
        named.filter(|id| !id.is_empty()).or(Some(self.container.channel_id.as_str())).filter(|id| !id.is_empty())
    }

    /// The same for every copy of one click: Slack's trigger, else the place, the moment and the person.
    pub fn source(&self) -> String {
        if !self.trigger_id.is_empty() {
            return format!("slack:{}", self.trigger_id);
        }
        let at = self.actions.first().map_or(self.action_ts.as_str(), |action| action.action_ts.as_str());
        let place = &self.container;
        format!("slack:{}:{}:{}:{at}:{}", place.channel_id, place.message_ts, place.view_id, self.user.id)
    }
}

impl Action {
    /// The command line that the element stands for.
    pub fn line(&self) -> Option<&str> {
        let chosen = self.selected_option.as_ref().map(|choice| choice.value.as_str());
        self.value.as_deref().or(chosen).filter(|line| !line.is_empty())
    }
}

/// Nothing is read as nothing.
pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn interaction(payload: Value) -> Interaction {
        serde_json::from_value(payload).expect("every payload is read")
    }

    #[test]
    fn a_click_on_home_has_no_channel_and_still_a_name_of_its_own() {
        let home = interaction(json!({
            "type": "block_actions",
            "user": {"id": "U1"},
            "container": {"type": "view", "view_id": "V1"},
            "view": {"id": "V1", "type": "home"},
            "actions": [{"type": "button", "value": "ack --in inc_7", "action_ts": "1.5"}],
        }));
        assert_eq!(home.channel_id(), None);
        assert_eq!(home.source(), "slack:::V1:1.5:U1");
        assert_eq!(home.actions.first().and_then(Action::line), Some("ack --in inc_7"));
    }

    #[test]
    fn unknown_shapes_are_read_for_what_is_known() {
        let strange = interaction(json!({
            "type": "something_new", "user": {"id": "U1", "hologram": true}, "actions": [{"type": "dial", "selected_option": {"value": "status"}}],
            "message": {"metadata": {"event_payload": {"n": 7}}}, "trigger_id": "T.1"
        }));
        assert_eq!(strange.source(), "slack:T.1");
        assert_eq!(strange.actions.first().and_then(Action::line), Some("status"));
    }

    #[test]
    fn an_event_names_its_channel_bare_or_in_an_object() {
        for channel in [json!("C1"), json!({"id": "C1", "name": "x"})] {
            let event: Event =
                serde_json::from_value(json!({"type": "channel_archive", "channel": channel})).expect("read");
            assert_eq!(event.channel_id(), "C1");
        }
    }

    #[test]
    fn every_recorded_sample_of_slack_is_read() {
        for sample in [
            json!({"type": "message_action", "message": {"text": "x"}, "channel": {"id": "", "name": ""}, "is_enterprise_install": false}),
            json!({"type": "view_submission", "view": {"state": {"values": {}}, "previous_view_id": null, "hash": ""}}),
        ] {
            let read = serde_json::from_value::<Interaction>(sample.clone());
            assert!(read.is_ok(), "{sample}: {read:?}");
        }
    }
}
