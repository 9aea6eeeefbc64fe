//! Vigie runs a team's emergency plan with them, in Slack.

pub mod clock;
pub mod config;
pub mod incident;
pub mod paging;
pub mod render;
