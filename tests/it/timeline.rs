//! The record is whole: what Vigie does, what people note, and the messages they want kept, as they read now.

mod captured;
mod record;

use vigie::incident::id::{IncidentId, MessageRef};
use vigie::incident::state::Captured;
use vigie::incident::timeline::Entry;

use crate::world::World;

/// An incident that the on-call engineer declared and answered. Gives its channel.
async fn open(world: &World) -> String {
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "ack").await;
    channel
}

async fn entries(world: &World) -> Vec<Entry> {
    world.setup.vigie.store.timeline(IncidentId(1)).await.expect("the store answers")
}

/// How often something of this kind is in the record.
async fn count(world: &World, kind: &str) -> usize {
    entries(world).await.iter().filter(|entry| entry.fact.kind() == kind).count()
}

/// A message as the record has it now.
async fn held(world: &World, channel: &str, ts: &str) -> Option<Captured> {
    let message = MessageRef { channel: channel.into(), ts: ts.to_owned() };
    world.incident(1).await.captured.get(&message).cloned()
}
