//! GitHub Actions (G2): a workflow is started once and followed to its end.

use serde_json::json;
use vigie::incident::approval::Outcome;

use crate::french::is_french;
use crate::platforms::github::{Github, REPOSITORY};
use crate::platforms::{Desk, Trouble, Which};
use crate::room::Room;
use crate::runbook::{self, Runbook};
use crate::world::shown;

const TOKEN: &str = "github-token-for-tests";
const MARKED: &str = "mark_input: vigie_run";

fn step(desk: &Desk<Github>, more: &str, token: &str) -> String {
    format!(
        "github_workflow: {{ repository: {REPOSITORY}, workflow: rollback.yml, ref: main, token: \"{token}\", \
         base_url: \"{}\", settle: 200ms, inputs: {{ environment: production }}{}{more} }}",
        desk.url,
        if more.is_empty() { "" } else { ", " }
    )
}

async fn scene(more: &str) -> (Desk<Github>, Room) {
    let desk = Desk::open(Github::new()).await;
    let room = Room::with_step(&format!("within: 2s\n{}", step(&desk, more, TOKEN)));
    (desk, room)
}

#[tokio::test]
async fn a_workflow_is_started_once_and_followed_to_its_end_with_its_link() {
    let (desk, room) = scene(MARKED).await;
    let plan = room.planned().await;
    let step = &plan.steps[0];
    assert_eq!((step.from.as_deref(), step.to.as_str()), (Some("#1 ✓"), "rollback.yml ✓"));
    let lines: Vec<&str> = step.diff.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(lines, ["words.verbatim", "workflow.last", "workflow.no_way_back"]);
    assert_eq!(step.diff[0].vars["text"], "environment = production");
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert!(ran.everything().contains("https://github.com/example/shop/actions/runs/9002"), "{}", ran.everything());
    let writes: Vec<_> = desk.calls().into_iter().filter(|call| call.is_write()).collect();
    let inputs = json!({"environment": "production", "vigie_run": "run_7_1-step-1-0-7"});
    assert_eq!((writes.len(), &writes[0].body["inputs"]), (1, &inputs));
}

#[tokio::test]
async fn a_workflow_that_fails_fails_the_step_with_its_link() {
    for conclusion in ["failure", "cancelled", "timed_out"] {
        let (desk, room) = scene(MARKED).await;
        let plan = room.planned().await;
        desk.with(|github| github.conclusion = conclusion);
        let line = room.run(&plan).await.line();
        assert!(line.starts_with("failed: workflow.ended") && line.contains(conclusion), "{line}");
        assert!(line.contains("/runs/9002"), "{line}");
        // The same when its answer is lost: it happened, and it failed.
        let again = room.taken_up(&plan).await.line();
        assert!(again.starts_with("failed: workflow.ended"), "{again}");
        assert_eq!(desk.writes().len(), 1);
    }
}

/// G2, P7 · what failed before is not told as what comes of trying again.
#[tokio::test]
async fn a_workflow_that_failed_is_started_anew_when_it_is_tried_again() {
    for conclusion in ["failure", "cancelled"] {
        let (desk, room) = scene(MARKED).await;
        let plan = room.planned().await;
        desk.with(|github| github.conclusion = conclusion);
        let line = room.run(&plan).await.line();
        assert!(line.starts_with("failed: workflow.ended") && line.contains("/runs/9002"), "{line}");
        desk.with(|github| github.conclusion = "success");
        let ran = room.tried_again(&plan).await;
        assert_eq!((ran.line().as_str(), desk.writes().len()), ("done", 2), "{}", ran.everything());
        assert!(ran.everything().contains("/runs/9003"), "{}", ran.everything());
        // What went well is not started a second time.
        assert_eq!((room.tried_again(&plan).await.line().as_str(), desk.writes().len()), ("done", 2));
    }
    for (trouble, settle, wanted) in
        [(Trouble::LosesAnswer, "15s", "done"), (Trouble::LosesRequest, "200ms", "failed: step.both")]
    {
        let desk = Desk::open(Github::new()).await;
        let step = step(&desk, MARKED, TOKEN).replace("settle: 200ms", &format!("settle: {settle}"));
        let room = Room::with_step(&format!("within: 20s\n{step}"));
        let plan = room.planned().await;
        desk.with(|github| github.conclusion = "failure");
        room.run(&plan).await;
        desk.with(|github| (github.conclusion, github.readings) = ("success", 0));
        desk.next(Which::Write, trouble);
        // The list shows only the former run at first.
        desk.with(|github| github.list_is_late_after_start = 3);
        let ran = room.tried_again(&plan).await;
        assert!(ran.line().starts_with(wanted), "{wanted}: {}", ran.everything());
        assert!(!ran.line().contains("/runs/9002"), "{}", ran.line());
    }
}

/// One that was taken for failed while it went on is followed, and none is started beside it.
#[tokio::test]
async fn a_workflow_that_still_runs_is_not_started_beside_itself() {
    // Of another attempt, as former releases marked it, and of another step.
    for (mark, writes) in [("run_7_1-step-1-0-5", 0), ("run_7_1-step-1-0", 0), ("run_7_1-step-12-0-5", 1)] {
        let (desk, room) = scene(&format!("{MARKED}, when_busy: join_queue")).await;
        let plan = room.planned().await;
        desk.with(|github| _ = github.begins(&format!("Roll back {mark}"), "workflow_dispatch", 3));
        let ran = room.run(&plan).await;
        assert_eq!((ran.line().as_str(), desk.writes().len()), ("done", writes), "{mark}: {}", ran.everything());
    }
}

/// G2, P1 · staging first, then production: one workflow, two ways of running it.
#[tokio::test]
async fn one_workflow_runs_twice_in_a_plan_with_other_inputs() {
    let desk = Desk::open(Github::new()).await;
    let first = step(&desk, MARKED, TOKEN);
    let second = first.replace("production", "staging");
    let text = Room::text(&format!("within: 2s\n{first}"), "command: { argv: [\"true\"] }");
    let room = Room::open(&text.replace("\nservices:", &format!("\n    - within: 2s\n      {second}\nservices:")));
    let plan = room.planned().await;
    let ran = room.run(&plan).await;
    assert_eq!((ran.line().as_str(), desk.writes().len()), ("done", 2), "{}", ran.everything());
}

#[tokio::test]
async fn a_start_without_an_answer_is_found_by_its_mark() {
    let (desk, room) = scene(MARKED).await;
    desk.with(|github| (github.list_is_late, github.readings) = (3, 0));
    desk.next(Which::Write, Trouble::LosesAnswer);
    let plan = room.planned().await;
    desk.with(|github| _ = github.begins("Roll back by hand", "workflow_dispatch", 0));
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert!(ran.everything().contains("/runs/9003"), "{}", ran.everything());

    let (desk, room) = scene(MARKED).await;
    desk.next(Which::Write, Trouble::LosesRequest);
    let line = room.goes().await.line();
    assert!(line.starts_with("failed: step.both") && line.contains("workflow.not_started"), "{line}");
    assert_eq!(desk.writes().len(), 1);
}

/// Whoever maintains the workflow's file lost the mark in its `run-name`: nothing here can see that beforehand.
#[tokio::test]
async fn a_run_whose_name_does_not_show_the_mark_is_never_told_as_not_started() {
    let (desk, room) = scene(MARKED).await;
    desk.with(|github| github.hides_mark = true);
    let plan = room.planned().await;
    desk.next(Which::Write, Trouble::LosesAnswer);
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("unknown: step.both") && line.contains("workflow.which"), "{line}");
    assert!(line.contains("/runs/9002"), "{line}");
    let line = room.taken_up(&plan).await.line();
    assert!(line.starts_with("unknown: ") && line.contains("/runs/9002"), "{line}");
    assert_eq!(desk.writes().len(), 1, "it is not started twice");

    // Another step's mark is not ours, and it is not one that lost its mark either.
    let (desk, room) = scene(MARKED).await;
    let plan = room.planned().await;
    desk.with(|github| _ = github.begins("Roll back run_3_2-step-1-0-7", "workflow_dispatch", 0));
    desk.next(Which::Write, Trouble::LosesRequest);
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.both") && line.contains("workflow.not_started"), "{line}");
}

#[tokio::test]
async fn without_a_mark_a_lost_answer_is_left_to_a_person() {
    let (desk, room) = scene("").await;
    let plan = room.planned().await;
    assert_eq!(plan.steps[0].diff.last().expect("lines").key, "workflow.no_mark");
    desk.next(Which::Write, Trouble::LosesAnswer);
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("unknown: step.both") && line.contains("workflow.which"), "{line}");
    assert!(line.contains("/runs/9002"), "{line}");
    assert_eq!(desk.writes().len(), 1);
}

#[tokio::test]
async fn a_branch_by_its_whole_name_is_still_found_among_the_runs() {
    let desk = Desk::open(Github::new()).await;
    let step = step(&desk, "", TOKEN).replace("ref: main", "ref: refs/heads/main");
    let room = Room::with_step(&format!("within: 2s\n{step}"));
    desk.next(Which::Write, Trouble::LosesAnswer);
    let line = room.goes().await.line();
    assert!(line.starts_with("unknown: step.both") && line.contains("workflow.which"), "{line}");
    assert!(line.contains("/runs/9002"), "{line}");
}

#[tokio::test]
async fn a_run_that_is_not_found_yet_or_was_asked_for_too_often_is_followed_all_the_same() {
    for (unseen, limited) in [(2, 0), (0, 1)] {
        let desk = Desk::open(Github::new()).await;
        let room = Room::with_step(&format!("within: 10s\n{}", step(&desk, MARKED, TOKEN)));
        desk.with(|github| (github.unseen, github.limited) = (unseen, limited));
        let ran = room.goes().await;
        assert_eq!(ran.line(), "done", "{unseen} {limited}: {}", ran.everything());
    }
    // One that stays away is not waited for for ever.
    let (desk, room) = scene(MARKED).await;
    desk.with(|github| github.unseen = usize::MAX);
    let line = room.goes().await.line();
    assert!(line.starts_with("unknown: ") && line.contains("api.absent"), "{line}");
}

#[tokio::test]
async fn an_older_server_that_tells_no_number_is_followed_all_the_same() {
    for more in ["", MARKED] {
        let (desk, room) = scene(more).await;
        desk.with(|github| github.says_no_number = true);
        let ran = room.goes().await;
        assert_eq!((ran.line().as_str(), desk.writes().len()), ("done", 1), "{}", ran.everything());
    }
    // What somebody ran by hand between plan and approval is not ours.
    let (desk, room) = scene("").await;
    desk.with(|github| github.says_no_number = true);
    let plan = room.planned().await;
    desk.with(|github| _ = github.begins("Roll back by hand", "workflow_dispatch", 0));
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert!(ran.everything().contains("/runs/9003"), "{}", ran.everything());
}

/// It is in the list before ours is, and would be the only one for a while.
#[tokio::test]
async fn somebody_elses_run_is_not_followed_because_ours_is_not_listed_yet() {
    for more in ["", MARKED] {
        let (desk, room) = scene(more).await;
        desk.with(|github| (github.says_no_number, github.hides_mark) = (true, true));
        let plan = room.planned().await;
        desk.with(|github| _ = github.begins("Roll back by hand", "workflow_dispatch", 0));
        desk.with(|github| github.list_is_late = 3);
        let ran = room.run(&plan).await;
        let line = ran.line();
        assert!(line.starts_with("unknown: ") && line.contains("workflow.started_unseen"), "{line}");
        assert_eq!(desk.writes().len(), 1);
    }
}

#[tokio::test]
async fn a_workflow_that_runs_already_is_refused_or_joined() {
    let (desk, room) = scene(MARKED).await;
    let plan = room.planned().await;
    desk.with(|github| _ = github.begins("Deploy", "push", 1_000));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("workflow.busy"), "{line}");
    assert!(room.refusal().await.contains("workflow.busy"));
    assert!(desk.writes().is_empty());

    let (desk, room) = scene("when_busy: join_queue").await;
    desk.with(|github| _ = github.begins("Deploy", "push", 1_000));
    assert_eq!((room.goes().await.line().as_str(), desk.writes().len()), ("done", 1));
}

#[tokio::test]
async fn what_github_refuses_is_said_and_a_broken_github_is_not_asked_twice() {
    let (desk, room) = scene(MARKED).await;
    desk.with(|github| github.takes = vec!["environment"]);
    let line = room.goes().await.line();
    assert!(line.contains("step.unchanged") && line.contains("Unexpected inputs provided"), "{line}");
    for (status, wanted) in [(401, "api.unknown_us"), (403, "api.denied"), (404, "api.absent")] {
        let (desk, room) = scene(MARKED).await;
        desk.next(Which::Write, Trouble::Says(status, json!({"message": "no, because of it"})));
        let line = room.goes().await.line();
        assert!(line.starts_with("failed: step.unchanged") && line.contains(wanted), "{status}: {line}");
    }
    let (desk, room) = scene(MARKED).await;
    desk.next(Which::Write, Trouble::Says(502, json!({"message": "Bad gateway"})));
    let line = room.goes().await.line();
    assert!(line.starts_with("failed: step.both") && line.contains("workflow.not_started"), "{line}");
    assert_eq!(desk.writes().len(), 1);
    desk.with(|github| github.token = "another-token-altogether".into());
    assert!(room.refusal().await.contains("api.unknown_us"));
}

#[tokio::test]
async fn a_workflow_that_does_not_end_in_time_is_not_taken_for_a_failure() {
    let desk = Desk::open(Github::new()).await;
    let room = Room::with_step(&format!("within: 400ms\n{}", step(&desk, MARKED, TOKEN)));
    desk.with(|github| github.readings = 1_000_000);
    let ran = room.goes().await;
    assert!(ran.line().starts_with("unknown: ") && ran.line().contains("workflow.standing"), "{}", ran.line());
    assert!(!ran.everything().contains(TOKEN));
}

/// G2, P3, P6 · from the slash command to the timeline, in both languages.
#[tokio::test]
async fn a_roll_back_workflow_is_run_from_slack() {
    for (locale, title) in [("en", "Run rollback.yml on main"), ("fr", "Lancer rollback.yml sur main")] {
        let desk = Desk::open(Github::new()).await;
        let check = format!(
            "http:\n  url: {}/repos/example/shop/actions/runs/9002\n  headers: {{ Authorization: \"Bearer {}\" }}\n  \
             fields: [{{ field: /conclusion, equals: success }}]\n",
            desk.url,
            runbook::TOKEN
        );
        let more = format!("{MARKED}, risk: reversible");
        let step = format!("- within: 5s\n  {}", step(&desk, &more, runbook::TOKEN));
        let runbook = Runbook::open(locale, &check, &step).await;
        desk.with(|github| github.token = runbook.token());
        let (channel, card) = runbook.planned().await;
        let text = shown(&card);
        assert!(text.contains(title) && text.contains("environment = production"), "{text}");
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        let link = "https://github.com/example/shop/actions/runs/9002";
        assert!(done.contains(link), "{done}");
        assert_eq!(desk.writes().len(), 1);
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains(link), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}
