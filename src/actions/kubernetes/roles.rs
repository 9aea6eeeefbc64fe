//! The least that Vigie must be allowed in a cluster, as manifests that an administrator applies (`vigie action rbac`).

use std::collections::{BTreeMap, BTreeSet};

use super::Kubernetes;
use super::keep;
use super::look::KubernetesCheck;
use super::rights::Right;

/// Who gets the rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user, as its certificate or token names it.
    User(String),
    /// All members of a group.
    Group(String),
    /// A service account with its namespace.
    ServiceAccount {
        /// Where it is.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl std::str::FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let said = text.split_once(':').filter(|(_, name)| !name.is_empty());
        match said {
            Some(("user", name)) => Ok(Subject::User(name.to_owned())),
            Some(("group", name)) => Ok(Subject::Group(name.to_owned())),
            Some(("serviceaccount", account)) => match account.split_once('/') {
                Some((namespace, name)) if super::is_label(namespace) && !name.is_empty() => {
                    Ok(Subject::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
                }
                _ => Err("a service account is written serviceaccount:namespace/name".to_owned()),
            },
            _ => Err("write user:name, group:name or serviceaccount:namespace/name".to_owned()),
        }
    }
}

impl Subject {
    fn yaml(&self) -> String {
        let (kind, name, place) = match self {
            Subject::User(name) => ("User", name, "    apiGroup: rbac.authorization.k8s.io\n".to_owned()),
            Subject::Group(name) => ("Group", name, "    apiGroup: rbac.authorization.k8s.io\n".to_owned()),
            Subject::ServiceAccount { namespace, name } => {
                ("ServiceAccount", name, format!("    namespace: {namespace}\n"))
            }
        };
        format!("subjects:\n  - kind: {kind}\n    name: {}\n{place}", quoted(name))
    }
}

/// A text as YAML takes it whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The rights that are needed in each namespace of one cluster.
#[derive(Debug, Default)]
pub struct Needs(BTreeMap<String, BTreeSet<Right>>);

impl Needs {
    /// Adds what a step needs, if it is for this cluster, and what keeping the state before it needs.
    pub(in crate::actions) fn add_step(&mut self, cluster: &str, step: &Kubernetes, keeps_state: bool) {
        if step.cluster == cluster {
            let rights = step.set().into_iter().flat_map(|(_, operation)| operation.rights());
            self.add(&step.namespace, rights);
            if keeps_state {
                self.add(&step.namespace, keep::rights());
            }
        }
    }

    /// Adds what a check needs, if it is for this cluster.
    pub(in crate::actions) fn add_check(&mut self, cluster: &str, check: &KubernetesCheck) {
        if check.cluster == cluster {
            self.add(&check.namespace, check.rights());
        }
    }

    fn add(&mut self, namespace: &str, rights: impl IntoIterator<Item = Right>) {
        // What is only there to say more is as good a right as the others.
        let plain = rights.into_iter().map(|right| Right { is_extra: false, ..right });
        self.0.entry(namespace.to_owned()).or_default().extend(plain);
    }

    /// The rights of each namespace.
    pub(super) fn by_namespace(&self) -> impl Iterator<Item = (&str, Vec<Right>)> {
        self.0.iter().map(|(namespace, rights)| (namespace.as_str(), rights.iter().cloned().collect()))
    }

    /// Nothing is needed there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A Role and a RoleBinding for each namespace.
    pub fn manifest(&self, subject: &Subject) -> String {
        self.0.iter().map(|(namespace, rights)| of_namespace(namespace, rights, subject)).collect()
    }
}

fn of_namespace(namespace: &str, rights: &BTreeSet<Right>, subject: &Subject) -> String {
    let head = |kind: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: vigie\n  namespace: {namespace}\n"
        )
    };
    let rules: String = rules(rights).into_iter().map(|(object, verbs)| rule(&object, &verbs)).collect();
    let (role, binding, subject) = (head("Role"), head("RoleBinding"), subject.yaml());
    let reference = "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: vigie\n";
    format!("{role}rules:\n{rules}{binding}{subject}{reference}")
}

fn rule((group, resource, name): &Object<'_>, verbs: &BTreeSet<&str>) -> String {
    let only = name.as_ref().map(|name| format!("    resourceNames: [{}]\n", quoted(name))).unwrap_or_default();
    let verbs: Vec<String> = verbs.iter().map(|verb| quoted(verb)).collect();
    let (group, resource, verbs) = (quoted(group), quoted(resource), verbs.join(", "));
    format!("  - apiGroups: [{group}]\n    resources: [{resource}]\n{only}    verbs: [{verbs}]\n")
}

type Object<'a> = (&'a str, String, Option<String>);

/// One rule for each object, or kind, with all that is done to it. What is allowed on the whole kind is not said again
/// for one object.
fn rules(rights: &BTreeSet<Right>) -> BTreeMap<Object<'_>, BTreeSet<&'static str>> {
    let mut rules: BTreeMap<Object<'_>, BTreeSet<&'static str>> = BTreeMap::new();
    for right in rights {
        let on_all = Right { name: None, ..right.clone() };
        if right.name.is_none() || !rights.contains(&on_all) {
            let object = (right.kind.group, right.resource(), right.name.clone());
            rules.entry(object).or_default().insert(right.verb);
        }
    }
    rules
}
