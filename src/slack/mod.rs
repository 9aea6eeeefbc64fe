//! Slack: what people see there, and how Vigie hears and speaks.
//!
//! Two doors let things in, [`socket`] and [`http`]; both end in [`inbound`], which puts them into the store before Slack
//! is told. One way leads out, [`outgoing`], over the one [`client`]. What is shown is drawn by [`cards`] and [`views`],
//! which send nothing. Nothing here decides what follows from anything: that is the core's.

pub mod budget;
pub mod cards;
pub mod client;
pub mod directory;
pub mod documents;
pub mod fault;
pub mod health;
pub mod http;
pub mod inbound;
pub mod outgoing;
pub mod page_to_print;
pub mod paper;
pub mod scene;
pub mod socket;
pub mod views;

pub use budget::WORTH_OF_A_PAGE;
pub use client::{Identity, Slack, SlackConfig, SlackSetupFault};
pub use fault::SlackFault;
pub use health::{Gauge, Health};
pub use inbound::Inbound;
pub use outgoing::{CANARY_HEARD, unheard_by_all};
pub use socket::{Patience, SocketDoor};
