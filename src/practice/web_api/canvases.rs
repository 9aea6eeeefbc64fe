//! `canvases.*` and `conversations.canvases.create`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::conversations::visible;
use super::{Args, Outcome, Refusal};
use crate::practice::workspace::{Canvas, State};

/// The most markdown a canvas takes (docs: `canvases.create`).
const MARKDOWN_MAX: usize = 1_048_576;

/// The markdown of a `document_content`.
fn markdown(content: Option<&Value>, too_large: &str) -> Result<String, Refusal> {
    let Some(content) = content else {
        return Ok(String::new());
    };
    if content.get("type").and_then(Value::as_str) != Some("markdown") {
        return Err(Refusal::listing(
            "invalid_arguments",
            vec!["[ERROR] document_content must be of type markdown".into()],
        ));
    }
    let text = content.get("markdown").and_then(Value::as_str).unwrap_or_default();
    if text.chars().count() > MARKDOWN_MAX { Err(Refusal::from(too_large)) } else { Ok(text.to_owned()) }
}

fn make(state: &mut State, args: &Args, channel: Option<String>, too_large: &str) -> Result<String, Refusal> {
    let markdown = markdown(args.json("document_content"), too_large)?;
    let id = state.next_id("F");
    let title = args.opt("title").unwrap_or("Untitled").to_owned();
    let mut access = BTreeMap::new();
    access.insert(state.app.bot_user.clone(), "owner".to_owned());
    state.canvases.insert(id.clone(), Canvas { id: id.clone(), title, markdown, channel, access });
    Ok(id)
}

pub(super) fn create(state: &mut State, args: &Args) -> Outcome {
    let channel = match args.opt("channel_id") {
        Some(channel) => Some(visible(state, channel)?.id.clone()),
        None => None,
    };
    Ok(json!({"canvas_id": make(state, args, channel, "canvas_creation_failed")?}))
}

pub(super) fn create_for_channel(state: &mut State, args: &Args) -> Outcome {
    let found = visible(state, args.text("channel_id"))?;
    if !found.has(&state.app.bot_user) {
        return Err(Refusal::from("channel_not_found"));
    }
    if found.canvas.is_some() {
        return Err(Refusal::from("channel_canvas_already_exists"));
    }
    let channel = found.id.clone();
    let id = make(state, args, Some(channel.clone()), "channel_canvas_creation_failed")?;
    if let Some(found) = state.channels.get_mut(&channel) {
        found.canvas = Some(id.clone());
    }
    Ok(json!({"canvas_id": id}))
}

pub(super) fn edit(state: &mut State, args: &Args) -> Outcome {
    let changes = args.json("changes").and_then(Value::as_array).cloned().unwrap_or_default();
    let [change] = changes.as_slice() else {
        return Err(Refusal::listing("invalid_arguments", vec!["[ERROR] changes takes exactly one change".into()]));
    };
    let text = markdown(change.get("document_content"), "canvas_too_large")?;
    let operation = change.get("operation").and_then(Value::as_str).unwrap_or_default();
    let canvas = state.canvases.get_mut(args.text("canvas_id")).ok_or_else(|| Refusal::from("canvas_not_found"))?;
    match operation {
        "replace" => canvas.markdown = text,
        "insert_at_end" => canvas.markdown = format!("{}\n{text}", canvas.markdown),
        "insert_at_start" => canvas.markdown = format!("{text}\n{}", canvas.markdown),
        "rename" => {
            let title = change.pointer("/title_content/markdown").and_then(Value::as_str).unwrap_or_default();
            canvas.title = title.to_owned();
        }
        // Sections have ids that only `canvases.sections.lookup` gives, which this workspace does not have.
        _ => return Err(Refusal::from("canvas_editing_failed")),
    }
    Ok(json!({}))
}

pub(super) fn access_set(state: &mut State, args: &Args) -> Outcome {
    let ids = |key: &str| -> Vec<String> {
        let list = args.json(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (channels, users) = (ids("channel_ids"), ids("user_ids"));
    if channels.is_empty() == users.is_empty() {
        return Err(Refusal::from("invalid_parameters"));
    }
    if users.iter().any(|user| !state.members.contains_key(user)) {
        return Err(Refusal::from("user_not_found"));
    }
    if channels.iter().any(|channel| visible(state, channel).is_err()) {
        return Err(Refusal::from("channel_not_found"));
    }
    let level = args.text("access_level").to_owned();
    let canvas = state.canvases.get_mut(args.text("canvas_id")).ok_or_else(|| Refusal::from("canvas_not_found"))?;
    for id in channels.into_iter().chain(users) {
        canvas.access.insert(id, level.clone());
    }
    Ok(json!({}))
}
