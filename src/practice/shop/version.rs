//! The two versions of the shop, each a listener of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::LARGEST;

/// A running version.
pub(super) struct Version {
    pub name: &'static str,
    pub label: &'static str,
    pub address: SocketAddr,
}

/// What one version of the program is made of.
struct Program {
    label: &'static str,
    greeting: &'static str,
    /// Cents a gift wrap costs; the old version does not know gift wraps.
    gift_wrap: Option<u64>,
    broken: Arc<AtomicBool>,
    orders: AtomicU64,
}

const PRICE: u64 = 1290;
const SHIPPING: u64 = 350;
const MOST_BOOKS: u64 = 1000;

/// 1.2.3: plain, and always well.
pub(super) async fn open_old(closing: CancellationToken) -> std::io::Result<Version> {
    let program = Program {
        label: "1.2.3",
        greeting: "Corner Books",
        gift_wrap: None,
        broken: Arc::default(),
        orders: AtomicU64::new(0),
    };
    open("v1", program, closing).await
}

/// 1.3.0: knows gift wraps, and refuses every payment while `broken`.
pub(super) async fn open_new(broken: Arc<AtomicBool>, closing: CancellationToken) -> std::io::Result<Version> {
    let program = Program {
        label: "1.3.0",
        greeting: "Corner Books, now with gift wraps",
        gift_wrap: Some(200),
        broken,
        orders: AtomicU64::new(0),
    };
    open("v2", program, closing).await
}

async fn open(name: &'static str, program: Program, closing: CancellationToken) -> std::io::Result<Version> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let label = program.label;
    let routes = Router::new()
        .route("/", get(welcome))
        .route("/health", get(health))
        .route("/checkout", post(checkout))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Arc::new(program));
    serve(listener, routes, closing);
    Ok(Version { name, label, address })
}

/// Serves until `closing`, then lets go of the port at once.
pub(super) fn serve(listener: TcpListener, routes: Router, closing: CancellationToken) {
    tokio::spawn(async move {
        tokio::select! {
            outcome = axum::serve(listener, routes) => if let Err(error) = outcome {
                tracing::error!(%error, "a door of the toy shop closed");
            },
            () = closing.cancelled() => {}
        }
    });
}

async fn welcome(State(program): State<Arc<Program>>) -> String {
    format!(
        "{} ({})\nPOST /checkout {{\"book\": \"…\", \"quantity\": 1}} buys a book.\n",
        program.greeting, program.label
    )
}

async fn health(State(program): State<Arc<Program>>) -> (StatusCode, Json<Value>) {
    let well = !program.broken.load(Ordering::SeqCst);
    let (code, status, payments) = if well {
        (StatusCode::OK, "ok", "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "failing", "failing: the provider refuses every payment")
    };
    (
        code,
        Json(json!({"status": status, "version": program.label, "checks": {"catalogue": "ok", "payments": payments}})),
    )
}

#[derive(Deserialize)]
struct Order {
    #[serde(default = "one")]
    quantity: u64,
    #[serde(default)]
    gift_wrap: bool,
}

fn one() -> u64 {
    1
}

async fn checkout(State(program): State<Arc<Program>>, body: axum::body::Bytes) -> (StatusCode, Json<Value>) {
    let order =
        if body.is_empty() { Ok(Order { quantity: 1, gift_wrap: false }) } else { serde_json::from_slice(&body) };
    let Ok(Order { quantity: quantity @ 1..=MOST_BOOKS, gift_wrap }) = order else {
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(json!({"error": "An order is {\"quantity\": 1 to 1000}.", "version": program.label})),
        );
    };
    if program.broken.load(Ordering::SeqCst) {
        let fault = "payment provider answered 400: unknown field 'gift_wrap_cents'";
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": fault, "version": program.label})));
    }
    let wrap = program.gift_wrap.filter(|_| gift_wrap).unwrap_or_default();
    let cents = quantity * (PRICE + wrap) + SHIPPING;
    let number = program.orders.fetch_add(1, Ordering::SeqCst) + 1;
    (StatusCode::OK, Json(json!({"order": number, "paid_cents": cents, "version": program.label})))
}
