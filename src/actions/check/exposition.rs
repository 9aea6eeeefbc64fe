//! Prometheus' text exposition format (version 0.0.4): reading samples out of a `/metrics` page.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use crate::actions::config::{ConfigFault, fault};

/// One line of the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'a> {
    pub name: &'a str,
    pub labels: BTreeMap<&'a str, String>,
    pub value: f64,
}

/// Which samples are added up.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// The metric's name: `http_requests_total`.
    pub name: String,
    /// Labels that must have these values; a value that begins with `~` is a pattern for the whole value: `~5..`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Selector {
    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.name.trim().is_empty() {
            faults.push(fault(format!("{path}.name"), "name a metric, for example http_requests_total"));
        }
        for (label, wanted) in &self.labels {
            if let Some(Err(error)) = wanted.strip_prefix('~').map(whole) {
                faults.push(fault(format!("{path}.labels.{label}"), format!("this is not a pattern: {error}")));
            }
        }
    }

    /// Whether the page knows the metric, under whatever labels: it has a sample of it, or declares its type.
    pub(super) fn is_known_on(&self, page: &str, samples: &[Sample<'_>]) -> bool {
        let is_declared = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next(), words.next(), words.next()) == (Some("#"), Some("TYPE"), Some(self.name.as_str()))
        };
        samples.iter().any(|sample| sample.name == self.name) || page.lines().any(is_declared)
    }

    /// The sum of all samples that are meant; `None` when there is not one.
    pub(super) fn sum(&self, samples: &[Sample<'_>]) -> Option<f64> {
        let patterns: Vec<(&str, Wanted<'_>)> =
            self.labels.iter().map(|(label, wanted)| (label.as_str(), Wanted::new(wanted))).collect();
        let meant = |sample: &&Sample<'_>| {
            sample.name == self.name
                && patterns
                    .iter()
                    .all(|(label, wanted)| wanted.fits(sample.labels.get(label).map_or("", String::as_str)))
        };
        samples.iter().filter(meant).map(|sample| sample.value).reduce(|a, b| a + b)
    }
}

enum Wanted<'a> {
    Exactly(&'a str),
    Pattern(Option<Regex>),
}

impl<'a> Wanted<'a> {
    fn new(wanted: &'a str) -> Self {
        wanted.strip_prefix('~').map_or(Self::Exactly(wanted), |pattern| Self::Pattern(whole(pattern).ok()))
    }

    fn fits(&self, value: &str) -> bool {
        match self {
            Wanted::Exactly(wanted) => *wanted == value,
            Wanted::Pattern(pattern) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(value)),
        }
    }
}

fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

/// The samples of a page.
///
/// # Errors
/// The number of the first line, from 1, that is no sample.
pub(super) fn samples(page: &str) -> Result<Vec<Sample<'_>>, usize> {
    let lines = page.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| sample(line).ok_or(number)).collect()
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    // Behind the value a time may follow, which does not matter here. `+Inf` and `NaN` are Rust's spelling too.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then_some(Sample { name, labels, value })
}

/// The labels behind `{`, and what follows `}`.
fn labels(mut rest: &str) -> Option<(BTreeMap<&str, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        labels.insert(name.trim(), value);
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP http_requests_total All requests.\n# TYPE http_requests_total counter\n\
        http_requests_total{code=\"200\",path=\"/a\\\"b}\"} 90 1395066363000\n\
        http_requests_total{code=\"500\",} 7\nhttp_requests_total{ code = \"503\" } 3\n\
        queue_length 4e1\nlatency_max +Inf\nempty NaN\n";

    fn sum(labels: &[(&str, &str)], name: &str) -> Option<f64> {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Selector { name: name.into(), labels }.sum(&samples(PAGE).unwrap())
    }

    #[test]
    fn samples_are_added_up_by_name_and_labels() {
        assert_eq!(sum(&[], "http_requests_total"), Some(100.0));
        assert_eq!(sum(&[("code", "~5..")], "http_requests_total"), Some(10.0));
        assert_eq!(sum(&[("path", "/a\"b}")], "http_requests_total"), Some(90.0));
        assert_eq!(sum(&[], "queue_length"), Some(40.0));
        assert_eq!(sum(&[], "latency_max"), Some(f64::INFINITY));
        assert!(sum(&[], "empty").unwrap().is_nan());
        assert_eq!(sum(&[("code", "404")], "http_requests_total"), None);
    }

    #[test]
    fn a_page_that_is_no_metrics_page_is_refused_with_the_line() {
        assert_eq!(samples("up 1\n<html>\n"), Err(2));
        assert_eq!(samples("up{a=\"b\n"), Err(1));
    }
}
