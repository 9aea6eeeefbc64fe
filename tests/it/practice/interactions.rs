//! Commands, clicks, modals and events over Socket Mode.

use serde_json::{Value, json};
use vigie::practice::SubmitOutcome;

use super::app::{Socket, button, modal, ok, open};

#[tokio::test]
async fn a_command_is_acknowledged_with_text_that_only_its_author_sees() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let lead = ws.person("U0LEAD");
    let (ack, ()) = tokio::join!(lead.command("ops", "/incident", "start sev2 @commander & co"), async {
        let envelope = socket.envelope("slash_commands").await;
        let payload = &envelope["payload"];
        assert_eq!(payload["text"], "start sev2 <@U0CMD|commander> &amp; co");
        assert_eq!((&payload["channel_id"], &payload["channel_name"]), (&json!("C0OPS"), &json!("ops")));
        assert_eq!(envelope["accepts_response_payload"], true);
        socket.ack(&envelope, Some(json!({"text": "on it"}))).await;
    });
    assert_eq!(ack.failure, None);
    assert_eq!(ack.text(), Some("on it"));
    assert_eq!(ws.ephemerals("U0LEAD")[0]["text"], "on it");
    assert!(ws.ephemerals("U0CMD").is_empty());
    assert_eq!(ws.violations(), []);
}

#[tokio::test]
async fn a_command_nobody_acknowledges_times_out_by_the_workspaces_clock() {
    let (practice, clock) = open().await;
    let mut socket = Socket::open(&practice).await;
    let lead = practice.workspace().person("U0LEAD");
    let (ack, envelope) = tokio::join!(lead.command("ops", "/incident", "help"), async {
        let envelope = socket.envelope("slash_commands").await;
        clock.advance(3000);
        envelope
    });
    assert!(ack.failure.is_some_and(|why| why.contains("operation_timeout")));
    let violations = practice.workspace().take_violations();
    assert!(violations.iter().any(|violation| violation.rule == "late_ack"), "{violations:?}");
    socket.ack(&envelope, None).await;
}

#[tokio::test]
async fn a_click_carries_the_message_it_was_made_on() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let blocks = button("ack", "Acknowledge", "ack inc_1");
    let posted = ok(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": "card", "blocks": blocks})).await;
    let ts = posted["ts"].as_str().expect("a ts");
    let lead = ws.person("U0LEAD");
    let (acted, envelope) = tokio::join!(lead.click("ops", ts, "Acknowledge"), async {
        let envelope = socket.envelope("interactive").await;
        socket.ack(&envelope, None).await;
        envelope
    });
    assert_eq!(acted.expect("the button is there").failure, None);
    let payload = &envelope["payload"];
    assert_eq!(payload["type"], "block_actions");
    assert_eq!(payload["actions"][0]["value"], "ack inc_1");
    assert_eq!(payload["container"]["message_ts"], ts);
    assert_eq!(payload["message"]["ts"], ts);
    assert_eq!(payload["user"]["id"], "U0LEAD");
    assert!(lead.click("ops", ts, "Explode").await.is_err());
}

#[tokio::test]
async fn a_modal_is_opened_filled_in_and_answered() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let lead = ws.person("U0LEAD");
    let (acted, ()) = tokio::join!(lead.shortcut("declare"), async {
        let envelope = socket.envelope("interactive").await;
        let trigger = envelope["payload"]["trigger_id"].clone();
        ok(&practice, "views.open", json!({"trigger_id": trigger, "view": modal()})).await;
        socket.ack(&envelope, None).await;
    });
    assert_eq!(acted.expect("the shortcut is there").failure, None);
    let view = ws.top_view("U0LEAD").expect("a modal");
    let id = view["id"].as_str().expect("an id");

    let missing = lead.submit(id, json!({"Title": "checkout returns 500"})).await.expect("an outcome");
    assert!(matches!(&missing, SubmitOutcome::Errors(errors) if errors.contains_key("severity")), "{missing:?}");

    let values = json!({"Title": "checkout returns 500", "Severity": "SEV2"});
    let (refused, ()) = tokio::join!(lead.submit(id, values.clone()), async {
        let envelope = socket.envelope("interactive").await;
        let errors = json!({"response_action": "errors", "errors": {"title": "too short"}});
        socket.ack(&envelope, Some(errors)).await;
    });
    assert!(matches!(refused, Ok(SubmitOutcome::Errors(errors)) if errors["title"] == "too short"));

    let (closed, payload) = tokio::join!(lead.submit(id, values), async {
        let envelope = socket.envelope("interactive").await;
        socket.ack(&envelope, None).await;
        envelope["payload"].clone()
    });
    assert_eq!(closed, Ok(SubmitOutcome::Closed));
    let values = &payload["view"]["state"]["values"];
    assert_eq!(values["title"]["text"]["value"], "checkout returns 500");
    assert_eq!(values["severity"]["pick"]["selected_option"]["value"], "sev2");
    assert!(ws.views("U0LEAD").is_empty());
    assert_eq!(ws.violations(), []);
}

#[tokio::test]
async fn a_trigger_opens_one_view_within_three_seconds() {
    let (practice, clock) = open().await;
    let mut socket = Socket::open(&practice).await;
    let lead = practice.workspace().person("U0LEAD");
    let mut triggers = Vec::new();
    for _ in 0..2 {
        let (_, trigger) = tokio::join!(lead.shortcut("declare"), async {
            let envelope = socket.envelope("interactive").await;
            socket.ack(&envelope, None).await;
            envelope["payload"]["trigger_id"].clone()
        });
        triggers.push(trigger);
    }
    let open_view = async |trigger: &Value| {
        super::app::call(&practice, "views.open", json!({"trigger_id": trigger, "view": modal()})).await
    };
    assert_eq!(open_view(&triggers[0]).await["ok"], true);
    assert_eq!(open_view(&triggers[0]).await["error"], "exchanged_trigger_id");
    clock.advance(3000);
    assert_eq!(open_view(&triggers[1]).await["error"], "expired_trigger_id");
}

#[tokio::test]
async fn what_people_say_and_do_reaches_the_app_as_events() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let lead = ws.person("U0LEAD");
    let ts = lead.say("ops", "hello <@U0PRACTICEBOT>").expect("said");
    assert_eq!(socket.event("app_mention").await["user"], "U0LEAD");
    let message = socket.event("message").await;
    assert_eq!((&message["ts"], &message["channel_type"]), (&json!(ts), &json!("channel")));
    lead.edit("ops", &ts, "hello again").expect("edited");
    let changed = socket.event("message").await;
    assert_eq!(changed["subtype"], "message_changed");
    assert_eq!(changed["message"]["text"], "hello again");
    lead.react("ops", &ts, "eyes").expect("reacted");
    assert_eq!(socket.event("reaction_added").await["item"]["ts"], json!(ts));
    let reply = lead.reply("ops", &ts, "in the thread").expect("replied");
    let threaded = socket.event("message").await;
    assert_eq!((&threaded["ts"], &threaded["thread_ts"]), (&json!(reply), &json!(ts)));
    ws.archive_channel("C0OPS");
    assert_eq!(socket.event("channel_archive").await["channel"], "C0OPS");
    assert!(lead.say("ops", "too late").is_err());
}
