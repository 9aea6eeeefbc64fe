//! Vigie runs a team's emergency plan with them, in Slack.

pub mod actions;
pub mod clock;
pub mod comms;
pub mod incident;
pub mod paging;
pub mod practice;
pub mod render;
pub mod slack;
pub mod store;
