//! Promises to the user, one file each. One binary, so that it links once.

mod approval;
mod escalation;
mod practice;
mod script;
mod start;
mod store;
mod tidy;
mod updates;
mod world;
