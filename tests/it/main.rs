//! Promises to the user, one file each. One binary, so that it links once.

mod approval;
mod bad_input;
mod channels;
mod clicks;
mod doors;
mod escalation;
mod eyes;
mod practice;
mod restart;
mod script;
mod slack_faults;
mod start;
mod store;
mod story;
mod tidy;
mod updates;
mod world;
