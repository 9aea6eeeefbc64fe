//! `{{from}}`, `{{to}}` and `{{target}}` in configured requests and arguments. Nothing else is a placeholder, and
//! what is filled in is never looked at again, so a version that is called `{{from}}` stays what it is.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{\s*([^{}]*?)\s*\}\}").expect("a constant pattern compiles"));

/// What the placeholders stand for in one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling<'a> {
    pub from: Option<&'a str>,
    pub to: &'a str,
    pub target: &'a str,
}

impl Filling<'_> {
    fn value(&self, name: &str) -> &str {
        match name {
            "from" => self.from.unwrap_or(""),
            "to" => self.to,
            "target" => self.target,
            _ => "",
        }
    }

    /// The text with its placeholders filled.
    pub(super) fn text(&self, text: &str) -> String {
        PLACEHOLDER.replace_all(text, |found: &Captures<'_>| self.value(&found[1]).to_owned()).into_owned()
    }

    /// The address with its placeholders filled, each escaped so that it stays one path segment or one value.
    pub(super) fn url(&self, url: &str) -> String {
        PLACEHOLDER.replace_all(url, |found: &Captures<'_>| escaped(self.value(&found[1]))).into_owned()
    }

    /// The JSON with the placeholders in its strings filled.
    pub(super) fn json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), self.json(value))).collect())
            }
            other => other.clone(),
        }
    }
}

/// Percent-encoded for any part of an address.
pub(super) fn escaped(text: &str) -> String {
    // The form encoding turns only the space into `+` (a real `+` becomes %2B), so this is exact.
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The placeholders of a text, as written between the braces.
pub(super) fn placeholders(text: &str) -> Vec<&str> {
    PLACEHOLDER.captures_iter(text).filter_map(|found| found.get(1)).map(|name| name.as_str()).collect()
}

/// The placeholders of all strings within a JSON value.
pub(super) fn placeholders_in(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => placeholders(text),
        Value::Array(items) => items.iter().flat_map(placeholders_in).collect(),
        Value::Object(fields) => fields.values().flat_map(placeholders_in).collect(),
        _ => Vec::new(),
    }
}

/// The sentence for the first placeholder that is none of `known`.
pub(super) fn unknown(names: &[&str], known: &[&str]) -> Option<String> {
    let name = names.iter().find(|name| !known.contains(name))?;
    let list = known.iter().map(|name| format!("{{{{{name}}}}}")).collect::<Vec<_>>().join(", ");
    let can = if known.is_empty() { "no placeholder can be used here".to_owned() } else { format!("use {list}") };
    Some(format!("{{{{{name}}}}} means nothing here; {can}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILLING: Filling<'_> = Filling { from: Some("1.3.0"), to: "a b/{{from}}", target: "shop" };

    #[test]
    fn a_value_that_looks_like_a_placeholder_is_left_alone() {
        assert_eq!(FILLING.text("{{ to }} and {{from}}"), "a b/{{from}} and 1.3.0");
    }

    #[test]
    fn a_value_cannot_leave_its_place_in_an_address() {
        let url = FILLING.url("https://shop.example.com/versions/{{to}}/live");
        assert_eq!(url, "https://shop.example.com/versions/a%20b%2F%7B%7Bfrom%7D%7D/live");
    }

    #[test]
    fn json_is_filled_in_its_strings_only() {
        let body = serde_json::json!({"v": "{{to}}", "n": 1, "list": ["{{from}}"]});
        assert_eq!(FILLING.json(&body), serde_json::json!({"v": "a b/{{from}}", "n": 1, "list": ["1.3.0"]}));
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_those_that_exist() {
        assert_eq!(
            unknown(&["to", "tag"], &["from", "to"]).unwrap(),
            "{{tag}} means nothing here; use {{from}}, {{to}}"
        );
    }
}
