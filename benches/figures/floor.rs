//! What no bot can be faster than here: a client that acknowledges at once and keeps nothing, and the disk alone.

use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::Message;

use crate::place;
use crate::team::Team;

/// Writes that are timed.
const WRITES: usize = 500;
/// About what one committed command takes in a log.
const PAGE: [u8; 4_096] = [7; 4_096];

/// A client of Socket Mode in as few lines as there can be, in this process.
pub struct Client {
    serving: JoinHandle<()>,
    acknowledged: mpsc::UnboundedReceiver<()>,
}

impl Client {
    pub async fn connect(team: &Team) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let call = http.post(format!("{}/apps.connections.open", team.practice.api_url()));
        let answer = call.bearer_auth(team.practice.app_token()).send().await.expect("the workspace answers");
        let answer: Value = answer.json().await.expect("it answers in JSON");
        let address = answer["url"].as_str().expect("an address").to_owned();
        let (mut socket, _) = connect_async_with_config(address, None, true).await.expect("the socket opens");
        let (told, acknowledged) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else { continue };
                let frame: Value = serde_json::from_str(&text).expect("the workspace speaks JSON");
                let Some(envelope) = frame.get("envelope_id") else { continue };
                let ack = json!({"envelope_id": envelope}).to_string();
                if socket.send(Message::text(ack)).await.is_err() || told.send(()).is_err() {
                    return;
                }
            }
        });
        team.is_heard(Duration::from_secs(10)).await;
        Self { serving, acknowledged }
    }

    /// Waits until it acknowledges what comes next.
    pub async fn acknowledges(&mut self) {
        while self.acknowledged.try_recv().is_ok() {}
        self.acknowledged.recv().await.expect("it serves");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// How long one small write takes until it is safe on the disk.
pub fn disk() -> Vec<Duration> {
    let folder = place::folder();
    let mut file = std::fs::File::create(folder.path().join("log")).expect("the folder can be written to");
    let mut write = || {
        let began = Instant::now();
        file.write_all(&PAGE).and_then(|()| file.sync_data()).expect("the disk takes it");
        began.elapsed()
    };
    (0..WRITES).map(|_| write()).collect()
}
