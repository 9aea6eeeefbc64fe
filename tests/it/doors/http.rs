//! The HTTP door lets in what Slack signed, and nothing else.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::json;
use sha2::Sha256;
use vigie::incident::id::IncidentId;

use super::world::World;

fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

async fn post(world: &World, url: &str, body: &str, secret: &str, age_s: i64) -> StatusCode {
    let timestamp = world.clock.now().0 / 1000 - age_s;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-slack-request-timestamp", timestamp.to_string())
        .header("x-slack-signature", signature(secret, timestamp, body))
        .body(body.to_owned());
    request.send().await.unwrap().status()
}

const START: &str = "command=%2Fincident&text=start+sev2+x&user_id=U0LEAD&channel_id=C0OPS&trigger_id=T1";

#[tokio::test]
async fn a_signed_command_declares_an_incident() {
    let world = World::quiet().await;
    let base = world.listen().await;
    assert!(world.ws().verify_url(&base).await);
    let told = world.say("lead", "start sev2 checkout returns 500").await;
    assert!(told.is_some());
    assert_eq!(world.incident().await.title, "checkout returns 500");
    assert!(world.health.gauge().last_heard.is_some());
    world.assert_no_violations();
}

#[tokio::test]
async fn clicks_and_events_come_in_by_http_as_well() {
    let world = World::quiet().await;
    world.listen().await;
    let incident = world.declare().await;
    let channel = incident.usable_channel().unwrap().id.0.clone();
    let lead = world.person("lead");
    let ts = lead.say(&channel, "it began at 09:12").unwrap();
    lead.react(&channel, &ts, "pushpin").unwrap();
    world.until_incident(|incident| !incident.captured.is_empty()).await;
    let page = incident.cards.iter().find(|(card, _)| card.name().starts_with("page_")).unwrap().1.clone();
    world.person("oncall").click(&page.channel.0, &page.ts, "Acknowledge").await.unwrap();
    world.until_incident(|incident| incident.acknowledged.is_some()).await;
    world.assert_no_violations();
}

#[tokio::test]
async fn what_slack_did_not_sign_is_turned_away_and_not_stored() {
    let world = World::quiet().await;
    let base = world.listen().await;
    let url = format!("{base}/slack/commands");
    let secret = world.practice.signing_secret().to_owned();
    assert_eq!(post(&world, &url, START, "somebody else's secret", 0).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&world, &url, START, &secret, 301).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&world, &url, START, &secret, -301).await, StatusCode::UNAUTHORIZED);
    let unsigned = reqwest::Client::builder().no_proxy().build().unwrap().post(&url).body(START);
    assert_eq!(unsigned.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert!(!world.decide_all().await);
    assert_eq!(post(&world, &url, START, &secret, 299).await, StatusCode::OK);
    assert!(world.decide_all().await);
    assert!(world.store.incident(IncidentId(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_replayed_request_is_stored_once() {
    let world = World::quiet().await;
    let base = world.listen().await;
    let url = format!("{base}/slack/commands");
    let secret = world.practice.signing_secret().to_owned();
    for _ in 0..3 {
        assert_eq!(post(&world, &url, START, &secret, 0).await, StatusCode::OK);
    }
    world.decide_all().await;
    assert_eq!(world.store.recent_incidents(5).await.unwrap().len(), 1);
}

#[tokio::test]
async fn slacks_certificate_probe_is_answered_without_a_signature() {
    let world = World::quiet().await;
    let base = world.listen().await;
    let url = format!("{base}/slack/commands");
    let probe = reqwest::Client::builder().no_proxy().build().unwrap().post(&url).body("ssl_check=1&token=x");
    assert_eq!(probe.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_larger_than_slacks_ever_are_is_not_read_to_its_end() {
    let world = World::quiet().await;
    let base = world.listen().await;
    let body = "x".repeat(1_000_001);
    let status = post(&world, &format!("{base}/slack/events"), &body, world.practice.signing_secret(), 0).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_signed_body_that_is_not_json_is_refused_and_an_unknown_event_is_taken() {
    let world = World::quiet().await;
    let base = world.listen().await;
    let secret = world.practice.signing_secret().to_owned();
    let url = format!("{base}/slack/events");
    assert_eq!(post(&world, &url, "not json", &secret, 0).await, StatusCode::BAD_REQUEST);
    let strange = json!({"type": "event_callback", "event_id": "Ev1", "event": {"type": "hologram", "user": 7}});
    assert_eq!(post(&world, &url, &strange.to_string(), &secret, 0).await, StatusCode::OK);
}
