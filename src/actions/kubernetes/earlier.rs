//! What earlier steps of the same plan leave of an object, for a later one that goes on from there.

use super::NoDraft;
use super::call::Site;
use super::change::{REHEARSALS, facts_of};
use super::deed::Deed;
use super::kinds::Thing;
use super::object::Object;
use super::part::Part;
use super::rights::Right;

/// What earlier steps of the same plan do to this object, in their order. What is no change of objects has other facts, and
/// leaves nothing that could be gone on from.
fn parts_on(site: &Site<'_>, thing: &Thing) -> Vec<Part> {
    let mut earlier = Vec::new();
    for facts in &site.earlier {
        earlier.extend(facts_of::<Vec<Part>>(facts).unwrap_or_default());
    }
    earlier.retain(|part| part.thing == *thing);
    earlier
}

/// The last of them that gives its pods another template. A restart changes nothing of what runs in them.
fn new_template(site: &Site<'_>, thing: &Thing) -> Option<Part> {
    parts_on(site, thing).into_iter().rfind(|part| matches!(part.deed, Deed::Undo(_) | Deed::Image(_)))
}

/// The object as earlier steps of the same plan leave it, as the server rehearses them.
pub(super) async fn left_by_others(site: &Site<'_>, thing: &Thing, object: Object) -> Result<Object, NoDraft> {
    let mut object = object;
    let earlier = parts_on(site, thing);
    for part in earlier.iter().filter(|part| part.deed.can_be_taken_up()) {
        let body = part.deed.body(thing.what, &object, None, "rehearsal");
        let after = site.patch(thing.kind(), &thing.name, &body, true).await;
        object = Object(after.map_err(|trouble| NoDraft::Trouble(trouble, part.right("patch")))?);
    }
    Ok(if earlier.iter().any(Part::resumes) { object.going_on() } else { object })
}

/// Where earlier steps of the same plan lead its pods, as people read it.
pub(super) fn leads_to(site: &Site<'_>, thing: &Thing) -> Option<String> {
    new_template(site, thing).map(|part| part.to)
}

/// A workload with the template that earlier steps of the same plan give it, as the server rehearses it.
pub(super) async fn with_new_template(site: &Site<'_>, thing: &Thing) -> Result<Object, NoDraft> {
    let mut tries = 0;
    loop {
        tries += 1;
        let object = site.get(thing.kind(), &thing.name).await;
        let object =
            object.map_err(|trouble| NoDraft::Trouble(trouble, Right::one("get", thing.kind(), &thing.name)))?;
        let Some(part) = new_template(site, thing) else { return Ok(Object(object)) };
        let holder = match &part.deed {
            Deed::Undo(to) => {
                let kept = site.get(thing.what.history(), &to.holder).await;
                let right = || Right::one("get", thing.what.history(), &to.holder);
                Some(Object(kept.map_err(|trouble| NoDraft::Trouble(trouble, right()))?))
            }
            _ => None,
        };
        let body = part.body(&Object(object), holder.as_ref(), "rehearsal");
        match site.patch(thing.kind(), &thing.name, &body, true).await {
            // The status of what is rolled out moves all the time.
            Err(trouble) if trouble.is_conflict() && tries < REHEARSALS => {}
            after => return after.map(Object).map_err(|trouble| NoDraft::Trouble(trouble, part.right("patch"))),
        }
    }
}
