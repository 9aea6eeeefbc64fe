//! Kinds of objects: where they stand in the API, and how people write them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of object, where it stands in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
}

impl Kind {
    const fn of(group: &'static str, version: &'static str, plural: &'static str) -> Self {
        Self { group, version, plural }
    }

    /// Where its objects stand in a namespace.
    pub(super) fn path(&self, namespace: &str) -> String {
        let Self { group, version, plural } = self;
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        format!("{root}/namespaces/{namespace}/{plural}")
    }
}

pub(super) const DEPLOYMENTS: Kind = Kind::of("apps", "v1", "deployments");
pub(super) const STATEFUL_SETS: Kind = Kind::of("apps", "v1", "statefulsets");
pub(super) const DAEMON_SETS: Kind = Kind::of("apps", "v1", "daemonsets");
pub(super) const REPLICA_SETS: Kind = Kind::of("apps", "v1", "replicasets");
pub(super) const CONTROLLER_REVISIONS: Kind = Kind::of("apps", "v1", "controllerrevisions");
pub(super) const PODS: Kind = Kind::of("", "v1", "pods");
pub(super) const JOBS: Kind = Kind::of("batch", "v1", "jobs");
pub(super) const CLAIMS: Kind = Kind::of("", "v1", "persistentvolumeclaims");
pub(super) const EVENTS: Kind = Kind::of("", "v1", "events");
pub(super) const POD_METRICS: Kind = Kind::of("metrics.k8s.io", "v1beta1", "pods");
pub(super) const ENDPOINTS: Kind = Kind::of("", "v1", "endpoints");
pub(super) const SERVICES: Kind = Kind::of("", "v1", "services");
pub(super) const CONFIG_MAPS: Kind = Kind::of("", "v1", "configmaps");
/// In the version that every cluster has.
pub(super) const AUTOSCALERS: Kind = Kind::of("autoscaling", "v1", "horizontalpodautoscalers");
pub(super) const SECRETS: Kind = Kind::of("", "v1", "secrets");

/// The kinds of a namespace whose objects are kept before anything is changed; what else may be listed is kept as well.
pub(super) const KEPT: [Kind; 18] = [
    PODS,
    SERVICES,
    ENDPOINTS,
    CONFIG_MAPS,
    CLAIMS,
    Kind::of("", "v1", "serviceaccounts"),
    Kind::of("", "v1", "resourcequotas"),
    Kind::of("", "v1", "limitranges"),
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    REPLICA_SETS,
    CONTROLLER_REVISIONS,
    JOBS,
    Kind::of("batch", "v1", "cronjobs"),
    Kind::of("networking.k8s.io", "v1", "ingresses"),
    Kind::of("autoscaling", "v2", "horizontalpodautoscalers"),
    Kind::of("policy", "v1", "poddisruptionbudgets"),
];

/// What a step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    Deployment,
    StatefulSet,
    DaemonSet,
    Service,
    ConfigMap,
    Secret,
}

impl What {
    pub(super) const fn kind(self) -> Kind {
        match self {
            What::Deployment => DEPLOYMENTS,
            What::StatefulSet => STATEFUL_SETS,
            What::DaemonSet => DAEMON_SETS,
            What::Service => SERVICES,
            What::ConfigMap => CONFIG_MAPS,
            What::Secret => SECRETS,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            What::Deployment => "deployment",
            What::StatefulSet => "statefulset",
            What::DaemonSet => "daemonset",
            What::Service => "service",
            What::ConfigMap => "configmap",
            What::Secret => "secret",
        }
    }

    /// Where its former templates are kept.
    pub(super) const fn history(self) -> Kind {
        match self {
            What::Deployment => REPLICA_SETS,
            _ => CONTROLLER_REVISIONS,
        }
    }
}

/// The kinds that run pods from a template.
pub(super) const WORKLOADS: [What; 3] = [What::Deployment, What::StatefulSet, What::DaemonSet];

/// One object in the namespace: `deployment/web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Thing {
    pub what: What,
    pub name: String,
}

impl Thing {
    pub(super) fn new(what: What, name: &str) -> Self {
        Self { what, name: name.to_owned() }
    }

    /// A workload as the configuration writes it.
    pub(super) fn workload(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        let what = WORKLOADS.into_iter().find(|what| what.word() == kind)?;
        is_name(name).then(|| Self::new(what, name))
    }

    pub(super) fn kind(&self) -> Kind {
        self.what.kind()
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.what.word(), self.name)
    }
}

/// A DNS label, as namespaces have it.
pub(super) fn is_label(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(is_fit) && !name.starts_with('-') && !name.ends_with('-')
}

/// DNS labels with dots between them, as most objects have it.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The kinds that a folder of manifests may hold, in the order in which they are applied: what others need comes first.
const APPLIED: &[(&str, &str, Kind)] = &[
    ("v1", "ServiceAccount", Kind::of("", "v1", "serviceaccounts")),
    ("v1", "ConfigMap", CONFIG_MAPS),
    ("v1", "PersistentVolumeClaim", CLAIMS),
    ("v1", "ResourceQuota", Kind::of("", "v1", "resourcequotas")),
    ("v1", "LimitRange", Kind::of("", "v1", "limitranges")),
    ("rbac.authorization.k8s.io/v1", "Role", Kind::of("rbac.authorization.k8s.io", "v1", "roles")),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", Kind::of("rbac.authorization.k8s.io", "v1", "rolebindings")),
    ("v1", "Service", SERVICES),
    ("networking.k8s.io/v1", "NetworkPolicy", Kind::of("networking.k8s.io", "v1", "networkpolicies")),
    ("networking.k8s.io/v1", "Ingress", Kind::of("networking.k8s.io", "v1", "ingresses")),
    ("policy/v1", "PodDisruptionBudget", Kind::of("policy", "v1", "poddisruptionbudgets")),
    ("apps/v1", "Deployment", DEPLOYMENTS),
    ("apps/v1", "StatefulSet", STATEFUL_SETS),
    ("apps/v1", "DaemonSet", DAEMON_SETS),
    ("autoscaling/v1", "HorizontalPodAutoscaler", Kind::of("autoscaling", "v1", "horizontalpodautoscalers")),
    ("autoscaling/v2", "HorizontalPodAutoscaler", Kind::of("autoscaling", "v2", "horizontalpodautoscalers")),
    ("batch/v1", "CronJob", Kind::of("batch", "v1", "cronjobs")),
    ("batch/v1", "Job", JOBS),
];

/// Where a kind comes in the order, its word, and where it stands in the API.
pub(super) fn applied_kind(version: &str, word: &str) -> Option<(usize, &'static str, Kind)> {
    let found = APPLIED.iter().enumerate().find(|(_, (of, kind, _))| *of == version && *kind == word);
    found.map(|(rank, (_, word, kind))| (rank, *word, *kind))
}
