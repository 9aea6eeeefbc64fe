//! Waiting for a roll-out that somebody else has begun (K3). Changes nothing.

use async_trait::async_trait;
use serde::Deserialize;

use super::super::config::ConfigFault;
use super::NoDraft;
use super::call::Site;
use super::change::Patching;
use super::deed::Deed;
use super::earlier::leads_to;
use super::follow::counts;
use super::kinds::Thing;
use super::object::Object;
use super::part::Part;
use super::revision::shown;
use super::rights::Right;
use super::workloads::{all_of, of_following, validate};
use crate::incident::approval::Risk;
use crate::incident::words::Words;

/// Which roll-outs must be complete.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Each as `deployment/name`, `statefulset/name` or `daemonset/name`.
    pub workloads: Vec<String>,
}

#[async_trait]
impl Patching for Wait {
    fn takes_up(&self) -> bool {
        true
    }

    fn things(&self) -> Vec<Thing> {
        all_of(&self.workloads)
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_wait")
    }

    fn rights(&self) -> Vec<Right> {
        of_following(&self.things())
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate(&self.workloads, &format!("{path}.workloads"), faults);
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        if stands_still(object) {
            return Err(NoDraft::Refused(Words::new("kubernetes.paused").with("name", thing.name.as_str())));
        }
        let at = leads_to(site, thing).unwrap_or_else(|| shown(&object.images(), object.revision()));
        let rolling = counts("kubernetes.rolling", thing.what, object);
        Ok(Part::new(thing, object, Deed::Wait, None, at).saying(vec![rolling]))
    }

    fn risk(&self) -> Risk {
        Risk::ReadOnly
    }
}

/// It is paused with pods that the roll-out has still to replace, so nobody would see its end.
fn stands_still(object: &Object) -> bool {
    object.is_paused() && object.number("/status/updatedReplicas") < object.number("/status/replicas")
}
