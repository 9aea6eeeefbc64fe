//! Faults on order: lost answers, silent servers, redelivery, sockets that go.

use std::time::Duration;

use serde_json::{Value, json};
use vigie::practice::Trouble;

use super::app::{HandClock, Socket, call, client, ok, open, options};

/// An answer that is to come has come by then.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that is not to come is not waited for any longer.
const SILENCE: Duration = Duration::from_secs(1);

async fn post(practice: &vigie::practice::Practice, text: &str) -> Result<reqwest::Response, reqwest::Error> {
    post_within(PATIENCE, practice, text).await
}

async fn post_within(
    limit: Duration,
    practice: &vigie::practice::Practice,
    text: &str,
) -> Result<reqwest::Response, reqwest::Error> {
    let url = format!("{}/chat.postMessage", practice.api_url());
    let body = json!({"channel": "C0OPS", "text": text});
    client().post(url).bearer_auth(practice.bot_token()).json(&body).timeout(limit).send().await
}

fn retry_after(response: &reqwest::Response) -> &str {
    response.headers()["retry-after"].to_str().expect("text")
}

fn texts(practice: &vigie::practice::Practice) -> Vec<String> {
    let said = practice.workspace().messages("ops").into_iter().filter(|message| message.get("bot_id").is_some());
    said.filter_map(|message| message["text"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_lost_answer_leaves_the_work_done() {
    let (practice, _) = open().await;
    practice.workspace().faults().next("chat.postMessage", 1, Trouble::CutAfter);
    assert!(post(&practice, "lost").await.is_err());
    assert_eq!(texts(&practice), ["lost"]);
    practice.workspace().faults().next("chat.*", 1, Trouble::CutBefore);
    assert!(post(&practice, "never").await.is_err());
    assert_eq!(texts(&practice), ["lost"]);
    assert_eq!(post(&practice, "fine").await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_server_that_hangs_or_errs_does_as_it_was_told() {
    let (practice, _) = open().await;
    let faults = practice.workspace().faults();
    faults.next("*", 1, Trouble::Hang);
    assert!(post_within(SILENCE, &practice, "hang").await.is_err_and(|error| error.is_timeout()));
    faults.next("*", 1, Trouble::RateLimited { retry_after_s: 7 });
    let limited = post(&practice, "limited").await.expect("an answer");
    assert_eq!((limited.status().as_u16(), retry_after(&limited)), (429, "7"));
    faults.next("*", 1, Trouble::ServerErrorAfterWork);
    assert_eq!(post(&practice, "done").await.expect("an answer").status(), 500);
    faults.next("*", 1, Trouble::Garbage);
    assert!(post(&practice, "garbage").await.expect("an answer").json::<Value>().await.is_err());
    faults.next("*", 1, Trouble::Error("fatal_error".into()));
    let answer: Value = post(&practice, "error").await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["error"], "fatal_error");
    assert_eq!(texts(&practice), ["done"]);
    assert_eq!(faults.left(), 0);
}

#[tokio::test]
async fn an_event_that_is_not_acknowledged_comes_again_at_once_then_after_one_and_five_minutes() {
    let (practice, clock) = open().await;
    let mut socket = Socket::open(&practice).await;
    practice.workspace().person("U0LEAD").say("ops", "hello").expect("said");
    let first = socket.next().await.expect("an envelope");
    assert_eq!((&first["retry_attempt"], &first["retry_reason"]), (&json!(0), &json!("")));
    for (attempt, wait_ms) in [(1, 3000), (2, 63_000), (3, 303_000)] {
        clock.advance(wait_ms);
        let again = socket.next().await.expect("an envelope");
        assert_eq!((&again["retry_attempt"], &again["retry_reason"]), (&json!(attempt), &json!("timeout")));
        assert_eq!(again["payload"]["event_id"], first["payload"]["event_id"]);
        assert_ne!(again["envelope_id"], first["envelope_id"]);
    }
    clock.advance(3000);
    let given_up = |ws: &vigie::practice::Workspace| {
        ws.violations().iter().any(|violation| violation.rule == "undelivered_event").then_some(())
    };
    practice.workspace().wait_for(given_up).await.expect("it gives up");
}

#[tokio::test]
async fn an_event_on_a_socket_that_is_lost_comes_again_on_another() {
    let (practice, _) = open().await;
    let mut first = Socket::open(&practice).await;
    practice.workspace().person("U0LEAD").say("ops", "hello").expect("said");
    let lost = first.next().await.expect("an envelope");
    let mut second = Socket::open(&practice).await;
    drop(first);
    let again = second.next().await.expect("an envelope");
    assert_eq!(again["payload"]["event_id"], lost["payload"]["event_id"]);
    assert_eq!(again["retry_reason"], "connection_failed");
}

#[tokio::test]
async fn an_event_nobody_listens_for_comes_again_after_a_minute() {
    let (practice, clock) = open().await;
    let mut first = Socket::open(&practice).await;
    practice.workspace().abort_sockets();
    assert!(first.next().await.is_none());
    practice.workspace().person("U0LEAD").say("ops", "hello").expect("said");
    let mut second = Socket::open(&practice).await;
    clock.advance(60_000);
    assert_eq!(second.event("message").await["text"], "hello");
}

#[tokio::test]
async fn envelopes_can_come_twice_and_in_the_wrong_order() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    ws.duplicate_next_envelopes(1);
    ws.person("U0LEAD").say("ops", "twice").expect("said");
    let (one, two) = (socket.next().await.expect("one"), socket.next().await.expect("two"));
    assert_eq!(one, two);
    socket.ack(&one, None).await;
    socket.ack(&two, None).await;
    ws.reorder_next_envelopes(2);
    for text in ["a", "b"] {
        ws.person("U0LEAD").say("ops", text).expect("said");
    }
    let texts = [socket.next().await, socket.next().await]
        .map(|frame| frame.expect("a frame")["payload"]["event"]["text"].clone());
    assert_eq!(texts, [json!("b"), json!("a")]);
    assert_eq!(ws.violations(), []);
}

#[tokio::test]
async fn each_envelope_goes_to_one_of_several_sockets() {
    let (practice, _) = open().await;
    let mut sockets = [Socket::open(&practice).await, Socket::open(&practice).await];
    assert_eq!(practice.workspace().open_sockets(), 2);
    for text in ["a", "b"] {
        practice.workspace().person("U0LEAD").say("ops", text).expect("said");
    }
    let [left, right] = &mut sockets;
    let mut texts = [left.event("message").await["text"].clone(), right.event("message").await["text"].clone()];
    texts.sort_by_key(Value::to_string);
    assert_eq!(texts, [json!("a"), json!("b")]);
}

#[tokio::test]
async fn a_socket_is_warned_refreshed_and_closed_when_its_time_is_up() {
    let (practice, clock) = open().await;
    let mut old = Socket::open(&practice).await;
    clock.advance(18_050_000);
    assert_eq!(old.next().await.expect("a frame")["reason"], "warning");
    clock.advance(10_000);
    assert_eq!(old.next().await.expect("a frame")["reason"], "refresh_requested");
    let mut new = Socket::open(&practice).await;
    practice.workspace().person("U0LEAD").say("ops", "hello").expect("said");
    assert_eq!(new.event("message").await["text"], "hello");
    clock.advance(10_000);
    assert!(old.next().await.is_none());
}

#[tokio::test]
async fn socket_mode_that_was_turned_off_gives_no_address() {
    let (practice, _) = open().await;
    let mut socket = Socket::open(&practice).await;
    practice.workspace().disconnect_sockets("link_disabled");
    assert_eq!(socket.next().await.expect("a frame")["reason"], "link_disabled");
    let url = format!("{}/apps.connections.open", practice.api_url());
    let answer = client().post(url).bearer_auth(practice.app_token()).send().await.expect("an answer");
    assert_eq!(answer.json::<Value>().await.expect("JSON")["ok"], false);
    practice.workspace().enable_socket_mode();
    Socket::open(&practice).await;
}

#[tokio::test]
async fn a_silent_socket_stays_open_and_its_events_come_again_elsewhere() {
    let (practice, clock) = open().await;
    let mut deaf = Socket::open(&practice).await;
    practice.workspace().silence_sockets();
    assert_eq!(practice.workspace().open_sockets(), 0);
    practice.workspace().person("U0LEAD").say("ops", "hello").expect("said");
    assert!(tokio::time::timeout(SILENCE, deaf.next()).await.is_err());
    let mut other = Socket::open(&practice).await;
    // The silent one is still there for Slack, so the retry may go to either.
    for wait_ms in [3000, 63_000, 303_000] {
        clock.advance(wait_ms);
        if let Ok(Some(frame)) = tokio::time::timeout(SILENCE, other.next()).await {
            assert_eq!(frame["payload"]["event"]["text"], "hello");
            return;
        }
    }
    panic!("the event never came to the socket that listens");
}

#[tokio::test]
async fn too_many_calls_a_minute_are_told_when_to_come_back() {
    let clock = HandClock::new();
    let mut options = options(&clock);
    options.rate_limits = true;
    let practice = vigie::practice::Practice::start(options).await.expect("the workspace opens");
    for number in 0..20 {
        ok(&practice, "conversations.create", json!({"name": format!("inc-{number}")})).await;
    }
    let url = format!("{}/conversations.create", practice.api_url());
    let request = client().post(url).bearer_auth(practice.bot_token()).json(&json!({"name": "inc-20"}));
    let answer = request.send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), retry_after(&answer)), (429, "60"));
    clock.advance(60_000);
    assert_eq!(call(&practice, "conversations.create", json!({"name": "inc-20"})).await["ok"], true);
}

#[tokio::test]
async fn only_this_machine_is_listened_to() {
    let mut options = options(&HandClock::new());
    options.listen = "0.0.0.0:0".parse().expect("an address");
    let error = vigie::practice::Practice::start(options).await.err().expect("it is refused");
    assert!(error.to_string().contains("is not a loopback address"), "{error}");
}

#[tokio::test]
async fn a_ticket_is_good_for_one_socket_and_ten_sockets_are_enough() {
    let (practice, _) = open().await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(Socket::open(&practice).await);
    }
    let url = format!("{}/apps.connections.open", practice.api_url());
    let answer = client().post(url).bearer_auth(practice.app_token()).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    let url = answer["url"].as_str().expect("a url");
    let (mut eleventh, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
    let frame = futures_util::StreamExt::next(&mut eleventh).await.expect("a frame").expect("readable");
    assert!(frame.to_text().is_ok_and(|text| text.contains("too_many_websockets")), "{frame}");
    assert!(tokio_tungstenite::connect_async(url).await.is_err());
    assert_eq!(practice.workspace().open_sockets(), 10);
}
