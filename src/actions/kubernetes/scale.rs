//! Scaling to a number of pods, mostly none, and back to the former one (K7), which the cluster itself remembers: it is
//! written on the workload in the same change.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::super::config::{ConfigFault, fault};
use super::super::stopwatch::{Stopwatch, pause};
use super::call::Site;
use super::change::Patching;
use super::deed::{Deed, REMEMBERED};
use super::kinds::{AUTOSCALERS, Thing, What};
use super::object::Object;
use super::part::Part;
use super::rights::Right;
use super::workloads::{all_of, of_following, validate_kinds};
use super::{NoDraft, apply};
use crate::incident::words::Words;

/// How long an autoscaler may take to tell which number it has set.
const TELLS: Duration = Duration::from_secs(2);
/// Between two looks at it.
const AGAIN: Duration = Duration::from_millis(300);

const SCALED: [What; 2] = [What::Deployment, What::StatefulSet];

/// Which workloads get how many pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Each as `deployment/name` or `statefulset/name`.
    pub workloads: Vec<String>,
    /// How many pods each gets; 0 stops what it does.
    pub to: u32,
}

/// Which workloads go back to as many pods as they had before Vigie scaled them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleBack {
    /// Each as `deployment/name` or `statefulset/name`.
    pub workloads: Vec<String>,
}

#[async_trait]
impl Patching for Scale {
    fn things(&self) -> Vec<Thing> {
        all_of(&self.workloads)
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_scale")
    }

    fn rights(&self) -> Vec<Right> {
        rights(&self.things())
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_kinds(&self.workloads, &SCALED, &format!("{path}.workloads"), faults);
        if self.to > 10_000 {
            faults.push(fault(format!("{path}.to"), "no cluster has so many pods; write for example 3"));
        }
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        let now = object.wanted_replicas();
        // Somebody who scales what stands at 0 to 0 again shall not lose the count that matters.
        let remembers = if now == 0 { remembered(object) } else { Some(now) };
        let to = i64::from(self.to);
        Ok(scaled(thing, object, to, remembers).saying(autoscalers(site, thing, to).await))
    }
}

#[async_trait]
impl Patching for ScaleBack {
    fn takes_up(&self) -> bool {
        true
    }

    fn things(&self) -> Vec<Thing> {
        all_of(&self.workloads)
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_scale")
    }

    fn rights(&self) -> Vec<Right> {
        rights(&self.things())
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_kinds(&self.workloads, &SCALED, &format!("{path}.workloads"), faults);
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        let Some(former) = remembered(object) else {
            return Err(NoDraft::Nothing(
                Words::new("kubernetes.nothing_remembered").with("name", thing.name.as_str()),
            ));
        };
        if site.earlier.iter().any(|facts| apply::scales(facts, &thing.to_string())) {
            return Err(NoDraft::Refused(Words::new("kubernetes.number_applied").with("name", thing.name.as_str())));
        }
        Ok(scaled(thing, object, former, None).saying(autoscalers(site, thing, former).await))
    }
}

fn scaled(thing: &Thing, object: &Object, to: i64, remembers: Option<i64>) -> Part {
    let deed = Deed::Scale { to, remembers };
    let from = deed.shown(object);
    Part::new(thing, object, deed, Some(from), format!("replicas={to}"))
}

/// What an autoscaler of this workload will make of so many pods. It leaves alone what stands at none, and sets any other
/// number anew. Where they may not be listed nothing is known of them.
async fn autoscalers(site: &Site<'_>, thing: &Thing, to: i64) -> Vec<Words> {
    let all = match site.list(AUTOSCALERS, "").await {
        Ok(all) => all,
        Err(trouble) => {
            tracing::debug!(?trouble, "autoscalers could not be listed");
            return Vec::new();
        }
    };
    let line = |one: Object| match to {
        0 => Words::new("kubernetes.autoscaler_rests").with("name", one.name()),
        _ => Words::new("kubernetes.autoscaler")
            .with("name", one.name())
            .with("min", one.number("/spec/minReplicas").max(1))
            .with("max", one.number("/spec/maxReplicas")),
    };
    all.into_iter().map(Object).filter(|one| scales(one, thing)).map(line).collect()
}

/// Whether the number that a workload wants now is its autoscaler's. That tells so itself, a moment after it has set the number.
/// Where autoscalers may not be listed nobody knows.
pub(super) async fn is_autoscaled(site: &Site<'_>, thing: &Thing, object: &Object) -> bool {
    let watch = Stopwatch::start();
    loop {
        let Ok(all) = site.list(AUTOSCALERS, "").await else { return false };
        let mut own = all.into_iter().map(Object).filter(|one| scales(one, thing)).peekable();
        if own.peek().is_none() {
            return false;
        }
        if own.any(|one| one.number("/status/desiredReplicas") == object.wanted_replicas()) {
            return true;
        }
        if watch.left_of(TELLS).is_zero() {
            return false;
        }
        pause(AGAIN).await;
    }
}

fn scales(autoscaler: &Object, thing: &Thing) -> bool {
    autoscaler.text("/spec/scaleTargetRef/kind").eq_ignore_ascii_case(thing.what.word())
        && autoscaler.text("/spec/scaleTargetRef/name") == thing.name
}

fn remembered(object: &Object) -> Option<i64> {
    object.annotation(REMEMBERED)?.parse().ok()
}

fn rights(things: &[Thing]) -> Vec<Right> {
    let patch = things.iter().map(|thing| Right::one("patch", thing.kind(), &thing.name));
    patch.chain(of_following(things)).chain([Right::all("list", AUTOSCALERS).extra()]).collect()
}
