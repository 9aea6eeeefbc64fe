//! Slack's Web API: reads a call, meets the faults a test planned for it, checks token, scopes, arguments and rate, runs
//! the method, writes down what happened.
//!
//! One file per family of methods; each method is a function of the workspace's state and its arguments.

mod answering;
mod auth;
mod bookmarks;
mod canvases;
mod chat;
mod conversations;
mod directory;
mod files;
mod history;
mod pins;
mod reactions;
mod reading;
mod response_url;
mod views;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Map, Value, json};

use super::methods::{self, Method};
use super::wire::Wire;
use super::workspace::{State, Workspace};
pub(crate) use answering::{Answered, with_faults};
use reading::{Call, read_call};

/// The largest request body taken, in bytes.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// A method's arguments, of the right types.
pub(crate) struct Args(pub Map<String, Value>);

impl Args {
    /// A text; empty when it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.opt(name).unwrap_or_default()
    }

    /// A text that was given and is not empty.
    pub fn opt(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// A structure that was given and is not null.
    pub fn json(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// Why a method said no.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub code: String,
    /// What the answer has besides `ok` and `error`.
    pub more: Map<String, Value>,
}

impl From<&str> for Refusal {
    fn from(code: &str) -> Self {
        Self { code: code.to_owned(), more: Map::new() }
    }
}

impl Refusal {
    /// A refusal whose answer has more fields.
    pub fn with(code: &str, more: Value) -> Self {
        Self { code: code.to_owned(), more: fields(more) }
    }

    /// A refusal that lists what is wrong, as `invalid_blocks` and `invalid_arguments` do.
    pub fn listing(code: &str, messages: Vec<String>) -> Self {
        Self::with(code, json!({"response_metadata": {"messages": messages}}))
    }
}

/// What a method gives: the fields of its answer besides `ok`.
pub(crate) type Outcome = Result<Value, Refusal>;

/// The entries of a JSON object.
pub(crate) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

type Handler = fn(&mut State, &Args) -> Outcome;

/// The methods of this workspace.
fn handler(method: &str) -> Option<Handler> {
    Some(match method {
        "api.test" => auth::api_test,
        "auth.test" => auth::auth_test,
        "bots.info" => directory::bots_info,
        "team.info" => directory::team_info,
        "emoji.list" => directory::emoji_list,
        "users.info" => directory::users_info,
        "users.list" => directory::users_list,
        "users.lookupByEmail" => directory::users_lookup_by_email,
        "usergroups.list" => directory::usergroups_list,
        "usergroups.users.list" => directory::usergroups_users_list,
        "users.conversations" => conversations::users_conversations,
        "conversations.create" => conversations::create,
        "conversations.archive" => conversations::archive,
        "conversations.unarchive" => conversations::unarchive,
        "conversations.rename" => conversations::rename,
        "conversations.setTopic" => conversations::set_topic,
        "conversations.setPurpose" => conversations::set_purpose,
        "conversations.invite" => conversations::invite,
        "conversations.kick" => conversations::kick,
        "conversations.join" => conversations::join,
        "conversations.leave" => conversations::leave,
        "conversations.info" => conversations::info,
        "conversations.list" => conversations::list,
        "conversations.members" => conversations::members,
        "conversations.open" => conversations::open,
        "conversations.history" => history::history,
        "conversations.replies" => history::replies,
        "conversations.canvases.create" => canvases::create_for_channel,
        "canvases.create" => canvases::create,
        "canvases.edit" => canvases::edit,
        "canvases.access.set" => canvases::access_set,
        "chat.postMessage" => chat::post_message,
        "chat.postEphemeral" => chat::post_ephemeral,
        "chat.update" => chat::update,
        "chat.delete" => chat::delete,
        "chat.getPermalink" => chat::get_permalink,
        "files.getUploadURLExternal" => files::get_upload_url,
        "files.completeUploadExternal" => files::complete_upload,
        "files.info" => files::info,
        "pins.add" => pins::add,
        "pins.list" => pins::list,
        "pins.remove" => pins::remove,
        "reactions.add" => reactions::add,
        "reactions.get" => reactions::get,
        "reactions.remove" => reactions::remove,
        "bookmarks.add" => bookmarks::add,
        "bookmarks.edit" => bookmarks::edit,
        "bookmarks.list" => bookmarks::list,
        "bookmarks.remove" => bookmarks::remove,
        "views.open" => views::open,
        "views.push" => views::push,
        "views.update" => views::update,
        "views.publish" => views::publish,
        _ => return None,
    })
}

/// Refusals that mean the app called wrongly, not that the world was against it.
const FAULTS_OF_THE_CALLER: [&str; 21] = [
    "unknown_method",
    "invalid_auth",
    "not_authed",
    "not_allowed_token_type",
    "missing_scope",
    "invalid_arguments",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_attachments",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "metadata_too_large",
    "msg_blocks_too_long",
    "msg_too_long",
    "too_many_attachments",
    "markdown_text_conflict",
    "no_text",
    "view_too_large",
    "invalid_trigger_id",
    "exchanged_trigger_id",
    "invalid_cursor",
];

/// The routes an app calls.
pub(super) fn routes(ws: Workspace) -> Router {
    Router::new()
        .route("/api/{method}", any(api))
        .route("/response/{team}/{id}", post(response_url::receive))
        .route("/upload/{id}", any(files::upload))
        .route("/files-pri/{id}/{name}", get(files::download))
        .with_state(ws)
}

async fn api(
    Shared(ws): Shared<Workspace>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    let call = match read_call(request).await {
        Ok(call) => call,
        Err(why) => {
            ws.with(|state| state.violate("unreadable_body", &method, why.as_str()));
            let code = if why == reading::NOT_JSON { "invalid_json" } else { "invalid_form_data" };
            return Answered::error(code).into_response();
        }
    };
    let logged = Value::Object(call.args.clone());
    let name = method.clone();
    with_faults(&ws, &wire, &method, logged, || perform(&ws, &name, call)).await
}

/// Checks a call and runs it.
fn perform(ws: &Workspace, method: &str, call: Call) -> Answered {
    if method == "apps.connections.open" {
        return auth::open_connection(ws, &call);
    }
    let known = methods::method(method).zip(handler(method));
    let Some((page, handler)) = known else {
        ws.with(|state| state.violate("unknown_method", method, "this workspace has no such method"));
        return Answered::ok(json!({"ok": false, "error": "unknown_method", "req_method": method}));
    };
    if let Err(refusal) = auth::check_bot_token(ws, method, page, &call) {
        return ws.with(|state| answer(state, method, Err(refusal)));
    }
    let mut args = call.args;
    if call.is_json && !page.takes_json {
        ws.with(|state| state.violate("json_to_form_only_method", method, "Slack ignores a JSON body here"));
        args = call.query;
    }
    args.remove("token");
    let channel = args.get("channel").and_then(Value::as_str).map(str::to_owned);
    if let Some(seconds) = ws.limits().count(method, page.tier(), channel.as_deref(), ws.now_ms()) {
        return Answered::rate_limited(seconds);
    }
    ws.with(|state| {
        let outcome = checked(state, method, page, args).and_then(|args| handler(state, &args));
        answer(state, method, outcome)
    })
}

/// Brings the arguments to their types; notes what Slack would ignore.
fn checked(state: &mut State, method: &str, page: &Method, mut args: Map<String, Value>) -> Result<Args, Refusal> {
    if let Some(Value::Array(users)) = args.get("users") {
        let list: Vec<&str> = users.iter().filter_map(Value::as_str).collect();
        let joined = json!(list.join(","));
        state.violate("undocumented_argument_type", method, "users is documented as a comma-separated string");
        args.insert("users".into(), joined);
    }
    let checked = page.check(&mut args);
    if !checked.unknown.is_empty() {
        state.violate("unknown_argument", method, checked.unknown.join(", "));
    }
    if checked.complaints.is_empty() {
        Ok(Args(args))
    } else {
        Err(Refusal::listing("invalid_arguments", checked.complaints))
    }
}

fn answer(state: &mut State, method: &str, outcome: Outcome) -> Answered {
    let mut body = Map::new();
    let mut scopes = None;
    match outcome {
        Ok(more) => {
            scopes = Some(state.manifest.oauth_config.scopes.bot.join(","));
            body.insert("ok".into(), json!(true));
            body.extend(fields(more));
        }
        Err(refusal) => {
            if FAULTS_OF_THE_CALLER.contains(&refusal.code.as_str()) {
                let detail = if refusal.more.is_empty() { String::new() } else { json!(refusal.more).to_string() };
                state.violate(&refusal.code, method, detail);
            }
            body.insert("ok".into(), json!(false));
            body.insert("error".into(), json!(refusal.code));
            body.extend(refusal.more);
        }
    }
    Answered { scopes, ..Answered::ok(Value::Object(body)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    /// Codes that Slack gives but its pages do not list: seen in answers, in its client libraries or in its guides.
    const UNLISTED: &[&str] = &[
        "user_not_in_channel",
        "thread_not_found",
        "too_many_users",
        "invalid_url",
        "used_url",
        "expired_url",
        "cannot_delete_command",
        "cannot_replace_command",
        "invalid_limit",
        "invalid_trigger_id",
    ];
    /// Codes of every method (docs: "Web API", "Errors").
    const COMMON: &[&str] =
        &["not_authed", "invalid_auth", "not_allowed_token_type", "missing_scope", "invalid_arguments"];

    #[test]
    fn every_error_code_is_one_of_slacks() {
        let pages: Value = serde_json::from_str(include_str!("../methods.json")).expect("it is JSON");
        let listed: BTreeSet<&str> = pages
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, page)| page["errors"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let sources = [
            include_str!("auth.rs"),
            include_str!("bookmarks.rs"),
            include_str!("canvases.rs"),
            include_str!("chat.rs"),
            include_str!("conversations.rs"),
            include_str!("directory.rs"),
            include_str!("files.rs"),
            include_str!("history.rs"),
            include_str!("pins.rs"),
            include_str!("reactions.rs"),
            include_str!("response_url.rs"),
            include_str!("views.rs"),
        ];
        let pattern = regex::Regex::new(r#"Refusal::(?:from|with|listing)\(\s*"([a-z_]+)""#).expect("a pattern");
        let mut seen = 0;
        for code in sources.iter().flat_map(|source| pattern.captures_iter(source)).filter_map(|found| found.get(1)) {
            let code = code.as_str();
            let is_known = listed.contains(code) || COMMON.contains(&code) || UNLISTED.contains(&code);
            assert!(is_known, "{code} is no error code of Slack's");
            seen += 1;
        }
        assert!(seen > 60, "the codes were found in the sources");
    }
}
