//! What a person does on the page: each write is JSON, answered `{ok: true, …}` or `{ok: false, error}` with a sentence.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::routes::PageRoom;
use super::{ActionUse, MessageRef, PageRefusal, SubmitAnswer, Surface, WorldState};

/// Every write, by its address.
pub(super) fn routes() -> Router<PageRoom> {
    Router::new()
        .route("/page/command", post(command))
        .route("/page/message", post(message))
        .route("/page/edit", post(edit))
        .route("/page/delete", post(delete))
        .route("/page/react", post(react))
        .route("/page/action", post(action))
        .route("/page/submit", post(submit))
        .route("/page/close", post(close))
        .route("/page/shortcut", post(shortcut))
        .route("/page/home", post(home))
        .route("/page/dm", post(dm))
        .route("/page/advance", post(advance))
        .route("/page/shop/break", post(shop_break))
        .route("/page/shop/mend", post(shop_mend))
        .route("/page/shop/checkout", post(shop_checkout))
}

/// A refusal on its way to the page. The status stays 200: the page reads `ok`.
pub(super) struct Refused(pub(super) PageRefusal);

impl From<PageRefusal> for Refused {
    fn from(refusal: PageRefusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        Json(json!({"ok": false, "error": self.0.0})).into_response()
    }
}

type Answer = Result<Json<Value>, Refused>;

fn done() -> Answer {
    Ok(Json(json!({"ok": true})))
}

/// A write's JSON; what cannot be read is refused in a sentence too.
struct Wire<T>(T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequest<S> for Wire<T> {
    type Rejection = (StatusCode, Json<Value>);

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Self::Rejection> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(unreadable(&rejection)),
        }
    }
}

fn unreadable(rejection: &JsonRejection) -> (StatusCode, Json<Value>) {
    let error = format!("The page sent something that cannot be read: {}", rejection.body_text());
    (rejection.status(), Json(json!({"ok": false, "error": error})))
}

impl PageRoom {
    /// What `by` sees before an act; the tour compares.
    async fn before(&self, by: &str) -> Result<WorldState, PageRefusal> {
        self.world.state(Some(by)).await
    }
}

#[derive(Deserialize)]
struct CommandWrite {
    r#as: String,
    channel: String,
    text: String,
}

async fn command(State(room): State<PageRoom>, Wire(write): Wire<CommandWrite>) -> Answer {
    let before = room.before(&write.r#as).await?;
    let ack = room.world.command(&write.r#as, &write.channel, &write.text).await?;
    room.tour.did(&[&write.text], &before);
    Ok(Json(json!({"ok": true, "ack": ack})))
}

#[derive(Deserialize)]
struct MessageWrite {
    r#as: String,
    channel: String,
    text: String,
    thread_ts: Option<String>,
}

async fn message(State(room): State<PageRoom>, Wire(write): Wire<MessageWrite>) -> Answer {
    let ts = room.world.message(&write.r#as, &write.channel, &write.text, write.thread_ts.as_deref()).await?;
    Ok(Json(json!({"ok": true, "ts": ts})))
}

#[derive(Deserialize)]
struct EditWrite {
    r#as: String,
    #[serde(flatten)]
    message: MessageRef,
    text: String,
}

async fn edit(State(room): State<PageRoom>, Wire(write): Wire<EditWrite>) -> Answer {
    room.world.edit(&write.r#as, &write.message, &write.text).await?;
    done()
}

#[derive(Deserialize)]
struct DeleteWrite {
    r#as: String,
    #[serde(flatten)]
    message: MessageRef,
}

async fn delete(State(room): State<PageRoom>, Wire(write): Wire<DeleteWrite>) -> Answer {
    room.world.delete(&write.r#as, &write.message).await?;
    done()
}

#[derive(Deserialize)]
struct ReactWrite {
    r#as: String,
    #[serde(flatten)]
    message: MessageRef,
    name: String,
    on: bool,
}

async fn react(State(room): State<PageRoom>, Wire(write): Wire<ReactWrite>) -> Answer {
    room.world.react(&write.r#as, &write.message, &write.name, write.on).await?;
    done()
}

#[derive(Deserialize)]
struct ActionWrite {
    r#as: String,
    channel: Option<String>,
    ts: Option<String>,
    view_id: Option<String>,
    #[serde(default)]
    home: bool,
    #[serde(default)]
    block_id: String,
    action_id: String,
    r#type: String,
    #[serde(default)]
    state: Value,
    #[serde(flatten)]
    chosen: Map<String, Value>,
}

async fn action(State(room): State<PageRoom>, Wire(write): Wire<ActionWrite>) -> Answer {
    let surface = match (write.home, write.view_id, write.channel, write.ts) {
        (true, ..) => Surface::Home,
        (false, Some(view), ..) => Surface::View(view),
        (false, None, Some(channel), Some(ts)) => Surface::Message(MessageRef { channel, ts }),
        _ => {
            return Err(PageRefusal::new("An action needs its message, its view or the Home tab.").into());
        }
    };
    let before = room.before(&write.r#as).await?;
    let value = write.chosen.get("value").or_else(|| write.chosen.get("selected_option")?.get("value"));
    let value = value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let action_id = write.action_id.clone();
    let used = ActionUse {
        surface,
        block_id: write.block_id,
        action_id: write.action_id,
        kind: write.r#type,
        chosen: write.chosen,
        state: write.state,
    };
    room.world.action(&write.r#as, used).await?;
    room.tour.did(&[&value, &action_id], &before);
    done()
}

#[derive(Deserialize)]
struct SubmitWrite {
    r#as: String,
    view_id: String,
    values: Value,
}

async fn submit(State(room): State<PageRoom>, Wire(write): Wire<SubmitWrite>) -> Answer {
    let before = room.before(&write.r#as).await?;
    let answer = room.world.submit(&write.r#as, &write.view_id, write.values).await?;
    if let SubmitAnswer::Errors(errors) = answer {
        return Ok(Json(json!({"ok": false, "errors": errors})));
    }
    let view = before.views.iter().find(|view| view.get("id").and_then(Value::as_str) == Some(&write.view_id));
    let field = |name| view.and_then(|view| view.get(name)).and_then(Value::as_str).unwrap_or_default();
    room.tour.did(&[field("callback_id"), field("private_metadata")], &before);
    done()
}

#[derive(Deserialize)]
struct CloseWrite {
    r#as: String,
    view_id: String,
}

async fn close(State(room): State<PageRoom>, Wire(write): Wire<CloseWrite>) -> Answer {
    room.world.close(&write.r#as, &write.view_id).await?;
    done()
}

#[derive(Deserialize)]
struct ShortcutWrite {
    r#as: String,
    callback_id: String,
    channel: Option<String>,
    ts: Option<String>,
}

async fn shortcut(State(room): State<PageRoom>, Wire(write): Wire<ShortcutWrite>) -> Answer {
    let message = write.channel.zip(write.ts).map(|(channel, ts)| MessageRef { channel, ts });
    room.world.shortcut(&write.r#as, &write.callback_id, message.as_ref()).await?;
    done()
}

#[derive(Deserialize)]
struct HomeWrite {
    r#as: String,
}

async fn home(State(room): State<PageRoom>, Wire(write): Wire<HomeWrite>) -> Answer {
    room.world.home(&write.r#as).await?;
    done()
}

#[derive(Deserialize)]
struct DmWrite {
    r#as: String,
    user: String,
}

async fn dm(State(room): State<PageRoom>, Wire(write): Wire<DmWrite>) -> Answer {
    let channel = room.world.dm(&write.r#as, &write.user).await?;
    Ok(Json(json!({"ok": true, "channel": channel})))
}

#[derive(Deserialize)]
struct AdvanceWrite {
    r#as: String,
    minutes: u32,
}

async fn advance(State(room): State<PageRoom>, Wire(write): Wire<AdvanceWrite>) -> Answer {
    let before = room.before(&write.r#as).await?;
    room.world.advance(write.minutes).await?;
    room.tour.advanced(write.minutes, &before);
    done()
}

// The levers of the shop take a JSON body like every write: a plain form of a foreign page cannot send one.
async fn shop_break(State(room): State<PageRoom>, Wire(_): Wire<Value>) -> Answer {
    room.shop.break_it();
    // Two customers meet the fault at once, so that there is something to see and to measure.
    for _ in 0..2 {
        buy(&room).await?;
    }
    done()
}

async fn shop_mend(State(room): State<PageRoom>, Wire(_): Wire<Value>) -> Answer {
    room.shop.mend();
    done()
}

async fn shop_checkout(State(room): State<PageRoom>, Wire(_): Wire<Value>) -> Answer {
    let status = buy(&room).await?;
    Ok(Json(json!({"ok": true, "status": status})))
}

async fn buy(room: &PageRoom) -> Result<u16, PageRefusal> {
    room.shop.buy().await.map_err(|error| PageRefusal(format!("The toy shop does not answer: {error}.")))
}
