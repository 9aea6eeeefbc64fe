//! What the providers of runbook actions promise, against simulators of the vendors that keep state and refuse as they do
//! (`platforms`), and real programs where there are some. Each has its table of what may go wrong, played in the actions
//! room (`room`), and one way through the whole bot (`runbook`).

mod calls;
mod compose;
mod ecs;
mod files;
mod git;
mod git_remote;
mod github;
mod misbehaving;
mod moto;
mod netlify;
mod prism;
mod traffic;
mod vercel;
mod vercel_variables;
