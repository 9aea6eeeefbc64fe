//! The front door: passes customers on to the active version, counts them, and holds the switch.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::figures::Request;
use super::{Inner, LARGEST, NotSwitched, Order, Silence};

pub(super) fn routes(shop: Arc<Inner>) -> Router {
    Router::new()
        .route("/", get(pass))
        .route("/health", get(health))
        .route("/checkout", post(pass))
        .route("/metrics", get(metrics))
        .route("/switch", get(switch).put(move_switch))
        .route("/break", post(break_it))
        .route("/mend", post(mend))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(shop)
}

async fn pass(State(shop): State<Arc<Inner>>, method: Method, OriginalUri(uri): OriginalUri, body: Bytes) -> Response {
    let began = (shop.now)();
    let (address, label) = {
        let active = shop.active();
        (active.address, active.label)
    };
    let answered =
        shop.client.request(method.clone(), format!("http://{address}{}", uri.path())).body(body).send().await;
    let response = match answered {
        Ok(answer) => relay(answer).await,
        Err(error) => {
            tracing::warn!(%error, version = label, "a version of the toy shop did not answer");
            (StatusCode::BAD_GATEWAY, Json(json!({"error": "This version does not answer.", "version": label})))
                .into_response()
        }
    };
    let at_ms = (shop.now)();
    let request = Request {
        at_ms,
        method: method.to_string(),
        path: uri.path().to_owned(),
        status: response.status().as_u16(),
        version: label.to_owned(),
    };
    shop.figures.add(request, at_ms - began);
    shop.changed();
    response
}

async fn health(shop: State<Arc<Inner>>, method: Method, uri: OriginalUri, body: Bytes) -> Response {
    if shop.hangs.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    pass(shop, method, uri, body).await
}

async fn relay(answer: reqwest::Response) -> Response {
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    match answer.bytes().await {
        Ok(bytes) => {
            let mut response = (status, Body::from(bytes)).into_response();
            if let Some(kind) = kind {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            response
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn metrics(State(shop): State<Arc<Inner>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shop.figures.prometheus(shop.active().label))
}

async fn switch(State(shop): State<Arc<Inner>>) -> impl IntoResponse {
    Json(shop.switch())
}

/// Where the switch shall stand, and where the caller saw it stand.
#[derive(Deserialize)]
struct Move {
    to: String,
    expected: String,
}

async fn move_switch(State(shop): State<Arc<Inner>>, headers: HeaderMap, Json(wanted): Json<Move>) -> Response {
    let silence = shop.silence().take();
    if silence == Some(Silence::BeforeMoving) {
        shop.changed();
        return std::future::pending().await;
    }
    let switched = shop.try_switch(&wanted.to, &wanted.expected);
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    shop.orders().push(Order { key, moved: switched.is_ok() });
    let code = match switched {
        Ok(()) => StatusCode::OK,
        Err(NotSwitched::Moved) => StatusCode::CONFLICT,
        Err(NotSwitched::Unknown) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    if silence == Some(Silence::AfterMoving) {
        return std::future::pending().await;
    }
    (code, Json(shop.switch())).into_response()
}

async fn break_it(State(shop): State<Arc<Inner>>) -> impl IntoResponse {
    shop.break_it();
    Json(shop.switch())
}

async fn mend(State(shop): State<Arc<Inner>>) -> impl IntoResponse {
    shop.mend();
    Json(shop.switch())
}
