//! Role and page: who leads, and who is asked to come.

use vigie::incident::people::Role;
use vigie::practice::NewPerson;
use vigie::practice::phones::DeliveryKind;

use super::{card, declared, seq, topic};
use crate::world::{INCIDENTS, World, shown, ts};

#[tokio::test]
async fn a_role_is_taken_or_given_and_everybody_sees_who_holds_it() {
    let world = World::open().await;
    let channel = declared(&world).await;
    assert!(card(&world, &channel).contains("*Commander:* nobody yet"), "{}", card(&world, &channel));
    for (line, says) in [
        ("Role IC", "Commander: <@U0ONCALL>."),
        ("role ops @lead", "Operations: <@U0LEAD>."),
        ("role communications comms", "Communications: <@U0COMMS>."),
        ("role scribe <@U0SUPPORT>", "Scribe: <@U0SUPPORT>."),
    ] {
        assert_eq!(world.asks("U0ONCALL", &channel, line).await, says);
    }
    let pinned = card(&world, &channel);
    let line =
        "*Commander:* <@U0ONCALL> · *Operations:* <@U0LEAD> · *Communications:* <@U0COMMS> · *Scribe:* <@U0SUPPORT>";
    assert!(pinned.contains(line), "{pinned}");
    assert!(!pinned.contains("Take it"), "nobody need take it any more: {pinned}");
    for person in ["U0LEAD", "U0SUPPORT"] {
        assert!(world.ws().members(&channel).contains(&person.to_owned()), "{person} is invited");
    }
    assert!(topic(&world, &channel).contains("IC On-call engineer"), "{}", topic(&world, &channel));
    let announced = world.cards(INCIDENTS, 1, "announcement").pop().expect("it is announced");
    assert!(shown(&announced).contains("*Commander:* <@U0ONCALL>"), "{}", shown(&announced));
    world.message(&channel, "Operations: <@U0LEAD>, named by <@U0ONCALL>");

    // Another person takes over; the one before holds nothing any more.
    assert_eq!(world.asks("U0LEAD", &channel, "role commander me").await, "Commander: <@U0LEAD>.");
    assert_eq!(world.incident(1).await.roles.get(&Role::Commander).map(|user| user.0.as_str()), Some("U0LEAD"));
    assert!(topic(&world, &channel).contains("IC Engineering lead"), "{}", topic(&world, &channel));
    world.close().await;
}

#[tokio::test]
async fn the_card_offers_the_lead_while_nobody_has_it() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let pinned = ts(&world.ws().pins(&channel)[0]);
    world.clicks("U0COMMS", &channel, &pinned, "take").await;
    world.whisper("U0COMMS", "Commander: <@U0COMMS>.");
    assert!(card(&world, &channel).contains("*Commander:* <@U0COMMS>"), "{}", card(&world, &channel));
    world.close().await;
}

#[tokio::test]
async fn a_role_that_cannot_be_given_is_refused_with_what_can() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.types("U0ONCALL", &channel, "role commander").await;
    let before = seq(&world).await;
    for (line, says) in [
        ("role ic oncall", "Commander is <@U0ONCALL> already."),
        ("role boss", "There is no role “boss”; there are commander, operations, communications and scribe."),
        (
            "role ops nobody",
            "I do not know “nobody”. Mention the person, or use one of: comms, cto, dba, lead, oncall, product, security and support.",
        ),
    ] {
        assert_eq!(world.asks("U0ONCALL", &channel, line).await, says);
    }
    assert_eq!(seq(&world).await, before);
    world.close().await;
}

#[tokio::test]
async fn one_person_is_paged_by_name_with_what_they_are_asked() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.types("U0ONCALL", &channel, "ack").await;
    let told = world.asks("U0ONCALL", &channel, "page cto please decide: refund & close?").await;
    assert_eq!(told, "Paging CTO.");
    let page = shown(&world.dms("U0CTO").pop().expect("the CTO has a direct message"));
    for line in ["SEV2 · checkout returns 500", "<@U0ONCALL> asks for you", "please decide: refund &amp; close?"] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    assert_eq!(world.received("+1 555 0104")[0].kind, DeliveryKind::Call);
    assert!(world.received("+1 555 0104")[0].body.contains("refund"), "{:?}", world.received("+1 555 0104"));
    assert!(world.ws().members(&channel).contains(&"U0CTO".to_owned()), "who is paged is invited");
    let timeline = world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("<@U0CTO> is paged: phone call, with the message “please decide"), "{timeline}");

    // A mention means the same as the name.
    assert_eq!(world.asks("U0ONCALL", &channel, "page @dba").await, "Paging Database administrator.");
    assert_eq!(world.dms("U0DBA").len(), 1);
    world.close().await;
}

#[tokio::test]
async fn a_level_is_paged_by_its_number() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let told = world.asks("U0ONCALL", &channel, "Page level 2 come quick").await;
    assert_eq!(told, "Paging Engineering lead and Database administrator.");
    for person in ["U0LEAD", "U0DBA"] {
        let page = shown(&world.dms(person).pop().expect("everybody of the level is paged"));
        assert!(page.contains("come quick") && page.contains("<@U0ONCALL> asks for you"), "{page}");
    }
    assert_eq!(world.asks("U0ONCALL", &channel, "page 3").await, "Paging CTO.");
    // The ladder goes on by itself all the same: the first level may still answer.
    let incident = world.incident(1).await;
    assert_eq!((incident.ladder.level, incident.ladder.next_at.is_some()), (0, true));
    world.close().await;
}

#[tokio::test]
async fn whoever_is_not_known_cannot_be_paged_and_those_who_are_are_named() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.ws().add_person(NewPerson::new("U0GUEST", "guest", "A guest"));
    let before = seq(&world).await;
    let known = "Mention the person, or use one of: comms, cto, dba, lead, oncall, product, security and support.";
    for (line, says) in [
        ("page nobody come", format!("I do not know “nobody”. {known}")),
        (
            "page @guest come",
            "<@U0GUEST> is not in the emergency plan, so I do not know how to reach them. I can page: comms, cto, dba, \
             lead, oncall, product, security and support."
                .to_owned(),
        ),
        ("page level 9", "There is no level 9; the ladder has 3.".to_owned()),
        ("page 0", "There is no level 0; the ladder has 3.".to_owned()),
    ] {
        assert_eq!(world.asks("U0ONCALL", &channel, line).await, says);
    }
    assert_eq!(seq(&world).await, before);
    world.close().await;
}
