//! Figures from a system's own `/metrics` page: one metric, or the ratio of two (row H2).
//!
//! Counters only ever grow, so their ratio since the start says little about this minute. With `over`, the page is
//! read twice and only the increase in between counts.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use super::exposition::{Sample, Selector, samples};
use super::{Bounds, Check, Seen};
use crate::actions::World;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::http::{Headers, NoAnswer, Request, credentials, validate_headers, validate_url};
use crate::actions::length;
use crate::actions::stopwatch::{Stopwatch, pause};
use crate::incident::approval::Verdict;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// A metric, or a ratio, and its limits.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsCheck {
    /// The page in Prometheus' text format.
    pub url: String,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: Headers,
    /// The metric; the sum of all its samples that are meant.
    pub metric: Selector,
    /// Divided by this, if it is said.
    pub per: Option<Selector>,
    /// Counters: only the increase within this time counts.
    #[serde(default, deserialize_with = "length::read_some")]
    pub over: Option<Millis>,
    /// The limits.
    pub limits: Bounds,
}

/// What was read at one moment.
struct Reading {
    metric: Option<f64>,
    per: Option<f64>,
}

#[async_trait]
impl Check for MetricsCheck {
    fn default_title(&self) -> String {
        match &self.per {
            Some(per) => format!("{} / {}", self.metric.name, per.name),
            None => self.metric.name.clone(),
        }
    }

    fn secrets(&self) -> Vec<&SecretString> {
        credentials(&self.headers)
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_url(&self.url, &[], path, faults);
        validate_headers(&self.headers, path, faults);
        self.metric.validate(&format!("{path}.metric"), faults);
        if let Some(per) = &self.per {
            per.validate(&format!("{path}.per"), faults);
        }
        if self.over.is_some_and(|over| over < Millis(100)) {
            faults.push(fault(format!("{path}.over"), "nothing grows in so short a time; write for example 2s"));
        }
        self.limits.validate(&format!("{path}.limits"), faults);
    }

    fn limits(&self) -> Option<&Bounds> {
        Some(&self.limits)
    }

    async fn look(&self, world: &World, within: Duration) -> Seen {
        let watch = Stopwatch::start();
        let first = match self.read(world, watch.left_of(within)).await {
            Ok(reading) => reading,
            Err(seen) => return seen,
        };
        let Some(over) = self.over else {
            return self.judge(first.metric, first.per);
        };
        pause(length::duration(over)).await;
        match self.read(world, watch.left_of(within)).await {
            Ok(second) => self.judge(increase(first.metric, second.metric), increase(first.per, second.per)),
            Err(seen) => seen,
        }
    }
}

impl MetricsCheck {
    /// Between the two readings there must be time left for the readings themselves.
    pub(in crate::actions) fn validate_span(&self, most: Duration, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.over.is_some_and(|over| length::duration(over) >= most) {
            let sentence = format!(
                "a look may take {} ms, so it would always be cut off; make it shorter, or within and diagnose_within longer",
                most.as_millis()
            );
            faults.push(fault(format!("{path}.over"), sentence));
        }
    }

    async fn read(&self, world: &World, within: Duration) -> Result<Reading, Seen> {
        let watch = Stopwatch::start();
        let answer = match Request::get(&self.url).send(&world.http, &self.headers, &[], within).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => return Err(Seen::fail(Words::new("look.metrics_answered").with("status", answer.status))),
            Err(NoAnswer::Lost(why)) if watch.left_of(within).is_zero() => return Err(Seen::hung(why)),
            Err(fault) => return Err(Seen::fail(fault.why())),
        };
        if answer.cut {
            return Err(Seen::fail(Words::new("look.metrics_too_long")));
        }
        let samples: Vec<Sample<'_>> =
            samples(&answer.body).map_err(|line| Seen::fail(Words::new("look.metrics_garbled").with("line", line)))?;
        // A ratio's counter that has no such sample yet has counted nothing, unless nobody there knows it at all.
        let is_zero = self.per.is_some() && self.metric.is_known_on(&answer.body, &samples);
        let metric = self.metric.sum(&samples).or(is_zero.then_some(0.0));
        Ok(Reading { metric, per: self.per.as_ref().and_then(|per| per.sum(&samples)) })
    }

    fn judge(&self, metric: Option<f64>, per: Option<f64>) -> Seen {
        let Some(metric) = metric else {
            return Seen::new(Verdict::Warn, missing(&self.metric));
        };
        match (&self.per, per) {
            (None, _) => self.limits.judge(metric),
            (Some(named), None) => Seen::new(Verdict::Warn, missing(named)),
            (Some(named), Some(0.0)) => {
                let value = Words::new("look.counted_nothing").with("metric", named.name.as_str());
                Seen::new(Verdict::Warn, value).with_limit(self.limits.limit())
            }
            (Some(_), Some(per)) => self.limits.judge(metric / per),
        }
    }
}

fn missing(selector: &Selector) -> Words {
    Words::new("look.no_metric").with("metric", selector.name.as_str())
}

/// How much a counter grew; one that became smaller was started anew and counts from nothing.
fn increase(first: Option<f64>, second: Option<f64>) -> Option<f64> {
    let (first, second) = (first.unwrap_or(0.0), second?);
    Some(if second < first { second } else { second - first })
}

#[cfg(test)]
mod tests;
