//! Vigie runs a team's emergency plan with them, in Slack.

pub mod actions;
pub mod app;
pub mod cli;
pub mod clock;
pub mod comms;
pub mod config;
pub mod engine;
pub mod incident;
pub mod paging;
#[expect(missing_docs, reason = "most of what is public here are Slack's own fields, by Slack's own names")]
pub mod practice;
pub mod render;
pub mod slack;
pub mod store;
pub mod web;
