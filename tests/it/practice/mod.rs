//! The practice workspace keeps Slack's promises.

pub mod app;
mod directory;
mod doors;
mod interactions;
mod load;
mod morphism;
mod response_urls;
mod rooms;
mod surfaces;
mod troubles;
