//! The way back from what a step has done (P7), planned against the cluster as it is now: only what nobody has changed since
//! is taken back.

use super::NoDraft;
use super::call::Site;
use super::change::rehearsed;
use super::deed::{Deed, shown_selector, shown_values};
use super::object::Object;
use super::part::Part;
use super::restart::anew;
use super::revision::history;
use super::rights::Right;
use super::undo::kept;
use crate::incident::words::Words;

/// The parts that take these back. What only restarts pods is done again where it follows something else.
pub(super) async fn parts(site: &Site<'_>, done: &[Part]) -> Result<Vec<Part>, NoDraft> {
    let has_a_way = |part: &&Part| !matches!(part.deed, Deed::Restart | Deed::Wait | Deed::Secret(_));
    if !done.iter().any(|part| has_a_way(&part)) || done.iter().any(|part| matches!(part.deed, Deed::Secret(_))) {
        return Err(NoDraft::Nothing(Words::new("step.no_way_back")));
    }
    let (mut parts, mut back) = (Vec::new(), None);
    for part in done.iter().filter(|part| !part.changes_nothing()) {
        match part_back(site, part).await {
            // Others may have been changed all the same: the step ended in its middle, or somebody took this one back by hand.
            Err(NoDraft::Already(at)) => back = Some(at),
            part => parts.push(part?),
        }
    }
    match back.filter(|_| parts.iter().all(|part| part.deed == Deed::Restart)) {
        Some(at) => Err(NoDraft::Already(at)),
        None => Ok(parts),
    }
}

async fn part_back(site: &Site<'_>, done: &Part) -> Result<Part, NoDraft> {
    let (thing, says) = (&done.thing, |key| Words::new(key).with("name", done.name()));
    let object = site.get(thing.kind(), &thing.name).await;
    let object = Object(object.map_err(|why| NoDraft::Trouble(why, Right::one("get", thing.kind(), &thing.name)))?);
    if object.uid() != done.uid() {
        return Err(NoDraft::Refused(says("kubernetes.replaced")));
    }
    if done.deed == Deed::Restart {
        return rehearsed(site, anew(thing, &object), &object).await;
    }
    let at = done.deed.shown(&object);
    if done.is_undone(&object) {
        return Err(NoDraft::Already(at));
    }
    if !done.is_done(&object) {
        let who = object.changed_by(done.known()).map(str::to_owned);
        return Err(NoDraft::Refused(says("kubernetes.moved").with("who", who).with("at", at)));
    }
    let part = match &done.deed {
        Deed::Undo(_) | Deed::Image(_) => return former_template(site, done, &object, at).await,
        Deed::Pause(paused) => Part::new(thing, &object, Deed::Pause(!paused), Some(at), format!("paused={}", !paused)),
        Deed::Scale { .. } => {
            let to = done.was().parse().map_err(|_| NoDraft::Nothing(says("kubernetes.nothing_remembered")))?;
            Part::new(thing, &object, Deed::Scale { to, remembers: None }, Some(at), format!("replicas={to}"))
        }
        Deed::Select { set, former } => {
            let deed = Deed::Select { set: former.clone(), former: set.clone() };
            Part::new(thing, &object, deed, Some(at), shown_selector(former))
        }
        Deed::Data { set, former } => {
            let deed = Deed::Data { set: former.clone(), former: set.clone() };
            Part::new(thing, &object, deed, Some(at), shown_values(former))
        }
        Deed::Restart | Deed::Wait | Deed::Secret(_) => return Err(NoDraft::Nothing(Words::new("step.no_way_back"))),
    };
    rehearsed(site, part, &object).await
}

/// Back to the template from before, which the cluster keeps as a revision.
async fn former_template(site: &Site<'_>, done: &Part, object: &Object, at: String) -> Result<Part, NoDraft> {
    let holders = kept(site, &done.thing, object).await?;
    let former = history(object, &holders).into_iter().find(|one| one.fingerprint == done.was());
    let holder = former.as_ref().and_then(|former| holders.iter().find(|one| one.uid() == former.holder_uid)).cloned();
    let (Some(former), Some(holder)) = (former, holder) else {
        let from = done.from.as_deref().unwrap_or_default();
        return Err(NoDraft::Nothing(Words::new("kubernetes.revision_gone").with("at", from)));
    };
    let shown = former.shown();
    let part = Part::new(&done.thing, object, Deed::Undo(former), Some(at), shown).held_by(holder);
    rehearsed(site, part, object).await
}
