//! An HTTP answer: its status, its JSON fields, a figure in it, its latency, and how long the server's certificate is
//! still good (rows H1, H4).

mod certificate;
mod figure;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use self::certificate::CertificateRule;
use self::figure::FigureRule;
use super::{Bounds, Check, Seen};
use crate::actions::World;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::http::{
    Answer, Headers, Method, NoAnswer, Request, broken_rule, credentials, validate_headers, validate_url,
};
use crate::actions::json::FieldRule;
use crate::actions::length;
use crate::actions::stopwatch::Stopwatch;
use crate::incident::approval::Verdict;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// An address and what must come back.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// The address.
    pub url: String,
    /// GET when it is not said.
    #[serde(default)]
    pub method: Method,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: Headers,
    /// The statuses that are good: 200 when it is not said.
    #[serde(default = "ok")]
    pub status: Vec<u16>,
    /// What the answer's fields must be.
    #[serde(default)]
    pub fields: Vec<FieldRule>,
    /// A slower answer is worth a look.
    #[serde(default, deserialize_with = "length::read_some")]
    pub warn_after: Option<Millis>,
    /// A slower answer is bad.
    #[serde(default, deserialize_with = "length::read_some")]
    pub fail_after: Option<Millis>,
    /// A figure in the answer, which `limits` are held against.
    pub figure: Option<FigureRule>,
    /// The limits of the figure.
    pub limits: Option<Bounds>,
    /// How long the server's certificate has to be good yet.
    pub certificate: Option<CertificateRule>,
}

fn ok() -> Vec<u16> {
    vec![200]
}

#[async_trait]
impl Check for HttpCheck {
    fn default_title(&self) -> String {
        format!("{} {}", self.method.word(), self.url)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        credentials(&self.headers)
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_url(&self.url, &[], path, faults);
        validate_headers(&self.headers, path, faults);
        if self.status.is_empty() {
            faults.push(fault(format!("{path}.status"), "name at least one status that is good, for example 200"));
        }
        if !matches!(self.method, Method::Get | Method::Head | Method::Post) {
            faults.push(fault(format!("{path}.method"), "a check only looks; use GET, HEAD or POST"));
        }
        for (index, rule) in self.fields.iter().enumerate() {
            rule.validate(&format!("{path}.fields[{index}]"), faults);
        }
        match (&self.figure, &self.limits) {
            (Some(figure), Some(limits)) => {
                figure.validate(&format!("{path}.figure"), faults);
                limits.validate(&format!("{path}.limits"), faults);
            }
            (Some(_), None) => faults.push(fault(format!("{path}.limits"), "a figure needs limits")),
            (None, Some(_)) => {
                faults.push(fault(format!("{path}.figure"), "say where the figure stands, for example at: /count"));
            }
            (None, None) => {}
        }
        if let Some(certificate) = &self.certificate {
            certificate.validate(&self.url, &format!("{path}.certificate"), faults);
        }
    }

    fn limits(&self) -> Option<&Bounds> {
        self.limits.as_ref()
    }

    async fn look(&self, world: &World, within: std::time::Duration) -> Seen {
        let watch = Stopwatch::start();
        let request = Request { method: self.method, url: self.url.clone(), body: None };
        let answer = match request.send(&world.http, &self.headers, &[], within).await {
            Ok(answer) => answer,
            Err(NoAnswer::NotSent(why)) => return Seen::fail(why),
            Err(NoAnswer::Lost(why)) if watch.left_of(within).is_zero() => return Seen::hung(why),
            Err(NoAnswer::Lost(why)) => return Seen::fail(why),
        };
        let seen = self.judge(&answer, watch.took());
        match &self.certificate {
            Some(rule) => seen.and(rule.judge(&answer)),
            None => seen,
        }
    }
}

impl HttpCheck {
    fn judge(&self, answer: &Answer, took: Millis) -> Seen {
        let value = Words::new("look.answer").with("status", answer.status).with("took_ms", took.0);
        if !self.status.contains(&answer.status) {
            let wanted = self.status.iter().map(u16::to_string).collect::<Vec<_>>().join(" / ");
            return Seen::fail(value.with("broken", Value::Null)).with_limit(Some(Words::verbatim(wanted)));
        }
        if let Some(broken) = broken_rule(&self.fields, answer) {
            return Seen::fail(value.with("broken", broken));
        }
        let seen = self.judged_by_latency(value.with("broken", Value::Null), took);
        match (&self.figure, &self.limits) {
            (Some(figure), Some(limits)) => figure.judge(answer, limits).or_worse(seen),
            _ => seen,
        }
    }

    fn judged_by_latency(&self, value: Words, took: Millis) -> Seen {
        let slower = |limit: Option<Millis>| limit.is_some_and(|limit| took > limit);
        let verdict = if slower(self.fail_after) {
            Verdict::Fail
        } else if slower(self.warn_after) {
            Verdict::Warn
        } else {
            Verdict::Pass
        };
        let limit = self.fail_after.or(self.warn_after).map(|limit| Words::new("look.fast").with("limit_ms", limit.0));
        Seen::new(verdict, value).with_limit(limit)
    }
}

#[cfg(test)]
mod tests;
