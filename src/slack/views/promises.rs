//! What the dialogs and Home promise.

use serde_json::{Value, json};

use super::{Reason, changed, hand_over, home, incident_of, modal, read, reason};
use crate::incident::command::{Command, Line, Resolve, Start, Text, Update, parse};
use crate::incident::id::{ChannelId, UserId};
use crate::incident::people::Role;
use crate::incident::timeline::Fact;
use crate::incident::words::Words;
use crate::slack::cards::example::*;
use crate::slack::cards::limits::{check_lines, check_view};

fn opened(stage: &Stage, line: &str) -> Value {
    let command = parse(line).unwrap().command;
    modal(&stage.scene(), command.modal().unwrap(), &user("U0LEAD"), Some(&ChannelId::from("C0INC7"))).unwrap()
}

/// The payload that Slack sends when the dialog is sent off: what it began with, and `answers` by block.
fn sent_off(view: &Value, answers: &[(&str, &str)]) -> Value {
    let mut values = json!({});
    for block in view["blocks"].as_array().unwrap().iter().filter(|block| block["type"] == "input") {
        let (id, element) = (block["block_id"].as_str().unwrap(), &block["element"]);
        let answer = answers.iter().find(|(block, _)| *block == id).map(|(_, answer)| *answer);
        let kind = element["type"].as_str().unwrap();
        let state = match kind {
            "plain_text_input" => json!({"type": kind, "value": answer.or(element["initial_value"].as_str())}),
            "static_select" => {
                let option = answer.map(|value| json!({"value": value})).or(element.get("initial_option").cloned());
                json!({"type": kind, "selected_option": option})
            }
            _ => {
                let ticked: Option<Value> = answer.map(|value| json!([{"value": value}]));
                let ticked = ticked.or(element.get("initial_options").cloned()).unwrap_or(json!([]));
                json!({"type": kind, "selected_options": ticked})
            }
        };
        values[id] = json!({element["action_id"].as_str().unwrap(): state});
    }
    json!({"type": "view_submission", "view": {
        "callback_id": view["callback_id"],
        "private_metadata": view["private_metadata"],
        "state": {"values": values},
    }})
}

/// A click in the dialog.
fn clicked(view: &Value, action: &str, answers: &[(&str, &str)]) -> Value {
    let mut payload = sent_off(view, answers);
    payload["actions"] = json!([{"action_id": action}]);
    payload
}

fn block<'v>(view: &'v Value, id: &str) -> Option<&'v Value> {
    view["blocks"].as_array().unwrap().iter().find(|block| block["block_id"] == id)
}

#[test]
fn dialogs_and_home_stay_within_slacks_limits_whatever_is_written() {
    let long = "é <b> & 👩‍🚒".repeat(9_000);
    for text in [long.as_str(), "", "<!channel> & \"x\"", "line\nline"] {
        for locale in ["en", "fr"] {
            let mut stage = Stage::titled(text);
            stage.speak(locale).acknowledged().plan_shown();
            stage.rules.locale = locale.into();
            stage.rules.severities.iter_mut().for_each(|severity| severity.criteria = text.into());
            stage.rules.services.values_mut().for_each(|service| service.title = text.into());
            let both = Some(text.to_owned());
            let update = Fact::UpdatePosted { update: UPDATE, internal: both.clone(), customer: both, next_at: None };
            stage.by("U0ENGINEER", update);
            stage.opens(vec![stage.incident().clone(); 40]);
            for which in ["start", "update", "resolve"] {
                check_view(&opened(&stage, which));
            }
            check_view(&hand_over(&stage.scene(), RUN, &user("U0LEAD"), None).unwrap());
            for asked in [Reason::Reject, Reason::Skip, Reason::Override] {
                check_view(&reason(&stage.scene(), asked, RUN, &user("U0LEAD"), None).unwrap());
            }
            for who in ["U0ENGINEER", "U0LEAD", "U0COMMS", "U0NOBODY"] {
                let home = home(&stage.scene(), &user(who)).unwrap();
                check_view(&home);
                check_lines(&home["blocks"]);
            }
            let view = opened(&stage, "update");
            let payload = clicked(&view, "choice", &[("kind", "customer_notification")]);
            let view = changed(&stage.scene(), &payload, &user("U0LEAD")).unwrap().unwrap();
            check_view(&view);
            let payload = clicked(&view, "preview", &[("customer:customer_notification", text)]);
            check_view(&changed(&stage.scene(), &payload, &user("U0LEAD")).unwrap().unwrap());
        }
    }
}

#[test]
fn a_declaration_in_the_dialog_is_the_same_command_as_on_the_line() {
    let view = opened(&Stage::declared(), "start");
    let answers = [("title", "checkout returns 500"), ("service", "shop"), ("drill", "drill")];
    let read = read(&sent_off(&view, &answers)).unwrap();
    let start = Start {
        service: Some("shop".into()),
        drill: true,
        severity: Some("sev2".into()),
        text: Text::of("checkout returns 500"),
    };
    assert_eq!(read.line, Line { command: Command::Start(start), incident: None });
    assert_eq!(read.channel, Some("C0INC7".into()));
    let typed = parse("start --drill --service shop --severity sev2 checkout returns 500").unwrap();
    match (read.line.command, typed.command) {
        (Command::Start(dialog), Command::Start(line)) => {
            assert_eq!(
                (dialog.text.text(), dialog.service, dialog.drill),
                (line.text.text(), line.service, line.drill)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_typed_before_the_dialog_stands_in_it() {
    let stage = Stage::declared();
    let begun = opened(&stage, "start --drill --service shop --severity sev2");
    let Command::Start(start) = read(&sent_off(&begun, &[("title", "x")])).unwrap().line.command else { panic!() };
    assert_eq!((start.drill, start.service.as_deref(), start.severity.as_deref()), (true, Some("shop"), Some("sev2")));
    let begun = opened(&stage, "update --next 45");
    let Command::Update(update) = read(&sent_off(&begun, &[("internal", "x")])).unwrap().line.command else { panic!() };
    assert_eq!(update.next, Some(45));
    let begun = opened(&stage, "resolve --impact nobody --cause “a missing setting”");
    let Command::Resolve(resolve) = read(&sent_off(&begun, &[("summary", "x")])).unwrap().line.command else {
        panic!()
    };
    assert_eq!((resolve.impact.as_deref(), resolve.cause.as_deref()), (Some("nobody"), Some("a missing setting")));
}

#[test]
fn a_declaration_without_a_title_is_refused_under_the_title() {
    let view = opened(&Stage::declared(), "start");
    let errors = read(&sent_off(&view, &[("title", "  ")])).unwrap_err();
    assert_eq!(errors.into_iter().collect::<Vec<_>>(), [("title".to_owned(), Words::new("refusal.no_title"))]);
}

#[test]
fn an_update_begins_with_how_it_stands_and_promises_the_usual_time() {
    let stage = Stage::declared();
    let view = opened(&stage, "update");
    let internal = block(&view, "internal").unwrap()["element"]["initial_value"].as_str().unwrap();
    assert!(internal.contains("checkout returns 500") && !internal.contains('<'), "{internal}");
    assert!(block(&view, "customer:customer_notification").is_none(), "customers are told nothing unless it is chosen");
    let read = read(&sent_off(&view, &[("internal", "we are rolling back")])).unwrap();
    let update = Update { customer: None, next: Some(30), text: Text::of("we are rolling back") };
    assert_eq!(read.line, Line { command: Command::Update(update), incident: Some(INCIDENT) });
}

#[test]
fn a_customer_message_is_chosen_edited_and_previewed_before_it_is_sent_off() {
    let stage = Stage::declared();
    let scene = stage.scene();
    let who = user("U0LEAD");
    let view = opened(&stage, "update");
    let payload = clicked(&view, "choice", &[("kind", "customer_difficulties")]);
    assert_eq!(incident_of(&payload), Some(INCIDENT));
    let view = changed(&scene, &payload, &who).unwrap().unwrap();
    let id = "customer:customer_difficulties";
    let begins = block(&view, id).unwrap()["element"]["initial_value"].as_str().unwrap();
    assert!(begins.contains("Web shop") && begins.contains("https://status.example.com"), "{begins}");
    let mine = [(id, "We know & work on it <now>."), ("kind", "customer_difficulties")];
    let view = changed(&scene, &clicked(&view, "preview", &mine), &who).unwrap().unwrap();
    insta::assert_snapshot!(sketch_of(&view["blocks"]), @r#"
    🟠 SEV2 · checkout returns 500
    For the team: plain_text_input
    Tell customers: static_select
    For customers: plain_text_input
    [Preview → preview]
    *This is what customers will read* (status page):
    > We know &amp; work on it &lt;now&gt;.
    Next update: static_select
    "#);
    let read = read(&sent_off(&view, &mine)).unwrap();
    let Command::Update(update) = read.line.command else { panic!("not an update") };
    assert_eq!(update.customer.as_deref(), Some("We know & work on it <now>."));
}

#[test]
fn an_update_that_says_nothing_is_refused_under_its_text() {
    let view = opened(&Stage::declared(), "update");
    let errors = read(&sent_off(&view, &[("internal", " ")])).unwrap_err();
    assert_eq!(errors.get("internal"), Some(&Words::new("refusal.empty_update")));
}

#[test]
fn without_an_audience_customers_are_not_spoken_of() {
    let mut stage = Stage::declared();
    stage.rules.audiences.customer.clear();
    assert!(block(&opened(&stage, "update"), "kind").is_none());
}

#[test]
fn after_the_end_customers_are_told_that_it_is_over() {
    let mut stage = Stage::declared();
    stage.after(3_540).by("U0LEAD", Fact::Resolved { summary: "x".into(), impact: None, cause: None });
    let view = opened(&stage, "update");
    let text = block(&view, "customer:customer_resolved").unwrap()["element"]["initial_value"].as_str().unwrap();
    assert!(text.contains("59 min"), "{text}");
    assert!(block(&view, "next").is_none(), "nothing is promised any more");
}

#[test]
fn a_resolution_keeps_what_was_left_out_open() {
    let mut stage = Stage::declared();
    stage.acknowledged().by("U0LEAD", Fact::Mitigated { text: Some("rolled back".into()) });
    let read = read(&sent_off(&opened(&stage, "resolve"), &[("cause", "a missing setting")])).unwrap();
    let resolve = Resolve { impact: None, cause: Some("a missing setting".into()), summary: Text::of("rolled back") };
    assert_eq!(read.line, Line { command: Command::Resolve(resolve), incident: Some(INCIDENT) });
}

#[test]
fn a_rejection_may_say_why_or_not() {
    let mut stage = Stage::declared();
    stage.plan_shown();
    let view = reason(&stage.scene(), Reason::Reject, RUN, &user("U0LEAD"), None).unwrap();
    for (reason, line) in [("", "reject run_7_1"), ("too risky", "reject run_7_1 too risky")] {
        let (Command::Reject(read), Command::Reject(typed)) =
            (read(&sent_off(&view, &[("reason", reason)])).unwrap().line.command, parse(line).unwrap().command)
        else {
            panic!("not a rejection")
        };
        assert_eq!((read.run, read.reason.text()), (typed.run, typed.reason.text()));
    }
}

#[test]
fn a_payload_of_another_dialog_is_not_read() {
    for payload in [json!({}), json!({"view": 7}), json!({"view": {"callback_id": "other", "private_metadata": "{"}})] {
        assert!(read(&payload).is_err());
        assert_eq!(incident_of(&payload), None);
    }
}

fn at_home(stage: &mut Stage, who: &str) -> String {
    stage.opens(vec![stage.incident().clone()]);
    let who: UserId = user(who);
    sketch_of(&home(&stage.scene(), &who).unwrap()["blocks"])
}

#[test]
fn home_says_what_waits_for_whom() {
    let mut stage = Stage::declared();
    insta::assert_snapshot!(at_home(&mut stage, "U0ENGINEER"), @r#"
    [Start an incident → start]
    # What waits for you
    📟 *You are paged*, and nobody has answered yet.
    🟠 SEV2 · checkout returns 500 · <#C0INC7> [*Acknowledge → ack --in inc_7]
    ----
    # 1 open incident
    🟠 SEV2 · checkout returns 500 · just now · triggered · inc_7 · <#C0INC7> [Details → status --in inc_7]
    "#);
    stage.acknowledged().by("U0LEAD", Fact::RoleAssigned { role: Role::Commander, user: user("U0LEAD") });
    stage.plan_shown();
    let customer = Some("We are having difficulties.".to_owned());
    stage.by("U0LEAD", Fact::UpdatePosted { update: UPDATE, internal: None, customer, next_at: None });
    stage.vigie(Fact::Invited { users: vec![user("U0COMMS")], failed: vec![] });
    insta::assert_snapshot!(at_home(&mut stage, "U0LEAD"), @r#"
    [Start an incident → start]
    # What waits for you
    🔎 *You may approve:* Roll back the shop (v1.3.0 → v1.2.3), until <!date^1795185300^{time}|15:35 (Paris time)> · run_7_1. Read the plan in its channel.
    🟠 SEV2 · checkout returns 500 · <#C0INC7>
    ----
    # 1 open incident
    🟠 SEV2 · checkout returns 500 · 4 min · acknowledged · inc_7 · <#C0INC7> [Details → status --in inc_7]
    "#);
    insta::assert_snapshot!(at_home(&mut stage, "U0COMMS"), @r#"
    [Start an incident → start]
    # What waits for you
    ✉️ *A customer text to check*, written by <@U0LEAD>:
    🟠 SEV2 · checkout returns 500 · <#C0INC7>
    > We are having difficulties.
    [Send to customers → send upd_7_1 ? To status page: “We are having difficulties.”] [Hold back → hold upd_7_1]
    ----
    # 1 open incident
    🟠 SEV2 · checkout returns 500 · 4 min · acknowledged · inc_7 · <#C0INC7> [Details → status --in inc_7]
    "#);
    assert!(!at_home(&mut stage, "U0ENGINEER").contains("run_7_1"), "whoever asked may not approve");
    stage.after(1_800);
    assert!(at_home(&mut stage, "U0LEAD").contains("→ update --in inc_7"));
}

#[test]
fn home_without_anything_says_what_to_do() {
    let stage = Stage::declared();
    let quiet = home(&stage.scene(), &user("U0LEAD")).unwrap();
    insta::assert_snapshot!(sketch_of(&quiet["blocks"]), @r#"
    [*Start an incident → start]
    Nothing waits for you and no incident is open. Start one here, or type /incident start.
    "#);
}
