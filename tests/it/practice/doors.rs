//! Delivery over signed HTTP.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use slack_morphism::SlackSigningSecret;
use slack_morphism::signature_verifier::SlackEventSignatureVerifier;
use tokio::sync::mpsc;
use vigie::practice::{Delivery, Now, Practice};

use super::app::{HandClock, options, real_clock};

#[derive(Debug)]
struct Received {
    path: String,
    headers: HeaderMap,
    body: String,
}

#[derive(Clone)]
struct Door {
    received: mpsc::UnboundedSender<Received>,
    answer: Arc<Mutex<(StatusCode, String)>>,
}

async fn receive(State(door): State<Door>, uri: Uri, headers: HeaderMap, body: String) -> impl IntoResponse {
    let event: Value = serde_json::from_str(&body).unwrap_or_default();
    if event["type"] == "url_verification" {
        return (StatusCode::OK, event["challenge"].as_str().unwrap_or_default().to_owned());
    }
    door.received.send(Received { path: uri.path().to_owned(), headers, body }).expect("the test listens");
    door.answer.lock().expect("no panic while it was held").clone()
}

type Opened = (Practice, mpsc::UnboundedReceiver<Received>, Door, String);

/// A workspace that delivers to a door which answers what it is told.
async fn open_at(now: Now) -> Opened {
    let (sender, received) = mpsc::unbounded_channel();
    let door = Door { received: sender, answer: Arc::new(Mutex::new((StatusCode::OK, String::new()))) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(receive).with_state(door.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut options = options(&HandClock::new());
    options.now = now;
    options.delivery = Delivery::Http { base_url: base_url.clone() };
    let practice = Practice::start(options).await.expect("the workspace opens");
    (practice, received, door, base_url)
}

async fn open() -> (Opened, HandClock) {
    let clock = HandClock::new();
    (open_at(clock.reader()).await, clock)
}

fn header<'a>(received: &'a Received, name: &str) -> Option<&'a str> {
    received.headers.get(name).and_then(|value| value.to_str().ok())
}

fn form(body: &str) -> std::collections::HashMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn a_command_comes_as_a_signed_form_and_its_answer_is_shown() {
    let (practice, mut received, door, _) = open_at(real_clock()).await;
    *door.answer.lock().expect("no panic while it was held") = (StatusCode::OK, r#"{"text":"on it"}"#.to_owned());
    let ack = practice.workspace().person("U0LEAD").command("ops", "/incident", "help").await;
    assert_eq!((ack.failure.as_deref(), ack.text()), (None, Some("on it")));
    let request = received.recv().await.expect("a request");
    assert_eq!(request.path, "/slack/commands");
    assert_eq!(form(&request.body)["user_id"], "U0LEAD");
    let verify = |secret: &str| {
        let verifier = SlackEventSignatureVerifier::new(&SlackSigningSecret::new(secret.to_owned()));
        let (hash, ts) = (header(&request, "x-slack-signature"), header(&request, "x-slack-request-timestamp"));
        verifier.verify(hash.unwrap_or_default(), &request.body, ts.unwrap_or_default())
    };
    verify(practice.signing_secret()).expect("the signature is right");
    assert!(verify("another").is_err());
}

#[tokio::test]
async fn an_event_is_sent_again_with_the_reason_until_the_door_takes_it() {
    let ((practice, mut received, door, _), clock) = open().await;
    *door.answer.lock().expect("no panic while it was held") = (StatusCode::INTERNAL_SERVER_ERROR, String::new());
    practice.workspace().person("U0LEAD").say("ops", "hello").expect("said");
    let first = received.recv().await.expect("a request");
    assert_eq!((first.path.as_str(), header(&first, "x-slack-retry-num")), ("/slack/events", None));
    let second = received.recv().await.expect("a retry at once");
    assert_eq!(header(&second, "x-slack-retry-num"), Some("1"));
    assert_eq!(header(&second, "x-slack-retry-reason"), Some("http_error"));
    *door.answer.lock().expect("no panic while it was held") = (StatusCode::OK, String::new());
    let waiting = |ws: &vigie::practice::Workspace| (ws.envelopes_waiting() == 1).then_some(());
    practice.workspace().wait_for(waiting).await.expect("the next retry is planned");
    clock.advance(60_000);
    let third = received.recv().await.expect("a retry after a minute");
    assert_eq!(header(&third, "x-slack-retry-num"), Some("2"));
    let id = |request: &Received| serde_json::from_str::<Value>(&request.body).expect("JSON")["event_id"].clone();
    assert_eq!(id(&first), id(&third));
}

#[tokio::test]
async fn an_interaction_comes_as_a_payload_field_and_the_door_proves_itself() {
    let ((practice, mut received, _, base_url), _) = open().await;
    assert!(practice.workspace().verify_url(&base_url).await);
    assert!(practice.workspace().check_ssl(&base_url).await);
    assert!(received.recv().await.is_some_and(|request| request.body.contains("ssl_check=1")));
    let elsewhere = Delivery::Http { base_url: "http://192.0.2.1".into() };
    assert!(practice.workspace().set_delivery(elsewhere).is_err());
    let acted = practice.workspace().person("U0LEAD").shortcut("declare").await.expect("it exists");
    assert_eq!(acted.failure, None);
    let request = received.recv().await.expect("a request");
    let payload: Value = serde_json::from_str(&form(&request.body)["payload"]).expect("JSON");
    assert_eq!((&payload["type"], &payload["callback_id"]), (&json!("shortcut"), &json!("declare")));
}

#[tokio::test]
async fn a_door_elsewhere_is_refused() {
    let mut options = options(&HandClock::new());
    options.delivery = Delivery::Http { base_url: "https://example.com".into() };
    let error = Practice::start(options).await.err().expect("it is refused");
    assert!(error.to_string().contains("is not a loopback address"), "{error}");
}
