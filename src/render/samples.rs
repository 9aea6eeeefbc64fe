//! The documented variables of every template: `templates/samples.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::TemplateFault;
use super::{files, variables};

/// The whole of `templates/samples.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    /// What every message about an incident may use.
    incident: Shared,
    /// By template name.
    messages: BTreeMap<String, Written>,
    /// By label key; a label without variables need not be listed.
    labels: BTreeMap<String, Map<String, Value>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    optional: BTreeSet<String>,
    variables: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    purpose: String,
    /// Whether the incident's own variables are there too.
    #[serde(default)]
    incident: bool,
    #[serde(default)]
    optional: BTreeSet<String>,
    #[serde(default)]
    variables: Map<String, Value>,
}

/// The documented variables, by message name and by label key.
#[derive(Debug, Clone)]
pub(super) struct Samples {
    pub messages: BTreeMap<String, Sample>,
    pub labels: BTreeMap<String, Map<String, Value>>,
}

/// What one template is for and what it may use.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "most of it is for whoever edits a text, and for the tests that hold it to it")
)]
pub(super) struct Sample {
    /// When the text is sent and to whom, with the field-procedure row.
    pub purpose: String,
    /// Variables that may be null or absent.
    pub optional: BTreeSet<String>,
    /// Every variable, with a value that shows its shape.
    pub variables: Map<String, Value>,
    /// Those of `variables` that belong to this message alone.
    pub own: BTreeSet<String>,
}

impl Sample {
    /// The paths a template may read.
    pub(super) fn paths(&self) -> BTreeSet<String> {
        variables::of_sample(&Value::Object(self.variables.clone()))
    }

    fn new(written: Written, shared: &Shared) -> Self {
        let own = written.variables.keys().cloned().collect();
        let (mut optional, mut variables) = if written.incident {
            (shared.optional.clone(), shared.variables.clone())
        } else {
            (BTreeSet::new(), Map::new())
        };
        optional.extend(written.optional);
        variables.extend(written.variables);
        Self { purpose: written.purpose, optional, variables, own }
    }
}

pub(super) fn load() -> Result<Samples, TemplateFault> {
    let text = files::samples()?;
    let page: Page =
        serde_saphyr::from_str(&text).map_err(|fault| files::yaml_fault("templates/samples.yaml", &fault))?;
    let messages =
        page.messages.into_iter().map(|(name, written)| (name, Sample::new(written, &page.incident))).collect();
    Ok(Samples { messages, labels: page.labels })
}
