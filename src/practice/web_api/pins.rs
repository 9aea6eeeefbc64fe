//! `pins.*`.

use serde_json::{Value, json};

use super::chat::permalink;
use super::conversations::visible;
use super::{Args, Outcome, Refusal};
use crate::practice::workspace::{Channel, Pin, State};

/// A channel holds this many pins.
const PINS_MAX: usize = 100;

/// The channel and the message a call means.
fn item<'a>(state: &'a State, args: &Args) -> Result<(&'a Channel, String), Refusal> {
    let found = visible(state, args.text("channel"))?;
    let ts = args.opt("timestamp").ok_or_else(|| Refusal::from("no_item_specified"))?;
    if !found.has(&state.app.bot_user) {
        return Err(Refusal::from("not_in_channel"));
    }
    if found.message(ts).is_none() {
        return Err(Refusal::from("message_not_found"));
    }
    Ok((found, ts.to_owned()))
}

pub(super) fn add(state: &mut State, args: &Args) -> Outcome {
    let (found, ts) = item(state, args)?;
    if found.pins.iter().any(|pin| pin.ts == ts) {
        return Err(Refusal::from("already_pinned"));
    }
    if found.pins.len() >= PINS_MAX {
        return Err(Refusal::from("too_many_pins"));
    }
    let (channel, bot, now) = (found.id.clone(), state.app.bot_user.clone(), state.now_s());
    if let Some(found) = state.channels.get_mut(&channel) {
        found.pins.push(Pin { ts: ts.clone(), by: bot.clone(), at: now });
        if let Some(message) = found.message_mut(&ts) {
            message.body.insert("pinned_to".into(), json!([channel]));
            message.body.insert("pinned_info".into(), json!({"channel": channel, "pinned_by": bot, "pinned_ts": now}));
        }
    }
    emit(state, "pin_added", &channel, &ts);
    Ok(json!({}))
}

pub(super) fn remove(state: &mut State, args: &Args) -> Outcome {
    let (found, ts) = item(state, args)?;
    if !found.pins.iter().any(|pin| pin.ts == ts) {
        return Err(Refusal::from("no_pin"));
    }
    let channel = found.id.clone();
    if let Some(found) = state.channels.get_mut(&channel) {
        found.pins.retain(|pin| pin.ts != ts);
        if let Some(message) = found.message_mut(&ts) {
            message.body.remove("pinned_to");
            message.body.remove("pinned_info");
        }
    }
    emit(state, "pin_removed", &channel, &ts);
    Ok(json!({}))
}

fn emit(state: &mut State, event: &str, channel: &str, ts: &str) {
    let event_ts = state.next_ts();
    let Some(found) = state.channels.get(channel) else {
        return;
    };
    let message = found.message(ts).map(|message| message.json(true));
    let author = found.message(ts).and_then(|message| message.body.get("user").cloned());
    let payload = json!({
        "type": event,
        "user": state.app.bot_user,
        "channel_id": channel,
        "item": {"type": "message", "created": state.now_s(), "created_by": state.app.bot_user, "channel": channel, "message": message},
        "item_user": author,
        "pin_count": found.pins.len(),
        "pinned_info": {"channel": channel, "pinned_by": state.app.bot_user, "pinned_ts": state.now_s()},
        "event_ts": event_ts,
    });
    if state.app_is_in(channel) {
        state.emit(event, payload);
    }
}

pub(super) fn list(state: &mut State, args: &Args) -> Outcome {
    let found = visible(state, args.text("channel"))?;
    let items: Vec<Value> = found
        .pins
        .iter()
        .rev()
        .filter_map(|pin| {
            let mut message = found.message(&pin.ts)?.json(false);
            let link = permalink(&state.origin, &found.id, &pin.ts, None);
            message.as_object_mut()?.insert("permalink".into(), json!(link));
            Some(json!({"type": "message", "channel": found.id, "created": pin.at, "created_by": pin.by, "message": message}))
        })
        .collect();
    Ok(json!({"items": items}))
}
