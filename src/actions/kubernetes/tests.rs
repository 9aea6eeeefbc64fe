//! What can be told without a cluster: where a roll-out stands, where a roll-back goes, what a plan may show.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::deed::Deed;
use super::follow::{Standing, is_complete, standing};
use super::kinds::{Thing, What};
use super::object::{Object, annotations_after, clean_template, differing};
use super::part::Part;
use super::revision::{history, one_back};
use super::*;
use crate::actions::check::Check as _;

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}})
}

fn deployment(image: &str) -> Object {
    Object(json!({
        "metadata": {"name": "web", "uid": "u1", "resourceVersion": "7", "generation": 2, "annotations": {
            "deployment.kubernetes.io/revision": "3", "team": "old",
        }},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"},
        ]}, "template": template(image)},
        "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
    }))
}

fn revision(number: i64, image: &str, owner: &str) -> Object {
    let mut template = template(image);
    template["metadata"]["labels"]["pod-template-hash"] = json!(format!("h{number}"));
    template["metadata"]["creationTimestamp"] = Value::Null;
    Object(json!({
        "metadata": {
            "name": format!("web-h{number}"), "uid": format!("r{number}"),
            "labels": {"pod-template-hash": format!("h{number}")},
            "annotations": {"deployment.kubernetes.io/revision": number.to_string(), "team": "shop", "vigie/step": "x"},
            "ownerReferences": [{"controller": true, "uid": owner}],
        },
        "spec": {"template": template},
    }))
}

fn stands(object: &Object, fresh: &mut bool) -> Standing {
    let wait = Part::new(&Thing::new(What::Deployment, "web"), &deployment("web:1"), Deed::Wait, None, String::new());
    standing(object, &wait, "run_1_1-step-1", fresh)
}

#[test]
fn a_roll_out_is_complete_only_when_all_pods_are_new_and_available_and_the_controller_has_seen_it() {
    assert_eq!(stands(&deployment("web:1"), &mut true), Standing::Complete);
    for (field, value) in [("updatedReplicas", 2), ("replicas", 4), ("availableReplicas", 2), ("observedGeneration", 1)]
    {
        let mut object = deployment("web:1");
        object.0["status"][field] = json!(value);
        assert_eq!(stands(&object, &mut true), Standing::Rolling, "{field}");
    }
    let mut none = deployment("web:1");
    none.0["spec"]["replicas"] = json!(0);
    none.0["status"] = json!({"observedGeneration": 2});
    assert_eq!(stands(&none, &mut true), Standing::Complete, "no pods are wanted");
    none.0["metadata"]["uid"] = json!("u2");
    assert_eq!(stands(&none, &mut true), Standing::Replaced);
}

/// As `kubectl rollout status` has it for these kinds.
#[test]
fn a_stateful_set_is_complete_at_one_revision_and_a_daemon_set_on_every_node() {
    let db = json!({
        "spec": {"replicas": 2},
        "status": {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "updateRevision": "b", "currentRevision": "b"},
    });
    assert!(is_complete(What::StatefulSet, &Object(db.clone())));
    for (place, value) in [("readyReplicas", json!(1)), ("replicas", json!(3)), ("currentRevision", json!("a"))] {
        let mut other = db.clone();
        other["status"][place] = value;
        assert!(!is_complete(What::StatefulSet, &Object(other)), "{place}");
    }
    let mut some = db;
    some["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 1}});
    some["status"]["currentRevision"] = json!("a");
    some["status"]["updatedReplicas"] = json!(1);
    assert!(is_complete(What::StatefulSet, &Object(some)), "the pods below the partition are left alone");
    let agent = json!({"status": {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}});
    assert!(is_complete(What::DaemonSet, &Object(agent.clone())));
    for place in ["updatedNumberScheduled", "numberAvailable"] {
        let mut other = agent.clone();
        other["status"][place] = json!(2);
        assert!(!is_complete(What::DaemonSet, &Object(other)), "{place}");
    }
}

#[test]
fn the_deadline_of_the_roll_out_before_does_not_fail_this_one() {
    let mut object = deployment("web:1");
    object.0["status"]["availableReplicas"] = json!(0);
    object.0["status"]["conditions"] = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
    let mut fresh = false;
    assert_eq!(stands(&object, &mut fresh), Standing::Rolling, "it still stands there from before");
    let late = object.clone();
    object.0["status"]["conditions"][0]["reason"] = json!("ReplicaSetUpdated");
    assert_eq!(stands(&object, &mut fresh), Standing::Rolling);
    assert_eq!(stands(&late, &mut fresh), Standing::GaveUp);
}

#[test]
fn one_back_is_the_newest_older_revision_of_its_own_with_another_template() {
    let number = |sets: &[Object]| {
        let web = deployment("web:3");
        one_back(&web, &history(&web, sets)).map(|one| one.number)
    };
    let current = revision(3, "web:3", "u1");
    let same = revision(2, "web:3", "u1");
    assert_eq!(number(&[revision(1, "web:1", "u1"), same.clone(), current.clone()]), Some(1));
    assert_eq!(number(&[current.clone(), revision(2, "web:2", "another")]), None, "somebody else's");
    assert_eq!(number(&[current, revision(4, "web:4", "u1")]), None, "a newer one is not before");
    assert_eq!(number(&[same, revision(1, "web:1", "u1")]), Some(1));
}

#[test]
fn a_template_keeps_nothing_of_its_replica_set_and_annotations_come_back_with_it() {
    let (live, old) = (deployment("web:2"), revision(1, "web:2", "u1"));
    assert_eq!(live.fingerprint(), old.fingerprint(), "the hash label and a null count for nothing");
    assert!(!clean_template(old.template()).to_string().contains("pod-template-hash"));
    let wanted = json!({"deployment.kubernetes.io/revision": "3", "team": "shop", "vigie/step": "run_1_1-step-1"});
    assert_eq!(annotations_after(&live, &old, "run_1_1-step-1"), wanted);
    assert_eq!(live.selector(), "app=web,tier in (a,b),!old");
}

#[test]
fn a_difference_is_shown_without_values() {
    let mut other = template("web:2");
    other["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "value": "hunter2"}]);
    other["spec"]["hostNetwork"] = json!(true);
    let found = differing(&template("web:1"), &other);
    assert_eq!(found, ["spec.containers[web].env", "spec.containers[web].image", "spec.hostNetwork"]);
}

fn faults(step: Value) -> Vec<String> {
    let step: Kubernetes = serde_json::from_value(step).unwrap();
    let mut faults = Vec::new();
    step.validate("step", &mut faults);
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn names_that_cannot_be_are_refused_where_they_stand() {
    let step = |workloads: Value| json!({"cluster": "c", "namespace": "shop", "undo": {"workloads": workloads}});
    assert_eq!(faults(step(json!(["deployment/web", "deployment/api.v2"]))), Vec::<String>::new());
    for (workloads, place) in [
        (json!([]), "step.undo.workloads: "),
        (json!(["web"]), "step.undo.workloads[0]: "),
        (json!(["job/web"]), "step.undo.workloads[0]: "),
        (json!(["deployment/Web"]), "step.undo.workloads[0]: "),
        (json!(["deployment/web", "deployment/web"]), "step.undo.workloads[1]: "),
    ] {
        let found = faults(step(workloads));
        assert!(found.len() == 1 && found[0].starts_with(place), "{found:?}");
    }
    let mut other = step(json!(["deployment/web"]));
    other["namespace"] = json!("../kube-system");
    assert!(faults(other)[0].starts_with("step.namespace: "));
}

#[test]
fn a_cluster_is_reached_in_one_way_and_its_file_is_read_where_it_is() {
    let faults = |config: ClusterConfig| {
        let mut faults = Vec::new();
        config.validate("clusters.a", &mut faults);
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let none = ClusterConfig::default();
    assert!(faults(none.clone())[0].contains("exactly one way"));
    assert!(faults(ClusterConfig { kubeconfig: Some("kube".into()), ..none.clone() })[0].contains("whole path"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let there = ClusterConfig { kubeconfig: Some(file.clone()), ..none };
    assert_eq!(faults(there.clone()), Vec::<String>::new(), "it may be somewhere else");
    let text = "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncurrent-context: a\n\
                contexts: [{name: a, context: {cluster: a, user: a}}]\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(faults(there.clone()), Vec::<String>::new());
    let found = faults(ClusterConfig { context: Some("b".into()), ..there.clone() });
    assert!(found[0].contains("the file has no context “b”; there are a"), "{found:?}");
    std::fs::write(&file, "token: hunter2-hunter2: x").unwrap();
    let found = faults(there);
    assert!(found[0].contains("no kubeconfig") && !found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn a_program_for_credentials_is_given_only_what_is_named() {
    let environment =
        ["PATH", "SLACK_BOT_TOKEN", "AWS_PROFILE", "DATABASE_URL"].map(|name| (name.to_owned(), String::new()));
    let config = ClusterConfig { in_cluster: true, pass: vec!["AWS_PROFILE".into()], ..ClusterConfig::default() };
    let clusters = Clusters::new(&BTreeMap::from([("a".to_owned(), config)]), &BTreeMap::from(environment));
    assert_eq!(clusters.get("a").unwrap().withheld(), ["DATABASE_URL", "SLACK_BOT_TOKEN"]);
}

/// A kubeconfig whose API server has this address.
fn kubeconfig(folder: &tempfile::TempDir, name: &str, server: &str) -> ClusterConfig {
    let file = folder.path().join(name);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{ name: a, context: {{ cluster: a, user: a }} }}]\n\
         clusters: [{{ name: a, cluster: {{ server: \"{server}\" }} }}]\nusers: [{{ name: a, user: {{ token: t }} }}]\n"
    );
    std::fs::write(&file, text).unwrap();
    ClusterConfig { kubeconfig: Some(file), ..ClusterConfig::default() }
}

#[test]
fn keys_of_one_api_server_are_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let gone = ClusterConfig { kubeconfig: Some(folder.path().join("gone")), ..ClusterConfig::default() };
    let configs = BTreeMap::from([
        ("a".to_owned(), kubeconfig(&folder, "a", "https://one.example.com:6443")),
        ("b".to_owned(), kubeconfig(&folder, "b", "https://one.example.com:6443/")),
        ("c".to_owned(), kubeconfig(&folder, "c", "https://two.example.com:6443")),
        ("d".to_owned(), gone.clone()),
        ("e".to_owned(), gone),
    ]);
    let clusters = Clusters::new(&configs, &BTreeMap::new());
    assert_eq!(["a", "b", "c", "d", "e", "f"].map(|key| clusters.place(key)), ["a", "a", "c", "d", "e", "f"]);
}

/// The server keeps a list for some minutes; who goes on with it later is answered with 410.
#[tokio::test]
async fn a_list_that_the_server_has_forgotten_is_begun_anew() {
    use axum::http::{StatusCode, Uri};
    let page = |names: &[&str], token: &str| {
        let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name}})).collect();
        (StatusCode::OK, axum::Json(json!({"metadata": {"continue": token}, "items": items})))
    };
    let forgotten =
        json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"});
    let answers = vec![
        page(&["one"], "a"),
        (StatusCode::GONE, axum::Json(forgotten)),
        page(&["one", "two"], "b"),
        page(&["three"], ""),
    ];
    let (answers, asked) =
        (std::sync::Mutex::new(answers.into_iter()), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let (answers, heard) = (std::sync::Arc::new(answers), std::sync::Arc::clone(&asked));
    let app = axum::Router::new().fallback(async move |uri: Uri| {
        heard.lock().unwrap().push(uri.to_string());
        answers.lock().unwrap().next().unwrap()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let folder = tempfile::tempdir().unwrap();
    let configs = BTreeMap::from([("c".to_owned(), kubeconfig(&folder, "c", &server))]);
    let world = World { clusters: Clusters::new(&configs, &BTreeMap::new()), ..crate::actions::toy::world() };
    let site = Site::new(world.clusters.get("c").unwrap(), "shop", &world, Duration::from_secs(10));
    let names = site.list(kinds::PODS, "").await.unwrap();
    let names: Vec<&str> = names.iter().filter_map(|one| one.pointer("/metadata/name")?.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    let asked = asked.lock().unwrap();
    let goes_on: Vec<bool> = asked.iter().map(|uri| uri.contains("continue=")).collect();
    assert_eq!(goes_on, [false, true, false, true], "{asked:?}");
    serving.abort();
}

/// What was approved is done as it was approved, or not at all.
#[test]
fn settings_that_decide_how_it_is_done_are_a_part_of_the_plan() {
    let of = |does: Value| {
        let mut step = json!({"cluster": "c", "namespace": "shop"});
        step.as_object_mut().unwrap().extend(does.as_object().unwrap().clone());
        let step: Kubernetes = serde_json::from_value(step).unwrap();
        fingerprint(step.operation().unwrap().1)
    };
    let job = |more: Value| {
        let mut job = json!({"like": "deployment/web", "command": ["migrate"]});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"job": job})
    };
    let pairs = [
        (job(json!({})), job(json!({"env": {"STEP": "up"}}))),
        (job(json!({"env": {"STEP": "down"}})), job(json!({"env": {"STEP": "up"}}))),
        (job(json!({"secrets": {"KEY": "one"}})), job(json!({"secrets": {"KEY": "two"}}))),
        (job(json!({"container": "web"})), job(json!({"container": "api"}))),
        (job(json!({"keep": true})), job(json!({}))),
        (json!({"recreate_pods": {"selector": "a=b"}}), json!({"recreate_pods": {"selector": "a=b", "at_once": 3}})),
        (json!({"recreate_pods": {"selector": "a=b"}}), json!({"recreate_pods": {"selector": "a=b", "evict": false}})),
        (
            json!({"delete": {"kind": "pvc", "names": ["a"]}}),
            json!({"delete": {"kind": "pvc", "names": ["a"], "in_use": true}}),
        ),
        (json!({"apply": {"folder": "/a"}}), json!({"apply": {"folder": "/a", "force": true}})),
        (
            json!({"put_secret_back": {"name": "a", "from": "b"}}),
            json!({"put_secret_back": {"name": "a", "from": "b", "keep_copy": false}}),
        ),
        (
            json!({"select": {"services": ["a"], "label": "v", "value": "b"}}),
            json!({"select": {"services": ["a"], "label": "v", "value": "b", "min_ready": 2}}),
        ),
    ];
    for (one, other) in pairs {
        assert_eq!(of(one.clone()), of(one.clone()), "{one}");
        assert_ne!(of(one.clone()), of(other.clone()), "{one}, {other}");
    }
    assert_eq!(of(json!({"undo": {"workloads": ["deployment/web"]}})), None, "its facts say all");
}

/// What `vigie action rbac` prints for one roll-back: nothing on all Deployments, nothing that is not needed.
#[test]
fn a_role_names_the_objects_and_allows_no_more_than_the_steps_need() {
    let step = json!({"cluster": "c", "namespace": "shop", "undo": {"workloads": ["deployment/web"]}});
    let step: Kubernetes = serde_json::from_value(step).unwrap();
    let mut needs = Needs::default();
    needs.add_step("c", &step, false);
    needs.add_step("another", &step, false);
    let manifest = needs.manifest(&"serviceaccount:ops/vigie".parse().unwrap());
    let wanted = "---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: vigie
  namespace: shop
rules:
  - apiGroups: [\"\"]
    resources: [\"pods\"]
    verbs: [\"list\"]
  - apiGroups: [\"\"]
    resources: [\"pods/log\"]
    verbs: [\"get\"]
  - apiGroups: [\"apps\"]
    resources: [\"deployments\"]
    resourceNames: [\"web\"]
    verbs: [\"get\", \"patch\", \"watch\"]
  - apiGroups: [\"apps\"]
    resources: [\"replicasets\"]
    verbs: [\"get\", \"list\"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: vigie
  namespace: shop
subjects:
  - kind: ServiceAccount
    name: \"vigie\"
    namespace: ops
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: vigie
";
    assert_eq!(manifest, wanted);
    for wrong in ["vigie", "user:", "serviceaccount:vigie", "robot:vigie"] {
        assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
    }
}

/// Only what goes back to another template has pods to free. Whoever restarts deletes none.
#[test]
fn pods_may_be_deleted_only_where_a_stateful_set_may_have_to_be_freed() {
    let deletes = |does: Value| {
        let mut step = json!({"cluster": "c", "namespace": "shop"});
        step.as_object_mut().unwrap().extend(does.as_object().unwrap().clone());
        let step: Kubernetes = serde_json::from_value(step).unwrap();
        let (_, operation) = step.operation().unwrap();
        operation.rights().iter().any(|right| right.verb == "delete" && right.kind == kinds::PODS)
    };
    for (does, wanted) in [
        (json!({"undo": {"workloads": ["statefulset/db"]}}), true),
        (json!({"undo": {"workloads": ["deployment/web"]}}), false),
        (json!({"set_image": {"workload": "statefulset/db", "images": {"db": "db:1"}}}), true),
        (json!({"set_image": {"workload": "deployment/web", "images": {"web": "web:1"}}}), false),
        (json!({"restart": {"workloads": ["statefulset/db"]}}), false),
        (json!({"flags": {"config_map": "features", "set": {"a": "1"}}}), false),
        (json!({"flags": {"config_map": "features", "set": {"a": "1"}, "restart": ["statefulset/db"]}}), false),
        (json!({"put_secret_back": {"name": "app", "from": "app-saved"}}), false),
    ] {
        assert_eq!(deletes(does.clone()), wanted, "{does}");
    }
}

#[test]
fn what_reads_a_config_map_or_a_secret_is_found_wherever_it_is_named() {
    let template = json!({"spec": {
        "containers": [{"envFrom": [{"configMapRef": {"name": "a"}}], "env": [
            {"valueFrom": {"configMapKeyRef": {"name": "b", "key": "x"}}},
            {"valueFrom": {"secretKeyRef": {"name": "s", "key": "x"}}},
        ]}],
        "volumes": [{"configMap": {"name": "c"}}, {"secret": {"secretName": "t"}}, {"projected": {"sources": [
            {"configMap": {"name": "d"}}, {"secret": {"name": "u"}},
        ]}}],
    }});
    for name in ["a", "b", "c", "d"] {
        assert!(users::reads(&template, What::ConfigMap, name), "{name}");
        assert!(!users::reads(&template, What::Secret, name), "{name}");
    }
    for name in ["s", "t", "u"] {
        assert!(users::reads(&template, What::Secret, name), "{name}");
        assert!(!users::reads(&template, What::ConfigMap, name), "{name}");
    }
}

/// Numbers, images and sizes are read; what somebody may have written a credential into is not.
#[test]
fn of_saved_manifests_only_values_that_are_no_secrets_are_shown() {
    let both = |path: &str, from: Value, to: Value| {
        let found = applied::shown(&object::Difference { path: path.to_owned(), from, to });
        found.map(|(from, to)| format!("{} → {}", from.unwrap_or_default(), to.unwrap_or_default()))
    };
    let container = "spec.template.spec.containers[web]";
    for (path, from, to, wanted) in [
        ("spec.replicas".to_owned(), json!(12), json!(2), "12 → 2"),
        ("spec.paused".to_owned(), Value::Null, json!(true), " → true"),
        (format!("{container}.image"), json!("web:2"), json!("web:1"), "web:2 → web:1"),
        (format!("{container}.resources.limits.memory"), json!("1Gi"), json!("512Mi"), "1Gi → 512Mi"),
    ] {
        assert_eq!(both(&path, from, to).as_deref(), Some(wanted), "{path}");
    }
    for path in [
        format!("{container}.env[TOKEN].value"),
        format!("{container}.workingDir"),
        "data.image".to_owned(),
        "metadata.annotations.type".to_owned(),
    ] {
        assert_eq!(both(&path, json!("hunter2"), json!("hunter3")), None, "{path}");
    }
    assert_eq!(both(&format!("{container}.args"), json!(["a"]), json!(["b"])), None, "a list is not one value");
}

#[test]
fn a_saved_object_loses_what_only_the_server_may_say() {
    let mut saved = json!({
        "kind": "Service", "status": {"loadBalancer": {}},
        "metadata": {"name": "web", "uid": "u", "resourceVersion": "1", "generation": 3, "managedFields": [], "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}", "vigie/step": "run_1_1-step-1",
        }},
        "spec": {"clusterIP": "198.51.100.7", "clusterIPs": ["198.51.100.7"], "ports": [{"port": 80}]},
    });
    manifests::clean(&mut saved);
    let wanted = json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    assert_eq!(saved, wanted);
    let mut headless = json!({"kind": "Service", "spec": {"clusterIP": "None"}});
    manifests::clean(&mut headless);
    assert_eq!(headless["spec"]["clusterIP"], "None", "a Service without an address has none");
}

#[test]
fn quantities_are_read_and_events_are_put_in_the_order_of_time() {
    for (text, value) in
        [("250m", 0.25), ("2", 2.0), ("1500000n", 0.0015), ("12Mi", 12_582_912.0), ("1.5Gi", 1_610_612_736.0)]
    {
        assert_eq!(look::quantity(text), Some(value), "{text}");
    }
    assert_eq!(look::quantity("12 apples"), None);
    // The scheduler's events have no lastTimestamp.
    let scheduler = Object(json!({"lastTimestamp": null, "eventTime": "2026-11-26T10:00:02.500000Z"}));
    let kubelet = Object(json!({"firstTimestamp": "2026-11-26T09:00:00Z", "lastTimestamp": "2026-11-26T10:00:01Z"}));
    assert!(look::happened_at(&scheduler) > look::happened_at(&kubelet));
}

#[test]
fn every_operation_refuses_what_cannot_work() {
    let step = |operation: &str, settings: Value| json!({"cluster": "c", "namespace": "shop", operation: settings});
    for (operation, settings, place) in [
        ("scale", json!({"workloads": ["daemonset/agent"], "to": 0}), "step.scale.workloads[0]: "),
        ("pause", json!({"workloads": ["statefulset/db"]}), "step.pause.workloads[0]: "),
        ("set_image", json!({"workload": "deployment/web", "images": {}}), "step.set_image.images: "),
        ("set_image", json!({"workload": "deployment/web", "images": {"web": "a b"}}), "step.set_image.images.web: "),
        ("select", json!({"services": ["web"], "label": "version", "among": ["blue"]}), "step.select: "),
        ("select", json!({"services": [], "label": "version", "value": "blue"}), "step.select.services: "),
        ("flags", json!({"config_map": "features"}), "step.flags: "),
        ("flags", json!({"config_map": "f", "set": {"a": "1"}, "remove": ["a"]}), "step.flags.remove: "),
        ("put_secret_back", json!({"name": "app"}), "step.put_secret_back: "),
        ("put_secret_back", json!({"name": "app", "from": "app"}), "step.put_secret_back.from: "),
        ("put_secret_back", json!({"name": "app", "file": "saved.yaml"}), "step.put_secret_back.file: "),
        ("delete", json!({"kind": "job"}), "step.delete: "),
        ("delete", json!({"kind": "job", "names": ["a"], "selector": "app=a"}), "step.delete: "),
        ("delete", json!({"kind": "pod", "selector": " "}), "step.delete.selector: "),
        ("recreate_pods", json!({"selector": ""}), "step.recreate_pods.selector: "),
        ("job", json!({"command": ["x"]}), "step.job: "),
        ("job", json!({"image": "x", "command": []}), "step.job.command: "),
        ("apply", json!({"folder": "manifests"}), "step.apply.folder: "),
    ] {
        let found = faults(step(operation, settings));
        assert!(found.len() == 1 && found[0].starts_with(place), "{operation}: {found:?}");
    }
    let both = json!({"cluster": "c", "namespace": "shop", "restart": {"workloads": ["deployment/web"]},
        "wait": {"workloads": ["deployment/web"]}});
    assert!(faults(both)[0].contains("exactly one of"));
}

#[test]
fn the_limits_of_a_look_are_held_against_what_was_before_as_those_of_every_check() {
    let look = |what: &str| {
        let text = format!("{{cluster: production, namespace: shop, {what}}}");
        serde_saphyr::from_str::<KubernetesCheck>(&text).unwrap()
    };
    let told = |what: &str| {
        let mut faults = Vec::new();
        look(what).validate("a", &mut faults);
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let logs = "logs: {selector: app=web, filter: ERROR|panic, within: 5m, limits: {than_before: {fail_above: 1}}}";
    assert_eq!(told(logs), "");
    assert!(look(logs).limits().is_some_and(|limits| limits.than_before.is_some()));
    let wrong = told("logs: {selector: app=web, filter: (, within: 5m, limits: {warn_above: 9, fail_above: 1}}");
    assert!(wrong.contains("a.logs.filter") && wrong.contains("a.logs.limits"), "{wrong}");
    let two = told("top: {selector: app=web, cpu: {fail_above: 900, than_before: {fail_above: 2}}}");
    assert!(two.contains("a.top.cpu.than_before"), "{two}");
}

/// The server tells of a version that is too old in an answer that says 200; the object is then looked at instead.
#[test]
fn a_watch_from_a_version_that_is_too_old_begins_again() {
    use super::call::{Event, told};
    use kube::core::WatchEvent;
    let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
    let event: WatchEvent<Value> = serde_json::from_value(json!({"type": "ERROR", "object": gone})).unwrap();
    assert!(told(Ok(event)).is_err());
    let event: WatchEvent<Value> = serde_json::from_value(json!({"type": "MODIFIED", "object": {"a": 1}})).unwrap();
    assert!(matches!(told(Ok(event)), Ok(Event::Is(object)) if object == json!({"a": 1})));
    let event: WatchEvent<Value> = serde_json::from_value(json!({"type": "DELETED", "object": {"a": 1}})).unwrap();
    assert!(matches!(told(Ok(event)), Ok(Event::Gone)));
}

/// What an API server answered to the same misspelt field, from 1.20 and from a strict one of today.
#[test]
fn a_field_that_no_object_has_is_recognized_by_both_sentences_there_are() {
    let says = |code: u16, message: &str| {
        let status = kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
        Trouble::Refused(Box::new(status)).unknown_field().is_some()
    };
    assert!(says(500, "failed to create typed patch object: .spec.replica: field not declared in schema"));
    assert!(says(400, "strict decoding error: unknown field \"spec.replica\""));
    assert!(!says(400, "strict decoding error: duplicate field \"spec.replicas\""));
}
