//! Where a command may be given: in the incident's channel, anywhere while one incident is open, anywhere with `--in`.

use super::{START, card, declared, kinds, seq};
use crate::world::{World, shown};

#[tokio::test]
async fn status_is_shown_to_whoever_asked_alone_and_changes_nothing() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.pass(14).await;
    let (before, messages) = (seq(&world).await, world.ws().messages("C0GENERAL").len());
    let status = world.asks("U0SUPPORT", "C0GENERAL", "status").await;
    for line in [
        "🟠 SEV2 · checkout returns 500 · 14 min · triggered",
        "nobody has answered yet · inc_1",
        "*Commander:* nobody yet",
        "*Paging:* level 1 of 3",
        "<@U0ONCALL> reached by Slack message and e-mail",
    ] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    world.types("U0ONCALL", &channel, "ack").await;
    let status = world.asks("U0ONCALL", &channel, "status").await;
    assert!(status.contains("*Acknowledged* by <@U0ONCALL> after 14 min"), "{status}");
    assert!(card(&world, &channel).contains("*Acknowledged* by <@U0ONCALL> after 14 min"), "the card says the same");
    assert_eq!(seq(&world).await, before + 1 + 1, "the answer and its message, and nothing for looking");
    assert_eq!(world.ws().messages("C0GENERAL").len(), messages, "the channel is left in peace");
    world.close().await;
}

#[tokio::test]
async fn the_list_shows_what_is_open_the_worst_first() {
    let world = World::open().await;
    let none = world.asks("U0SUPPORT", "C0GENERAL", "list").await;
    assert!(none.contains("No incident is open. To declare one: /incident start"), "{none}");
    for line in ["start sev3 e-mails are late", START, "start sev1 nobody can buy", "start sev3 a typo"] {
        world.types("U0ONCALL", "C0GENERAL", line).await;
    }
    world.types("U0ONCALL", "C0GENERAL", "cancel --in inc_4").await;
    let list = world.asks("U0SUPPORT", "C0GENERAL", "List").await;
    let place = |what: &str| list.find(what).unwrap_or_else(|| panic!("no {what} in {list}"));
    assert!(list.contains("3 open incidents"), "{list}");
    assert!(place("nobody can buy") < place("checkout returns 500"), "{list}");
    assert!(place("checkout returns 500") < place("e-mails are late"), "{list}");
    assert!(!list.contains("a typo"), "{list}");
    let channel = world.channel(3).await;
    assert!(list.contains("inc_3") && list.contains(&format!("<#{channel}>")), "each with its name and place: {list}");
    world.close().await;
}

#[tokio::test]
async fn outside_its_channel_the_only_open_incident_is_meant() {
    let world = World::open().await;
    let told = world.asks("U0ONCALL", "C0GENERAL", "ack").await;
    assert!(told.starts_with("No incident is open. To declare one: /incident start"), "{told}");
    declared(&world).await;
    assert_eq!(world.asks("U0LEAD", "C0GENERAL", "role ops").await, "Operations: <@U0LEAD>.");
    let dm = world.dm("U0ONCALL");
    assert!(world.asks("U0ONCALL", &dm, "ack").await.starts_with("Thank you. You are on inc_1"));
    world.types("U0ONCALL", "C0GENERAL", "update").await;
    assert!(shown(&world.form("U0ONCALL")).contains("checkout returns 500"), "a dialog finds it in the same way");
    world.close().await;
}

#[tokio::test]
async fn where_several_are_open_nobody_guesses_and_each_can_be_named() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev3 e-mails are late").await;
    let (one, two) = (kinds(&world, 1).await.len(), kinds(&world, 2).await.len());
    let which = "2 incidents are open; say which one with `--in` and its number: \
                 inc_1 (checkout returns 500) and inc_2 (e-mails are late).";
    for line in ["ack", "status", "note hello", "mitigate", "timeline", "page cto", "update", "resolve"] {
        assert_eq!(world.asks("U0LEAD", "C0GENERAL", line).await, which, "{line}");
        assert!(world.ws().top_view("U0LEAD").is_none(), "{line} opens no dialog for nothing");
    }
    assert_eq!((kinds(&world, 1).await.len(), kinds(&world, 2).await.len()), (one, two));

    for (line, noted) in
        [("note one --in inc_2", "inc_2"), ("note two --in INC-2", "inc_2"), ("note --in 1 three", "inc_1")]
    {
        let told = world.asks("U0LEAD", "C0GENERAL", line).await;
        assert_eq!(told, format!("Noted in the timeline of {noted}."), "{line}");
    }
    let told = world.asks("U0ONCALL", &channel, "note in its own channel").await;
    assert_eq!(told, "Noted in the timeline of inc_1.", "in its channel nothing need be named");
    let told = world.asks("U0LEAD", "C0GENERAL", "status --in inc_9").await;
    assert_eq!(told, "There is no incident inc_9. /incident list shows the open ones.");
    world.close().await;
}

#[tokio::test]
async fn in_the_channel_of_an_incident_that_is_over_no_other_is_meant() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.types("U0ONCALL", &channel, "cancel").await;
    world.types("U0ONCALL", "C0GENERAL", "start sev3 e-mails are late").await;
    let told = world.asks("U0ONCALL", &channel, "ack").await;
    assert!(told.starts_with("inc_1 is cancelled."), "{told}");
    assert!(world.incident(2).await.acknowledged.is_none());
    let status = world.asks("U0ONCALL", &channel, "status").await;
    assert!(status.contains("checkout returns 500") && status.contains("*Cancelled*"), "{status}");
    world.close().await;
}

#[tokio::test]
async fn an_update_can_be_written_after_the_end() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.types("U0ONCALL", &channel, "resolve rolled back").await;
    world.types("U0ONCALL", &channel, "update").await;
    let form = shown(&world.form("U0ONCALL"));
    assert!(form.contains("It is over"), "customers can be told that it is over: {form}");
    world.close().await;
}
