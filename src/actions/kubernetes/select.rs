//! Switching Services from one set of pods to another by a label of their selectors (K8): several of them, or none.
//!
//! A colour without ready pods is refused before anything happens. What a Service then really sends to is looked at, and
//! the switch is taken back where that is nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::config::{ConfigFault, fault};
use super::super::length;
use super::super::provider::{StepContext, StepResult, unchanged_because};
use super::super::stopwatch::{Stopwatch, pause};
use super::NoDraft;
use super::call::{Site, Trouble};
use super::change::{HELD, Patching, Written, nothing_moved, write};
use super::deed::{Deed, shown_selector};
use super::ending::if_begun;
use super::kinds::{ENDPOINTS, PODS, SERVICES, Thing, What, is_name};
use super::object::Object;
use super::part::Part;
use super::pods::is_ready;
use super::rights::Right;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// Between two looks at where a Service sends to.
const AGAIN: Duration = Duration::from_millis(250);
/// An Endpoints object names no more (Kubernetes, “Over-capacity endpoints”).
const MOST_ENDPOINTS: usize = 1_000;

/// Which Services are switched, and to what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The Services, by their names.
    pub services: Vec<String>,
    /// The label of their selectors that tells the sets of pods apart: `version`.
    pub label: String,
    /// The two values between which they are switched, whichever is live.
    #[serde(default)]
    pub among: Vec<String>,
    /// The one value that they are switched to, in place of `among`.
    pub value: Option<String>,
    /// How many ready pods the new set must have for each Service: 1.
    pub min_ready: Option<u32>,
    /// How long a Service may take to send to the new set before the switch is taken back: 10 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
}

#[async_trait]
impl Patching for Select {
    fn things(&self) -> Vec<Thing> {
        self.services.iter().map(|name| Thing::new(What::Service, name)).collect()
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_select")
    }

    fn rights(&self) -> Vec<Right> {
        let of = |name: &String| {
            let own = ["get", "patch"].map(|verb| Right::one(verb, SERVICES, name));
            own.into_iter().chain([Right::one("get", ENDPOINTS, name)])
        };
        self.services.iter().flat_map(of).chain([Right::all("list", PODS)]).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.services.is_empty() {
            faults.push(fault(format!("{path}.services"), "nothing would be switched; name at least one Service"));
        }
        for (index, name) in self.services.iter().enumerate() {
            let place = format!("{path}.services[{index}]");
            if !is_name(name) {
                faults.push(fault(place, format!("“{name}” is no name of a Service; write for example web")));
            } else if self.services.iter().take(index).any(|earlier| earlier == name) {
                faults.push(fault(place, format!("“{name}” stands here twice; once is enough")));
            }
        }
        if self.label.trim().is_empty() {
            faults.push(fault(format!("{path}.label"), "say which label is switched, for example version"));
        }
        match (self.among.as_slice(), &self.value) {
            ([one, other], None) if one != other => {}
            ([], Some(_)) => {}
            _ => faults.push(fault(path, "say where to in one way; among: [blue, green], or value: blue")),
        }
    }

    fn settings(&self) -> Value {
        json!({"min_ready": self.wanted(), "settle_ms": self.settle.map(|settle| settle.0)})
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, service: &Object) -> Result<Part, NoDraft> {
        let says = |key| Words::new(key).with("name", thing.name.as_str());
        let Some(selector) = service.0.pointer("/spec/selector").and_then(Value::as_object) else {
            return Err(NoDraft::Refused(says("kubernetes.no_selector")));
        };
        let now = selector.get(&self.label).and_then(Value::as_str);
        let to = match (self.among.as_slice(), &self.value) {
            (_, Some(value)) => value,
            ([one, other], None) if now == Some(one) => other,
            ([one, other], None) if now == Some(other) => one,
            _ => {
                let why = says("kubernetes.other_colour").with("known", self.among.clone());
                return Err(NoDraft::Refused(why.with("at", self.shown(now))));
            }
        };
        let one = |value: Option<&str>| BTreeMap::from([(self.label.clone(), value.map(str::to_owned))]);
        let deed = Deed::Select { set: one(Some(to)), former: one(now) };
        let part = Part::new(thing, service, deed, Some(self.shown(now)), self.shown(Some(to)));
        let ready =
            self.ready(site, service, Some(to)).await.map_err(|why| NoDraft::Trouble(why, Right::all("list", PODS)))?;
        if now != Some(to) && ready.len() < self.wanted() {
            return Err(NoDraft::Refused(self.not_ready(&thing.name, Some(to), ready.len())));
        }
        let line = says("kubernetes.diff_ready").with("at", self.shown(Some(to))).with("ready", ready.len());
        Ok(part.saying(vec![line]))
    }

    fn agree(&self, parts: &[Part]) -> Result<(), Words> {
        let states: BTreeSet<&str> = parts.iter().map(|part| part.to.as_str()).collect();
        if states.len() <= 1 {
            return Ok(());
        }
        let at = |part: &Part| format!("{} {}", part.name(), part.from.as_deref().unwrap_or_default());
        Err(Words::new("kubernetes.colours_differ").with("states", parts.iter().map(at).collect::<Vec<_>>()))
    }

    async fn fit_back(&self, site: &Site<'_>, parts: &[Part]) -> Result<(), NoDraft> {
        for part in parts {
            let service = site.get(SERVICES, part.name()).await;
            let service = service.map_err(|why| NoDraft::Trouble(why, Right::one("get", SERVICES, part.name())))?;
            let to = self.value_of(part);
            let ready = self.ready(site, &Object(service), to).await;
            let ready = ready.map_err(|why| NoDraft::Trouble(why, Right::all("list", PODS)))?;
            if ready.len() < self.wanted() {
                return Err(NoDraft::Refused(self.not_ready(part.name(), to, ready.len())));
            }
        }
        Ok(())
    }

    /// Where they then send to is a part of it.
    fn is_looked_at_afterwards(&self) -> bool {
        true
    }

    async fn carry_out(&self, parts: &[Part], site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        let key = cx.idempotency_key();
        if let Err(result) = nothing_moved(site, parts, &key).await {
            return result;
        }
        let mut written: Vec<(&Part, Written)> = Vec::new();
        for part in parts {
            let done = match self.still_ready(site, part).await {
                Ok(()) => write(site, part, &key).await,
                Err(result) => Err(result),
            };
            match done {
                Ok(done) => written.push((part, done)),
                Err(result) => {
                    let result = if_begun(cx.begun, result);
                    return not_all(site, part, result, switched(&written), &key).await;
                }
            }
        }
        match self.settled(site, &written).await {
            Ok(notes) => StepResult::Done {
                note: Words::new("kubernetes.all").with("notes", notes),
                output: None,
                live: parts.first().map(|part| part.to.clone()),
            },
            Err(why) => put_back(site, switched(&written), &key, why, false).await,
        }
    }
}

impl Select {
    fn shown(&self, value: Option<&str>) -> String {
        shown_selector(&BTreeMap::from([(self.label.clone(), value.map(str::to_owned))]))
    }

    fn wanted(&self) -> usize {
        self.min_ready.map_or(1, |wanted| usize::try_from(wanted).unwrap_or(usize::MAX))
    }

    fn not_ready(&self, service: &str, to: Option<&str>, ready: usize) -> Words {
        Words::new("kubernetes.no_ready_colour")
            .with("service", service)
            .with("at", self.shown(to))
            .with("ready", ready)
            .with("wanted", self.wanted())
    }

    /// The names of the pods that would serve: found by the selector after the switch, ready, and with every port that
    /// the Service knows by its name.
    async fn ready(&self, site: &Site<'_>, service: &Object, to: Option<&str>) -> Result<BTreeSet<String>, Trouble> {
        let selector = service.0.pointer("/spec/selector").and_then(Value::as_object);
        let others = selector.into_iter().flatten().filter(|(key, _)| **key != self.label);
        let others = others.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
        let labels: Vec<String> = others.chain(to.map(|to| format!("{}={to}", self.label))).collect();
        let pods = site.list(PODS, &labels.join(",")).await?;
        let ports = named_ports(service);
        let serves = |pod: &Object| is_ready(pod) && ports.iter().all(|port| has_port(pod, port));
        Ok(pods.into_iter().map(Object).filter(serves).map(|pod| pod.name().to_owned()).collect())
    }

    /// Pods may have died between the plan and now. A Service that is switched already is looked at afterwards.
    async fn still_ready(&self, site: &Site<'_>, part: &Part) -> Result<(), StepResult> {
        let trouble = |trouble: Trouble, right: Right| StepResult::unchanged(trouble.words(site, &right));
        let service = site.get(SERVICES, part.name()).await;
        let service = Object(service.map_err(|why| trouble(why, Right::one("get", SERVICES, part.name())))?);
        if part.is_done(&service) {
            return Ok(());
        }
        let to = self.value_of(part);
        let ready = self.ready(site, &service, to).await.map_err(|why| trouble(why, Right::all("list", PODS)))?;
        if ready.len() >= self.wanted() {
            Ok(())
        } else {
            Err(StepResult::stale(self.not_ready(part.name(), to, ready.len())))
        }
    }

    /// What the label becomes; nothing where the selector is to be without it, as it was before.
    fn value_of<'p>(&self, part: &'p Part) -> Option<&'p str> {
        match &part.deed {
            Deed::Select { set, .. } => set.get(&self.label)?.as_deref(),
            _ => None,
        }
    }

    /// Waits until every Service sends to the pods of the new set and to no others. The cluster tells where a Service sends a
    /// moment late: until all that are ready are told, the number is one of before.
    async fn settled(&self, site: &Site<'_>, written: &[(&Part, Written)]) -> Result<Vec<Value>, Words> {
        let longest = length::duration(self.settle.unwrap_or(Millis::seconds(10)));
        let watch = Stopwatch::start();
        let mut notes = Vec::new();
        for (part, done) in written {
            let to = self.value_of(part);
            loop {
                let seen = self.sends_to(site, &done.object, to).await;
                let over = watch.left_of(longest).is_zero() || site.left().is_zero();
                match seen {
                    Ok(Some(Sent { to: ready, all })) if ready >= all || over => {
                        let note = Words::new("kubernetes.selected").with("name", part.name());
                        notes.push(note.with("at", self.shown(to)).with("ready", ready).into());
                        break;
                    }
                    Ok(None) if over => {
                        let why = Words::new("kubernetes.empty_after").with("service", part.name());
                        return Err(why.with("after_ms", watch.took().0));
                    }
                    Err(trouble) if over || !trouble.passes() => {
                        return Err(trouble.words(site, &Right::one("get", ENDPOINTS, part.name())));
                    }
                    _ => pause(AGAIN).await,
                }
            }
        }
        Ok(notes)
    }

    /// How many pods a Service sends to, once all of them are of the new set.
    async fn sends_to(&self, site: &Site<'_>, service: &Object, to: Option<&str>) -> Result<Option<Sent>, Trouble> {
        let ready = self.ready(site, service, to).await?;
        let endpoints = match site.get(ENDPOINTS, service.name()).await {
            Err(trouble) if trouble.is_absent() => return Ok(None),
            endpoints => endpoints?,
        };
        let subsets = endpoints.get("subsets").and_then(Value::as_array);
        let addresses =
            subsets.into_iter().flatten().filter_map(|subset| subset.get("addresses")?.as_array()).flatten();
        let pods: Vec<&str> = addresses.filter_map(|one| one.pointer("/targetRef/name")?.as_str()).collect();
        let is_settled = !pods.is_empty() && pods.iter().all(|pod| ready.contains(*pod));
        Ok(is_settled.then_some(Sent { to: pods.len(), all: ready.len().min(MOST_ENDPOINTS) }))
    }
}

/// Where a Service sends.
struct Sent {
    /// So many pods.
    to: usize,
    /// So many are ready.
    all: usize,
}

fn why_of(result: StepResult) -> Words {
    let (StepResult::Stale { found: why }
    | StepResult::Failed { why, .. }
    | StepResult::Unknown { why, .. }
    | StepResult::Done { note: why, .. }) = result;
    // Nothing was changed of that one, and yet others were.
    unchanged_because(&why).unwrap_or(why)
}

/// Those that this step has switched. What somebody else had switched already is theirs.
fn switched<'p>(written: &[(&'p Part, Written)]) -> Vec<&'p Part> {
    written.iter().filter(|(_, done)| done.now).map(|(part, _)| *part).collect()
}

/// One of them could not be switched after others were. Of one that nobody knows of, it is found out, and it goes back with them.
async fn not_all(site: &Site<'_>, part: &Part, result: StepResult, mut switched: Vec<&Part>, key: &str) -> StepResult {
    if switched.is_empty() {
        return result;
    }
    let is_unsure = matches!(result, StepResult::Unknown { .. });
    if is_unsure {
        pause(HELD).await;
        switched.push(part);
    }
    put_back(site, switched, key, why_of(result), is_unsure).await
}

/// All of them or none: these get their former selectors, the last one first. Of that one it may be unsure whether
/// it was switched at all.
async fn put_back(site: &Site<'_>, mut left: Vec<&Part>, key: &str, why: Words, mut is_unsure: bool) -> StepResult {
    let names = |parts: &[&Part]| parts.iter().map(|part| part.name().to_owned()).collect::<Vec<_>>();
    let all = names(&left);
    if all.is_empty() {
        return StepResult::failed(why);
    }
    let key = format!("{key}-back");
    while let Some(part) = left.pop() {
        if let Err(result) = write(site, &part.reversed(), &key).await {
            left.push(part);
            let half = Words::new("kubernetes.not_put_back").with("left", names(&left)).with("why", why);
            let is_unknown = is_unsure || matches!(result, StepResult::Unknown { .. });
            let half = half.with("then", why_of(result));
            return if is_unknown { StepResult::unknown(half) } else { StepResult::failed(half) };
        }
        is_unsure = false;
    }
    StepResult::failed(Words::new("kubernetes.put_back").with("names", all).with("why", why))
}

/// The ports of a Service that are found in its pods by name.
fn named_ports(service: &Object) -> Vec<String> {
    let ports = service.0.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port.get("targetPort")?.as_str()).map(str::to_owned).collect()
}

fn has_port(pod: &Object, name: &str) -> bool {
    let containers = pod.0.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let mut ports = containers.filter_map(|container| container.get("ports")?.as_array()).flatten();
    ports.any(|port| port.get("name").and_then(Value::as_str) == Some(name))
}
