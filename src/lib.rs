//! Vigie runs a team's emergency plan with them, in Slack.

pub mod actions;
pub mod app;
pub mod clock;
pub mod comms;
pub mod config;
pub mod engine;
pub mod incident;
pub mod paging;
pub mod render;
pub mod slack;
pub mod store;
pub mod web;
