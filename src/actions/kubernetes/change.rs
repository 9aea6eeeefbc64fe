//! Changing objects that are there, each at most once whatever becomes of the answers.
//!
//! Each change carries the version of the object that it was made for and a mark of the step it belongs to. So it may be
//! sent again when its answer was lost: whichever copy arrives first moves the version, and every other one is refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::Value;

use super::super::config::ConfigFault;
use super::super::provider::{Happened, StepContext, StepResult};
use super::super::stopwatch::pause;
use super::back;
use super::call::{Site, Trouble};
use super::deed::{Deed, Place};
use super::earlier::left_by_others;
use super::ending::{done, ended, halfway, if_begun};
use super::follow::{End, Following, Standing, counts, standing};
use super::kinds::Thing;
use super::object::Object;
use super::part::Part;
use super::rights::Right;
use super::secret;
use super::{Draft, NoDraft, Operation};
use crate::incident::approval::{Choice, Choosing, Risk};
use crate::incident::words::Words;

/// How often a plan is rehearsed anew when the object moves meanwhile.
pub(super) const REHEARSALS: u32 = 5;
/// A request that a frozen server still holds may be carried out so long after it seemed lost.
pub(super) const HELD: Duration = Duration::from_secs(2);
/// Between a refusal for a newer version and the next try.
const AGAIN: Duration = Duration::from_millis(100);

/// An operation that changes objects that are there, one request each.
#[async_trait]
pub(super) trait Patching: std::fmt::Debug + Send + Sync {
    /// The objects, in the order in which they are changed.
    fn things(&self) -> Vec<Thing>;

    /// One line about the whole; it may use `names`, `from` and `to`.
    fn title(&self) -> Words;

    /// What must be allowed.
    fn rights(&self) -> Vec<Right>;

    /// Adds every fault of its configuration.
    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>);

    /// What it does to one object, from how that is now.
    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft>;

    fn risk(&self) -> Risk {
        Risk::Reversible
    }

    /// What of its configuration decides how it is done, and stands in no part.
    fn settings(&self) -> Value {
        Value::Null
    }

    /// Whether a person says where it goes.
    fn choosing(&self) -> Choosing {
        Choosing::Nothing
    }

    /// It goes on from what an earlier step of the same plan leaves.
    fn takes_up(&self) -> bool {
        false
    }

    /// It restarts workloads, which earlier steps of the same plan may have changed as they like.
    fn restarts(&self) -> bool {
        false
    }

    /// Where it can go.
    async fn choices(&self, _site: &Site<'_>) -> Result<Vec<Choice>, NoDraft> {
        Ok(Vec::new())
    }

    /// More objects that it changes after these, found in the cluster.
    async fn found(&self, _site: &Site<'_>) -> Result<Vec<Thing>, NoDraft> {
        Ok(Vec::new())
    }

    /// Why these parts cannot be done together.
    fn agree(&self, _parts: &[Part]) -> Result<(), Words> {
        Ok(())
    }

    /// Why these parts, which take others back, cannot be done as the cluster is now.
    async fn fit_back(&self, _site: &Site<'_>, _parts: &[Part]) -> Result<(), NoDraft> {
        Ok(())
    }

    /// Whether it is over only once somebody has looked at what came of it, so that after a crash it is taken up.
    fn is_looked_at_afterwards(&self) -> bool {
        false
    }

    /// Does all of them.
    async fn carry_out(&self, parts: &[Part], site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        execute(site, parts, cx).await
    }
}

#[async_trait]
impl<T: Patching> Operation for T {
    fn names(&self) -> Vec<String> {
        self.things().iter().map(ToString::to_string).collect()
    }

    fn risk(&self) -> Risk {
        Patching::risk(self)
    }

    fn rights(&self) -> Vec<Right> {
        Patching::rights(self)
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        Patching::validate(self, path, faults);
    }

    fn settings(&self) -> Value {
        Patching::settings(self)
    }

    fn choosing(&self) -> Choosing {
        Patching::choosing(self)
    }

    fn takes_up(&self) -> bool {
        Patching::takes_up(self) || self.restarts()
    }

    fn goes_on_from(&self, name: &str) -> bool {
        Patching::takes_up(self) || (self.restarts() && Thing::workload(name).is_some())
    }

    async fn choices(&self, site: &Site<'_>) -> Result<Vec<Choice>, NoDraft> {
        Patching::choices(self, site).await
    }

    async fn plan(&self, site: &Site<'_>) -> Result<Draft, NoDraft> {
        let found = self.found(site).await?;
        let mut things = self.things();
        things.extend(found.iter().filter(|thing| !self.things().contains(thing)).cloned());
        let parts = plan_all(site, self, &things).await?;
        let mut told = parts.iter().filter(|part| part.deed != Deed::Restart).peekable();
        if told.peek().is_some() && told.all(Part::changes_nothing) {
            return Err(NoDraft::Already(draft(self.title(), &parts).to));
        }
        self.agree(&parts).map_err(NoDraft::Refused)?;
        let also = found.iter().map(ToString::to_string).collect();
        Ok(Draft { also, ..draft(self.title(), &parts) })
    }

    async fn plan_back(&self, facts: &Value, site: &Site<'_>) -> Result<Draft, NoDraft> {
        let done = facts_of::<Vec<Part>>(facts).map_err(NoDraft::Refused)?;
        let parts = back::parts(site, &done).await?;
        self.fit_back(site, &parts).await?;
        Ok(draft(Words::new("kubernetes.title_back"), &parts))
    }

    async fn execute(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        match facts_of::<Vec<Part>>(facts) {
            Ok(parts) => self.carry_out(&parts, site, cx).await,
            Err(why) => StepResult::stale(why),
        }
    }

    async fn check(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> Happened {
        match facts_of::<Vec<Part>>(facts) {
            Ok(parts) => match check(site, &parts, cx).await {
                Happened::Yes { note, .. } if self.is_looked_at_afterwards() => Happened::Begun { note },
                told => told,
            },
            Err(why) => Happened::CannotTell { why },
        }
    }
}

pub(super) fn facts_of<T: serde::de::DeserializeOwned>(facts: &Value) -> Result<T, Words> {
    serde_json::from_value(facts.clone())
        .map_err(|error| Words::new("step.unreadable_plan").with("why", error.to_string()))
}

/// What the parts come to, for people and for the execution.
fn draft(title: Words, parts: &[Part]) -> Draft {
    let (restarts, told): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.deed == Deed::Restart);
    // A restart is the end of something else, unless there is nothing else.
    let (told, restarts) = if told.is_empty() { (restarts, told) } else { (told, restarts) };
    let from = told.iter().all(|part| part.from.is_some());
    let from = from.then(|| each(&told, |part| part.from.clone().unwrap_or_default()));
    let to = each(&told, |part| part.to.clone());
    let names = |parts: &[&Part]| parts.iter().map(|part| part.name().to_owned()).collect::<Vec<_>>();
    let afterwards =
        (!restarts.is_empty()).then(|| Words::new("kubernetes.diff_restarts").with("names", names(&restarts)));
    Draft {
        title: title.with("names", names(&told)).with("from", from.as_deref()).with("to", to.as_str()),
        from,
        to,
        diff: parts.iter().flat_map(|part| part.diff.clone()).chain(afterwards).collect(),
        facts: serde_json::to_value(parts).unwrap_or_default(),
        also: Vec::new(),
    }
}

/// The state of one alone, what all have in common, or the state of each with its name.
fn each(all: &[&Part], state: impl Fn(&Part) -> String) -> String {
    let states: Vec<String> = all.iter().map(|part| state(part)).collect();
    match states.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => first.clone(),
        _ => {
            let named = all.iter().zip(states).map(|(one, state)| format!("{} {state}", one.name()));
            named.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Plans all of them and lets the server rehearse each.
pub(super) async fn plan_all(
    site: &Site<'_>,
    operation: &dyn Patching,
    things: &[Thing],
) -> Result<Vec<Part>, NoDraft> {
    let mut plans = Vec::new();
    for thing in things {
        plans.push(plan_one(site, operation, thing));
    }
    join_all(plans).await.into_iter().collect()
}

async fn plan_one(site: &Site<'_>, operation: &dyn Patching, thing: &Thing) -> Result<Part, NoDraft> {
    let mut tries = 0;
    loop {
        tries += 1;
        let object = site.get(thing.kind(), &thing.name).await;
        let object =
            Object(object.map_err(|trouble| NoDraft::Trouble(trouble, Right::one("get", thing.kind(), &thing.name)))?);
        let planned = async {
            let follows = operation.takes_up() || operation.restarts();
            let object = if follows { left_by_others(site, thing, object).await? } else { object };
            let part = operation.part(site, thing, &object).await?.after_others(site, operation.takes_up());
            rehearsed(site, part.map_err(NoDraft::Taken)?, &object).await
        };
        match planned.await {
            Err(NoDraft::Trouble(trouble, _)) if trouble.is_conflict() && tries < REHEARSALS => {}
            planned => return planned,
        }
    }
}

/// The part with what the server says it would come to.
pub(super) async fn rehearsed(site: &Site<'_>, mut part: Part, object: &Object) -> Result<Part, NoDraft> {
    if let Some(why) = part.unfit(object) {
        return Err(NoDraft::Refused(why));
    }
    if part.deed == Deed::Wait {
        return Ok(part);
    }
    let body = part.body(object, part.holder.as_ref(), "rehearsal");
    let after = site.patch(part.thing.kind(), part.name(), &body, true).await;
    let after = after.map_err(|trouble| NoDraft::Trouble(trouble, part.right("patch")))?;
    part.comes_to(&Object(after));
    Ok(part)
}

/// What is found before acting.
enum Found {
    /// This very step has changed it.
    Ours(Object),
    /// It is as it should be, by somebody else's doing.
    There(Object),
    /// As it was planned for, with what keeps the revision that is gone back to.
    AsPlanned(Box<(Object, Option<Object>)>),
    /// Something else.
    Moved(Words),
}

async fn find(site: &Site<'_>, one: &Part, key: &str) -> Result<Found, Trouble> {
    let object = match site.get(one.thing.kind(), one.name()).await {
        Ok(value) => Object(value),
        Err(trouble) if trouble.is_absent() => return Ok(Found::Moved(one.says("kubernetes.gone"))),
        Err(trouble) => return Err(trouble),
    };
    if object.uid() != one.uid {
        return Ok(Found::Moved(one.says("kubernetes.replaced")));
    }
    let ours = object.mark() == Some(key);
    let place = one.place(&object, key);
    if place == Place::After {
        return Ok(if ours { Found::Ours(object) } else { Found::There(object) });
    }
    if ours && one.autoscaled(site, &object).await {
        return Ok(Found::Ours(object));
    }
    if ours {
        return Ok(Found::Moved(one.says("kubernetes.done_before").with("who", object.changed_by(one.known()))));
    }
    if let Some(why) = one.unfit(&object) {
        return Ok(Found::Moved(why));
    }
    if place == Place::Elsewhere {
        let at = one.deed.shown(&object);
        return Ok(Found::Moved(
            one.says("kubernetes.moved").with("who", object.changed_by(one.known())).with("at", at),
        ));
    }
    let to = match &one.deed {
        Deed::Undo(to) => to,
        Deed::Secret(source) => {
            return Ok(match secret::unmoved(site, source).await? {
                Some(saved) => Found::AsPlanned(Box::new((object, Some(saved)))),
                None => Found::Moved(one.says("kubernetes.saved_moved")),
            });
        }
        _ => return Ok(Found::AsPlanned(Box::new((object, None)))),
    };
    let gone = || Ok(Found::Moved(Words::new("kubernetes.revision_gone").with("at", to.shown())));
    let holder = match site.get(one.thing.what.history(), &to.holder).await {
        Ok(value) => Object(value),
        Err(trouble) if trouble.is_absent() => return gone(),
        Err(trouble) => return Err(trouble),
    };
    if holder.uid() != to.holder_uid || holder.fingerprint() != to.fingerprint {
        return gone();
    }
    Ok(Found::AsPlanned(Box::new((object, Some(holder)))))
}

/// An object that is on its way, and whether this execution has changed it.
pub(super) struct Written {
    pub object: Object,
    pub now: bool,
}

/// Changes one of them, at most once whatever becomes of the answers.
pub(super) async fn write(site: &Site<'_>, one: &Part, key: &str) -> Result<Written, StepResult> {
    let mut may_have_happened = false;
    loop {
        let trouble = match find(site, one, key).await {
            Ok(Found::Ours(object)) => return Ok(Written { object, now: true }),
            Ok(Found::There(object)) => return Ok(Written { object, now: false }),
            Ok(Found::Moved(found)) => return Err(StepResult::stale(found).after(may_have_happened)),
            Ok(Found::AsPlanned(found)) => {
                let body = one.body(&found.0, found.1.as_ref(), key);
                match site.patch(one.thing.kind(), one.name(), &body, false).await {
                    Ok(value) => return Ok(Written { object: Object(value), now: true }),
                    Err(trouble) => {
                        may_have_happened |= trouble.may_have_happened();
                        trouble
                    }
                }
            }
            // Nothing comes of a reading, whatever becomes of its answer.
            Err(trouble) => trouble,
        };
        let goes_on = trouble.is_conflict() || trouble.passes();
        if !goes_on || site.left().is_zero() {
            let why = trouble.words(site, &one.right("patch"));
            return Err(StepResult::unchanged(why).after(may_have_happened));
        }
        site.tell(&trouble);
        pause(AGAIN).await;
    }
}

/// Does what was planned, or takes up what this step has begun.
pub(super) async fn execute(site: &Site<'_>, all: &[Part], cx: &StepContext<'_>) -> StepResult {
    let key = cx.idempotency_key();
    if all.len() > 1
        && let Err(result) = nothing_moved(site, all, &key).await
    {
        return result;
    }
    let mut written: Vec<(&Part, Written)> = Vec::new();
    for one in all {
        match write(site, one, &key).await {
            Ok(done) => written.push((one, done)),
            Err(result) => {
                let changed = written.iter().filter(|(_, done)| done.now).map(|(one, _)| one.name().to_owned());
                let left = all.iter().skip(written.len()).map(|one| one.name().to_owned());
                return halfway(if_begun(cx.begun, result), changed.collect(), left.collect());
            }
        }
    }
    // Several roll-outs are one line: each would else take the place of what the others told.
    let told: Mutex<BTreeMap<usize, Words>> = Mutex::default();
    let mut tellers: Vec<Box<dyn Fn(Words) + Send + Sync + '_>> = Vec::new();
    for place in 0..written.len() {
        let told = &told;
        tellers.push(Box::new(move |now: Words| {
            let mut all = told.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(place, now);
            let notes: Vec<Value> = all.values().map(|words| words.clone().into()).collect();
            (cx.progress)(Words::new("kubernetes.all").with("notes", notes));
        }));
    }
    let mut followed = Vec::new();
    for ((one, written), tell) in written.into_iter().zip(&tellers) {
        followed.push(follow(site, one, written.object, &key, tell.as_ref()));
    }
    ended(join_all(followed).await)
}

async fn follow<'p>(
    site: &Site<'_>,
    part: &'p Part,
    object: Object,
    key: &str,
    progress: &(dyn Fn(Words) + Send + Sync),
) -> (&'p Part, End) {
    if !part.deed.rolls_out() {
        return (part, End::Complete(object));
    }
    let following = Following { site, part, key, progress };
    (part, following.to_the_end(object).await)
}

/// Several are changed together or not at all, as far as a look can tell.
pub(super) async fn nothing_moved(site: &Site<'_>, all: &[Part], key: &str) -> Result<(), StepResult> {
    for one in all {
        let found = find(site, one, key).await;
        match found {
            Ok(Found::Moved(found)) => return Err(StepResult::stale(found)),
            Ok(_) => {}
            Err(trouble) => {
                let why = trouble.words(site, &one.right("get"));
                return Err(StepResult::unchanged(why));
            }
        }
    }
    Ok(())
}

/// Whether it happened, and whether it is over.
pub(super) async fn check(site: &Site<'_>, all: &[Part], cx: &StepContext<'_>) -> Happened {
    let key = cx.idempotency_key();
    let mut seen = Vec::new();
    for one in all {
        match check_one(site, one, &key).await {
            cannot @ Happened::CannotTell { .. } => return cannot,
            told => seen.push(told),
        }
    }
    // One that is not begun beside one that is: executing again takes up both.
    let begun = seen.iter().position(|one| matches!(one, Happened::Begun { .. }));
    let not = seen.iter().position(|one| matches!(one, Happened::No { .. }));
    let all_not = seen.iter().all(|one| matches!(one, Happened::No { .. }));
    let index = begun.or(not).unwrap_or_default();
    match seen.into_iter().nth(index) {
        Some(Happened::No { note }) if !all_not => Happened::Begun { note },
        // What one of several is at would be told of all.
        Some(Happened::Yes { note, .. }) if all.len() > 1 => Happened::Yes { note, live: None },
        Some(told) => told,
        None => Happened::CannotTell { why: Words::new("step.nothing") },
    }
}

async fn check_one(site: &Site<'_>, one: &Part, key: &str) -> Happened {
    let mut looked_twice = false;
    loop {
        match find(site, one, key).await {
            Err(trouble) => return Happened::CannotTell { why: trouble.words(site, &one.right("get")) },
            Ok(Found::Moved(why)) => return Happened::CannotTell { why },
            Ok(Found::Ours(object) | Found::There(object)) => {
                let is_complete = || standing(&object, one, key, &mut false) == Standing::Complete;
                // Pods may still be ending, which is waited for when it is taken up.
                let is_over = !one.deed.rolls_out() || (one.made_smaller_to().is_none() && is_complete());
                return match is_over {
                    true => Happened::Yes { note: done(one, &object), live: Some(one.deed.shown(&object)) },
                    false => Happened::Begun { note: counts("kubernetes.rolling", one.thing.what, &object) },
                };
            }
            Ok(Found::AsPlanned(_)) if !looked_twice => {
                looked_twice = true;
                pause(HELD).await;
            }
            Ok(Found::AsPlanned(found)) => {
                return Happened::No { note: one.says("kubernetes.still").with("at", one.deed.shown(&found.0)) };
            }
        }
    }
}
