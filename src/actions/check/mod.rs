//! Checks: one figure each, looked at and judged (rows H1–H7, V3).

mod bounds;
pub mod command;
mod exposition;
pub mod git;
pub mod http;
pub mod log;
pub mod metrics;
pub mod prometheus;
pub mod sql;
pub mod tcp;
pub mod vercel;

use std::fmt;

use async_trait::async_trait;
use regex::Regex;
use secrecy::SecretString;
use serde::Deserialize;

pub use bounds::{Bounds, Change};

use self::command::CommandCheck;
use self::git::GitCheck;
use self::http::HttpCheck;
use self::log::LogCheck;
use self::metrics::MetricsCheck;
use self::prometheus::PrometheusCheck;
use self::sql::SqlCheck;
use self::tcp::TcpCheck;
use self::vercel::VercelCheck;
use super::World;
use super::config::{ConfigFault, fault};
use super::kubernetes::KubernetesCheck;
use super::length;
use super::stopwatch::{Stopwatch, within};
use crate::incident::approval::{CheckResult, Figure, Verdict};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// One configured check of one kind.
#[async_trait]
pub trait Check: fmt::Debug + Send + Sync {
    /// What it looks at, for people, when the configuration gives no title.
    fn default_title(&self) -> String;

    /// Adds every fault of its configuration.
    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>);

    /// Its credentials, for the redactor.
    fn secrets(&self) -> Vec<&SecretString>;

    /// The limits of its figure, where it has one.
    fn limits(&self) -> Option<&Bounds> {
        None
    }

    /// Looks once. `within` is how long it may take; whoever asks holds it to that.
    async fn look(&self, world: &World, within: std::time::Duration) -> Seen;
}

/// What a check saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Good or bad.
    pub verdict: Verdict,
    /// The value, short.
    pub value: Words,
    /// The limit it was held against.
    pub limit: Option<Words>,
    /// The value as a figure, where it is one.
    pub figure: Option<Figure>,
    /// What it was made of, line by line, where there is more to see than the value.
    pub details: Option<String>,
    /// It is bad, and only has not been so for long enough.
    pub(super) is_bad_so_far: bool,
}

impl Seen {
    pub(super) fn new(verdict: Verdict, value: Words) -> Self {
        Self { verdict, value, limit: None, figure: None, details: None, is_bad_so_far: false }
    }

    pub(super) fn fail(value: Words) -> Self {
        Self::new(Verdict::Fail, value)
    }

    pub(super) fn hung(value: Words) -> Self {
        Self::new(Verdict::Hung, value)
    }

    /// This and what another look at the same thing saw: both values, the worse verdict and its limit.
    fn and(self, other: Seen) -> Self {
        let value = Words::new("look.both").with("first", self.value.clone()).with("second", other.value.clone());
        let worse = if other.verdict > self.verdict { other.limit } else { self.limit };
        let details = self.details.or(other.details);
        let verdict = self.verdict.max(other.verdict);
        let is_bad_so_far = self.is_bad_so_far || other.is_bad_so_far;
        Self { verdict, value, limit: worse, figure: self.figure.or(other.figure), details, is_bad_so_far }
    }

    /// This, unless the other is worse; the figure stays.
    fn or_worse(self, other: Seen) -> Self {
        if other.verdict > self.verdict { Self { figure: self.figure, ..other } } else { self }
    }

    pub(super) fn with_details(mut self, lines: Vec<String>) -> Self {
        self.details = Some(lines.join("\n")).filter(|lines| !lines.is_empty());
        self
    }

    pub(super) fn with_limit(mut self, limit: Option<Words>) -> Self {
        self.limit = limit;
        self
    }
}

/// A result that may still change when it is looked at again.
pub(super) struct Look {
    pub result: CheckResult,
    is_bad_so_far: bool,
}

impl Look {
    /// The result when nobody looks again: what is bad then has not come right, however short it has been so.
    pub(super) fn at_last(self) -> CheckResult {
        let least = if self.is_bad_so_far { Verdict::Fail } else { self.result.verdict };
        CheckResult { verdict: self.result.verdict.max(least), ..self.result }
    }
}

/// What a check gets beyond its deadline to say that it has passed.
const MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

/// The longest value that is shown, in characters.
const MOST_VALUE: usize = 120;

/// The longest details that are kept, in bytes.
const MOST_DETAILS: usize = 2_500;

/// The first lines of a text, as many as are kept.
fn bearable(details: &str) -> String {
    let mut kept = String::new();
    for line in details.lines() {
        if kept.len() + line.len() > MOST_DETAILS {
            kept.push('…');
            break;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept.trim_end().to_owned()
}

/// Makes the check's configuration from the table of kinds: each is a field, exactly one of which is set.
macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident: $check:ty),* $(,)?) => {
        /// One check of a service: its kind with its settings, and what all kinds have in common.
        #[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct CheckConfig {
            /// Its key within the service.
            pub key: String,
            /// What it looks at, for people.
            pub title: Option<String>,
            /// How long it may take: 5 s when it is not said.
            #[serde(default, deserialize_with = "length::read_some")]
            pub within: Option<Millis>,
            $($(#[$doc])* pub $name: Option<Box<$check>>,)*
        }

        impl CheckConfig {
            const KINDS: &'static [&'static str] = &[$(stringify!($name)),*];

            fn set(&self) -> Vec<(&'static str, &dyn Check)> {
                let mut set: Vec<(&'static str, &dyn Check)> = Vec::new();
                $(if let Some(check) = &self.$name {
                    set.push((stringify!($name), check.as_ref()));
                })*
                set
            }
        }
    };
}

checks! {
    /// An HTTP answer: status, fields, latency.
    http: HttpCheck,
    /// Figures that the system itself exposes in Prometheus' text format.
    metrics: MetricsCheck,
    /// A query to a Prometheus server.
    prometheus: PrometheusCheck,
    /// A program's exit code.
    command: CommandCheck,
    /// A row that a database finds (H3).
    sql: SqlCheck,
    /// Lines of a log, counted.
    log: LogCheck,
    /// A port that takes connections.
    tcp: TcpCheck,
    /// The newest commits of a branch (G1).
    git: GitCheck,
    /// What a Kubernetes cluster says (K16).
    kubernetes: KubernetesCheck,
    /// The log of a deployment at Vercel (V3).
    vercel: VercelCheck,
}

impl CheckConfig {
    fn kind(&self) -> Option<&dyn Check> {
        self.set().into_iter().next().map(|(_, check)| check)
    }

    /// What it looks at, for people.
    pub fn shown_title(&self) -> String {
        let default = || self.kind().map_or_else(|| self.key.clone(), Check::default_title);
        self.title.clone().unwrap_or_else(default)
    }

    pub(super) fn deadline(&self) -> std::time::Duration {
        length::duration(self.within.unwrap_or(Millis::seconds(5)))
    }

    /// Looks once, as long as it may and at most so long.
    pub(super) async fn look(&self, world: &World, most: std::time::Duration) -> CheckResult {
        self.look_so_far(world, most).await.result
    }

    /// The same for whoever may look again.
    pub(super) async fn look_so_far(&self, world: &World, most: std::time::Duration) -> Look {
        let watch = Stopwatch::start();
        let deadline = self.deadline().min(most);
        let seen = match self.kind() {
            // Most checks keep the deadline themselves and can say more; the moment more is for those that cannot.
            Some(check) => within(deadline + MOMENT, check.look(world, deadline))
                .await
                .unwrap_or_else(|_| Seen::hung(Words::new("look.no_answer").with("within_ms", millis(deadline).0))),
            None => Seen::fail(Words::new("step.no_kind").with("known", Self::KINDS.join(", "))),
        };
        let is_bad_so_far = seen.is_bad_so_far;
        Look { result: self.result(seen, watch.took(), world), is_bad_so_far }
    }

    /// How its figure may differ from the one before an action, where that matters.
    pub(super) fn change(&self) -> Option<&Change> {
        self.kind().and_then(Check::limits).and_then(|limits| limits.than_before.as_ref())
    }

    /// Whether a warning may still become a failure or a pass: there is no figure yet, or a bad one that has not been
    /// bad for long enough.
    pub(super) fn is_open(&self, look: &Look) -> bool {
        let limits = self.kind().and_then(Check::limits);
        limits.is_some() && look.result.verdict == Verdict::Warn && look.result.figure.is_none() || look.is_bad_so_far
    }

    /// A result with the check's name, its value redacted and short.
    pub(super) fn result(&self, seen: Seen, took: Millis, world: &World) -> CheckResult {
        CheckResult {
            check: self.key.clone(),
            title: self.shown_title(),
            verdict: seen.verdict,
            value: world.redactor.words(seen.value, MOST_VALUE),
            limit: seen.limit,
            took,
            figure: seen.figure,
            details: seen.details.map(|details| bearable(&world.redactor.text(&details))),
        }
    }

    pub(super) fn secrets(&self) -> Vec<&SecretString> {
        self.set().into_iter().flat_map(|(_, check)| check.secrets()).collect()
    }

    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let set = self.set();
        if set.len() != 1 {
            faults.push(fault(path, format!("a check is exactly one of {}", Self::KINDS.join(", "))));
        }
        if self.key.trim().is_empty() || self.key.contains('/') {
            faults.push(fault(format!("{path}.key"), "a check needs a key without /, for example health"));
        }
        if self.within == Some(Millis(0)) {
            faults.push(fault(format!("{path}.within"), "nothing is seen in no time; write for example 5s"));
        }
        for (name, check) in set {
            check.validate(&format!("{path}.{name}"), faults);
        }
    }
}

/// Adds the faults of a filter for lines, in whatever they are looked for.
pub(super) fn validate_filter(filter: &str, path: &str, faults: &mut Vec<ConfigFault>) {
    let path = format!("{path}.filter");
    match Regex::new(filter) {
        Ok(_) if filter.is_empty() => {
            faults.push(fault(path, "every line would be counted; write for example ERROR"));
        }
        Ok(_) => {}
        Err(error) => {
            let last = error.to_string().lines().last().unwrap_or_default().to_owned();
            faults.push(fault(path, format!("this is not a regular expression: {last}")));
        }
    }
}

pub(super) fn millis(length: std::time::Duration) -> Millis {
    Millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
}
