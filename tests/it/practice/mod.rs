//! The practice workspace keeps Slack's promises.

pub mod app;
mod doors;
mod interactions;
mod morphism;
mod response_urls;
mod rooms;
mod troubles;
