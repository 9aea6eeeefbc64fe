//! 📌 and the message shortcut keep a message; what becomes of it in Slack becomes of it in the record.

use serde_json::json;
use vigie::incident::id::UserId;
use vigie::incident::timeline::{CapturedBy, Fact};

use super::{count, entries, held, open};
use crate::world::{World, read_aloud, ts};

/// Somebody says something in the channel and somebody pins it. Gives the message's `ts`.
async fn pinned(world: &World, channel: &str, text: &str, pin: &str) -> String {
    let ts = world.ws().person("U0ONCALL").say(channel, text).expect("said");
    world.ws().person("U0COMMS").react(channel, &ts, pin).expect("pinned");
    world.settle().await;
    ts
}

#[tokio::test]
async fn a_pin_takes_a_message_into_the_record_with_its_author_and_whoever_pinned_it() {
    let world = World::open().await;
    let channel = open(&world).await;
    let ts = pinned(&world, &channel, "it began at 09:12 & <@U0DBA> deployed at 09:10", "pushpin").await;
    let kept = held(&world, &channel, &ts).await.expect("the message is in the record");
    assert_eq!(kept.text, "it began at 09:12 & @Database administrator deployed at 09:10");
    assert_eq!((kept.author, kept.by), (Some(UserId::from("U0ONCALL")), CapturedBy::Reaction));
    let timeline = read_aloud(&world.timeline("U0ONCALL", 1).await);
    let line =
        "<@U0ONCALL> wrote: “it began at 09:12 & @Database administrator deployed at 09:10” (added by <@U0COMMS>)";
    assert!(timeline.contains(line), "{timeline}");
    world.close().await;
}

#[tokio::test]
async fn either_pin_counts_and_other_reactions_do_not() {
    let world = World::open().await;
    let channel = open(&world).await;
    pinned(&world, &channel, "the round one", "round_pushpin").await;
    pinned(&world, &channel, "not this", "eyes").await;
    assert_eq!(count(&world, "message_captured").await, 1);
    world.close().await;
}

#[tokio::test]
async fn taking_the_last_pin_away_takes_the_message_out_again_and_a_new_pin_brings_it_back() {
    let world = World::open().await;
    let channel = open(&world).await;
    let ts = pinned(&world, &channel, "the queue is full", "pushpin").await;
    let (lead, comms) = (world.ws().person("U0ONCALL"), world.ws().person("U0COMMS"));
    // Somebody else wants it kept as well, so the first may take theirs away.
    lead.react(&channel, &ts, "round_pushpin").expect("pinned");
    world.settle().await;
    assert_eq!(count(&world, "message_captured").await, 1, "it is in the record once");
    comms.unreact(&channel, &ts, "pushpin").expect("taken away");
    world.settle().await;
    assert!(!held(&world, &channel, &ts).await.expect("it was captured").withdrawn, "a pin is still there");

    lead.unreact(&channel, &ts, "round_pushpin").expect("taken away");
    world.settle().await;
    assert!(held(&world, &channel, &ts).await.expect("it was captured").withdrawn);
    let timeline = world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("<@U0ONCALL> took a message out of the record again"), "{timeline}");

    // What happens to it while it is out of the record is nobody's business here.
    lead.edit(&channel, &ts, "the queue was full").expect("edited");
    world.settle().await;
    assert_eq!(count(&world, "message_edited").await, 0);
    comms.react(&channel, &ts, "pushpin").expect("pinned");
    world.settle().await;
    let kept = held(&world, &channel, &ts).await.expect("it is back");
    assert_eq!((kept.text.as_str(), kept.withdrawn, kept.edited.is_some()), ("the queue was full", false, false));
    world.close().await;
}

#[tokio::test]
async fn the_shortcut_keeps_a_message_and_says_so_to_that_person_alone() {
    let world = World::open().await;
    let channel = open(&world).await;
    let oncall = world.ws().person("U0ONCALL");
    let ts = oncall.say(&channel, "payments answer again").expect("said");
    let messages = world.ws().messages(&channel).len();
    for says in ["The message is in the timeline now.", "The message is in the timeline already."] {
        let acted = world.ws().person("U0COMMS").message_shortcut("add_to_timeline", &channel, &ts).await;
        assert_eq!(acted.expect("there is the shortcut").failure, None);
        world.settle().await;
        assert_eq!(world.told("U0COMMS").last().map(String::as_str), Some(says));
    }
    assert_eq!(world.ws().messages(&channel).len(), messages, "the channel is left in peace");
    assert_eq!(count(&world, "message_captured").await, 1);
    let kept = held(&world, &channel, &ts).await.expect("the message is in the record");
    assert_eq!((kept.text.as_str(), kept.by), ("payments answer again", CapturedBy::Shortcut));

    // What was asked for by name does not go with a pin.
    oncall.react(&channel, &ts, "pushpin").expect("pinned");
    world.settle().await;
    oncall.unreact(&channel, &ts, "pushpin").expect("taken away");
    world.settle().await;
    assert!(!held(&world, &channel, &ts).await.expect("it was captured").withdrawn);
    world.close().await;
}

#[tokio::test]
async fn an_edit_of_a_kept_message_is_followed_and_what_stood_before_stays_in_the_record() {
    let world = World::open().await;
    let channel = open(&world).await;
    let ts = pinned(&world, &channel, "it began at 09:12", "pushpin").await;
    let other = world.ws().person("U0ONCALL").say(&channel, "lunch?").expect("said");
    for (ts, text) in [(&ts, "it began at 09:10"), (&other, "no lunch")] {
        world.ws().person("U0ONCALL").edit(&channel, ts, text).expect("edited");
    }
    world.settle().await;
    let kept = held(&world, &channel, &ts).await.expect("the message is in the record");
    assert_eq!((kept.text.as_str(), kept.edited.is_some()), ("it began at 09:10", true));
    let timeline = world.timeline("U0ONCALL", 1).await;
    for line in ["“it began at 09:12”", "A recorded message was edited: “it began at 09:10”"] {
        assert!(timeline.contains(line), "{line} is not in {timeline}");
    }
    assert_eq!(count(&world, "message_edited").await, 1, "what nobody kept is not followed");
    world.close().await;
}

#[tokio::test]
async fn a_kept_message_that_is_deleted_keeps_its_text_and_says_that_it_is_gone() {
    let world = World::open().await;
    let channel = open(&world).await;
    let ts = pinned(&world, &channel, "I restarted the wrong host", "pushpin").await;
    let other = world.ws().person("U0ONCALL").say(&channel, "lunch?").expect("said");
    for ts in [&ts, &other] {
        world.ws().person("U0ONCALL").delete(&channel, ts).expect("deleted");
    }
    world.settle().await;
    let kept = held(&world, &channel, &ts).await.expect("the message is in the record");
    assert_eq!((kept.text.as_str(), kept.deleted), ("I restarted the wrong host", true));
    let timeline = world.timeline("U0ONCALL", 1).await;
    for line in ["I restarted the wrong host", "A recorded message was deleted in Slack; its text stays here"] {
        assert!(timeline.contains(line), "{line} is not in {timeline}");
    }
    assert_eq!(count(&world, "message_deleted").await, 1);
    world.close().await;
}

#[tokio::test]
async fn a_reply_in_a_thread_is_kept_as_itself_and_followed_like_any_other() {
    let world = World::open().await;
    let channel = open(&world).await;
    let (oncall, comms) = (world.ws().person("U0ONCALL"), world.ws().person("U0COMMS"));
    let root = oncall.say(&channel, "the root").expect("said");
    let replies: Vec<String> =
        ["first", "second", "third"].map(|text| comms.reply(&channel, &root, text).expect("said")).to_vec();
    oncall.react(&channel, &replies[1], "pushpin").expect("pinned");
    world.settle().await;
    let shortcut = oncall.message_shortcut("add_to_timeline", &channel, &replies[2]).await;
    assert_eq!(shortcut.expect("there is the shortcut").failure, None);
    world.settle().await;

    assert_eq!(held(&world, &channel, &root).await, None, "the root was not asked for");
    assert_eq!(held(&world, &channel, &replies[0]).await, None, "nor was the first reply");
    let threads: Vec<(String, Option<String>)> = entries(&world)
        .await
        .into_iter()
        .filter_map(|entry| match entry.fact {
            Fact::MessageCaptured { text, thread, .. } => Some((text, thread)),
            _ => None,
        })
        .collect();
    assert_eq!(threads, [("second".to_owned(), Some(root.clone())), ("third".to_owned(), Some(root))]);
    comms.edit(&channel, &replies[1], "second thoughts").expect("edited");
    world.settle().await;
    assert_eq!(held(&world, &channel, &replies[1]).await.expect("it is kept").text, "second thoughts");
    world.close().await;
}

#[tokio::test]
async fn a_message_of_another_channel_is_left_where_it_is_and_the_way_out_is_told() {
    let world = World::open().await;
    open(&world).await;
    let lead = world.ws().person("U0LEAD");
    let ts = lead.say("C0GENERAL", "the shop is slow").expect("said");
    lead.react("C0GENERAL", &ts, "pushpin").expect("pinned");
    lead.message_shortcut("add_to_timeline", "C0GENERAL", &ts).await.expect("there is the shortcut");
    world.settle().await;
    let told = world.ws().wait_for(|ws| ws.ephemerals("U0LEAD").pop()).await.expect("it is answered");
    let told = told["text"].as_str().expect("an answer has a text").to_owned();
    assert!(told.starts_with("Only messages of an incident’s channel can be added"), "{told}");
    assert!(told.contains("/incident note"), "{told}");
    assert_eq!(count(&world, "message_captured").await, 0);
    world.close().await;
}

#[tokio::test]
async fn a_message_of_vigie_itself_can_be_kept_and_its_later_edits_are_no_news() {
    let world = World::open().await;
    let channel = open(&world).await;
    let card = ts(&world.ws().pins(&channel)[0]);
    world.ws().person("U0COMMS").react(&channel, &card, "pushpin").expect("pinned");
    world.settle().await;
    let kept = held(&world, &channel, &card).await.expect("the card is in the record");
    assert!(kept.text.contains("SEV2 · checkout returns 500"), "{}", kept.text);
    world.types("U0ONCALL", &channel, "role commander").await;
    assert_eq!(count(&world, "message_edited").await, 0, "Vigie's own edits are in the record by themselves");
    let timeline = world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("(added by <@U0COMMS>)"), "{timeline}");
    world.close().await;
}

#[tokio::test]
async fn a_message_of_another_app_is_kept_under_that_apps_name() {
    let world = World::open().await;
    let channel = open(&world).await;
    let alert = json!({"text": "", "attachments": [{"title": "Disk 91 % full", "text": "db-1 &amp; db-2"}]});
    let ts = [(); 2].map(|()| world.ws().post_as_app(&channel, "Alerts", alert.clone()));
    world.ws().person("U0COMMS").react(&channel, &ts[0], "pushpin").expect("pinned");
    world.settle().await;
    let shortcut = world.ws().person("U0COMMS").message_shortcut("add_to_timeline", &channel, &ts[1]).await;
    assert_eq!(shortcut.expect("there is the shortcut").failure, None);
    world.settle().await;
    for ts in ts {
        let kept = held(&world, &channel, &ts).await.expect("the alert is in the record");
        assert_eq!((kept.text.as_str(), kept.author), ("Alerts: Disk 91 % full\ndb-1 & db-2", None));
    }
    world.close().await;
}

#[tokio::test]
async fn a_message_that_is_gone_before_it_was_read_is_said_to_be_gone() {
    let world = World::open().await;
    let channel = open(&world).await;
    let oncall = world.ws().person("U0ONCALL");
    let ts = oncall.say(&channel, "never mind").expect("said");
    // The reaction arrives after the message is gone.
    world.ws().reorder_next_envelopes(100);
    oncall.react(&channel, &ts, "pushpin").expect("pinned");
    oncall.delete(&channel, &ts).expect("deleted");
    world.ws().release_envelopes();
    world.settle().await;
    assert_eq!(held(&world, &channel, &ts).await, None);
    let timeline = world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("Not possible in Slack: the message to record."), "{timeline}");
    assert!(timeline.contains("the message is not there any more"), "{timeline}");
    world.close().await;
}

#[tokio::test]
async fn a_very_long_message_is_kept_whole_and_shown_short() {
    let world = World::open().await;
    let channel = open(&world).await;
    let long: String = "log line & <b> 🚒 ".chars().cycle().take(12_000).collect();
    let ts = pinned(&world, &channel, long.trim(), "pushpin").await;
    let kept = held(&world, &channel, &ts).await.expect("the message is in the record");
    assert_eq!(kept.text, long.trim());
    let timeline = read_aloud(&world.timeline("U0ONCALL", 1).await);
    let line = timeline.lines().find(|line| line.contains("log line")).expect("it is shown");
    assert!(line.contains("<@U0ONCALL> wrote: “log line & <b>") && line.ends_with('…'), "{line}");
    assert!(line.chars().count() < 400, "{} characters: {line}", line.chars().count());
    world.close().await;
}
