//! The incident's channel, or somebody in it, goes away in the middle.

use vigie::incident::people::Way;
use vigie::incident::state::{PageOutcome, Phase};
use vigie::practice::Trouble;

use crate::clicks::{happened, phase};
use crate::world::{INCIDENTS, World, ts};

/// The announcement says that the channel is gone, and paging goes on.
async fn goes_on_without(world: &World) {
    let announcement = world.cards(INCIDENTS, 1, "announcement").pop().expect("it is announced");
    assert!(announcement.to_string().contains("cannot be used"), "{announcement:#}");
    assert!(world.incident(1).await.usable_channel().is_none());
    let climbed = happened(world, "escalated").await;
    world.pass(16).await;
    assert_eq!(happened(world, "escalated").await, climbed + 1, "the climb goes on");
    let lead = world.dms("U0LEAD");
    assert!(!lead.is_empty(), "level two is paged");
    world.types("U0LEAD", "C0GENERAL", "ack --in inc_1").await;
    world.whisper("U0LEAD", "inc_1");
    assert!(world.incident(1).await.acknowledged.is_some());
}

/// Everything that was asked for while the channel was lost stands in it.
async fn is_whole_again(world: &World, channel: &str) {
    world.is_whole(1).await;
    assert!(world.incident(1).await.usable_channel().is_some());
    let announcement = world.cards(INCIDENTS, 1, "announcement").pop().expect("it is announced");
    assert!(!announcement.to_string().contains("cannot be used"), "{announcement:#}");
    for person in ["U0LEAD", "U0DBA"] {
        assert!(world.ws().channel(channel).expect("it exists").has(person), "{person}, who was paged, is invited");
    }
    let plan = world.cards(channel, 1, "run_1_1").pop().expect("the plan that waits is shown");
    world.clicks("U0DBA", channel, &ts(&plan), "tick run_1_1 data").await;
    world.clicks("U0DBA", channel, &ts(&plan), "approve run_1_1").await;
    assert!(matches!(phase(world).await, Phase::Finished { .. }), "{:?}", phase(world).await);
}

#[tokio::test]
async fn an_archived_channel_is_done_without_and_taken_up_again() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    world.ws().archive_channel(&channel);
    world.settle().await;
    goes_on_without(&world).await;
    world.types("U0LEAD", "C0GENERAL", "rollback --in inc_1").await;
    world.ws().unarchive_channel(&channel);
    world.ws().invite_bot(&channel);
    world.settle().await;
    is_whole_again(&world, &channel).await;
    world.close().await;
}

#[tokio::test]
async fn a_bot_that_is_removed_goes_on_without_the_channel_and_comes_back() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    world.ws().kick_bot(&channel);
    world.settle().await;
    goes_on_without(&world).await;
    world.types("U0LEAD", "C0GENERAL", "rollback --in inc_1").await;
    world.ws().invite_bot(&channel);
    world.settle().await;
    is_whole_again(&world, &channel).await;
    world.close().await;
}

#[tokio::test]
async fn a_deleted_channel_ends_nothing_but_the_channel() {
    let world = World::open().await;
    world.setup.shop.break_it();
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    world.ws().delete_channel(&channel);
    world.settle().await;
    goes_on_without(&world).await;
    for line in ["rollback --in inc_1", "diag --in inc_1", "status --in inc_1", "timeline --in inc_1"] {
        world.types("U0LEAD", "C0GENERAL", line).await;
    }
    world.types("U0DBA", "C0GENERAL", "tick run_1_1 data").await;
    world.types("U0DBA", "C0GENERAL", "approve run_1_1").await;
    assert!(matches!(phase(&world).await, Phase::Finished { .. }), "{:?}", phase(&world).await);
    assert_eq!(world.setup.shop.state().switch.active, "v1");
    world.types("U0LEAD", "C0GENERAL", "resolve rolled back --in inc_1").await;
    world.types("U0LEAD", "C0GENERAL", "postmortem --in inc_1").await;
    world.close().await;
}

#[tokio::test]
async fn a_channel_whose_end_slack_did_not_tell_is_found_out_by_the_next_message() {
    for lose in ["archive", "kick", "delete"] {
        let world = World::open().await;
        world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
        let channel = world.is_whole(1).await;
        // The events are held back and come after the next message was tried.
        world.ws().reorder_next_envelopes(100);
        match lose {
            "archive" => world.ws().archive_channel(&channel),
            "kick" => world.ws().kick_bot(&channel),
            _ => world.ws().delete_channel(&channel),
        }
        let store = &world.setup.vigie.store;
        world.setup.vigie.advance(vigie::incident::time::Millis::minutes(16)).await.expect("the store answers");
        let lost = async {
            let mut changes = store.changes();
            while world.incident(1).await.usable_channel().is_some() {
                changes.changed().await.expect("the store is open");
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), lost).await.expect("it is found out");
        world.ws().release_envelopes();
        world.settle().await;
        goes_on_without(&world).await;
        world.close().await;
    }
}

#[tokio::test]
async fn events_out_of_order_leave_the_channel_as_slack_has_it() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    let held = |ws: &vigie::practice::Workspace| {
        ws.kick_bot(&channel);
        ws.invite_bot(&channel);
    };
    world.ws().reorder_next_envelopes(100);
    held(world.ws());
    world.ws().release_envelopes();
    world.settle().await;
    assert!(world.incident(1).await.usable_channel().is_some(), "it can be used");
    world.types("U0ONCALL", &channel, "ack").await;
    world.message(&channel, "Acknowledged");
    world.close().await;
}

#[tokio::test]
async fn edits_and_reactions_out_of_order_end_as_they_ended_in_slack() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    let oncall = world.ws().person("U0ONCALL");
    let said = oncall.say(&channel, "first").expect("said");
    oncall.react(&channel, &said, "pushpin").expect("pinned");
    world.settle().await;
    world.ws().reorder_next_envelopes(2);
    oncall.edit(&channel, &said, "second").expect("edited");
    oncall.edit(&channel, &said, "third").expect("edited");
    world.settle().await;
    let incident = world.incident(1).await;
    let captured = incident.captured.values().next().expect("it is captured");
    assert_eq!(captured.text, "third");
    world.close().await;
}

#[tokio::test]
async fn somebody_who_left_is_paged_another_way() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 before they left").await;
    world.ws().remove_user("U0ONCALL");
    world.settle().await;
    // The conversation with them is known already, and still nobody reads it.
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 after they left").await;
    let incident = world.incident(2).await;
    let ways: Vec<(Way, bool)> =
        incident.pages.values().map(|page| (page.way, matches!(page.outcome, PageOutcome::Delivered { .. }))).collect();
    assert_eq!(ways, [(Way::Slack, false), (Way::Email, true), (Way::Sms, true)]);
    let channel = world.channel(2).await;
    let there = world.ws().channel(&channel).expect("it exists");
    assert!(there.has("U0SUPPORT") && there.has("U0COMMS"), "the others are in");
    world.types("U0SUPPORT", &channel, "timeline").await;
    world.whisper("U0SUPPORT", "this person cannot be written to in Slack");
    world.close().await;
}

#[tokio::test]
async fn a_topic_that_slack_refused_for_a_moment_is_set_a_moment_later() {
    for trouble in [Trouble::ServerError, Trouble::RateLimited { retry_after_s: 7 }] {
        let world = World::open().await;
        for method in ["conversations.setTopic", "conversations.setPurpose", "bookmarks.list"] {
            world.ws().faults().next(method, 1, trouble.clone());
        }
        world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
        assert_eq!(world.ws().faults().left(), 0, "the trouble was met");
        world.is_whole(1).await;
        world.close().await;
    }
}
