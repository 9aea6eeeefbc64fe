//! Following a roll-out to its end: told by a watch, and looked at whenever the watch falls silent.
//!
//! A silent API server fails nothing. Only the deadline ends the waiting, and then what is known is told.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::super::stopwatch::{pause, within};
use super::call::{DEPLOYMENTS, Event, Events, Site};
use super::deployment::Object;
use super::pods;
use super::revision::Revision;
use crate::incident::words::Words;

/// Without news for so long the object is looked at.
const SILENCE: Duration = Duration::from_secs(2);
/// What is left for saying why, after the deadline.
const TO_SAY_WHY: Duration = Duration::from_secs(6);

/// What is rolled out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal<'a> {
    pub name: &'a str,
    pub uid: &'a str,
    /// The template's fingerprint when it is there.
    pub fingerprint: &'a str,
    pub revision: &'a Revision,
}

/// Where a roll-out stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Complete,
    Rolling,
    /// The controller's own deadline has passed.
    GaveUp,
    /// The template is another one again.
    Overtaken,
    /// Another Deployment of the same name.
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
pub(super) fn standing(object: &Object, goal: &Goal<'_>, fresh: &mut bool) -> Standing {
    if object.uid() != goal.uid {
        return Standing::Replaced;
    }
    if object.fingerprint() != goal.fingerprint {
        return Standing::Overtaken;
    }
    if object.number("/status/observedGeneration") < object.number("/metadata/generation") {
        return Standing::Rolling;
    }
    let wanted = object.wanted_replicas();
    let [all, updated, available] =
        ["replicas", "updatedReplicas", "availableReplicas"].map(|field| object.number(&format!("/status/{field}")));
    if updated >= wanted && all <= updated && available >= updated {
        return Standing::Complete;
    }
    let reason = object.condition("Progressing").and_then(|condition| condition.get("reason")?.as_str());
    let exceeded = reason == Some("ProgressDeadlineExceeded");
    if exceeded && *fresh {
        return Standing::GaveUp;
    }
    *fresh |= !exceeded;
    Standing::Rolling
}

/// `deployment/web: 1 of 3 updated, 2 available`.
pub(super) fn counts(key: &'static str, object: &Object, name: &str) -> Words {
    Words::new(key)
        .with("name", name)
        .with("wanted", object.wanted_replicas())
        .with("updated", object.number("/status/updatedReplicas"))
        .with("available", object.number("/status/availableReplicas"))
}

/// One roll-out that is followed.
pub(super) struct Following<'a> {
    pub site: &'a Site<'a>,
    pub goal: Goal<'a>,
    pub progress: &'a (dyn Fn(Words) + Send + Sync),
}

impl Following<'_> {
    /// Follows it from the object that is known until it is complete, has failed, or no time is left.
    pub(super) async fn to_the_end(&self, mut object: Object) -> End {
        let (mut fresh, mut watch, mut told) = (false, None, None);
        loop {
            match standing(&object, &self.goal, &mut fresh) {
                Standing::Complete => return End::Complete(object),
                Standing::GaveUp => return self.failed("kubernetes.gave_up", &object).await,
                Standing::Overtaken => {
                    let words = Words::new("kubernetes.changed_meanwhile").with("name", self.goal.name);
                    return fault(words.with("who", object.changed_by()));
                }
                Standing::Replaced => return fault(Words::new("kubernetes.replaced").with("name", self.goal.name)),
                Standing::Rolling => {
                    let now = counts("kubernetes.rolling", &object, self.goal.name);
                    if told.as_ref() != Some(&now) {
                        (self.progress)(now.clone());
                        told = Some(now);
                    }
                }
            }
            match self.news(&mut watch, &object).await {
                News::Is(newer) => object = newer,
                News::Gone => return fault(Words::new("kubernetes.gone").with("name", self.goal.name)),
                News::Late => return self.failed("kubernetes.late", &object).await,
                News::Silent(why) => return End::Unknown(why),
            }
        }
    }

    /// The next state of the object, or why there is none any more.
    async fn news(&self, watch: &mut Option<Events>, object: &Object) -> News {
        loop {
            let left = self.site.left();
            if watch.is_none() && !left.is_zero() {
                *watch = self.site.events(DEPLOYMENTS, self.goal.name, object.version()).await.ok();
            }
            if let Some(events) = watch {
                match within(SILENCE.min(left), events.next()).await {
                    Ok(Some(Ok(Event::Is(value)))) => return News::Is(Object(value)),
                    Ok(Some(Ok(Event::Gone))) => return News::Gone,
                    Ok(_) => *watch = None,
                    Err(_) => {}
                }
            }
            if watch.is_none() {
                // A server that refuses watches is asked now and then, and not all the time.
                pause(SILENCE.min(left) / 4).await;
            }
            let over = self.site.left().is_zero();
            match self.site.look(DEPLOYMENTS, self.goal.name).await {
                Ok(_) if over => return News::Late,
                Ok(value) => return News::Is(Object(value)),
                Err(trouble) if trouble.is_absent() => return News::Gone,
                Err(trouble) => {
                    let right = super::rights::Right::one("get", DEPLOYMENTS, self.goal.name);
                    let why = trouble.words(self.site, &right);
                    (self.progress)(why.clone());
                    *watch = None;
                    if over || !trouble.passes() {
                        return News::Silent(why);
                    }
                }
            }
        }
    }

    /// It did not become ready: the pods say why.
    async fn failed(&self, key: &'static str, object: &Object) -> End {
        let looking = within(TO_SAY_WHY, pods::reasons(self.site, object, self.goal.revision)).await;
        let reasons = looking.unwrap_or_else(|_| pods::Reasons::unseen());
        let within_ms = u64::try_from(self.site.within().as_millis()).unwrap_or(u64::MAX);
        let why = counts(key, object, self.goal.name).with("within_ms", within_ms).with("reasons", reasons.why);
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
