//! Rolling Deployments back to the revision before (K1): what `kubectl rollout undo` does, with a plan that names where
//! it goes, and a change that happens at most once.
//!
//! Each change carries the version of the object that it was made for and a mark of the step it belongs to. So it may be
//! sent again when its answer was lost: whichever copy arrives first moves the version, and every other one is refused.

use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::provider::{Happened, PlanFault, StepContext, StepResult};
use super::super::stopwatch::pause;
use super::call::{DEPLOYMENTS, PODS, REPLICA_SETS, Site, Trouble};
use super::deployment::{Object, annotations_after, clean_template, differing};
use super::follow::{End, Following, Goal, Standing, counts, standing};
use super::revision::{Revision, one_back, shown};
use super::rights::{self, Allowed, Right};
use crate::incident::time::Instant;
use crate::incident::words::Words;

/// How often a plan is rehearsed anew when the object moves meanwhile.
const REHEARSALS: u32 = 5;
/// A request that a frozen server still holds may be carried out so long after it seemed lost.
const HELD: Duration = Duration::from_secs(2);
/// Between a refusal for a newer version and the next try.
const AGAIN: Duration = Duration::from_millis(100);
/// Lines about fields that differ.
const MOST_FIELDS: usize = 8;

/// One Deployment's part of the approved facts. Templates are told by fingerprint: their environment may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Planned {
    pub name: String,
    uid: String,
    /// The template that runs; this, and nothing that moves by itself, makes a plan stale.
    fingerprint: String,
    pub from: String,
    to: Revision,
    /// The template's fingerprint afterwards, as the server rehearsed it.
    result: String,
    #[serde(skip)]
    pub diff: Vec<Words>,
}

impl Planned {
    pub(super) fn to(&self) -> String {
        self.to.shown()
    }

    fn goal(&self) -> Goal<'_> {
        Goal { name: &self.name, uid: &self.uid, fingerprint: &self.result, revision: &self.to }
    }

    fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("name", self.name.as_str())
    }
}

/// What is needed for these Deployments.
pub(super) fn rights<'a>(names: &[&'a str]) -> Vec<Right<'a>> {
    let own = ["get", "watch", "patch"];
    let of = |name: &&'a str| own.map(|verb| Right::one(verb, DEPLOYMENTS, name));
    let all = [("list", REPLICA_SETS), ("get", REPLICA_SETS), ("list", PODS)];
    names.iter().flat_map(of).chain(all.map(|(verb, kind)| Right::all(verb, kind))).collect()
}

/// Plans all of them, and finds out whether it will be allowed.
pub(super) async fn plan(
    site: &Site<'_>,
    names: &[&str],
    target: &str,
) -> Result<(Vec<Planned>, Vec<Words>), PlanFault> {
    let rights = rights(names);
    let mut plans = Vec::new();
    for name in names {
        plans.push(plan_one(site, name, target));
    }
    let (allowed, plans) = tokio::join!(rights::check(site, &rights), join_all(plans));
    let needs = match allowed {
        Allowed::All(needs) => needs,
        Allowed::Unsaid => Vec::new(),
        Allowed::Lacks(why) => return Err(PlanFault::Refused { target: target.to_owned(), why }),
    };
    Ok((plans.into_iter().collect::<Result<_, _>>()?, needs))
}

async fn plan_one(site: &Site<'_>, name: &str, target: &str) -> Result<Planned, PlanFault> {
    let mut tries = 0;
    loop {
        tries += 1;
        match rehearsed(site, name, target).await {
            Ok(planned) => return Ok(planned),
            Err(NoPlan::Fault(fault)) => return Err(fault),
            Err(NoPlan::Moved(_)) if tries < REHEARSALS => {}
            Err(NoPlan::Moved(trouble)) => {
                return Err(unplanned(site, &trouble, &Right::one("patch", DEPLOYMENTS, name), target));
            }
        }
    }
}

enum NoPlan {
    Fault(PlanFault),
    /// The object moved between the look and the rehearsal.
    Moved(Trouble),
}

async fn rehearsed(site: &Site<'_>, name: &str, target: &str) -> Result<Planned, NoPlan> {
    let fault = |trouble: Trouble, right: Right<'_>| NoPlan::Fault(unplanned(site, &trouble, &right, target));
    let refused = |why: Words| NoPlan::Fault(PlanFault::Refused { target: target.to_owned(), why });
    let deployment = site.get(DEPLOYMENTS, name).await;
    let deployment = Object(deployment.map_err(|trouble| fault(trouble, Right::one("get", DEPLOYMENTS, name)))?);
    if let Some(why) = unfit(&deployment) {
        return Err(refused(why));
    }
    let sets = site.list(REPLICA_SETS, &deployment.selector()).await;
    let sets = sets.map_err(|trouble| fault(trouble, Right::all("list", REPLICA_SETS)))?;
    let sets: Vec<Object> = sets.into_iter().map(Object).collect();
    let at = shown(&deployment.images(), deployment.revision());
    let none = || {
        let why = Words::new("kubernetes.no_history").with("name", name).with("at", at.as_str());
        NoPlan::Fault(PlanFault::NothingToGoBackTo(why))
    };
    let to = one_back(&deployment, &sets).ok_or_else(none)?;
    let holder = sets.iter().find(|set| set.uid() == to.holder_uid).ok_or_else(none)?;
    let after = site.patch(DEPLOYMENTS, name, &change(&deployment, holder, "rehearsal"), true).await;
    let after = Object(after.map_err(|trouble| {
        if trouble.is_conflict() {
            NoPlan::Moved(trouble)
        } else {
            fault(trouble, Right::one("patch", DEPLOYMENTS, name))
        }
    })?);
    let fingerprint = deployment.fingerprint();
    if after.fingerprint() == fingerprint {
        return Err(NoPlan::Fault(PlanFault::AlreadyThere { target: target.to_owned(), to: at }));
    }
    Ok(Planned {
        name: name.to_owned(),
        uid: deployment.uid().to_owned(),
        fingerprint,
        from: at,
        result: after.fingerprint(),
        diff: diff(&deployment, holder, &to),
        to,
    })
}

/// A refusal is the server's last word; anything else only means that it could not be read.
fn unplanned(site: &Site<'_>, trouble: &Trouble, right: &Right<'_>, target: &str) -> PlanFault {
    let (target, why) = (target.to_owned(), trouble.words(site, right));
    if trouble.passes() || matches!(trouble, Trouble::NoAccess(_)) {
        PlanFault::Unreadable { target, why }
    } else {
        PlanFault::Refused { target, why }
    }
}

/// Why it cannot be rolled back at all. The server itself would take the change of a paused one, and do nothing.
fn unfit(deployment: &Object) -> Option<Words> {
    let says = |key| Words::new(key).with("name", deployment.name());
    if deployment.is_being_deleted() {
        return Some(says("kubernetes.being_deleted"));
    }
    deployment.is_paused().then(|| says("kubernetes.paused"))
}

/// What becomes different, without values: an environment may hold secrets.
fn diff(deployment: &Object, holder: &Object, to: &Revision) -> Vec<Words> {
    let (now, then) = (deployment.images(), &to.images);
    let images = then.iter().filter(|(name, image)| now.get(*name) != Some(image)).map(|(name, image)| {
        let from = now.get(name).map(String::as_str);
        Words::new("kubernetes.diff_image")
            .with("container", name.as_str())
            .with("from", from)
            .with("to", image.as_str())
    });
    let fields = differing(&clean_template(deployment.template()), &clean_template(holder.template()));
    let mut fields: Vec<String> = fields.into_iter().filter(|path| !path.ends_with("].image")).collect();
    let more = fields.len().saturating_sub(MOST_FIELDS);
    fields.truncate(MOST_FIELDS);
    let others =
        (!fields.is_empty()).then(|| Words::new("kubernetes.diff_fields").with("fields", fields).with("more", more));
    let revision = Words::new("kubernetes.diff_revision")
        .with("holder", to.holder.as_str())
        .with("made_at", moment(&to.made_at).map(|at| at.0))
        .with("cause", to.cause.as_deref());
    images.chain(others).chain([revision]).collect()
}

/// A time as the API writes it.
fn moment(text: &str) -> Option<Instant> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Instant(at.timestamp_millis()))
}

/// The change itself, for exactly the version that was looked at.
fn change(deployment: &Object, holder: &Object, mark: &str) -> Value {
    json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": deployment.version()},
        {"op": "replace", "path": "/spec/template", "value": clean_template(holder.template())},
        {"op": "add", "path": "/metadata/annotations", "value": annotations_after(deployment, holder, mark)},
    ])
}

/// What is found before acting.
enum Found {
    /// This very step has changed it.
    Ours(Object),
    /// It is as it should be, by somebody else's doing.
    There(Object),
    /// As it was planned for, with the ReplicaSet that holds the revision.
    AsPlanned(Box<(Object, Object)>),
    /// Something else.
    Moved(Words),
}

async fn find(site: &Site<'_>, one: &Planned, key: &str) -> Result<Found, Trouble> {
    let object = match site.get(DEPLOYMENTS, &one.name).await {
        Ok(value) => Object(value),
        Err(trouble) if trouble.is_absent() => return Ok(Found::Moved(one.says("kubernetes.gone"))),
        Err(trouble) => return Err(trouble),
    };
    if object.uid() != one.uid {
        return Ok(Found::Moved(one.says("kubernetes.replaced")));
    }
    let ours = object.mark() == Some(key);
    let fingerprint = object.fingerprint();
    if fingerprint == one.result {
        return Ok(if ours { Found::Ours(object) } else { Found::There(object) });
    }
    if ours {
        let words = one.says("kubernetes.done_before").with("who", object.changed_by());
        return Ok(Found::Moved(words));
    }
    if let Some(why) = unfit(&object) {
        return Ok(Found::Moved(why));
    }
    if fingerprint != one.fingerprint {
        let at = shown(&object.images(), object.revision());
        return Ok(Found::Moved(one.says("kubernetes.moved").with("who", object.changed_by()).with("at", at)));
    }
    let gone = || Ok(Found::Moved(Words::new("kubernetes.revision_gone").with("at", one.to())));
    let holder = match site.get(REPLICA_SETS, &one.to.holder).await {
        Ok(value) => Object(value),
        Err(trouble) if trouble.is_absent() => return gone(),
        Err(trouble) => return Err(trouble),
    };
    if holder.uid() != one.to.holder_uid || holder.fingerprint() != one.to.fingerprint {
        return gone();
    }
    Ok(Found::AsPlanned(Box::new((object, holder))))
}

/// A Deployment that is on its way, and whether this execution has changed it.
struct Written {
    object: Object,
    now: bool,
}

/// Changes one of them, at most once whatever becomes of the answers.
async fn write(site: &Site<'_>, one: &Planned, key: &str) -> Result<Written, StepResult> {
    let mut may_have_happened = false;
    loop {
        let trouble = match find(site, one, key).await {
            Ok(Found::Ours(object)) => return Ok(Written { object, now: true }),
            Ok(Found::There(object)) => return Ok(Written { object, now: false }),
            Ok(Found::Moved(found)) => return Err(StepResult::stale(found)),
            Ok(Found::AsPlanned(found)) => {
                let operations = change(&found.0, &found.1, key);
                match site.patch(DEPLOYMENTS, &one.name, &operations, false).await {
                    Ok(value) => return Ok(Written { object: Object(value), now: true }),
                    Err(trouble) => trouble,
                }
            }
            Err(trouble) => trouble,
        };
        may_have_happened |= match &trouble {
            Trouble::NoAnswer { sent, .. } => *sent,
            Trouble::Refused(status) => status.code >= 500,
            Trouble::NoAccess(_) => false,
        };
        let goes_on = trouble.is_conflict() || trouble.passes();
        if !goes_on || site.left().is_zero() {
            let why = trouble.words(site, &Right::one("patch", DEPLOYMENTS, &one.name));
            return Err(if may_have_happened {
                StepResult::unknown(why)
            } else {
                StepResult::failed(Words::new("step.unchanged").with("why", why))
            });
        }
        pause(AGAIN).await;
    }
}

/// Does what was planned, or takes up what this step has begun.
pub(super) async fn execute(site: &Site<'_>, all: &[Planned], cx: &StepContext<'_>) -> StepResult {
    let key = cx.idempotency_key();
    if all.len() > 1
        && let Err(result) = nothing_moved(site, all, &key).await
    {
        return result;
    }
    let mut written: Vec<(&Planned, Written)> = Vec::new();
    for one in all {
        match write(site, one, &key).await {
            Ok(done) => written.push((one, done)),
            Err(result) => return halfway(result, all, &written),
        }
    }
    let mut followed = Vec::new();
    for (one, written) in written {
        followed.push(follow(site, one, written.object, cx));
    }
    ended(join_all(followed).await)
}

async fn follow<'p>(site: &Site<'_>, one: &'p Planned, object: Object, cx: &StepContext<'_>) -> (&'p Planned, End) {
    let following = Following { site, goal: one.goal(), progress: cx.progress };
    (one, following.to_the_end(object).await)
}

/// Several are changed together or not at all, as far as a look can tell.
async fn nothing_moved(site: &Site<'_>, all: &[Planned], key: &str) -> Result<(), StepResult> {
    for one in all {
        let found = find(site, one, key).await;
        match found {
            Ok(Found::Moved(found)) => return Err(StepResult::stale(found)),
            Ok(_) => {}
            Err(trouble) => {
                let why = trouble.words(site, &Right::one("get", DEPLOYMENTS, &one.name));
                return Err(StepResult::failed(Words::new("step.unchanged").with("why", why)));
            }
        }
    }
    Ok(())
}

/// One of several could not be changed after others were: nobody may take that for “nothing was done”.
fn halfway(result: StepResult, all: &[Planned], written: &[(&Planned, Written)]) -> StepResult {
    let changed: Vec<&str> = written.iter().filter(|(_, done)| done.now).map(|(one, _)| one.name.as_str()).collect();
    if changed.is_empty() {
        return result;
    }
    let left: Vec<&str> = all.iter().skip(written.len()).map(|one| one.name.as_str()).collect();
    let half = |why: Words| {
        Words::new("kubernetes.half").with("changed", changed.clone()).with("left", left.clone()).with("why", why)
    };
    match result {
        StepResult::Stale { found } => StepResult::failed(half(found)),
        StepResult::Failed { why, output } => StepResult::Failed { why: half(why), output },
        StepResult::Unknown { why, output } => StepResult::Unknown { why: half(why), output },
        done @ StepResult::Done { .. } => done,
    }
}

/// What all roll-outs together came to: what nobody knows outweighs what failed.
fn ended(ends: Vec<(&Planned, End)>) -> StepResult {
    let (mut notes, mut live, mut failed, mut unknown) = (Vec::new(), Vec::new(), None, None);
    let several = ends.len() > 1;
    for (one, end) in ends {
        match end {
            End::Complete(object) => {
                let at = shown(&object.images(), object.revision());
                notes.push(Value::from(counts("kubernetes.rolled", &object, &one.name).with("at", at.as_str())));
                live.push(if several { format!("{} {at}", one.name) } else { at });
            }
            End::Failed { why, output } => failed = failed.or(Some(StepResult::Failed { why, output })),
            End::Unknown(why) => unknown = unknown.or(Some(StepResult::unknown(why))),
        }
    }
    unknown.or(failed).unwrap_or_else(|| StepResult::Done {
        note: Words::new("kubernetes.all").with("notes", notes),
        output: None,
        live: Some(live.join(", ")),
    })
}

/// Whether it happened, and whether it is over.
pub(super) async fn check(site: &Site<'_>, all: &[Planned], cx: &StepContext<'_>) -> Happened {
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
        // What the first of several is at would be told of all.
        Some(Happened::Yes { note, .. }) if all.len() > 1 => Happened::Yes { note, live: None },
        Some(told) => told,
        None => Happened::CannotTell { why: Words::new("step.nothing") },
    }
}

async fn check_one(site: &Site<'_>, one: &Planned, key: &str) -> Happened {
    let mut looked_twice = false;
    loop {
        match find(site, one, key).await {
            Err(trouble) => {
                let why = trouble.words(site, &Right::one("get", DEPLOYMENTS, &one.name));
                return Happened::CannotTell { why };
            }
            Ok(Found::Moved(why)) => return Happened::CannotTell { why },
            Ok(Found::Ours(object) | Found::There(object)) => {
                return match standing(&object, &one.goal(), &mut false) {
                    Standing::Complete => {
                        let at = shown(&object.images(), object.revision());
                        let note = counts("kubernetes.rolled", &object, &one.name).with("at", at.as_str());
                        Happened::Yes { note, live: Some(at) }
                    }
                    _ => Happened::Begun { note: counts("kubernetes.rolling", &object, &one.name) },
                };
            }
            Ok(Found::AsPlanned(_)) if !looked_twice => {
                looked_twice = true;
                pause(HELD).await;
            }
            Ok(Found::AsPlanned(_)) => {
                return Happened::No { note: one.says("kubernetes.still").with("at", one.from.as_str()) };
            }
        }
    }
}
