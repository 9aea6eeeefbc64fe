//! The revisions of a workload, and the one that a roll-back goes to.
//!
//! A revision is named by what keeps it (a ReplicaSet, a ControllerRevision) and its template's fingerprint. Its number is
//! only shown: a roll-back gives the old template a new number, so “one back” means something else afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::object::Object;

/// One revision, in absolute terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revision {
    pub number: i64,
    /// What keeps its template.
    pub holder: String,
    pub holder_uid: String,
    pub fingerprint: String,
    pub images: BTreeMap<String, String>,
    pub cause: Option<String>,
    pub made_at: String,
}

impl Revision {
    /// What keeps a template as a revision, if it is one.
    fn of(holder: &Object) -> Option<Self> {
        Some(Self {
            number: holder.revision()?,
            holder: holder.name().to_owned(),
            holder_uid: holder.uid().to_owned(),
            fingerprint: holder.fingerprint(),
            images: holder.images(),
            cause: holder.cause().map(str::to_owned),
            made_at: holder.made_at().to_owned(),
        })
    }

    pub(super) fn shown(&self) -> String {
        shown(&self.images, Some(self.number))
    }
}

/// `example/web:2 · revision 2`; several containers with their names.
pub(super) fn shown(images: &BTreeMap<String, String>, number: Option<i64>) -> String {
    let named = |(name, image): (&String, &String)| {
        if images.len() == 1 { image.clone() } else { format!("{name} {image}") }
    };
    let images = images.iter().map(named).collect::<Vec<_>>().join(", ");
    number.map_or(images.clone(), |number| format!("{images} · revision {number}"))
}

/// All that are kept of this workload, the newest first.
pub(super) fn history(workload: &Object, holders: &[Object]) -> Vec<Revision> {
    let own = holders.iter().filter(|holder| holder.belongs_to(workload.uid()));
    let mut revisions: Vec<Revision> = own.filter_map(Revision::of).collect();
    revisions.sort_by_key(|one| std::cmp::Reverse(one.number));
    revisions
}

/// The number of the revision that is wanted now.
pub(super) fn current(workload: &Object, history: &[Revision]) -> Option<i64> {
    let wanted = workload.fingerprint();
    history.iter().find(|one| one.fingerprint == wanted).map(|one| one.number)
}

/// The revision before the one that is wanted now: the newest older one whose template is another.
pub(super) fn one_back(workload: &Object, history: &[Revision]) -> Option<Revision> {
    let (wanted, current) = (workload.fingerprint(), current(workload, history));
    let is_before = |one: &&Revision| one.fingerprint != wanted && current.is_none_or(|current| one.number < current);
    history.iter().find(is_before).cloned()
}
