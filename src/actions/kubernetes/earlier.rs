//! What earlier steps of the same plan leave of an object, for a later one that goes on from there.

use super::NoDraft;
use super::call::Site;
use super::change::facts_of;
use super::kinds::Thing;
use super::object::Object;
use super::part::Part;

/// The object as earlier steps of the same plan leave it, as the server rehearses them.
pub(super) async fn left_by_others(site: &Site<'_>, thing: &Thing, object: Object) -> Result<Object, NoDraft> {
    let mut object = object;
    // What is no change of objects has other facts, and leaves nothing that could be gone on from.
    let mut earlier = Vec::new();
    for facts in &site.earlier {
        earlier.extend(facts_of::<Vec<Part>>(facts).unwrap_or_default());
    }
    earlier.retain(|part: &Part| part.thing == *thing && part.deed.can_be_taken_up());
    for part in &earlier {
        let body = part.deed.body(thing.what, &object, None, "rehearsal");
        let after = site.patch(thing.kind(), &thing.name, &body, true).await;
        object = Object(after.map_err(|trouble| NoDraft::Trouble(trouble, part.right("patch")))?);
    }
    Ok(object)
}
