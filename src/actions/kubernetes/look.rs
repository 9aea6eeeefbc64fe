//! What a cluster says about a service, as checks (K16): roll-outs, pods, where a Service sends to, events, logs, usage.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use regex::Regex;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::super::check::{Bounds, Check, Seen, validate_filter};
use super::super::config::{ConfigFault, fault};
use super::super::{World, length};
use super::call::{Site, Trouble};
use super::follow::{counts, is_complete, wanted};
use super::keep;
use super::kinds::{ENDPOINTS, EVENTS, POD_METRICS, PODS, SERVICES, Thing, is_label, is_name};
use super::logs::{LogEnd, Logged};
use super::object::Object;
use super::pods;
use super::rights::Right;
use super::workloads::{all_of, validate};
use crate::incident::approval::Verdict;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// What is looked at in one namespace of one cluster.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesCheck {
    /// The cluster, by its key under `clusters`.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// Workloads whose roll-outs must be complete, each as `deployment/name`, `statefulset/name` or `daemonset/name`.
    pub workloads: Option<Vec<String>>,
    /// Pods that must be ready.
    pub pods: Option<PodsLook>,
    /// A Service, by its name, that must send to ready pods.
    pub service: Option<String>,
    /// Warnings among the events.
    pub events: Option<EventsLook>,
    /// Lines of logs.
    pub logs: Option<LogsLook>,
    /// What pods use, where the cluster has a metrics server.
    pub top: Option<TopLook>,
}

/// Pods by their labels.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PodsLook {
    /// Their labels: `app=web`.
    pub selector: String,
    /// Limits of the number of restarts of the pod that has most.
    #[serde(default)]
    pub restarts: Bounds,
}

/// Events of the last time.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsLook {
    /// How far back.
    #[serde(deserialize_with = "length::read")]
    pub within: Millis,
    /// Limits of their number; any is worth a look when nothing is said.
    pub limits: Option<Bounds>,
}

/// Lines of the logs of pods.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogsLook {
    /// The pods' labels: `app=web`.
    pub selector: String,
    /// Lines that match are counted: a regular expression.
    pub filter: String,
    /// How far back.
    #[serde(deserialize_with = "length::read")]
    pub within: Millis,
    /// Limits of their number.
    pub limits: Bounds,
}

/// What pods use.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopLook {
    /// The pods' labels: `app=web`.
    pub selector: String,
    /// Limits of what all of them use of processors together, in thousandths of one.
    pub cpu: Option<Bounds>,
    /// Limits of the memory of all of them together, in MiB.
    pub memory: Option<Bounds>,
}

/// Logs that are read side by side.
const AT_ONCE: usize = 8;
/// Lines of details.
const MOST_LINES: usize = 15;
/// Of a log that is longer only the end is counted, and that is said.
const MOST_LOG: usize = 4 * 1024 * 1024;

#[async_trait]
impl Check for KubernetesCheck {
    fn default_title(&self) -> String {
        let what = match self.set().first() {
            Some(&"workloads") => self.workloads.iter().flatten().cloned().collect::<Vec<_>>().join(", "),
            Some(&"service") => format!("service/{}", self.service.as_deref().unwrap_or_default()),
            Some(word) => (*word).to_owned(),
            None => String::new(),
        };
        format!("{what} ({})", self.namespace)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if !is_label(&self.namespace) {
            faults.push(fault(format!("{path}.namespace"), "this is no name of a namespace; write for example shop"));
        }
        if self.set().len() != 1 {
            let known = "workloads, pods, service, events, logs, top";
            faults.push(fault(path, format!("a look at a cluster is exactly one of {known}")));
        }
        if let Some(workloads) = &self.workloads {
            validate(workloads, &format!("{path}.workloads"), faults);
        }
        if self.service.as_ref().is_some_and(|name| !is_name(name)) {
            faults.push(fault(format!("{path}.service"), "this is no name of a Service; write for example web"));
        }
        let pods = self.pods.as_ref().map(|look| ("pods", &look.selector));
        let logs = self.logs.as_ref().map(|look| ("logs", &look.selector));
        let top = self.top.as_ref().map(|look| ("top", &look.selector));
        for (place, selector) in pods.into_iter().chain(logs).chain(top) {
            if selector.trim().is_empty() {
                let sentence = "all pods of the namespace would be meant; write for example app=web";
                faults.push(fault(format!("{path}.{place}.selector"), sentence));
            }
        }
        if let Some(look) = &self.logs {
            validate_filter(&look.filter, &format!("{path}.logs"), faults);
        }
        if let Some(limits) = self.limits() {
            limits.validate(&format!("{path}.{}.limits", self.set().join("")), faults);
        }
        for (place, limits) in self.top.iter().flat_map(|look| [("cpu", &look.cpu), ("memory", &look.memory)]) {
            let Some(limits) = limits else { continue };
            let path = format!("{path}.top.{place}");
            limits.validate(&path, faults);
            if limits.than_before.is_some() {
                let sentence = "a look with two figures is not held against one from before; leave it out";
                faults.push(fault(format!("{path}.than_before"), sentence));
            }
        }
    }

    fn limits(&self) -> Option<&Bounds> {
        let events = self.events.as_ref().and_then(|look| look.limits.as_ref());
        self.logs.as_ref().map(|look| &look.limits).or(events)
    }

    async fn look(&self, world: &World, within: Duration) -> Seen {
        let Some(cluster) = world.clusters.get(&self.cluster) else {
            return Seen::fail(super::reconfigured());
        };
        let site = Site::new(cluster, &self.namespace, world, within);
        let seen = self.seen(&site).await;
        seen.unwrap_or_else(|(trouble, right)| {
            let why = trouble.words(&site, &right);
            if trouble.passes() { Seen::hung(why) } else { Seen::fail(why) }
        })
    }
}

type Looked = Result<Seen, (Trouble, Right)>;

impl KubernetesCheck {
    fn set(&self) -> Vec<&'static str> {
        let all = [
            ("workloads", self.workloads.is_some()),
            ("pods", self.pods.is_some()),
            ("service", self.service.is_some()),
            ("events", self.events.is_some()),
            ("logs", self.logs.is_some()),
            ("top", self.top.is_some()),
        ];
        all.into_iter().filter(|(_, is_set)| *is_set).map(|(word, _)| word).collect()
    }

    /// What must be allowed for it.
    pub(super) fn rights(&self) -> Vec<Right> {
        let mut rights = Vec::new();
        for thing in self.workloads.iter().flat_map(|all| all_of(all)) {
            rights.push(Right::one("get", thing.kind(), &thing.name));
            rights.push(Right::all("list", super::kinds::REPLICA_SETS));
            let needs_events =
                (thing.what != super::kinds::What::Deployment).then(|| Right::all("list", EVENTS).extra());
            rights.extend(needs_events);
        }
        if let Some(name) = &self.service {
            rights.extend([Right::one("get", SERVICES, name), Right::one("get", ENDPOINTS, name)]);
        }
        if self.workloads.is_some() || self.pods.is_some() || self.logs.is_some() {
            rights.push(Right::all("list", PODS));
        }
        if self.events.is_some() {
            rights.push(Right::all("list", EVENTS));
        }
        if self.workloads.is_some() || self.logs.is_some() {
            rights.push(Right::part("get", PODS, "log"));
        }
        if self.top.is_some() {
            rights.push(Right::all("list", POD_METRICS));
        }
        rights
    }

    async fn seen(&self, site: &Site<'_>) -> Looked {
        if let Some(workloads) = &self.workloads {
            return roll_outs(site, &all_of(workloads)).await;
        }
        if let Some(look) = &self.pods {
            return look.seen(site).await;
        }
        if let Some(name) = &self.service {
            return service(site, name).await;
        }
        if let Some(look) = &self.events {
            return look.seen(site).await;
        }
        if let Some(look) = &self.logs {
            return look.seen(site).await;
        }
        match &self.top {
            Some(look) => look.seen(site).await,
            None => Ok(Seen::fail(super::reconfigured())),
        }
    }
}

/// Complete or not, with the pods' reasons.
async fn roll_outs(site: &Site<'_>, things: &[Thing]) -> Looked {
    let (mut notes, mut verdict): (Vec<Value>, Verdict) = (Vec::new(), Verdict::Pass);
    for thing in things {
        let object = site.get(thing.kind(), &thing.name).await;
        let object = Object(object.map_err(|why| (why, Right::one("get", thing.kind(), &thing.name)))?);
        let seen = object.number("/status/observedGeneration") >= object.number("/metadata/generation");
        let (now, wanted) = (counts("kubernetes.rolling", thing.what, &object), wanted(thing.what, &object));
        if seen && is_complete(thing.what, &object) {
            // What was stopped, and forgotten, serves nobody.
            if wanted == 0 {
                verdict = verdict.max(Verdict::Warn);
                notes.push(Words::new("kubernetes.look_stopped").with("name", object.name()).into());
            } else {
                notes.push(now.into());
            }
            continue;
        }
        let reasons = pods::reasons(site, thing.what, &object, wanted).await.why;
        notes.push(Words::new("kubernetes.look_rolling").with("counts", now).with("reasons", reasons).into());
        verdict = verdict.max(if object.is_paused() { Verdict::Warn } else { Verdict::Fail });
    }
    Ok(Seen::new(verdict, Words::new("kubernetes.all").with("notes", notes)))
}

impl PodsLook {
    async fn seen(&self, site: &Site<'_>) -> Looked {
        let (ended, pods): (Vec<Object>, Vec<Object>) =
            listed(site, &self.selector).await?.into_iter().partition(pods::has_ended);
        let (ready, restarts) = (pods.iter().filter(|pod| pods::is_ready(pod)).count(), pods::most_restarts(&pods));
        let value = Words::new("kubernetes.look_pods")
            .with("ready", ready)
            .with("all", pods.len())
            .with("restarts", restarts)
            .with("reasons", pods::why_not(&pods))
            .with("ended", ended.iter().map(Object::name).collect::<Vec<_>>());
        let limits = self.restarts.judge(as_figure(restarts));
        let verdict = if ready < pods.len() || pods.is_empty() { Verdict::Fail } else { limits.verdict };
        let lines = pods.iter().chain(&ended).map(pods::line).collect();
        Ok(Seen::new(verdict, value).with_limit(limits.limit).with_details(lines))
    }
}

async fn listed(site: &Site<'_>, selector: &str) -> Result<Vec<Object>, (Trouble, Right)> {
    let pods = site.list(PODS, selector).await.map_err(|why| (why, Right::all("list", PODS)))?;
    Ok(pods.into_iter().map(Object).collect())
}

/// What a Service selects, and how many pods it sends to.
async fn service(site: &Site<'_>, name: &str) -> Looked {
    let service = site.get(SERVICES, name).await;
    let service = Object(service.map_err(|why| (why, Right::one("get", SERVICES, name)))?);
    let endpoints = match site.get(ENDPOINTS, name).await {
        Err(trouble) if trouble.is_absent() => Value::Null,
        endpoints => endpoints.map_err(|why| (why, Right::one("get", ENDPOINTS, name)))?,
    };
    let count = |field: &str| {
        let subsets = endpoints.get("subsets").and_then(Value::as_array).into_iter().flatten();
        subsets.filter_map(|subset| subset.get(field)?.as_array()).map(Vec::len).sum::<usize>()
    };
    let ready = count("addresses");
    let value = Words::new("kubernetes.look_service")
        .with("selector", service.selects())
        .with("ready", ready)
        .with("waiting", count("notReadyAddresses"));
    let verdict = if ready > 0 { Verdict::Pass } else { Verdict::Fail };
    let subsets = endpoints.get("subsets").and_then(Value::as_array).into_iter().flatten();
    let addresses = subsets.flat_map(|subset| {
        let of = |field: &str| subset.get(field).and_then(Value::as_array).into_iter().flatten();
        let named = |one: &Value, word: &str| {
            let text = |at: &str| one.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("{} {} {word}", text("/ip"), text("/targetRef/name"))
        };
        let ready = of("addresses").map(|one| named(one, "ready")).collect::<Vec<_>>();
        ready.into_iter().chain(of("notReadyAddresses").map(|one| named(one, "waiting")).collect::<Vec<_>>())
    });
    Ok(Seen::new(verdict, value).with_details(addresses.collect()))
}

impl EventsLook {
    async fn seen(&self, site: &Site<'_>) -> Looked {
        let right = || Right::all("list", EVENTS);
        // Events bear the cluster's time, so its clock is asked and not ours.
        let now = site.time().await.map_err(|why| (why, right()))?;
        let events = site.list_fields(EVENTS, "type=Warning").await.map_err(|why| (why, right()))?;
        let mut events: Vec<(i64, Object)> = events
            .into_iter()
            .map(Object)
            .filter_map(|event| Some((happened_at(&event)?, event)))
            .filter(|(at, _)| now.0.saturating_sub(*at) <= self.within.0)
            .collect();
        events.sort_by_key(|(at, _)| *at);
        let count = events.len();
        let newest = events.last().map(|(_, event)| {
            let said = site.redactor.short(event.text("/message"), 80);
            format!("{} {}: {said}", event.text("/reason"), event.text("/involvedObject/name"))
        });
        let value = Words::new("kubernetes.look_events")
            .with("events", count)
            .with("within_ms", self.within.0)
            .with("newest", newest);
        let usual = Bounds { warn_above: Some(0.0), ..Bounds::default() };
        let lines =
            events.iter().rev().take(MOST_LINES).map(|(at, event)| keep::event_line(*at, event).trim_end().to_owned());
        let seen = Seen { value, ..self.limits.as_ref().unwrap_or(&usual).judge(as_figure(count)) };
        Ok(seen.with_details(lines.collect()))
    }
}

/// When an event happened last. Some have no other time than that of their making.
pub(super) fn happened_at(event: &Object) -> Option<i64> {
    let places =
        ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp", "/metadata/creationTimestamp"];
    let said = places.into_iter().filter_map(|place| super::undo::moment(event.text(place)));
    said.map(|at| at.0).max()
}

impl LogsLook {
    async fn seen(&self, site: &Site<'_>) -> Looked {
        let Ok(filter) = Regex::new(&self.filter) else { return Ok(Seen::fail(super::reconfigured())) };
        let pods = listed(site, &self.selector).await?;
        if pods.is_empty() {
            // No line of nobody is no good sign.
            return Ok(Seen::fail(Words::new("kubernetes.no_pods").with("selector", self.selector.as_str())));
        }
        let since = self.within.0.div_euclid(1_000).max(1);
        let all = pods.iter().flat_map(|pod| {
            let of = |container: &str| (pod.name().to_owned(), container.to_owned(), pods::has_ended(pod));
            pods::container_names(pod).into_iter().map(of).collect::<Vec<_>>()
        });
        let all: Vec<(String, String, bool)> = all.collect();
        // Each is counted as it comes, and none is held while others are read.
        let counted = stream::iter(all).map(async |(pod, container, has_ended): (String, String, bool)| {
            let of = Logged { pod: &pod, container: &container, previous: false };
            (site.log_since(of, since, MOST_LOG).await.map(|log| counted(site, &filter, &log)), has_ended)
        });
        let counted: Vec<(Result<Counted, Trouble>, bool)> = counted.buffered(AT_ONCE).collect().await;
        let (mut count, mut unread, mut cut, mut lines) = (0_usize, 0_usize, 0_usize, Vec::new());
        for (log, has_ended) in counted {
            match log {
                Ok(log) => {
                    cut += usize::from(log.is_cut);
                    count += log.found;
                    lines.extend(log.newest);
                }
                // The log of a pod that was evicted goes with it; a container that has not begun has none.
                Err(Trouble::Refused(status)) if matches!(status.code, 400 | 404) => unread += usize::from(!has_ended),
                Err(trouble) => return Err((trouble, Right::part("get", PODS, "log"))),
            }
        }
        let last = lines.last().map(|line| site.redactor.short(line, 80));
        let value = Words::new("kubernetes.look_logs")
            .with("count", count)
            .with("filter", self.filter.as_str())
            .with("within_ms", self.within.0)
            .with("unread", unread)
            .with("cut", cut)
            .with("last", last);
        let surplus = lines.len().saturating_sub(MOST_LINES);
        lines.drain(..surplus);
        let judged = self.limits.judge(as_figure(count));
        // There may be more such lines in what was not read.
        let least = if unread + cut > 0 { Verdict::Warn } else { Verdict::Pass };
        Ok(Seen { value, verdict: judged.verdict.max(least), ..judged }.with_details(lines))
    }
}

/// What was found in one log.
struct Counted {
    found: usize,
    /// The newest lines of them.
    newest: Vec<String>,
    is_cut: bool,
}

fn counted(site: &Site<'_>, filter: &Regex, log: &LogEnd) -> Counted {
    let found: Vec<&str> = log.text.lines().filter(|line| filter.is_match(line)).collect();
    let newest = found.iter().rev().take(MOST_LINES).rev().map(|line| site.redactor.short(line, 300)).collect();
    Counted { found: found.len(), newest, is_cut: log.is_cut }
}

impl TopLook {
    async fn seen(&self, site: &Site<'_>) -> Looked {
        let pods = match site.list(POD_METRICS, &self.selector).await {
            Ok(pods) => pods,
            // Without a metrics server there is no such kind, or nobody behind it.
            Err(trouble) if trouble.is_absent() || trouble.is_unavailable() => {
                return Ok(Seen::new(Verdict::Warn, Words::new("kubernetes.look_no_metrics")));
            }
            Err(trouble) => return Err((trouble, Right::all("list", POD_METRICS))),
        };
        let used = |pod: &Value, what: &str| -> f64 {
            let containers = pod.get("containers").and_then(Value::as_array).into_iter().flatten();
            containers.filter_map(|one| quantity(one.pointer(&format!("/usage/{what}"))?.as_str()?)).sum()
        };
        let millis = |cpu: f64| (cpu * 1_000.0).round();
        let mebibytes = |memory: f64| (memory / (1024.0 * 1024.0)).round();
        let all = |what: &str| -> f64 { pods.iter().map(|pod| used(pod, what)).sum() };
        let (cpu, memory) = (millis(all("cpu")), mebibytes(all("memory")));
        let lines = pods.iter().map(|pod| {
            let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            format!("{name} {}m {}Mi", millis(used(pod, "cpu")), mebibytes(used(pod, "memory")))
        });
        let lines: Vec<String> = lines.collect();
        let value = Words::new("kubernetes.look_top").with("pods", pods.len()).with("cpu", cpu).with("memory", memory);
        if pods.is_empty() {
            return Ok(Seen::new(Verdict::Warn, value));
        }
        let judged = [(&self.memory, memory), (&self.cpu, cpu)].into_iter();
        let judged = judged.filter_map(|(limits, used)| Some(limits.as_ref()?.judge(used)));
        // No figure of its own: there are two.
        let worst = judged.max_by_key(|seen| seen.verdict);
        Ok(match worst {
            Some(worst) => Seen { value, figure: None, ..worst }.with_details(lines),
            None => Seen::new(Verdict::Pass, value).with_details(lines),
        })
    }
}

/// A number with a unit as Kubernetes writes it: `250m`, `12Mi`.
pub(super) fn quantity(text: &str) -> Option<f64> {
    let end = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn as_figure(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::INFINITY, f64::from)
}
