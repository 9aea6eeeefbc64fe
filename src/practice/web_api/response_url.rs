//! Posts to a `response_url`: five within thirty minutes (docs: "Handling user interaction").

use axum::extract::{ConnectInfo, Path, Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::chat::check_content;
use super::reading::read_call;
use super::{Answered, Refusal, with_faults};
use crate::practice::wire::Wire;
use crate::practice::workspace::{Post, ResponseUrl, State, Workspace};

const LIFE_MS: i64 = 30 * 60 * 1000;
const USES: u32 = 5;

/// Takes one post.
pub(super) async fn receive(
    Shared(ws): Shared<Workspace>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((_team, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    let call = match read_call(request).await {
        Ok(call) => call,
        Err(why) => return (StatusCode::BAD_REQUEST, why).into_response(),
    };
    let mut args = call.args;
    // A form carries the message in one field.
    if let Some(Value::String(text)) = args.get("payload")
        && let Ok(Value::Object(inner)) = serde_json::from_str(text)
    {
        args = inner;
    }
    let logged = Value::Object(args.clone());
    with_faults(&ws, &wire, "response_url", logged, || {
        ws.with(|state| match post(state, &id, &args) {
            Ok(()) => Answered::ok(json!({"ok": true})),
            Err(refusal) => {
                let missing = matches!(refusal.code.as_str(), "used_url" | "expired_url" | "invalid_url");
                let status = if missing { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
                state.violate(&refusal.code, "response_url", json!(refusal.more).to_string());
                Answered {
                    status,
                    body: json!({"ok": false, "error": refusal.code}),
                    retry_after_s: None,
                    scopes: None,
                }
            }
        })
    })
    .await
}

fn post(state: &mut State, id: &str, args: &Map<String, Value>) -> Result<(), Refusal> {
    let now = state.now;
    let entry = state.response_urls.get_mut(id).ok_or_else(|| Refusal::from("invalid_url"))?;
    if now - entry.issued_at > LIFE_MS {
        return Err(Refusal::from("expired_url"));
    }
    if entry.uses >= USES {
        return Err(Refusal::from("used_url"));
    }
    entry.uses += 1;
    let entry = entry.clone();
    let is = |key: &str| match args.get(key) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    if is("delete_original") {
        return delete_original(state, &entry);
    }
    check_content(args)?;
    if is("replace_original") {
        return replace_original(state, &entry, args);
    }
    let mut body = state.answer_body(args);
    let asked_thread = args.get("thread_ts").and_then(Value::as_str).map(str::to_owned);
    if args.get("response_type").and_then(Value::as_str) == Some("in_channel") {
        body.insert("subtype".into(), json!("bot_message"));
        body.remove("user");
        state.post(&entry.channel, Post { body, thread_ts: asked_thread, ..Post::default() });
    } else {
        state.post_ephemeral(&entry.channel, &entry.user, body, asked_thread.as_deref());
    }
    Ok(())
}

fn delete_original(state: &mut State, entry: &ResponseUrl) -> Result<(), Refusal> {
    let source = entry.source.as_ref().ok_or_else(|| Refusal::from("cannot_delete_command"))?;
    if source.is_ephemeral {
        state.ephemerals.retain(|one| one.ts != source.ts || one.user != entry.user);
    } else {
        state.delete(&entry.channel, &source.ts);
    }
    Ok(())
}

fn replace_original(state: &mut State, entry: &ResponseUrl, args: &Map<String, Value>) -> Result<(), Refusal> {
    let source = entry.source.as_ref().ok_or_else(|| Refusal::from("cannot_replace_command"))?;
    let answer = state.answer_body(args);
    if source.is_ephemeral {
        let original = state.ephemerals.iter_mut().find(|one| one.ts == source.ts && one.user == entry.user);
        let original = original.ok_or_else(|| Refusal::from("message_not_found"))?;
        for key in ["text", "blocks", "attachments"] {
            match answer.get(key) {
                Some(value) => original.body.insert(key.into(), value.clone()),
                None => original.body.remove(key),
            };
        }
        return Ok(());
    }
    let mut changes = Map::new();
    for key in ["text", "blocks", "attachments"] {
        changes.insert(key.into(), answer.get(key).cloned().unwrap_or(Value::Null));
    }
    let bot = state.app.bot_user.clone();
    let done = state.edit(&entry.channel, &source.ts, &bot, changes);
    if done { Ok(()) } else { Err(Refusal::from("message_not_found")) }
}
