//! What is done to one object: which of its fields tell whether it is done, and the one request that does it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::call::Change;
use super::kinds::What;
use super::object::{MARK, Object, annotations_after, clean_template};
use super::revision::{Revision, shown};
use super::secret::{self, Source};
use crate::incident::words::Words;

/// In a template: the step that restarted its pods. It is another one for every step, so no two restarts are one.
pub(super) const RESTARTED: &str = "vigie/restarted";
/// On a workload that was scaled by us: how many pods it wanted before.
pub(super) const REMEMBERED: &str = "vigie/replicas";

/// One change of one object, in absolute terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deed {
    /// Back to this revision (K1, K2).
    Undo(Revision),
    /// These images, by the containers' names (K6).
    Image(BTreeMap<String, String>),
    /// The same pods anew (K5).
    Restart,
    /// The roll-out stands still, or goes on (K4).
    Pause(bool),
    /// So many pods; what was wanted before is remembered, or forgotten again (K7).
    Scale { to: i64, remembers: Option<i64> },
    /// Nothing but waiting for the roll-out (K3).
    Wait,
    /// These labels in a Service's selector (K8); null takes one away.
    Select { set: Values, former: Values },
    /// These keys of a ConfigMap (K9); null takes one away.
    Data { set: Values, former: Values },
    /// The values of a saved Secret (K10).
    Secret(Source),
}

/// Keys with their values; nothing where there is no such key.
pub(super) type Values = BTreeMap<String, Option<String>>;

/// Where an object stands as to a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    After,
    Elsewhere,
}

impl Deed {
    /// What is compared, and nothing that moves by itself.
    pub(super) fn state(&self, object: &Object) -> String {
        match self {
            Deed::Undo(_) | Deed::Image(_) | Deed::Restart => object.fingerprint(),
            Deed::Pause(_) => format!("{} {}", object.is_paused(), object.fingerprint()),
            Deed::Scale { .. } => object.wanted_replicas().to_string(),
            Deed::Wait => String::new(),
            Deed::Select { .. } => object.0.pointer("/spec/selector").cloned().unwrap_or_default().to_string(),
            Deed::Data { set, .. } => fingerprint_of(&values_of(object, "/data", set)),
            Deed::Secret(_) => object.version().to_owned(),
        }
    }

    /// The same but for restarts of ours, which give pods another template and change nothing of what runs in them: another
    /// step of the same plan may have made one.
    pub(super) fn state_but_restarts(&self, object: &Object) -> Option<String> {
        matches!(self, Deed::Undo(_) | Deed::Image(_)).then(|| object.fingerprint_but_restarts())
    }

    /// The state for people.
    pub(super) fn shown(&self, object: &Object) -> String {
        match self {
            Deed::Undo(_) | Deed::Image(_) | Deed::Restart | Deed::Wait => shown(&object.images(), object.revision()),
            Deed::Pause(_) => format!("paused={}", object.is_paused()),
            Deed::Scale { .. } => format!("replicas={}", object.wanted_replicas()),
            Deed::Select { set, .. } => shown_selector(&values_of(object, "/spec/selector", set)),
            Deed::Data { set, .. } => shown_values(&values_of(object, "/data", set)),
            Deed::Secret(_) => format!("version {}", object.version()),
        }
    }

    pub(super) fn place(&self, object: &Object, was: &str, result: &str, key: &str) -> Place {
        let state = self.state(object);
        let is_after = match self {
            Deed::Restart => object.restarted_by() == Some(key),
            Deed::Wait => true,
            // A Secret's values are never written down, so only our mark tells.
            Deed::Secret(_) => object.mark() == Some(key),
            _ => state == result,
        };
        match is_after {
            true => Place::After,
            false if state == was => Place::Before,
            false => Place::Elsewhere,
        }
    }

    /// It stands or goes on as it was to, whatever else is the case.
    pub(super) fn is_reached(&self, object: &Object) -> bool {
        matches!(self, Deed::Pause(paused) if object.is_paused() == *paused)
    }

    /// Pods are changed by it, and waited for.
    pub(super) fn rolls_out(&self) -> bool {
        !matches!(self, Deed::Pause(true) | Deed::Select { .. } | Deed::Data { .. } | Deed::Secret(_))
    }

    /// A later step of the same plan may go on from what it leaves.
    pub(super) fn can_be_taken_up(&self) -> bool {
        matches!(self, Deed::Scale { .. } | Deed::Pause(_))
    }

    /// Pods get another template by it.
    pub(super) fn changes_pods(&self) -> bool {
        matches!(self, Deed::Undo(_) | Deed::Image(_) | Deed::Restart)
    }

    /// Why it cannot be done to this object at all. The server itself would take the change of a paused Deployment, and
    /// do nothing unless it resumes it.
    pub(super) fn unfit(&self, object: &Object, resumes: bool) -> Option<Words> {
        let says = |key| Words::new(key).with("name", object.name());
        if object.is_being_deleted() {
            return Some(says("kubernetes.being_deleted"));
        }
        if self.changes_pods() && object.is_paused() && !resumes {
            return Some(says("kubernetes.paused"));
        }
        // Nobody sees the end of a roll-out that begins only when somebody deletes the pods.
        let needs_new_pods = self.changes_pods() || *self == Deed::Wait;
        (needs_new_pods && object.changes_on_delete()).then(|| says("kubernetes.on_delete"))
    }

    /// The change itself, for exactly the version that was looked at, marked as this step's. `holder` keeps the
    /// revision that is gone back to.
    pub(super) fn body(&self, what: What, object: &Object, holder: Option<&Object>, key: &str) -> Change {
        let laid_over = |mut change: Value, annotations: Value| {
            let mut marked = json!({MARK: key});
            add(&mut marked, annotations);
            change["metadata"] = json!({"resourceVersion": object.version(), "annotations": marked});
            change
        };
        match self {
            Deed::Undo(_) => match holder {
                Some(holder) if what == What::Deployment => Change::Json(json!([
                    version(object),
                    {"op": "replace", "path": "/spec/template", "value": clean_template(holder.template())},
                    {"op": "add", "path": "/metadata/annotations", "value": annotations_after(object, holder, key)},
                ])),
                holder => {
                    let kept = holder.and_then(|holder| holder.0.get("data")).cloned().unwrap_or_default();
                    Change::Strategic(laid_over(json!({"spec": kept["spec"]}), Value::Null))
                }
            },
            Deed::Image(images) => Change::Json(new_images(object, images, key)),
            Deed::Restart => {
                let template = json!({"metadata": {"annotations": {RESTARTED: key}}});
                Change::Merge(laid_over(json!({"spec": {"template": template}}), Value::Null))
            }
            Deed::Pause(paused) => {
                let paused = if *paused { Value::Bool(true) } else { Value::Null };
                Change::Merge(laid_over(json!({"spec": {"paused": paused}}), Value::Null))
            }
            Deed::Scale { to, remembers } => {
                let remembers = remembers.map(|count| count.to_string());
                Change::Merge(laid_over(json!({"spec": {"replicas": to}}), json!({REMEMBERED: remembers})))
            }
            Deed::Wait => Change::Merge(laid_over(json!({}), Value::Null)),
            Deed::Select { set, .. } => Change::Merge(laid_over(json!({"spec": {"selector": set}}), Value::Null)),
            Deed::Data { set, .. } => Change::Merge(laid_over(json!({"data": set}), Value::Null)),
            Deed::Secret(_) => {
                let values = holder.map(|saved| secret::laid_over(object, saved));
                Change::Merge(laid_over(json!({"data": values.unwrap_or_else(|| json!({}))}), Value::Null))
            }
        }
    }
}

/// What these keys are at a place of the object.
pub(super) fn values_of(object: &Object, place: &str, keys: &Values) -> Values {
    let at = |key: &String| object.0.pointer(place)?.get(key)?.as_str().map(str::to_owned);
    keys.keys().map(|key| (key.clone(), at(key))).collect()
}

/// `beta, checkout=off`: what is not there has no value.
pub(super) fn shown_values(values: &Values) -> String {
    let one = |(key, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{key}={value}"),
        None => key.clone(),
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `version=blue`, or `version=*` where the label says nothing.
pub(super) fn shown_selector(labels: &Values) -> String {
    let one = |(key, value): (&String, &Option<String>)| format!("{key}={}", value.as_deref().unwrap_or("*"));
    labels.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn fingerprint_of(values: &Values) -> String {
    hex::encode(Sha256::digest(json!(values).to_string()))
}

fn add(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}

/// Refuses the change with 409 when the object has moved: a `test` of it would be refused without a word of why.
fn version(object: &Object) -> Value {
    json!({"op": "replace", "path": "/metadata/resourceVersion", "value": object.version()})
}

/// Images by the places of their containers, each with a test that it still is that container there: other patches would
/// add one of an unknown name, or take all others away.
fn new_images(object: &Object, images: &BTreeMap<String, String>, key: &str) -> Value {
    let mut operations = vec![version(object)];
    for (list, index, name) in object.containers() {
        if let Some(image) = images.get(name) {
            let at = format!("/spec/template/spec/{list}/{index}");
            operations.push(json!({"op": "test", "path": format!("{at}/name"), "value": name}));
            operations.push(json!({"op": "replace", "path": format!("{at}/image"), "value": image}));
        }
    }
    operations.push(match object.annotations() {
        Some(_) => json!({"op": "add", "path": "/metadata/annotations/vigie~1step", "value": key}),
        None => json!({"op": "add", "path": "/metadata/annotations", "value": {MARK: key}}),
    });
    Value::Array(operations)
}
