//! Tokens and scopes, and the three methods about them: `api.test`, `auth.test`, `apps.connections.open`.

use serde_json::{Value, json};

use super::reading::Call;
use super::{Answered, Args, Outcome, Refusal};
use crate::practice::methods::{self, Method};
use crate::practice::workspace::{State, Workspace};

pub(super) fn api_test(_: &mut State, args: &Args) -> Outcome {
    match args.opt("error") {
        Some(error) => Err(Refusal::with(error, json!({"args": args.0}))),
        None => Ok(json!({"args": args.0})),
    }
}

pub(super) fn auth_test(state: &mut State, _: &Args) -> Outcome {
    Ok(json!({
        "url": format!("{}/", state.origin),
        "team": state.team.name,
        "user": state.app.name,
        "team_id": state.team.id,
        "user_id": state.app.bot_user,
        "bot_id": state.app.bot_id,
        "app_id": state.app.app_id,
        "is_enterprise_install": false,
    }))
}

/// Whether the call came with the bot's token, and the token has a scope the method needs.
pub(super) fn check_bot_token(ws: &Workspace, method: &str, page: &Method, call: &Call) -> Result<(), Refusal> {
    if method == "api.test" && call.token.is_none() {
        return Ok(());
    }
    let keys = ws.keys();
    match call.token.as_deref() {
        None | Some("") => return Err(Refusal::from("not_authed")),
        Some(token) if token == keys.app_token => {
            return Err(Refusal::from("not_allowed_token_type"));
        }
        Some(token) if token != keys.bot_token => return Err(Refusal::from("invalid_auth")),
        Some(_) => {}
    }
    ws.read(|state| need_any(state, &page.scopes))
}

/// Refuses with `missing_scope` unless the bot has one of these scopes.
pub(crate) fn need_any<S: AsRef<str>>(state: &State, scopes: &[S]) -> Result<(), Refusal> {
    if scopes.is_empty() || scopes.iter().any(|scope| state.manifest.has_scope(scope.as_ref())) {
        return Ok(());
    }
    let needed: Vec<&str> = scopes.iter().map(AsRef::as_ref).collect();
    let provided = state.manifest.oauth_config.scopes.bot.join(",");
    Err(Refusal::with("missing_scope", json!({"needed": needed.join(","), "provided": provided})))
}

/// Gives a single-use WebSocket address for the app-level token.
pub(super) fn open_connection(ws: &Workspace, call: &Call) -> Answered {
    let keys = ws.keys();
    let refuse = |code: &str| {
        ws.with(|state| state.violate(code, "apps.connections.open", ""));
        Answered::ok(json!({"ok": false, "error": code}))
    };
    match call.token.as_deref() {
        None | Some("") => return refuse("not_authed"),
        Some(token) if token == keys.bot_token => return refuse("not_allowed_token_type"),
        Some(token) if token != keys.app_token => return refuse("invalid_auth"),
        Some(_) => {}
    }
    if let Some(page) = methods::method("apps.connections.open")
        && let Some(seconds) = ws.limits().count("apps.connections.open", page.tier(), None, ws.now_ms())
    {
        return Answered::rate_limited(seconds);
    }
    match ws.courier().ticket() {
        Ok(ticket) => {
            let (origin, app) = ws.read(|state| (state.origin.clone(), state.app.app_id.clone()));
            let host = origin.trim_start_matches("http://");
            Answered::ok(json!({"ok": true, "url": format!("ws://{host}/link/?ticket={ticket}&app_id={app}")}))
        }
        Err(code) => Answered::ok(json!({"ok": false, "error": Value::from(code)})),
    }
}
