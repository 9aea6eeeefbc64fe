//! Modals on modals, Homes, menus whose options the app offers.

use serde_json::{Value, json};
use vigie::practice::workspace::{Place, Use};
use vigie::practice::{Practice, SubmitOutcome};

use super::app::{Socket, button, call, modal, ok, open};

/// Opens this modal for the lead.
async fn open_modal(practice: &Practice, socket: &mut Socket, view: &Value) -> String {
    let lead = practice.workspace().person("U0LEAD");
    let (_, id) = tokio::join!(lead.shortcut("declare"), async {
        let envelope = socket.envelope("interactive").await;
        let trigger = &envelope["payload"]["trigger_id"];
        let opened = ok(practice, "views.open", json!({"trigger_id": trigger, "view": view})).await;
        socket.ack(&envelope, None).await;
        opened["view"]["id"].as_str().expect("an id").to_owned()
    });
    id
}

fn filled() -> Value {
    json!({"title": {"text": {"type": "plain_text_input", "value": "checkout"}},
           "severity": {"pick": {"type": "static_select", "selected_option":
               {"text": {"type": "plain_text", "text": "SEV2", "emoji": true}, "value": "sev2"}}}})
}

#[tokio::test]
async fn an_answer_updates_pushes_and_clears_modals() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let lead = ws.person("U0LEAD");
    let id = open_modal(&practice, &mut socket, &modal()).await;
    let mut other = modal();
    other["title"]["text"] = json!("Are you sure?");
    other["notify_on_close"] = json!(true);
    for (action, expected) in [("update", 1), ("push", 2)] {
        let values = filled();
        let (outcome, ()) = tokio::join!(lead.submit_values(&id, &values), async {
            let envelope = socket.envelope("interactive").await;
            socket.ack(&envelope, Some(json!({"response_action": action, "view": other}))).await;
        });
        assert!(matches!(outcome, Ok(SubmitOutcome::Updated(_) | SubmitOutcome::Pushed(_))), "{outcome:?}");
        assert_eq!(ws.views("U0LEAD").len(), expected);
    }
    let top = ws.top_view("U0LEAD").expect("a modal");
    assert_eq!(top["previous_view_id"], json!(id));
    let values = filled();
    let (outcome, ()) = tokio::join!(lead.submit_values(top["id"].as_str().expect("an id"), &values), async {
        let envelope = socket.envelope("interactive").await;
        socket.ack(&envelope, Some(json!({"response_action": "clear"}))).await;
        let closed = socket.envelope("interactive").await;
        assert_eq!(
            (&closed["payload"]["type"], &closed["payload"]["is_cleared"]),
            (&json!("view_closed"), &json!(true))
        );
        socket.ack(&closed, None).await;
    });
    assert_eq!(outcome, Ok(SubmitOutcome::Cleared));
    assert!(ws.views("U0LEAD").is_empty());
    assert_eq!(ws.violations(), []);
}

#[tokio::test]
async fn an_answer_that_slack_would_not_take_is_written_down() {
    let (practice, _) = open().await;
    let mut socket = Socket::open(&practice).await;
    let lead = practice.workspace().person("U0LEAD");
    let id = open_modal(&practice, &mut socket, &modal()).await;
    for (answer, rule) in [
        (json!({"response_action": "errors", "errors": {"nowhere": "x"}}), "invalid_errors"),
        (json!({"response_action": "update", "view": {"type": "modal"}}), "invalid_view"),
        (json!({"response_action": "explode"}), "invalid_response_action"),
    ] {
        let values = filled();
        let (outcome, ()) = tokio::join!(lead.submit_values(&id, &values), async {
            let envelope = socket.envelope("interactive").await;
            socket.ack(&envelope, Some(answer)).await;
        });
        assert!(matches!(outcome, Ok(SubmitOutcome::Failed(_))), "{outcome:?}");
        let violations = practice.workspace().take_violations();
        assert_eq!(violations.iter().map(|violation| violation.rule.as_str()).collect::<Vec<_>>(), [rule]);
    }
}

#[tokio::test]
async fn a_closed_modal_is_told_of_when_it_asked_for_that() {
    let (practice, _) = open().await;
    let mut socket = Socket::open(&practice).await;
    let lead = practice.workspace().person("U0LEAD");
    let mut view = modal();
    view["notify_on_close"] = json!(true);
    let id = open_modal(&practice, &mut socket, &view).await;
    let (closed, ()) = tokio::join!(lead.close(&id), async {
        let envelope = socket.envelope("interactive").await;
        assert_eq!(envelope["payload"]["type"], "view_closed");
        socket.ack(&envelope, None).await;
    });
    closed.expect("it was open");
    let update = call(&practice, "views.update", json!({"view_id": id, "view": modal()})).await;
    assert_eq!(update["error"], "not_found");
}

#[tokio::test]
async fn an_old_hash_does_not_overwrite_a_view() {
    let (practice, _) = open().await;
    let mut socket = Socket::open(&practice).await;
    let id = open_modal(&practice, &mut socket, &modal()).await;
    let first = practice.workspace().top_view("U0LEAD").expect("a modal")["hash"].clone();
    ok(&practice, "views.update", json!({"view_id": id, "view": modal(), "hash": first})).await;
    let late = call(&practice, "views.update", json!({"view_id": id, "view": modal(), "hash": first})).await;
    assert_eq!(late["error"], "hash_conflict");
}

#[tokio::test]
async fn a_home_is_published_and_clicked() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let view = json!({"type": "home", "blocks": button("go", "Go", "go")});
    ok(&practice, "views.publish", json!({"user_id": "U0LEAD", "view": view})).await;
    let lead = ws.person("U0LEAD");
    let used = Use { block_id: "b".into(), action_id: "go".into(), ..Use::default() };
    let (acted, payload) = tokio::join!(lead.use_control(&Place::Home, used), async {
        let envelope = socket.envelope("interactive").await;
        socket.ack(&envelope, None).await;
        envelope["payload"].clone()
    });
    assert_eq!(acted.expect("the button is there").failure, None);
    assert_eq!((&payload["container"]["type"], &payload["view"]["type"]), (&json!("view"), &json!("home")));
    assert!(ws.home("U0CMD").is_none());
    assert_eq!(ws.violations(), []);
}

#[tokio::test]
async fn a_menu_asks_the_app_for_its_options_and_an_overflow_says_what_was_chosen() {
    let (practice, _) = open().await;
    let mut socket = Socket::open(&practice).await;
    let option = |text: &str| json!({"text": {"type": "plain_text", "text": text}, "value": text.to_lowercase()});
    let blocks = json!([{"type": "actions", "elements": [
        {"type": "external_select", "action_id": "service", "min_query_length": 0},
        {"type": "overflow", "action_id": "more", "options": [option("Resolve"), option("Cancel")]}]}]);
    let message = json!({"channel": "C0OPS", "text": "card", "blocks": blocks});
    let ts = ok(&practice, "chat.postMessage", message).await["ts"].as_str().expect("a ts").to_owned();
    let lead = practice.workspace().person("U0LEAD");
    let (acted, chosen) = tokio::join!(lead.select("ops", &ts, "service", "Checkout"), async {
        let asked = socket.envelope("interactive").await;
        assert_eq!(
            (&asked["payload"]["type"], &asked["payload"]["value"]),
            (&json!("block_suggestion"), &json!("Checkout"))
        );
        socket.ack(&asked, Some(json!({"options": [option("Checkout")]}))).await;
        let used = socket.envelope("interactive").await;
        socket.ack(&used, None).await;
        used["payload"]["actions"][0]["selected_option"]["value"].clone()
    });
    acted.expect("the option was offered");
    assert_eq!(chosen, "checkout");
    let (acted, payload) = tokio::join!(lead.select("ops", &ts, "more", "Resolve"), async {
        let used = socket.envelope("interactive").await;
        socket.ack(&used, None).await;
        used["payload"].clone()
    });
    acted.expect("the option is there");
    assert_eq!(payload["actions"][0]["selected_option"]["value"], "resolve");
    let state = payload["state"]["values"].as_object().and_then(|values| values.values().next());
    assert_eq!(state.expect("a block")["service"]["selected_option"]["value"], "checkout");
}
