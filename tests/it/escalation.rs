//! Somebody is paged until somebody answers (E2, E4).

use insta::assert_snapshot;
use vigie::incident::decision::Report;
use vigie::incident::people::Way;
use vigie::incident::timeline::Fact;
use vigie::incident::words::Words;

use crate::script::Script;

#[test]
fn silence_climbs_the_ladder_twice_and_then_tells_the_fall_back() {
    let mut script = Script::new();
    script.play(
        "0m oncall start sev2 checkout returns 500
         14m wake
         15m wake
         30m wake
         45m wake
         60m wake
         600m wake",
    );
    assert_snapshot!(script.transcript, @r#"
    0m oncall start sev2 checkout returns 500
        declared
        escalated to level 1 round 1
        paged oncall by slack (page_7_1, level 1 round 1)
        paged oncall by email (page_7_2, level 1 round 1)
        → open_channel, [announcement], [incident], slack:page_7_1, email:page_7_2, invite U0ONCALL, “reply.declared”
    14m wake
    15m wake
        escalated to level 2 round 1 (silence)
        paged lead by slack (page_7_3, level 2 round 1)
        paged lead by email (page_7_4, level 2 round 1)
        → slack:page_7_3, email:page_7_4, invite U0LEAD, [notice_5], [incident], [announcement]
    30m wake
        escalated to level 1 round 2 (silence)
        paged oncall by slack (page_7_5, level 1 round 2)
        paged oncall by email (page_7_6, level 1 round 2)
        → slack:page_7_5, email:page_7_6, invite U0ONCALL, [notice_8], [incident], [announcement]
    45m wake
        escalated to level 2 round 2 (silence)
        paged lead by slack (page_7_7, level 2 round 2)
        paged lead by email (page_7_8, level 2 round 2)
        → slack:page_7_7, email:page_7_8, invite U0LEAD, [notice_11], [incident], [announcement]
    60m wake
        ladder_exhausted
        paged cto by slack (page_7_9, Fallback)
        paged cto by email (page_7_10, Fallback)
        update_reminded 1 [UserId("U0ONCALL")]
        → [notice_14], slack:page_7_9, email:page_7_10, invite U0CTO, [incident], [announcement], [reminder_1], [incident]
    600m wake
        update_reminded 2 [UserId("U0LEAD")]
        paged lead by slack (page_7_11, UpdateOverdue)
        paged lead by email (page_7_12, UpdateOverdue)
        → [reminder_2], [incident], slack:page_7_11, email:page_7_12, invite U0LEAD
    "#);
}

#[test]
fn an_answer_ends_the_climb_for_good() {
    let mut script = Script::new();
    script.play(
        "0m oncall start sev2 checkout returns 500
         3m oncall ack
         4m oncall ack
         16m wake",
    );
    assert_snapshot!(script.transcript, @r#"
    0m oncall start sev2 checkout returns 500
        declared
        escalated to level 1 round 1
        paged oncall by slack (page_7_1, level 1 round 1)
        paged oncall by email (page_7_2, level 1 round 1)
        → open_channel, [announcement], [incident], slack:page_7_1, email:page_7_2, invite U0ONCALL, “reply.declared”
    3m oncall ack
        acknowledged
        → [notice_5], invite U0ONCALL, [incident], [announcement], “reply.acknowledged”
    4m oncall ack
        refused: refusal.already_acknowledged 
    16m wake
    "#);
    assert_eq!(script.wakes_in(), Some(30), "only the status update is left to wake for");
}

#[test]
fn a_way_that_fails_gives_way_to_the_next_and_an_unreachable_level_to_the_next_level() {
    let mut script = Script::new();
    script.play("0m lead start sev2 checkout returns 500");
    for page in ["page_7_1", "page_7_2", "page_7_3", "page_7_4"] {
        script.report(Report::PageFailed { page: page.parse().unwrap(), why: Words::verbatim("gone") });
    }
    assert_snapshot!(script.transcript, @r#"
    0m lead start sev2 checkout returns 500
        declared
        escalated to level 1 round 1
        paged oncall by slack (page_7_1, level 1 round 1)
        paged oncall by email (page_7_2, level 1 round 1)
        → open_channel, [announcement], [incident], slack:page_7_1, email:page_7_2, invite U0ONCALL+U0LEAD, “reply.declared”
      report page_failed
        page_failed
        paged oncall by sms (page_7_3, level 1 round 1)
        → sms:page_7_3, [incident]
      report page_failed
        page_failed
        paged oncall by voice (page_7_4, level 1 round 1)
        → voice:page_7_4, [incident]
      report page_failed
        page_failed
        → [incident]
      report page_failed
        page_failed
        escalated to level 2 round 1 (silence)
        paged lead by slack (page_7_5, level 2 round 1)
        paged lead by email (page_7_6, level 2 round 1)
        → slack:page_7_5, email:page_7_6, invite U0LEAD, [notice_11], [incident], [announcement], [incident]
    "#);
}

#[test]
fn a_failure_after_the_answer_pages_nobody_else() {
    let mut script = Script::new();
    script.play("0m lead start sev2 checkout returns 500\n1m oncall ack");
    script.report(Report::PageFailed { page: "page_7_2".parse().unwrap(), why: Words::verbatim("gone") });
    assert!(script.transcript.ends_with("page_failed\n    → [incident]\n"), "{}", script.transcript);
}

#[test]
fn a_worse_severity_restarts_the_climb_or_tells_its_first_level() {
    let mut script = Script::new();
    script.play(
        "0m lead start sev2 checkout returns 500
         2m lead severity sev1 all of it is down
         3m oncall ack
         4m lead sev p3
         5m lead sev sev1",
    );
    assert_snapshot!(script.transcript, @r#"
    0m lead start sev2 checkout returns 500
        declared
        escalated to level 1 round 1
        paged oncall by slack (page_7_1, level 1 round 1)
        paged oncall by email (page_7_2, level 1 round 1)
        → open_channel, [announcement], [incident], slack:page_7_1, email:page_7_2, invite U0ONCALL+U0LEAD, “reply.declared”
    2m lead severity sev1 all of it is down
        severity_changed
        escalated to level 1 round 1
        paged oncall by slack (page_7_3, level 1 round 1)
        paged oncall by email (page_7_4, level 1 round 1)
        paged security by slack (page_7_5, level 1 round 1)
        → [notice_5], slack:page_7_3, email:page_7_4, invite U0ONCALL+U0SECURITY, slack:page_7_5, [incident], [announcement], “reply.severity”
    3m oncall ack
        acknowledged
        → [notice_10], invite U0ONCALL, [incident], [announcement], “reply.acknowledged”
    4m lead sev p3
        severity_changed
        → [notice_11], [incident], [announcement], “reply.severity”
    5m lead sev sev1
        severity_changed
        → [notice_12], [incident], [announcement], “reply.severity”
    "#);
}

#[test]
fn what_is_typed_at_three_in_the_morning_is_understood() {
    let mut script = Script::new();
    script.play(
        "0m oncall Start p1 it’s all down —drill
         1m lead role ic
         1m lead role ic
         2m lead role ops @oncall
         3m lead page cto please call
         3m lead page level 9
         3m lead page nobody
         4m lead note hello
         4m lead note
         5m lead frobnicate
         6m lead mitigate we switched it off
         7m lead resolve
         8m lead resolve it was DNS --cause “the usual”
         9m lead ack
         10m lead reopen not over
         11m lead cancel
         12m lead postmortem",
    );
    assert_snapshot!(script.transcript, @r#"
    0m oncall Start p1 it’s all down —drill
        declared
        escalated to level 1 round 1
        paged oncall by slack (page_7_1, level 1 round 1)
        paged oncall by email (page_7_2, level 1 round 1)
        paged security by slack (page_7_3, level 1 round 1)
        → open_channel, [announcement], [incident], slack:page_7_1, email:page_7_2, invite U0ONCALL+U0SECURITY, slack:page_7_3, “reply.declared”
    1m lead role ic
        role_assigned
        → [notice_6], invite U0LEAD, [incident], [announcement], “reply.role”
    1m lead role ic
        refused: refusal.role_held {"role":"commander","user":"U0LEAD"}
    2m lead role ops @oncall
        role_assigned
        → [notice_7], invite U0ONCALL, [incident], [announcement], “reply.role”
    3m lead page cto please call
        paged cto by slack (page_7_4, ByHand)
        paged cto by email (page_7_5, ByHand)
        → slack:page_7_4, email:page_7_5, invite U0CTO, [incident], [announcement], “reply.paged”
    3m lead page level 9
        refused: refusal.no_such_level {"found":9,"levels":2}
    3m lead page nobody
        refused: refusal.unknown_person {"found":"nobody","known":["comms","cto","lead","oncall","security"]}
    4m lead note hello
        note_added
        → “reply.noted”
    4m lead note
        refused: refusal.empty_note 
    5m lead frobnicate
        usage: usage.unknown_command
    6m lead mitigate we switched it off
        mitigated
        → [notice_11], invite U0LEAD, [incident], [announcement], “reply.mitigated”
    7m lead resolve
        refused: refusal.no_summary 
    8m lead resolve it was DNS --cause “the usual”
        resolved
        → [notice_12], invite U0LEAD, [incident], [announcement], “reply.resolved”
    9m lead ack
        refused: refusal.not_open {"incident":"inc_7","status":"resolved"}
    10m lead reopen not over
        reopened
        escalated to level 1 round 1
        paged oncall by slack (page_7_6, level 1 round 1)
        paged oncall by email (page_7_7, level 1 round 1)
        paged security by slack (page_7_8, level 1 round 1)
        → [notice_13], slack:page_7_6, email:page_7_7, invite U0ONCALL+U0SECURITY+U0LEAD, slack:page_7_8, [incident], [announcement], “reply.reopened”
    11m lead cancel
        cancelled
        → [notice_18], [incident], [announcement], “reply.cancelled”
    12m lead postmortem
        post_mortem_compiled
        → [postmortem_1], “reply.postmortem”
    "#);
}

#[test]
fn an_incident_that_is_reopened_before_anybody_answered_pages_its_first_level_again() {
    let mut script = Script::new();
    script.play("0m lead start sev2 checkout returns 500\n5m lead resolve a false alarm");
    assert_snapshot!(script.then("10m lead reopen it is back\n25m wake"), @r#"
    10m lead reopen it is back
        reopened
        escalated to level 1 round 1
        paged oncall by slack (page_7_3, level 1 round 1)
        paged oncall by email (page_7_4, level 1 round 1)
        → [notice_6], slack:page_7_3, email:page_7_4, invite U0ONCALL+U0LEAD, [incident], [announcement], “reply.reopened”
    25m wake
        escalated to level 2 round 1 (silence)
        paged lead by slack (page_7_5, level 2 round 1)
        paged lead by email (page_7_6, level 2 round 1)
        → slack:page_7_5, email:page_7_6, invite U0LEAD, [notice_10], [incident], [announcement]
    "#);
}

#[test]
fn a_way_that_fails_after_a_new_beginning_gives_way_to_the_next_again() {
    let mut script = Script::new();
    script.play("0m lead start sev2 checkout returns 500");
    for page in ["page_7_1", "page_7_2"] {
        script.report(Report::PageFailed { page: page.parse().unwrap(), why: Words::verbatim("gone") });
    }
    script.play("5m lead resolve a false alarm\n10m lead reopen it is back");
    let again =
        script.then_report(Report::PageFailed { page: "page_7_6".parse().unwrap(), why: Words::verbatim("gone") });
    assert!(again.contains("paged oncall by sms"), "what was tried before the new beginning does not count: {again}");
}

#[test]
fn an_incident_that_is_reopened_after_an_answer_pages_nobody() {
    let mut script = Script::new();
    script.play("0m lead start sev2 checkout returns 500\n1m oncall ack\n5m lead resolve a false alarm");
    let again = script.then("10m lead reopen it is back\n39m wake");
    assert!(!again.contains("paged"), "{again}");
}

#[test]
fn an_escalation_is_told_by_its_own_entry_also_after_the_climb_began_anew() {
    let mut script = Script::new();
    script.play("0m lead start sev2 checkout returns 500\n15m wake\n16m lead severity sev1 all of it is down");
    let climbed = script.then("31m wake");
    let told = climbed.split("[notice_").nth(1).and_then(|rest| rest.split(']').next()).expect("there is a notice");
    let entry = script.timeline.iter().find(|entry| entry.seq.to_string() == told).expect("it stands in the timeline");
    assert!(matches!(entry.fact, Fact::Escalated { level: 1, .. }), "{:?} is told in {climbed}", entry.fact);
}

#[test]
fn whoever_is_told_of_a_worse_severity_after_the_answer_is_reached_another_way_too() {
    let mut script = Script::new();
    for contact in &mut script.rules.severities[0].policy.levels[0].contacts {
        contact.fall_over = vec![Way::Sms];
    }
    script.play("0m lead start sev2 checkout returns 500\n1m oncall ack\n5m lead severity sev1 it is worse");
    let failed =
        script.then_report(Report::PageFailed { page: "page_7_3".parse().unwrap(), why: Words::verbatim("gone") });
    assert!(failed.contains("paged security by sms"), "{failed}");
    assert!(script.incident.as_ref().is_some_and(|incident| incident.ladder.next_at.is_none()), "and nobody climbs");
}

#[test]
fn a_page_that_names_nobody_is_refused_with_what_would_do() {
    let mut script = Script::new();
    script.play("0m lead start sev2 checkout returns 500");
    assert_snapshot!(script.then("1m lead page level\n1m lead page level two\n1m lead page <@U0STRANGER>"), @r#"
    1m lead page level
        refused: refusal.which_level {"levels":2}
    1m lead page level two
        refused: refusal.which_level {"levels":2}
    1m lead page <@U0STRANGER>
        refused: refusal.not_a_contact {"known":["comms","cto","lead","oncall","security"],"user":"U0STRANGER"}
    "#);
}
