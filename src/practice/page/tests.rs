//! Promises of the page's server, and of the assets it carries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use regex::Regex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use super::assets::{Assets, text_of};
use super::*;
use crate::practice::phones::{Phones, PhonesOptions};
use crate::practice::shop::Shop;

/// A workspace of one channel that writes down what it was asked.
struct NotebookWorld {
    asked: Mutex<Vec<String>>,
    changes: watch::Sender<u64>,
}

impl NotebookWorld {
    fn note<T>(&self, what: String, answer: T) -> Result<T, PageRefusal> {
        self.asked.lock().expect("no test panics while it writes").push(what);
        self.changes.send_modify(|n| *n += 1);
        Ok(answer)
    }
}

#[async_trait]
impl PageWorld for NotebookWorld {
    async fn state(&self, viewer: Option<&str>) -> Result<WorldState, PageRefusal> {
        let viewer = viewer.unwrap_or("U1");
        if viewer != "U1" {
            return Err(PageRefusal::new("Nobody here has that id."));
        }
        let asked = self.asked.lock().expect("no test panics while it writes").clone();
        let messages = asked
            .iter()
            .enumerate()
            .map(|(i, text)| json!({"type": "message", "user": "UB", "text": text, "ts": format!("{i}.0")}));
        Ok(WorldState {
            viewer: viewer.into(),
            now_ms: 7,
            app: AppInfo { bot_user_id: "UB".into(), name: "Vigie".into() },
            channels: vec![PageChannel {
                id: "C1".into(),
                name: "general".into(),
                messages: messages.collect(),
                ..PageChannel::default()
            }],
            views: vec![json!({"id": "V1", "callback_id": "declare_incident"})],
            ..WorldState::default()
        })
    }
    fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    async fn command(&self, by: &str, channel: &str, text: &str) -> Result<Value, PageRefusal> {
        self.note(format!("{by} {channel} {text}"), json!({"text": "on it"}))
    }
    async fn message(
        &self,
        by: &str,
        channel: &str,
        text: &str,
        thread_ts: Option<&str>,
    ) -> Result<String, PageRefusal> {
        self.note(format!("{by} {channel} {text} {thread_ts:?}"), "9.0".into())
    }
    async fn edit(&self, by: &str, message: &MessageRef, text: &str) -> Result<(), PageRefusal> {
        self.note(format!("{by} edits {} {} {text}", message.channel, message.ts), ())
    }
    async fn delete(&self, by: &str, message: &MessageRef) -> Result<(), PageRefusal> {
        self.note(format!("{by} deletes {} {}", message.channel, message.ts), ())
    }
    async fn react(&self, by: &str, message: &MessageRef, name: &str, on: bool) -> Result<(), PageRefusal> {
        self.note(format!("{by} {name} {on} {}", message.ts), ())
    }
    async fn action(&self, by: &str, action: ActionUse) -> Result<(), PageRefusal> {
        self.note(format!("{by} {action:?}"), ())
    }
    async fn submit(&self, by: &str, view_id: &str, values: Value) -> Result<SubmitAnswer, PageRefusal> {
        if values["title"]["v"]["value"].is_null() {
            return Ok(SubmitAnswer::Errors(BTreeMap::from([("title".into(), "What is wrong?".into())])));
        }
        self.note(format!("{by} submits {view_id}"), SubmitAnswer::Accepted)
    }
    async fn close(&self, by: &str, view_id: &str) -> Result<(), PageRefusal> {
        self.note(format!("{by} closes {view_id}"), ())
    }
    async fn shortcut(&self, by: &str, callback_id: &str, message: Option<&MessageRef>) -> Result<(), PageRefusal> {
        self.note(format!("{by} {callback_id} {:?}", message.map(|m| &m.ts)), ())
    }
    async fn home(&self, by: &str) -> Result<(), PageRefusal> {
        self.note(format!("{by} at home"), ())
    }
    async fn dm(&self, by: &str, user: &str) -> Result<String, PageRefusal> {
        self.note(format!("{by} to {user}"), "D1".into())
    }
    async fn advance(&self, minutes: u32) -> Result<(), PageRefusal> {
        Err(PageRefusal(format!("The clock does not move by {minutes} minutes.")))
    }
    async fn file(&self, viewer: &str, id: &str) -> Result<PageFile, PageRefusal> {
        Ok(PageFile {
            name: format!("{viewer} \"{id}\".html"),
            mimetype: "text/html".into(),
            bytes: b"<script>".to_vec(),
        })
    }
}

struct Room {
    world: Arc<NotebookWorld>,
    phones: Phones,
    routes: Router,
}

async fn room() -> Room {
    rustls::crypto::ring::default_provider().install_default().ok();
    let world = Arc::new(NotebookWorld { asked: Mutex::default(), changes: watch::Sender::new(0) });
    let phones = Phones::start(PhonesOptions::new(|| 7)).await.expect("free ports");
    let shop = Shop::start(|| 7).await.expect("the shop opens");
    let routes = router(PageRoom::new(world.clone(), phones.clone(), shop));
    Room { world, phones, routes }
}

impl Room {
    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.routes.clone().oneshot(request).await.expect("routes cannot fail")
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.send(Request::get(path).header(header::HOST, "127.0.0.1:8080").body(Body::empty()).expect("a request"))
            .await
    }

    async fn state(&self) -> Value {
        json_of(self.get("/page/state?as=U1").await).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        json_of(self.send(write(path, "127.0.0.1:8080", Some("http://127.0.0.1:8080"), body.to_string())).await).await
    }

    fn asked(&self) -> Vec<String> {
        self.world.asked.lock().expect("no test panics while it writes").clone()
    }
}

fn write(path: &str, host: &str, origin: Option<&str>, body: String) -> Request<Body> {
    let mut request = Request::post(path).header(header::HOST, host).header(header::CONTENT_TYPE, "application/json");
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    request.body(Body::from(body)).expect("a request")
}

async fn bytes_of(response: Response<Body>) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body").to_vec()
}

async fn json_of(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes_of(response).await).expect("JSON")
}

#[tokio::test]
async fn the_page_comes_with_a_policy_that_lets_nothing_else_in() {
    let answer = room().await.get("/").await;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
    assert!(
        policy.starts_with(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
        ),
        "{policy}"
    );
    assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(String::from_utf8_lossy(&bytes_of(answer).await).contains("/assets/js/main.js"));
}

#[tokio::test]
async fn every_file_the_page_asks_for_is_there_with_its_type() {
    let room = room().await;
    let link = Regex::new(r#"(?:href|src)="(/assets/[^"]+)"|from '\./([\w.]+)'"#).expect("a pattern");
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for file in Assets::iter().filter(|f| f.ends_with(".js") || f.ends_with(".html")) {
        for found in link.captures_iter(&text_of(&file)) {
            wanted.insert(
                found.get(1).map_or_else(|| format!("/assets/js/{}", &found[2]), |path| path.as_str().to_owned()),
            );
        }
    }
    assert!(wanted.len() > 30, "{wanted:?}");
    for path in wanted {
        let answer = room.get(&path).await;
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|k| k.to_str().ok()).unwrap_or_default();
        assert!(answer.status() == 200 && !kind.contains("octet-stream"), "{path}: {} {kind}", answer.status());
    }
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_twice() {
    let room = room().await;
    let tag = room.get("/assets/js/main.js").await.headers()[header::ETAG].clone();
    let request =
        Request::get("/assets/js/main.js").header(header::HOST, "localhost").header(header::IF_NONE_MATCH, tag);
    assert_eq!(room.send(request.body(Body::empty()).expect("a request")).await.status(), 304);
}

#[tokio::test]
async fn another_page_in_the_same_browser_cannot_write() {
    let room = room().await;
    let body = json!({"as": "U1", "channel": "C1", "text": "hello"}).to_string();
    for origin in [None, Some("https://evil.example.com"), Some("http://127.0.0.1:9090"), Some("null")] {
        let answer = room.send(write("/page/message", "127.0.0.1:8080", origin, body.clone())).await;
        assert_eq!(answer.status(), 403, "{origin:?}");
    }
    assert_eq!(room.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_not_answered() {
    let room = room().await;
    for (host, status) in
        [("evil.example.com:8080", 403), ("127.0.0.1.example.com", 403), ("localhost:8080", 200), ("[::1]:8080", 200)]
    {
        let request = Request::get("/page/state").header(header::HOST, host).body(Body::empty()).expect("a request");
        assert_eq!(room.send(request).await.status(), status, "{host}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused_in_a_sentence() {
    let room = room().await;
    let origin = Some("http://127.0.0.1:8080");
    let large = json!({"as": "U1", "channel": "C1", "text": "x".repeat(300_000)}).to_string();
    let answer = room.send(write("/page/message", "127.0.0.1:8080", origin, large)).await;
    assert_eq!(answer.status(), 413);
    let answer = json_of(room.send(write("/page/message", "127.0.0.1:8080", origin, "hello".into())).await).await;
    assert_eq!(answer["ok"], false);
    assert!(answer["error"].as_str().is_some_and(|e| e.starts_with("The page sent something")), "{answer}");
}

#[tokio::test]
async fn every_write_reaches_the_workspace_as_it_was_meant() {
    let room = room().await;
    let at = json!({"as": "U1", "channel": "C1", "ts": "1.0"});
    let with = |more: Value| {
        let mut body = at.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(
        room.post("/page/command", json!({"as": "U1", "channel": "C1", "text": "/incident diag"})).await,
        json!({"ok": true, "ack": {"text": "on it"}})
    );
    assert_eq!(
        room.post("/page/message", json!({"as": "U1", "channel": "C1", "text": "hi", "thread_ts": "1.0"})).await,
        json!({"ok": true, "ts": "9.0"})
    );
    assert_eq!(room.post("/page/dm", json!({"as": "U1", "user": "U2"})).await, json!({"ok": true, "channel": "D1"}));
    for (path, body) in [
        ("edit", with(json!({"text": "ho"}))),
        ("delete", at.clone()),
        ("react", with(json!({"name": "pushpin", "on": true}))),
        ("close", json!({"as": "U1", "view_id": "V1"})),
        ("shortcut", with(json!({"callback_id": "timeline_add"}))),
        ("home", json!({"as": "U1"})),
    ] {
        assert_eq!(room.post(&format!("/page/{path}"), body).await, json!({"ok": true}), "{path}");
    }
    let expected = [
        "U1 C1 /incident diag",
        "U1 C1 hi Some(\"1.0\")",
        "U1 to U2",
        "U1 edits C1 1.0 ho",
        "U1 deletes C1 1.0",
        "U1 pushpin true 1.0",
        "U1 closes V1",
        "U1 timeline_add Some(\"1.0\")",
        "U1 at home",
    ];
    assert_eq!(room.asked(), expected);
}

#[tokio::test]
async fn an_action_carries_its_surface_its_choice_and_the_other_inputs() {
    let room = room().await;
    let option = json!({"text": {"type": "plain_text", "text": "1.2.3"}, "value": "v1"});
    let state = json!({"values": {"b": {"a": {"type": "static_select", "selected_option": option}}}});
    let common = json!({"as": "U1", "block_id": "b", "action_id": "a", "type": "static_select", "selected_option": option, "state": state});
    for (more, surface) in [
        (
            json!({"channel": "C1", "ts": "1.0"}),
            Surface::Message(MessageRef { channel: "C1".into(), ts: "1.0".into() }),
        ),
        (json!({"view_id": "V1"}), Surface::View("V1".into())),
        (json!({"home": true, "view_id": "V2"}), Surface::Home),
    ] {
        let mut body = common.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        assert_eq!(room.post("/page/action", body).await, json!({"ok": true}));
        let chosen = json!({"selected_option": option}).as_object().expect("an object").clone();
        let used = ActionUse {
            surface,
            block_id: "b".into(),
            action_id: "a".into(),
            kind: "static_select".into(),
            chosen,
            state: state.clone(),
        };
        assert_eq!(room.asked().pop(), Some(format!("U1 {used:?}")));
    }
    assert_eq!(room.post("/page/action", common).await["ok"], false);
}

#[tokio::test]
async fn errors_in_a_form_come_back_by_block_and_refusals_as_sentences() {
    let room = room().await;
    let answer = room.post("/page/submit", json!({"as": "U1", "view_id": "V1", "values": {}})).await;
    assert_eq!(answer, json!({"ok": false, "errors": {"title": "What is wrong?"}}));
    let answer = room.post("/page/advance", json!({"as": "U1", "minutes": 15})).await;
    assert_eq!(answer, json!({"ok": false, "error": "The clock does not move by 15 minutes."}));
    assert_eq!(room.get("/page/state?as=U9").await.status(), 404);
}

#[tokio::test]
async fn the_state_holds_the_workspace_the_inbox_the_shop_and_the_tour() {
    let room = room().await;
    let hook = format!("{}/hook/status-page", room.phones.http_url());
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .post(hook)
        .body("{}")
        .send()
        .await
        .expect("an answer");
    let state = room.state().await;
    assert_eq!(state["as"], "U1");
    assert_eq!(state["inbox"][0]["kind"], "webhook");
    assert_eq!(state["shop"]["active"], "v2");
    assert_eq!(state["tour"][0], json!({"id": "break", "done": false}));
    assert_eq!(state["rev"], 1);
}

#[tokio::test]
async fn breaking_the_shop_and_declaring_tick_the_tour() {
    let room = room().await;
    room.post("/page/shop/break", json!({"as": "U1"})).await;
    let state = room.state().await;
    assert_eq!(
        (&state["shop"]["status"], &state["shop"]["errors"], &state["tour"][0]["done"]),
        (&json!("failing"), &json!(2), &json!(true))
    );
    let values = json!({"title": {"v": {"type": "plain_text_input", "value": "checkout returns 500"}}});
    room.post("/page/submit", json!({"as": "U1", "view_id": "V1", "values": values})).await;
    assert_eq!(room.state().await["tour"][1], json!({"id": "start", "done": true}));
}

#[tokio::test]
async fn the_stream_tells_of_each_change_by_its_number() {
    use futures_util::StreamExt;
    let room = room().await;
    let mut body = room.get("/page/stream").await.into_body().into_data_stream();
    let mut next = async || String::from_utf8(body.next().await.expect("open").expect("bytes").to_vec()).expect("text");
    assert_eq!(next().await, "event: rev\ndata: 0\n\n");
    room.world.changes.send_modify(|n| *n += 1);
    assert_eq!(next().await, "event: rev\ndata: 1\n\n");
}

#[tokio::test]
async fn a_file_is_downloaded_and_never_run() {
    let answer = room().await.get("/page/file/F1?as=U1").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()[header::CONTENT_DISPOSITION], "attachment; filename=\"U1__F1_.html\"");
}
