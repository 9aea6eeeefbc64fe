//! Deleting pods by label so that they are made anew (K13), a few at a time, each only after those before are replaced.

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
use super::kinds::PODS;
use super::object::Object;
use super::pods::{has_ended, is_ready, left_out, why_not};
use super::rights::Right;
use super::{Draft, NoDraft, Operation};
use crate::incident::approval::Risk;
use crate::incident::words::Words;

/// Between two looks at the pods.
const AGAIN: Duration = Duration::from_millis(400);
/// A request that a frozen server still holds may be carried out so long after it seemed lost.
const HELD: Duration = Duration::from_secs(2);

/// Which pods are made anew.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecreatePods {
    /// Their labels: `app=web`.
    pub selector: String,
    /// How many go at once: 1.
    pub at_once: Option<u32>,
    /// They go by eviction, which keeps to the disruption budgets of their owners: true. Without it they are deleted.
    pub evict: Option<bool>,
}

/// One pod that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    name: String,
    uid: String,
}

/// The workloads of these pods: nothing else shall roll them out meanwhile.
pub(super) fn owners(pods: &[Object]) -> BTreeSet<String> {
    pods.iter().filter_map(Object::workload).collect()
}

fn several_budgets(name: &str) -> Words {
    Words::new("kubernetes.several_budgets").with("name", name)
}

fn is_one(pod: &Object, formers: &[Former]) -> bool {
    formers.iter().any(|one| one.uid == pod.uid())
}

/// Every pod that has come since the plan was made is ready.
fn all_new_are_ready(pods: &[Object], all: &[Former]) -> bool {
    let mut new = pods.iter().filter(|pod| !is_one(pod, all) && !has_ended(pod) && !pod.is_being_deleted());
    new.all(is_ready)
}

#[async_trait]
impl Operation for RecreatePods {
    fn names(&self) -> Vec<String> {
        vec![format!("pods {}", self.selector)]
    }

    fn risk(&self) -> Risk {
        Risk::Reversible
    }

    fn rights(&self) -> Vec<Right> {
        vec![Right::all("list", PODS), self.right()]
    }

    fn settings(&self) -> Value {
        json!({"at_once": self.at_once(), "evict": self.evicts()})
    }

    fn takes_up(&self) -> bool {
        true
    }

    /// The same pods twice would be those of before.
    fn goes_on_from(&self, _: &str) -> bool {
        false
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.selector.trim().is_empty() {
            let sentence = "all pods of the namespace would be meant; write for example app=web";
            faults.push(fault(format!("{path}.selector"), sentence));
        }
        if self.at_once == Some(0) {
            faults.push(fault(format!("{path}.at_once"), "nothing would happen; write for example 1"));
        }
    }

    async fn plan(&self, site: &Site<'_>) -> Result<Draft, NoDraft> {
        let pods = self.pods(site).await.map_err(|why| NoDraft::Trouble(why, Right::all("list", PODS)))?;
        let (ended, pods): (Vec<Object>, Vec<Object>) =
            pods.into_iter().filter(|pod| !pod.is_being_deleted()).partition(has_ended);
        if pods.is_empty() {
            return Err(NoDraft::Refused(Words::new("kubernetes.no_pods").with("selector", self.selector.as_str())));
        }
        let bare = pods.iter().filter(|pod| pod.owner().is_none()).map(Object::name).collect::<Vec<_>>();
        if !bare.is_empty() {
            return Err(NoDraft::Refused(Words::new("kubernetes.bare_pods").with("names", bare)));
        }
        let all: Vec<Former> =
            pods.iter().map(|pod| Former { name: pod.name().to_owned(), uid: pod.uid().to_owned() }).collect();
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        let own = names.iter().map(|name| format!("pod/{name}")).chain(self.names());
        if let Some(taken) = own.into_iter().find(|name| site.taken.contains(name)) {
            return Err(NoDraft::Taken(taken));
        }
        if self.evicts() {
            self.rehearsed(site, &all).await?;
        }
        Ok(Draft {
            title: Words::new("kubernetes.title_recreate")
                .with("pods", all.len())
                .with("selector", self.selector.as_str()),
            from: None,
            to: format!("{} × pod", all.len()),
            diff: [Words::new("kubernetes.diff_recreate").with("names", names).with("at_once", self.at_once())]
                .into_iter()
                .chain(left_out(&ended))
                .collect(),
            also: owners(&pods).into_iter().chain(all.iter().map(|one| format!("pod/{}", one.name))).collect(),
            facts: json!(all),
        })
    }

    async fn execute(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        let all: Vec<Former> = match facts_of(facts) {
            Ok(all) => all,
            Err(why) => return StepResult::stale(why),
        };
        let mut sent = 0;
        let halfway = |result: StepResult, sent: usize| {
            let (gone, left) = all.split_at(sent);
            let names = |formers: &[Former]| formers.iter().map(|one| one.name.clone()).collect();
            half_deleted(result, names(gone), names(left))
        };
        for some in all.chunks(self.at_once()) {
            let before = match self.pods(site).await {
                Ok(pods) => pods,
                Err(why) => {
                    let why = why.words(site, &Right::all("list", PODS));
                    return halfway(StepResult::unchanged(why).after(sent > 0), sent);
                }
            };
            for one in some {
                if let Err(result) = self.send_off(site, one, cx).await {
                    return halfway(result, sent);
                }
                sent += 1;
            }
            if let Err(result) = self.until_replaced(site, (some, all.as_slice()), &before, cx).await {
                return result;
            }
        }
        StepResult::done(
            Words::new("kubernetes.recreated").with("pods", all.len()).with("selector", self.selector.as_str()),
        )
    }

    async fn check(&self, facts: &Value, site: &Site<'_>, _: &StepContext<'_>) -> Happened {
        let all: Vec<Former> = match facts_of(facts) {
            Ok(all) => all,
            Err(why) => return Happened::CannotTell { why },
        };
        let mut looked_twice = false;
        loop {
            let pods = match self.pods(site).await {
                Ok(pods) => pods,
                Err(why) => return Happened::CannotTell { why: why.words(site, &Right::all("list", PODS)) },
            };
            let left = pods.iter().filter(|pod| is_one(pod, &all)).count();
            let goes = |pod: &Object| is_one(pod, &all) && pod.is_being_deleted();
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            if left == 0 && ready > 0 && all_new_are_ready(&pods, &all) {
                let note = Words::new("kubernetes.recreated").with("pods", all.len());
                return Happened::Yes { note: note.with("selector", self.selector.as_str()), live: None };
            }
            let note = Words::new("kubernetes.recreating").with("left", left).with("ready", ready);
            if left < all.len() || pods.iter().any(goes) {
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

impl RecreatePods {
    fn at_once(&self) -> usize {
        self.at_once.map_or(1, |most| usize::try_from(most).unwrap_or(1).max(1))
    }

    fn evicts(&self) -> bool {
        self.evict.unwrap_or(true)
    }

    fn right(&self) -> Right {
        if self.evicts() { Right::part("create", PODS, "eviction") } else { Right::all("delete", PODS) }
    }

    async fn pods(&self, site: &Site<'_>) -> Result<Vec<Object>, Trouble> {
        Ok(site.list(PODS, &self.selector).await?.into_iter().map(Object).collect())
    }

    /// Lets the server rehearse that each goes. What one budget forbids now it may allow later, but never what several do.
    async fn rehearsed(&self, site: &Site<'_>, all: &[Former]) -> Result<(), NoDraft> {
        for one in all {
            match site.evict(&one.name, &one.uid, true).await {
                Err(trouble) if trouble.is_held_by_several_budgets() => {
                    return Err(NoDraft::Refused(several_budgets(&one.name)));
                }
                Err(trouble) if trouble.is_held_by_a_budget() || trouble.is_absent() || trouble.is_conflict() => {}
                answer => answer.map_err(|trouble| NoDraft::Trouble(trouble, self.right()))?,
            }
        }
        Ok(())
    }

    /// Lets one pod go. Its uid goes along, so that the one that replaces it is never meant.
    async fn send_off(&self, site: &Site<'_>, one: &Former, cx: &StepContext<'_>) -> Result<(), StepResult> {
        let mut may_have_happened = false;
        loop {
            let answer = match self.evicts() {
                true => site.evict(&one.name, &one.uid, false).await,
                false => site.delete(PODS, &one.name, &one.uid, false).await,
            };
            let trouble = match answer {
                Ok(()) => return Ok(()),
                Err(trouble) if trouble.is_absent() || trouble.is_conflict() => return Ok(()),
                Err(trouble) => trouble,
            };
            if trouble.is_held_by_several_budgets() {
                return Err(StepResult::unchanged(several_budgets(&one.name)).after(may_have_happened));
            }
            let is_held = trouble.is_held_by_a_budget();
            may_have_happened |= trouble.may_have_happened();
            let budget = Words::new("kubernetes.budget").with("name", one.name.as_str());
            if !trouble.passes() || site.left().is_zero() {
                let why = if is_held { budget } else { trouble.words(site, &self.right()) };
                return Err(StepResult::unchanged(why).after(may_have_happened));
            }
            if is_held {
                (cx.progress)(budget);
            } else {
                site.tell(&trouble);
            }
            pause(AGAIN).await;
        }
    }

    /// Waits until these are gone, and as many ready ones have come as were sent off, of the pods that there were `before`.
    /// Pods that were not ready, have ended, or are no longer wanted hold nothing up.
    async fn until_replaced(
        &self,
        site: &Site<'_>,
        (some, all): (&[Former], &[Former]),
        before: &[Object],
        cx: &StepContext<'_>,
    ) -> Result<(), StepResult> {
        let wanted = before.iter().filter(|pod| is_one(pod, some) && !pod.is_being_deleted()).count();
        let is_fresh = |pod: &&Object| is_ready(pod) && before.iter().all(|one| one.uid() != pod.uid());
        let mut told = None;
        loop {
            let over = site.left().is_zero();
            match self.pods(site).await {
                Ok(pods) => {
                    let left = pods.iter().filter(|pod| is_one(pod, some)).count();
                    let (ready, fresh) =
                        (pods.iter().filter(|pod| is_ready(pod)).count(), pods.iter().filter(is_fresh).count());
                    if left == 0 && fresh >= wanted && all_new_are_ready(&pods, all) {
                        return Ok(());
                    }
                    let now = Words::new("kubernetes.recreating").with("left", left).with("ready", ready);
                    if over {
                        let late = Words::new("kubernetes.not_recreated").with("ready", fresh).with("wanted", wanted);
                        return Err(StepResult::failed(late.with("reasons", why_not(&pods))));
                    }
                    if site.was_silent() || told.as_ref() != Some(&now) {
                        (cx.progress)(now.clone());
                        told = Some(now);
                    }
                }
                Err(trouble) if over || !trouble.passes() => {
                    return Err(StepResult::unknown(trouble.words(site, &Right::all("list", PODS))));
                }
                Err(_) => {}
            }
            pause(AGAIN).await;
        }
    }
}
