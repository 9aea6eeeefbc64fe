//! Nothing runs that was not shown, approved and still true (P4–P7).

use insta::assert_snapshot;
use vigie::incident::approval::{KeepState, KeptFile, Outcome, Risk};
use vigie::incident::decision::Report;
use vigie::incident::id::{ChannelId, MessageRef, RunId};
use vigie::incident::state::Phase;
use vigie::incident::timeline::{Card, Fact};
use vigie::incident::words::Words;

use crate::script::{Script, plan};

fn planned() -> Script {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500");
    script.report(Report::ChannelOpened { channel: ChannelId("C7".into()), name: "inc-7".into() });
    script.play("1m oncall ack\n2m oncall rollback");
    script
        .report(Report::Planned { run: "run_7_1".parse().unwrap(), plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    script.transcript.clear();
    script
}

fn posted(card: Card) -> Report {
    Report::CardPosted { card, message: MessageRef { channel: ChannelId("C7".into()), ts: "1.1".into() } }
}

#[test]
fn a_plan_runs_only_when_another_person_approved_it_and_the_channel_was_told() {
    let mut script = planned();
    script.play(
        "3m oncall approve run_7_1
         3m comms approve run_7_1
         3m lead approve run_7_1
         3m lead tick run_7_1 nothing
         3m lead tick run_7_1 backup
         4m lead approve run_7_1
         4m cto approve run_7_1",
    );
    let told = script.incident.as_ref().unwrap().seq;
    script.report(posted(Card::Notice(told)));
    script.report(Report::RunStarted { run: "run_7_1".parse().unwrap(), fence: 1 });
    assert!(script.incident.as_ref().unwrap().runs[&"run_7_1".parse().unwrap()].approved_plan().is_some());
    script.play("5m lead resolve done");
    script.report(Report::RunFinished { run: "run_7_1".parse().unwrap(), outcome: Outcome::Done, output: None });
    script.report(Report::RunFinished { run: "run_7_1".parse().unwrap(), outcome: Outcome::Done, output: None });
    script.play("6m lead approve run_7_1\n6m lead rollback");
    assert_snapshot!(script.transcript, @r#"
    3m oncall approve run_7_1
        refused: refusal.requester 
    3m comms approve run_7_1
        refused: refusal.not_approver {"approvers":["LEAD","CTO","ONCALL"]}
    3m lead approve run_7_1
        refused: refusal.items_missing {"items":["A backup exists"]}
    3m lead tick run_7_1 nothing
        refused: refusal.no_such_item {"found":"nothing"}
    3m lead tick run_7_1 backup
        item_ticked
        → [run_7_1]
    4m lead approve run_7_1
        approval_given
        approved
        → [notice_11], invite U0LEAD, [run_7_1], [incident], [announcement]
    4m cto approve run_7_1
        refused: refusal.under_way_already {"decided_at":1795140240000,"user":"U0LEAD"}
      report card_posted
        card_posted
        run_released
        → run, [run_7_1]
      report run_started
        run_started
        → [run_7_1]
    5m lead resolve done
        refused: refusal.run_under_way {"run":"run_7_1","title":"Roll back the shop"}
      report run_finished
        run_finished
        → [notice_15], [run_7_1], [incident], [announcement]
      report run_finished
    6m lead approve run_7_1
        refused: refusal.under_way_already {"decided_at":1795140240000,"user":"U0LEAD"}
    6m lead rollback
        plan_asked
        → plan, [incident], invite U0LEAD, “reply.planning”
    "#);
}

#[test]
fn a_plan_that_nobody_approved_in_time_never_runs() {
    let mut script = planned();
    script.play("3m lead tick run_7_1 backup\n18m lead approve run_7_1\n18m wake\n19m lead approve run_7_1");
    assert_snapshot!(script.transcript, @r#"
    3m lead tick run_7_1 backup
        item_ticked
        → [run_7_1]
    18m lead approve run_7_1
        refused: refusal.plan_expired 
    18m wake
        plan_expired
        → [run_7_1], [incident]
    19m lead approve run_7_1
        refused: refusal.plan_expired
    "#);
}

#[test]
fn a_rejected_plan_never_runs() {
    let mut script = planned();
    script.play("3m lead tick run_7_1 backup\n3m cto reject run_7_1 fix forward is faster\n4m lead approve run_7_1");
    assert_snapshot!(script.transcript, @r#"
    3m lead tick run_7_1 backup
        item_ticked
        → [run_7_1]
    3m cto reject run_7_1 fix forward is faster
        plan_rejected
        → [run_7_1], [incident], [announcement]
    4m lead approve run_7_1
        refused: refusal.rejected_already {"decided_at":1795140180000,"user":"U0CTO"}
    "#);
}

#[test]
fn a_silent_slack_holds_a_rollback_back_for_ten_seconds_only() {
    let mut script = planned();
    script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
    assert!(script.transcript.ends_with("    run_released\n    → run, [run_7_1]\n"), "{}", script.transcript);
}

#[test]
fn a_plan_that_would_do_more_than_was_configured_is_no_plan() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n2m oncall rollback shop");
    let destructive = Box::new(plan("v1", Risk::Destructive));
    script.report(Report::Planned { run: "run_7_1".parse().unwrap(), plan: Ok(destructive) });
    assert!(script.transcript.contains("plan_failed"), "{}", script.transcript);
    script.play("3m lead approve run_7_1");
    assert!(script.transcript.contains("refused: refusal.no_plan"), "{}", script.transcript);
}

#[test]
fn an_unknown_outcome_keeps_the_target_locked_until_a_person_says_what_happened() {
    let mut script = planned();
    script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
    let why = Words::verbatim("the answer was lost");
    let outcome = Outcome::Unknown { step: 0, why };
    script.report(Report::RunFinished { run: "run_7_1".parse().unwrap(), outcome, output: None });
    assert!(script.incident.as_ref().unwrap().runs.values().all(|run| run.holds_targets()));
    script.play("6m comms settle run_7_1 happened");
    assert!(script.transcript.contains("refused: refusal.not_approver"), "{}", script.transcript);
    assert!(script.incident.as_ref().unwrap().runs.values().all(|run| run.holds_targets()));
    script.play("6m lead resolve x\n6m lead settle run_7_1 not-happened\n6m lead settle run_7_1 happened");
    assert!(script.incident.as_ref().unwrap().runs.values().all(|run| !run.holds_targets()));
    assert!(script.transcript.contains("refused: refusal.nothing_to_settle"), "{}", script.transcript);
}

#[test]
fn whoever_may_approve_is_asked_into_the_channel_when_the_plan_is_there() {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500");
    script.report(Report::ChannelOpened { channel: ChannelId("C7".into()), name: "inc-7".into() });
    script.report(Report::Invited { users: vec!["U0ONCALL".into()], failed: vec![] });
    script.play("1m oncall ack\n2m oncall rollback");
    let shown = script.then_report(Report::Planned {
        run: "run_7_1".parse().unwrap(),
        plan: Ok(Box::new(plan("v1", Risk::Reversible))),
    });
    assert!(shown.contains("invite U0LEAD+U0CTO, [run_7_1]"), "before its card, which then names them: {shown}");
}

#[test]
fn where_anybody_in_the_channel_may_approve_somebody_outside_may_not() {
    let mut script = Script::new();
    script.rules.actions.get_mut("rollback-shop").unwrap().approval.by.clear();
    script.rules.actions.get_mut("rollback-shop").unwrap().checklist.clear();
    script.play("0m oncall start sev2 checkout returns 500");
    script.report(Report::ChannelOpened { channel: ChannelId("C7".into()), name: "inc-7".into() });
    script.play("1m oncall ack\n2m oncall rollback");
    script
        .report(Report::Planned { run: "run_7_1".parse().unwrap(), plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    script.place = Some(ChannelId("C0GENERAL".into()));
    let outside = script.then("3m stranger approve run_7_1\n3m stranger reject run_7_1 no");
    assert_eq!(outside.matches("refused: refusal.not_in_channel").count(), 2, "{outside}");
    script.place = Some(ChannelId("C7".into()));
    let inside = script.then("4m stranger approve run_7_1");
    assert!(inside.contains("approved"), "{inside}");
}

#[test]
fn a_plan_that_waits_asks_nobody_any_more_once_the_incident_is_over() {
    for end in ["resolve fixed by hand", "cancel a test"] {
        let mut script = planned();
        let over = script.then(&format!("5m lead {end}"));
        assert!(over.contains("[run_7_1]"), "{over}");
        let back = script.then("6m lead reopen not over");
        assert!(back.contains("[run_7_1]"), "and asks again: {back}");
    }
}

#[test]
fn a_stale_run_asks_for_a_new_plan_in_the_name_of_who_asked_first_and_never_by_itself_twice() {
    let mut script = planned();
    script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
    let stale = |run: &str| Report::RunFinished {
        run: run.parse().unwrap(),
        outcome: Outcome::Stale { step: 0, found: Words::verbatim("v3") },
        output: None,
    };
    let asked = script.then_report(stale("run_7_1"));
    assert!(asked.contains("run_finished\n    plan_asked\n") && asked.contains("plan, "), "{asked}");
    let run = &script.incident.as_ref().unwrap().runs[&"run_7_2".parse().unwrap()];
    assert_eq!(run.asked.by, script.timeline.iter().find(|entry| entry.fact.kind() == "plan_asked").unwrap().by);
    assert!(run.approvals.is_empty() && run.ticked.is_empty(), "what was said of the old plan counts for nothing");
    assert_eq!(script.then_report(stale("run_7_1")), "  report run_finished\n", "it is told once");

    script
        .report(Report::Planned { run: "run_7_2".parse().unwrap(), plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    let refused = script.then("6m oncall approve run_7_2");
    assert!(refused.contains("refusal.requester"), "{refused}");
}

/// The first try may have changed something before it failed, and a plan of the whole would begin from there.
#[test]
fn a_step_that_is_tried_again_and_has_moved_asks_for_no_new_plan() {
    for (why, plans) in [("step.program_exit", 1), ("step.unchanged", 2)] {
        let mut script = planned();
        script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
        let ended = |outcome| Report::RunFinished { run: id(), outcome, output: None };
        script.report(Report::StepStarted { run: id(), step: 0 });
        script.report(ended(Outcome::Failed { step: Some(0), why: Words::new(why) }));
        script.play("6m lead retry run_7_1\n7m wake");
        script.report(Report::StepStarted { run: id(), step: 0 });
        script.report(ended(Outcome::Stale { step: 0, found: Words::verbatim("v3") }));
        let runs = &script.incident.as_ref().unwrap().runs;
        assert_eq!(runs.len(), plans, "{why}");
        assert_eq!(runs[&id()].ended_badly(), plans == 1, "{why}: {:?}", runs[&id()].phase);
    }
}

#[test]
fn a_stale_run_that_somebody_wanted_stopped_asks_for_nothing() {
    let mut script = planned();
    script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake\n5m lead stop run_7_1");
    let outcome = Outcome::Stale { step: 0, found: Words::verbatim("v3") };
    let ended = script.then_report(Report::RunFinished { run: "run_7_1".parse().unwrap(), outcome, output: None });
    assert!(ended.contains("run_finished") && !ended.contains("plan_asked"), "{ended}");
}

#[test]
fn an_execution_that_is_given_up_is_unknown_at_the_step_that_had_begun() {
    let mut script = planned();
    let run = "run_7_1".parse().unwrap();
    let mut two = plan("v1", Risk::Reversible);
    two.steps.push(two.steps[0].clone());
    let mut script_of_two = Script::new();
    script_of_two.play("0m oncall start sev2 checkout returns 500\n2m oncall rollback");
    script_of_two.report(Report::Planned { run, plan: Ok(Box::new(two)) });
    script_of_two.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
    script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
    for (script, step, reports) in [
        (&mut script, 0, vec![]),
        (
            &mut script_of_two,
            1,
            vec![
                Report::RunStarted { run, fence: 1 },
                Report::StepStarted { run, step: 0 },
                Report::StepFinished {
                    run,
                    fence: Some(1),
                    step: 0,
                    note: Words::verbatim("ok"),
                    took: vigie::incident::time::Millis(1),
                    output: None,
                    live: None,
                },
                Report::StepStarted { run, step: 1 },
            ],
        ),
    ] {
        for report in reports {
            script.report(report);
        }
        script.report(Report::RunLost { run, why: Words::verbatim("the database is gone") });
        let outcome = Outcome::Unknown { step, why: Words::verbatim("the database is gone") };
        let phase = &script.incident.as_ref().unwrap().runs[&run].phase;
        assert_eq!(phase, &vigie::incident::state::Phase::Finished { outcome });
    }
}

fn id() -> RunId {
    "run_7_1".parse().unwrap()
}

fn kept(files: &[&str]) -> Report {
    let file = |name: &&str| KeptFile { name: (*name).to_owned(), bytes: 1, lines: 1, sha256: format!("{name}-sum") };
    let missed = if files.is_empty() { vec![Words::verbatim("no answer")] } else { vec![] };
    Report::StateKept { run: id(), files: files.iter().map(file).collect(), missed }
}

/// A rollback whose state before has to be kept; its plan is shown.
fn keeping(how: KeepState) -> (Script, String) {
    let mut script = Script::new();
    script.rules.actions.get_mut("rollback-shop").expect("it is there").keep_state = how;
    script.play("0m oncall start sev2 checkout returns 500\n1m oncall ack\n2m oncall rollback");
    script.report(Report::ChannelOpened { channel: ChannelId("C7".into()), name: "inc-7".into() });
    let shown = script.then_report(Report::Planned { run: id(), plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    script.play("3m lead tick run_7_1 backup");
    (script, shown)
}

fn told(script: &mut Script) -> String {
    let run = &script.incident.as_ref().expect("it is declared").runs[&id()];
    let Phase::Announcing { told_by, .. } = run.phase else { panic!("{:?}", run.phase) };
    let message = MessageRef { channel: ChannelId("C7".into()), ts: "1.1".into() };
    script.then_report(Report::CardPosted { card: Card::Notice(told_by), message })
}

#[test]
fn a_plan_whose_state_must_be_kept_waits_for_that() {
    let (mut script, shown) = keeping(KeepState::Required);
    assert!(shown.contains("keep_state"), "{shown}");
    assert!(script.then("4m lead approve run_7_1").contains("refusal.state_not_kept"));
    script.report(kept(&[]));
    let refused = script.then("4m lead approve run_7_1");
    assert!(refused.contains("refusal.state_not_kept") && refused.contains("no answer"), "{refused}");
    script.report(kept(&["objects.yaml"]));
    assert!(script.then("4m lead approve run_7_1").contains("approved"));
    assert!(told(&mut script).contains("run_released"));
    let late = script.then_report(kept(&["objects.yaml"]));
    assert!(!late.contains("    state_kept"), "it is no longer the state before: {late}");
}

#[test]
fn state_that_comes_after_the_run_began_is_kept_with_a_true_line_and_once() {
    let (mut script, _) = keeping(KeepState::Auto);
    script.play("4m lead approve run_7_1");
    told(&mut script);
    script.play("5m wake");
    let released = |script: &Script| {
        let mut facts = script.timeline.iter().map(|entry| entry.fact.clone());
        facts.rfind(|fact| fact.kind() == "run_released").expect("it is released")
    };
    assert_eq!(
        released(&script),
        Fact::RunReleased { run: id(), announced: true, without_state: true },
        "the channel was told, and the state was not kept by then"
    );
    assert!(!script.incident.as_ref().unwrap().runs[&id()].waits_for_state(), "nothing is looked at anew");
    let late = script.then_report(kept(&["objects.yaml"]));
    assert!(late.contains("    state_kept"), "{late}");
    let state = script.incident.as_ref().unwrap().runs[&id()].kept.clone().expect("it is kept");
    assert!(state.files.len() == 1 && state.late, "{state:?}");
    let again = script.then_report(kept(&["objects.yaml"]));
    assert!(!again.contains("    state_kept"), "{again}");

    let (mut script, _) = keeping(KeepState::Auto);
    script.play("4m lead approve run_7_1\n5m wake");
    let untold = Fact::RunReleased { run: id(), announced: false, without_state: true };
    assert_eq!(released(&script), untold);
}

#[test]
fn old_state_is_kept_anew_and_the_run_waits_for_both_but_not_for_ever() {
    let (mut script, _) = keeping(KeepState::Auto);
    script.report(kept(&["objects.yaml"]));
    let approved = script.then("9m lead approve run_7_1");
    assert!(approved.contains("keep_state"), "{approved}");
    let notice = told(&mut script);
    assert!(!notice.contains("run_released"), "{notice}");
    let again = script.then_report(kept(&["objects-2.yaml"]));
    assert!(again.contains("    state_kept") && again.contains("run_released"), "{again}");

    let (mut script, _) = keeping(KeepState::Auto);
    script.play("4m lead approve run_7_1");
    assert!(!told(&mut script).contains("run_released"));
    assert!(script.then("5m wake").contains("run_released"), "a rollback does not hang on what cannot be read");
}

#[test]
fn clean_files_are_not_given_away_for_late_ones_or_for_none() {
    for (files, released) in [(&["objects-2.yaml"][..], true), (&[], false)] {
        let (mut script, _) = keeping(KeepState::Auto);
        script.report(kept(&["objects.yaml"]));
        script.play("9m lead approve run_7_1");
        told(&mut script);
        if released {
            script.play("10m wake");
        }
        let again = script.then_report(kept(files));
        assert!(again.contains("    state_kept"), "{again}");
        let state = script.incident.as_ref().unwrap().runs[&id()].kept.clone().expect("it is kept");
        let names: Vec<&str> = state.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!((names.as_slice(), state.late), (&["objects.yaml"][..], false), "{files:?}");
        assert_eq!(state.missed, [Words::new("kept.not_anew")], "{files:?}");
    }
}

#[test]
fn state_that_is_still_being_kept_is_taken_although_the_run_goes_on_meanwhile() {
    let (mut script, _) = keeping(KeepState::Auto);
    script.play("4m lead approve run_7_1");
    told(&mut script);
    script.play("5m wake");
    script.report(Report::StepStarted { run: id(), step: 0 });
    let outcome = Outcome::Failed { step: Some(0), why: Words::new("step.unchanged") };
    script.report(Report::RunFinished { run: id(), outcome, output: None });
    script.play("6m lead retry run_7_1");
    assert!(told(&mut script).contains("run_released"));
    let late = script.then_report(kept(&["objects.yaml"]));
    assert!(late.contains("    state_kept"), "{late}");
    let state = script.incident.as_ref().unwrap().runs[&id()].kept.clone().expect("it is kept");
    assert!(state.files.len() == 1 && state.late, "{state:?}");
}

#[test]
fn what_keeps_no_state_asks_for_none_and_has_no_files() {
    let (mut script, shown) = keeping(KeepState::Off);
    assert!(!shown.contains("keep_state"), "{shown}");
    assert!(script.then("4m lead files run_7_1").contains("refusal.nothing_kept"));
}
