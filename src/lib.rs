//! Vigie runs a team's emergency plan with them, in Slack. This page is the map of the code.
//!
//! # The rooms
//! - [`incident`]: the core. What an incident is and what follows from what; pure.
//! - [`store`]: the only SQL. Inbox, timeline, outbox, locks; one transaction a decision. SQLite and PostgreSQL from one
//!   text; on SQLite changes that wait together share a commit.
//! - [`engine`]: the shell. Takes what came in, has it decided and committed, carries out what follows, lane by lane, and
//!   looks after itself.
//! - [`slack`]: the doors in (Socket Mode, HTTP), the calls out, and everything drawn there.
//! - [`actions`]: runbook actions and checks, one provider a file.
//! - [`paging`] and [`comms`]: reaching one person; telling many.
//! - [`render`]: every text, from `templates/`, in English and French.
//! - [`config`], [`cli`], [`web`], [`clock`]: what is configured, typed, asked by machines; the only reader of the time.
//! - `tls`: whom every client trusts.
//! - [`practice`]: a local, strict, Slack-compatible workspace with phones and a shop to break. It knows nothing of us:
//!   it speaks Slack's wire protocol, and is the world of the tests.
//! - `simulation` (tests only): the core, engine and store in a simulated world, one thing at a time. It stands here and not
//!   with the other promises in `tests/it`, because it drives the engine step by step.
//! - [`app`]: the composition root, the one place that names concrete things.
//!
//! Uses point downward: `main → cli → app → every room`; `engine → slack, store, actions, paging, comms → incident,
//! render`; `incident` and `practice` use nothing of ours, `paging` only the core's words. `tests/it/tidy.rs` holds these walls.
//!
//! # What is always true
//! - The core never awaits, reads a clock or draws randomness; time is an argument.
//! - Whatever is acknowledged is in the inbox; whatever was decided is one transaction: facts, row, effects, next wake.
//! - The timeline is the truth: an incident's row is the fold of its facts, and a test demands it after every scenario.
//! - No timer is set or cancelled: `wake_at` is derived from the state and stored with it.
//! - Pages never wait for chat. A lane that is slow or limited delays no other, nor does one way of paging another, nor an
//!   execution that goes on and on a plan.
//! - Several processes share one PostgreSQL without a leader: whoever finds something due takes it under a lease, and only
//!   the execution with a run's newest fence may begin its next step.
//! - A plan says exactly what will be; its digest is on the card, in each approval and in the run; only an approval makes
//!   an [`ApprovedPlan`](incident::approval::ApprovedPlan), and only that can be executed, at most once.
//!
//! What follows from that for a team, and how it is tried, stands in [`promises`].
//!
//! # A walk: `/incident start sev2 checkout returns 500`
//! 1. [`slack::socket`] (or [`slack::http`]) hears it; [`slack::inbound`] parses the line
//!    ([`incident::command::parse`]), puts it into the inbox ([`store::Store::receive`]) and only then acknowledges.
//! 2. [`engine`] takes it: [`incident::decision::decide`] answers with facts (`Declared`, `Escalated`, `Paged` …) and effects
//!    (`OpenChannel`, `Page`, `ShowCard` …), and the store commits all of it.
//! 3. The page lane sends the direct message and the e-mail at once; the chat lane opens the channel, posts the card,
//!    invites. What comes back (`ChannelOpened`, `PageDelivered`) returns through the inbox as a
//!    [`Report`](incident::decision::Report).
//!
//! # A walk: a click on Approve
//! 1. The button's value is the line `approve run_7_1`: the same parser, the same path, the same rules.
//! 2. `decide` checks who, when, which items are ticked; the last approval gives `Approved`, and the channel is told.
//! 3. When Slack has taken that message (or after ten seconds without), the run is released to the action lane.
//!    [`actions`] compares the world with the plan, acts, and verifies; each step is reported, durably, before the next.
//! 4. A crash in between: whoever takes the run up asks the provider what happened before doing anything.
//!
//! # A walk: nobody answers
//! 1. `wake_at` comes; the engine takes the incident, `decide` is given `Wake`.
//! 2. [`incident::wake`] climbs the ladder, expires plans, reminds of updates: each once, however late it is.

pub mod actions;
pub mod app;
pub mod cli;
pub mod clock;
pub mod comms;
pub mod config;
pub mod engine;
#[cfg(test)]
mod english;
pub mod incident;
pub mod paging;
#[doc = include_str!("promises.md")]
pub mod promises {}
#[expect(missing_docs, reason = "most of what is public here are Slack's own fields, by Slack's own names")]
pub mod practice;
mod reason;
pub mod render;
#[cfg(test)]
mod simulation;
pub mod slack;
pub mod store;
mod tls;
pub mod web;
