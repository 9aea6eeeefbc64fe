//! The practice workspace keeps Slack's promises.

mod app;
mod interactions;
mod rooms;
