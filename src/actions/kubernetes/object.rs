//! An object as the API server tells of it: a workload, or what keeps one of its former templates.
//!
//! Objects are read and written back as plain JSON: a template that went through typed structs would lose every field that
//! these do not know.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::deed::{REMEMBERED, RESTARTED};

/// Which ReplicaSet a pod belongs to; put into the template's labels by the controller.
pub(super) const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const CAUSE: &str = "kubernetes.io/change-cause";
/// Which step of which run has changed an object last.
pub(super) const MARK: &str = "vigie/step";

/// Annotations that belong to the Deployment itself; all others are a revision's and come back with it, as kubectl has
/// it.
const ITS_OWN: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
    // Not kubectl's: how many pods it had before we scaled it says nothing of a revision.
    REMEMBERED,
];

/// The lists of containers in a template.
pub(super) const LISTS: [&str; 2] = ["containers", "initContainers"];

/// An object of any kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object(pub(super) Value);

impl Object {
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number; 0 where there is none, as the API leaves zeros out.
    pub(super) fn number(&self, pointer: &str) -> i64 {
        self.0.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(super) fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// Moves with every change, of its status too.
    pub(super) fn version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    pub(super) fn is_being_deleted(&self) -> bool {
        self.0.pointer("/metadata/deletionTimestamp").is_some()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.0.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or_default()
    }

    /// The same with a roll-out that is not paused.
    #[must_use]
    pub(super) fn going_on(mut self) -> Self {
        if let Some(spec) = self.0.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("paused");
        }
        self
    }

    pub(super) fn wanted_replicas(&self) -> i64 {
        self.0.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
    }

    pub(super) fn made_at(&self) -> &str {
        self.text("/metadata/creationTimestamp")
    }

    pub(super) fn annotations(&self) -> Option<&Map<String, Value>> {
        self.0.pointer("/metadata/annotations").and_then(Value::as_object)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations()?.get(key)?.as_str()
    }

    /// The number that `kubectl rollout history` shows; a roll-back gives an old template a new one.
    pub(super) fn revision(&self) -> Option<i64> {
        let kept = || self.0.get("revision").and_then(Value::as_i64);
        self.annotation(REVISION).and_then(|number| number.parse().ok()).or_else(kept)
    }

    pub(super) fn cause(&self) -> Option<&str> {
        self.annotation(CAUSE)
    }

    /// The step that changed it last, if it was one of ours.
    pub(super) fn mark(&self) -> Option<&str> {
        self.annotation(MARK)
    }

    /// What its pods are made from; a ControllerRevision keeps it as a part of its data.
    pub(super) fn template(&self) -> &Value {
        let kept = || self.0.pointer("/data/spec/template");
        self.0.pointer("/spec/template").or_else(kept).unwrap_or(&Value::Null)
    }

    /// The template's fingerprint. Nothing else is compared: a Deployment's version moves with every pod that crashes,
    /// and its generation with every autoscaling.
    pub(super) fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(canonical(&clean_template(self.template())).to_string()))
    }

    /// The template's fingerprint but for the mark of a restart of ours.
    pub(super) fn fingerprint_but_restarts(&self) -> String {
        let mut template = clean_template(self.template());
        if let Some(annotations) = template.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(RESTARTED);
        }
        hex::encode(Sha256::digest(canonical(&template).to_string()))
    }

    /// The fingerprint of what runs in its pods. A restart moves the template and not this.
    pub(super) fn fingerprint_of_pods(&self) -> String {
        let pods = canonical(self.template().get("spec").unwrap_or(&Value::Null));
        hex::encode(Sha256::digest(pods.to_string()))
    }

    /// The step whose restart its pods come from.
    pub(super) fn restarted_by(&self) -> Option<&str> {
        self.template().pointer("/metadata/annotations")?.get(RESTARTED)?.as_str()
    }

    /// Pods get a new template only when somebody deletes them.
    pub(super) fn changes_on_delete(&self) -> bool {
        self.text("/spec/updateStrategy/type") == "OnDelete"
    }

    /// All containers of its template: the list they are in, their place there, their name.
    pub(super) fn containers(&self) -> Vec<(&'static str, usize, &str)> {
        let of = |list: &'static str| {
            let containers = self.template().pointer(&format!("/spec/{list}")).and_then(Value::as_array);
            let named = containers.into_iter().flatten().enumerate();
            named.filter_map(move |(index, one)| Some((list, index, one.get("name")?.as_str()?)))
        };
        LISTS.into_iter().flat_map(of).collect()
    }

    /// The image of a container, one that only prepares included.
    pub(super) fn image_of(&self, container: &str) -> Option<&str> {
        let (list, index, _) = self.containers().into_iter().find(|(.., name)| *name == container)?;
        self.template().pointer(&format!("/spec/{list}/{index}/image"))?.as_str()
    }

    /// The image of each container.
    pub(super) fn images(&self) -> BTreeMap<String, String> {
        let containers = self.template().pointer("/spec/containers").and_then(Value::as_array);
        let image = |container: &Value| {
            let text = |key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            (text("name"), text("image"))
        };
        containers.into_iter().flatten().map(image).collect()
    }

    /// The uid of the controller that made it, and would make it anew.
    pub(super) fn owner(&self) -> Option<&str> {
        let owners = self.0.pointer("/metadata/ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
        owner.get("uid")?.as_str()
    }

    /// The workload that a pod belongs to, as locks name it: `deployment/web`. A Deployment's pods say only which
    /// ReplicaSet made them, and that is named after the Deployment and the hash that the pods carry too.
    pub(super) fn workload(&self) -> Option<String> {
        let owners = self.0.pointer("/metadata/ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
        let (kind, name) = (owner.get("kind")?.as_str()?, owner.get("name")?.as_str()?);
        let hash = self.0.pointer("/metadata/labels")?.get(HASH_LABEL).and_then(Value::as_str);
        let of_deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
        match of_deployment.filter(|_| kind == "ReplicaSet") {
            Some(deployment) => Some(format!("deployment/{deployment}")),
            None => Some(format!("{}/{name}", kind.to_lowercase())),
        }
    }

    /// The controller that made it has this uid.
    pub(super) fn belongs_to(&self, uid: &str) -> bool {
        self.owner() == Some(uid)
    }

    /// What its pods are found by, in the notation of lists.
    pub(super) fn selector(&self) -> String {
        label_selector(self.0.pointer("/spec/selector").unwrap_or(&Value::Null))
    }

    /// What a Service selects: `app=web, version=blue`.
    pub(super) fn selects(&self) -> String {
        let selector = self.0.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
        let one = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
        selector.map(one).collect::<Vec<_>>().join(", ")
    }

    /// Who changed it last after this moment, without its controllers and us.
    pub(super) fn changed_by(&self, after: &str) -> Option<&str> {
        self.changes().filter(|(at, _)| *at > after).max().map(|(_, who)| who)
    }

    /// When somebody else changed it last.
    pub(super) fn changed_at(&self) -> String {
        self.changes().max().map(|(at, _)| at.to_owned()).unwrap_or_default()
    }

    /// When others changed it, and who they were. The API's times are ordered as their texts are.
    fn changes(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.0.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
        let others = entries.filter(|entry| {
            let is_own = matches!(text_in(entry, "manager"), "kube-controller-manager" | "vigie");
            !is_own && text_in(entry, "subresource").is_empty()
        });
        others.filter_map(|entry| Some((entry.get("time")?.as_str()?, entry.get("manager")?.as_str()?)))
    }

    /// A condition of its status, by its type.
    pub(super) fn condition(&self, kind: &str) -> Option<&Value> {
        let conditions = self.0.pointer("/status/conditions").and_then(Value::as_array)?;
        conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
    }
}

fn text_in<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The template without the label by which the controller tells ReplicaSets apart, which would stay in the Deployment for
/// ever, and without the word by which a ControllerRevision says how it is laid over.
pub(super) fn clean_template(template: &Value) -> Value {
    let mut clean = template.clone();
    if let Some(fields) = clean.as_object_mut() {
        fields.remove("$patch");
    }
    if let Some(labels) = clean.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    clean
}

/// Without what says nothing: nulls, empty maps, and a creation time, which templates carry as null.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.iter().filter(|(key, _)| key.as_str() != "creationTimestamp");
            let said = said.map(|(key, value)| (key.clone(), canonical(value)));
            Value::Object(said.filter(|(_, value)| !says_nothing(value)).collect())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// The annotations after a roll-back, as kubectl leaves them: the revision's, with what is the Deployment's own, and
/// last of all our mark, since an older one may come along.
pub(super) fn annotations_after(deployment: &Object, revision: &Object, mark: &str) -> Value {
    let is_own = |key: &String| ITS_OWN.contains(&key.as_str());
    let kept = deployment.annotations().into_iter().flatten().filter(|(key, _)| is_own(key));
    let brought = revision.annotations().into_iter().flatten().filter(|(key, _)| !is_own(key));
    let mut all: Map<String, Value> = kept.chain(brought).map(|(key, value)| (key.clone(), value.clone())).collect();
    all.insert(MARK.to_owned(), mark.into());
    Value::Object(all)
}

fn label_selector(selector: &Value) -> String {
    let equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let equal = equal.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let rules = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    equal.chain(rules.map(expression)).collect::<Vec<_>>().join(",")
}

fn expression(rule: &Value) -> String {
    let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
    let values = rule.get("values").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let values = values.collect::<Vec<_>>().join(",");
    let key = text("key");
    match text("operator") {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "DoesNotExist" => format!("!{key}"),
        _ => key.to_owned(),
    }
}

/// A field in which two objects differ. Its values may be secrets: they are for fingerprints, and only what `applied` knows to
/// be none is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Difference {
    pub path: String,
    pub from: Value,
    pub to: Value,
}

/// The paths of the fields in which two templates differ.
pub(super) fn differing(from: &Value, to: &Value) -> Vec<String> {
    differences(from, to).into_iter().map(|one| one.path).collect()
}

/// The fields in which two objects differ. Entries of a list are known by their names where they have some.
pub(super) fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&canonical(from), &canonical(to), String::new(), &mut found);
    found
}

fn compare(from: &Value, to: &Value, path: String, found: &mut Vec<Difference>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), below, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if is_named(a) && is_named(b) => {
            let find = |items: &[Value], name: &str| {
                items.iter().find(|item| name_of(item) == Some(name)).cloned().unwrap_or(Value::Null)
            };
            let names: std::collections::BTreeSet<&str> = a.iter().chain(b).filter_map(name_of).collect();
            for name in names {
                compare(&find(a, name), &find(b, name), format!("{path}[{name}]"), found);
            }
        }
        _ => found.push(Difference { path, from: from.clone(), to: to.clone() }),
    }
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

fn is_named(items: &[Value]) -> bool {
    items.iter().all(|item| name_of(item).is_some())
}
