//! The documented variables of every template: `templates/samples.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::TemplateFault;
use super::{files, variables};

/// The whole of `templates/samples.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Samples {
    /// Values that several templates share; only YAML anchors refer to them.
    #[serde(default, rename = "shared")]
    _shared: BTreeMap<String, Value>,
    /// By template name.
    pub messages: BTreeMap<String, Sample>,
    /// By label key; a label without variables need not be listed.
    #[serde(default)]
    pub labels: BTreeMap<String, Map<String, Value>>,
}

/// What one template is for and what it may use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// When the text is sent and to whom, with the field-procedure row.
    pub purpose: String,
    /// Variables that may be null or absent.
    #[serde(default)]
    pub optional: BTreeSet<String>,
    /// Every variable, with a value that shows its shape.
    pub variables: Map<String, Value>,
}

impl Sample {
    /// The paths a template may read.
    pub(super) fn paths(&self) -> BTreeSet<String> {
        variables::of_sample(&Value::Object(self.variables.clone()))
    }
}

pub(super) fn load() -> Result<Samples, TemplateFault> {
    let text = files::samples()?;
    serde_saphyr::from_str(&text)
        .map_err(|fault| files::yaml_fault("templates/samples.yaml", &fault))
}
