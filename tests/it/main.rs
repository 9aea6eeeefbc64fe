//! Promises to the user, one file each. One binary, so that it links once.

mod approval;
mod doors;
mod escalation;
mod eyes;
mod payloads;
mod practice;
mod script;
mod start;
mod store;
mod story;
mod tidy;
mod updates;
mod world;
