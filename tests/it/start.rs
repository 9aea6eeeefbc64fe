//! One line opens everything a team needs (E1, E2, M1).

use vigie::incident::state::{PageOutcome, Status};
use vigie::practice::SubmitOutcome;

use crate::world::{INCIDENTS, World, marked_up};

#[tokio::test]
async fn a_command_opens_the_channel_pages_level_one_and_tells_the_company() {
    let world = World::open().await;
    let ack = world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    assert_eq!(ack.text(), Some("The incident is being declared; people are paged first, then its channel opens."));
    world.whisper("U0ONCALL", "inc_1 is declared");

    let incident = world.incident(1).await;
    assert_eq!((incident.status, incident.severity.label.as_str()), (Status::Triggered, "SEV2"));
    let channel = world.ws().channel(&world.channel(1).await).expect("the channel exists");
    assert_eq!(channel.name, "inc-1-checkout-returns-500");
    assert!(channel.topic.value.contains("SEV2"), "{}", channel.topic.value);
    assert!(!channel.bookmarks.is_empty(), "the status page is bookmarked");
    for person in ["U0ONCALL", "U0COMMS"] {
        assert!(channel.has(person), "{person} is invited");
    }
    let card = world.cards(&channel.id, 1, "incident").pop().expect("the channel has its card");
    assert!(card["text"].as_str().is_some_and(|text| text.contains("checkout returns 500")), "{card}");
    assert!(world.ws().pins(&channel.id).iter().any(|pinned| pinned["text"] == card["text"]), "the card is pinned");
    world.message(INCIDENTS, "checkout returns 500");

    let page = world.dms("U0ONCALL").pop().expect("the on-call engineer has a direct message");
    let line = page["text"].as_str().expect("a page has a text");
    assert!(line.contains("SEV2 · checkout returns 500") && line.contains("you are paged (level 1 of 3)"), "{line}");
    let mail = world.setup.phones.deliveries().pop().expect("the on-call engineer has an e-mail");
    assert!(mail.to == "oncall@example.com" && mail.subject.contains("checkout returns 500"), "{mail:?}");
    assert!(incident.pages.values().all(|page| matches!(page.outcome, PageOutcome::Delivered { .. })));
    world.close().await;
}

#[tokio::test]
async fn without_a_text_a_form_asks_for_it_and_the_shortcut_opens_the_same_form() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", "start").await;
    let form = world.ws().top_view("U0SUPPORT").expect("a form is open");
    world.ws().person("U0SUPPORT").shortcut("start_incident").await.expect("the shortcut exists");
    let same = world.ws().top_view("U0SUPPORT").expect("a form is open");
    assert_eq!(form["callback_id"], same["callback_id"]);
    let id = same["id"].as_str().expect("a view has an id");
    let values = serde_json::json!({"severity": "sev1", "title": "Nobody can pay <!channel> & more"});
    let outcome = world.ws().person("U0SUPPORT").submit(id, values).await;
    assert_eq!(outcome, Ok(SubmitOutcome::Cleared));
    world.settle().await;
    let incident = world.incident(1).await;
    assert_eq!((incident.severity.key.as_str(), incident.title.as_str()), ("sev1", "Nobody can pay <!channel> & more"));
    let channel = world.channel(1).await;
    for message in world.ws().messages(&channel) {
        let marked = marked_up(&message).join("\n");
        assert!(!marked.contains("<!channel>"), "a title never becomes a mention: {marked}");
    }
    world.close().await;
}

#[tokio::test]
async fn what_was_typed_before_the_form_opened_stands_in_it() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", "start --drill --severity sev1 --service shop").await;
    let outcome = world.submits("U0SUPPORT", serde_json::json!({"title": "Nobody can pay"})).await;
    assert_eq!(outcome, SubmitOutcome::Cleared);
    let incident = world.incident(1).await;
    assert!(incident.drill, "a drill stays a drill");
    assert_eq!((incident.severity.key.as_str(), incident.service.as_deref()), ("sev1", Some("shop")));
    world.close().await;
}
