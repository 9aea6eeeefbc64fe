//! Following a roll-out to its end: told by a watch, and looked at whenever the watch falls silent.
//!
//! A silent API server fails nothing. Only the deadline ends the waiting, and then what is known is told.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::super::stopwatch::{Stopwatch, pause, within};
use super::call::{Event, Events, Site};
use super::deed::{Deed, Place};
use super::kinds::What;
use super::object::Object;
use super::part::Part;
use super::pods;
use super::rights::Right;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// Without news for so long the object is looked at.
const SILENCE: Duration = Duration::from_secs(2);
/// What is left for saying why, after the deadline.
const TO_SAY_WHY: Duration = Duration::from_secs(6);
/// A StatefulSet whose counts stand still for so long may block itself.
const STANDSTILL: Millis = Millis::seconds(5);

/// Between two looks at pods that end.
const STILL_ENDING: Duration = Duration::from_millis(300);

/// Where a roll-out stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Complete,
    Rolling,
    /// The controller's own deadline has passed.
    GaveUp,
    /// It is another change's roll-out now.
    Overtaken,
    /// Another object of the same name.
    Replaced,
}

/// How a roll-out ended.
pub(super) enum End {
    Complete(Object),
    Failed { why: Words, output: Option<String> },
    Unknown(Words),
}

/// Where it stands. The controller's “deadline exceeded” of the bad roll-out before stands on for a while after the
/// change: it counts only once it was seen to be gone, which is kept in `fresh`.
pub(super) fn standing(object: &Object, part: &Part, key: &str, fresh: &mut bool) -> Standing {
    if object.uid() != part.uid() {
        return Standing::Replaced;
    }
    if part.place(object, key) != Place::After {
        return Standing::Overtaken;
    }
    if object.number("/status/observedGeneration") < object.number("/metadata/generation") {
        return Standing::Rolling;
    }
    let is_scaled = matches!(part.deed, Deed::Scale { .. });
    let is_there = if is_scaled { is_in_number } else { is_complete };
    if is_there(part.thing.what, object) {
        return Standing::Complete;
    }
    // What the cluster has given up is the roll-out of another change.
    if is_scaled {
        return Standing::Rolling;
    }
    let reason = object.condition("Progressing").and_then(|condition| condition.get("reason")?.as_str());
    let exceeded = reason == Some("ProgressDeadlineExceeded");
    if exceeded && *fresh {
        return Standing::GaveUp;
    }
    *fresh |= !exceeded;
    Standing::Rolling
}

/// Where it stands as to the number that it wants by now, which is its autoscaler's.
fn at_its_own_number(what: What, object: &Object) -> Standing {
    let seen = object.number("/status/observedGeneration") >= object.number("/metadata/generation");
    if seen && is_in_number(what, object) { Standing::Complete } else { Standing::Rolling }
}

/// So many pods as are wanted are there and available, of whatever revision.
pub(super) fn is_in_number(what: What, object: &Object) -> bool {
    let Counts { wanted, available, .. } = Counts::of(what, object);
    let all = object.number("/status/replicas");
    match what {
        What::StatefulSet => all == wanted && available >= wanted,
        What::DaemonSet => available >= wanted,
        _ => all <= most_in_number(what, object) && available >= wanted,
    }
}

/// How many pods there may be when a workload has the number that it wants: in the middle of a roll-out a Deployment keeps as
/// many more as its strategy allows.
fn most_in_number(what: What, object: &Object) -> i64 {
    let Counts { wanted, updated, .. } = Counts::of(what, object);
    let is_in_the_middle = what == What::Deployment && updated < object.number("/status/replicas");
    if wanted == 0 || !is_in_the_middle {
        return wanted;
    }
    let surge = object.0.pointer("/spec/strategy/rollingUpdate/maxSurge");
    let percent = surge.and_then(Value::as_str).and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    let more = match percent {
        // Of a part of a pod a whole one is made.
        Some(percent) => wanted.saturating_mul(percent).saturating_add(99) / 100,
        None => surge.and_then(Value::as_i64).unwrap_or_default(),
    };
    wanted.saturating_add(more)
}

/// All pods are new, there and available, as `kubectl rollout status` has it. Where they become new only when somebody deletes
/// them, there and available is all that can be said.
pub(super) fn is_complete(what: What, object: &Object) -> bool {
    if object.changes_on_delete() {
        return is_in_number(what, object);
    }
    let Counts { wanted, updated, available } = Counts::of(what, object);
    let all = object.number("/status/replicas");
    match what {
        What::StatefulSet => {
            let left_alone = object.number("/spec/updateStrategy/rollingUpdate/partition");
            let one_revision = object.text("/status/updateRevision") == object.text("/status/currentRevision");
            all == wanted
                && available >= wanted
                && if left_alone > 0 { updated >= wanted - left_alone } else { one_revision }
        }
        What::DaemonSet => updated >= wanted && available >= wanted,
        _ => updated >= wanted && all <= wanted && available >= updated,
    }
}

/// How many pods it is to have.
pub(super) fn wanted(what: What, object: &Object) -> i64 {
    Counts::of(what, object).wanted
}

/// How many pods of a workload are where they should be.
struct Counts {
    wanted: i64,
    updated: i64,
    available: i64,
}

impl Counts {
    fn of(what: What, object: &Object) -> Self {
        let status = |field: &str| object.number(&format!("/status/{field}"));
        match what {
            What::DaemonSet => Self {
                wanted: status("desiredNumberScheduled"),
                updated: status("updatedNumberScheduled"),
                available: status("numberAvailable"),
            },
            What::StatefulSet => Self {
                wanted: object.wanted_replicas(),
                updated: status("updatedReplicas"),
                available: status("readyReplicas"),
            },
            _ => Self {
                wanted: object.wanted_replicas(),
                updated: status("updatedReplicas"),
                available: status("availableReplicas"),
            },
        }
    }
}

/// `web: 1 of 3 updated, 2 available`.
pub(super) fn counts(key: &'static str, what: What, object: &Object) -> Words {
    let Counts { wanted, updated, available } = Counts::of(what, object);
    Words::new(key)
        .with("name", object.name())
        .with("wanted", wanted)
        .with("updated", updated)
        .with("available", available)
}

/// One roll-out that is followed.
pub(super) struct Following<'a> {
    pub site: &'a Site<'a>,
    pub part: &'a Part,
    pub key: &'a str,
    pub progress: &'a (dyn Fn(Words) + Send + Sync),
}

impl Following<'_> {
    /// Follows it from the object that is known until it is complete, has failed, or no time is left.
    pub(super) async fn to_the_end(&self, mut object: Object) -> End {
        let (mut fresh, mut watch, mut told) = (false, None, None);
        let (mut unchanged, mut freed) = (Stopwatch::start(), BTreeSet::new());
        loop {
            let mut standing = standing(&object, self.part, self.key, &mut fresh);
            if standing == Standing::Overtaken && self.part.autoscaled(self.site, &object).await {
                standing = at_its_own_number(self.part.thing.what, &object);
            }
            match standing {
                Standing::Complete => return self.when_none_ends_any_more(object).await,
                Standing::GaveUp => return self.failed("kubernetes.gave_up", &object).await,
                Standing::Overtaken => {
                    let words = Words::new("kubernetes.changed_meanwhile").with("name", object.name());
                    return fault(words.with("who", object.changed_by(self.part.known())));
                }
                Standing::Replaced => return fault(Words::new("kubernetes.replaced").with("name", object.name())),
                Standing::Rolling => {
                    let now = self.counts("kubernetes.rolling", &object);
                    if self.site.was_silent() || told.as_ref() != Some(&now) {
                        (self.progress)(now.clone());
                        told = Some(now);
                        unchanged = Stopwatch::start();
                    } else if self.may_block_itself() && unchanged.took() >= STANDSTILL {
                        self.free(&object, &mut freed).await;
                        unchanged = Stopwatch::start();
                    }
                }
            }
            match self.news(&mut watch, &object, &mut told).await {
                News::Is(newer) => object = newer,
                News::Gone => return fault(Words::new("kubernetes.gone").with("name", object.name())),
                News::Late => return self.failed("kubernetes.late", &object).await,
                News::Silent(why) => return End::Unknown(why),
            }
        }
    }

    /// A workload that was made smaller is complete for its controller while the pods that go may still write for as long
    /// as their grace lasts. Whoever stops it waits for them too.
    async fn when_none_ends_any_more(&self, object: Object) -> End {
        let Some(most) = self.part.made_smaller_to() else { return End::Complete(object) };
        let most = most.max(most_in_number(self.part.thing.what, &object));
        let mut told = None;
        loop {
            let over = self.site.left().is_zero();
            let pods = match pods::unended(self.site, &self.part.thing, &object).await {
                Ok(pods) => i64::try_from(pods).unwrap_or(i64::MAX),
                Err(trouble) => return End::Unknown(trouble.words(self.site, &Right::all("list", super::kinds::PODS))),
            };
            let still = pods - most;
            if still <= 0 {
                return End::Complete(object);
            }
            let says = |key| Words::new(key).with("name", object.name()).with("pods", still);
            if over {
                return fault(says("kubernetes.not_ended"));
            }
            if self.site.was_silent() || told != Some(still) {
                (self.progress)(says("kubernetes.still_ending"));
                told = Some(still);
            }
            pause(STILL_ENDING).await;
        }
    }

    fn counts(&self, key: &'static str, object: &Object) -> Words {
        counts(key, self.part.thing.what, object)
    }

    fn may_block_itself(&self) -> bool {
        self.part.thing.what == What::StatefulSet && matches!(self.part.deed, Deed::Undo(_) | Deed::Image(_))
    }

    /// A StatefulSet waits for a pod that is not ready even when the pod's own template is the trouble and already gone.
    /// Such a pod is deleted, so that it is made anew from the template that is wanted.
    async fn free(&self, object: &Object, freed: &mut BTreeSet<String>) {
        for pod in pods::left_behind(self.site, object, self.part.stuck()).await {
            // One that comes again as it was is not helped by going again.
            if !freed.insert(pod.name().to_owned()) {
                continue;
            }
            match self.site.delete(super::kinds::PODS, pod.name(), pod.uid(), false).await {
                Ok(()) => (self.progress)(Words::new("kubernetes.freed").with("name", pod.name())),
                Err(trouble) => tracing::warn!(?trouble, pod = pod.name(), "a pod that blocks could not be deleted"),
            }
        }
    }

    /// The next state of the object, or why there is none any more. That it cannot be read takes the place of what was told.
    async fn news(&self, watch: &mut Option<Events>, object: &Object, told: &mut Option<Words>) -> News {
        let (kind, name) = (self.part.thing.kind(), self.part.name());
        loop {
            let left = self.site.left();
            if watch.is_none() && !left.is_zero() {
                *watch = self.site.events(kind, name, object.version()).await.ok();
            }
            if let Some(events) = watch {
                match within(SILENCE.min(left), events.next()).await {
                    Ok(Some(Ok(Event::Is(value)))) => return News::Is(Object(value)),
                    Ok(Some(Ok(Event::Gone))) => return News::Gone,
                    Ok(_) => {
                        // It may have ended with its server.
                        self.site.heard_nothing();
                        *watch = None;
                    }
                    Err(_) => {}
                }
            }
            if watch.is_none() {
                // A server that refuses watches is asked now and then, and not all the time.
                pause(SILENCE.min(left) / 4).await;
            }
            let over = self.site.left().is_zero();
            match self.site.look(kind, name).await {
                Ok(_) if over => return News::Late,
                Ok(value) => return News::Is(Object(value)),
                Err(trouble) if trouble.is_absent() => return News::Gone,
                Err(trouble) => {
                    let why = trouble.words(self.site, &Right::one("get", kind, name));
                    (self.progress)(why.clone());
                    (*watch, *told) = (None, None);
                    if over || !trouble.passes() {
                        return News::Silent(why);
                    }
                }
            }
        }
    }

    /// It did not become ready: the pods say why.
    async fn failed(&self, key: &'static str, object: &Object) -> End {
        let wanted = wanted(self.part.thing.what, object);
        let looking = within(TO_SAY_WHY, pods::reasons(self.site, self.part.thing.what, object, wanted)).await;
        let reasons = looking.unwrap_or_else(|_| pods::Reasons::unseen());
        let within_ms = u64::try_from(self.site.within().as_millis()).unwrap_or(u64::MAX);
        let why = self.counts(key, object).with("within_ms", within_ms).with("reasons", reasons.why);
        End::Failed { why, output: reasons.output }
    }
}

fn fault(why: Words) -> End {
    End::Failed { why, output: None }
}

/// What comes next of an object that is watched.
enum News {
    Is(Object),
    Gone,
    /// The deadline has passed, and the object is as it was.
    Late,
    /// The deadline has passed, and nobody answers.
    Silent(Words),
}
