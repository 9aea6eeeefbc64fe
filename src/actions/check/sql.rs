//! The first row of a query against what it should be (row H3): versions, counts, connections.
//!
//! The server itself sees to it that nothing is changed and that it ends in time.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Bounds, Check, Seen};
use crate::actions::World;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::json::{FieldRule, number, same, shown};
use crate::actions::postgres::server::{Trouble, first_row};
use crate::incident::approval::Verdict;
use crate::incident::words::Words;

/// A query that only reads, and what its first row must be.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlCheck {
    /// A key under `databases`.
    pub database: String,
    /// One statement that only reads.
    pub query: String,
    /// What the first column must be; numbers and their text are the same.
    pub equals: Option<Value>,
    /// The limits of the first column's figure.
    pub limits: Option<Bounds>,
    /// What other columns must be, each as `/its_name`.
    #[serde(default)]
    pub fields: Vec<FieldRule>,
}

#[async_trait]
impl Check for SqlCheck {
    fn default_title(&self) -> String {
        self.query.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.query.trim().is_empty() {
            faults.push(fault(format!("{path}.query"), "write a query, for example SELECT count(*) FROM orders"));
        }
        if self.query.trim_end().ends_with(';') {
            faults.push(fault(format!("{path}.query"), "this is one statement; leave the semicolon at its end away"));
        }
        if self.equals.is_none() && self.limits.is_none() && self.fields.is_empty() {
            faults.push(fault(path, "say what the row must be; add equals, limits or fields"));
        }
        if let Some(limits) = &self.limits {
            limits.validate(&format!("{path}.limits"), faults);
        }
        for (index, rule) in self.fields.iter().enumerate() {
            rule.validate(&format!("{path}.fields[{index}]"), faults);
        }
    }

    fn limits(&self) -> Option<&Bounds> {
        self.limits.as_ref()
    }

    async fn look(&self, world: &World, within: Duration) -> Seen {
        let Some(database) = world.databases.get(&self.database) else {
            return Seen::fail(Words::new("look.broke"));
        };
        match first_row(database, &self.query, within).await {
            Ok(Some(row)) => self.judge(&row),
            Ok(None) => self.judge_nothing(),
            Err(trouble @ Trouble::Slow(_)) => Seen::hung(trouble.words()),
            Err(trouble) => Seen::fail(trouble.words()),
        }
    }
}

impl SqlCheck {
    /// What is not there is not what it must be. A figure that is missing is another matter: nothing may have happened yet.
    fn judge_nothing(&self) -> Seen {
        let words = Words::new("look.no_row");
        match &self.equals {
            Some(wanted) => Seen::fail(words).with_limit(Some(Words::verbatim(shown(wanted)))),
            None if !self.fields.is_empty() => Seen::fail(words),
            None => Seen::new(Verdict::Warn, words),
        }
    }

    fn judge(&self, row: &[(String, String)]) -> Seen {
        let row: Vec<(&str, Value)> = row.iter().map(|(name, value)| (name.as_str(), value_of(value))).collect();
        let first = row.first().map_or(&Value::Null, |(_, value)| value);
        let limited = match (&self.limits, number(first)) {
            (Some(limits), Some(figure)) => limits.judge(figure),
            (Some(limits), None) => Seen::new(Verdict::Warn, Words::new("look.no_figure")).with_limit(limits.limit()),
            (None, _) => Seen::new(Verdict::Pass, Words::verbatim(shown(first))),
        };
        let seen = match &self.equals {
            Some(wanted) if !same(first, wanted) => limited
                .or_worse(Seen::fail(Words::verbatim(shown(first))).with_limit(Some(Words::verbatim(shown(wanted))))),
            _ => limited,
        };
        let seen = Seen { value: columns(&row, seen.value), ..seen };
        let whole: Map<String, Value> = row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let whole = Value::Object(whole);
        match self.fields.iter().find_map(|rule| rule.broken_by(&whole)) {
            Some(broken) => seen.or_worse(Seen::fail(broken)),
            None => seen,
        }
    }
}

/// The whole row for people: a single column needs no name.
fn columns(row: &[(&str, Value)], first: Words) -> Words {
    if row.len() < 2 {
        return first;
    }
    let others = row.iter().skip(1).map(|(_, value)| Words::verbatim(shown(value)));
    let named = row.iter().zip(std::iter::once(first).chain(others));
    let named =
        named.map(|((name, _), value)| Value::from(Words::new("look.column").with("name", *name).with("value", value)));
    Words::new("look.columns").with("columns", named.collect::<Vec<_>>())
}

/// A column as the server wrote it; what is too long or strange for a number keeps its digits.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}
