//! The rules that shapes are made of, and the checker that collects faults.

use serde_json::{Map, Value};

use super::{elements, rich_text, shapes};

/// A key of an object: its name, its rule, whether it must be there.
pub(super) type Key = (&'static str, Rule, bool);

/// Whether an option's texts may be mrkdwn and whether it may have a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionKind {
    Menu,
    Overflow,
    Choice,
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// The `type` of the object, checked before.
    Type,
    /// A string of this many characters.
    Str(usize, usize),
    /// A web address of at most this many characters.
    Url(usize),
    HttpsUrl,
    Bool,
    Int(i64, i64),
    Number,
    /// A number written as a string.
    NumberText,
    OneOf(&'static [&'static str]),
    /// A `plain_text` object of at most this many characters.
    Plain(usize),
    /// A text object of either kind.
    Text(usize),
    /// A string or a `plain_text` object.
    StrOrPlain,
    Confirm,
    Options(OptionKind, usize),
    Option(OptionKind),
    OptionGroups,
    Strings,
    /// An array with between this many items, each obeying the rule.
    Many(usize, usize, &'static Rule),
    /// An object of this shape.
    Object(&'static [Key]),
    /// An object of this shape, or null.
    ObjectOrNull(&'static [Key]),
    Date,
    Time,
    Elements(&'static [&'static str], usize),
    Element(&'static [&'static str]),
    RichText,
    RichTextParts,
    Blocks(usize),
    Cell,
    /// Anything; checked elsewhere.
    Any,
}

/// Collects faults.
#[derive(Debug, Default)]
pub(super) struct Checker {
    pub faults: Vec<String>,
}

impl Checker {
    pub fn fault(&mut self, at: &str, must: &str) {
        self.faults.push(format!("{must} [json-pointer:{at}]"));
    }

    /// Checks the keys of an object.
    pub fn object(&mut self, at: &str, map: &Map<String, Value>, shape: &[Key]) {
        for (name, value) in map {
            match shape.iter().find(|(key, ..)| key == name) {
                None => self.fault(at, &format!("invalid additional property: {name}")),
                Some((_, _, false)) if value.is_null() => {}
                Some((_, rule, _)) => self.value(&format!("{at}/{name}"), value, *rule),
            }
        }
        for (key, _, is_required) in shape {
            if *is_required && !map.contains_key(*key) {
                self.fault(at, &format!("missing required field: {key}"));
            }
        }
    }

    fn shaped(&mut self, at: &str, value: &Value, shape: &[Key]) {
        match value.as_object() {
            Some(map) => self.object(at, map, shape),
            None => self.fault(at, "must provide an object"),
        }
    }

    /// Checks one value.
    pub fn value(&mut self, at: &str, value: &Value, rule: Rule) {
        match rule {
            Rule::Type | Rule::Any => {}
            Rule::Str(min, max) => self.string(at, value, min, max),
            Rule::Url(max) => self.url(at, value, max, &["http", "https", "mailto", "slack"]),
            Rule::HttpsUrl => self.url(at, value, 3000, &["https"]),
            Rule::Bool => self.need(at, value.is_boolean(), "must be a boolean"),
            Rule::Int(min, max) => {
                let fits = value.as_i64().is_some_and(|number| (min..=max).contains(&number));
                self.need(at, fits, &format!("must be an integer from {min} to {max}"));
            }
            Rule::Number => self.need(at, value.is_number(), "must be a number"),
            Rule::NumberText => {
                let fits = value.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
                self.need(at, fits, "must be a number in a string");
            }
            Rule::OneOf(allowed) => {
                let fits = value.as_str().is_some_and(|text| allowed.contains(&text));
                self.need(at, fits, &format!("must be a valid enum value: {}", allowed.join(", ")));
            }
            Rule::Plain(max) => self.text(at, value, max, &["plain_text"]),
            Rule::Text(max) => self.text(at, value, max, &["plain_text", "mrkdwn"]),
            Rule::StrOrPlain if value.is_string() => self.string(at, value, 1, 3000),
            Rule::StrOrPlain => self.text(at, value, 3000, &["plain_text"]),
            Rule::Confirm => self.shaped(at, value, shapes::CONFIRM),
            Rule::Options(kind, max) => self.many(at, value, 1, max, |checker, at, one| checker.option(at, one, kind)),
            Rule::Option(kind) => self.option(at, value, kind),
            Rule::OptionGroups => {
                self.many(at, value, 1, 100, |checker, at, one| checker.shaped(at, one, shapes::OPTION_GROUP));
            }
            Rule::Strings => self.many(at, value, 1, 1000, |checker, at, one| checker.string(at, one, 1, 3000)),
            Rule::Many(min, max, each) => {
                self.many(at, value, min, max, |checker, at, one| checker.value(at, one, *each))
            }
            Rule::Object(shape) => self.shaped(at, value, shape),
            Rule::ObjectOrNull(_) if value.is_null() => {}
            Rule::ObjectOrNull(shape) => self.shaped(at, value, shape),
            Rule::Date => {
                let fits =
                    value.as_str().is_some_and(|text| text.parse::<chrono::NaiveDate>().is_ok() && text.len() == 10);
                self.need(at, fits, "must be a date YYYY-MM-DD");
            }
            Rule::Time => {
                let parsed =
                    value.as_str().is_some_and(|text| chrono::NaiveTime::parse_from_str(text, "%H:%M").is_ok());
                self.need(at, parsed, "must be a time HH:mm");
            }
            Rule::Elements(allowed, max) => {
                self.many(at, value, 1, max, |checker, at, one| elements::check(checker, at, one, allowed));
            }
            Rule::Element(allowed) => elements::check(self, at, value, allowed),
            Rule::RichText => self.block(at, value, &["rich_text"]),
            Rule::RichTextParts => {
                self.many(at, value, 0, 1000, rich_text::check_part);
            }
            Rule::Blocks(max) => {
                self.many(at, value, 1, max, |checker, at, one| checker.block(at, one, shapes::IN_CONTAINER));
            }
            Rule::Cell => self.cell(at, value),
        }
    }

    /// Checks a block by its type.
    pub fn block(&mut self, at: &str, block: &Value, allowed: &[&str]) {
        let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
        match shapes::block(kind) {
            Some(shape) if allowed.is_empty() || allowed.contains(&kind) => self.shaped(at, block, shape),
            _ => self.fault(&format!("{at}/type"), &format!("unsupported type: {kind}")),
        }
    }

    fn cell(&mut self, at: &str, cell: &Value) {
        match cell.get("type").and_then(Value::as_str) {
            Some("raw_text") => self.shaped(at, cell, shapes::RAW_TEXT),
            Some("raw_number") => self.shaped(at, cell, shapes::RAW_NUMBER),
            Some("rich_text") => self.shaped(at, cell, shapes::RICH_TEXT),
            other => self.fault(at, &format!("unsupported type: {}", other.unwrap_or_default())),
        }
    }

    pub fn need(&mut self, at: &str, is_so: bool, must: &str) {
        if !is_so {
            self.fault(at, must);
        }
    }

    fn string(&mut self, at: &str, value: &Value, min: usize, max: usize) {
        let Some(text) = value.as_str() else {
            return self.fault(at, "must be a string");
        };
        let length = text.chars().count();
        self.need(at, length >= min, &format!("must be more than {} characters", min.saturating_sub(1)));
        self.need(at, length <= max, &format!("must be less than {} characters", max + 1));
    }

    fn url(&mut self, at: &str, value: &Value, max: usize, schemes: &[&str]) {
        self.string(at, value, 1, max);
        let is_url = value.as_str().and_then(|text| url::Url::parse(text).ok());
        let fits = is_url.is_some_and(|url| schemes.contains(&url.scheme()));
        self.need(at, fits, "must be a valid URL");
    }

    fn text(&mut self, at: &str, value: &Value, max: usize, kinds: &[&str]) {
        let Some(map) = value.as_object() else {
            return self.fault(at, "must provide an object");
        };
        let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
        if !kinds.contains(&kind) {
            return self.fault(&format!("{at}/type"), &format!("must be a text object of type {}", kinds.join(" or ")));
        }
        let own: Key =
            if kind == "plain_text" { ("emoji", Rule::Bool, false) } else { ("verbatim", Rule::Bool, false) };
        self.object(at, map, &[("type", Rule::Type, true), ("text", Rule::Str(1, max), true), own]);
    }

    fn option(&mut self, at: &str, value: &Value, kind: OptionKind) {
        let text = if kind == OptionKind::Choice { Rule::Text(75) } else { Rule::Plain(75) };
        let url: Key = ("url", Rule::Url(3000), false);
        let shape = [("text", text, true), ("value", Rule::Str(1, 150), true), ("description", text, false), url];
        let keys = if kind == OptionKind::Overflow { shape.len() } else { shape.len() - 1 };
        self.shaped(at, value, shape.get(..keys).unwrap_or(&shape));
    }

    fn many(&mut self, at: &str, value: &Value, min: usize, max: usize, mut each: impl FnMut(&mut Self, &str, &Value)) {
        let Some(items) = value.as_array() else {
            return self.fault(at, "must be an array");
        };
        self.need(at, items.len() >= min, &format!("no fewer than {min} items allowed"));
        self.need(at, items.len() <= max, &format!("no more than {max} items allowed"));
        for (index, item) in items.iter().enumerate() {
            each(self, &format!("{at}/{index}"), item);
        }
    }
}
