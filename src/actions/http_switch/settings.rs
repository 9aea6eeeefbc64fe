//! What is configured about a switch: where it is read, which item of a list is meant, how it is set.

use serde::Deserialize;
use serde_json::Value;

use crate::actions::config::{ConfigFault, fault};
use crate::actions::http::{Answer, Headers, Method, broken_rule, validate_body, validate_headers, validate_url, yes};
use crate::actions::json::{FieldRule, pointer, same, text};
use crate::actions::provider::PlanFault;
use crate::incident::words::Words;

/// Where a switch says where it stands, and where it could go.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The address that is read.
    pub url: String,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: Headers,
    /// JSON pointer to where it stands.
    pub current: String,
    /// JSON pointer to a name for people of where it stands.
    pub current_label: Option<String>,
    /// JSON pointer to where it stood before.
    pub previous: Option<String>,
    /// JSON pointer to a name for people of where it stood before.
    pub previous_label: Option<String>,
    /// A list to choose from, where there is no pointer to the previous one.
    pub choices: Option<Choices>,
    /// What else must be so, or nothing is changed: what a request repeats, for instance.
    #[serde(default)]
    pub fields: Vec<FieldRule>,
}

/// A list of where the switch could go.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// An address of its own; that of the switch when it is not said.
    pub url: Option<String>,
    /// JSON pointer to the list.
    pub list: String,
    /// JSON pointer within an item to its value; the item itself when it is not said.
    #[serde(default)]
    pub value: String,
    /// JSON pointer within an item to its name for people.
    pub label: Option<String>,
    /// Which item is meant.
    #[serde(default)]
    pub pick: Pick,
    /// Only items that keep all these rules.
    #[serde(default)]
    pub only: Vec<FieldRule>,
}

/// Which item of a list is the one to go back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The one after the current one: lists with the newest first.
    #[default]
    AfterCurrent,
    /// The one before the current one: lists with the oldest first.
    BeforeCurrent,
    /// The first that is not the current one.
    FirstOther,
    /// The one that a person chooses, by its value or its name.
    Ask,
}

/// How a switch is told where to go.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The address; `{{to}}`, `{{from}}` and `{{target}}` can be used.
    pub url: String,
    /// PUT when it is not said.
    #[serde(default = "put")]
    pub method: Method,
    /// Header fields, for instance `Authorization`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub headers: Headers,
    /// The JSON to send; `{{to}}`, `{{from}}` and `{{target}}` can be used in its texts.
    pub body: Option<Value>,
    /// The statuses that mean yes: 200, 201, 202 and 204 when it is not said.
    #[serde(default = "yes")]
    pub expect: Vec<u16>,
    /// What the answer's fields must be, too.
    #[serde(default)]
    pub fields: Vec<FieldRule>,
    /// The statuses that mean that somebody else has switched in the meantime: 409 and 412.
    #[serde(default = "conflict")]
    pub conflict: Vec<u16>,
}

/// A value with its name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub value: String,
    pub label: Option<String>,
}

impl Place {
    pub(super) fn shown(&self) -> String {
        match &self.label {
            Some(label) if *label != self.value => format!("{label} ({})", self.value),
            _ => self.value.clone(),
        }
    }
}

const fn put() -> Method {
    Method::Put
}

fn conflict() -> Vec<u16> {
    vec![409, 412]
}

impl Read {
    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_url(&self.url, &[], path, faults);
        validate_headers(&self.headers, path, faults);
        let mut pointers = vec![("current", Some(&self.current)), ("current_label", self.current_label.as_ref())];
        pointers.push(("previous", self.previous.as_ref()));
        pointers.push(("previous_label", self.previous_label.as_ref()));
        if let Some(choices) = &self.choices {
            pointers.extend([("choices.list", Some(&choices.list)), ("choices.value", Some(&choices.value))]);
            pointers.push(("choices.label", choices.label.as_ref()));
            if let Some(url) = &choices.url {
                validate_url(url, &[], &format!("{path}.choices"), faults);
            }
            for (index, rule) in choices.only.iter().enumerate() {
                rule.validate(&format!("{path}.choices.only[{index}]"), faults);
            }
        }
        for (name, text) in pointers {
            if let Some(text) = text {
                pointer(text, &format!("{path}.{name}"), faults);
            }
        }
        for (index, rule) in self.fields.iter().enumerate() {
            rule.validate(&format!("{path}.fields[{index}]"), faults);
        }
    }
}

impl Choices {
    pub(super) fn pick(&self, body: &Value, target: &str, current: &Place) -> Result<Place, PlanFault> {
        let list = self.list(body, target)?;
        let is_current = |item: &&Value| self.is(item, &current.value);
        let fits = |item: &&Value| self.fits(item, current);
        let mut here = list.iter();
        let found = match self.pick {
            Pick::Ask => None,
            Pick::FirstOther => here.find(fits),
            Pick::AfterCurrent => here.find(is_current).and_then(|_| here.find(fits)),
            Pick::BeforeCurrent => {
                let mut here = list.iter().rev();
                here.find(is_current).and_then(|_| here.find(fits))
            }
        };
        found.and_then(|item| self.place(item)).ok_or_else(|| {
            let why = Words::new("step.no_other_version").with("target", target).with("at", current.shown());
            PlanFault::NothingToGoBackTo(why)
        })
    }

    /// Every item that it could go to, in the list's order.
    pub(super) fn others(&self, body: &Value, target: &str, current: &Place) -> Result<Vec<Place>, PlanFault> {
        let others = self.list(body, target)?.iter().filter(|item| self.fits(item, current));
        Ok(others.filter_map(|item| self.place(item)).collect())
    }

    /// The item that is meant by its value, or by its name where only one has it.
    pub(super) fn named(&self, wanted: &str, body: &Value, target: &str, current: &Place) -> Result<Place, PlanFault> {
        let others = self.others(body, target, current)?;
        let by_name: Vec<&Place> = others.iter().filter(|place| place.label.as_deref() == Some(wanted)).collect();
        let found = others.iter().find(|place| place.value == wanted).or(match by_name.as_slice() {
            [only] => Some(*only),
            _ => None,
        });
        found.cloned().ok_or_else(|| PlanFault::Refused {
            target: target.to_owned(),
            why: Words::new("step.no_such_choice").with("target", target).with("wanted", wanted),
        })
    }

    fn list<'b>(&self, body: &'b Value, target: &str) -> Result<&'b Vec<Value>, PlanFault> {
        body.pointer(&self.list).and_then(Value::as_array).ok_or_else(|| PlanFault::Unreadable {
            target: target.to_owned(),
            why: Words::new("step.no_list").with("field", self.list.as_str()),
        })
    }

    fn is(&self, item: &Value, value: &str) -> bool {
        item.pointer(&self.value).is_some_and(|own| same(own, &Value::String(value.to_owned())))
    }

    fn fits(&self, item: &Value, current: &Place) -> bool {
        !self.is(item, &current.value) && self.only.iter().all(|rule| rule.broken_by(item).is_none())
    }

    fn place(&self, item: &Value) -> Option<Place> {
        Some(Place { value: at(item, &self.value)?, label: self.label.as_deref().and_then(|label| at(item, label)) })
    }
}

impl Set {
    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let known = ["from", "to", "target"];
        validate_url(&self.url, &known, path, faults);
        validate_headers(&self.headers, path, faults);
        validate_body(self.body.as_ref(), &known, path, faults);
        if matches!(self.method, Method::Get | Method::Head) {
            faults.push(fault(format!("{path}.method"), "GET and HEAD change nothing; use PUT, POST, PATCH or DELETE"));
        }
        if self.expect.is_empty() {
            faults.push(fault(format!("{path}.expect"), "name at least one status that means yes, for example 200"));
        }
        for (index, rule) in self.fields.iter().enumerate() {
            rule.validate(&format!("{path}.fields[{index}]"), faults);
        }
    }

    pub(super) fn broken_by(&self, answer: &Answer) -> Option<Words> {
        broken_rule(&self.fields, answer)
    }
}

pub(super) fn at(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer).and_then(text)
}
