//! Why the pods of a roll-out are not ready, grouped as people would say it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::{Site, Trouble};
use super::kinds::{EVENTS, PODS, REPLICA_SETS, Thing, What};
use super::logs::Logged;
use super::look::happened_at;
use super::object::{HASH_LABEL, Object};
use crate::incident::words::Words;

/// The last lines of the worst container's log that are shown.
const LOG_LINES: i64 = 20;
/// The longest of them, in bytes.
const MOST_LOG: usize = 64 * 1024;

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
    Crashes { reason: String, code: Option<i64> },
    Waits { reason: String, image: String },
    NoRoom { said: String },
    NotReady,
}

/// Looks at the pods of what is rolled out.
pub(super) async fn reasons(site: &Site<'_>, what: What, workload: &Object, wanted: i64) -> Reasons {
    let own = match of_this_roll_out(site, what, workload).await {
        Ok(pods) => pods,
        Err(trouble) => {
            tracing::warn!(?trouble, "the pods could not be looked at");
            return Reasons::unseen();
        }
    };
    let found: Vec<(Reason, &Object, Option<String>)> = own
        .iter()
        .filter_map(|pod| {
            let (reason, container) = reason(pod)?;
            Some((reason, pod, container))
        })
        .collect();
    let mut why = grouped(&found);
    if workload.is_paused() {
        why.push(Words::new("kubernetes.pods_paused").into());
    }
    let lacking = i64::try_from(own.len()).is_ok_and(|own| own < wanted);
    let unmade = match quota(workload) {
        None if lacking && what != What::Deployment => not_made(site, workload).await,
        said => said.map(pods_not_made),
    };
    why.extend(unmade.map(Value::from));
    if why.is_empty() {
        why.push(Words::new("kubernetes.pods_silent").into());
    }
    Reasons { why, output: last_words(site, &found).await }
}

/// The pods of the template that is wanted now. The other kinds' pods stand for themselves: an old one that is not ready
/// is what a StatefulSet waits for.
async fn of_this_roll_out(site: &Site<'_>, what: What, workload: &Object) -> Result<Vec<Object>, Trouble> {
    let (labels, owner) = if what == What::Deployment {
        let sets = site.list(REPLICA_SETS, &workload.selector()).await?;
        let wanted = workload.fingerprint();
        let mut sets = sets.into_iter().map(Object);
        let Some(set) = sets.find(|set| set.belongs_to(workload.uid()) && set.fingerprint() == wanted) else {
            return Ok(Vec::new());
        };
        let hash = set.text("/metadata/labels/pod-template-hash");
        (format!("{HASH_LABEL}={hash}"), set.uid().to_owned())
    } else {
        (workload.selector(), workload.uid().to_owned())
    };
    let pods = site.list(PODS, &labels).await?;
    Ok(pods.into_iter().map(Object).filter(|pod| pod.belongs_to(&owner)).collect())
}

/// How many pods of a workload have not ended, those on their way out included.
pub(super) async fn unended(site: &Site<'_>, thing: &Thing, workload: &Object) -> Result<usize, Trouble> {
    let (pods, of) = (site.list(PODS, &workload.selector()).await?, thing.to_string());
    let own = pods.into_iter().map(Object).filter(|pod| pod.workload().is_some_and(|workload| workload == of));
    Ok(own.filter(|pod| !has_ended(pod)).count())
}

/// The pods of a StatefulSet that are not ready, without those that are left alone.
pub(super) async fn not_ready(site: &Site<'_>, workload: &Object) -> Result<Vec<Object>, Trouble> {
    let pods = of_this_roll_out(site, What::StatefulSet, workload).await?;
    Ok(pods.into_iter().filter(|pod| is_rolled_out(pod, workload) && reason(pod).is_some()).collect())
}

/// Its number is not below the partition of its StatefulSet, where pods keep the former template.
fn is_rolled_out(pod: &Object, workload: &Object) -> bool {
    let number = pod.name().rsplit_once('-').and_then(|(_, number)| number.parse::<i64>().ok());
    number.is_some_and(|number| number >= workload.number("/spec/updateStrategy/rollingUpdate/partition"))
}

/// Pods of a StatefulSet that block its roll-out and are not of the template that is wanted: they crash or wait for an image
/// by the doing of their own template, or were not ready when the plan named them. One that is only slow is waited for.
pub(super) async fn left_behind(site: &Site<'_>, workload: &Object, named: &[String]) -> Vec<Object> {
    let pods = match of_this_roll_out(site, What::StatefulSet, workload).await {
        Ok(pods) => pods,
        Err(trouble) => {
            tracing::warn!(?trouble, "the pods could not be looked at");
            return Vec::new();
        }
    };
    let wanted = workload.text("/status/updateRevision");
    let blocks = |pod: &Object| match reason(pod) {
        Some((Reason::Crashes { .. } | Reason::Waits { .. }, _)) => true,
        Some((Reason::NotReady, _)) => named.iter().any(|uid| uid == pod.uid()),
        Some((Reason::NoRoom { .. }, _)) | None => false,
    };
    let is_left = |pod: &Object| {
        pod.text("/metadata/labels/controller-revision-hash") != wanted
            && !pod.is_being_deleted()
            && is_rolled_out(pod, workload)
            && blocks(pod)
    };
    pods.into_iter().filter(is_left).collect()
}

/// What a crashing container printed last.
async fn last_words(site: &Site<'_>, found: &[(Reason, &Object, Option<String>)]) -> Option<String> {
    let (_, pod, container) = found.iter().find(|(reason, ..)| matches!(reason, Reason::Crashes { .. }))?;
    let container = container.as_deref()?;
    // The container of this moment may not have printed yet; the one before it has crashed.
    for previous in [true, false] {
        match site.last_lines(Logged { pod: pod.name(), container, previous }, LOG_LINES, MOST_LOG).await {
            Ok(end) if !end.text.trim().is_empty() => return Some(site.redactor.text(&end.text)),
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
        Reason::Crashes { reason, code } => Words::new("kubernetes.pods_crash")
            .with("pods", pods)
            .with("reason", reason.as_str())
            .with("code", *code)
            .with("restarts", restarts),
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
        let text = |key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let waits = container.pointer("/state/waiting/reason").and_then(Value::as_str);
        let reason = match waits {
            Some("ContainerCreating" | "PodInitializing" | "CrashLoopBackOff") | None => crash(container, waits)?,
            Some(other) => Reason::Waits { reason: other.to_owned(), image: text("image") },
        };
        Some((reason, Some(text("name"))))
    });
    Some(blamed.unwrap_or((Reason::NotReady, None)))
}

/// A container that has ended badly, just now or before its last start, and is not ready since. What ended it is named where
/// that is more than its own exit: `OOMKilled`.
fn crash(container: &Value, waits: Option<&str>) -> Option<Reason> {
    let is_ready = container.get("ready").and_then(Value::as_bool) == Some(true);
    let is_in_a_loop = waits == Some("CrashLoopBackOff");
    let ended = container.pointer("/state/terminated").or(container.pointer("/lastState/terminated"));
    let code = ended.and_then(|ended| ended.get("exitCode")?.as_i64());
    if is_ready || !(is_in_a_loop || code.is_some_and(|code| code != 0)) {
        return None;
    }
    let reason = match ended.and_then(|ended| ended.get("reason")?.as_str()) {
        Some(other) if !matches!(other, "Error" | "Completed") => other,
        _ if is_in_a_loop => "CrashLoopBackOff",
        _ => "Error",
    };
    Some(Reason::Crashes { reason: reason.to_owned(), code })
}

/// Why some of them are not ready, one line a reason.
pub(super) fn why_not(pods: &[Object]) -> Vec<Value> {
    let found = pods.iter().filter_map(|pod| {
        let (reason, container) = reason(pod)?;
        Some((reason, pod, container))
    });
    grouped(&found.collect::<Vec<_>>())
}

/// A pod on one line, as `kubectl get pods` has it: ready containers, phase, restarts, node.
pub(super) fn line(pod: &Object) -> String {
    let all = container_names(pod).len();
    let ready =
        containers(pod).filter(|container| container.get("ready").and_then(Value::as_bool) == Some(true)).count();
    let waits = containers(pod).find_map(|container| container.pointer("/state/waiting/reason")?.as_str());
    let ended = containers(pod).find_map(|container| match crash(container, None)? {
        Reason::Crashes { reason, .. } => Some(reason),
        _ => None,
    });
    let evicted = Some(pod.text("/status/reason")).filter(|reason| !reason.is_empty());
    let state = waits.or(ended.as_deref()).or(evicted).unwrap_or_else(|| pod.text("/status/phase"));
    format!("{} {ready}/{all} {state} restarts={} {}", pod.name(), restarts(pod), pod.text("/spec/nodeName"))
}

/// The restarts of the container that has most.
pub(super) fn most_restarts(pods: &[Object]) -> i64 {
    pods.iter().map(restarts).max().unwrap_or_default()
}

/// The containers that do the work.
pub(super) fn container_names(pod: &Object) -> Vec<&str> {
    let containers = pod.0.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    containers.filter_map(|container| container.get("name")?.as_str()).collect()
}

/// The same, after those that prepare it.
pub(super) fn all_container_names(pod: &Object) -> Vec<&str> {
    let initial = pod.0.pointer("/spec/initContainers").and_then(Value::as_array).into_iter().flatten();
    initial.filter_map(|container| container.get("name")?.as_str()).chain(container_names(pod)).collect()
}

/// How far a container of a pod is.
pub(super) struct ContainerEnd<'a> {
    pub name: &'a str,
    pub runs: bool,
    /// What it ended with.
    pub code: Option<i64>,
}

impl ContainerEnd<'_> {
    /// What is worth being told of one that decides nothing.
    pub(super) fn words(&self) -> Option<Value> {
        match self.code {
            _ if self.runs => Some(Words::new("kubernetes.beside_runs").with("name", self.name).into()),
            Some(code) if code != 0 => {
                Some(Words::new("kubernetes.beside_ended").with("name", self.name).with("code", code).into())
            }
            _ => None,
        }
    }
}

/// How far the containers that do the work are.
pub(super) fn container_ends<'p>(pod: &'p Object) -> Vec<ContainerEnd<'p>> {
    let all = pod.0.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
    let end = |status: &'p Value| {
        let code = status.pointer("/state/terminated/exitCode").and_then(Value::as_i64);
        Some(ContainerEnd {
            name: status.get("name")?.as_str()?,
            runs: status.pointer("/state/running").is_some(),
            code,
        })
    };
    all.filter_map(end).collect()
}

/// It has ended and does not begin again: a Job's that is done, or one that was evicted.
pub(super) fn has_ended(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), "Succeeded" | "Failed")
}

/// Names the pods that nothing is done with because they have ended.
pub(super) fn left_out(ended: &[Object]) -> Option<Words> {
    let names: Vec<&str> = ended.iter().map(Object::name).collect();
    (!names.is_empty()).then(|| Words::new("kubernetes.diff_ended").with("names", names))
}

/// It serves: ready, and not on its way out.
pub(super) fn is_ready(pod: &Object) -> bool {
    !pod.is_being_deleted() && reason(pod).is_none()
}

fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    let of = |pointer: &str| pod.0.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    of("/status/initContainerStatuses").chain(of("/status/containerStatuses"))
}

fn restarts(pod: &Object) -> i64 {
    containers(pod).filter_map(|container| container.get("restartCount")?.as_i64()).max().unwrap_or_default()
}

/// Why the controller of a workload or of a Job makes no pods, as it has told last. Where events may not be listed nobody knows.
pub(super) async fn not_made(site: &Site<'_>, owner: &Object) -> Option<Words> {
    let fields = format!("involvedObject.uid={},reason=FailedCreate", owner.uid());
    let events = match site.list_fields(EVENTS, &fields).await {
        Ok(events) => events,
        Err(trouble) => {
            tracing::debug!(?trouble, "events could not be listed");
            return None;
        }
    };
    let newest = events.into_iter().map(Object).max_by_key(happened_at)?;
    Some(pods_not_made(newest.text("/message")))
}

fn pods_not_made(said: &str) -> Words {
    Words::new("kubernetes.pods_quota").with("said", said)
}

/// What the server says when no pod of a Deployment may be made.
fn quota(workload: &Object) -> Option<&str> {
    let failure = workload.condition("ReplicaFailure")?;
    (failure.get("status")?.as_str()? == "True").then(|| failure.get("message")?.as_str())?
}
