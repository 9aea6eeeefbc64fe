//! A switch over HTTP with as many positions as one likes. What was put is kept, and it can be told to refuse.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

#[derive(Debug)]
struct Inner {
    positions: Vec<String>,
    refuses: bool,
    hides: bool,
    hides_next: bool,
}

/// The switch. It stands at `v2`; `v1` and `v0` were there before.
#[derive(Debug, Clone)]
pub struct Lever {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Lever {
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/lever", listener.local_addr().expect("it has an address"));
        let inner = Arc::new(Mutex::new(Inner {
            positions: vec!["v2".to_owned()],
            refuses: false,
            hides: false,
            hides_next: false,
        }));
        let lever = Self { url, inner };
        let routes = Router::new().route("/lever", get(read).put(put)).with_state(lever.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        lever
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().expect("nobody panicked"))
    }

    /// Where it stood, one after the other.
    pub fn positions(&self) -> Vec<String> {
        self.with(|inner| inner.positions.clone())
    }

    /// Somebody else puts it there.
    pub fn push(&self, position: &str) {
        self.with(|inner| inner.positions.push(position.to_owned()));
    }

    /// It answers 500 and does nothing, from now on or no longer.
    pub fn refuses(&self, refuses: bool) {
        self.with(|inner| inner.refuses = refuses);
    }

    /// It does not say where it stands, from now on or no longer.
    pub fn hides(&self, hides: bool) {
        self.with(|inner| inner.hides = hides);
    }

    /// It says again where it stands.
    pub fn shows_again(&self) {
        self.with(|inner| (inner.hides, inner.hides_next) = (false, false));
    }

    /// It does not say where it stands once somebody has put it somewhere.
    pub fn hides_once_put(&self) {
        self.with(|inner| inner.hides_next = true);
    }

    /// A step of an action that puts it to `to`.
    pub fn step(&self, target: &str, to: &str) -> String {
        self.step_of(target, &format!("read: {{ url: \"{}\", current: /active }}\n          to: {to}", self.url))
    }

    /// A step of an action that puts it where a person says.
    pub fn step_to_choose(&self, target: &str) -> String {
        let list = "list: /history, value: /id, label: /name, pick: ask";
        let read = format!("read: {{ url: \"{}\", current: /active, choices: {{ {list} }} }}", self.url);
        self.step_of(target, &read)
    }

    fn step_of(&self, target: &str, read: &str) -> String {
        let url = &self.url;
        format!(
            "      - title: \"{target} from {{{{from}}}} to {{{{to}}}}\"\n        http_switch:\n          \
             target: {target}\n          {read}\n          settle: 1s\n          \
             set: {{ url: \"{url}\", method: PUT, body: {{ to: \"{{{{to}}}}\" }} }}\n"
        )
    }
}

/// An action of these steps, put before the practice team's own: a change of its configuration.
pub fn action(key: &str, title: &str, more: &str, steps: &[String]) -> String {
    let steps = steps.concat();
    format!(
        "actions:\n  {key}:\n    title: {title}\n    service: shop\n    rollback: true\n    class: urgent\n    \
         risk: reversible\n    expected: 30s\n    approval:\n      by: [lead, dba]\n{more}    steps:\n{steps}    \
         verify: [health]\n"
    )
}

async fn read(State(lever): State<Lever>) -> Result<Json<Value>, StatusCode> {
    if lever.with(|inner| inner.hides) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let history = ["v2", "v1", "v0"].map(|id| json!({"id": id, "name": format!("release {id}")}));
    Ok(Json(json!({"active": lever.positions().last(), "history": history})))
}

async fn put(State(lever): State<Lever>, Json(body): Json<Value>) -> StatusCode {
    lever.with(|inner| {
        inner.hides |= inner.hides_next;
        if inner.refuses {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        inner.positions.push(body["to"].as_str().unwrap_or_default().to_owned());
        StatusCode::OK
    })
}
