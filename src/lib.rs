//! Vigie runs a team's emergency plan with them, in Slack.

pub mod actions;
pub mod clock;
pub mod incident;
pub mod paging;
pub mod render;
pub mod store;
