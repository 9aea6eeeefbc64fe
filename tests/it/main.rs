//! Promises to the user, one file each. One binary, so that it links once.

mod acknowledge;
mod approval;
mod bad_input;
mod channels;
mod clicks;
mod commands;
mod diagnose;
mod doors;
mod escalation;
mod eyes;
mod home;
mod postmortem;
mod practice;
mod restart;
mod rollback;
mod script;
mod serve;
mod slack_faults;
mod start;
mod status_updates;
mod store;
mod story;
mod tidy;
mod timeline;
mod updates;
mod world;
