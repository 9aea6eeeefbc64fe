//! `response_url`: five posts in half an hour.

use serde_json::{Value, json};

use super::app::{Socket, button, client, ok, open};

async fn send(url: &str, body: Value) -> u16 {
    client().post(url).json(&body).send().await.expect("an answer").status().as_u16()
}

/// A response URL from a click on this message.
async fn click_url(practice: &vigie::practice::Practice, socket: &mut Socket, ts: &str) -> String {
    let lead = practice.workspace().person("U0LEAD");
    let (acted, url) = tokio::join!(lead.click("ops", ts, "Go"), async {
        let envelope = socket.envelope("interactive").await;
        socket.ack(&envelope, None).await;
        envelope["payload"]["response_url"].as_str().expect("a url").to_owned()
    });
    acted.expect("the button is there");
    url
}

#[tokio::test]
async fn it_answers_alone_in_the_channel_or_in_place_of_the_message() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let message = json!({"channel": "C0OPS", "text": "card", "blocks": button("go", "Go", "go")});
    let ts = ok(&practice, "chat.postMessage", message).await["ts"].as_str().expect("a ts").to_owned();
    let url = click_url(&practice, &mut socket, &ts).await;
    assert_eq!(send(&url, json!({"text": "alone"})).await, 200);
    assert_eq!(ws.ephemerals("U0LEAD")[0]["text"], "alone");
    assert_eq!(send(&url, json!({"text": "to all", "response_type": "in_channel"})).await, 200);
    assert_eq!(ws.messages("ops").pop().expect("a message")["text"], "to all");
    assert_eq!(send(&url, json!({"text": "instead", "replace_original": true})).await, 200);
    let changed = ws.message("ops", &ts).expect("the message");
    assert_eq!((&changed["text"], changed.get("blocks")), (&json!("instead"), None));
    assert_eq!(send(&url, json!({"delete_original": true})).await, 200);
    assert!(ws.message("ops", &ts).is_none());
    assert_eq!(send(&url, json!({"text": "five"})).await, 200);
    assert_eq!(send(&url, json!({"text": "six"})).await, 404);
    assert_eq!(ws.take_violations().first().map(|violation| violation.rule.clone()).as_deref(), Some("used_url"));
}

#[tokio::test]
async fn it_ends_after_thirty_minutes() {
    let (practice, clock) = open().await;
    let mut socket = Socket::open(&practice).await;
    let message = json!({"channel": "C0OPS", "text": "card", "blocks": button("go", "Go", "go")});
    let ts = ok(&practice, "chat.postMessage", message).await["ts"].as_str().expect("a ts").to_owned();
    let url = click_url(&practice, &mut socket, &ts).await;
    clock.advance(30 * 60 * 1000 + 1);
    assert_eq!(send(&url, json!({"text": "late"})).await, 404);
}

#[tokio::test]
async fn an_ephemeral_is_clicked_without_its_message_and_replaced() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let message = json!({"channel": "C0OPS", "user": "U0LEAD", "text": "card", "blocks": button("go", "Go", "go")});
    let ts = ok(&practice, "chat.postEphemeral", message).await["message_ts"].as_str().expect("a ts").to_owned();
    let lead = ws.person("U0LEAD");
    let (_, payload) = tokio::join!(lead.click("ops", &ts, "Go"), async {
        let envelope = socket.envelope("interactive").await;
        socket.ack(&envelope, None).await;
        envelope["payload"].clone()
    });
    assert_eq!(payload["container"]["is_ephemeral"], true);
    assert!(payload.get("message").is_none());
    let url = payload["response_url"].as_str().expect("a url");
    assert_eq!(send(url, json!({"text": "done", "replace_original": true})).await, 200);
    assert_eq!(ws.ephemerals("U0LEAD")[0]["text"], "done");
    assert_eq!(send(url, json!({"delete_original": true})).await, 200);
    assert!(ws.ephemerals("U0LEAD").is_empty());
}
