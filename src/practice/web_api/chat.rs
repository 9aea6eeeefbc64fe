//! `chat.*`: posting, updating, deleting, linking to messages.

use serde_json::{Map, Value, json};

use super::conversations::visible;
use super::{Args, Outcome, Refusal, fields};
use crate::practice::validate;
use crate::practice::workspace::{Post, State};

/// Text beyond this is cut off (docs: `chat.postMessage`).
const TEXT_CUT: usize = 40_000;
/// `chat.update` refuses more (docs: `chat.update`, `msg_too_long`).
const UPDATE_TEXT_MAX: usize = 4_000;

/// The channel a message is for: an id, a name, or a person (their direct conversation).
fn destination(state: &mut State, channel: &str) -> Result<String, Refusal> {
    if state.members.contains_key(channel) {
        if state.active(channel).is_none() {
            return Err(Refusal::from("channel_not_found"));
        }
        let people = [state.app.bot_user.clone(), channel.to_owned()];
        return Ok(state.direct(&people).0);
    }
    if visible(state, channel).is_ok() {
        return Ok(channel.to_owned());
    }
    let by_name = state.channel_by_name(channel).map(|found| found.id.clone());
    let id = by_name.ok_or_else(|| Refusal::from("channel_not_found"))?;
    visible(state, &id).map(|found| found.id.clone())
}

/// Refuses unless the bot may post here.
fn postable(state: &State, channel: &str) -> Result<(), Refusal> {
    let found = visible(state, channel)?;
    if found.is_archived {
        return Err(Refusal::from("is_archived"));
    }
    let may_from_outside = !found.is_private() && state.manifest.has_scope("chat:write.public");
    if found.has(&state.app.bot_user) || may_from_outside { Ok(()) } else { Err(Refusal::from("not_in_channel")) }
}

/// Checks what a message is made of.
pub(super) fn check_content(args: &Map<String, Value>) -> Result<(), Refusal> {
    let has = |key: &str| match args.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    if args.get("blocks").is_some_and(|blocks| !blocks.is_null() && !blocks.is_array()) {
        return Err(Refusal::from("invalid_blocks_format"));
    }
    if args.get("attachments").is_some_and(|given| !given.is_null() && !given.is_array()) {
        return Err(Refusal::from("invalid_attachments"));
    }
    if has("markdown_text") && (has("text") || has("blocks")) {
        return Err(Refusal::from("markdown_text_conflict"));
    }
    if !["text", "blocks", "attachments", "markdown_text"].iter().any(|key| has(key)) {
        return Err(Refusal::from("no_text"));
    }
    if args.get("attachments").and_then(Value::as_array).is_some_and(|given| given.len() > 100) {
        return Err(Refusal::from("too_many_attachments"));
    }
    if args.get("markdown_text").and_then(Value::as_str).is_some_and(|text| text.chars().count() > 12_000) {
        return Err(Refusal::from("msg_too_long"));
    }
    let faults = validate::message(args);
    if !faults.is_empty() {
        return Err(Refusal::with(
            "invalid_blocks",
            json!({"errors": faults, "response_metadata": {"messages": faults_as_messages(&faults)}}),
        ));
    }
    if validate::blocks_too_long(args.get("blocks")) {
        return Err(Refusal::from("msg_blocks_too_long"));
    }
    check_metadata(args.get("metadata"))
}

fn faults_as_messages(faults: &[String]) -> Vec<String> {
    faults.iter().map(|fault| format!("[ERROR] {fault}")).collect()
}

fn check_metadata(metadata: Option<&Value>) -> Result<(), Refusal> {
    let Some(metadata) = metadata.filter(|metadata| !metadata.is_null()) else {
        return Ok(());
    };
    validate::metadata(metadata).map_err(Refusal::from)
}

/// The parts of a message that the app gave.
fn content(state: &mut State, args: &Args) -> Map<String, Value> {
    let mut content = Map::new();
    let text = args.opt("text").or_else(|| args.opt("markdown_text")).unwrap_or_default();
    content.insert("text".into(), json!(text.chars().take(TEXT_CUT).collect::<String>()));
    if let Some(markdown) = args.opt("markdown_text") {
        let mut blocks = json!([{"type": "markdown", "text": markdown}]);
        state.finish_blocks(&mut blocks);
        content.insert("blocks".into(), blocks);
    }
    if let Some(blocks) = args.json("blocks").filter(|blocks| blocks.as_array().is_some_and(|all| !all.is_empty())) {
        let mut blocks = blocks.clone();
        state.finish_blocks(&mut blocks);
        content.insert("blocks".into(), blocks);
    }
    if let Some(attachments) = args.json("attachments").and_then(Value::as_array).filter(|all| !all.is_empty()) {
        let numbered = attachments.iter().zip(1..).map(|(attachment, id)| {
            let mut attachment = fields(attachment.clone());
            attachment.insert("id".into(), json!(id));
            if let Some(blocks) = attachment.get_mut("blocks") {
                state.finish_blocks(blocks);
            }
            attachment.entry("fallback").or_insert(json!("[no preview available]"));
            Value::Object(attachment)
        });
        let numbered: Vec<Value> = numbered.collect();
        content.insert("attachments".into(), Value::Array(numbered));
    }
    content
}

fn metadata(args: &Args) -> Option<Value> {
    args.json("metadata").filter(|metadata| metadata.as_object().is_some_and(|map| !map.is_empty())).cloned()
}

/// A name or icon of its own, which needs a scope of its own.
fn customise(state: &mut State, args: &Args, body: &mut Map<String, Value>) {
    let wants = ["username", "icon_emoji", "icon_url"].iter().any(|key| args.opt(key).is_some());
    if !wants {
        return;
    }
    if !state.manifest.has_scope("chat:write.customize") {
        state.violate("ignored_customisation", "chat", "username and icons need chat:write.customize");
        return;
    }
    body.insert("subtype".into(), json!("bot_message"));
    body.remove("user");
    if let Some(name) = args.opt("username") {
        body.insert("username".into(), json!(name));
    }
    if let Some(icon) = args.opt("icon_emoji") {
        body.insert("icons".into(), json!({"emoji": icon}));
    }
}

pub(super) fn post_message(state: &mut State, args: &Args) -> Outcome {
    let channel = destination(state, args.text("channel"))?;
    postable(state, &channel)?;
    check_content(&args.0)?;
    let thread_ts = args.opt("thread_ts").map(str::to_owned);
    if let Some(ts) = &thread_ts
        && state.channels.get(&channel).is_none_or(|found| found.message(ts).is_none())
    {
        return Err(Refusal::from("thread_not_found"));
    }
    let mut body = state.bot_body();
    body.extend(content(state, args));
    customise(state, args, &mut body);
    let broadcast = args.flag("reply_broadcast");
    let ts = state.post(&channel, Post { body, thread_ts, broadcast, metadata: metadata(args) });
    let message = state.channels.get(&channel).and_then(|found| found.message(&ts)).map(|message| message.json(true));
    Ok(json!({"channel": channel, "ts": ts, "message": message}))
}

pub(super) fn post_ephemeral(state: &mut State, args: &Args) -> Outcome {
    let channel = args.text("channel").to_owned();
    postable(state, &channel)?;
    check_content(&args.0)?;
    let user = args.text("user").to_owned();
    if state.channels.get(&channel).is_none_or(|found| !found.has(&user)) || state.active(&user).is_none() {
        return Err(Refusal::from("user_not_in_channel"));
    }
    let mut body = state.bot_body();
    body.extend(content(state, args));
    let ts = state.post_ephemeral(&channel, &user, body, args.opt("thread_ts"));
    Ok(json!({"message_ts": ts}))
}

/// Refuses unless the app itself wrote this message.
fn own(state: &State, channel: &str, ts: &str, code: &str) -> Result<(), Refusal> {
    let found = visible(state, channel)?;
    let message = found.message(ts).ok_or_else(|| Refusal::from("message_not_found"))?;
    let is_own = message.body.get("bot_id") == Some(&json!(state.app.bot_id));
    if is_own { Ok(()) } else { Err(Refusal::from(code)) }
}

pub(super) fn update(state: &mut State, args: &Args) -> Outcome {
    let (channel, ts) = (args.text("channel").to_owned(), args.text("ts").to_owned());
    own(state, &channel, &ts, "cant_update_message")?;
    if state.channels.get(&channel).is_some_and(|found| found.is_archived) {
        return Err(Refusal::from("is_inactive"));
    }
    let only_metadata = args.json("metadata").is_some()
        && ["text", "blocks", "attachments", "markdown_text"].iter().all(|key| args.json(key).is_none());
    if only_metadata {
        check_metadata(args.json("metadata"))?;
    } else {
        check_content(&args.0)?;
    }
    if args.text("text").chars().count() > UPDATE_TEXT_MAX {
        return Err(Refusal::from("msg_too_long"));
    }
    let mut changes = if only_metadata { Map::new() } else { content(state, args) };
    // Blocks and attachments that are not given stay as they were; an empty array removes them.
    for key in ["blocks", "attachments"] {
        let is_emptied = args.json(key).and_then(Value::as_array).is_some_and(Vec::is_empty);
        if is_emptied {
            changes.insert(key.into(), Value::Null);
        }
    }
    if let Some(metadata) = args.json("metadata") {
        changes.insert("metadata".into(), metadata.clone());
    }
    let bot = state.app.bot_user.clone();
    state.edit(&channel, &ts, &bot, changes);
    let message = state.channels.get(&channel).and_then(|found| found.message(&ts)).map(|message| message.json(true));
    let text = message.as_ref().and_then(|message| message.get("text")).cloned();
    Ok(json!({"channel": channel, "ts": ts, "text": text, "message": message}))
}

pub(super) fn delete(state: &mut State, args: &Args) -> Outcome {
    let (channel, ts) = (args.text("channel").to_owned(), args.text("ts").to_owned());
    own(state, &channel, &ts, "cant_delete_message")?;
    state.delete(&channel, &ts);
    Ok(json!({"channel": channel, "ts": ts}))
}

pub(super) fn get_permalink(state: &mut State, args: &Args) -> Outcome {
    let found = visible(state, args.text("channel"))?;
    let ts = args.text("message_ts");
    let message = found.message(ts).ok_or_else(|| Refusal::from("message_not_found"))?;
    let thread = message.thread_ts.as_deref().filter(|_| message.is_reply());
    Ok(json!({"channel": found.id, "permalink": permalink(&state.origin, &found.id, ts, thread)}))
}

/// The address of a message.
pub(super) fn permalink(origin: &str, channel: &str, ts: &str, thread: Option<&str>) -> String {
    let link = format!("{origin}/archives/{channel}/p{}", ts.replace('.', ""));
    match thread {
        Some(thread) => format!("{link}?thread_ts={thread}&cid={channel}"),
        None => link,
    }
}
