//! The bot ends in the middle, in good order or by a crash, and another takes over from the same database.

use vigie::incident::approval::Outcome;
use vigie::incident::state::{PageOutcome, Phase, Status};
use vigie::practice::Trouble;
use vigie::practice::phones::DeliveryKind;
use vigie::practice::shop::Silence;

use crate::clicks::{happened, phase, planned};
use crate::world::{INCIDENTS, World, ts};

#[tokio::test]
async fn the_button_of_a_page_works_after_a_restart() {
    let mut world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    world.restart().await;
    world.settle().await;
    let dm = world.dm("U0ONCALL");
    let page = ts(&world.dms("U0ONCALL").pop().expect("a page came"));
    world.clicks("U0ONCALL", &dm, &page, "ack").await;
    assert_eq!(world.incident(1).await.status, Status::Acknowledged);
    world.is_whole(1).await;
    world.message(&channel, "Acknowledged");
    world.close().await;
}

#[tokio::test]
async fn silence_that_passed_while_nobody_ran_is_made_up_for_once() {
    let mut world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    world.crash().await;
    world.pass(16).await;
    assert_eq!(happened(&world, "escalated").await, 2, "level two is paged");
    world.restart().await;
    world.settle().await;
    assert_eq!(happened(&world, "escalated").await, 2, "and not again");
    world.is_whole(1).await;
    world.close().await;
}

/// The bot dies while a call of `method` hangs; `trouble` says whether Slack had done it.
async fn dies_during(method: &str, trouble: Trouble) {
    println!("{method} {trouble:?}");
    let mut world = World::open().await;
    world.ws().faults().next(method, 1, trouble);
    let ack = world.ws().person("U0ONCALL").command("C0GENERAL", "/incident", "start sev2 checkout returns 500").await;
    assert_eq!(ack.failure, None);
    let hangs = |ws: &vigie::practice::Workspace| (ws.faults().left() == 0).then_some(());
    world.ws().wait_for(hangs).await.expect("the call is under way");
    world.crash().await;
    // The leases of the one that died end.
    world.seconds(61).await;
    world.settle().await;
    world.is_whole(1).await;
    let incident = world.incident(1).await;
    assert!(incident.pages.values().all(|page| matches!(page.outcome, PageOutcome::Delivered { .. })));
    let slack_page = incident.pages.keys().next().expect("a page").to_string();
    assert_eq!(world.cards(&world.dm("U0ONCALL"), 1, &slack_page).len(), 1, "one page");
    let mails = world.setup.phones.deliveries();
    assert!(mails.iter().any(|mail| mail.kind == DeliveryKind::Email), "the e-mail went out");
    world.whisper("U0ONCALL", "inc_1 is declared");
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "ack").await;
    assert_eq!(world.incident(1).await.status, Status::Acknowledged);
    world.close().await;
}

const CALLS: [&str; 7] = [
    "conversations.open",
    "conversations.create",
    "conversations.setTopic",
    "bookmarks.add",
    "chat.postMessage",
    "pins.add",
    "conversations.invite",
];

#[tokio::test]
async fn a_crash_before_slack_did_it_loses_nothing() {
    for method in CALLS {
        dies_during(method, Trouble::Hang).await;
    }
}

#[tokio::test]
async fn a_crash_after_slack_did_it_makes_nothing_twice() {
    for method in CALLS {
        dies_during(method, Trouble::HangAfterWork).await;
    }
}

/// The bot dies while the switch of an approved run is being moved.
async fn dies_with_a_run_under_way(silence: Silence) -> World {
    let mut world = World::open().await;
    let (channel, plan) = planned(&world).await;
    world.setup.shop.silence_next_switch(silence);
    let acted = world.ws().person("U0LEAD").click(&channel, &plan, "approve run_1_1").await.expect("a button");
    assert_eq!(acted.failure, None);
    let mut changes = world.setup.shop.changes();
    let met = async {
        while !world.setup.shop.is_silence_met() {
            changes.changed().await.expect("the shop is open");
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), met).await.expect("the run begins");
    world.crash().await;
    world.seconds(61).await;
    world.settle().await;
    world
}

#[tokio::test]
async fn a_run_that_was_done_when_the_bot_died_is_found_done() {
    let world = dies_with_a_run_under_way(Silence::AfterMoving).await;
    assert_eq!(phase(&world).await, Phase::Finished { outcome: Outcome::Done });
    assert_eq!(world.setup.shop.state().switch.active, "v1");
    assert_eq!(happened(&world, "approved").await, 1);
    world.message(INCIDENTS, "checkout");
    world.close().await;
}

#[tokio::test]
async fn a_run_that_was_not_done_when_the_bot_died_is_never_done_blindly() {
    let world = dies_with_a_run_under_way(Silence::BeforeMoving).await;
    let phase = phase(&world).await;
    let active = world.setup.shop.state().switch.active;
    println!("{phase:?} {active}");
    let done = phase == Phase::Finished { outcome: Outcome::Done };
    assert!(matches!(phase, Phase::Finished { .. }), "{phase:?}");
    assert_eq!(active, if done { "v1" } else { "v2" }, "what is said is what is");
    world.close().await;
}

#[tokio::test]
async fn a_plan_can_be_approved_after_a_restart() {
    let mut world = World::open().await;
    let (channel, plan) = planned(&world).await;
    world.restart().await;
    world.clicks("U0LEAD", &channel, &plan, "approve run_1_1").await;
    assert_eq!(phase(&world).await, Phase::Finished { outcome: Outcome::Done });
    assert_eq!(happened(&world, "run_started").await, 1);
    world.close().await;
}
