//! What Slack accepts in messages and views: Block Kit's shapes, sizes, surfaces and ids.
//!
//! The rules are those of docs.slack.dev ("Block Kit", "Modals", `chat.postMessage`, `views.open`) and of the sizes that
//! Slack's own types name. A fault reads as Slack's: what must be, and a JSON pointer to where it is not.

mod elements;
mod rich_text;
mod rules;
mod shapes;
mod surfaces;

use serde_json::{Map, Value, json};

use rules::Checker;
use surfaces::Surface;

/// The text of all blocks of a message together (undocumented; `msg_blocks_too_long` was seen at about this size).
const BLOCK_TEXT_MAX: usize = 13_200;
/// Message metadata, in bytes.
const METADATA_MAX: usize = 16 * 1024;

/// What is wrong with the blocks (and the blocks in attachments) of a message.
pub(crate) fn message(message: &Map<String, Value>) -> Vec<String> {
    let mut checker = Checker::default();
    if let Some(blocks) = message.get("blocks").filter(|blocks| !blocks.is_null()) {
        surfaces::check_blocks(&mut checker, "/blocks", blocks, Surface::Message);
    }
    let attachments = message.get("attachments").and_then(Value::as_array).into_iter().flatten();
    for (at, attachment) in attachments.enumerate() {
        if let Some(blocks) = attachment.get("blocks").filter(|blocks| !blocks.is_null()) {
            surfaces::check_blocks(&mut checker, &format!("/attachments/{at}/blocks"), blocks, Surface::Message);
        }
    }
    checker.faults
}

/// What is wrong with a modal or Home.
pub(crate) fn view(view: &Map<String, Value>) -> Vec<String> {
    let mut checker = Checker::default();
    let (shape, surface) = match view.get("type").and_then(Value::as_str) {
        Some("modal") => (shapes::MODAL, Surface::Modal),
        Some("home") => (shapes::HOME, Surface::Home),
        _ => {
            return vec!["must be a valid enum value: modal or home [json-pointer:/view/type]".to_owned()];
        }
    };
    checker.object("/view", view, shape);
    if let Some(blocks) = view.get("blocks") {
        surfaces::check_blocks(&mut checker, "/view/blocks", blocks, surface);
        let has_input = blocks.as_array().into_iter().flatten().any(|block| block["type"] == "input");
        if surface == Surface::Modal && has_input && view.get("submit").is_none_or(Value::is_null) {
            checker.fault("/view/submit", "is required because the view has an input block");
        }
    }
    checker.faults
}

/// Whether the texts of these blocks are too long together.
pub(crate) fn blocks_too_long(blocks: Option<&Value>) -> bool {
    fn length(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(length).sum(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| match value {
                    Value::String(text) if key == "text" => text.chars().count(),
                    other => length(other),
                })
                .sum(),
            _ => 0,
        }
    }
    blocks.is_some_and(|blocks| length(blocks) > BLOCK_TEXT_MAX)
}

/// Slack's error code for message metadata it would not take.
pub(crate) fn metadata(metadata: &Value) -> Result<(), &'static str> {
    let Some(map) = metadata.as_object() else {
        return Err("invalid_metadata_format");
    };
    // An empty object removes the metadata.
    if map.is_empty() {
        return Ok(());
    }
    let has_type = map.get("event_type").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty());
    let has_payload = map.get("event_payload").is_some_and(Value::is_object);
    let has_entities = map.get("entities").is_some();
    if !(has_type && has_payload || has_entities) {
        return Err("invalid_metadata_format");
    }
    if json!(metadata).to_string().len() > METADATA_MAX { Err("metadata_too_large") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(blocks: Value) -> Vec<String> {
        message(json!({"blocks": blocks}).as_object().expect("an object"))
    }

    fn one(blocks: Value) -> String {
        let all = faults(blocks);
        assert_eq!(all.len(), 1, "{all:?}");
        all.first().cloned().unwrap_or_default()
    }

    fn section(text: &str) -> Value {
        json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    }

    fn button(action: &str) -> Value {
        json!({"type": "button", "action_id": action, "text": {"type": "plain_text", "text": "Go"}})
    }

    fn modal(blocks: Value) -> Map<String, Value> {
        let view = json!({"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": blocks});
        view.as_object().cloned().unwrap_or_default()
    }

    fn input() -> Value {
        json!({"type": "input", "block_id": "i", "label": {"type": "plain_text", "text": "L"},
               "element": {"type": "plain_text_input", "action_id": "a"}})
    }

    #[test]
    fn an_ordinary_card_is_accepted() {
        let blocks = json!([
            {"type": "header", "text": {"type": "plain_text", "text": "SEV2", "emoji": true}},
            {"type": "section", "block_id": "s", "text": {"type": "mrkdwn", "text": "*checkout* returns 500"},
             "fields": [{"type": "mrkdwn", "text": "*Commander*\nnobody yet"}],
             "accessory": {"type": "overflow", "action_id": "more",
                           "options": [{"text": {"type": "plain_text", "text": "Resolve"}, "value": "resolve"}]}},
            {"type": "divider"},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "since <!date^1^{time}|now>"},
                                             {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"}]},
            {"type": "actions", "elements": [
                {"type": "button", "action_id": "ack", "style": "primary", "value": "ack inc_1",
                 "text": {"type": "plain_text", "text": "Acknowledge"},
                 "confirm": {"title": {"type": "plain_text", "text": "Sure?"}, "text": {"type": "mrkdwn", "text": "x"},
                             "confirm": {"type": "plain_text", "text": "Yes"}, "deny": {"type": "plain_text", "text": "No"}}}]},
            {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
                {"type": "text", "text": "a", "style": {"bold": true}}, {"type": "link", "url": "https://example.com"}]}]},
        ]);
        assert_eq!(faults(blocks), Vec::<String>::new());
    }

    #[test]
    fn an_empty_text_is_refused() {
        assert_eq!(one(json!([section("")])), "must be more than 0 characters [json-pointer:/blocks/0/text/text]");
    }

    #[test]
    fn a_text_one_character_too_long_is_refused() {
        assert!(faults(json!([section(&"é".repeat(3000))])).is_empty());
        assert!(one(json!([section(&"é".repeat(3001))])).contains("less than 3001 characters"));
        let field =
            |length: usize| json!([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x".repeat(length)}]}]);
        assert!(faults(field(2000)).is_empty());
        assert!(one(field(2001)).contains("/blocks/0/fields/0/text"));
    }

    #[test]
    fn mrkdwn_in_a_header_is_refused() {
        assert!(one(json!([{"type": "header", "text": {"type": "mrkdwn", "text": "*x*"}}])).contains("plain_text"));
    }

    #[test]
    fn more_than_fifty_blocks_are_refused_in_a_message_and_taken_in_a_view() {
        let blocks = json!(vec![section("x"); 51]);
        assert!(one(blocks.clone()).contains("no more than 50 items allowed"));
        assert!(view(&modal(blocks)).is_empty());
    }

    #[test]
    fn an_id_used_twice_is_refused() {
        let twice = json!([{"type": "divider", "block_id": "x"}, {"type": "divider", "block_id": "x"}]);
        assert!(one(twice).contains("block_id"));
        assert!(one(json!([{"type": "actions", "elements": [button("a"), button("a")]}])).contains("action_id"));
        let apart =
            json!([{"type": "actions", "elements": [button("a")]}, {"type": "actions", "elements": [button("a")]}]);
        assert!(faults(apart).is_empty());
    }

    #[test]
    fn unknown_blocks_elements_and_keys_are_refused() {
        assert!(one(json!([{"type": "hologram"}])).contains("unsupported type: hologram"));
        assert!(one(json!([{"type": "actions", "elements": [{"type": "lever", "action_id": "a"}]}])).contains("lever"));
        assert!(one(json!([{"type": "divider", "colour": "red"}])).contains("invalid additional property: colour"));
        assert!(one(json!([{"type": "context", "elements": [button("a")]}])).contains("unsupported type: button"));
    }

    #[test]
    fn option_texts_and_values_have_lengths() {
        let menu = |text: usize, value: usize| {
            json!([{"type": "actions", "elements": [{"type": "static_select", "action_id": "m", "options": [
                {"text": {"type": "plain_text", "text": "t".repeat(text)}, "value": "v".repeat(value)}]}]}])
        };
        assert!(faults(menu(75, 150)).is_empty());
        assert!(one(menu(76, 1)).contains("less than 76"));
        assert!(one(menu(1, 151)).contains("less than 151"));
    }

    #[test]
    fn an_initial_option_must_be_one_of_the_options() {
        let option = |value: &str| json!({"text": {"type": "plain_text", "text": value}, "value": value});
        let menu = |initial: &str| {
            json!([{"type": "actions", "elements": [{"type": "static_select", "action_id": "m",
                    "options": [option("a")], "initial_option": option(initial)}]}])
        };
        assert!(faults(menu("a")).is_empty());
        assert!(one(menu("b")).contains("initial_option"));
    }

    #[test]
    fn a_modal_with_an_input_needs_a_submit_button() {
        let mut view = modal(json!([input()]));
        assert!(super::view(&view).first().is_some_and(|fault| fault.contains("/view/submit")));
        view.insert("submit".into(), json!({"type": "plain_text", "text": "Send"}));
        assert!(super::view(&view).is_empty());
        view.insert("title".into(), json!({"type": "plain_text", "text": "x".repeat(25)}));
        assert!(super::view(&view).first().is_some_and(|fault| fault.contains("less than 25")));
    }

    #[test]
    fn elements_of_other_surfaces_are_refused() {
        let number = json!({"type": "input", "label": {"type": "plain_text", "text": "L"},
            "element": {"type": "number_input", "is_decimal_allowed": false, "action_id": "n"}});
        assert!(one(json!([number])).contains("not allowed in a message"));
        let table = json!({"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]});
        assert!(
            view(&modal(json!([table.clone()]))).first().is_some_and(|fault| fault.contains("not allowed in a modal"))
        );
        assert!(faults(json!([table.clone()])).is_empty());
        assert!(one(json!([table.clone(), table])).contains("one table"));
    }

    #[test]
    fn metadata_is_an_event_type_and_a_payload() {
        assert_eq!(metadata(&json!({"event_type": "card", "event_payload": {"id": "1"}})), Ok(()));
        assert_eq!(metadata(&json!({"event_type": "card"})), Err("invalid_metadata_format"));
        let large = json!({"event_type": "card", "event_payload": {"id": "x".repeat(17_000)}});
        assert_eq!(metadata(&large), Err("metadata_too_large"));
    }

    #[test]
    fn all_texts_of_a_message_together_have_a_limit() {
        let blocks = |count: usize| json!(vec![section(&"x".repeat(3000)); count]);
        assert!(!blocks_too_long(Some(&blocks(4))));
        assert!(blocks_too_long(Some(&blocks(5))));
    }
}
