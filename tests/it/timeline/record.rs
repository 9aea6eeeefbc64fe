//! Everything that happens has its entry, in order, by whom and when; `/incident timeline` shows it.

use vigie::incident::people::Actor;
use vigie::incident::timeline::Fact;

use super::{count, entries, open};
use crate::world::{World, read_aloud, ts};

#[tokio::test]
async fn everything_that_is_done_and_decided_has_its_entry_in_the_order_in_which_it_happened() {
    let world = World::open().await;
    world.setup.shop.break_it();
    let channel = open(&world).await;
    for line in ["role commander", "diag", "rollback", "note the deploy was at 14:02"] {
        world.types("U0ONCALL", &channel, line).await;
    }
    let plan = ts(&world.message(&channel, "approve run_1_1"));
    world.clicks("U0LEAD", &channel, &plan, "tick run_1_1 data").await;
    world.clicks("U0LEAD", &channel, &plan, "approve run_1_1").await;
    world.types("U0ONCALL", &channel, "update --customer “We are back.” rolled back").await;
    world.types("U0COMMS", &channel, "send upd_1_1").await;
    world.types("U0ONCALL", &channel, "severity sev1 to be sure").await;
    world.pass(16).await;
    for line in [
        "snooze",
        "page cto please read",
        "mitigate rolled back",
        "resolve it was the new version",
        "postmortem",
        "reopen",
    ] {
        world.types("U0ONCALL", &channel, line).await;
    }
    world.types("U0ONCALL", &channel, "cancel").await;
    // It replays to the row, and so it is whole; every demand of an incident makes sure.
    world.incident(1).await;

    let entries = entries(&world).await;
    assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq), "no number is missing");
    assert!(entries.windows(2).all(|pair| pair[0].at <= pair[1].at), "nothing happened before what came before it");
    let kinds: Vec<String> = entries.iter().map(|entry| entry.fact.kind()).collect();
    let mut rest = kinds.iter();
    for kind in [
        "declared",
        "escalated",
        "paged",
        "acknowledged",
        "role_assigned",
        "diagnostic_started",
        "diagnostic_finished",
        "plan_asked",
        "plan_shown",
        "note_added",
        "item_ticked",
        "approval_given",
        "approved",
        "run_released",
        "run_started",
        "step_started",
        "step_finished",
        "verification_started",
        "verification_finished",
        "run_finished",
        "update_posted",
        "customer_text_approved",
        "severity_changed",
        "update_reminded",
        "reminder_snoozed",
        "paged",
        "mitigated",
        "resolved",
        "post_mortem_compiled",
        "reopened",
        "cancelled",
    ] {
        assert!(rest.any(|found| found == kind), "{kind} is missing, or not in its place: {kinds:?}");
    }
    for kind in ["channel_opened", "invited", "card_posted", "page_delivered", "text_delivered"] {
        assert!(kinds.iter().any(|found| found == kind), "{kind} is missing: {kinds:?}");
    }
    let by = |kind: &str| entries.iter().find(|entry| entry.fact.kind() == kind).map(|entry| entry.by.clone());
    for (kind, who) in
        [("acknowledged", "U0ONCALL"), ("approval_given", "U0LEAD"), ("customer_text_approved", "U0COMMS")]
    {
        assert_eq!(by(kind), Some(Actor::Person(who.into())), "{kind}");
    }
    assert_eq!(by("step_finished"), Some(Actor::Vigie));
    world.close().await;
}

#[tokio::test]
async fn a_note_is_kept_as_it_was_typed_and_shown_with_who_and_when() {
    let world = World::open().await;
    let channel = open(&world).await;
    world.pass(3).await;
    let told = world.asks("U0COMMS", &channel, "note the deploy was at 14:02 — “v2”, 5 % of users & <b>").await;
    assert_eq!(told, "Noted in the timeline of inc_1.");
    let noted = entries(&world).await.pop().expect("there is an entry");
    assert_eq!(noted.fact, Fact::NoteAdded { text: "the deploy was at 14:02 — “v2”, 5 % of users & <b>".into() });
    assert_eq!((noted.by, noted.at), (Actor::Person("U0COMMS".into()), world.clock.now()));
    let timeline = read_aloud(&world.timeline("U0COMMS", 1).await);
    let line = timeline.lines().find(|line| line.contains("the deploy was")).expect("it is shown");
    let seconds = world.clock.now().0 / 1_000;
    assert!(line.starts_with(&format!("<!date^{seconds}^{{time_secs}}|")), "in each reader's own zone: {line}");
    assert!(line.contains("<@U0COMMS> noted: the deploy was at 14:02 — “v2”, 5 % of users & <b>"), "{line}");

    // A note can be added after the end as well: the record is corrected then.
    world.types("U0ONCALL", &channel, "resolve rolled back").await;
    assert_eq!(world.asks("U0COMMS", &channel, "note it was v1.9").await, "Noted in the timeline of inc_1.");
    let empty = world.asks("U0COMMS", &channel, "note").await;
    assert!(empty.starts_with("Say what to note, for example"), "{empty}");
    assert_eq!(count(&world, "note_added").await, 2);
    world.close().await;
}

#[tokio::test]
async fn the_timeline_is_shown_to_whoever_asked_alone_oldest_first() {
    let world = World::open().await;
    let channel = open(&world).await;
    for minute in 1..=3 {
        world.pass(1).await;
        world.types("U0ONCALL", &channel, &format!("note minute {minute}")).await;
    }
    let messages = world.ws().messages(&channel).len();
    let timeline = world.asks("U0COMMS", &channel, "timeline").await;
    assert!(timeline.contains("*Timeline of inc_1*"), "{timeline}");
    let place = |what: &str| timeline.find(what).unwrap_or_else(|| panic!("no {what} in {timeline}"));
    let order =
        ["declared inc_1", "Level 1 of 3 is paged", "answered and is on it", "minute 1", "minute 2", "minute 3"];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{timeline}");
    for inside in ["A message was posted", "delivered: "] {
        assert!(!timeline.contains(inside), "of interest to Vigie only: {timeline}");
    }
    assert_eq!(world.ws().messages(&channel).len(), messages, "the channel is left in peace");
    world.close().await;
}

#[tokio::test]
async fn a_long_timeline_shows_its_newest_part_and_says_what_it_leaves_out() {
    let world = World::open().await;
    let channel = open(&world).await;
    for number in 1..=50 {
        world.types("U0ONCALL", &channel, &format!("note number {number}.")).await;
    }
    let timeline = world.asks("U0ONCALL", &channel, "timeline").await;
    assert!(timeline.contains("oldest left out here; the post-mortem has them all"), "{timeline}");
    assert!(timeline.contains("number 50.") && timeline.contains("number 11."), "{timeline}");
    assert!(!timeline.contains("number 10."), "{timeline}");
    world.types("U0ONCALL", &channel, "postmortem").await;
    let document = world.ws().files().pop().expect("the post-mortem is shared");
    let document = String::from_utf8_lossy(&document.bytes).into_owned();
    assert!(document.contains("number 1.") && document.contains("number 50."), "the post-mortem has them all");
    world.close().await;
}

#[tokio::test]
async fn after_a_day_the_timeline_says_which_day() {
    let world = World::open().await;
    let channel = open(&world).await;
    world.pass(25 * 60).await;
    let timeline = world.asks("U0ONCALL", &channel, "timeline").await;
    let line = timeline.lines().find(|line| line.contains("declared inc_1")).expect("it is shown");
    assert!(line.contains("{date_short} {time}"), "{line}");
    world.close().await;
}

#[tokio::test]
async fn what_slack_did_not_take_is_in_the_record_in_words() {
    let world = World::open().await;
    let channel = open(&world).await;
    world.ws().remove_user("U0DBA");
    world.types("U0ONCALL", &channel, "role ops dba").await;
    let timeline = world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("not possible to invite <@U0DBA>"), "{timeline}");
    for word in ["_card", "_message", "open_channel"] {
        assert!(!timeline.contains(word), "a word of the code: {timeline}");
    }
    world.close().await;
}

#[tokio::test]
async fn the_timeline_is_read_in_french() {
    let world = World::open_in("fr").await;
    let channel = open(&world).await;
    world.types("U0ONCALL", &channel, "note déploiement à 14 h 02").await;
    let oncall = world.ws().person("U0ONCALL");
    let ts = oncall.say(&channel, "la file est pleine").expect("said");
    world.ws().person("U0COMMS").react(&channel, &ts, "pushpin").expect("pinned");
    world.settle().await;
    oncall.edit(&channel, &ts, "la file était pleine").expect("edited");
    world.settle().await;
    oncall.delete(&channel, &ts).expect("deleted");
    world.settle().await;
    let timeline = read_aloud(&world.timeline("U0ONCALL", 1).await);
    for line in [
        "*Chronologie de inc_1*",
        "<@U0ONCALL> a déclaré inc_1 : SEV2, checkout returns 500",
        "Le niveau 1 sur 3 est alerté",
        "<@U0ONCALL> a répondu et s’en occupe",
        "<@U0ONCALL> a noté : déploiement à 14 h 02",
        "<@U0ONCALL> a écrit : « la file est pleine » (ajouté par <@U0COMMS>)",
        "Un message consigné a été modifié : « la file était pleine »",
        "Un message consigné a été supprimé dans Slack ; son texte est conservé ici",
    ] {
        assert!(timeline.contains(line), "{line} is not in {timeline}");
    }
    world.close().await;
}
