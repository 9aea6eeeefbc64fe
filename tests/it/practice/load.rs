//! A bad day: two hundred incidents at once.

use futures_util::future::join_all;
use serde_json::{Value, json};
use vigie::practice::Practice;

use super::app::{button, client, open};

async fn incident(practice: &Practice, http: &reqwest::Client, number: usize) {
    let call = async |method: &str, args: Value| -> Value {
        let url = format!("{}/{method}", practice.api_url());
        let sent = http.post(url).bearer_auth(practice.bot_token()).json(&args).send().await;
        let answer: Value = sent.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer
    };
    let made = call("conversations.create", json!({"name": format!("inc-{number}")})).await;
    let channel = made["channel"]["id"].clone();
    call("conversations.invite", json!({"channel": channel, "users": "U0LEAD,U0CMD"})).await;
    let blocks = button("ack", "Acknowledge", "ack");
    let card = call("chat.postMessage", json!({"channel": channel, "text": "card", "blocks": blocks})).await;
    call("pins.add", json!({"channel": channel, "timestamp": card["ts"]})).await;
    call("chat.update", json!({"channel": channel, "ts": card["ts"], "text": "acknowledged"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_incidents_at_once_lose_nothing() {
    let (practice, _) = open().await;
    let http = client();
    join_all((0..200).map(|number| incident(&practice, &http, number))).await;
    let ws = practice.workspace();
    let channels = ws.channels();
    let incidents: Vec<_> = channels.iter().filter(|channel| channel.name.starts_with("inc-")).collect();
    assert_eq!(incidents.len(), 200);
    let mut stamps = std::collections::HashSet::new();
    for channel in incidents {
        assert_eq!((channel.members.len(), channel.pins.len()), (3, 1), "{}", channel.name);
        for message in &channel.messages {
            assert!(stamps.insert(message.ts.clone()), "{} was given twice", message.ts);
        }
    }
    assert_eq!(ws.violations(), []);
}
