//! What Slack's method pages say: arguments, scopes, rate tier, error names; read from `methods.json`, a shortened copy of
//! the pages (its licence is in `methods.LICENSE`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

/// How often a method may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    PerMinute(usize),
    /// Has a rule of its own.
    Special,
}

/// Arguments that any method takes: Slack's own Bolt sends `team_id` with every call, for apps installed on an organisation.
const EVERYWHERE: [&str; 2] = ["token", "team_id"];

/// One Web API method.
#[derive(Debug, Deserialize)]
pub(crate) struct Method {
    tier: String,
    /// Whether it takes a JSON body.
    #[serde(rename = "json")]
    pub takes_json: bool,
    /// Bot scopes of which one is needed; empty when none is.
    pub scopes: Vec<String>,
    pub args: BTreeMap<String, Arg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ArgKind {
    String,
    Boolean,
    Integer,
    Number,
    /// An object or array, or a string that holds one.
    Json,
    Any,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Arg {
    #[serde(rename = "type")]
    pub kind: ArgKind,
    #[serde(default)]
    pub required: bool,
    #[serde(default, rename = "maxLength")]
    pub max_length: Option<usize>,
    #[serde(default)]
    pub minimum: Option<i64>,
    #[serde(default)]
    pub maximum: Option<i64>,
    #[serde(default, rename = "enum")]
    pub allowed: Option<Vec<String>>,
}

static METHODS: LazyLock<BTreeMap<String, Method>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("methods.json")).expect("methods.json is part of this program and tested")
});

/// The method of this name, if this workspace has it.
pub(crate) fn method(name: &str) -> Option<&'static Method> {
    METHODS.get(name)
}

impl Method {
    pub fn tier(&self) -> Tier {
        match self.tier.as_str() {
            "t1" => Tier::PerMinute(1),
            "t2" => Tier::PerMinute(20),
            "t3" => Tier::PerMinute(50),
            "t4" => Tier::PerMinute(100),
            _ => Tier::Special,
        }
    }

    /// Brings arguments to their types, as Slack does with form fields; gives what Slack would complain about, and the
    /// names of arguments the method does not have (Slack ignores those).
    pub fn check(&self, args: &mut Map<String, Value>) -> Checked {
        let mut checked = Checked::default();
        for (name, arg) in &self.args {
            let given = args.get(name).is_some_and(|value| !value.is_null());
            if !given {
                if arg.required {
                    checked.complaints.push(format!("[ERROR] missing required field: {name}"));
                }
                args.remove(name);
                continue;
            }
            if let Some(value) = args.get_mut(name)
                && let Err(complaint) = arg.coerce(value)
            {
                checked.complaints.push(format!("[ERROR] {complaint} [json-pointer:/{name}]"));
            }
        }
        let is_known = |name: &String| EVERYWHERE.contains(&name.as_str()) || self.args.contains_key(name);
        checked.unknown = args.keys().filter(|name| !is_known(name)).cloned().collect();
        checked
    }
}

#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub complaints: Vec<String>,
    pub unknown: Vec<String>,
}

impl Arg {
    fn coerce(&self, value: &mut Value) -> Result<(), String> {
        match self.kind {
            ArgKind::Any => Ok(()),
            ArgKind::String => self.check_string(value),
            ArgKind::Boolean => coerce_boolean(value),
            ArgKind::Integer | ArgKind::Number => self.coerce_number(value),
            ArgKind::Json => {
                let Value::String(text) = value else {
                    return Ok(());
                };
                if text.is_empty() {
                    *value = Value::Null;
                    return Ok(());
                }
                *value = serde_json::from_str(text).map_err(|_| "must be valid JSON".to_owned())?;
                Ok(())
            }
        }
    }

    fn check_string(&self, value: &Value) -> Result<(), String> {
        let Some(text) = value.as_str() else {
            return Err("must be a string".to_owned());
        };
        if let Some(max) = self.max_length
            && text.chars().count() > max
        {
            return Err(format!("must be less than {} characters", max + 1));
        }
        match &self.allowed {
            Some(allowed) if !allowed.iter().any(|one| one == text) => {
                Err(format!("must be a valid enum value, one of {}", allowed.join(", ")))
            }
            _ => Ok(()),
        }
    }

    fn coerce_number(&self, value: &mut Value) -> Result<(), String> {
        let number = match &*value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            return Err("must be an integer".to_owned());
        };
        if self.minimum.is_some_and(|minimum| number < minimum) {
            return Err(format!("must be at least {}", self.minimum.unwrap_or_default()));
        }
        if self.maximum.is_some_and(|maximum| number > maximum) {
            return Err(format!("must be at most {}", self.maximum.unwrap_or_default()));
        }
        *value = Value::from(number);
        Ok(())
    }
}

fn coerce_boolean(value: &mut Value) -> Result<(), String> {
    let flag = match &*value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.as_str() {
            "true" | "True" | "1" => Some(true),
            "false" | "False" | "0" | "" => Some(false),
            _ => None,
        },
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        _ => None,
    };
    *value = Value::Bool(flag.ok_or_else(|| "must be a boolean".to_owned())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(name: &str, args: Value) -> (Checked, Map<String, Value>) {
        let mut args = args.as_object().cloned().expect("an object");
        let checked = method(name).expect("the method exists").check(&mut args);
        (checked, args)
    }

    #[test]
    fn form_fields_take_the_types_of_the_method_page() {
        let (checked, args) =
            check("conversations.history", json!({"channel": "C1", "limit": "5", "inclusive": "true"}));
        assert!(checked.complaints.is_empty());
        assert_eq!(args["limit"], 5);
        assert_eq!(args["inclusive"], true);
    }

    #[test]
    fn a_missing_argument_is_named_and_an_unknown_one_noticed() {
        let (checked, _) = check("conversations.invite", json!({"channel": "C1", "user_ds": "U1"}));
        assert_eq!(checked.complaints, ["[ERROR] missing required field: users"]);
        assert_eq!(checked.unknown, ["user_ds"]);
    }

    #[test]
    fn a_wrong_type_and_an_overlong_text_are_refused() {
        let (checked, _) = check("conversations.invite", json!({"channel": "C1", "users": ["U1"]}));
        assert_eq!(checked.complaints, ["[ERROR] must be a string [json-pointer:/users]"]);
        let title = "x".repeat(257);
        let (checked, _) = check("bookmarks.add", json!({"channel_id": "C1", "title": title, "type": "link"}));
        assert_eq!(checked.complaints, ["[ERROR] must be less than 257 characters [json-pointer:/title]"]);
    }

    #[test]
    fn the_tiers_are_those_of_the_pages() {
        let tier = |name| method(name).expect("the method exists").tier();
        assert_eq!(tier("conversations.create"), Tier::PerMinute(20));
        assert_eq!(tier("views.open"), Tier::PerMinute(100));
        assert_eq!(tier("chat.postMessage"), Tier::Special);
    }
}
