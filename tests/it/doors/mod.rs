//! Slack's doors, against a strict workspace, over the wire.

mod http;
mod inbound;
mod outgoing;
mod socket;
mod world;
