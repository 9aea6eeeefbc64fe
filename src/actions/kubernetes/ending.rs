//! What a change of several objects came to, in the words of all of them.

use serde_json::Value;

use super::super::provider::{StepResult, unchanged_because};
use super::deed::Deed;
use super::follow::{End, counts};
use super::object::Object;
use super::part::Part;
use crate::incident::words::Words;

/// A reading that fails tells nothing of what this step has begun before.
pub(super) fn if_begun(begun: bool, result: StepResult) -> StepResult {
    match result {
        failed @ StepResult::Failed { .. } => failed.after(begun),
        other => other,
    }
}

/// One of several could not be changed after others were: nobody may take that for “nothing was done”.
pub(super) fn halfway(result: StepResult, changed: Vec<String>, left: Vec<String>) -> StepResult {
    half("kubernetes.half", result, changed, left)
}

/// The same of what is deleted.
pub(super) fn half_deleted(result: StepResult, deleted: Vec<String>, left: Vec<String>) -> StepResult {
    half("kubernetes.half_deleted", result, deleted, left)
}

fn half(key: &'static str, result: StepResult, changed: Vec<String>, left: Vec<String>) -> StepResult {
    if changed.is_empty() {
        return result;
    }
    let half = |why: Words| {
        // Nothing was changed of that one, and yet something was.
        let why = unchanged_because(&why).unwrap_or(why);
        Words::new(key).with("changed", changed).with("left", left).with("why", why)
    };
    match result {
        StepResult::Stale { found } => StepResult::failed(half(found)),
        StepResult::Failed { why, output } => StepResult::Failed { why: half(why), output },
        StepResult::Unknown { why, output } => StepResult::Unknown { why: half(why), output },
        done @ StepResult::Done { .. } => done,
    }
}

/// What all roll-outs together came to: what nobody knows outweighs what failed.
pub(super) fn ended(ends: Vec<(&Part, End)>) -> StepResult {
    let (mut notes, mut live, mut failed, mut unknown) = (Vec::new(), Vec::new(), None, None);
    let several = ends.len() > 1;
    for (one, end) in ends {
        match end {
            End::Complete(object) => {
                let at = one.deed.shown(&object);
                notes.push(Value::from(done(one, &object)));
                live.push(if several { format!("{} {at}", one.name()) } else { at });
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

/// What is the case once it is over.
pub(super) fn done(one: &Part, object: &Object) -> Words {
    let at = one.deed.shown(object);
    if matches!(one.deed, Deed::Scale { to, .. } if to != object.wanted_replicas()) {
        return counts("kubernetes.autoscaled", one.thing.what, object);
    }
    if one.deed.rolls_out() {
        counts("kubernetes.rolled", one.thing.what, object).with("at", at)
    } else {
        one.says("kubernetes.now_at").with("at", at)
    }
}
