//! A sentence that the core wants said, without saying it: a label's key and its variables.
//!
//! The core knows no language. `render` turns [`Words`] into text of the reader's language from `templates/`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A label's key (`refusal.not_pending`) with the variables it needs. A variable may be a sentence, or a list of them:
/// whoever says it says these first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// Key in `templates/<locale>/labels.yaml`.
    pub key: String,
    /// Variables for the label.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vars: Map<String, Value>,
}

impl Words {
    /// A sentence without variables.
    pub fn new(key: &'static str) -> Self {
        Self { key: key.to_owned(), vars: Map::new() }
    }

    /// Text that is nobody's language: a version, a figure, what a program or a provider said.
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self::new("words.verbatim").with("text", text.into())
    }

    /// The same sentence with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.vars.insert(name.to_owned(), value.into());
        self
    }
}

impl From<Words> for Value {
    fn from(words: Words) -> Self {
        let Words { key, vars } = words;
        let vars = (!vars.is_empty()).then_some(("vars".to_owned(), Value::Object(vars)));
        Value::Object(std::iter::once(("key".to_owned(), Value::String(key))).chain(vars).collect())
    }
}

/// For the log: the text itself where there is one, else the key and the variables.
impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vars.get("text").and_then(Value::as_str) {
            Some(text) if self.key == "words.verbatim" => f.write_str(text),
            _ if self.vars.is_empty() => f.write_str(&self.key),
            _ => write!(f, "{} {}", self.key, Value::Object(self.vars.clone())),
        }
    }
}

/// A rule says no. Shown to the one person who asked, never logged as an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("refused: {}", .0.key)]
pub struct Refusal(pub Words);

impl Refusal {
    /// A refusal whose sentence is the label `key`.
    pub fn new(key: &'static str) -> Self {
        Self(Words::new(key))
    }

    /// The same refusal with one more variable.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.with(name, value))
    }
}
