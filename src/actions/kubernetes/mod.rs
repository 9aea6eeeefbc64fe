//! Kubernetes: roll-outs of the team's workloads, undone as `kubectl` would undo them (K1).
//!
//! What this provider may not do: run `kubectl` or anything else on the host but the program that a kubeconfig names for
//! its credentials; put a value of an environment or a secret into a plan; send a change that could happen twice.

mod call;
mod cluster;
mod deployment;
mod follow;
mod pods;
mod revision;
mod rights;
mod undo;

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use self::call::Site;
pub use self::cluster::{ClusterConfig, Clusters, Impersonation};
use self::undo::Planned;
use super::World;
use super::config::{ConfigFault, fault};
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// How workloads are written, before their name.
const DEPLOYMENT: &str = "deployment/";

/// A change in one namespace of one cluster.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// The cluster, by its key under `clusters`.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// What it can do to the world; reversible when it is not said.
    pub risk: Option<Risk>,
    /// Goes back to the revision before the one that runs.
    pub undo: Undo,
}

/// Which workloads go back, together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Each as `deployment/name`.
    pub workloads: Vec<String>,
}

#[async_trait]
impl ActionProvider for Kubernetes {
    fn target(&self) -> Cow<'_, str> {
        format!("{} ({}, {})", self.undo.workloads.join(", "), self.namespace, self.cluster).into()
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Reversible)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(10)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if !is_label(&self.namespace) {
            faults.push(fault(format!("{path}.namespace"), "this is no name of a namespace; write for example shop"));
        }
        let all = &self.undo.workloads;
        let place = format!("{path}.undo.workloads");
        if all.is_empty() {
            faults.push(fault(&place, "nothing would go back; name at least one, such as deployment/web"));
        }
        for (index, workload) in all.iter().enumerate() {
            let place = format!("{place}[{index}]");
            if !workload.strip_prefix(DEPLOYMENT).is_some_and(is_name) {
                faults.push(fault(place, format!("“{workload}” is no workload; write for example deployment/web")));
            } else if all.iter().take(index).any(|earlier| earlier == workload) {
                faults.push(fault(place, format!("“{workload}” stands here twice; once is enough")));
            }
        }
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let target = self.target().into_owned();
        // Half of the time: a cluster that does not answer is to be named, and not only the planning that took too long.
        let site = self.site(cx.world, cx.within / 2);
        let site = site.map_err(|why| PlanFault::Unreadable { target: target.clone(), why })?;
        let (all, needs) = undo::plan(&site, &self.names(), &target).await?;
        let (from, to) = (each(&all, |one| one.from.clone()), each(&all, Planned::to));
        let named: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        let title = Words::new("kubernetes.title_undo")
            .with("names", named)
            .with("from", from.as_str())
            .with("to", to.as_str());
        Ok(PlannedStep {
            title,
            target,
            locks: self.locks(),
            from: Some(from),
            to,
            diff: all.iter().flat_map(|one| one.diff.clone()).collect(),
            needs,
            risk: self.risk(),
            provider: String::new(),
            spec: serde_json::to_value(&all).unwrap_or_default(),
        })
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let all = match self.approved(step) {
            Ok(all) => all,
            Err(found) => return StepResult::stale(found),
        };
        match self.site(cx.world, cx.within) {
            Ok(site) => undo::execute(&site, &all, cx).await,
            Err(why) => StepResult::stale(why),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let looked = self.approved(step).and_then(|all| Ok((all, self.site(cx.world, cx.within)?)));
        match looked {
            Ok((all, site)) => undo::check(&site, &all, cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }
}

impl Kubernetes {
    fn names(&self) -> Vec<&str> {
        self.undo.workloads.iter().filter_map(|workload| workload.strip_prefix(DEPLOYMENT)).collect()
    }

    /// What nobody else may change meanwhile, in the words of every operation on these workloads.
    fn locks(&self) -> Vec<String> {
        let lock = |workload: &String| format!("kubernetes/{}/{}/{workload}", self.cluster, self.namespace);
        self.undo.workloads.iter().map(lock).collect()
    }

    fn site<'a>(&'a self, world: &'a World, within: Duration) -> Result<Site<'a>, Words> {
        let cluster = world.clusters.get(&self.cluster).ok_or_else(reconfigured)?;
        Ok(Site::new(cluster, &self.namespace, world, within))
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Vec<Planned>, Words> {
        if step.locks == self.locks() { spec_of(step) } else { Err(reconfigured()) }
    }
}

/// The state of one alone, or of each with its name.
fn each(all: &[Planned], state: impl Fn(&Planned) -> String) -> String {
    match all {
        [only] => state(only),
        several => several.iter().map(|one| format!("{} {}", one.name, state(one))).collect::<Vec<_>>().join(", "),
    }
}

/// A DNS label, as namespaces have it.
fn is_label(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(is_fit) && !name.starts_with('-') && !name.ends_with('-')
}

/// DNS labels with dots between them, as workloads have it.
fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
