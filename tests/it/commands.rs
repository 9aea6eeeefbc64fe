//! What can be said in an incident is understood, answered to whoever said it, and seen by everybody it concerns.

mod changes;
mod grammar;
mod people;
mod places;

use vigie::incident::id::IncidentId;

use crate::world::World;

const START: &str = "start sev2 checkout returns 500";

/// An incident that the on-call engineer declared. Gives its channel.
async fn declared(world: &World) -> String {
    world.types("U0ONCALL", "C0GENERAL", START).await;
    world.channel(1).await
}

/// How much has happened in the first incident.
async fn seq(world: &World) -> u64 {
    world.incident(1).await.seq
}

/// The names of everything that happened in an incident, in order.
async fn kinds(world: &World, number: i64) -> Vec<String> {
    let timeline = world.setup.vigie.store.timeline(IncidentId(number)).await.expect("the store answers");
    timeline.iter().map(|entry| entry.fact.kind()).collect()
}

/// The pinned card, as people read it.
fn card(world: &World, channel: &str) -> String {
    let pins = world.ws().pins(channel);
    crate::world::read_aloud(&crate::world::shown(pins.first().expect("the card is pinned")))
}

fn topic(world: &World, channel: &str) -> String {
    world.ws().channel(channel).expect("the channel exists").topic.value
}
