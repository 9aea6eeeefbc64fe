//! People are told in time, and customers only what a second pair of eyes has read (M1–M7).

use insta::assert_snapshot;
use vigie::incident::approval::Approver;
use vigie::incident::rules::Rules;

use crate::script::Script;

#[test]
fn a_missed_update_reminds_whoever_is_in_charge_and_then_climbs() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack\n2m oncall role commander");
    script.transcript.clear();
    script.play(
        "30m wake\n40m wake\n50m wake\n60m wake\n1000m wake\n1001m lead update we are on it\n1030m wake\n1031m wake",
    );
    assert_snapshot!(script.transcript, @r#"
    30m wake
        update_reminded 1 [UserId("U0ONCALL")]
        → [reminder_1], [incident]
    40m wake
        update_reminded 2 [UserId("U0LEAD")]
        paged lead by slack (page_7_3, UpdateOverdue)
        paged lead by email (page_7_4, UpdateOverdue)
        → [reminder_2], [incident], slack:page_7_3, email:page_7_4, invite U0LEAD
    50m wake
        update_reminded 3 [UserId("U0CTO")]
        paged cto by slack (page_7_5, UpdateOverdue)
        paged cto by email (page_7_6, UpdateOverdue)
        → [reminder_3], [incident], slack:page_7_5, email:page_7_6, invite U0CTO
    60m wake
    1000m wake
        update_reminded 4 [UserId("U0CTO")]
        → [reminder_4], [incident]
    1001m lead update we are on it
        update_posted
        → [upd_7_1], [reminder_1], [reminder_2], [reminder_3], [reminder_4], [incident], [announcement], “reply.updated”
    1030m wake
    1031m wake
        update_reminded 1 [UserId("U0ONCALL")]
        → [reminder_5], [incident]
    "#);
}

#[test]
fn an_update_resets_the_reminder_to_when_the_next_was_promised() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack\n10m oncall update --next 60 on it");
    assert_eq!(script.wakes_in(), Some(70));
    script.play("70m wake\n71m oncall snooze");
    assert_eq!(script.wakes_in(), Some(81));
}

#[test]
fn a_customer_text_needs_another_person() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack");
    script.transcript.clear();
    script.play(
        "10m oncall update --customer “We have difficulties.” on it
         11m oncall send upd_7_1
         11m comms send upd_7_1
         12m lead hold upd_7_1
         13m oncall update --customer “Again.”
         14m comms hold upd_7_2 too vague
         15m comms send upd_7_2
         16m comms send upd_7_9
         17m comms update",
    );
    assert_snapshot!(script.transcript, @r#"
    10m oncall update --customer “We have difficulties.” on it
        update_posted
        → [upd_7_1], [incident], [announcement], “reply.updated”
    11m oncall send upd_7_1
        refused: refusal.author 
    11m comms send upd_7_1
        customer_text_approved
        → deliver, [upd_7_1], [incident], [announcement]
    12m lead hold upd_7_1
        refused: refusal.text_already_sent {"decided_at":1795140660000,"user":"U0COMMS"}
    13m oncall update --customer “Again.”
        update_posted
        → [upd_7_2], [incident], [announcement], “reply.updated”
    14m comms hold upd_7_2 too vague
        customer_text_rejected
        → [upd_7_2], [incident], [announcement]
    15m comms send upd_7_2
        refused: refusal.text_already_held {"decided_at":1795140840000,"user":"U0COMMS"}
    16m comms send upd_7_9
        refused: refusal.no_such_update {"update":"upd_7_9"}
    17m comms update
        refused: refusal.empty_update
    "#);
}

#[test]
fn putting_a_reminder_off_never_brings_it_forward() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack\n2m oncall snooze");
    assert_eq!(script.wakes_in(), Some(30), "it was due at 30 anyway");
    script.play("30m wake\n39m oncall snooze");
    assert_eq!(script.wakes_in(), Some(49));
}

#[test]
fn an_update_after_the_end_promises_no_other() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack\n5m oncall resolve rolled back");
    script.play("6m oncall update --next 30 it is over");
    let incident = script.incident.as_ref().unwrap();
    assert_eq!((incident.update_due.at, incident.update_due.promised), (None, None));
    assert_eq!(incident.last_update().unwrap().next_at, None, "and the card says nothing of a next one");
}

#[test]
fn a_text_for_customers_that_is_not_quoted_is_refused_and_nobody_gets_half_of_it() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack");
    assert_snapshot!(
        script.then(
            "2m oncall update --customer We have problems
             2m oncall update on it --customer We have problems --next 60
             2m oncall resolve rolled back --cause the usual
             3m oncall update --customer “We have problems” --next 60 on it
             4m oncall update on it --customer Problems"
        ),
        @r#"
    2m oncall update --customer We have problems
        usage: usage.quotes
    2m oncall update on it --customer We have problems --next 60
        usage: usage.quotes
    2m oncall resolve rolled back --cause the usual
        usage: usage.quotes
    3m oncall update --customer “We have problems” --next 60 on it
        update_posted
        → [upd_7_1], [incident], [announcement], “reply.updated”
    4m oncall update on it --customer Problems
        update_posted
        → [upd_7_2], [incident], [announcement], “reply.updated”
    "#
    );
    let texts: Vec<_> = script.incident.as_ref().unwrap().updates.values().map(|one| one.customer.as_deref()).collect();
    assert_eq!(texts, [Some("We have problems"), Some("Problems")]);
}

#[test]
fn whoever_may_let_a_customer_text_go_out_is_asked_into_the_channel() {
    let mut script = Script::new();
    let approver = |key: &str, rules: &Rules| Approver::Contact {
        user: rules.contacts[key].slack.clone().unwrap(),
        name: rules.contacts[key].name.clone(),
    };
    script.rules.customer_approval.by = vec![approver("comms", &script.rules), approver("oncall", &script.rules)];
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack");
    let asked = script.then("2m oncall update --customer “We have problems”");
    assert!(asked.contains("invite U0COMMS,"), "and not the author: {asked}");
    let told = script.then("3m oncall update for us alone");
    assert!(!told.contains("invite"), "there is nothing to approve: {told}");
}

#[test]
fn an_update_and_the_end_settle_every_reminder_that_still_asks() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack\n30m wake\n40m wake");
    let answered = script.then("41m oncall update on it");
    assert!(answered.contains("[reminder_1]") && answered.contains("[reminder_2]"), "{answered}");
    script.play("71m wake\n81m wake\n82m lead severity sev1 worse");
    let over = script.then("83m oncall resolve rolled back");
    assert!(over.contains("[reminder_3]") && over.contains("[reminder_4]"), "{over}");
    assert!(!over.contains("[reminder_1]") && !over.contains("[reminder_2]"), "those were answered: {over}");
    script.play("84m oncall reopen it is back");
    let told = script.then("85m oncall update it is back");
    assert!(!told.contains("[reminder_"), "{told}");
}
