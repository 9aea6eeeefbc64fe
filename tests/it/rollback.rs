//! Nothing is changed that was not shown, approved and still true, and everybody is told before (P1–P7).

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Run};
use vigie::incident::timeline::{Card, Fact};
use vigie::practice::Trouble;

use crate::lever::{Lever, action};
use crate::world::{World, shown, ts};

const IMPATIENT: (&str, &str) = ("verify_within: 1m", "verify_within: 2s");

async fn declared(world: &World) -> String {
    world.setup.shop.break_it();
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "ack").await;
    channel
}

async fn plan_shown(world: &World) -> (String, Value) {
    let channel = declared(world).await;
    world.types("U0ONCALL", &channel, "rollback").await;
    let plan = world.message(&channel, "approve run_1_1");
    (channel, plan)
}

async fn run(world: &World, incident: i64) -> Run {
    world.incident(incident).await.runs.into_values().next_back().expect("there is a run")
}

fn active(world: &World) -> String {
    world.setup.shop.state().switch.active
}

#[tokio::test]
async fn the_plan_says_everything_before_anybody_decides() {
    let world = World::open().await;
    let (_, plan) = plan_shown(&world).await;
    let card = shown(&plan);
    for line in [
        "To approve: Roll back the bookshop",
        "*v2 → 1.2.3 (v1)* · bookshop version",
        "Switch the bookshop from v2 to 1.2.3 (v1)",
        "The version before was healthy for weeks.",
        "Buying a book: 500 in",
        "can be changed back · urgent (under 15 min) · usually takes 30 s",
        "*When not to:*",
        "The data is wrong, not the program.",
        "*Leaves alone:* Orders already placed stay as they are.",
        "*Checked afterwards:*",
        "Buying a book",
        "*If it fails:*",
        "1 required line to tick before approval",
        "☐ The new version has not changed stored data.",
        "☐ Support knows. (optional)",
        "*Approvals:* 0 of 1, 1 more needed (may approve: ",
        "<@U0LEAD>",
        "; not whoever asked)",
        "expires at",
        "Asked by <@U0ONCALL>",
        "plan ",
    ] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    let state = run(&world, 1).await;
    assert!(card.contains(state.digest.expect("the plan has a digest").short()), "{card}");
    assert_eq!(active(&world), "v2", "planning changes nothing");
    world.close().await;
}

#[tokio::test]
async fn who_asked_who_may_not_and_an_open_check_list_are_refused() {
    let world = World::open().await;
    let (channel, plan) = plan_shown(&world).await;
    world.clicks("U0ONCALL", &channel, &ts(&plan), "approve").await;
    world.whisper("U0ONCALL", "You asked for this, so somebody else must approve it");
    world.joins("U0SUPPORT", &channel).await;
    world.types("U0SUPPORT", &channel, "approve run_1_1").await;
    let refusal = shown(&world.whisper("U0SUPPORT", "may decide this"));
    assert!(refusal.contains("Engineering lead") && refusal.contains("Commander"), "{refusal}");
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    world.whisper("U0LEAD", "Tick these lines of the check list first: The new version has not changed stored data.");

    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;
    assert!(shown(&world.again(&channel, &plan)).contains("☑ The new version has not changed stored data."));
    world.clicks("U0LEAD", &channel, &ts(&plan), "untick run_1_1 data").await;
    assert!(shown(&world.again(&channel, &plan)).contains("☐ The new version has not changed stored data."));
    assert!(matches!(run(&world, 1).await.phase, Phase::Pending));
    assert_eq!(active(&world), "v2");
    world.close().await;
}

#[tokio::test]
async fn a_rejection_asks_for_its_reason_and_settles_the_card() {
    let world = World::open().await;
    let (channel, plan) = plan_shown(&world).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "reject").await;
    world.submits("U0LEAD", json!({"reason": "The database was migrated <!here>"})).await;
    assert!(matches!(run(&world, 1).await.phase, Phase::Rejected { .. }));
    let card = world.again(&channel, &plan);
    assert!(
        shown(&card).contains("Rejected by <@U0LEAD>") && shown(&card).contains("The database was migrated"),
        "{}",
        shown(&card)
    );
    assert!(!card.to_string().contains("approve run_1_1") && !shown(&card).contains("<!here>"), "{card:#}");
    world.types("U0DBA", &channel, "approve run_1_1").await;
    world.whisper("U0DBA", "<@U0LEAD> rejected this plan at");
    // A new one can be asked for.
    world.types("U0ONCALL", &channel, "rollback").await;
    world.message(&channel, "approve run_1_2");
    assert_eq!(active(&world), "v2");
    world.close().await;
}

#[tokio::test]
async fn a_plan_that_nobody_approves_expires() {
    let world = World::open().await;
    let (channel, plan) = plan_shown(&world).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;
    world.pass(15).await;
    assert_eq!(run(&world, 1).await.phase, Phase::Expired);
    let card = world.again(&channel, &plan);
    assert!(shown(&card).contains("Nobody approved it in time"), "{}", shown(&card));
    assert!(!card.to_string().contains("\"approve run_1_1\""), "{card:#}");
    world.types("U0LEAD", &channel, "approve run_1_1").await;
    world.whisper("U0LEAD", "This plan has expired");
    assert_eq!(active(&world), "v2");
    world.close().await;
}

#[tokio::test]
async fn the_channel_is_told_before_the_shop_is_touched() {
    let world = World::open().await;
    let (channel, plan) = plan_shown(&world).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;

    // Slack does not take the message at first: then nothing is changed yet.
    world.ws().faults().next("chat.postMessage", 1, Trouble::RateLimited { retry_after_s: 5 });
    world.ws().person("U0LEAD").click(&channel, &ts(&plan), "approve").await.expect("there is a button");
    world.ws().wait_for(|ws| (ws.faults().left() == 0).then_some(())).await.expect("the message is tried");
    assert_eq!(active(&world), "v2", "the shop is not touched before the channel knows");
    assert!(matches!(run(&world, 1).await.phase, Phase::Announcing { .. }));
    world.settle().await;
    assert_eq!(active(&world), "v1");

    let entries = world.setup.vigie.store.timeline("inc_1".parse().expect("an id")).await.expect("the store answers");
    let place = |wanted: &dyn Fn(&Fact) -> bool| {
        entries.iter().position(|entry| wanted(&entry.fact)).expect("it is in the timeline")
    };
    let approved = entries[place(&|fact| matches!(fact, Fact::Approved { .. }))].seq;
    let told = place(&|fact| matches!(fact, Fact::CardPosted { card, .. } if *card == Card::Notice(approved)));
    let released = place(&|fact| matches!(fact, Fact::RunReleased { announced: true, .. }));
    let began = place(&|fact| matches!(fact, Fact::RunStarted { .. }));
    assert!(told < released && released < began, "{told} {released} {began}");
    let notice = shown(&world.message(&channel, "ollback in progress"));
    for line in ["v2", "v1", "<@U0ONCALL>", "<@U0LEAD>"] {
        assert!(notice.contains(line), "{line} is not in {notice}");
    }
    world.close().await;
}

#[tokio::test]
async fn the_result_stands_on_the_card_and_leads_to_the_update() {
    let world = World::open().await;
    let (channel, plan) = plan_shown(&world).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    let card = shown(&world.again(&channel, &plan));
    for line in [
        "Done: Roll back the bookshop",
        "now 1.2.3 (v1)",
        "Approved by <@U0LEAD>",
        "✅ Switch the bookshop from v2 to 1.2.3 (v1): done in",
        "*Verification*",
        "✅ *Health:* 200 in",
        "✅ *Buying a book:*",
    ] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    let finished = world.message(&channel, "*Rolled back*");
    world.clicks("U0ONCALL", &channel, &ts(&finished), "customer").await;
    let form = world.form("U0ONCALL");
    let text = shown(&form);
    assert!(text.contains("Internal") || text.contains("checkout returns 500"), "{text}");
    let chosen = form["state"]["values"]["kind"].to_string();
    assert!(chosen.contains("customer_rollback_finished"), "{chosen}");
    world.types("U0DBA", &channel, "approve run_1_1").await;
    world.whisper("U0DBA", "<@U0LEAD> approved this plan at");
    world.close().await;
}

#[tokio::test]
async fn a_verification_that_fails_makes_the_run_failed_with_what_was_seen() {
    let world = World::open_changed(&[IMPATIENT]).await;
    let (channel, plan) = plan_shown(&world).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;
    world.setup.shop.hang_health(true);
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    let state = run(&world, 1).await;
    assert!(matches!(&state.phase, Phase::Finished { outcome: Outcome::Failed { step: None, .. } }), "{state:?}");
    assert_eq!(active(&world), "v1", "the step itself was done");
    let card = shown(&world.again(&channel, &plan));
    for line in ["Failed: Roll back the bookshop", "the verification failed", "*Health:* no answer after"] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    let told = shown(&world.message(&channel, "*Rollback stopped*"));
    assert!(told.contains("verification") && told.contains("Switch the bookshop from v2 to 1.2.3 (v1)"), "{told}");
    world.close().await;
}

#[tokio::test]
async fn what_somebody_else_has_already_done_is_found_done() {
    let world = World::open().await;
    let (channel, plan) = plan_shown(&world).await;
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;
    let url = format!("{}/switch", world.setup.shop.url());
    let moved = reqwest::Client::new().put(url).json(&json!({"to": "v1", "expected": "v2"})).send().await;
    assert_eq!(moved.expect("the shop answers").status(), 200);
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    assert!(matches!(run(&world, 1).await.phase, Phase::Finished { outcome: Outcome::Done }));
    let card = shown(&world.again(&channel, &plan));
    assert!(card.contains("already was at v1"), "{card}");
    world.close().await;
}

#[tokio::test]
async fn a_target_that_moved_between_plan_and_approval_is_left_alone_and_a_new_plan_asked_for() {
    let lever = Lever::open().await;
    let action = action("flags-back", "Put the flags back", "", &[lever.step("flags", "v1")]);
    let world = World::open_changed(&[("actions:\n", &action)]).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "rollback flags-back").await;
    let plan = world.message(&channel, "approve run_1_1");
    lever.push("v3");
    world.clicks("U0LEAD", &channel, &ts(&plan), "approve").await;
    let state = world.incident(1).await.runs.into_values().next().expect("there is a run");
    assert!(matches!(&state.phase, Phase::Finished { outcome: Outcome::Stale { step: 0, .. } }), "{state:?}");
    let card = shown(&world.again(&channel, &plan));
    for line in [
        "Not carried out: Put the flags back",
        "The plan expected v2. Found instead: flags is at v3. A new plan was asked for: run_1_2.",
    ] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    assert!(!card.contains("Plan again"), "there is a new plan already: {card}");
    assert_eq!(lever.positions(), ["v2", "v3"], "nothing was put");

    let next = world.message(&channel, "approve run_1_2");
    for line in ["*v3 → v1* · flags", "Asked by <@U0ONCALL>", "run_1_2, in the place of run_1_1", "*Approvals:* 0 of 1"]
    {
        assert!(shown(&next).contains(line), "{line} is not in {}", shown(&next));
    }
    world.clicks("U0ONCALL", &channel, &ts(&next), "approve").await;
    world.whisper("U0ONCALL", "You asked for this, so somebody else must approve it");
    world.clicks("U0LEAD", &channel, &ts(&next), "approve").await;
    assert_eq!(run(&world, 1).await.phase, Phase::Finished { outcome: Outcome::Done });
    assert_eq!(lever.positions(), ["v2", "v3", "v1"]);
    let timeline = world.timeline("U0ONCALL", 1).await;
    let digest = run(&world, 1).await.digest.expect("the plan has a digest");
    for line in [
        "A new plan was asked for in the place of run_1_1: Put the flags back (run_1_2)".to_owned(),
        format!("Put the flags back started (run_1_2, plan {})", digest.short()),
        format!("Put the flags back (run_1_2, plan {}): done", digest.short()),
    ] {
        assert!(timeline.contains(&line), "{line} is not in {timeline}");
    }
    world.close().await;
}

#[tokio::test]
async fn one_target_has_one_run_at_a_time_whatever_the_incident() {
    let world = World::open_changed(&[IMPATIENT]).await;
    let (channel, plan) = plan_shown(&world).await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 the shop is slow").await;
    let second = world.channel(2).await;
    world.types("U0SUPPORT", &second, "rollback shop").await;
    let other = world.message(&second, "approve run_2_1");
    world.clicks("U0LEAD", &channel, &ts(&plan), "tick run_1_1 data").await;
    world.clicks("U0DBA", &second, &ts(&other), "tick run_2_1 data").await;

    // The first is being verified, which takes its time.
    world.setup.shop.hang_health(true);
    world.ws().person("U0LEAD").click(&channel, &ts(&plan), "approve").await.expect("there is a button");
    world.ws().wait_for(|_| (active(&world) == "v1").then_some(())).await.expect("the first run switches");
    world.clicks("U0DBA", &second, &ts(&other), "approve").await;
    world.whisper("U0DBA", "Another run (run_1_1) holds bookshop version");
    assert!(matches!(run(&world, 2).await.phase, Phase::Pending), "the plan still waits");
    // Once the first has ended, the second may.
    world.setup.shop.hang_health(false);
    world.clicks("U0DBA", &second, &ts(&other), "approve").await;
    assert!(matches!(run(&world, 2).await.phase, Phase::Finished { .. }));
    world.close().await;
}
