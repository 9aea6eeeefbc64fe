//! `reactions.*`.

use serde_json::{Value, json};

use super::chat::permalink;
use super::conversations::visible;
use super::{Args, Outcome, Refusal};
use crate::practice::workspace::{Channel, State};

fn item<'a>(state: &'a State, args: &Args) -> Result<(&'a Channel, String), Refusal> {
    let (Some(channel), Some(ts)) = (args.opt("channel"), args.opt("timestamp")) else {
        return Err(Refusal::from("no_item_specified"));
    };
    let found = visible(state, channel)?;
    if found.message(ts).is_none() {
        return Err(Refusal::from("message_not_found"));
    }
    Ok((found, ts.to_owned()))
}

/// An emoji's name: no colons, no spaces, no capitals.
fn name(args: &Args) -> Result<String, Refusal> {
    let name = args.text("name");
    let fits = |c: char| c.is_alphanumeric() && !c.is_uppercase() || matches!(c, '_' | '-' | '+' | '\'' | ':');
    let is_good = !name.is_empty() && !name.starts_with(':') && name.chars().all(fits);
    if is_good { Ok(name.to_owned()) } else { Err(Refusal::from("invalid_name")) }
}

pub(super) fn add(state: &mut State, args: &Args) -> Outcome {
    let (found, ts) = item(state, args)?;
    let name = name(args)?;
    if found.is_archived {
        return Err(Refusal::from("is_archived"));
    }
    let (channel, bot) = (found.id.clone(), state.app.bot_user.clone());
    if state.react(&channel, &ts, &bot, &name) { Ok(json!({})) } else { Err(Refusal::from("already_reacted")) }
}

pub(super) fn remove(state: &mut State, args: &Args) -> Outcome {
    let (found, ts) = item(state, args)?;
    let name = name(args)?;
    let (channel, bot) = (found.id.clone(), state.app.bot_user.clone());
    if state.unreact(&channel, &ts, &bot, &name) { Ok(json!({})) } else { Err(Refusal::from("no_reaction")) }
}

pub(super) fn get(state: &mut State, args: &Args) -> Outcome {
    let (found, ts) = item(state, args)?;
    let mut message = found.message(&ts).map_or(Value::Null, |message| message.json(false));
    if let Value::Object(map) = &mut message {
        map.insert("permalink".into(), json!(permalink(&state.origin, &found.id, &ts, None)));
    }
    Ok(json!({"type": "message", "channel": found.id, "message": message}))
}
