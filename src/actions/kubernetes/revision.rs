//! The revisions of a Deployment, and the one that a roll-back goes to.
//!
//! A revision is named by its ReplicaSet and its template's fingerprint. Its number is only shown: a roll-back gives
//! the old template a new number, so “one back” means something else afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deployment::{HASH_LABEL, Object};

/// One revision, in absolute terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revision {
    pub number: i64,
    /// The ReplicaSet that holds its template.
    pub holder: String,
    pub holder_uid: String,
    /// The label by which the ReplicaSet's pods are found.
    pub hash: String,
    pub fingerprint: String,
    pub images: BTreeMap<String, String>,
    pub cause: Option<String>,
    pub made_at: String,
}

impl Revision {
    /// A ReplicaSet as a revision, if it is one.
    fn of(set: &Object) -> Option<Self> {
        let label = set.0.pointer("/metadata/labels")?.get(HASH_LABEL).and_then(Value::as_str);
        Some(Self {
            number: set.revision()?,
            holder: set.name().to_owned(),
            holder_uid: set.uid().to_owned(),
            hash: label?.to_owned(),
            fingerprint: set.fingerprint(),
            images: set.images(),
            cause: set.cause().map(str::to_owned),
            made_at: set.made_at().to_owned(),
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

/// The revision before the one that runs: the newest older one whose template is another.
pub(super) fn one_back(deployment: &Object, sets: &[Object]) -> Option<Revision> {
    let running = deployment.fingerprint();
    let own = sets.iter().filter(|set| set.belongs_to(deployment.uid()));
    let revisions: Vec<Revision> = own.filter_map(Revision::of).collect();
    let current = revisions.iter().filter(|one| one.fingerprint == running).map(|one| one.number).max();
    let before = revisions
        .into_iter()
        .filter(|one| one.fingerprint != running && current.is_none_or(|current| one.number < current));
    before.max_by_key(|one| one.number)
}
