//! Somebody is reached, level after level, until somebody answers (E2, E4).

use vigie::incident::state::{PageOutcome, Status};
use vigie::practice::phones::DeliveryKind;

use crate::world::{World, shown, ts};

const START: &str = "start sev2 checkout returns 500";

#[tokio::test]
async fn the_button_of_a_page_answers_it_and_nobody_further_is_paged() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let (dm, page) = (world.dm("U0ONCALL"), world.dms("U0ONCALL").pop().expect("a page came"));
    world.pass(14).await;
    world.clicks("U0ONCALL", &dm, &ts(&page), "ack").await;

    let incident = world.incident(1).await;
    assert_eq!(incident.status, Status::Acknowledged);
    let card = shown(&world.again(&dm, &page));
    assert!(card.contains("You answered") && !card.contains("Acknowledge\n"), "{card}");
    let channel = world.channel(1).await;
    world.message(&channel, "<@U0ONCALL> answered and is on it");
    let pinned = shown(&world.ws().pins(&channel)[0]);
    assert!(pinned.contains("*Acknowledged* by <@U0ONCALL> after 14 min"), "{pinned}");
    assert!(!pinned.contains("next level at"), "{pinned}");

    let before = world.setup.phones.deliveries().len();
    world.pass(5).await;
    assert_eq!(world.setup.phones.deliveries().len(), before, "no page after an answer");
    assert!(world.dms("U0LEAD").is_empty(), "no page after an answer");
    world.close().await;
}

#[tokio::test]
async fn the_command_answers_in_the_channel_and_in_a_direct_message() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", START).await;
    let dm = world.dm("U0ONCALL");
    world.types("U0ONCALL", &dm, "ack").await;
    assert_eq!(world.incident(1).await.status, Status::Acknowledged);
    world.whisper("U0ONCALL", "You are on inc_1, and nobody further is paged.");

    // A second person may answer as well, in the channel; whoever answered already is told so.
    let channel = world.channel(1).await;
    world.joins("U0LEAD", &channel).await;
    world.types("U0LEAD", &channel, "acknowledge").await;
    world.types("U0ONCALL", &channel, "ack").await;
    world.whisper("U0ONCALL", "You have answered already");
    let incident = world.incident(1).await;
    let answered: Vec<&str> = incident.acknowledged_by.iter().map(|user| user.0.as_str()).collect();
    assert_eq!(answered, ["U0LEAD", "U0ONCALL"]);
    let first = incident.acknowledged.and_then(|mark| mark.by.person().cloned());
    assert_eq!(first.map(|user| user.0).as_deref(), Some("U0ONCALL"), "the first answer stands");
    assert!(incident.invited.iter().any(|user| user.0 == "U0LEAD"), "who answers is invited");
    world.close().await;
}

#[tokio::test]
async fn silence_climbs_level_by_level_round_by_round_to_the_fall_back() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let ways = |to: &str| world.received(to).iter().map(|delivery| delivery.kind).collect::<Vec<_>>();
    assert_eq!(ways("oncall@example.com"), [DeliveryKind::Email]);

    world.pass(14).await;
    assert!(world.dms("U0LEAD").is_empty() && world.dms("U0DBA").is_empty(), "not before its time");
    world.pass(1).await;
    assert_eq!((world.dms("U0LEAD").len(), world.dms("U0DBA").len()), (1, 1));
    assert_eq!(ways("+1 555 0103"), [DeliveryKind::Call]);
    assert_eq!(ways("+1 555 0102"), [DeliveryKind::Sms]);
    assert!(world.received("+1 555 0102")[0].body.contains("checkout returns 500"));
    let channel = world.channel(1).await;
    let notice = shown(&world.message(&channel, "Level 2 of 3 is paged"));
    assert!(notice.contains("nobody has answered so far") && notice.contains("<@U0LEAD>"), "{notice}");
    for person in ["U0LEAD", "U0DBA"] {
        assert!(world.ws().members(&channel).contains(&person.to_owned()), "{person} is invited");
    }

    world.pass(15).await;
    assert_eq!((world.dms("U0CTO").len(), ways("+1 555 0104")), (1, vec![DeliveryKind::Call]));
    world.pass(15).await;
    let again = world.dms("U0ONCALL").pop().expect("the first level is paged again");
    assert!(shown(&again).contains("level 1 of 3, again"), "{}", shown(&again));
    assert_eq!(ways("oncall@example.com").len(), 2);
    world.pass(15).await;
    world.pass(15).await;
    assert_eq!((world.dms("U0LEAD").len(), world.dms("U0CTO").len()), (2, 2));
    assert!(world.dms("U0PRODUCT").is_empty());

    world.pass(15).await;
    let fallback = world.dms("U0PRODUCT").pop().expect("the fall-back is told");
    assert!(shown(&fallback).contains("you are the fall-back"), "{}", shown(&fallback));
    assert_eq!(ways("product@example.com"), [DeliveryKind::Email]);
    world.message(&channel, "Nobody has answered on any level");
    let incident = world.incident(1).await;
    assert!(incident.ladder.exhausted && incident.ladder.next_at.is_none());
    assert!(incident.pages.values().all(|page| matches!(page.outcome, PageOutcome::Delivered { .. })));

    // The answer of one brings everybody's page up to date.
    let dm = world.dm("U0PRODUCT");
    world.clicks("U0PRODUCT", &dm, &ts(&fallback), "ack").await;
    for person in ["U0ONCALL", "U0LEAD", "U0DBA", "U0CTO", "U0PRODUCT"] {
        for page in world.dms(person) {
            let text = shown(&page);
            assert!(text.contains("*Acknowledged* by <@U0PRODUCT>"), "{person}: {text}");
            assert_eq!(text.contains("You answered"), person == "U0PRODUCT", "{person}: {text}");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn whoever_cannot_be_reached_one_way_is_reached_another_and_at_once() {
    let world = World::open().await;
    world.setup.phones.refuse("oncall@example.com");
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    assert!(world.received("oncall@example.com").is_empty());
    assert_eq!(world.received("+1 555 0101")[0].kind, DeliveryKind::Sms, "the next way comes at once");
    let timeline = world.timeline("U0SUPPORT", 1).await;
    assert!(timeline.contains("Page to <@U0ONCALL> not delivered: e-mail"), "{timeline}");
    world.close().await;
}

#[tokio::test]
async fn a_level_that_nobody_can_reach_is_passed_over_at_once() {
    let world = World::open().await;
    world.ws().remove_user("U0ONCALL");
    for address in ["oncall@example.com", "+1 555 0101"] {
        world.setup.phones.refuse(address);
    }
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let incident = world.incident(1).await;
    assert_eq!(incident.ladder.level, 1);
    assert_eq!((world.dms("U0LEAD").len(), world.received("+1 555 0102").len()), (1, 1));
    let channel = world.channel(1).await;
    world.message(&channel, "Level 2 of 3 is paged");
    world.close().await;
}
