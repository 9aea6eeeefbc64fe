//! The core: what an incident is and what follows from what.
//!
//! Pure. Nothing here awaits, reads a clock, draws randomness, or knows Slack, SQL or a file. Time is an argument
//! ([`time::Instant`]), names come from the store and from the incident's own counters, and sentences are keys
//! ([`words::Words`]) that `render` turns into a language.
//!
//! [`decision::decide`] is the one door in; [`timeline::Fact`]s and [`decision::Effect`]s are all that comes out;
//! [`state::Incident::apply`] is the one way an incident changes.

pub mod absent;
pub mod approval;
pub mod capture;
pub mod command;
pub mod decision;
pub mod draft;
pub mod id;
pub mod ladder;
pub mod lane;
pub mod people;
pub mod postmortem;
pub mod report;
pub mod rules;
pub mod run;
pub mod severity;
pub mod state;
pub mod time;
pub mod timeline;
pub mod update;
pub mod waiting;
pub mod wake;
pub mod window;
pub mod words;
