//! Looking into JSON answers: pointers to fields and rules about them.

use serde::Deserialize;
use serde_json::Value;

use super::config::{ConfigFault, fault};
use crate::incident::words::Words;

/// What a field of a JSON answer must be.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldRule {
    /// JSON pointer (RFC 6901): `/status`, `/data/0/id`.
    pub field: String,
    /// The value it must have; numbers and their text are the same.
    pub equals: Option<Value>,
    /// The smallest number it may be.
    pub at_least: Option<f64>,
    /// The largest number it may be.
    pub at_most: Option<f64>,
}

impl FieldRule {
    /// Why an answer breaks the rule; `None` when it does not.
    pub fn broken_by(&self, body: &Value) -> Option<Words> {
        let about = |key| Words::new(key).with("field", self.field.as_str());
        let Some(found) = body.pointer(&self.field) else {
            return Some(about("field.missing"));
        };
        if let Some(wanted) = &self.equals
            && !same(found, wanted)
        {
            return Some(about("field.other").with("found", shown(found)).with("wanted", shown(wanted)));
        }
        if self.at_least.is_none() && self.at_most.is_none() {
            return None;
        }
        // “NaN” is neither above nor below anything.
        let Some(number) = number(found).filter(|number| number.is_finite()) else {
            return Some(about("field.no_number").with("found", shown(found)));
        };
        match (self.at_least, self.at_most) {
            (Some(least), _) if number < least => Some(about("field.below").with("found", number).with("least", least)),
            (_, Some(most)) if number > most => Some(about("field.above").with("found", number).with("most", most)),
            _ => None,
        }
    }

    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        pointer(&self.field, &format!("{path}.field"), faults);
        if self.equals.is_none() && self.at_least.is_none() && self.at_most.is_none() {
            faults.push(fault(path, "the rule asks for nothing; add equals, at_least or at_most"));
        }
    }
}

/// Says so when a text is not a JSON pointer.
pub(super) fn pointer(text: &str, path: &str, faults: &mut Vec<ConfigFault>) {
    if !text.is_empty() && !text.starts_with('/') {
        faults.push(fault(path, format!("“{text}” is not a JSON pointer; write for example /version or /data/0/id")));
    }
}

/// A simple value as text; nothing for null, empty text, objects and arrays.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The number a value is or spells.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Equal, or simple and equal as text, so that `"1.10"` in YAML without quotes is still found.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    a == b || (text(a).is_some() && text(a) == text(b))
}

/// For people: text without its quotes, everything else as JSON.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::english;
    use serde_json::json;

    fn rule(rule: Value) -> FieldRule {
        serde_json::from_value(rule).unwrap()
    }

    #[test]
    fn a_broken_rule_says_what_was_found_and_what_was_wanted() {
        let body = json!({"status": "degraded", "pool": {"free": 2}});
        let ok = rule(json!({"field": "/status", "equals": "ok"}));
        assert_eq!(english(&ok.broken_by(&body).unwrap()), "/status is degraded, not ok");
        let free = rule(json!({"field": "/pool/free", "at_least": 3}));
        assert_eq!(english(&free.broken_by(&body).unwrap()), "/pool/free is 2, below 3");
        let gone = rule(json!({"field": "/gone", "equals": 1}));
        assert_eq!(english(&gone.broken_by(&body).unwrap()), "/gone is missing");
        assert!(rule(json!({"field": "/pool/free", "equals": "2"})).broken_by(&body).is_none());
    }

    #[test]
    fn what_is_no_number_keeps_no_rule_about_numbers() {
        for found in ["NaN", "inf", "-Infinity", "many"] {
            let body = json!({"free": found});
            let both = rule(json!({"field": "/free", "at_least": 0, "at_most": 10}));
            let least = rule(json!({"field": "/free", "at_least": 3}));
            for rule in [both, least] {
                let broken = rule.broken_by(&body).map(|words| words.key);
                assert_eq!(broken.as_deref(), Some("field.no_number"), "{found}");
            }
        }
    }
}
