//! Slack's limits as a reader of the finished JSON checks them (platform facts, section 2.3), apart from the builders.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::incident::command::parse;

/// What Vigie itself writes between angle brackets.
const TOKENS: &str =
    r"<@U0[A-Z]+>|<#C0[A-Z0-9]+>|<!date\^-?[0-9]+\^[^<>|^]+\|[^<>|]+>|<https?://[^<>|\s]+(\|[^<>|]+)?>";

/// Checks a message's blocks and its text.
pub fn check_message(text: &str, blocks: &Value) {
    assert!(!text.trim().is_empty(), "a notification says nothing");
    assert!(length(text) <= 4_000, "chat.update takes 4,000 characters, not {}", length(text));
    check_markup(text);
    let blocks = blocks.as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
    let total: usize = blocks.iter().map(all_text).sum();
    assert!(total < 12_000, "{total} characters in one message");
    let primary = blocks.iter().flat_map(buttons).filter(|button| button["style"] == "primary").count();
    assert!(primary <= 1, "{primary} primary buttons");
    blocks.iter().for_each(check_block);
}

/// Checks a `view`.
pub fn check_view(view: &Value) {
    assert!(view.to_string().len() < 250_000);
    for word in ["title", "submit", "close"] {
        if let Some(text) = view[word]["text"].as_str() {
            assert!((1..=24).contains(&length(text)), "{word}: {text}");
        }
    }
    if view["type"] == "modal" {
        assert!(view["title"].is_object() && view["submit"].is_object());
        assert!(view["private_metadata"].as_str().unwrap().len() <= 3_000);
    }
    let blocks = view["blocks"].as_array().unwrap();
    assert!((1..=100).contains(&blocks.len()), "{} blocks", blocks.len());
    let ids: Vec<&str> = blocks.iter().filter_map(|block| block["block_id"].as_str()).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "a block_id stands twice: {ids:?}");
    blocks.iter().for_each(check_block);
}

/// Every button and menu line of a message must be a line that the grammar reads, and name its incident.
pub fn check_lines(blocks: &Value) {
    for line in blocks.as_array().unwrap().iter().flat_map(lines) {
        let read = parse(&line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
        if read.command.needs_incident() {
            assert!(read.incident.or(read.command.incident()).is_some(), "{line} names no incident");
        }
    }
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

fn buttons(block: &Value) -> Vec<&Value> {
    let row = block["elements"].as_array().into_iter().flatten().chain([&block["accessory"]]);
    row.filter(|element| element["type"] == "button").collect()
}

fn lines(block: &Value) -> Vec<String> {
    let menus = block["elements"].as_array().into_iter().flatten().filter(|element| element["type"] == "overflow");
    let options = menus.flat_map(|menu| menu["options"].as_array().unwrap()).map(|option| &option["value"]);
    let values = buttons(block).into_iter().map(|button| &button["value"]).chain(options);
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The texts that are seen, not the values behind them.
fn all_text(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| match field {
                Value::String(text) if name == "text" => length(text),
                Value::Object(_) | Value::Array(_) if name != "confirm" => all_text(field),
                _ => 0,
            })
            .sum(),
        Value::Array(items) => items.iter().map(all_text).sum(),
        _ => 0,
    }
}

fn check_block(block: &Value) {
    let text = &block["text"];
    match block["type"].as_str().unwrap() {
        "header" => check_text(text, 150, "plain_text"),
        "section" => {
            check_text(text, 3_000, "mrkdwn");
            check_element(&block["accessory"]);
        }
        "context" => {
            let elements = block["elements"].as_array().unwrap();
            assert!((1..=10).contains(&elements.len()));
            elements.iter().for_each(|element| check_text(element, 3_000, "mrkdwn"));
        }
        "actions" => {
            let elements = block["elements"].as_array().unwrap();
            assert!((1..=5).contains(&elements.len()), "{} buttons in a row", elements.len());
            let ids: BTreeSet<&str> = elements.iter().map(|element| element["action_id"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), elements.len(), "an action_id stands twice");
            elements.iter().for_each(check_element);
        }
        "rich_text" => assert!(length(block["elements"][0]["elements"][0]["text"].as_str().unwrap()) > 0),
        "divider" => {}
        "input" => {
            check_text(&block["label"], 2_000, "plain_text");
            check_element(&block["element"]);
            if block["hint"].is_object() {
                check_text(&block["hint"], 2_000, "plain_text");
            }
        }
        other => panic!("a block of type {other}"),
    }
}

fn check_text(text: &Value, most: usize, kind: &str) {
    assert_eq!(text["type"], kind);
    let words = text["text"].as_str().unwrap();
    assert!(!words.trim().is_empty(), "Slack refuses empty text");
    assert!(length(words) <= most, "{} of {most}: {words}", length(words));
    if kind == "mrkdwn" {
        assert_eq!(text["verbatim"], true, "an @channel could become a mention");
        check_markup(words);
    }
}

/// Only tokens that are ours stand in angle brackets, and no entity was cut.
fn check_markup(text: &str) {
    static OURS: LazyLock<Regex> = LazyLock::new(|| Regex::new(TOKENS).unwrap());
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new("(?m)^>( |…|$)").unwrap());
    static ENTITY: LazyLock<Regex> = LazyLock::new(|| Regex::new("&(amp|lt|gt);").unwrap());
    let rest = OURS.replace_all(text, "");
    // A line that is quoted.
    let rest = QUOTED.replace_all(&rest, "");
    assert!(!rest.contains(['<', '>']), "foreign markup in {rest:?}");
    let rest = ENTITY.replace_all(&rest, "");
    assert!(!rest.contains('&'), "a bare or cut entity in {rest:?}");
}

fn check_element(element: &Value) {
    match element["type"].as_str() {
        None => {}
        Some("button") => {
            check_text(&element["text"], 75, "plain_text");
            assert!(element["action_id"].is_string());
            assert!(length(element["value"].as_str().unwrap_or_default()) <= 2_000);
            if element["confirm"].is_object() {
                let confirm = &element["confirm"];
                check_text(&confirm["title"], 100, "plain_text");
                check_text(&confirm["text"], 300, "plain_text");
                check_text(&confirm["confirm"], 30, "plain_text");
                check_text(&confirm["deny"], 30, "plain_text");
            }
        }
        Some("overflow") => check_options(&element["options"], 5),
        Some("static_select") => check_options(&element["options"], 100),
        Some("checkboxes") => check_options(&element["options"], 10),
        Some("plain_text_input") => {
            assert!(length(element["initial_value"].as_str().unwrap_or_default()) <= 3_000);
        }
        Some(other) => panic!("an element of type {other}"),
    }
}

fn check_options(options: &Value, most: usize) {
    let options = options.as_array().unwrap();
    assert!((1..=most).contains(&options.len()));
    for option in options {
        check_text(&option["text"], 75, "plain_text");
        assert!((1..=75).contains(&length(option["value"].as_str().unwrap())));
        if option["description"].is_object() {
            check_text(&option["description"], 75, "plain_text");
        }
    }
}
