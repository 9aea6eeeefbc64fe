//! `files.*`: the three steps of an upload, and the bytes back.

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequest, Multipart, Path, Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::conversations::visible;
use super::{Answered, Args, BODY_LIMIT, Outcome, Refusal, with_faults};
use crate::practice::validate;
use crate::practice::wire::Wire;
use crate::practice::workspace::{FileStage, Post, State, StoredFile, Workspace};

pub(super) fn get_upload_url(state: &mut State, args: &Args) -> Outcome {
    if args.text("alt_txt").chars().count() > 1000 {
        return Err(Refusal::from("alt_txt_too_large"));
    }
    let announced = args.number("length").and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    if args.opt("snippet_type").is_some() && announced > 1_000_000 {
        return Err(Refusal::from("snippet_too_large"));
    }
    let id = state.next_id("F");
    let name = args.text("filename").to_owned();
    let file = StoredFile {
        id: id.clone(),
        title: name.clone(),
        mimetype: mimetype(&name).to_owned(),
        name,
        bytes: Vec::new(),
        announced,
        stage: FileStage::Announced,
        created: state.now_s(),
        alt_txt: args.opt("alt_txt").map(str::to_owned),
        shares: Vec::new(),
    };
    state.files.insert(id.clone(), file);
    Ok(json!({"upload_url": format!("{}/upload/{id}", state.origin), "file_id": id}))
}

fn mimetype(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "html" => "text/html",
        "json" => "application/json",
        "csv" => "text/csv",
        "md" | "txt" | "log" | "yml" | "yaml" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Takes the bytes of an announced file: raw, or as the first part of a multipart form.
pub(super) async fn upload(
    Shared(ws): Shared<Workspace>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let bytes = match read_bytes(request).await {
        Ok(bytes) => bytes,
        Err(why) => return (StatusCode::BAD_REQUEST, why).into_response(),
    };
    let size = bytes.len();
    let logged = json!({"file": id, "size": size});
    let mut taken = false;
    let response = with_faults(&ws, &wire, "upload", logged, || {
        taken = ws.with(|state| take(state, &id, bytes));
        let body = json!({"ok": taken});
        let status = if taken { StatusCode::OK } else { StatusCode::NOT_FOUND };
        Answered { status, body, retry_after_s: None, scopes: None }
    })
    .await;
    // Slack answers an upload with plain text.
    if taken && response.status().is_success() { format!("OK - {size}").into_response() } else { response }
}

async fn read_bytes(request: Request) -> Result<Vec<u8>, String> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        return Ok(to_bytes(request.into_body(), BODY_LIMIT).await.map_err(|error| error.to_string())?.to_vec());
    }
    let mut parts = Multipart::from_request(request, &()).await.map_err(|error| error.to_string())?;
    match parts.next_field().await.map_err(|error| error.to_string())? {
        Some(field) => Ok(field.bytes().await.map_err(|error| error.to_string())?.to_vec()),
        None => Err("the form has no part".to_owned()),
    }
}

fn take(state: &mut State, id: &str, bytes: Vec<u8>) -> bool {
    let Some(file) = state.files.get_mut(id).filter(|file| file.stage != FileStage::Complete) else {
        return false;
    };
    let (size, announced) = (bytes.len(), file.announced);
    file.bytes = bytes;
    file.stage = FileStage::Uploaded;
    if size != announced {
        state.violate("upload_length", "upload", format!("announced {announced} bytes, sent {size}"));
    }
    true
}

pub(super) fn complete_upload(state: &mut State, args: &Args) -> Outcome {
    let files = args.json("files").and_then(Value::as_array).cloned().unwrap_or_default();
    if files.is_empty() {
        return Err(Refusal::listing("invalid_arguments", vec!["[ERROR] files must not be empty".into()]));
    }
    let mut channels: Vec<String> =
        args.text("channels").split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
    channels.extend(args.opt("channel_id").map(str::to_owned));
    if channels.len() > 100 {
        return Err(Refusal::from("channels_limit_exceeded"));
    }
    for channel in &channels {
        let found = visible(state, channel)?;
        if !found.has(&state.app.bot_user) {
            return Err(Refusal::from("not_in_channel"));
        }
        if found.is_archived {
            return Err(Refusal::from("posting_to_channel_denied"));
        }
    }
    if let Some(blocks) = args.json("blocks") {
        let message = Map::from_iter([("blocks".to_owned(), blocks.clone())]);
        let faults = validate::message(&message);
        if !faults.is_empty() {
            return Err(Refusal::listing("invalid_blocks", faults));
        }
    }
    let ids = finish_files(state, &files)?;
    for channel in &channels {
        share(state, args, channel, &ids);
    }
    let shown: Vec<Value> =
        ids.iter().filter_map(|id| state.files.get(id)).map(|file| file_json(state, file)).collect();
    Ok(json!({"files": shown}))
}

fn finish_files(state: &mut State, files: &[Value]) -> Result<Vec<String>, Refusal> {
    let mut ids = Vec::new();
    for given in files {
        let id = given.get("id").and_then(Value::as_str).unwrap_or_default();
        let ready = state.files.get(id).is_some_and(|file| file.stage == FileStage::Uploaded);
        if !ready {
            return Err(Refusal::from("file_not_found"));
        }
        ids.push(id.to_owned());
    }
    for (id, given) in ids.iter().zip(files) {
        if let Some(file) = state.files.get_mut(id) {
            file.stage = FileStage::Complete;
            if let Some(title) = given.get("title").and_then(Value::as_str) {
                title.clone_into(&mut file.title);
            }
        }
    }
    Ok(ids)
}

fn share(state: &mut State, args: &Args, channel: &str, ids: &[String]) {
    let shown: Vec<Value> =
        ids.iter().filter_map(|id| state.files.get(id)).map(|file| file_json(state, file)).collect();
    let mut body = state.bot_body();
    body.insert("subtype".into(), json!("file_share"));
    body.insert("text".into(), json!(args.text("initial_comment")));
    body.insert("files".into(), Value::Array(shown));
    body.insert("upload".into(), json!(false));
    if let Some(blocks) = args.json("blocks") {
        let mut blocks = blocks.clone();
        state.finish_blocks(&mut blocks);
        body.insert("blocks".into(), blocks);
    }
    let thread_ts = args.opt("thread_ts").map(str::to_owned);
    let ts = state.post(channel, Post { body, thread_ts, ..Post::default() });
    for id in ids {
        if let Some(file) = state.files.get_mut(id) {
            file.shares.push((channel.to_owned(), ts.clone()));
        }
        let (event_ts, bot) = (state.next_ts(), state.app.bot_user.clone());
        let event = json!({
            "type": "file_shared", "file_id": id, "user_id": bot, "file": {"id": id}, "channel_id": channel,
            "event_ts": event_ts,
        });
        state.emit("file_shared", event);
    }
}

/// The file object.
fn file_json(state: &State, file: &StoredFile) -> Value {
    let kind = file.name.rsplit('.').next().unwrap_or("text");
    let private = format!("{}/files-pri/{}/{}", state.origin, file.id, url_name(&file.name));
    let mut public = Map::new();
    for (channel, ts) in &file.shares {
        public.insert(
            channel.clone(),
            json!([{"ts": ts, "channel_name": state.channels.get(channel).map(|c| &c.name), "team_id": state.team.id}]),
        );
    }
    json!({
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title,
        "mimetype": file.mimetype,
        "filetype": kind,
        "pretty_type": kind.to_uppercase(),
        "user": state.app.bot_user,
        "user_team": state.team.id,
        "editable": false,
        "size": file.bytes.len(),
        "mode": "hosted",
        "is_external": false,
        "external_type": "",
        "is_public": false,
        "public_url_shared": false,
        "display_as_bot": false,
        "username": "",
        "url_private": private,
        "url_private_download": private,
        "permalink": format!("{}/files/{}/{}", state.origin, state.app.bot_user, file.id),
        "alt_txt": file.alt_txt,
        "is_starred": false,
        "has_rich_preview": false,
        "file_access": "visible",
        "shares": {"public": public},
        "channels": file.shares.iter().map(|(channel, _)| channel).collect::<Vec<_>>(),
        "groups": [],
        "ims": [],
        "comments_count": 0,
    })
}

fn url_name(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

pub(super) fn info(state: &mut State, args: &Args) -> Outcome {
    let file = state.files.get(args.text("file")).filter(|file| file.stage == FileStage::Complete);
    match file {
        Some(file) => Ok(json!({
            "file": file_json(state, file),
            "comments": [],
            "response_metadata": {"next_cursor": ""},
        })),
        None => Err(Refusal::from("file_not_found")),
    }
}

/// The bytes of a file, for the practice page.
pub(super) async fn download(Shared(ws): Shared<Workspace>, Path((id, _name)): Path<(String, String)>) -> Response {
    let found = ws.read(|state| state.files.get(&id).map(|file| (file.mimetype.clone(), file.bytes.clone())));
    match found {
        Some((kind, bytes)) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
