//! How many lines of a log match: error counts now, and before and after an action (row H6).
//!
//! The lines come from a program that prints the log of a while, or from the end of a file. They are counted as they
//! pass by; however many there are, only the newest that matches is kept.

mod file;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use regex::Regex;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Bounds, Check, Seen, validate_filter};
use crate::actions::World;
use crate::actions::command::{Place, shown, validate_argv};
use crate::actions::config::{ConfigFault, fault};
use crate::actions::length;
use crate::actions::process::{Counted, Deadline, Ended};
use crate::incident::time::Millis;
use crate::incident::words::Words;
use crate::reason;

/// A log, what is looked for in it, and how much of that is too much.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogCheck {
    /// A program that prints the log of a while; or `file`.
    pub command: Option<Printer>,
    /// The log itself: a whole path. At most its last 64 MiB are read.
    pub file: Option<PathBuf>,
    /// Of the file only the lines of so long a time before now; its lines must have times as RFC 3339 writes them. Checked
    /// after an action, it should be no longer than `verify_within`, or errors from before still count.
    #[serde(default, deserialize_with = "length::read_some")]
    pub within: Option<Millis>,
    /// Lines that match are counted: a regular expression.
    pub filter: String,
    /// The limits of their number.
    pub limits: Bounds,
}

/// A program that prints a log.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Printer {
    /// The program and its arguments, for instance `docker logs --since 10m web`.
    pub argv: Vec<String>,
    /// Where and with what it runs.
    #[serde(default)]
    pub place: Place,
}

#[async_trait]
impl Check for LogCheck {
    fn default_title(&self) -> String {
        let from = match (&self.command, &self.file) {
            (Some(printer), _) => shown(&printer.argv),
            (None, Some(file)) => file.display().to_string(),
            (None, None) => String::new(),
        };
        format!("{} · {from}", self.filter)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.command.iter().flat_map(|printer| printer.place.secrets.values()).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        match (&self.command, &self.file) {
            (Some(printer), None) => {
                validate_argv(&printer.argv, &[], &format!("{path}.command.argv"), faults);
                printer.place.validate(&format!("{path}.command.place"), faults);
                if self.within.is_some() {
                    faults.push(fault(
                        format!("{path}.within"),
                        "this is for a file; a program is told itself how far back to go, for example by --since",
                    ));
                }
            }
            (None, Some(file)) if file.is_relative() => {
                faults.push(fault(format!("{path}.file"), "write the whole path, beginning with /"));
            }
            (None, Some(_)) => {}
            _ => faults.push(fault(path, "a log comes from exactly one of command, file")),
        }
        validate_filter(&self.filter, path, faults);
        self.limits.validate(&format!("{path}.limits"), faults);
    }

    fn limits(&self) -> Option<&Bounds> {
        Some(&self.limits)
    }

    async fn look(&self, world: &World, within: Duration) -> Seen {
        let Ok(filter) = Regex::new(&self.filter) else {
            return Seen::fail(Words::new("look.broke"));
        };
        let counted = match (&self.command, &self.file) {
            (Some(printer), _) => printer.count(&filter, world, within).await,
            (None, Some(file)) => self.count_in(file.clone(), filter).await,
            (None, None) => Err(Seen::fail(Words::new("look.broke"))),
        };
        match counted {
            Ok(counted) => self.judge(counted, world),
            Err(seen) => seen,
        }
    }
}

impl Printer {
    async fn count(&self, filter: &Regex, world: &World, within: Duration) -> Result<Counted, Seen> {
        let counting = self.place.count(&self.argv, filter, world, Deadline::of_looking(within));
        let (finished, counted) = counting.await.map_err(|fault| Seen::fail(fault.words()))?;
        let said = |words: Words| words.with("last", finished.last_line());
        match finished.ended {
            Ended::Exit(0) => Ok(counted),
            Ended::Exit(code) => Err(Seen::fail(said(Words::new("look.exit").with("code", code)))),
            Ended::Signal(signal) => Err(Seen::fail(said(Words::new("look.signal").with("signal", signal)))),
            Ended::Deadline => Err(Seen::hung(said(Words::new("look.no_end")))),
        }
    }
}

impl LogCheck {
    async fn count_in(&self, path: PathBuf, filter: Regex) -> Result<Counted, Seen> {
        let window = self.within;
        let counting = tokio::task::spawn_blocking(move || file::count(&path, &filter, window)).await;
        match counting {
            Ok(Ok(Some(counted))) => Ok(counted),
            Ok(Ok(None)) => Err(Seen::fail(Words::new("look.log_without_times"))),
            Ok(Err(fault)) => Err(Seen::fail(Words::new("look.log_unread").with("why", reason::of_io(&fault)))),
            Err(broken) => {
                tracing::error!(%broken, "a check broke");
                Err(Seen::fail(Words::new("look.broke")))
            }
        }
    }

    fn judge(&self, counted: Counted, world: &World) -> Seen {
        let seen = self.limits.judge(counted.lines as f64);
        let newest = counted.newest.map(|line| world.redactor.short(&line, MOST_LINE));
        let value = Words::new("look.log").with("count", counted.lines).with("newest", newest);
        Seen { value: value.with("within_ms", self.within.map(|within| within.0)), ..seen }
    }
}

/// How much of the newest line is shown, in characters.
const MOST_LINE: usize = 80;

#[cfg(test)]
mod tests;
