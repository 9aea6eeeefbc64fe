//! Pausing a roll-out that goes wrong, and letting it go on (K4).

use async_trait::async_trait;
use serde::Deserialize;

use super::super::config::ConfigFault;
use super::NoDraft;
use super::call::Site;
use super::change::Patching;
use super::deed::Deed;
use super::follow::counts;
use super::kinds::{Thing, What};
use super::object::Object;
use super::part::Part;
use super::revision::shown;
use super::rights::Right;
use super::workloads::{all_of, of_following, validate_kinds};
use crate::incident::words::Words;

/// Which roll-outs stand still from now on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Each as `deployment/name`.
    pub workloads: Vec<String>,
}

/// Which roll-outs go on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Each as `deployment/name`.
    pub workloads: Vec<String>,
}

#[async_trait]
impl Patching for Pause {
    fn things(&self) -> Vec<Thing> {
        all_of(&self.workloads)
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_pause")
    }

    fn rights(&self) -> Vec<Right> {
        let own = |thing: &Thing| ["get", "patch"].map(|verb| Right::one(verb, thing.kind(), &thing.name));
        self.things().iter().flat_map(own).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_kinds(&self.workloads, &[What::Deployment], &format!("{path}.workloads"), faults);
    }

    async fn part(&self, _: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        Ok(part(thing, object, true))
    }
}

#[async_trait]
impl Patching for Resume {
    fn takes_up(&self) -> bool {
        true
    }

    fn things(&self) -> Vec<Thing> {
        all_of(&self.workloads)
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_resume")
    }

    fn rights(&self) -> Vec<Right> {
        let things = self.things();
        let patch = things.iter().map(|thing| Right::one("patch", thing.kind(), &thing.name));
        patch.chain(of_following(&things)).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_kinds(&self.workloads, &[What::Deployment], &format!("{path}.workloads"), faults);
    }

    async fn part(&self, _: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        Ok(part(thing, object, false))
    }
}

fn part(thing: &Thing, object: &Object, paused: bool) -> Part {
    let deed = Deed::Pause(paused);
    let from = deed.shown(object);
    // What stands still, or goes on: the image that is being rolled out, and how far it is.
    let at = Words::new("kubernetes.diff_at")
        .with("name", thing.name.as_str())
        .with("at", shown(&object.images(), object.revision()));
    let rolling = counts("kubernetes.rolling", thing.what, object);
    Part::new(thing, object, deed, Some(from), format!("paused={paused}")).saying(vec![at, rolling])
}
