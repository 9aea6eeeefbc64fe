//! `views.*`: modals opened with a trigger, pushed, updated; Homes published.

use serde_json::{Map, Value, json};

use super::{Args, Outcome, Refusal};
use crate::practice::validate;
use crate::practice::workspace::State;

/// A trigger opens a view within this many milliseconds (docs: "Handling user interaction").
const TRIGGER_LIFE_MS: i64 = 3000;
/// A view larger than this is refused.
const VIEW_BYTES: usize = 250 * 1024;

/// The view of a call, if Slack would take it.
fn sent(state: &State, args: &Args, kind: &str, own_id: Option<&str>) -> Result<Map<String, Value>, Refusal> {
    let view = args.json("view").and_then(Value::as_object).cloned();
    let view = view.ok_or_else(|| listing(vec!["must provide an object [json-pointer:/view]".to_owned()]))?;
    if json!(view).to_string().len() > VIEW_BYTES {
        return Err(Refusal::from("view_too_large"));
    }
    let mut faults: Vec<String> = validate::view(&view);
    if !kind.is_empty() && view.get("type").and_then(Value::as_str) != Some(kind) {
        faults.push(format!("must be a {kind} view [json-pointer:/view/type]"));
    }
    if !faults.is_empty() {
        return Err(listing(faults));
    }
    let external = view.get("external_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let is_taken = external.is_some_and(|external| {
        state
            .views
            .values()
            .any(|other| other.is_open && other.text("external_id") == external && Some(other.id.as_str()) != own_id)
    });
    if is_taken { Err(Refusal::from("duplicate_external_id")) } else { Ok(view) }
}

fn listing(faults: Vec<String>) -> Refusal {
    Refusal::listing("invalid_arguments", faults.into_iter().map(|fault| format!("[ERROR] {fault}")).collect())
}

/// Uses up a trigger. Gives the person who caused it, and the view they caused it in.
fn exchange(state: &mut State, args: &Args) -> Result<(String, Option<String>), Refusal> {
    let id = args.opt("trigger_id").or_else(|| args.opt("interactivity_pointer"));
    let Some(id) = id else {
        return Err(Refusal::listing(
            "invalid_arguments",
            vec!["[ERROR] missing required field: trigger_id".to_owned()],
        ));
    };
    let now = state.now;
    let Some(trigger) = state.triggers.get_mut(id) else {
        return Err(Refusal::from("invalid_trigger_id"));
    };
    if trigger.used {
        return Err(Refusal::from("exchanged_trigger_id"));
    }
    if now - trigger.issued_at >= TRIGGER_LIFE_MS {
        return Err(Refusal::from("expired_trigger_id"));
    }
    trigger.used = true;
    Ok((trigger.user.clone(), trigger.view.clone()))
}

fn shown(state: &State, id: &str) -> Value {
    json!({"view": state.views.get(id).map(|view| view.json())})
}

pub(super) fn open(state: &mut State, args: &Args) -> Outcome {
    let view = sent(state, args, "modal", None)?;
    let (user, _) = exchange(state, args)?;
    let id = state.open_view(&user, &view);
    Ok(shown(state, &id))
}

pub(super) fn push(state: &mut State, args: &Args) -> Outcome {
    let view = sent(state, args, "modal", None)?;
    let (user, within) = exchange(state, args)?;
    // Only what is done in a modal can lay another one on top of it.
    if within.is_none() {
        return Err(Refusal::from("invalid_trigger_id"));
    }
    if state.top_view(&user).is_none() {
        return Err(Refusal::from("not_found"));
    }
    let id = state.push_view(&user, &view).ok_or_else(|| Refusal::from("push_limit_reached"))?;
    Ok(shown(state, &id))
}

pub(super) fn update(state: &mut State, args: &Args) -> Outcome {
    let by_external = |external: &str| {
        state
            .views
            .values()
            .find(|view| view.is_open && view.text("external_id") == external)
            .map(|view| view.id.clone())
    };
    let id = match (args.opt("view_id"), args.opt("external_id")) {
        (Some(id), _) => Some(id.to_owned()),
        (None, Some(external)) => by_external(external),
        (None, None) => return Err(listing(vec!["missing required field: view_id".to_owned()])),
    };
    let id = id.filter(|id| state.views.get(id).is_some_and(|view| view.is_open));
    let id = id.ok_or_else(|| Refusal::from("not_found"))?;
    let view = sent(state, args, "", Some(&id))?;
    check_hash(state, args, &id)?;
    state.update_view(&id, &view);
    Ok(shown(state, &id))
}

fn check_hash(state: &State, args: &Args, id: &str) -> Result<(), Refusal> {
    let current = state.views.get(id).map(|view| view.text("hash"));
    match (args.opt("hash"), current) {
        (Some(given), Some(current)) if given != current => Err(Refusal::from("hash_conflict")),
        _ => Ok(()),
    }
}

pub(super) fn publish(state: &mut State, args: &Args) -> Outcome {
    if !state.manifest.features.app_home.home_tab_enabled {
        return Err(Refusal::from("not_enabled"));
    }
    let user = args.text("user_id").to_owned();
    let own_id = state.homes.get(&user).cloned();
    let view = sent(state, args, "home", own_id.as_deref())?;
    if state.active(&user).is_none() {
        return Err(listing(vec!["invalid `user_id` [json-pointer:/user_id]".to_owned()]));
    }
    if let Some(id) = &own_id {
        check_hash(state, args, id)?;
    }
    let id = state.publish_home(&user, &view);
    Ok(shown(state, &id))
}
