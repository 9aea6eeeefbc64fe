//! A list of addresses is reached whole: whoever was missed for a moment is tried again, and nobody is told twice.

use vigie::practice::phones::{Door, Fault};

use crate::world::{World, shown};

/// Customers of the practice team are told by text message, too.
const HOTLINE: (&str, &str) = (
    "      - name: status-page\n",
    "      - name: hotline\n        sms: [\"+15550198\", \"+15550199\"]\n      - name: status-page\n",
);

/// An incident with a text for customers that waits for its approval. Gives the channel.
async fn written(world: &World) -> String {
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "update --customer “Paying is difficult.” we are rolling back").await;
    channel
}

#[tokio::test]
async fn a_number_that_was_missed_for_a_moment_is_tried_again_and_the_others_are_left_alone() {
    let world = World::open_changed(&[HOTLINE]).await;
    let channel = written(&world).await;
    world.setup.phones.fail_next(Door::Sms, Fault::TooMany, 1);
    world.types("U0COMMS", &channel, "send upd_1_1").await;
    for number in ["+1 555 0198", "+1 555 0199"] {
        assert_eq!(world.received(number).len(), 1, "{number}");
    }
    let card = shown(&world.message(&channel, "*For customers*"));
    assert!(!card.contains("not sent"), "{card}");
    assert_eq!(card.matches("✅ customers/hotline: sent").count(), 1, "{card}");
    world.close().await;
}

#[tokio::test]
async fn a_number_that_stays_out_of_reach_is_named_when_it_has_been_tried_long_enough() {
    let world = World::open_changed(&[HOTLINE]).await;
    let channel = written(&world).await;
    world.setup.phones.fail_next(Door::Sms, Fault::TooMany, 1_000);
    world.setup.phones.refuse("+1 555 0198");
    world.types("U0COMMS", &channel, "send upd_1_1").await;
    for _ in 0..40 {
        world.pass(1).await;
    }
    assert_eq!(world.received("+1 555 0198").len() + world.received("+1 555 0199").len(), 0);
    let card = shown(&world.message(&channel, "*For customers*"));
    assert!(card.contains("⚠️ customers/hotline") && card.contains(": not sent, Twilio "), "{card}");
    assert!(card.contains("✅ customers/newsletter: sent"), "{card}");
    world.close().await;
}
