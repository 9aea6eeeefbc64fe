//! Stateful simulators of the vendors' APIs, on loopback. They keep state, check tokens and refuse as the vendors do; they
//! count readings instead of waiting. A desk stands in front of each: it loses, delays and spoils on order, and keeps what
//! came by.

pub mod cloudflare;
pub mod ecs;
pub mod github;
pub mod maintenance;
pub mod netlify;
pub mod vercel;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

/// A vendor's side.
pub trait Platform: Send + 'static {
    /// Its name, as in `tests/eyes/specs`.
    const VENDOR: &'static str;

    /// Whether the vendor publishes a description of its API.
    const IS_DESCRIBED: bool = true;

    /// Does what is asked for, and answers.
    fn answer(&mut self, call: &Call) -> Said;
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// Whole, without the query.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub body: Value,
    /// The token that came with it.
    pub bearer: Option<String>,
    /// The header fields that are plain text, by their names in small letters.
    pub headers: BTreeMap<String, String>,
}

impl Call {
    /// The path's parts, decoded.
    pub fn parts(&self) -> Vec<String> {
        let decoded = |part: &str| {
            let pair = format!("p={part}").replace('+', "%2B");
            url::form_urlencoded::parse(pair.as_bytes()).next().expect("there is one pair").1.into_owned()
        };
        self.path.trim_matches('/').split('/').map(decoded).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The name of what is done only once, however often it is asked for.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }

    /// AWS posts its questions, too.
    pub fn is_write(&self) -> bool {
        let is_question = |target: &str| target.contains(".Describe") || target.contains(".List");
        self.method != "GET" && !self.header("x-amz-target").is_some_and(is_question)
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Said {
    pub status: u16,
    /// Nothing at all when it is `None`.
    pub body: Option<Value>,
    pub retry_after_s: Option<u64>,
    /// Values that come one by one.
    pub rows: Option<Rows>,
}

/// What a stream brings.
#[derive(Debug, Clone)]
pub struct Rows {
    pub values: Vec<Value>,
    /// It goes on, and nothing more comes. Without values not even its beginning comes.
    pub stays_open: bool,
}

impl Said {
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), retry_after_s: None, rows: None }
    }

    pub fn nothing(status: u16) -> Self {
        Self { status, body: None, retry_after_s: None, rows: None }
    }

    pub fn rows(rows: Rows) -> Self {
        Self { rows: Some(rows), ..Self::nothing(200) }
    }
}

/// What goes wrong at the desk.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Another answer; nothing is done.
    Says(u16, Value),
    /// Turned away for now; nothing is done.
    TooMany { retry_after_s: u64 },
    /// The connection breaks, and nothing is done.
    LosesRequest,
    /// It is done, and the connection breaks.
    LosesAnswer,
    /// Never an answer; nothing is done.
    Silent,
    /// A yes that is no JSON; it is done.
    Garbled,
    /// A yes of so many bytes; it is done.
    Flood(usize),
}

/// Which request it befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Any,
    /// The first that is no GET.
    Write,
}

/// A vendor that can be spoken to.
pub struct Desk<P> {
    pub url: String,
    inner: Arc<Mutex<Inner<P>>>,
}

impl<P> Clone for Desk<P> {
    fn clone(&self) -> Self {
        Self { url: self.url.clone(), inner: Arc::clone(&self.inner) }
    }
}

struct Inner<P> {
    platform: P,
    troubles: Vec<(Which, Trouble)>,
    calls: Vec<Call>,
}

impl<P: Platform> Desk<P> {
    pub async fn open(platform: P) -> Self {
        let inner = Inner { platform, troubles: Vec::new(), calls: Vec::new() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let desk = Self { url, inner: Arc::new(Mutex::new(inner)) };
        let routes = Router::new().fallback(serve::<P>).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        desk
    }

    /// Looks at, or changes, the vendor's state.
    pub fn with<T>(&self, look: impl FnOnce(&mut P) -> T) -> T {
        look(&mut self.inner.lock().expect("nobody panicked").platform)
    }

    /// The next such request goes wrong so.
    pub fn next(&self, which: Which, trouble: Trouble) {
        self.inner.lock().expect("nobody panicked").troubles.push((which, trouble));
    }

    /// Everything that was asked for, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.lock().expect("nobody panicked").calls.clone()
    }

    /// The requests that were to change something: `POST /v1/…`.
    pub fn writes(&self) -> Vec<String> {
        self.calls().iter().filter(|call| call.is_write()).map(Call::line).collect()
    }
}

fn plain((name, value): (&header::HeaderName, &header::HeaderValue)) -> Option<(String, String)> {
    Some((name.to_string(), value.to_str().ok()?.to_owned()))
}

async fn serve<P: Platform>(State(desk): State<Desk<P>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("the body comes whole");
    let bearer = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query).into_owned().collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        bearer: bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
        headers: head.headers.iter().filter_map(plain).collect(),
    };
    let (trouble, said) = {
        let mut inner = desk.inner.lock().expect("nobody panicked");
        inner.calls.push(call.clone());
        let befalls = |(which, _): &(Which, Trouble)| *which == Which::Any || call.is_write();
        let trouble = inner.troubles.iter().position(befalls).map(|at| inner.troubles.remove(at).1);
        let is_done = !matches!(
            trouble,
            Some(Trouble::Says(..) | Trouble::TooMany { .. } | Trouble::LosesRequest | Trouble::Silent)
        );
        (trouble, is_done.then(|| inner.platform.answer(&call)))
    };
    if let Some(said) = said.as_ref().filter(|_| P::IS_DESCRIBED) {
        keep::<P>(&call, said);
    }
    match (trouble, said) {
        (Some(Trouble::Says(status, body)), _) => respond(Said::new(status, body)),
        (Some(Trouble::TooMany { retry_after_s }), _) => {
            let body = json!({"error": {"code": "rate_limited", "message": "too many requests"}});
            respond(Said { retry_after_s: Some(retry_after_s), ..Said::new(429, body) })
        }
        (Some(Trouble::LosesRequest | Trouble::LosesAnswer), _) => drop_connection(),
        (Some(Trouble::Silent), _) => std::future::pending().await,
        (Some(Trouble::Garbled), _) => (StatusCode::OK, "<h1>oops</h1>").into_response(),
        (Some(Trouble::Flood(bytes)), _) => (StatusCode::OK, Body::from(vec![b'x'; bytes])).into_response(),
        (None, Some(Said { rows: Some(rows), .. })) => stream(rows).await,
        (None, Some(said)) => respond(said),
        (None, None) => unreachable!("without a trouble there is an answer"),
    }
}

/// Ends the connection's own unit of work without an answer, as a crash would.
fn drop_connection() -> Response {
    std::panic::resume_unwind(Box::new("the desk drops the connection"));
}

/// A line for each value.
async fn stream(Rows { values, stays_open }: Rows) -> Response {
    if values.is_empty() && stays_open {
        return std::future::pending().await;
    }
    let lines = values.into_iter().map(|value| Ok::<_, std::io::Error>(format!("{value}\n")));
    let lines = futures_util::stream::iter(lines);
    let body = if stays_open {
        Body::from_stream(lines.chain(futures_util::stream::pending()))
    } else {
        Body::from_stream(lines)
    };
    ([(header::CONTENT_TYPE, "application/stream+json")], body).into_response()
}

fn respond(said: Said) -> Response {
    let status = StatusCode::from_u16(said.status).expect("it is a status");
    let mut response = match said.body {
        Some(body) => (status, axum::Json(body)).into_response(),
        None => status.into_response(),
    };
    if let Some(seconds) = said.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Keeps an exchange for `tests/eyes/vendors.py`, in the folder that `VIGIE_DUMP_EXCHANGES` names, if it does. The same
/// exchange twice is one file.
fn keep<P: Platform>(call: &Call, said: &Said) {
    use sha2::{Digest as _, Sha256};
    let Some(folder) = std::env::var_os("VIGIE_DUMP_EXCHANGES") else { return };
    let answers = said
        .rows
        .as_ref()
        .map_or_else(|| vec![said.body.clone()], |rows| rows.values.iter().cloned().map(Some).collect());
    for answer in answers {
        let exchange = json!({
            "vendor": P::VENDOR,
            "method": call.method,
            "path": call.path,
            "query": call.query,
            "body": call.body,
            "status": said.status,
            "answer": answer,
        });
        let text = exchange.to_string();
        let name = hex::encode(Sha256::digest(&text));
        let name = format!("{}-{}.json", P::VENDOR, &name[..16]);
        std::fs::write(Path::new(&folder).join(name), text).expect("the folder can be written to");
    }
}
