//! A run that did not end well says what can be done about it, and each of it works (P7).

use std::time::Duration;

use serde_json::{Value, json};
use vigie::incident::approval::{Class, Outcome, PlannedStep, Risk};
use vigie::incident::command::parse;
use vigie::incident::decision::{Input, ReplyTo, Report};
use vigie::incident::id::{ChannelId, IncidentId, MessageRef, RunId};
use vigie::incident::people::Actor;
use vigie::incident::postmortem::compile;
use vigie::incident::state::{Phase, Run};
use vigie::incident::time::Millis;
use vigie::incident::timeline::Card;
use vigie::incident::window::Window;
use vigie::incident::words::Words;
use vigie::practice::Trouble;
use vigie::store::Target;

use crate::faults::until;
use crate::lever::{Lever, action};
use crate::script::{Script, plan};
use crate::world::{World, shown, ts};

/// The longest that is waited for what the bot does by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two switches that one action moves, and what became of it.
struct Team {
    world: World,
    first: Lever,
    second: Lever,
    channel: String,
    card: Value,
}

impl Team {
    /// The action was approved; the second switch refuses.
    async fn failed() -> Self {
        let team = Self::planned("").await;
        team.second.refuses(true);
        team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "approve").await;
        assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(1), .. }));
        team
    }

    async fn planned(last: &str) -> Self {
        let (first, second) = (Lever::open().await, Lever::open().await);
        let steps = [first.step("first", "v1"), second.step("second", "v1"), last.to_owned()];
        let action = action("both-back", "Put both back", "", &steps);
        let world = World::open_changed(&[("actions:\n", &action)]).await;
        world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
        let channel = world.channel(1).await;
        world.types("U0ONCALL", &channel, "rollback both-back").await;
        let card = world.message(&channel, "approve run_1_1");
        Self { world, first, second, channel, card }
    }

    async fn run(&self, number: u32) -> Run {
        let runs = self.world.incident(1).await.runs;
        runs.into_values().find(|run| run.id.number == number).expect("there is such a run")
    }

    async fn outcome(&self, number: u32) -> Outcome {
        match self.run(number).await.phase {
            Phase::Finished { outcome } => outcome,
            other => panic!("the run has not ended: {other:?}"),
        }
    }

    fn shown(&self) -> String {
        shown(&self.world.again(&self.channel, &self.card))
    }
}

#[tokio::test]
async fn a_failed_step_can_be_tried_again_without_repeating_those_before() {
    let team = Team::failed().await;
    let told = shown(&team.world.message(&team.channel, "Rollback stopped"));
    for line in [
        "Done: first from v2 to v1",
        "To decide: try again: /incident retry run_1_1, skip the step: /incident skip run_1_1 …",
        "undo what was done: /incident undo run_1_1",
        "hand over: /incident handover run_1_1 …",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    team.world.clicks("U0ONCALL", &team.channel, &ts(&team.card), "retry").await;
    assert!(shown(&team.world.whisper("U0ONCALL", "may decide this")).contains("Engineering lead"));

    team.second.refuses(false);
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "retry").await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(
        (team.first.positions(), team.second.positions()),
        (vec!["v2".into(), "v1".into()], vec!["v2".to_owned(), "v1".to_owned()])
    );
    team.world.message(&team.channel, "<@U0LEAD> lets Put both back go on (run_1_1) with step 2: second from v2 to v1");
    team.world.close().await;
}

/// A new plan of the whole action would lead from what the first step did back to the bad version.
#[tokio::test]
async fn what_moved_after_something_was_changed_stops_the_run_there_and_nothing_is_planned_anew() {
    let team = Team::planned("").await;
    team.second.push("v3");
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "approve").await;
    let Outcome::Failed { step: Some(1), why } = team.outcome(1).await else { panic!("{:?}", team.outcome(1).await) };
    assert_eq!(why.key, "step.moved", "{why}");
    assert_eq!(team.world.incident(1).await.runs.len(), 1, "nothing is planned by itself");
    let card = team.shown();
    for line in [
        "stopped at step 2 of 2",
        "not done, for it is no longer as planned: second is at v3 (trying again goes on once it is)",
        "✅ first from v2 to v1: done",
        "❌ second from v2 to v1: failed",
        "Try again",
        "Skip",
        "Undo",
        "Hand over",
    ] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "retry").await;
    assert_eq!(team.outcome(1).await, Outcome::Failed { step: Some(1), why }, "it says so again");
    team.world.types("U0ONCALL", &team.channel, "undo run_1_1").await;
    let back = team.run(2).await.plan.expect("it is planned");
    let targets: Vec<&str> = back.steps.iter().map(|step| step.target.as_str()).collect();
    assert_eq!(targets, ["first"], "what others did to the second is not taken back");
    team.world.types("U0ONCALL", &team.channel, "reject run_1_2 it is put right by hand").await;

    team.second.push("v2");
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "retry").await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(team.first.positions(), ["v2", "v1"]);
    assert_eq!(team.second.positions(), ["v2", "v3", "v2", "v1"]);
    team.world.close().await;
}

#[tokio::test]
async fn that_nothing_was_changed_is_only_said_where_nothing_was() {
    for (locale, careful, nothing) in [
        ("en", "begun and not finished may have changed something", "no change was made"),
        ("fr", "commencé sans aboutir a pu modifier quelque chose", "aucune modification"),
    ] {
        let lever = Lever::open().await;
        let action = action("back", "Put it back", "", &[lever.step("lever", "v1")]);
        let world = World::open_changed_in(locale, &[("actions:\n", &action)]).await;
        world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
        let channel = world.channel(1).await;
        world.types("U0ONCALL", &channel, "rollback back").await;
        lever.refuses(true);
        world.types("U0LEAD", &channel, "approve run_1_1").await;
        // Both the channel and the audiences of the house.
        for place in [channel.as_str(), "C0GENERAL"] {
            let told = shown(&world.message(place, "❌"));
            assert!(told.contains(careful) && !told.contains(nothing), "{told}");
        }
        world.types("U0ONCALL", &channel, "run back").await;
        lever.hides(true);
        world.types("U0LEAD", &channel, "approve run_1_2").await;
        for place in [channel.as_str(), "C0GENERAL"] {
            let told = shown(&world.message(place, "❌"));
            assert!(told.contains(nothing) && !told.contains(careful), "{told}");
        }
        world.close().await;
    }
}

/// What waits tells how things stand when it is sent: two ends that wait would tell the second one twice.
#[tokio::test]
async fn the_house_hears_an_end_once_where_slack_held_back_the_end_before() {
    let team = Team::failed().await;
    team.world.ws().faults().until_cleared("chat.postMessage", Trouble::RateLimited { retry_after_s: 120 });
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "retry").await;
    // It waits so long for its announcement, and no longer.
    team.world.seconds(10).await;
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(1), .. }));
    team.second.refuses(false);
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "retry").await;
    team.world.seconds(10).await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    let ends = || {
        let said = team.world.ws().messages("C0GENERAL");
        let count = |words: &str| said.iter().filter(|message| shown(message).contains(words)).count();
        (count("Rollback stopped"), count("Rolled back"))
    };
    assert_eq!(ends(), (1, 0), "the end of before Slack held anything back");
    team.world.ws().faults().clear();
    team.world.pass(5).await;
    assert_eq!(ends(), (1, 1));
    team.world.close().await;
}

#[tokio::test]
async fn a_step_is_skipped_only_with_a_reason_that_everybody_sees() {
    let team = Team::failed().await;
    team.world.types("U0LEAD", &team.channel, "skip run_1_1").await;
    team.world.whisper("U0LEAD", "Say why the step is not needed");
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "skip").await;
    team.world.submits("U0LEAD", json!({"reason": "done by hand <!here>"})).await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(team.second.positions(), ["v2"], "it is left alone");
    let card = team.shown();
    assert!(card.contains("⏭️ second from v2 to v1: skipped by <@U0LEAD> · done by hand"), "{card}");
    assert!(!card.contains("<!here>"));
    let timeline = team.world.timeline("U0LEAD", 1).await;
    assert!(
        timeline.contains("<@U0LEAD> skipped step 2 of Put both back (run_1_1): second from v2 to v1"),
        "{timeline}"
    );
    team.world.close().await;
}

#[tokio::test]
async fn what_was_done_before_a_failure_is_taken_back_by_a_plan_of_its_own() {
    let team = Team::failed().await;
    team.second.refuses(false);
    team.world.clicks("U0ONCALL", &team.channel, &ts(&team.card), "undo").await;
    let card = team.world.message(&team.channel, "approve run_1_2");
    for line in ["↩ Put both back", "*v1 → v2* · first", "first from v1 to v2", "run_1_2, taking back run_1_1"] {
        assert!(shown(&card).contains(line), "{line} is not in {}", shown(&card));
    }
    assert!(!shown(&card).contains("second from"), "that one was not moved: {}", shown(&card));
    assert_eq!(team.first.positions(), ["v2", "v1"], "nothing is taken back before somebody has approved it");
    team.world.clicks("U0LEAD", &team.channel, &ts(&card), "approve").await;
    assert_eq!(team.outcome(2).await, Outcome::Done);
    assert_eq!(team.first.positions(), ["v2", "v1", "v2"]);
    assert_eq!(team.second.positions(), ["v2"]);
    team.world.close().await;
}

#[tokio::test]
async fn a_run_that_was_done_is_taken_back_in_reverse_and_what_has_no_way_back_is_named() {
    let note = "      - title: Note it down\n        command: { target: note, risk: reversible, to: noted, argv: [\"true\"] }\n";
    let team = Team::planned(note).await;
    team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "approve").await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    team.world.clicks("U0ONCALL", &team.channel, &ts(&team.card), "undo").await;
    let card = team.world.message(&team.channel, "approve run_1_2");
    let steps: Vec<String> =
        team.run(2).await.plan.expect("it is planned").steps.iter().map(|s| s.target.clone()).collect();
    assert_eq!(steps, ["second", "first"]);
    let line = "*Cannot be taken back:* Note it down: there is no way back";
    assert!(shown(&card).contains(line), "{}", shown(&card));
    team.world.clicks("U0DBA", &team.channel, &ts(&card), "approve").await;
    assert_eq!(team.outcome(2).await, Outcome::Done);
    assert_eq!(team.first.positions(), ["v2", "v1", "v2"]);
    assert_eq!(team.second.positions(), ["v2", "v1", "v2"]);
    // It is back already, and that is said.
    team.world.types("U0ONCALL", &team.channel, "undo run_1_1").await;
    team.world.message(&team.channel, "is already at v2");
    team.world.close().await;
}

/// One looks and says that it happened; what is left is done after that, and nobody is told of a success before.
#[tokio::test]
async fn a_step_in_the_middle_that_somebody_settled_leaves_the_rest_to_be_gone_on_with() {
    let note = "      - title: Note it down\n        command: { target: note, risk: reversible, to: noted, argv: [\"true\"] }\n";
    for (truth, row, told_so) in [
        ("happened", "✅ second from v2 to v1: done", "Done: first from v2 to v1 and second from v2 to v1"),
        ("not-happened", "○ second from v2 to v1: not done", "Failed at: second from v2 to v1"),
    ] {
        let team = Team::planned(note).await;
        team.second.hides_once_put();
        team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "approve").await;
        assert!(matches!(team.outcome(1).await, Outcome::Unknown { step: 1, .. }));
        team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), truth).await;
        let card = team.shown();
        for line in ["looked: it ", "Known before: ", row, "○ Note it down: not done", "Try again", "Undo", "Hand over"]
        {
            assert!(card.contains(line), "{line} is not in {card}");
        }
        assert!(!card.contains("Post customer update"), "{card}");
        let told = shown(&team.world.message("C0GENERAL", "Rollback stopped"));
        assert!(told.contains(told_so) && told.contains("Not done: Note it down"), "{told}");
        assert_eq!(told.contains("Failed at"), truth == "not-happened", "{told}");
        team.second.shows_again();
        team.world.clicks("U0LEAD", &team.channel, &ts(&team.card), "retry").await;
        assert_eq!(team.outcome(1).await, Outcome::Done, "{}", team.shown());
        assert_eq!(team.second.positions(), ["v2", "v1"], "{truth}: it is not put there twice");
        team.world.close().await;
    }
}

#[tokio::test]
async fn a_handed_over_run_pages_whoever_gets_it() {
    let team = Team::failed().await;
    assert!(team.world.dms("U0DBA").is_empty());
    team.world.clicks("U0ONCALL", &team.channel, &ts(&team.card), "hand_over").await;
    team.world.submits("U0ONCALL", json!({"whom": "dba", "message": "the second switch is yours"})).await;
    let page = shown(&team.world.dms("U0DBA")[0]);
    assert!(page.contains("<@U0ONCALL> hands a run over to you"), "{page}");
    assert!(page.contains("the second switch is yours"), "{page}");
    let card = team.shown();
    assert!(card.contains("🤝 <@U0DBA> has it now (from <@U0ONCALL>"), "{card}");
    team.world.message(&team.channel, "<@U0ONCALL> handed Put both back (run_1_1) over to <@U0DBA>");
    team.world.types("U0ONCALL", &team.channel, "handover run_1_1").await;
    team.world.whisper("U0ONCALL", "Say to whom");
    team.world.close().await;
}

/// A worker is stopped, something fails, and the worker runs again.
#[tokio::test]
async fn what_was_stopped_runs_again_although_the_step_between_failed() {
    let (worker, broken) = (tempfile::NamedTempFile::new().expect("a file"), Lever::open().await);
    let says = |word: &str, more: &str| {
        let file = worker.path().display();
        format!(
            "      - title: {word} the worker\n{more}        command: {{ target: worker, risk: reversible, to: {word}, \
             again: {}, argv: [sh, -c, \"echo {word} >> {file}\"] }}\n",
            !more.is_empty()
        )
    };
    let steps = [says("stop", ""), broken.step("database", "v1"), says("start", "        always: true\n")];
    let world = World::open_changed(&[("actions:\n", &action("restore", "Restore", "", &steps))]).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "rollback restore").await;
    let card = world.message(&channel, "approve run_1_1");
    for line in [
        "3. start the worker · → start · worker\n      ◦ _also when a step before it fails_",
        "nothing more is changed but what is marked so",
    ] {
        assert!(shown(&card).contains(line), "{line} is not in {}", shown(&card));
    }
    broken.refuses(true);
    world.clicks("U0LEAD", &channel, &ts(&card), "approve").await;
    let run = world.incident(1).await.runs.into_values().next().expect("there is a run");
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Failed { step: Some(1), .. } }), "{run:?}");
    let log = std::fs::read_to_string(worker.path()).expect("it can be read");
    assert_eq!(log, "stop\nstart\n");
    let end = shown(&world.again(&channel, &card));
    for line in ["✅ stop the worker: done", "❌ database from v2 to v1: failed", "✅ start the worker: done"] {
        assert!(end.contains(line), "{line} is not in {end}");
    }
    // What it would need to go on with is no longer so.
    assert!(!end.contains("Try again") && !end.contains("Skip"), "{end}");
    world.types("U0LEAD", &channel, "retry run_1_1").await;
    world.whisper("U0LEAD", "what is done whatever happens was done. Plan it again.");
    let timeline = world.timeline("U0LEAD", 1).await;
    assert!(timeline.contains("What is done whatever happens comes next."), "{timeline}");
    world.close().await;
}

const RUN: &str = "run_7_1";

fn id() -> RunId {
    RUN.parse().unwrap()
}

fn ended(outcome: Outcome) -> Report {
    Report::RunFinished { run: id(), outcome, output: None }
}

/// Approved at minute 4 by the lead and under way.
fn running() -> Script {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500");
    script.report(Report::ChannelOpened { channel: ChannelId("C7".into()), name: "inc-7".into() });
    script.play("1m oncall ack\n2m oncall rollback");
    script.report(Report::Planned { run: id(), plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
    script.report(Report::RunStarted { run: id(), fence: 1 });
    script.report(Report::StepStarted { run: id(), step: 0 });
    script
}

#[test]
fn only_those_who_may_approve_go_on_and_only_while_the_approvals_are_fresh() {
    let mut script = running();
    let early = script.then("6m lead retry run_7_1\n6m lead skip run_7_1 no need\n6m lead undo run_7_1");
    assert_eq!(early.matches("refusal.nothing_to_retry").count(), 2, "{early}");
    assert!(early.contains("refusal.nothing_to_undo"), "{early}");
    script.report(ended(Outcome::Failed { step: Some(0), why: Words::verbatim("no") }));
    let others = script.then("6m comms retry run_7_1\n6m comms skip run_7_1 no need");
    assert_eq!(others.matches("refusal.not_approver").count(), 2, "{others}");
    let late = script.then("19m lead retry run_7_1\n19m lead skip run_7_1 no need");
    assert_eq!(late.matches("refusal.approval_too_old").count(), 2, "{late}");
}

#[test]
fn a_run_goes_on_after_the_channel_was_told_and_holds_its_target_from_then_on() {
    let mut script = running();
    script.report(ended(Outcome::Failed { step: Some(0), why: Words::verbatim("no") }));
    assert!(!script.incident.as_ref().unwrap().runs[&id()].holds_targets());
    let asked = script.then("6m cto retry run_7_1");
    assert!(asked.contains("run_resumed") && !asked.contains("run_released"), "{asked}");
    let run = script.incident.as_ref().unwrap().runs[&id()].clone();
    assert!(run.holds_targets() && run.steps.is_empty() && run.ended_at.is_none(), "{run:?}");
    let told = script.incident.as_ref().unwrap().seq;
    let message = MessageRef { channel: ChannelId("C7".into()), ts: "1.1".into() };
    let told = script.then_report(Report::CardPosted { card: Card::Notice(told), message });
    assert!(told.contains("run_released\n    → run, "), "{told}");
    assert!(script.incident.as_ref().unwrap().runs[&id()].approved_plan().is_some());
    let twice = script.then("6m cto retry run_7_1");
    assert!(twice.contains("refusal.nothing_to_retry"), "{twice}");
}

#[test]
fn checks_that_failed_are_tried_again_and_never_skipped() {
    let mut script = running();
    done(&mut script, 0);
    script.report(ended(Outcome::Failed { step: None, why: Words::verbatim("health") }));
    let skipped = script.then("6m lead skip run_7_1 it is well");
    assert!(skipped.contains("refusal.nothing_to_skip"), "{skipped}");
    script.play("6m lead retry run_7_1");
    let run = &script.incident.as_ref().unwrap().runs[&id()];
    assert_eq!((run.current_step(), run.steps.len()), (1, 1), "what is done stays done");
}

/// Three steps, each of something else, approved and under way; the first is done and the second has begun.
fn in_the_second_of_three() -> Script {
    let mut script = Script::new();
    script.play("0m oncall start sev2 checkout returns 500\n2m oncall rollback");
    let mut three = plan("v1", Risk::Reversible);
    for target in ["http:cache", "http:site"] {
        three.steps.push(PlannedStep { target: target.into(), ..three.steps[0].clone() });
    }
    script.report(Report::Planned { run: id(), plan: Ok(Box::new(three)) });
    script.play("3m lead tick run_7_1 backup\n4m lead approve run_7_1\n5m wake");
    script.report(Report::RunStarted { run: id(), fence: 1 });
    script.report(Report::StepStarted { run: id(), step: 0 });
    done(&mut script, 0);
    script.report(Report::StepStarted { run: id(), step: 1 });
    script
}

fn done(script: &mut Script, step: usize) {
    script.report(done_under(1, step));
}

fn done_under(fence: i64, step: usize) -> Report {
    let (note, took) = (Words::verbatim("ok"), Millis(1));
    Report::StepFinished { run: id(), fence: Some(fence), step, note, took, output: None, live: None }
}

fn failed(why: &'static str) -> Report {
    ended(Outcome::Failed { step: Some(1), why: Words::new(why) })
}

fn state(script: &Script) -> &Run {
    &script.incident.as_ref().expect("it is declared").runs[&id()]
}

#[test]
fn once_somebody_has_looked_the_run_goes_on_from_what_they_saw() {
    for (truth, next, to_take_back) in [("happened", 2, vec![0, 1]), ("not-happened", 1, vec![0])] {
        let mut script = in_the_second_of_three();
        script.report(ended(Outcome::Unknown { step: 1, why: Words::verbatim("the answer was lost") }));
        assert!(script.then("6m lead retry run_7_1").contains("refusal.nothing_to_retry"), "nobody has looked");
        script.play(&format!("7m lead settle run_7_1 {truth}"));
        let run = state(&script);
        assert!(!run.went_well() && run.ended_badly() && !run.may_have_changed_unfinished(), "{truth}: {run:?}");
        assert_eq!((run.goes_on_with(), run.steps_to_take_back()), (Some(next), to_take_back), "{truth}");
        assert!(script.then("8m lead retry run_7_1\n9m wake").contains("run_released"), "{truth}");
        assert_eq!((state(&script).steps.len(), state(&script).settled), (next, None), "{truth}");
        // It may be unknown again, and then it is to be looked at again.
        script.report(Report::StepStarted { run: id(), step: next });
        script.report(ended(Outcome::Unknown { step: next, why: Words::verbatim("lost again") }));
        assert!(state(&script).holds_targets(), "{truth}");
    }
    let mut script = in_the_second_of_three();
    done(&mut script, 1);
    script.report(Report::StepStarted { run: id(), step: 2 });
    script.report(ended(Outcome::Unknown { step: 2, why: Words::verbatim("the answer was lost") }));
    let over = script.then("6m lead settle run_7_1 happened\n7m lead retry run_7_1");
    assert!(over.contains("refusal.nothing_to_retry") && state(&script).went_well(), "nothing is left of it: {over}");
}

#[test]
fn what_an_earlier_attempt_tells_late_is_told_to_people_and_is_nothing_that_the_new_one_did() {
    let mut script = in_the_second_of_three();
    // Its process stood still, another one could not tell what became of the step, and somebody looked.
    script.report(Report::RunStarted { run: id(), fence: 2 });
    script.report(ended(Outcome::Unknown { step: 1, why: Words::verbatim("the answer was lost") }));
    let told = script.then_report(done_under(1, 1));
    assert!(told.contains("fault\n"), "whoever is to look is told: {told}");
    script.play("6m lead settle run_7_1 not-happened\n7m lead retry run_7_1\n8m wake");
    let early = script.then_report(done_under(1, 1));
    assert!(early.contains("fault\n") && state(&script).steps.len() == 1, "it has not begun yet: {early}");
    script.report(Report::RunStarted { run: id(), fence: 3 });
    script.report(Report::StepStarted { run: id(), step: 1 });
    let told = script.then_report(done_under(1, 1));
    assert!(told.contains("fault\n") && !told.contains("    step_finished"), "{told}");
    assert_eq!(state(&script).step_in_doubt(), Some(1), "what is under way is not over");
    // Whoever takes this attempt up and whoever had begun it are of it.
    script.report(Report::RunStarted { run: id(), fence: 4 });
    assert!(script.then_report(done_under(3, 1)).contains("    step_finished"));
    assert_eq!(state(&script).step_in_doubt(), None);
    script.report(ended(Outcome::Done));
    assert_eq!(script.then_report(done_under(3, 1)).matches("fault").count(), 0, "it is no news");
}

#[test]
fn what_was_begun_before_it_was_skipped_is_taken_back_and_what_was_left_alone_is_not() {
    for (why, may_have_changed, to_take_back) in
        [("step.program_exit", true, vec![0, 1, 2]), ("step.unchanged", false, vec![0, 2])]
    {
        let mut script = in_the_second_of_three();
        script.report(failed(why));
        script.play("6m lead skip run_7_1 it comes up slowly\n7m wake");
        script.report(Report::RunStarted { run: id(), fence: 1 });
        script.report(Report::StepStarted { run: id(), step: 2 });
        done(&mut script, 2);
        script.report(ended(Outcome::Done));
        assert_eq!(state(&script).steps_to_take_back(), to_take_back, "{why}");
        assert_eq!(state(&script).may_have_changed_unfinished(), may_have_changed, "{why}");
    }
}

#[test]
fn a_step_that_was_tried_again_is_unfinished_until_it_is_done() {
    let mut script = in_the_second_of_three();
    script.report(failed("step.program_exit"));
    script.play("6m lead retry run_7_1\n7m lead stop run_7_1\n8m wake");
    script.report(ended(Outcome::Stopped { done: 1 }));
    let run = state(&script);
    assert_eq!(
        (run.may_have_changed_unfinished(), run.steps_to_take_back()),
        (true, vec![0, 1]),
        "the first try counts"
    );
    script.play("9m lead retry run_7_1\n10m wake");
    script.report(Report::RunStarted { run: id(), fence: 1 });
    script.report(Report::StepStarted { run: id(), step: 1 });
    done(&mut script, 1);
    script.report(Report::StepStarted { run: id(), step: 2 });
    done(&mut script, 2);
    script.report(ended(Outcome::Failed { step: None, why: Words::verbatim("health") }));
    let run = state(&script);
    assert_eq!((run.may_have_changed_unfinished(), run.steps_to_take_back()), (false, vec![0, 1, 2]));
}

/// Open for the first ten minutes of the script.
fn ten_minutes() -> Window {
    let (from, to) = ("02:00".parse().expect("a time"), "02:10".parse().expect("a time"));
    Window { name: "deploys".into(), zone: "UTC".into(), days: [5].into(), from, to, freezes: vec![] }
}

/// P7 before P8 · Half of a change may be worse than either end of it.
#[test]
fn what_has_begun_is_gone_on_with_and_taken_back_although_its_window_has_closed() {
    let mut script = Script::new();
    let action = script.rules.actions.get_mut("rollback-shop").expect("it is there");
    (action.window, action.class) = (Some(ten_minutes()), Class::Planned);
    script.play("0m oncall start sev2 checkout returns 500\n2m oncall rollback");
    script.report(Report::Planned { run: id(), plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    script.play("3m lead tick run_7_1 backup\n9m lead approve run_7_1\n10m wake");
    script.report(Report::StepStarted { run: id(), step: 0 });
    script.report(ended(Outcome::Failed { step: Some(0), why: Words::verbatim("no") }));
    let asked = script.then("11m oncall undo run_7_1");
    assert!(asked.contains("plan_asked"), "{asked}");
    let back: RunId = "run_7_2".parse().expect("a run");
    script.report(Report::Planned { run: back, plan: Ok(Box::new(plan("v2", Risk::Reversible))) });
    let expires = script.incident.as_ref().expect("it is declared").runs[&back].expires_at;
    assert_eq!(expires, Some(script.now + Millis::minutes(15)), "its time begins now, and not when the window opens");
    let approved = script.then("12m lead approve run_7_2");
    assert!(approved.contains("    approved"), "{approved}");

    script.play("13m wake");
    script.report(Report::StepStarted { run: back, step: 0 });
    script.report(Report::RunFinished { run: back, outcome: Outcome::Done, output: None });
    let gone_on = script.then("14m lead retry run_7_1");
    assert!(gone_on.contains("run_resumed"), "{gone_on}");
    script.play("15m wake");
    script.report(ended(Outcome::Done));
    script.play("16m oncall rollback");
    let run = "run_7_3".parse().expect("a run");
    script.report(Report::Planned { run, plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    let refused = script.then("17m lead tick run_7_3 backup\n17m lead approve run_7_3");
    assert!(refused.contains("refusal.window_closed"), "what begins anew waits: {refused}");
}

/// P6, P8 · It is approved already, so nothing but the broken glass says why nobody waited for the window.
#[test]
fn why_a_window_did_not_count_is_kept_with_the_broken_glass() {
    let mut script = Script::new();
    let action = script.rules.actions.get_mut("rollback-shop").expect("it is there");
    (action.window, action.approval.needed) = (Some(ten_minutes()), 2);
    action.break_glass = Some(action.approval.by.clone());
    script.play("0m oncall start sev2 checkout returns 500\n2m oncall rollback");
    script.report(Report::Planned { run: id(), plan: Ok(Box::new(plan("v1", Risk::Reversible))) });
    script.play("3m lead tick run_7_1 backup\n9m lead approve run_7_1");
    let refused = script.then("11m lead approve run_7_1 --break-glass \"nobody answers\"");
    assert!(refused.contains("refusal.window_closed"), "{refused}");
    let taken =
        script.then("12m lead approve run_7_1 --break-glass \"nobody answers\" --override \"orders are being lost\"");
    assert!(taken.contains("glass_broken") && taken.contains("    approved"), "{taken}");
    let record = compile(script.incident.as_ref().expect("it is declared"), &script.timeline);
    assert_eq!(record.runs[0].outside_window.as_deref(), Some("orders are being lost"));
}

#[test]
fn a_run_that_ended_well_cannot_be_handed_over() {
    let mut script = running();
    script.report(ended(Outcome::Done));
    let refused = script.then("6m lead handover run_7_1 cto please\n6m lead retry run_7_1");
    assert!(
        refused.contains("refusal.nothing_to_hand_over") && refused.contains("refusal.nothing_to_retry"),
        "{refused}"
    );
}

/// Also where another of several processes took the click down: what is asked is asked of the database.
#[tokio::test]
async fn who_stops_a_run_is_heard_before_its_next_step_whoever_hears_it() {
    let (gate, second) = (tempfile::tempdir().expect("a folder"), Lever::open().await);
    let wait = format!(
        "      - title: Wait\n        command: {{ target: gate, risk: reversible, to: open, argv: [sh, -c, \"while [ ! -e {}/open \
         ]; do sleep 0.05; done\"] }}\n",
        gate.path().display()
    );
    let action = action("both", "Do both", "", &[wait, second.step("second", "v1")]);
    let world = World::open_changed(&[("actions:\n", &action)]).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "rollback both").await;
    let card = world.message(&channel, "approve run_1_1");
    world.ws().person("U0LEAD").click(&channel, &ts(&card), "approve").await.expect("there is a button");
    let run = async || world.incident(1).await.runs.into_values().next().expect("there is a run");
    let begun = async || (run().await.steps.len() == 1).then_some(());
    until("the first step begins", PATIENCE, begun).await;
    match world.beside().await {
        Some(other) => {
            let stop = Input::Command {
                by: Actor::Person("U0DBA".into()),
                command: Box::new(parse("stop run_1_1").expect("it is a command").command),
                channel: None,
                reply: ReplyTo::Terminal { ask: "other".into() },
            };
            let now = world.setup.vigie.clock.now();
            other.receive("other", Target::incident(IncidentId(1)), &stop, now).await.expect("it is taken down");
            // It is decided here, or there.
            other.take_next(move || now, crate::store::answer(now)).await.expect("the database answers");
            other.close().await;
        }
        None => {
            let stops = async || world.ws().person("U0DBA").click(&channel, &ts(&card), "stop").await.ok();
            until("the card has the button", PATIENCE, stops).await;
        }
    }
    let asked = async || run().await.stop_asked.then_some(());
    until("the run is to stop", PATIENCE, asked).await;
    std::fs::write(gate.path().join("open"), "").expect("it can be written");
    world.settle().await;
    assert_eq!(run().await.phase, Phase::Finished { outcome: Outcome::Stopped { done: 1 } });
    assert_eq!(second.positions(), ["v2"], "the second step was never begun");
    let told = shown(&world.message("C0GENERAL", "Rollback stopped"));
    for line in ["somebody stopped it between two steps", "Done: Wait", "Not done: second from v2 to v1"] {
        assert!(told.contains(line), "the audiences of the house hear “{line}”: {told}");
    }
    world.close().await;
}

/// “The new version is tested” says nothing of the way back, and nobody should have to tick it there.
#[tokio::test]
async fn the_check_list_of_an_action_is_not_asked_of_whoever_takes_it_back() {
    let lever = Lever::open().await;
    let list = "    checklist: [{ key: tested, text: It is tested. }]\n";
    let action = action("forth", "Put it forth", list, &[lever.step("lever", "v1")]);
    let world = World::open_changed(&[("actions:\n", &action)]).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    for (who, line) in [
        ("U0ONCALL", "run forth"),
        ("U0ONCALL", "tick run_1_1 tested"),
        ("U0LEAD", "approve run_1_1"),
        ("U0ONCALL", "undo run_1_1"),
    ] {
        world.types(who, &channel, line).await;
    }
    let card = world.message(&channel, "approve run_1_2");
    assert!(!shown(&card).contains("tested"), "{}", shown(&card));
    world.clicks("U0LEAD", &channel, &ts(&card), "approve").await;
    assert_eq!(lever.positions(), ["v2", "v1", "v2"]);
    world.close().await;
}
