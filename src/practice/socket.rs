//! Socket Mode's WebSocket: frames out, acknowledgements in, pings both ways (docs: "Using Socket Mode").

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::courier::Courier;
use super::envelope::{Kind, Parcel};

/// Slack pings every socket; clients reconnect when it stops.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What is written to a socket.
#[derive(Debug)]
pub(crate) enum Out {
    Text(String),
    /// Close with a closing handshake.
    Close,
    /// Cut without one.
    Abort,
    /// Stay open, but read, write and answer nothing any more.
    Silence,
    /// Look alive, answer pings, and bring nothing any more.
    Mute,
}

/// One open socket, as the courier sees it.
pub(crate) struct Link {
    pub id: u64,
    pub opened_at: i64,
    pub life_ms: i64,
    pub warned: bool,
    /// Told to go away at this time; gets no more envelopes.
    pub leaving_since: Option<i64>,
    /// Told to fall silent or mute: still gets envelopes, as a broken connection would, but does not count as open.
    pub silent: bool,
    to: mpsc::UnboundedSender<Out>,
}

impl Link {
    pub fn new(id: u64, to: mpsc::UnboundedSender<Out>, now: i64, life_ms: i64) -> Self {
        Self { id, opened_at: now, life_ms, warned: false, leaving_since: None, silent: false, to }
    }

    pub fn write(&self, frame: String) {
        self.send(Out::Text(frame));
    }

    pub fn send(&self, out: Out) {
        // A socket that has just ended tells the courier itself.
        let _ = self.to.send(out);
    }

    pub fn is_writable(&self) -> bool {
        !self.to.is_closed()
    }
}

pub(crate) fn hello_frame(open: usize, app_id: &str, life_s: i64) -> String {
    json!({
        "type": "hello",
        "num_connections": open,
        "debug_info": {
            "host": "applink-practice",
            "build_number": 1,
            "approximate_connection_time": life_s,
        },
        "connection_info": {"app_id": app_id},
    })
    .to_string()
}

pub(crate) fn disconnect_frame(reason: &str) -> String {
    json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-practice"}}).to_string()
}

pub(crate) fn envelope_frame(envelope: &str, parcel: &Parcel) -> String {
    let mut frame = json!({
        "envelope_id": envelope,
        "type": parcel.kind.envelope_type(),
        "accepts_response_payload": parcel.accepts_payload,
        "payload": parcel.payload,
    });
    if let (Value::Object(map), Kind::Event) = (&mut frame, parcel.kind) {
        map.insert("retry_attempt".into(), json!(parcel.attempt));
        map.insert("retry_reason".into(), json!(parcel.retry_reason.unwrap_or_default()));
    }
    frame.to_string()
}

/// Runs one socket until either side ends it.
pub(crate) async fn run(mut socket: WebSocket, courier: &Courier, id: u64, mut from: mpsc::UnboundedReceiver<Out>) {
    let mut ping = tokio::time::interval(PING_EVERY);
    let mut mute = false;
    loop {
        tokio::select! {
            out = from.recv() => match out {
                Some(Out::Mute) => mute = true,
                Some(Out::Text(_)) if mute => {}
                Some(Out::Text(text)) => {
                    if socket.send(Message::Text(text.into())).await.is_err() {
                        break;
                    }
                }
                Some(Out::Close) | None => {
                    // The peer may be gone already.
                    let _ = socket.send(Message::Close(None)).await;
                    break;
                }
                Some(Out::Abort) => break,
                Some(Out::Silence) => {
                    be_silent(&mut from).await;
                    break;
                }
            },
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Text(text))) => courier.frame(&text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            _ = ping.tick() => {
                let greeting = "Ping from applink-practice";
                if socket.send(Message::Ping(greeting.into())).await.is_err() {
                    break;
                }
            }
        }
    }
    courier.link_closed(id);
}

/// Swallows everything until somebody cuts the socket.
async fn be_silent(from: &mut mpsc::UnboundedReceiver<Out>) {
    while let Some(out) = from.recv().await {
        if matches!(out, Out::Abort | Out::Close) {
            return;
        }
    }
}
