//! Holds `manifest.yml` against the program: it asks for what is used, declares what is handled, and nothing else.
//!
//! The scopes come from Slack's method and event pages. Where a page offers several, the table names those that
//! public and private channels need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;
use serde_json::Value;

const MANIFEST: &str = include_str!("../../manifest.yml");

/// Files of the Slack room that name methods without calling them: rate tiers and sentences about failures.
const TABLES: [&str; 2] = ["budget.rs", "fault.rs"];

/// Every method the program may call, with the bot scopes it needs.
const METHODS: [(&str, &[&str]); 29] = [
    ("apps.connections.open", &[]),
    ("auth.test", &[]),
    ("bookmarks.add", &["bookmarks:write"]),
    ("bookmarks.edit", &["bookmarks:write"]),
    ("bookmarks.list", &["bookmarks:read"]),
    ("canvases.edit", &["canvases:write"]),
    ("chat.delete", &["chat:write"]),
    ("chat.postEphemeral", &["chat:write"]),
    ("chat.postMessage", &["chat:write"]),
    ("chat.update", &["chat:write"]),
    ("conversations.canvases.create", &["canvases:write"]),
    ("conversations.create", &["channels:manage", "groups:write"]),
    ("conversations.history", &["channels:history", "groups:history", "im:history"]),
    ("conversations.info", &["channels:read", "groups:read"]),
    ("conversations.invite", &["channels:manage", "groups:write"]),
    ("conversations.join", &["channels:join"]),
    ("conversations.open", &["im:write"]),
    ("conversations.replies", &["channels:history", "groups:history"]),
    ("conversations.setPurpose", &["channels:manage", "groups:write"]),
    ("conversations.setTopic", &["channels:manage", "groups:write"]),
    ("files.completeUploadExternal", &["files:write"]),
    ("files.getUploadURLExternal", &["files:write"]),
    ("files.info", &["files:read"]),
    ("pins.add", &["pins:write"]),
    ("users.conversations", &["channels:read", "groups:read"]),
    ("usergroups.users.list", &["usergroups:read"]),
    ("users.info", &["users:read"]),
    ("views.open", &[]),
    ("views.publish", &[]),
];

/// Methods that need no scope and may or may not be called.
const FREE: [&str; 3] = ["views.update", "chat.getPermalink", "views.push"];

/// Every event the program may be told of, with the scopes that subscribing to it needs.
const EVENTS: [(&str, &[&str]); 17] = [
    ("app_home_opened", &[]),
    ("app_uninstalled", &[]),
    ("channel_archive", &["channels:read"]),
    ("channel_deleted", &["channels:read"]),
    ("channel_left", &["channels:read"]),
    ("channel_unarchive", &["channels:read"]),
    ("group_archive", &["groups:read"]),
    ("group_deleted", &["groups:read"]),
    ("group_left", &["groups:read"]),
    ("group_unarchive", &["groups:read"]),
    ("member_joined_channel", &["channels:read", "groups:read"]),
    ("member_left_channel", &["channels:read", "groups:read"]),
    ("message.channels", &["channels:history"]),
    ("message.groups", &["groups:history"]),
    ("reaction_added", &["reactions:read"]),
    ("reaction_removed", &["reactions:read"]),
    ("tokens_revoked", &[]),
];

/// Names in the event reader that cannot be subscribed to: message subtypes, and what Slack sends unasked.
const NOT_SUBSCRIBED: [&str; 3] = ["message_changed", "message_deleted", "app_rate_limited"];

fn manifest() -> Value {
    serde_saphyr::from_str(MANIFEST).expect("manifest.yml is YAML")
}

fn words(value: &Value, pointer: &str) -> BTreeSet<String> {
    let list = value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{pointer} is no list"));
    list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// The production code below `src/`, by path.
fn source(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut files = BTreeMap::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder's entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("Rust source is UTF-8");
                let production = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                files.insert(path.display().to_string(), production);
            }
        }
    }
    files
}

fn found(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a good pattern");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The Web API methods that the Slack room calls.
fn called() -> BTreeSet<String> {
    let method = r#""((?:api|apps|auth|bookmarks|canvases|chat|conversations|dnd|emoji|files|pins|reactions|team|usergroups|users|views)\.[A-Za-z.]+)""#;
    let calls = source("slack").into_iter().filter(|(path, _)| !TABLES.iter().any(|table| path.ends_with(table)));
    calls.flat_map(|(_, text)| found(method, &text)).collect()
}

#[test]
fn every_method_that_is_called_has_its_scope_and_no_scope_is_asked_for_in_vain() {
    let called = called();
    let known: BTreeSet<String> = METHODS.iter().map(|(method, _)| (*method).to_owned()).collect();
    let free: BTreeSet<String> = FREE.iter().map(|method| (*method).to_owned()).collect();
    let unknown: Vec<_> = called.iter().filter(|method| !known.contains(*method) && !free.contains(*method)).collect();
    assert!(unknown.is_empty(), "called, but without a line in this test's table: {unknown:?}");
    let stale: Vec<_> = known.difference(&called).collect();
    assert!(stale.is_empty(), "in this test's table, but never called: {stale:?}");

    let manifest = manifest();
    let of_methods = METHODS.iter().flat_map(|(_, scopes)| scopes.iter());
    let events = words(&manifest, "/settings/event_subscriptions/bot_events");
    let of_events = EVENTS.iter().filter(|(event, _)| events.contains(*event)).flat_map(|(_, scopes)| scopes.iter());
    let mut needed: BTreeSet<String> = of_methods.chain(of_events).map(|scope| (*scope).to_owned()).collect();
    // Slash commands and shortcuts.
    needed.insert("commands".to_owned());
    assert_eq!(words(&manifest, "/oauth_config/scopes/bot"), needed);
}

#[test]
fn every_event_that_is_handled_is_subscribed_to_and_the_other_way_round() {
    let reader: String = source("slack/inbound").into_values().collect();
    let pattern = r#""((?:app|channel|group|member|message|reaction|tokens|pin|user|team|subteam|im|mpim)_[a-z_]+)""#;
    let handled: BTreeSet<String> =
        found(pattern, &reader).into_iter().filter(|name| !NOT_SUBSCRIBED.contains(&name.as_str())).collect();
    let known: BTreeSet<String> = EVENTS.iter().map(|(event, _)| (*event).to_owned()).collect();
    let subscribed = words(&manifest(), "/settings/event_subscriptions/bot_events");
    assert_eq!(subscribed, known, "the manifest and this test's table");
    for event in &subscribed {
        let kind = event.split('.').next().unwrap_or(event);
        assert!(reader.contains(&format!("\"{kind}\"")), "{event} is subscribed to and never looked at");
    }
    let deaf: Vec<_> = handled.iter().filter(|event| is_event(event) && !subscribed.contains(*event)).collect();
    assert!(deaf.is_empty(), "looked at, but never subscribed to: {deaf:?}");
}

/// Names of the reader's own that have the form of an event are told apart by being Slack's.
fn is_event(name: &str) -> bool {
    const SLACKS: [&str; 40] = [
        "app_home_opened",
        "app_mention",
        "app_uninstalled",
        "channel_archive",
        "channel_created",
        "channel_deleted",
        "channel_history_changed",
        "channel_id_changed",
        "channel_left",
        "channel_rename",
        "channel_shared",
        "channel_unarchive",
        "channel_unshared",
        "group_archive",
        "group_close",
        "group_deleted",
        "group_history_changed",
        "group_left",
        "group_open",
        "group_rename",
        "group_unarchive",
        "im_close",
        "im_created",
        "im_history_changed",
        "im_open",
        "member_joined_channel",
        "member_left_channel",
        "message_metadata_posted",
        "pin_added",
        "pin_removed",
        "reaction_added",
        "reaction_removed",
        "subteam_created",
        "subteam_updated",
        "team_access_granted",
        "team_domain_change",
        "team_join",
        "team_rename",
        "tokens_revoked",
        "user_change",
    ];
    SLACKS.contains(&name)
}

#[test]
fn every_shortcut_that_is_handled_is_declared_and_the_other_way_round() {
    let reader: String = source("slack/inbound").into_values().collect();
    let handled = found(r#"const [A-Z_]+: &str = "([a-z]+(?:_[a-z]+)+)";"#, &reader);
    let manifest = manifest();
    let shortcuts = manifest.pointer("/features/shortcuts").and_then(Value::as_array).expect("shortcuts");
    let declared: BTreeSet<String> =
        shortcuts.iter().map(|shortcut| shortcut["callback_id"].as_str().expect("a callback_id").to_owned()).collect();
    assert_eq!(declared, handled);
    assert_eq!(manifest["features"]["slash_commands"][0]["command"], "/incident");
    assert_eq!(manifest["features"]["slash_commands"][0]["should_escape"], true, "the grammar reads <@U…> and <#C…>");
    assert_eq!(manifest["settings"]["interactivity"]["is_enabled"], true);
    assert_eq!(manifest["features"]["app_home"]["home_tab_enabled"], true);
    assert_eq!(manifest["settings"]["socket_mode_enabled"], true);
}

/// Slack's limits, from its manifest schema.
#[test]
fn slack_accepts_the_lengths_of_its_texts() {
    let manifest = manifest();
    let length = |pointer: &str| {
        let text = manifest.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{pointer} is missing")).chars().count()
    };
    assert!((1..=35).contains(&length("/display_information/name")));
    assert!((1..=140).contains(&length("/display_information/description")));
    assert!((175..=4000).contains(&length("/display_information/long_description")));
    assert!((1..=80).contains(&length("/features/bot_user/display_name")));
    assert!((1..=1000).contains(&length("/features/slash_commands/0/usage_hint")));
    for n in 0..2 {
        assert!((1..=24).contains(&length(&format!("/features/shortcuts/{n}/name"))));
        assert!((1..=150).contains(&length(&format!("/features/shortcuts/{n}/description"))));
    }
}
