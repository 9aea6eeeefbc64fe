//! The other things that are done to workloads: StatefulSets and DaemonSets, waiting, pausing, restarts, images, numbers.

use serde_json::{Value, json};
use vigie::incident::approval::{Outcome, Verdict};

use super::plane::Namespace;
use super::team::{Setting, Team};
use crate::world::shown;

const WEB: &str = "rollout, status, deployment/web, --timeout=20s";

/// A StatefulSet or a DaemonSet with this image.
fn set(kind: &str, name: &str, image: &str) -> String {
    let more = if kind == "StatefulSet" { format!("  serviceName: {name}\n  replicas: 2\n") } else { String::new() };
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{ name: {name} }}\nspec:\n{more}  selector: {{ matchLabels: {{ app: {name} }} }}\n  \
         template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    spec:\n      containers: [{{ name: {name}, image: \"{image}\" }}]\n"
    )
}

/// With this history of images, the last one live; one that never becomes ready is not waited for.
async fn set_with(space: &Namespace, kind: &str, name: &str, images: &[&str]) {
    for image in images {
        space.apply(&set(kind, name, image)).await;
        let of = format!("{}/{name}", kind.to_lowercase());
        if image.contains("broken") {
            let seen = |object: &Value| object["status"]["observedGeneration"] == object["metadata"]["generation"];
            space.once(&of, seen).await;
        } else {
            space.kubectl(&["rollout", "status", &of, "--timeout=60s"]).await;
        }
    }
}

fn image(object: &Value) -> &str {
    object.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).expect("an image")
}

#[tokio::test]
async fn a_stateful_set_and_a_daemon_set_are_rolled_back_by_their_controller_revisions() {
    let undo = [("undo", "reversible", "undo: { workloads: [statefulset/db, daemonset/agent] }")];
    let Some(team) = Team::doing(&undo, "rollout, status, statefulset/db, --timeout=20s").await else { return };
    set_with(&team.space, "StatefulSet", "db", &["example/db:1", "example/db:2"]).await;
    set_with(&team.space, "DaemonSet", "agent", &["example/agent:7", "example/agent:8"]).await;
    let (plan, done) = team.through(1, "undo").await;
    for line in ["db: example/db:2 → example/db:1", "agent: example/agent:8 → example/agent:7", "as kept in db-"] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert!(plan.contains("db example/db:2 · revision 2, agent example/agent:8 · revision 2"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    for (of, wanted) in [("statefulset/db", "example/db:1"), ("daemonset/agent", "example/agent:7")] {
        let object = team.space.get(of).await;
        assert_eq!(image(&object), wanted);
        assert!(!object["spec"]["template"].to_string().contains("$patch"), "{object}");
    }
    let writes = [json!(["patch", "statefulsets/db", 200]), json!(["patch", "daemonsets/agent", 200])];
    assert_eq!(team.space.writes(), writes);
    team.close().await;
}

/// K2, K3, K5 · They have their own histories, pods and ends of a roll-out, and are restarted, waited for and rolled back to
/// a chosen revision all the same.
#[tokio::test]
async fn a_stateful_set_and_a_daemon_set_are_restarted_and_waited_for_and_go_where_a_person_says() {
    let actions = [
        ("restart", "reversible", "restart: { workloads: [statefulset/db, daemonset/agent] }"),
        ("wait", "reversible", "wait: { workloads: [statefulset/db, daemonset/agent] }"),
        ("db-to", "reversible", "undo: { workloads: [statefulset/db], choose: true }"),
        ("agent-to", "reversible", "undo: { workloads: [daemonset/agent], choose: true }"),
    ];
    let Some(team) = Team::doing(&actions, "get, statefulset/db").await else { return };
    set_with(&team.space, "StatefulSet", "db", &["example/db:1", "example/db:2", "example/db:3"]).await;
    set_with(&team.space, "DaemonSet", "agent", &["example/agent:1", "example/agent:2", "example/agent:3"]).await;
    let uids = async |labels: &str| {
        team.space
            .kubectl(&["get", "pods", "--selector", labels, "--output", "jsonpath={.items[*].metadata.uid}"])
            .await
    };
    let before = [uids("app=db").await, uids("app=agent").await].join(" ");
    let (_, done) = team.through(1, "restart").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    let after = [uids("app=db").await, uids("app=agent").await].join(" ");
    assert_eq!(after.split(' ').count(), before.split(' ').count(), "{after} after {before}");
    assert!(before.split(' ').all(|former| !after.contains(former)), "{after} after {before}");
    for of in ["statefulset/db", "daemonset/agent"] {
        let mark = &team.space.get(of).await["spec"]["template"]["metadata"]["annotations"]["vigie/restarted"];
        assert_eq!(mark, &json!(team.mark(1).await), "{of}");
    }

    team.space.apply(&set("StatefulSet", "db", "example/db:4-slow")).await;
    team.space.apply(&set("DaemonSet", "agent", "example/agent:4-slow")).await;
    let (_, done) = team.through(2, "wait").await;
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    for line in ["db runs example/db:4-slow", "2 of 2", "agent runs example/agent:4-slow", "1 of 1"] {
        assert!(done.contains(line), "{line} is not in {done}");
    }

    for (incident, action, number, of, wanted) in
        [(3, "db-to", 2, "statefulset/db", "example/db:2"), (4, "agent-to", 1, "daemonset/agent", "example/agent:1")]
    {
        let (plan, done) = team.through(incident, &format!("{action} --to {number}")).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        assert!(plan.contains(&format!("→ {wanted} · revision {number}")), "{plan}");
        assert_eq!(image(&team.space.get(of).await), wanted);
    }
    let patched = |what: &str| json!(["patch", what, 200]);
    let (db, agent) = (patched("statefulsets/db"), patched("daemonsets/agent"));
    assert_eq!(team.space.writes(), [db.clone(), agent.clone(), db, agent]);
    team.close().await;
}

/// Its controller waits for ever for the pod of the bad template, although that template is gone.
#[tokio::test]
async fn a_stateful_set_that_blocks_itself_is_freed() {
    let undo = [("undo", "reversible", "undo: { workloads: [statefulset/db] }")];
    let Some(team) = Team::doing(&undo, "rollout, status, statefulset/db, --timeout=20s").await else { return };
    set_with(&team.space, "StatefulSet", "db", &["example/db:1", "example/db:2-broken"]).await;
    let stuck = |object: &Value| object["status"]["updatedReplicas"] == 1;
    team.space.once("statefulset/db", stuck).await;
    let (plan, done) = team.through(1, "undo").await;
    assert!(plan.contains("not ready and deleted if they block: db-1"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.get("pod/db-1").await["spec"]["containers"][0]["image"], "example/db:1");
    assert_eq!(team.space.writes(), [json!(["patch", "statefulsets/db", 200]), json!(["delete", "pods/db-1", 200])]);
    team.close().await;
}

/// K1 · Below the partition pods keep the former template; one of them that is not ready would be deleted again and again.
#[tokio::test]
async fn a_stateful_set_is_freed_of_nothing_below_its_partition() {
    let undo = [("undo", "reversible", "undo: { workloads: [statefulset/db] }")];
    let setting = Setting { actions: &undo, check: "get, namespace", within: "14s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    let with_partition = |image: &str| {
        let part = "  updateStrategy: { rollingUpdate: { partition: 1 } }\n  podManagementPolicy: Parallel\n  selector";
        set("StatefulSet", "db", image).replace("  selector", part)
    };
    team.space.apply(&with_partition("example/db:1")).await;
    team.space.kubectl(&["rollout", "status", "statefulset/db", "--timeout=60s"]).await;
    team.space.apply(&with_partition("example/db:2-broken")).await;
    team.space.once("statefulset/db", |object| object["status"]["updatedReplicas"] == 1).await;
    team.space.kubectl(&["set", "image", "pod/db-0", "db=example/db:1-unready"]).await;
    team.space.once("pod/db-0", |pod| pod["status"]["containerStatuses"][0]["ready"] == false).await;
    let former = team.space.get("pod/db-0").await["metadata"]["uid"].take();
    let (plan, done) = team.through(1, "undo").await;
    assert!(plan.contains("not ready and deleted if they block: db-1"), "{plan}");
    assert_eq!(team.space.get("pod/db-0").await["metadata"]["uid"], former, "{done}");
    assert_eq!(team.space.get("pod/db-1").await["spec"]["containers"][0]["image"], "example/db:1", "{done}");
    let deleted = team.space.writes().into_iter().filter(|write| write[0] == "delete").count();
    assert!(deleted <= 1, "{:?}", team.space.writes());
    team.close().await;
}

/// K1 · Of pods that nobody makes only the events of their owner tell.
#[tokio::test]
async fn a_stateful_set_that_gets_no_pods_says_why() {
    let undo = [("undo", "reversible", "undo: { workloads: [statefulset/db] }")];
    let setting = Setting { actions: &undo, check: "get, namespace", within: "8s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    set_with(&team.space, "StatefulSet", "db", &["example/db:1", "example/db:2"]).await;
    team.space.kubectl(&["create", "quota", "none", "--hard=pods=0"]).await;
    team.space.once("resourcequota/none", |quota| quota["status"]["used"].is_object()).await;
    let (_, failed) = team.through(1, "undo").await;
    assert!(failed.contains("the cluster makes no pods") && failed.contains("exceeded quota: none"), "{failed}");
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "{failed}");
    team.close().await;
}

#[tokio::test]
async fn a_roll_out_of_somebody_else_is_waited_for_and_nothing_is_changed() {
    let wait = [("wait", "reversible", "wait: { workloads: [deployment/web] }")];
    let Some(team) = Team::doing(&wait, WEB).await else { return };
    team.space.deployed("web", &["example/web:1"], 2).await;
    team.space.set_image("web", "example/web:2-slow").await;
    let (plan, done) = team.through(1, "wait").await;
    assert!(plan.contains("Wait for the roll-out of web") && plan.contains("of 2 updated"), "{plan}");
    assert!(done.contains("web runs example/web:2-slow · revision 2, 2 of 2 available"), "{done}");
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

#[tokio::test]
async fn a_bad_deploy_in_progress_is_paused_and_resumed() {
    let actions = [
        ("pause", "reversible", "pause: { workloads: [deployment/web] }"),
        ("resume", "reversible", "resume: { workloads: [deployment/web] }"),
    ];
    let Some(team) = Team::doing(&actions, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2-broken"], 2).await;
    let (plan, done) = team.through(1, "pause").await;
    for line in ["*paused=false → paused=true*", "web is at example/web:2-broken · revision 2", "web: 1 of 2 updated"]
    {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert!(done.contains("web is at paused=true now"), "{done}");
    assert_eq!(team.space.get("deployment/web").await["spec"]["paused"], true);
    let again = team.asks_for(2, "pause").await;
    team.world.message(&again, "is already at paused=true");
    // What is repaired meanwhile goes out when it is resumed.
    team.space.set_image("web", "example/web:3").await;
    let (_, done) = team.through(3, "resume").await;
    assert_eq!(team.outcome(3).await, Outcome::Done, "{done}");
    assert!(team.space.get("deployment/web").await["spec"]["paused"].is_null());
    assert!(done.contains("2 of 2 available"), "{done}");
    let patch = json!(["patch", "deployments/web", 200]);
    assert_eq!(team.space.writes(), [patch.clone(), patch]);
    team.close().await;
}

/// The server takes two restarts of one second for one, where they are told apart by the time alone.
#[tokio::test]
async fn two_restarts_within_one_second_are_two_roll_outs() {
    let restart = [("restart", "reversible", "restart: { workloads: [deployment/web] }")];
    let Some(team) = Team::doing(&restart, WEB).await else { return };
    team.space.deployed("web", &["example/web:1"], 2).await;
    let mut pods = vec![team.space.pods("app=web").await];
    for incident in [1, 2] {
        let (plan, done) = team.through(incident, "restart").await;
        assert!(plan.contains("Restart web"), "{plan}");
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        team.space.once("pods", |pods| pods["items"].as_array().is_some_and(|items| items.len() == 2)).await;
        let now = team.space.pods("app=web").await;
        assert!(pods.iter().flatten().all(|former| !now.contains(former)), "{now:?} after {pods:?}");
        pods.push(now);
    }
    let patch = json!(["patch", "deployments/web", 200]);
    assert_eq!(team.space.writes(), [patch.clone(), patch]);
    team.close().await;
}

#[tokio::test]
async fn a_container_gets_its_known_good_image_and_the_other_is_left_alone() {
    let actions = [
        ("image", "reversible", "set_image: { workload: deployment/web, images: { web: \"example/web:1\" } }"),
        ("wrong", "reversible", "set_image: { workload: deployment/web, images: { wep: \"example/web:1\" } }"),
    ];
    let Some(team) = Team::doing(&actions, WEB).await else { return };
    let sidecar =
        "      containers: [{ name: web, image: \"example/web:2\" }, { name: sidecar, image: \"example/side:5\" }]\n";
    let two = set("Deployment", "web", "x").replace("      containers: [{ name: web, image: \"x\" }]\n", sidecar);
    team.space.apply(&two).await;
    team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let refused = team.asks_for(1, "wrong").await;
    team.world.message(&refused, "web has no container “wep”; there are web and sidecar");
    let (plan, done) = team.through(2, "image").await;
    assert!(plan.contains("web: example/web:2 → example/web:1") && !plan.contains("sidecar: "), "{plan}");
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    let containers = team.space.get("deployment/web").await["spec"]["template"]["spec"]["containers"].clone();
    let images: Vec<&Value> = containers.as_array().expect("a list").iter().map(|one| &one["image"]).collect();
    assert_eq!(images, ["example/web:1", "example/side:5"]);
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/web", 200])]);
    team.close().await;
}

/// A container that has another name by then is neither added nor taken for the other.
#[tokio::test]
async fn a_container_renamed_after_the_plan_is_stale_and_nothing_is_added() {
    let image =
        [("image", "reversible", "set_image: { workload: deployment/web, images: { web: \"example/web:1\" } }")];
    let Some(team) = Team::doing(&image, WEB).await else { return };
    team.space.apply(&set("Deployment", "web", "example/web:2")).await;
    team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let (channel, card) = team.planned(1, "image").await;
    team.space.apply(&set("Deployment", "web", "example/web:2").replace("[{ name: web,", "[{ name: shop,")).await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Stale { .. }), "{card}");
    let containers = team.space.get("deployment/web").await["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(containers.as_array().map(Vec::len), Some(1));
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

#[tokio::test]
async fn workers_go_to_none_and_come_back_to_the_number_the_cluster_remembers() {
    let actions = [
        ("stop", "reversible", "scale: { workloads: [deployment/web], to: 0 }"),
        ("back", "reversible", "scale_back: { workloads: [deployment/web] }"),
    ];
    let Some(team) = Team::doing(&actions, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1"], 3).await;
    let early = team.asks_for(1, "back").await;
    team.world.message(&early, "the cluster remembers no former number of pods for web: Vigie has not scaled it");
    let (plan, done) = team.through(2, "stop").await;
    assert!(plan.contains("*replicas=3 → replicas=0*"), "{plan}");
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    assert_eq!(team.space.pods("app=web").await, Vec::<String>::new(), "it is over when no pod is left");
    assert_eq!(team.space.get("deployment/web").await["metadata"]["annotations"]["vigie/replicas"], "3");
    let (plan, done) = team.through(3, "back").await;
    assert!(plan.contains("*replicas=0 → replicas=3*"), "{plan}");
    assert_eq!(team.outcome(3).await, Outcome::Done, "{done}");
    let web = team.space.get("deployment/web").await;
    assert_eq!(
        (&web["status"]["availableReplicas"], &web["metadata"]["annotations"]["vigie/replicas"]),
        (&json!(3), &Value::Null)
    );
    let patch = json!(["patch", "deployments/web", 200]);
    assert_eq!(team.space.writes(), [patch.clone(), patch]);
    team.close().await;
}

/// K7, D3 · For its controller a workload is at none while its pods may still write, for as long as their grace lasts.
#[tokio::test]
async fn whoever_stops_a_workload_waits_until_its_last_pod_has_ended() {
    let actions = [
        ("stop", "reversible", "scale: { workloads: [deployment/web], to: 0 }"),
        ("fewer", "reversible", "scale: { workloads: [statefulset/db], to: 1 }"),
    ];
    let Some(team) = Team::doing(&actions, "get, namespace").await else { return };
    team.space.deployed("web", &["example/web:1-lingers"], 2).await;
    set_with(&team.space, "StatefulSet", "db", &["example/db:1-lingers"]).await;
    for (incident, action, labels, left) in [(1, "stop", "app=web", 0), (2, "fewer", "app=db", 1)] {
        let (_, done) = team.through(incident, action).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        let pods = team.space.pods(labels).await;
        assert_eq!(pods.len(), left, "{action}: {pods:?}");
    }
    team.close().await;
}

/// K4, K7 · A bad roll-out stands still, and the good version has to carry more meanwhile. How many pods serve decides, whatever
/// their revision.
#[tokio::test]
async fn in_a_paused_roll_out_a_new_number_of_pods_is_there_when_so_many_serve() {
    let actions = [
        ("more", "reversible", "scale: { workloads: [deployment/web], to: 6 }"),
        ("back", "reversible", "scale_back: { workloads: [deployment/web] }"),
    ];
    let setting = Setting { actions: &actions, check: "get, deployment/web", within: "15s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2-broken"], 3).await;
    team.space.once("deployment/web", |web| web["status"]["updatedReplicas"] == 1).await;
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    for (incident, action, number) in [(1, "more", 6), (2, "back", 3)] {
        let (_, done) = team.through(incident, action).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        let web = team.space.get("deployment/web").await;
        assert_eq!((&web["status"]["availableReplicas"], &web["spec"]["paused"]), (&json!(number), &json!(true)));
    }
    team.close().await;
}

/// K3, K7, K16 · Pods of the former template are as good as any where only somebody who deletes them brings the new one.
#[tokio::test]
async fn what_changes_its_pods_on_delete_is_scaled_and_looked_at_and_not_waited_for() {
    let Some(space) = Namespace::open().await else { return };
    let actions = [
        ("more", "reversible", "scale: { workloads: [statefulset/db], to: 3 }"),
        ("back", "reversible", "scale_back: { workloads: [statefulset/db] }"),
        ("wait", "reversible", "wait: { workloads: [daemonset/agent] }"),
    ];
    let looks = [("sets", "workloads: [statefulset/db, daemonset/agent]")];
    let setting =
        Setting { actions: &actions, looks: &looks, check: "get, namespace", within: "15s", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    for (kind, name, ready) in [("StatefulSet", "db", "readyReplicas"), ("DaemonSet", "agent", "numberAvailable")] {
        let by_hand = |image: &str| {
            set(kind, name, image).replace("  selector", "  updateStrategy: { type: OnDelete }\n  selector")
        };
        let of = format!("{}/{name}", kind.to_lowercase());
        team.space.apply(&by_hand("example/it:1")).await;
        team.space.once(&of, |object| object["status"][ready].as_i64().is_some_and(|ready| ready > 0)).await;
        team.space.apply(&by_hand("example/it:2")).await;
    }
    team.space.once("statefulset/db", |db| db["status"]["readyReplicas"] == 2).await;
    let is_seen = |db: &Value| db["status"]["updateRevision"] != db["status"]["currentRevision"];
    team.space.once("statefulset/db", is_seen).await;
    for (incident, action, number) in [(1, "more", 3), (2, "back", 2)] {
        let (_, done) = team.through(incident, action).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        assert_eq!(team.space.get("statefulset/db").await["status"]["readyReplicas"], number);
    }
    let channel = team.asks_for(3, "wait").await;
    team.world.message(&channel, "agent changes its pods only when somebody deletes them (OnDelete)");
    team.world.types("U0ONCALL", &channel, "diagnose web").await;
    let incident = team.world.incident(3).await;
    let (_, round) = incident.last_diagnostic().expect("the round ended");
    let results = round.results.as_ref().expect("the round ended");
    let judged = results.iter().find(|result| result.check == "sets").map(|result| result.verdict);
    assert_eq!(judged, Some(Verdict::Pass), "{results:?}");
    team.close().await;
}

/// What does not end in time may still write, and nobody goes on as if it did not.
#[tokio::test]
async fn a_pod_that_does_not_end_in_time_fails_the_stop() {
    let actions = [("stop", "reversible", "scale: { workloads: [deployment/web], to: 0 }")];
    let setting = Setting { actions: &actions, check: "get, namespace", within: "2s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    team.space.deployed("web", &["example/web:1-lingers"], 2).await;
    let (_, done) = team.through(1, "stop").await;
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "{done}");
    assert!(done.contains("2 pods of web have not ended in time and may still write"), "{done}");
    team.close().await;
}

/// How many pods there were says nothing of a revision, so it does not go with one.
#[tokio::test]
async fn a_roll_back_leaves_the_remembered_number_of_pods() {
    let actions = [
        ("stop", "reversible", "scale: { workloads: [deployment/web], to: 0 }"),
        ("undo", "reversible", "undo: { workloads: [deployment/web] }"),
        ("back", "reversible", "scale_back: { workloads: [deployment/web] }"),
    ];
    let Some(team) = Team::doing(&actions, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 2).await;
    for (incident, action) in [(1, "stop"), (2, "undo"), (3, "back")] {
        let (_, done) = team.through(incident, action).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{action}: {done}");
    }
    let web = team.space.get("deployment/web").await;
    assert_eq!((team.space.image("web").await.as_str(), &web["spec"]["replicas"]), ("example/web:1", &json!(2)));
    team.close().await;
}

#[tokio::test]
async fn an_autoscaler_that_will_set_the_number_anew_stands_in_the_plan() {
    let actions = [
        ("stop", "reversible", "scale: { workloads: [deployment/web], to: 0 }"),
        ("more", "reversible", "scale: { workloads: [deployment/web], to: 5 }"),
    ];
    let Some(team) = Team::doing(&actions, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1"], 2).await;
    let autoscaler = "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: { name: web }\nspec: { minReplicas: \
                      2, maxReplicas: 4, scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web } }\n";
    team.space.apply(autoscaler).await;
    let (_, more) = team.planned(1, "more").await;
    assert!(shown(&more).contains("The autoscaler web (2 to 4 pods) may change the number again"), "{}", shown(&more));
    let (_, stop) = team.planned(2, "stop").await;
    assert!(shown(&stop).contains("The autoscaler web rests while there are no pods"), "{}", shown(&stop));
    team.close().await;
}

/// K3 · A container that was ended and is not restarted yet waits for nothing, and yet it is what fails.
#[tokio::test]
async fn a_pod_that_was_killed_for_its_memory_is_said_to_be_with_its_last_lines() {
    let image =
        [("image", "reversible", "set_image: { workload: deployment/web, images: { web: \"example/web:2-oom\" } }")];
    let setting = Setting { actions: &image, check: "get, namespace", within: "4s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    team.space.deployed("web", &["example/web:1"], 1).await;
    let (_, done) = team.through(1, "image").await;
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "{done}");
    assert!(done.contains("1 × OOMKilled, exit 137") && done.contains("INFO starting pod=web"), "{done}");
    team.close().await;
}

/// K7 · Somebody scales beyond what the autoscaler allows, and that sets its own number while the pods are not available yet.
#[tokio::test]
async fn a_number_that_the_autoscaler_sets_during_the_step_is_its_end() {
    let actions = [("more", "reversible", "scale: { workloads: [deployment/web], to: 5 }")];
    let Some(team) = Team::doing(&actions, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1"], 2).await;
    // Available long after the autoscaler has looked, which it does four times a minute.
    team.space.kubectl(&["patch", "deployment/web", "--patch", "{\"spec\":{\"minReadySeconds\":25}}"]).await;
    let autoscaler = "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: { name: web }\nspec: { minReplicas: \
                      2, maxReplicas: 4, scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web } }\n";
    team.space.apply(autoscaler).await;
    let (_, done) = team.through(1, "more").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert!(done.contains("web: its autoscaler wants 4 pods, 4 available"), "{done}");
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/web", 200])]);
    team.close().await;
}

/// Both count their runs from one; the second must not take the mark of the first for its own.
#[tokio::test]
async fn a_vigie_with_a_new_database_does_not_take_what_the_one_before_did_for_its_own() {
    let restart = [("restart", "reversible", "restart: { workloads: [deployment/web] }")];
    let setting = Setting { actions: &restart, check: WEB, ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    team.space.deployed("web", &["example/web:1"], 1).await;
    team.through(1, "restart").await;
    let former = team.space.pods("app=web").await;
    let Team { world, space } = team;
    world.close().await;
    let team = Team::on(space, setting).await;
    team.world.seconds(1).await;
    let (_, done) = team.through(1, "restart").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    team.space.once("pods", |pods| pods["items"].as_array().is_some_and(|items| items.len() == 1)).await;
    assert_ne!(team.space.pods("app=web").await, former, "{done}");
    team.close().await;
}

/// The workers stop, something else is done, and they run again whatever came of it (K7 around D3).
#[tokio::test]
async fn workers_stop_and_come_back_within_one_plan_although_what_was_done_meanwhile_failed() {
    let Some(space) = Namespace::open().await else { return };
    let within = |what: &str| {
        format!(
            "scale: {{ workloads: [deployment/web], to: 0 }}\n      - title: Restore\n        command: {{ target: database, risk: \
             reversible, to: restored, argv: [{what}] }}\n      - always: true\n        within: 1m\n        kubernetes:\n          \
             cluster: production\n          namespace: {}\n          scale_back: {{ workloads: [deployment/web] }}",
            space.name
        )
    };
    let (good, bad) = (within("\"true\""), within("\"false\""));
    let actions = [("restore", "reversible", good.as_str()), ("restore-bad", "reversible", bad.as_str())];
    let setting = Setting { actions: &actions, check: "get, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1"], 2).await;

    let (plan, done) = team.through(1, "restore-bad").await;
    let back = "3. Scale web from replicas=0 to replicas=2";
    for line in [back, "also when a step before it fails"] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(1), .. }), "{done}");
    let web = team.space.get("deployment/web").await;
    assert_eq!((&web["status"]["availableReplicas"], &web["spec"]["replicas"]), (&json!(2), &json!(2)), "{done}");

    let (_, done) = team.through(2, "restore").await;
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    assert_eq!(team.space.get("deployment/web").await["status"]["availableReplicas"], 2);
    let patch = json!(["patch", "deployments/web", 200]);
    assert_eq!(team.space.writes(), [patch.clone(), patch.clone(), patch.clone(), patch]);
    // The workers run as before, so there is nothing of theirs to take back.
    let channel = team.world.channel(2).await;
    team.world.types("U0ONCALL", &channel, "undo run_2_1").await;
    team.world.message(&channel, "Restore: there is no way back");
    team.close().await;
}
