//! Restarting roll-outs (K5): the same pods anew, one after the other.
//!
//! The template is marked with the step, not with a time: two restarts within one second would else be one.

use async_trait::async_trait;
use serde::Deserialize;

use super::super::config::ConfigFault;
use super::NoDraft;
use super::call::Site;
use super::change::Patching;
use super::deed::Deed;
use super::kinds::Thing;
use super::object::Object;
use super::part::Part;
use super::revision::shown;
use super::rights::Right;
use super::workloads::{all_of, of_roll_outs, validate};
use crate::incident::words::Words;

/// Which workloads get their pods anew.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Each as `deployment/name`, `statefulset/name` or `daemonset/name`.
    pub workloads: Vec<String>,
}

#[async_trait]
impl Patching for Restart {
    fn things(&self) -> Vec<Thing> {
        all_of(&self.workloads)
    }

    fn restarts(&self) -> bool {
        true
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_restart")
    }

    fn rights(&self) -> Vec<Right> {
        of_roll_outs(&self.things())
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate(&self.workloads, &format!("{path}.workloads"), faults);
    }

    async fn part(&self, _: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        Ok(anew(thing, object))
    }
}

/// The restart of one workload.
pub(super) fn anew(thing: &Thing, object: &Object) -> Part {
    Part::new(thing, object, Deed::Restart, None, shown(&object.images(), object.revision()))
}
