//! A sentence that the core wants said, without saying it: a label's key and its variables.
//!
//! The core knows no language. `render` turns [`Words`] into text of the reader's language from `templates/`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A label's key (`refusal.not_pending`) with the variables it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

    /// The same sentence with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.vars.insert(name.to_owned(), value.into());
        self
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
