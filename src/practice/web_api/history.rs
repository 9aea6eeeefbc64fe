//! `conversations.history` and `conversations.replies`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::auth::need_any;
use super::conversations::visible;
use super::{Args, Outcome, Refusal};
use crate::practice::workspace::{Channel, ChannelKind, Message, State};

/// The channel whose messages the bot may read.
fn readable<'a>(state: &'a State, args: &Args) -> Result<&'a Channel, Refusal> {
    let found = visible(state, args.text("channel"))?;
    need_any(state, &[format!("{}:history", found.scope_family())])?;
    // A bot reads a public channel's messages only as its member.
    if !found.has(&state.app.bot_user) && found.kind == ChannelKind::Public {
        return Err(Refusal::from("not_in_channel"));
    }
    Ok(found)
}

struct Window {
    oldest: Option<String>,
    latest: Option<String>,
    inclusive: bool,
    limit: usize,
}

impl Window {
    fn of(args: &Args, default_limit: usize) -> Result<Self, Refusal> {
        let stamp = |name: &str, code: &str| match args.opt(name) {
            None | Some("0" | "now") => Ok(None),
            Some(text) => normal_ts(text).map(Some).ok_or_else(|| Refusal::from(code)),
        };
        let limit = match args.number("limit") {
            None | Some(0) => default_limit,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| *limit <= 1000)
                .ok_or_else(|| Refusal::from("invalid_limit"))?,
        };
        Ok(Self {
            oldest: stamp("oldest", "invalid_ts_oldest")?,
            latest: stamp("latest", "invalid_ts_latest")?,
            inclusive: args.flag("inclusive"),
            limit,
        })
    }

    fn has(&self, ts: &str) -> bool {
        let after = self.oldest.as_deref().is_none_or(|oldest| ts > oldest || (self.inclusive && ts == oldest));
        let before = self.latest.as_deref().is_none_or(|latest| ts < latest || (self.inclusive && ts == latest));
        after && before
    }
}

/// A timestamp with the digits of a message's own, so that both compare as text.
fn normal_ts(text: &str) -> Option<String> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u64 = seconds.parse().ok()?;
    if !fraction.chars().all(|c| c.is_ascii_digit()) || fraction.len() > 6 {
        return None;
    }
    Some(format!("{seconds:010}.{fraction:0<6}"))
}

fn cursor(args: &Args) -> Result<Option<String>, Refusal> {
    let Some(cursor) = args.opt("cursor") else {
        return Ok(None);
    };
    let ts = STANDARD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("next_ts:").and_then(normal_ts));
    ts.map(Some).ok_or_else(|| Refusal::from("invalid_cursor"))
}

fn next_cursor(message: Option<&&Message>) -> String {
    message.map(|message| STANDARD.encode(format!("next_ts:{}", message.ts))).unwrap_or_default()
}

/// Newest first, without replies that live in threads only.
pub(super) fn history(state: &mut State, args: &Args) -> Outcome {
    let found = readable(state, args)?;
    let window = Window::of(args, 100)?;
    let from = cursor(args)?;
    let in_channel = |message: &&Message| {
        let is_shown = !message.is_reply() || message.body.get("subtype") == Some(&json!("thread_broadcast"));
        is_shown && window.has(&message.ts) && from.as_deref().is_none_or(|from| message.ts.as_str() <= from)
    };
    let all: Vec<&Message> = found.messages.iter().rev().filter(in_channel).collect();
    let with_metadata = args.flag("include_all_metadata");
    let messages: Vec<Value> = all.iter().take(window.limit).map(|message| message.json(with_metadata)).collect();
    let next = next_cursor(all.get(window.limit));
    let mut answer = json!({
        "messages": messages,
        "has_more": !next.is_empty(),
        "pin_count": found.pins.len(),
        "channel_actions_ts": null,
        "channel_actions_count": 0,
    });
    if let (Value::Object(map), false) = (&mut answer, next.is_empty()) {
        map.insert("response_metadata".into(), json!({"next_cursor": next}));
    }
    Ok(answer)
}

/// A thread, its first message first.
pub(super) fn replies(state: &mut State, args: &Args) -> Outcome {
    let found = readable(state, args)?;
    let ts = args.text("ts");
    if found.message(ts).is_none() {
        return Err(Refusal::from("thread_not_found"));
    }
    let root = state.thread_root(&found.id, ts);
    let window = Window::of(args, 1000)?;
    let from = cursor(args)?;
    let in_thread = |message: &&Message| {
        let is_root = message.ts == root;
        let is_reply = message.thread_ts.as_deref() == Some(root.as_str());
        let after = from.as_deref().is_none_or(|from| message.ts.as_str() >= from);
        is_root || (is_reply && window.has(&message.ts) && after)
    };
    let all: Vec<&Message> = found.messages.iter().filter(in_thread).collect();
    let with_metadata = args.flag("include_all_metadata");
    let messages: Vec<Value> = all.iter().take(window.limit).map(|message| message.json(with_metadata)).collect();
    let next = next_cursor(all.get(window.limit));
    let mut answer = json!({"messages": messages, "has_more": !next.is_empty()});
    if let (Value::Object(map), false) = (&mut answer, next.is_empty()) {
        map.insert("response_metadata".into(), json!({"next_cursor": next}));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::normal_ts;

    #[test]
    fn timestamps_are_brought_to_one_shape() {
        assert_eq!(normal_ts("1700000000").as_deref(), Some("1700000000.000000"));
        assert_eq!(normal_ts("1700000000.5").as_deref(), Some("1700000000.500000"));
        assert_eq!(normal_ts("soon"), None);
    }
}
