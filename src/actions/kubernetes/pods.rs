//! Why the pods of a roll-out are not ready, grouped as people would say it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::{PODS, Site};
use super::deployment::{HASH_LABEL, Object};
use super::revision::Revision;
use crate::incident::words::Words;

/// The last lines of the worst container's log that are shown.
const LOG_LINES: i64 = 20;

/// What keeps a roll-out from being complete.
pub(super) struct Reasons {
    /// One line a reason.
    pub why: Vec<Value>,
    /// The last lines of a container that crashes.
    pub output: Option<String>,
}

impl Reasons {
    /// Nobody could say.
    pub(super) fn unseen() -> Self {
        Self { why: vec![Words::new("kubernetes.pods_unseen").into()], output: None }
    }
}

/// Why one pod is not ready; worst first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Crashes { code: Option<i64> },
    Waits { reason: String, image: String },
    NoRoom { said: String },
    NotReady,
}

/// Looks at the pods of the revision that is rolled out.
pub(super) async fn reasons(site: &Site<'_>, deployment: &Object, revision: &Revision) -> Reasons {
    let label = format!("{HASH_LABEL}={}", revision.hash);
    let pods = match site.list(PODS, &label).await {
        Ok(pods) => pods,
        Err(trouble) => {
            tracing::warn!(?trouble, "the pods could not be looked at");
            return Reasons::unseen();
        }
    };
    let own: Vec<Object> = pods.into_iter().map(Object).filter(|pod| pod.belongs_to(&revision.holder_uid)).collect();
    let found: Vec<(Reason, &Object, Option<String>)> = own
        .iter()
        .filter_map(|pod| {
            let (reason, container) = reason(pod)?;
            Some((reason, pod, container))
        })
        .collect();
    let mut why = grouped(&found);
    if let Some(said) = quota(deployment) {
        why.push(Words::new("kubernetes.pods_quota").with("said", said).into());
    }
    if why.is_empty() {
        why.push(Words::new("kubernetes.pods_silent").into());
    }
    Reasons { why, output: last_words(site, &found).await }
}

/// What a crashing container printed last.
async fn last_words(site: &Site<'_>, found: &[(Reason, &Object, Option<String>)]) -> Option<String> {
    let (_, pod, container) = found.iter().find(|(reason, ..)| matches!(reason, Reason::Crashes { .. }))?;
    let container = container.as_deref()?;
    // The container of this moment may not have printed yet; the one before it has crashed.
    for previous in [true, false] {
        match site.last_lines(pod.name(), container, previous, LOG_LINES).await {
            Ok(lines) if !lines.trim().is_empty() => return Some(site.redactor.text(&lines)),
            Ok(_) => {}
            Err(trouble) => tracing::debug!(?trouble, "there is no log"),
        }
    }
    None
}

fn grouped(found: &[(Reason, &Object, Option<String>)]) -> Vec<Value> {
    let mut groups: BTreeMap<&Reason, (usize, i64)> = BTreeMap::new();
    for (reason, pod, _) in found {
        let group = groups.entry(reason).or_default();
        group.0 += 1;
        group.1 = group.1.max(restarts(pod));
    }
    groups.into_iter().map(|(reason, (pods, restarts))| words(reason, pods, restarts).into()).collect()
}

fn words(reason: &Reason, pods: usize, restarts: i64) -> Words {
    match reason {
        Reason::Crashes { code } => {
            Words::new("kubernetes.pods_crash").with("pods", pods).with("code", *code).with("restarts", restarts)
        }
        Reason::Waits { reason, image } => Words::new("kubernetes.pods_waiting")
            .with("pods", pods)
            .with("reason", reason.as_str())
            .with("image", image.as_str()),
        Reason::NoRoom { said } => {
            Words::new("kubernetes.pods_unschedulable").with("pods", pods).with("said", said.as_str())
        }
        Reason::NotReady => Words::new("kubernetes.pods_not_ready").with("pods", pods),
    }
}

/// Why this pod is not ready and which container is to blame; nothing when it is ready.
fn reason(pod: &Object) -> Option<(Reason, Option<String>)> {
    let is = |condition: &str, status: &str| {
        pod.condition(condition).and_then(|found| found.get("status")).and_then(Value::as_str) == Some(status)
    };
    if is("Ready", "True") {
        return None;
    }
    if is("PodScheduled", "False") {
        let said = pod.condition("PodScheduled").and_then(|found| found.get("message")).and_then(Value::as_str);
        return Some((Reason::NoRoom { said: said.unwrap_or_default().to_owned() }, None));
    }
    let blamed = containers(pod).find_map(|container| {
        let waits = container.pointer("/state/waiting/reason").and_then(Value::as_str)?;
        let text = |key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let reason = match waits {
            "ContainerCreating" | "PodInitializing" => return None,
            "CrashLoopBackOff" => {
                let code = container.pointer("/lastState/terminated/exitCode").and_then(Value::as_i64);
                Reason::Crashes { code }
            }
            other => Reason::Waits { reason: other.to_owned(), image: text("image") },
        };
        Some((reason, Some(text("name"))))
    });
    Some(blamed.unwrap_or((Reason::NotReady, None)))
}

fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    let of = |pointer: &str| pod.0.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    of("/status/initContainerStatuses").chain(of("/status/containerStatuses"))
}

fn restarts(pod: &Object) -> i64 {
    containers(pod).filter_map(|container| container.get("restartCount")?.as_i64()).max().unwrap_or_default()
}

/// What the server says when no pod may be made.
fn quota(deployment: &Object) -> Option<&str> {
    let failure = deployment.condition("ReplicaFailure")?;
    (failure.get("status")?.as_str()? == "True").then(|| failure.get("message")?.as_str())?
}
