//! When and by whom a plan may be approved, beyond the everyday rule: dry runs, drills, windows, broken glass (P6, P8).

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Run};
use vigie::practice::Trouble;
use vigie::practice::phones::{Door, Fault};

use crate::lever::{Lever, action};
use crate::postmortem::{newest_file, section};
use crate::world::{World, shown, ts};

/// The switch's action with more about its approval, and the team's other sections.
async fn team(lever: &Lever, more: &str, sections: &str) -> World {
    let action = action("flags-back", "Put the flags back", more, &[lever.step("flags", "v1")]);
    World::open_changed(&[("actions:\n", &format!("{sections}{action}"))]).await
}

async fn declared(world: &World, line: &str) -> String {
    world.types("U0ONCALL", "C0GENERAL", line).await;
    world.channel(1).await
}

async fn run(world: &World) -> Run {
    world.incident(1).await.runs.into_values().next_back().expect("there is a run")
}

/// What the post-mortem says was run, once all is over.
async fn ran_according_to_the_post_mortem(world: &World, channel: &str) -> String {
    world.types("U0LEAD", channel, "resolve the flags are back").await;
    world.types("U0LEAD", channel, "postmortem").await;
    section(&newest_file(world), "What was run").to_owned()
}

const DONE: Phase = Phase::Finished { outcome: Outcome::Done };

#[tokio::test]
async fn a_dry_run_shows_everything_and_touches_nothing() {
    let lever = Lever::open().await;
    let world = team(&lever, "", "").await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back --dry-run").await;
    let card = world.message(&channel, "Dry run: Put the flags back");
    for line in
        ["*v2 → v1* · flags", "Nothing was changed, and it cannot be approved", "can be changed back", "Plan for real"]
    {
        assert!(shown(&card).contains(line), "{line} is not in {}", shown(&card));
    }
    assert!(!card.to_string().contains("approve run_1_1"), "{card:#}");
    assert_eq!(run(&world).await.phase, Phase::Rehearsed);
    world.joins("U0LEAD", &channel).await;
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    world.whisper("U0LEAD", "This was a dry run");
    world.pass(60).await;
    assert_eq!((run(&world).await.phase, lever.positions()), (Phase::Rehearsed, vec!["v2".to_owned()]));

    world.clicks("U0ONCALL", &channel, &ts(&card), "Plan for real").await;
    let plan = world.message(&channel, "approve run_1_2");
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    assert_eq!((run(&world).await.phase, lever.positions()), (DONE, vec!["v2".to_owned(), "v1".to_owned()]));
    assert!(world.timeline("U0LEAD", 1).await.contains("<@U0ONCALL> asked for a dry run: Put the flags back"));
    world.close().await;
}

#[tokio::test]
async fn a_drill_has_the_rules_of_a_drill() {
    let lever = Lever::open().await;
    let more = "      drill: { by: [oncall], requester_may: true }\n";
    let world = team(&lever, more, "").await;
    let channel = declared(&world, "start sev2 --drill checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let plan = world.message(&channel, "approve run_1_1");
    world.joins("U0LEAD", &channel).await;
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    world.whisper("U0LEAD", "may decide this");
    world.clicks("U0ONCALL", &channel, &ts(&plan), "approve").await;
    assert_eq!(run(&world).await.phase, DONE);

    // In earnest the everyday rule holds.
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500 again").await;
    let earnest = world.channel(2).await;
    lever.push("v2");
    world.types("U0ONCALL", &earnest, "rollback flags-back").await;
    world.types("U0ONCALL", &earnest, "approve run_2_1").await;
    world.whisper("U0ONCALL", "You asked for this, so somebody else must approve it");
    world.close().await;
}

/// The world's clock stands at three in the morning of a Friday in Paris.
const WINDOWS: &str = "windows:
  deploys:
    days: [tuesday, wednesday, thursday]
    from: \"09:00\"
    to: \"12:00\"
";

#[tokio::test]
async fn outside_its_window_only_what_is_urgent_is_approved_and_only_with_a_reason_that_everybody_sees() {
    let lever = Lever::open().await;
    let world = team(&lever, "    window: deploys\n", WINDOWS).await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let plan = world.message(&channel, "approve run_1_1");
    let line = "*Window:* deploys, closed now, opens <!date^1795507200^";
    assert!(shown(&plan).contains(line), "{}", shown(&plan));
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    let refused = shown(&world.whisper("U0LEAD", "The window “deploys” is closed"));
    assert!(refused.contains("it opens <!date^1795507200^") && refused.contains("`--override`"), "{refused}");
    // The button asks why.
    world.clicks("U0LEAD", &channel, &ts(&plan), "override").await;
    world.submits("U0LEAD", json!({"reason": "orders are being lost"})).await;
    assert_eq!(run(&world).await.phase, DONE);
    let timeline = world.timeline("U0LEAD", 1).await;
    assert!(timeline.contains("outside its window: orders are being lost"), "{timeline}");
    let ran = ran_according_to_the_post_mortem(&world, &channel).await;
    assert!(ran.contains("**Approved outside its window**: orders are being lost"), "{ran}");
    world.close().await;
}

#[tokio::test]
async fn a_plan_that_is_not_urgent_waits_for_its_window_and_can_be_approved_in_it() {
    let lever = Lever::open().await;
    let action = action("flags-back", "Put the flags back", "    window: deploys\n", &[lever.step("flags", "v1")]);
    let action = action.replace("class: urgent", "class: planned");
    let world = World::open_changed(&[("actions:\n", &format!("{WINDOWS}{action}"))]).await;
    let channel = declared(&world, "start sev3 the flags are old").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    world.types("U0LEAD", &channel, "approve run_1_1 --override \"I want to go home\"").await;
    let refused = shown(&world.whisper("U0LEAD", "The window “deploys” is closed"));
    assert!(!refused.contains("--override"), "{refused}");
    // From Friday 03:00 to Tuesday 09:10 in Paris.
    world.pass((4 * 24 + 6) * 60 + 10).await;
    assert_eq!(run(&world).await.phase, Phase::Pending, "its time to be approved begins when the window opens");
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    assert_eq!(run(&world).await.phase, DONE);
    // It is past noon, and what was done is taken back all the same.
    world.pass(4 * 60).await;
    world.types("U0ONCALL", &channel, "undo run_1_1").await;
    let back = world.message(&channel, "approve run_1_2");
    let line = "*Window:* deploys does not count here: what has begun may be taken back at any time";
    assert!(shown(&back).contains(line), "{}", shown(&back));
    world.clicks("U0LEAD", &channel, &ts(&back), "approve").await;
    assert_eq!((run(&world).await.phase, lever.positions().len()), (DONE, 3));
    world.close().await;
}

#[tokio::test]
async fn the_glass_is_broken_only_by_those_named_with_a_reason_and_everybody_hears_it() {
    let lever = Lever::open().await;
    let more = "      needed: 2\n      break_glass: { by: [oncall] }\n";
    let world = team(&lever, more, "").await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "role commander @cto").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let plan = shown(&world.message(&channel, "approve run_1_1"));
    assert!(plan.contains("*Emergency:* <@U0ONCALL> may approve alone"), "{plan}");
    world.types("U0LEAD", &channel, "approve run_1_1 --break-glass \"me too\"").await;
    world.whisper("U0LEAD", "may decide this");
    assert_eq!(run(&world).await.phase, Phase::Pending);

    let paged = world.dms("U0CTO").len();
    world.types("U0ONCALL", &channel, "approve run_1_1 --break-glass \"nobody answers\"").await;
    assert_eq!(run(&world).await.phase, DONE);
    world.message(
        &channel,
        "🚨 <@U0ONCALL> broke the glass and approves Put the flags back (run_1_1) alone: nobody answers",
    );
    assert_eq!(world.dms("U0CTO").len(), paged + 1, "whoever is in charge is told");
    let page = shown(world.dms("U0CTO").last().expect("a page"));
    assert!(page.contains("<@U0ONCALL> approved an action alone, breaking the glass"), "{page}");
    let card = shown(&world.message(&channel, "🚨 Glass broken by <@U0ONCALL>: nobody answers"));
    assert!(card.contains("Done: Put the flags back"), "{card}");
    let ran = ran_according_to_the_post_mortem(&world, &channel).await;
    assert!(ran.contains("**The glass was broken**: nobody answers"), "{ran}");
    world.close().await;
}

/// The second approval does not come.
#[tokio::test]
async fn who_has_approved_already_may_break_the_glass() {
    let lever = Lever::open().await;
    let more = "      needed: 2\n      break_glass: { by: [lead] }\n";
    let world = team(&lever, more, "").await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    assert_eq!(run(&world).await.phase, Phase::Pending);
    let told = world.asks("U0LEAD", &channel, "approve run_1_1").await;
    assert!(told.contains("already"), "{told}");
    world.types("U0LEAD", &channel, "approve run_1_1 --break-glass \"nobody else answers\"").await;
    let run = run(&world).await;
    assert_eq!((&run.phase, run.approvals.len()), (&DONE, 1));
    world.close().await;
}

#[tokio::test]
async fn nobody_breaks_a_glass_that_the_configuration_does_not_have() {
    let lever = Lever::open().await;
    let world = team(&lever, "", "").await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let told = world.asks("U0LEAD", &channel, "approve run_1_1 --break-glass \"it burns\"").await;
    assert_eq!(told, "The configuration lets nobody approve this alone.");
    assert_eq!(run(&world).await.phase, Phase::Pending);
    world.close().await;
}

/// P6 · Who holds the role at that moment, whoever it was when the plan was shown.
#[tokio::test]
async fn whoever_holds_the_role_may_approve_and_who_has_given_it_away_may_not() {
    let lever = Lever::open().await;
    let action = action("flags-back", "Put the flags back", "", &[lever.step("flags", "v1")]);
    let action = action.replace("by: [lead, dba]", "by: [\"role:commander\"]");
    let world = World::open_changed(&[("actions:\n", &action)]).await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "role commander @lead").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let plan = world.message(&channel, "approve run_1_1");
    world.joins("U0DBA", &channel).await;
    world.types("U0ONCALL", &channel, "role commander @dba").await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    world.whisper("U0LEAD", "may decide this");
    assert_eq!((run(&world).await.phase, lever.positions().len()), (Phase::Pending, 1));
    world.clicks("U0DBA", &channel, &ts(&plan), "approve").await;
    assert_eq!(run(&world).await.phase, DONE);
    assert_eq!(lever.positions(), ["v2", "v1"]);
    world.close().await;
}

/// A team whose leads are a user group in Slack.
async fn grouped(lever: &Lever) -> (World, String, Value) {
    let action = action("flags-back", "Put the flags back", "", &[lever.step("flags", "v1")]);
    let action = action.replace("by: [lead, dba]", "by: [\"group:S0LEADS\"]");
    let world = World::open_changed(&[("actions:\n", &action)]).await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let plan = world.message(&channel, "approve run_1_1");
    (world, channel, plan)
}

#[tokio::test]
async fn a_member_of_the_group_at_that_moment_may_approve_and_one_who_left_may_not() {
    let lever = Lever::open().await;
    let (world, channel, plan) = grouped(&lever).await;
    assert!(shown(&plan).contains("may approve: <!subteam^S0LEADS>"), "{}", shown(&plan));
    world.ws().set_usergroup("S0LEADS", &["U0DBA"]);
    world.joins("U0LEAD", &channel).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    world.whisper("U0LEAD", "may decide this");
    assert_eq!(run(&world).await.phase, Phase::Pending);
    world.joins("U0DBA", &channel).await;
    world.clicks("U0DBA", &channel, &ts(&plan), "approve").await;
    assert_eq!(run(&world).await.phase, DONE);
    assert_eq!(lever.positions(), ["v2", "v1"]);
    let asked = world.ws().calls_of("usergroups.users.list").len();
    assert_eq!(asked, 2, "Slack is asked each time");
    world.close().await;
}

#[tokio::test]
async fn a_group_that_cannot_be_looked_up_is_no_yes() {
    let lever = Lever::open().await;
    let (world, channel, plan) = grouped(&lever).await;
    world.ws().faults().until_cleared("usergroups.users.list", Trouble::Error("missing_scope".into()));
    world.joins("U0LEAD", &channel).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    world.whisper("U0LEAD", "Slack could not be asked who is in the group");
    assert_eq!(run(&world).await.phase, Phase::Pending);
    world.ws().faults().clear();
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    assert_eq!(run(&world).await.phase, DONE);
    world.close().await;
}

#[tokio::test]
async fn lines_of_a_check_list_are_ticked_before_during_and_after_and_what_is_left_is_said_at_the_end() {
    let lever = Lever::open().await;
    let list = "    checklist:\n      - { key: ready, text: Support knows }\n      - { key: calm, text: The queue is empty again, \
                when: after }\n      - { key: watch, text: Somebody watches the errors, when: during, required: false }\n";
    let world = team(&lever, list, "").await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let plan = world.message(&channel, "approve run_1_1");
    let card = shown(&plan);
    assert!(card.contains("☐ Support knows") && card.contains("1 required line to tick before approval"), "{card}");
    assert!(!card.contains("The queue is empty again"), "its time has not come: {card}");
    world.types("U0LEAD", &channel, "tick run_1_1 calm").await;
    world.whisper("U0LEAD", "This line is ticked once it has ended.");
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 ready").await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    assert_eq!(run(&world).await.phase, DONE);
    let card = shown(&world.again(&channel, &plan));
    for line in ["☐ The queue is empty again", "☐ Somebody watches the errors (optional)", "1 required line to tick"]
    {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    assert!(!card.contains("Support knows"), "{card}");
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 watch").await;
    assert!(shown(&world.again(&channel, &plan)).contains("☑ Somebody watches the errors"));
    world.types("U0LEAD", &channel, "resolve the flags were wrong").await;
    world.whisper("U0LEAD", "not ticked: The queue is empty again");
    world.close().await;
}

/// The team's general channel is an audience of the house.
#[tokio::test]
async fn audiences_within_the_house_hear_that_a_roll_back_is_in_progress_and_how_it_ended() {
    let lever = Lever::open().await;
    let world = team(&lever, "", "").await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    assert_eq!(run(&world).await.phase, DONE);
    let began = world.message("C0GENERAL", "Rollback in progress");
    let ended = world.message("C0GENERAL", "Rolled back");
    assert!(ts(&began) < ts(&ended));
    let told = shown(&began);
    assert!(told.contains("Put the flags back") && told.contains("v2 → v1"), "{told}");
    let timeline = world.timeline("U0LEAD", 1).await;
    assert!(timeline.contains("company/general was told how Put the flags back (run_1_1) ended"), "{timeline}");
    world.close().await;
}

/// A mailing list whose server is busy when the roll-back begins, and again when it has ended.
#[tokio::test]
async fn an_audience_whose_mail_server_is_busy_hears_of_a_roll_back_a_little_later() {
    let lever = Lever::open().await;
    let action = action("flags-back", "Put the flags back", "", &[lever.step("flags", "v1")]);
    let general = "      - name: general\n        slack: C0GENERAL\n";
    let mailing = "      - name: list\n        email: [company@example.com]\n";
    let world = World::open_changed(&[("actions:\n", &action), (general, mailing)]).await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    world.settle().await;
    world.setup.phones.fail_next(Door::Smtp, Fault::TooMany, 1);
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    world.pass(2).await;
    assert_eq!(run(&world).await.phase, DONE);
    let told = || -> Vec<String> {
        let deliveries = world.setup.phones.deliveries();
        deliveries.into_iter().filter(|one| one.to.contains("company@")).map(|one| one.body).collect()
    };
    assert!(told().iter().any(|body| body.contains("Rollback in progress")), "{:?}", told());
    assert!(told().iter().any(|body| body.contains("Rolled back")), "{:?}", told());
    let timeline = world.timeline("U0LEAD", 1).await;
    assert!(!timeline.contains("company/list was not told"), "{timeline}");
    world.close().await;
}

#[tokio::test]
async fn audiences_that_were_told_of_a_roll_back_hear_its_end_whatever_the_end() {
    let lever = Lever::open().await;
    let world = team(&lever, "", "").await;
    let channel = declared(&world, "start sev2 checkout returns 500").await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    lever.push("v3");
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    let told = shown(&world.message("C0GENERAL", "Rollback stopped"));
    for line in
        ["changed since the plan: flags is at v3", "no change was made", "To decide: approve the new plan, run_1_2"]
    {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    lever.push("v2");
    world.types("U0LEAD", &channel, "reject run_1_2 another one").await;

    for (id, truth, says) in [
        ("run_1_3", "happened", ["serves v1 again", "says that it happened; the checks of the plan were not run"]),
        ("run_1_4", "not-happened", ["no change was made", "looked: it did not happen"]),
    ] {
        world.types("U0ONCALL", &channel, "run flags-back").await;
        lever.hides_once_put();
        let before = world.ws().messages("C0GENERAL").len();
        world.types("U0LEAD", &channel, &format!("approve {id}")).await;
        let phase = run(&world).await.phase;
        assert!(matches!(phase, Phase::Finished { outcome: Outcome::Unknown { .. } }), "{phase:?}");
        assert_eq!(world.ws().messages("C0GENERAL").len(), before + 1, "nobody knows the end yet");
        world.types("U0LEAD", &channel, &format!("settle {id} {truth}")).await;
        let told = shown(world.ws().messages("C0GENERAL").last().expect("it was told"));
        for line in says.iter().chain([&id]) {
            assert!(told.contains(line), "{line} is not in {told}");
        }
        lever.shows_again();
        lever.push("v2");
    }
    world.close().await;
}
