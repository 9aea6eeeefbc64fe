//! The page's addresses, and what it reads: the whole state at once, a stream that says when to ask again, files.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::tour::Tour;
use super::writes::{self, Refused};
use super::{PageRefusal, PageWorld, assets, guard};
use crate::practice::phones::Phones;
use crate::practice::shop::Shop;

/// The largest write the page sends, in bytes.
const LARGEST: usize = 256 * 1024;

/// What the page shows: the workspace, and the world outside it.
#[derive(Clone)]
pub struct PageRoom {
    pub(super) world: Arc<dyn PageWorld>,
    pub(super) phones: Phones,
    pub(super) shop: Shop,
    pub(super) tour: Arc<Tour>,
}

impl PageRoom {
    /// Puts the parts together; the tour begins at its first step.
    pub fn new(world: Arc<dyn PageWorld>, phones: Phones, shop: Shop) -> Self {
        Self { world, phones, shop, tour: Arc::default() }
    }
}

/// The page at `/`, its files under `/assets/`, its requests under `/page/`.
pub fn router(room: PageRoom) -> Router {
    Router::new()
        .route("/", get(assets::index))
        .route("/assets/{*path}", get(assets::asset))
        .route("/page/state", get(state))
        .route("/page/stream", get(changes))
        .route("/page/file/{id}", get(file))
        .merge(writes::routes())
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn(guard::guard))
        .with_state(room)
}

#[derive(Deserialize)]
struct Viewer {
    r#as: Option<String>,
}

async fn state(State(room): State<PageRoom>, Query(Viewer { r#as: viewer }): Query<Viewer>) -> Response {
    match whole_state(&room, viewer.as_deref()).await {
        Ok(state) => Json(state).into_response(),
        Err(refusal) => (StatusCode::NOT_FOUND, Refused(refusal)).into_response(),
    }
}

async fn whole_state(room: &PageRoom, viewer: Option<&str>) -> Result<Value, PageRefusal> {
    // Read first, so that a change while the rest is read makes the page ask once more.
    let rev = Sources::of(room).sum();
    let world = room.world.state(viewer).await?;
    let shop = room.shop.state();
    if shop.status != "ok" {
        room.tour.shop_failed();
    }
    room.tour.saw(&world);
    for who in room.tour.awaited().into_iter().filter(|who| *who != world.viewer) {
        room.tour.saw(&room.world.state(Some(&who)).await?);
    }
    let mut whole = to_value(&world)?;
    for (name, value) in [
        ("rev", json!(rev)),
        ("inbox", to_value(&room.phones.deliveries())?),
        ("shop", to_value(&shop)?),
        ("tour", to_value(&room.tour.marks())?),
    ] {
        whole[name] = value;
    }
    Ok(whole)
}

fn to_value(what: &impl serde::Serialize) -> Result<Value, PageRefusal> {
    serde_json::to_value(what)
        .map_err(|error| PageRefusal(format!("The state of the practice room cannot be written as JSON: {error}.")))
}

/// The three things that can change under the page; their numbers only grow, so their sum does.
struct Sources([watch::Receiver<u64>; 3]);

impl Sources {
    fn of(room: &PageRoom) -> Self {
        Self([room.world.subscribe(), room.phones.changes(), room.shop.changes()])
    }

    fn sum(&mut self) -> u64 {
        self.0.iter_mut().map(|source| *source.borrow_and_update()).sum()
    }

    /// Waits for the next change; false when one of the sources is gone for good.
    async fn changed(&mut self) -> bool {
        let [world, phones, shop] = &mut self.0;
        tokio::select! {
            outcome = world.changed() => outcome.is_ok(),
            outcome = phones.changed() => outcome.is_ok(),
            outcome = shop.changed() => outcome.is_ok(),
        }
    }
}

async fn changes(State(room): State<PageRoom>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let begin = (Sources::of(&room), true);
    // The room itself is not kept by the stream: an open page does not keep a closed workspace alive.
    drop(room);
    Sse::new(stream::unfold(begin, |(mut sources, first)| async move {
        if !first && !sources.changed().await {
            return None;
        }
        let event = Event::default().event("rev").data(sources.sum().to_string());
        Some((Ok(event), (sources, false)))
    }))
}

async fn file(
    State(room): State<PageRoom>,
    Path(id): Path<String>,
    Query(Viewer { r#as: viewer }): Query<Viewer>,
) -> Response {
    let file = match room.world.file(viewer.as_deref().unwrap_or_default(), &id).await {
        Ok(file) => file,
        Err(refusal) => return (StatusCode::NOT_FOUND, Refused(refusal)).into_response(),
    };
    // Only what a browser cannot run is served under its own type.
    let kind = match file.mimetype.as_str() {
        kind @ ("image/png" | "image/jpeg" | "image/gif" | "image/webp") => kind,
        kind if kind.starts_with("text/") || kind.contains("json") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    let safe: String =
        file.name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{safe}\""))
        .unwrap_or(HeaderValue::from_static("attachment"));
    let mut response = file.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::try_from(kind).unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    response
}
