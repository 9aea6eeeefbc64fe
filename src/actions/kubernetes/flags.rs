//! Feature flags: keys of a ConfigMap, and then a restart of the workloads that read it (K9).

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::super::config::{ConfigFault, fault};
use super::NoDraft;
use super::call::Site;
use super::change::Patching;
use super::deed::{Deed, Values, shown_values, values_of};
use super::kinds::{CONFIG_MAPS, Thing, What, is_name};
use super::object::Object;
use super::part::Part;
use super::restart::anew;
use super::rights::Right;
use super::users::{of_users, readers, validate_users};
use super::workloads::all_of;
use crate::incident::words::Words;

/// Which flags are set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flags {
    /// The ConfigMap, by its name.
    pub config_map: String,
    /// The keys that get a value.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// The keys that go.
    #[serde(default)]
    pub remove: Vec<String>,
    /// The workloads that are restarted afterwards; those that read the ConfigMap when it is not said, none when it is
    /// empty.
    pub restart: Option<Vec<String>>,
}

#[async_trait]
impl Patching for Flags {
    fn things(&self) -> Vec<Thing> {
        let own = Thing::new(What::ConfigMap, &self.config_map);
        std::iter::once(own).chain(self.restart.iter().flat_map(|all| all_of(all))).collect()
    }

    async fn found(&self, site: &Site<'_>) -> Result<Vec<Thing>, NoDraft> {
        match self.restart {
            Some(_) => Ok(Vec::new()),
            None => readers(site, What::ConfigMap, &self.config_map).await,
        }
    }

    fn restarts(&self) -> bool {
        true
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_flags")
    }

    fn rights(&self) -> Vec<Right> {
        let own = ["get", "patch"].map(|verb| Right::one(verb, CONFIG_MAPS, &self.config_map));
        own.into_iter().chain(of_users(self.restart.as_deref())).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if !is_name(&self.config_map) {
            let sentence = format!("“{}” is no name of a ConfigMap; write for example features", self.config_map);
            faults.push(fault(format!("{path}.config_map"), sentence));
        }
        if self.set.is_empty() && self.remove.is_empty() {
            faults.push(fault(path, "no flag would change; write set: { checkout: \"off\" }, or remove: [beta]"));
        }
        if let Some(both) = self.remove.iter().find(|key| self.set.contains_key(*key)) {
            faults.push(fault(format!("{path}.remove"), format!("“{both}” is set and removed; decide")));
        }
        validate_users(self.restart.as_deref(), path, faults);
    }

    async fn part(&self, _: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        if thing.what != What::ConfigMap {
            return Ok(anew(thing, object));
        }
        if object.0.get("immutable").and_then(Value::as_bool) == Some(true) {
            return Err(NoDraft::Refused(Words::new("kubernetes.immutable").with("name", thing.name.as_str())));
        }
        let set = self.set.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        let wanted: Values = set.chain(self.remove.iter().map(|key| (key.clone(), None))).collect();
        let former = values_of(object, "/data", &wanted);
        let changed = wanted.iter().filter(|(key, value)| former.get(*key) != Some(*value));
        let diff = changed.map(|(key, value)| {
            Words::new("kubernetes.diff_key")
                .with("name", key.as_str())
                .with("from", former.get(key).cloned().flatten())
                .with("to", value.clone())
        });
        let diff = diff.collect();
        let (from, to) = (shown_values(&former), shown_values(&wanted));
        Ok(Part::new(thing, object, Deed::Data { set: wanted, former }, Some(from), to).saying(diff))
    }
}
