//! Workloads as steps name them: what is wrong with their names, and the rights that following them needs.

use super::super::config::{ConfigFault, fault};
use super::kinds::{EVENTS, PODS, REPLICA_SETS, Thing, What};
use super::rights::Right;

/// The workloads that are well written.
pub(super) fn all_of(workloads: &[String]) -> Vec<Thing> {
    workloads.iter().filter_map(|workload| Thing::workload(workload)).collect()
}

/// Adds every fault of a list of workloads.
pub(super) fn validate(all: &[String], place: &str, faults: &mut Vec<ConfigFault>) {
    if all.is_empty() {
        faults.push(fault(place, "nothing would change; name at least one, such as deployment/web"));
    }
    for (index, workload) in all.iter().enumerate() {
        let place = format!("{place}[{index}]");
        if Thing::workload(workload).is_none() {
            let sentence = format!(
                "“{workload}” is no workload; write deployment/web, statefulset/web or daemonset/web, with its own name"
            );
            faults.push(fault(place, sentence));
        } else if all.iter().take(index).any(|earlier| earlier == workload) {
            faults.push(fault(place, format!("“{workload}” stands here twice; once is enough")));
        }
    }
}

/// The same for an operation that some kinds do not know.
pub(super) fn validate_kinds(all: &[String], known: &[What], place: &str, faults: &mut Vec<ConfigFault>) {
    validate(all, place, faults);
    for (index, workload) in all.iter().enumerate() {
        if Thing::workload(workload).is_some_and(|thing| !known.contains(&thing.what)) {
            let words: Vec<&str> = known.iter().map(|what| what.word()).collect();
            let sentence = format!("“{workload}” knows no such thing; it is there for {}", words.join(" and "));
            faults.push(fault(format!("{place}[{index}]"), sentence));
        }
    }
}

/// What following a roll-out needs.
pub(super) fn of_following(things: &[Thing]) -> Vec<Right> {
    let own = |thing: &Thing| ["get", "watch"].map(|verb| Right::one(verb, thing.kind(), &thing.name));
    let mut rights: Vec<Right> = things.iter().flat_map(own).collect();
    rights.push(Right::all("list", PODS));
    rights.push(Right::part("get", PODS, "log").extra());
    if things.iter().any(|thing| thing.what == What::Deployment) {
        rights.push(Right::all("list", REPLICA_SETS).extra());
    }
    // A Deployment says itself why it gets no pods.
    if things.iter().any(|thing| thing.what != What::Deployment) {
        rights.push(Right::all("list", EVENTS).extra());
    }
    rights
}

/// What changing pods and following them needs.
pub(super) fn of_roll_outs(things: &[Thing]) -> Vec<Right> {
    let patch = things.iter().map(|thing| Right::one("patch", thing.kind(), &thing.name));
    patch.chain(of_following(things)).collect()
}

/// The same where pods get another template: those of a StatefulSet may have to be deleted to be freed of the former one.
pub(super) fn of_new_templates(things: &[Thing]) -> Vec<Right> {
    let has_sets = things.iter().any(|thing| thing.what == What::StatefulSet);
    let free = has_sets.then(|| Right::all("delete", PODS));
    of_roll_outs(things).into_iter().chain(free).collect()
}
