//! Deleting Jobs, Pods and volume claims (K12), by name or by label. Exactly those that the plan named: another object of
//! the same name is left alone, and what is gone already is said to be.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::config::{ConfigFault, fault};
use super::super::provider::{Happened, StepContext, StepResult};
use super::super::stopwatch::pause;
use super::call::{Site, Trouble};
use super::change::facts_of;
use super::ending::half_deleted;
use super::kinds::{CLAIMS, JOBS, Kind, PODS, is_name};
use super::object::Object;
use super::recreate::owners;
use super::rights::Right;
use super::{Draft, NoDraft, Operation};
use crate::incident::approval::Risk;
use crate::incident::words::Words;

/// Between two looks whether something is gone.
const AGAIN: Duration = Duration::from_millis(300);
/// A request that a frozen server still holds may be carried out so long after it seemed lost.
const HELD: Duration = Duration::from_secs(2);

/// What is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// What kind of objects.
    pub kind: Deleted,
    /// Their names.
    #[serde(default)]
    pub names: Vec<String>,
    /// Their labels, in place of names: `app=import`.
    pub selector: Option<String>,
    /// Claims that pods still use are deleted too; they go when these pods do.
    #[serde(default)]
    pub in_use: bool,
}

/// The kinds that can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deleted {
    /// Jobs, with their pods.
    Job,
    /// Pods.
    Pod,
    /// PersistentVolumeClaims, with what is stored there.
    Pvc,
}

impl Deleted {
    const fn kind(self) -> Kind {
        match self {
            Deleted::Job => JOBS,
            Deleted::Pod => PODS,
            Deleted::Pvc => CLAIMS,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Deleted::Job => "job",
            Deleted::Pod => "pod",
            Deleted::Pvc => "persistentvolumeclaim",
        }
    }
}

/// One object that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Victim {
    name: String,
    uid: String,
    /// What a Job's pods are found by, in the notation of lists; they go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pods: Option<String>,
}

/// What there is of the objects that were named.
struct Resolved {
    victims: Vec<Victim>,
    /// The workloads of pods among them.
    owners: BTreeSet<String>,
    /// The names that nothing has.
    absent: Vec<String>,
}

/// Where a victim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    There,
    Going,
    /// It is gone, and so many of its pods still are to go.
    Ending(usize),
    Gone,
    /// Another object has its name now.
    Replaced,
}

#[async_trait]
impl Operation for Delete {
    fn names(&self) -> Vec<String> {
        let by_labels = self.selector.iter().map(|labels| format!("{}s {labels}", self.kind.word()));
        self.names.iter().map(|name| self.named(name)).chain(by_labels).collect()
    }

    fn risk(&self) -> Risk {
        Risk::Destructive
    }

    fn rights(&self) -> Vec<Right> {
        let kind = self.kind.kind();
        let own = self.names.iter().flat_map(|name| ["get", "delete"].map(|verb| Right::one(verb, kind, name)));
        let any = self.selector.iter().flat_map(|_| ["list", "get", "delete"].map(|verb| Right::all(verb, kind)));
        // Those that use a claim, and those of a Job.
        let users = (self.kind != Deleted::Pod).then(|| Right::all("list", PODS));
        own.chain(any).chain(users).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.names.is_empty() != self.selector.is_some() {
            faults
                .push(fault(path, "say what is deleted in exactly one way; names: [import], or selector: app=import"));
        }
        for (index, name) in self.names.iter().enumerate() {
            if !is_name(name) {
                faults.push(fault(format!("{path}.names[{index}]"), format!("“{name}” is no name of an object")));
            }
        }
        if self.selector.as_ref().is_some_and(|labels| labels.trim().is_empty()) {
            let sentence = "everything in the namespace would be meant; write for example app=import";
            faults.push(fault(format!("{path}.selector"), sentence));
        }
        if self.in_use && self.kind != Deleted::Pvc {
            faults.push(fault(format!("{path}.in_use"), "only volume claims are used by pods; leave it out"));
        }
    }

    fn settings(&self) -> Value {
        json!({"in_use": self.in_use})
    }

    async fn plan(&self, site: &Site<'_>) -> Result<Draft, NoDraft> {
        let Resolved { victims, owners, absent } = self.resolved(site).await?;
        if victims.is_empty() {
            return Err(NoDraft::Already("0".to_owned()));
        }
        if self.kind == Deleted::Pvc && !self.in_use {
            refuse_what_is_used(site, &victims).await?;
        }
        for victim in &victims {
            let rehearsed = site.delete(self.kind.kind(), &victim.name, &victim.uid, true).await;
            rehearsed.map_err(|why| NoDraft::Trouble(why, self.right("delete", &victim.name)))?;
        }
        let names: Vec<&str> = victims.iter().map(|victim| victim.name.as_str()).collect();
        let gone = (!absent.is_empty()).then(|| Words::new("kubernetes.diff_absent").with("names", absent));
        let more = match self.kind {
            Deleted::Job => Some(Words::new("kubernetes.diff_job_pods")),
            Deleted::Pod => None,
            Deleted::Pvc => Some(Words::new("kubernetes.diff_claim")),
        };
        Ok(Draft {
            title: Words::new("kubernetes.title_delete").with("kind", self.kind.word()).with("names", names.clone()),
            from: Some(format!("{} × {}", names.len(), self.kind.word())),
            to: "0".to_owned(),
            diff: gone.into_iter().chain(more).collect(),
            also: names
                .iter()
                .map(|name| self.named(name))
                .filter(|name| !self.names().contains(name))
                .chain(owners)
                .collect(),
            facts: json!(victims),
        })
    }

    async fn execute(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        let victims: Vec<Victim> = match facts_of(facts) {
            Ok(victims) => victims,
            Err(why) => return StepResult::stale(why),
        };
        if let Err(result) = self.still_unused(site, &victims).await {
            return result;
        }
        let mut replaced = Vec::new();
        for (place, victim) in victims.iter().enumerate() {
            match self.delete(site, victim).await {
                Ok(Fate::Replaced) => replaced.push(victim.name.as_str()),
                Ok(_) => {}
                Err(result) => {
                    let (done, left) = victims.split_at(place);
                    let done = done.iter().filter(|one| !replaced.contains(&one.name.as_str()));
                    let names = |one: &Victim| one.name.clone();
                    return half_deleted(result, done.map(names).collect(), left.iter().map(names).collect());
                }
            }
        }
        if let Err(result) = self.until_gone(site, &victims, cx).await {
            return result;
        }
        let gone: Vec<&str> =
            victims.iter().map(|one| one.name.as_str()).filter(|name| !replaced.contains(name)).collect();
        StepResult::done(Words::new("kubernetes.deleted").with("names", gone).with("replaced", replaced))
    }

    async fn check(&self, facts: &Value, site: &Site<'_>, _: &StepContext<'_>) -> Happened {
        let victims: Vec<Victim> = match facts_of(facts) {
            Ok(victims) => victims,
            Err(why) => return Happened::CannotTell { why },
        };
        let mut looked_twice = false;
        loop {
            let mut fates = Vec::new();
            for victim in &victims {
                match self.fate(site, victim).await {
                    Ok(fate) => fates.push(fate),
                    Err((trouble, right)) => return Happened::CannotTell { why: trouble.words(site, &right) },
                }
            }
            let names: Vec<&str> = victims.iter().map(|victim| victim.name.as_str()).collect();
            if fates.iter().all(|fate| matches!(fate, Fate::Gone | Fate::Replaced)) {
                let nobody: Vec<&str> = Vec::new();
                return Happened::Yes {
                    note: Words::new("kubernetes.deleted").with("names", names).with("replaced", nobody),
                    live: None,
                };
            }
            let note = Words::new("kubernetes.still_there").with("names", names);
            if fates.iter().any(|fate| *fate != Fate::There) {
                return Happened::Begun { note };
            }
            if looked_twice {
                return Happened::No { note };
            }
            looked_twice = true;
            pause(HELD).await;
        }
    }
}

impl Delete {
    fn named(&self, name: &str) -> String {
        format!("{}/{name}", self.kind.word())
    }

    fn right(&self, verb: &'static str, name: &str) -> Right {
        Right::one(verb, self.kind.kind(), name)
    }

    async fn resolved(&self, site: &Site<'_>) -> Result<Resolved, NoDraft> {
        let (mut there, mut absent) = (Vec::new(), Vec::new());
        if let Some(labels) = &self.selector {
            let found = site.list(self.kind.kind(), labels).await;
            there = found.map_err(|why| NoDraft::Trouble(why, Right::all("list", self.kind.kind())))?;
        }
        for name in &self.names {
            match site.get(self.kind.kind(), name).await {
                Ok(object) => there.push(object),
                Err(trouble) if trouble.is_absent() => absent.push(name.clone()),
                Err(trouble) => return Err(NoDraft::Trouble(trouble, self.right("get", name))),
            }
        }
        let there: Vec<Object> = there.into_iter().map(Object).collect();
        let owners = if self.kind == Deleted::Pod { owners(&there) } else { BTreeSet::new() };
        let victim = |object: &Object| Victim {
            name: object.name().to_owned(),
            uid: object.uid().to_owned(),
            pods: (self.kind == Deleted::Job).then(|| object.selector()),
        };
        Ok(Resolved { victims: there.iter().map(victim).collect(), owners, absent })
    }

    async fn fate(&self, site: &Site<'_>, victim: &Victim) -> Result<Fate, (Trouble, Right)> {
        let fate = match site.get(self.kind.kind(), &victim.name).await {
            Ok(object) => {
                let object = Object(object);
                match object.uid() == victim.uid {
                    false => Fate::Replaced,
                    true if object.is_being_deleted() => return Ok(Fate::Going),
                    true => return Ok(Fate::There),
                }
            }
            Err(trouble) if trouble.is_absent() => Fate::Gone,
            Err(trouble) => return Err((trouble, self.right("get", &victim.name))),
        };
        let Some(labels) = &victim.pods else { return Ok(fate) };
        // A Job goes before its pods, which may work on for as long as their grace lasts.
        let pods = site.list(PODS, labels).await.map_err(|trouble| (trouble, Right::all("list", PODS)))?;
        let left = pods.into_iter().map(Object).filter(|pod| pod.belongs_to(&victim.uid)).count();
        Ok(if left == 0 { fate } else { Fate::Ending(left) })
    }

    /// A pod may have begun to use a claim since the plan. Those that are going already are past being asked about.
    async fn still_unused(&self, site: &Site<'_>, victims: &[Victim]) -> Result<(), StepResult> {
        if self.kind != Deleted::Pvc || self.in_use {
            return Ok(());
        }
        let unchanged = |trouble: Trouble, right: Right| StepResult::unchanged(trouble.words(site, &right));
        let mut there = Vec::new();
        for victim in victims {
            let fate = self.fate(site, victim).await;
            if fate.map_err(|(why, right)| unchanged(why, right))? == Fate::There {
                there.push(victim.clone());
            }
        }
        match refuse_what_is_used(site, &there).await {
            Ok(()) => Ok(()),
            Err(NoDraft::Trouble(why, right)) => Err(unchanged(why, right)),
            Err(other) => Err(StepResult::stale(other.fault(site, self.kind.word()).words())),
        }
    }

    /// Deletes one of them. Its uid goes along, so that it may be asked for again.
    async fn delete(&self, site: &Site<'_>, victim: &Victim) -> Result<Fate, StepResult> {
        let mut may_have_happened = false;
        loop {
            let trouble = match site.delete(self.kind.kind(), &victim.name, &victim.uid, false).await {
                Ok(()) => return Ok(Fate::Going),
                Err(trouble) if trouble.is_absent() => return Ok(Fate::Gone),
                Err(trouble) if trouble.is_conflict() => return Ok(Fate::Replaced),
                Err(trouble) => trouble,
            };
            may_have_happened |= trouble.may_have_happened();
            if !trouble.passes() || site.left().is_zero() {
                let why = trouble.words(site, &self.right("delete", &victim.name));
                return Err(StepResult::unchanged(why).after(may_have_happened));
            }
            site.tell(&trouble);
            pause(AGAIN).await;
        }
    }

    /// Waits for all of them; a claim stays until no pod uses it, and a Job goes with its last pod.
    async fn until_gone(&self, site: &Site<'_>, victims: &[Victim], cx: &StepContext<'_>) -> Result<(), StepResult> {
        let mut left: Vec<&Victim> = victims.iter().collect();
        let mut told = None;
        while let Some(victim) = left.last() {
            let over = site.left().is_zero();
            let fate = match self.fate(site, victim).await {
                Ok(Fate::Gone | Fate::Replaced) => {
                    left.pop();
                    continue;
                }
                Err((trouble, right)) if over || !trouble.passes() => {
                    return Err(StepResult::unknown(trouble.words(site, &right)));
                }
                fate => fate,
            };
            let names = || left.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
            let of_pods = |key, pods: usize| Words::new(key).with("name", victim.name.as_str()).with("pods", pods);
            let still_there = || Words::new("kubernetes.still_there").with("names", names());
            let (now, late) = match fate {
                Ok(Fate::Ending(pods)) => {
                    (of_pods("kubernetes.still_ending", pods), of_pods("kubernetes.not_ended", pods))
                }
                _ => (still_there(), still_there()),
            };
            if over {
                return Err(StepResult::failed(late));
            }
            if site.was_silent() || told.as_ref() != Some(&now) {
                (cx.progress)(now.clone());
                told = Some(now);
            }
            pause(AGAIN).await;
        }
        Ok(())
    }
}

/// A claim that a pod uses would only be marked, and go when the pod does.
async fn refuse_what_is_used(site: &Site<'_>, victims: &[Victim]) -> Result<(), NoDraft> {
    let pods = site.list(PODS, "").await.map_err(|why| NoDraft::Trouble(why, Right::all("list", PODS)))?;
    for victim in victims {
        let users: Vec<String> = pods
            .iter()
            .filter(|pod| uses(pod, &victim.name))
            .map(|pod| Object(pod.clone()).name().to_owned())
            .collect();
        if !users.is_empty() {
            let why = Words::new("kubernetes.volume_in_use").with("name", victim.name.as_str()).with("pods", users);
            return Err(NoDraft::Refused(why));
        }
    }
    Ok(())
}

fn uses(pod: &Value, claim: &str) -> bool {
    let over = matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed"));
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
    let mut claims = volumes.filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str());
    !over && claims.any(|name| name == claim)
}
