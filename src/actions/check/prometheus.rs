//! A query to a Prometheus server against limits, optionally only bad when it has been so for a while (row H2).
//!
//! No clock is needed: the server says at which instant it evaluated the query, and the range query looks back from
//! there.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::{Bounds, Check, Seen};
use crate::actions::World;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::http::{Headers, NoAnswer, Request, credentials, validate_headers, validate_url};
use crate::actions::json::number;
use crate::actions::length;
use crate::actions::stopwatch::Stopwatch;
use crate::incident::approval::Verdict;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// A query and its limits.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusCheck {
    /// The server: `https://prometheus.example.com`.
    pub url: String,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: Headers,
    /// The query in PromQL. Of several series the worst counts.
    pub query: String,
    /// The limits.
    pub limits: Bounds,
    /// Bad only when it has been bad all this time; until then it is worth a look.
    #[serde(default, rename = "for", deserialize_with = "length::read_some")]
    pub lasting: Option<Millis>,
    /// What no data means: worth a look when it is not said.
    #[serde(default)]
    pub when_empty: WhenEmpty,
}

/// What it means that a query finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenEmpty {
    /// Nothing to complain about.
    Pass,
    /// Worth a look.
    #[default]
    Warn,
    /// Bad.
    Fail,
}

/// A value at an instant in seconds.
type Point = (f64, f64);

#[async_trait]
impl Check for PrometheusCheck {
    fn default_title(&self) -> String {
        self.query.clone()
    }

    fn secrets(&self) -> Vec<&SecretString> {
        credentials(&self.headers)
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_url(&self.url, &[], path, faults);
        validate_headers(&self.headers, path, faults);
        if self.query.trim().is_empty() {
            faults.push(fault(format!("{path}.query"), "write a query, for example up{job=\"shop\"}"));
        }
        if self.lasting == Some(Millis(0)) {
            faults.push(fault(format!("{path}.for"), "write for example 5m, or leave it out"));
        }
        self.limits.validate(&format!("{path}.limits"), faults);
    }

    fn limits(&self) -> Option<&Bounds> {
        Some(&self.limits)
    }

    async fn look(&self, world: &World, within: Duration) -> Seen {
        let watch = Stopwatch::start();
        let series = match self.ask("query", &[("query", self.query.clone())], world, within).await {
            Ok(data) => points(&data),
            Err(seen) => return seen,
        };
        let Some(series) = series else {
            return Seen::fail(Words::new("look.prometheus_no_figure"));
        };
        let Some(worst) = self.limits.worst(series.iter().map(|(_, figure)| *figure)) else {
            return self.empty();
        };
        let seen = self.limits.judge(worst);
        let evaluated_at = series.first().map(|(at, _)| *at);
        match (self.lasting, evaluated_at, seen.verdict) {
            (Some(lasting), Some(at), Verdict::Fail) => {
                self.lasting(seen, lasting, at, world, watch.left_of(within)).await
            }
            _ => seen,
        }
    }
}

impl PrometheusCheck {
    /// Whether what is bad now has been so all the time.
    async fn lasting(&self, now: Seen, lasting: Millis, at: f64, world: &World, within: Duration) -> Seen {
        let seconds = lasting.0 as f64 / 1_000.0;
        let step = (seconds / 20.0).max(1.0);
        let parameters = [
            ("query", self.query.clone()),
            ("start", format!("{:.3}", at - seconds)),
            ("end", format!("{at:.3}")),
            ("step", format!("{step:.3}")),
        ];
        let data = match self.ask("query_range", &parameters, world, within).await {
            Ok(data) => data,
            Err(seen) => return seen,
        };
        let always = data.pointer("/result").and_then(Value::as_array).is_some_and(|series| {
            series.iter().filter_map(|one| one.get("values").and_then(points_of)).any(|points| {
                let reaches_back = points.first().is_some_and(|(first, _)| *first <= at - seconds + step);
                reaches_back && points.iter().all(|(_, figure)| self.limits.verdict(*figure) == Verdict::Fail)
            })
        });
        let lasts = |key, what: Words| Words::new(key).with("what", what).with("lasting_ms", lasting.0);
        let limit = now.limit.map(|limit| lasts("look.lasting", limit));
        if always {
            Seen { limit, ..now }
        } else {
            let value = lasts("look.not_so_long", now.value);
            Seen { verdict: Verdict::Warn, value, limit, is_bad_so_far: true, ..now }
        }
    }

    fn empty(&self) -> Seen {
        let verdict = match self.when_empty {
            WhenEmpty::Pass => Verdict::Pass,
            WhenEmpty::Warn => Verdict::Warn,
            WhenEmpty::Fail => Verdict::Fail,
        };
        Seen::new(verdict, Words::new("look.no_data")).with_limit(self.limits.limit())
    }

    async fn ask(
        &self,
        what: &str,
        parameters: &[(&str, String)],
        world: &World,
        within: Duration,
    ) -> Result<Value, Seen> {
        let watch = Stopwatch::start();
        let query = |parameters: &[(&str, String)]| {
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
        };
        let address = format!("{}/api/v1/{what}?{}", self.url.trim_end_matches('/'), query(parameters));
        let answer = match Request::get(address).send(&world.http, &self.headers, &[], within).await {
            Ok(answer) => answer,
            Err(NoAnswer::Lost(why)) if watch.left_of(within).is_zero() => return Err(Seen::hung(why)),
            Err(fault) => return Err(Seen::fail(Words::new("look.prometheus").with("why", fault.why()))),
        };
        let answered = |why: Words| {
            Seen::fail(Words::new("look.prometheus_answered").with("status", answer.status).with("why", why))
        };
        let body = answer.json().map_err(answered)?;
        if body.get("status").and_then(Value::as_str) == Some("success") {
            return Ok(body.get("data").cloned().unwrap_or_default());
        }
        let error = body.get("error").and_then(Value::as_str).map(Words::verbatim);
        Err(answered(error.unwrap_or_else(|| Words::new("reason.none"))))
    }
}

/// The points of an instant query: one a series, or the one of a scalar.
fn points(data: &Value) -> Option<Vec<Point>> {
    let result = data.get("result")?;
    match data.get("resultType")?.as_str()? {
        "vector" => result.as_array()?.iter().map(|series| point(series.get("value")?)).collect(),
        "scalar" => Some(vec![point(result)?]),
        _ => None,
    }
}

fn points_of(values: &Value) -> Option<Vec<Point>> {
    values.as_array()?.iter().map(point).collect()
}

/// `[1435781451.781, "0.05"]`; figures are text so that `NaN` and `+Inf` can be said.
fn point(pair: &Value) -> Option<Point> {
    Some((pair.get(0)?.as_f64()?, number(pair.get(1)?)?))
}

#[cfg(test)]
mod tests;
