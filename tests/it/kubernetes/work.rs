//! Things that end or go: Jobs that run once, objects that are deleted, pods that are made anew; and what a cluster says.

use serde_json::{Value, json};
use vigie::incident::approval::{Outcome, Verdict};
use vigie::incident::state::Phase;

use super::plane::Namespace;
use super::process::Outside;
use super::team::{Setting, Team};
use crate::world::{shown, ts};

const WEB: &str = "rollout, status, deployment/web, --timeout=20s";

/// A Job that ends by itself.
fn job(name: &str, image: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: {name}, labels: {{ app: import }} }}\nspec:\n  backoffLimit: 0\n  \
         template:\n    metadata: {{ labels: {{ job: {name} }} }}\n    spec:\n      restartPolicy: Never\n      containers: [{{ name: task, image: \"{image}\" }}]\n"
    )
}

async fn none_left(space: &Namespace, what: &str, labels: &str) {
    let gone = async || {
        let left = space.kubectl(&["get", what, "--selector", labels, "--output", "name"]).await;
        left.trim().is_empty().then_some(())
    };
    crate::faults::until(&format!("no {what} with {labels} is left"), super::process::PATIENCE, gone).await;
}

/// Without a word of how, the server would leave the pods of a Job running.
#[tokio::test]
async fn a_deleted_job_takes_its_pods_with_it_and_the_absent_are_named() {
    let delete = [("clean", "destructive", "delete: { kind: job, names: [import, export] }")];
    let Some(team) = Team::doing(&delete, "get, namespace").await else { return };
    team.space.apply(&job("import", "example/task:1-slow")).await;
    team.space.once("pods", |pods| pods["items"].as_array().is_some_and(|all| all.len() == 1)).await;
    let (plan, done) = team.through(1, "clean").await;
    for line in ["Delete the job import", "not there: export", "its pods go with it"] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    none_left(&team.space, "pods", "job=import").await;
    let again = team.asks_for(2, "clean").await;
    team.world.message(&again, "is already at 0");
    assert_eq!(team.space.writes(), [json!(["delete", "jobs/import", 200])]);
    team.close().await;
}

/// K12, P1 · One step of several that finds its end reached is no reason to refuse the others.
#[tokio::test]
async fn a_step_with_nothing_to_do_stands_on_the_card_and_is_looked_at_again() {
    let Some(space) = Namespace::open().await else { return };
    let steps = format!(
        "delete: {{ kind: job, names: [import] }}\n      - within: 1m\n        kubernetes:\n          cluster: production\n          \
         namespace: {}\n          pause: {{ workloads: [deployment/web] }}",
        space.name
    );
    let actions = [("clean", "destructive", steps.as_str())];
    let setting = Setting { actions: &actions, check: "get, namespace", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1"], 1).await;
    let (plan, done) = team.through(1, "clean").await;
    assert!(plan.contains("1. Nothing to do: job/import") && plan.contains("2. Pause the roll-out of web"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.get("deployment/web").await["spec"]["paused"], true);
    let (_, back) = team.taken_back(1).await;
    assert!(team.space.get("deployment/web").await["spec"]["paused"].is_null(), "{back}");

    // It appears after the plan, and nobody has approved its end.
    let (channel, card) = team.planned(2, "clean").await;
    team.space.apply(&job("import", "example/task:1")).await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(2).await, Outcome::Stale { step: 0, .. }), "{card}");
    assert!(card.contains("Delete the job import"), "{card}");
    team.space.get("job/import").await;

    team.space.kubectl(&["delete", "job/import"]).await;
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    let again = team.asks_for(3, "clean").await;
    team.world.message(&again, "is already at");
    team.close().await;
}

/// K4 · The same for one of several workloads, of which only the others are taken back.
#[tokio::test]
async fn one_of_several_workloads_that_is_there_already_does_not_hold_up_the_others() {
    let pause = [("pause", "reversible", "pause: { workloads: [deployment/web, deployment/api] }")];
    let Some(team) = Team::doing(&pause, "get, namespace").await else { return };
    for name in ["web", "api"] {
        team.space.deployed(name, &["example/web:1"], 1).await;
    }
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    let (_, done) = team.through(1, "pause").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.get("deployment/api").await["spec"]["paused"], true);
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/api", 200])]);
    team.taken_back(1).await;
    let paused = [team.space.get("deployment/web").await, team.space.get("deployment/api").await];
    assert_eq!(paused.map(|object| object["spec"]["paused"].clone()), [json!(true), Value::Null]);
    team.close().await;
}

/// K12, D3 · Whoever restores data afterwards counts on nobody writing any more, and the pods of a Job outlive it.
#[tokio::test]
async fn a_deleted_job_is_gone_only_when_its_last_pod_has_ended() {
    let delete = [("clean", "destructive", "delete: { kind: job, names: [import] }")];
    for (within, is_in_time) in [("1m", true), ("2s", false)] {
        let setting = Setting { actions: &delete, check: "get, namespace", within, ..Setting::default() };
        let Some(team) = Team::having(setting).await else { return };
        team.space.apply(&job("import", "example/task:1-slow-lingers")).await;
        let runs = |pods: &Value| pods["items"][0]["status"]["phase"] == "Running";
        team.space.once("pods", runs).await;
        let (_, told) = team.through(1, "clean").await;
        let left = team.space.pods("job=import").await;
        if is_in_time {
            assert_eq!((team.outcome(1).await, left.len()), (Outcome::Done, 0), "{told}");
        } else {
            assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "{told}");
            assert!(told.contains("1 pod of import has not ended in time and may still write"), "{told}");
        }
        assert_eq!(team.space.writes(), [json!(["delete", "jobs/import", 200])]);
        team.close().await;
    }
}

/// K12, K13 · What is gone does not come back, so it is said although the rest may not go.
#[tokio::test]
async fn what_is_gone_already_is_said_when_the_next_may_not_go() {
    let actions = [
        ("clean", "destructive", "delete: { kind: pod, names: [one, two] }"),
        ("anew", "reversible", "recreate_pods: { selector: \"app=web\", at_once: 2 }"),
    ];
    let setting = Setting { actions: &actions, check: "get, namespace", within: "4s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    for name in ["one", "two"] {
        team.space.kubectl(&["run", name, "--image=example/web:1"]).await;
    }
    let (channel, card) = team.planned(1, "clean").await;
    let mut role = team.space.get("role/vigie").await;
    for rule in role["rules"].as_array_mut().expect("rules") {
        if rule["resources"] == json!(["pods"]) && rule["resourceNames"] == json!(["two"]) {
            rule["verbs"] = json!(["get"]);
        }
    }
    team.space.apply(&role.to_string()).await;
    team.space.until_denied("delete", "pods/two").await;
    let card = team.approved(&channel, &card).await;
    assert!(card.contains("deleted: one; not deleted: two, because Vigie has no right there"), "{card}");
    assert_eq!(team.space.pods("run=two").await, ["pod/two"]);

    // The second pod may go only when the one in the place of the first is ready, which takes longer than there is time.
    team.space.deployed("web", &["example/web:1-slow"], 2).await;
    let budget = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: { name: all }\nspec: { minAvailable: 1, \
                  selector: { matchLabels: { app: web } } }\n";
    team.space.apply(budget).await;
    team.space.once("pdb/all", |budget| budget["status"]["disruptionsAllowed"] == 1).await;
    let (_, told) = team.through(2, "anew").await;
    assert!(told.contains("deleted: web-") && told.contains("because a disruption budget does not let web-"), "{told}");
    team.close().await;
}

#[tokio::test]
async fn pods_go_by_their_labels_and_another_of_the_same_name_stays() {
    let delete = [("clean", "destructive", "delete: { kind: pod, selector: \"run=one\" }")];
    let Some(team) = Team::doing(&delete, "get, namespace").await else { return };
    let run = ["run", "one", "--image=example/web:1", "--restart=Never"];
    team.space.kubectl(&run).await;
    let (channel, card) = team.planned(1, "clean").await;
    team.space.kubectl(&["delete", "pod/one", "--now"]).await;
    team.space.kubectl(&run).await;
    let card = team.approved(&channel, &card).await;
    assert!(card.contains("left alone, because they are other objects of these names now: one"), "{card}");
    assert_eq!(team.space.pods("run=one").await, ["pod/one"]);
    let (_, done) = team.through(2, "clean").await;
    assert!(done.contains("one gone"), "{done}");
    none_left(&team.space, "pods", "run=one").await;
    team.close().await;
}

/// The server says yes, and the claim stays until its pod is gone.
#[tokio::test]
async fn a_volume_claim_in_use_is_refused_with_the_pod_that_uses_it() {
    let delete = [("clean", "destructive", "delete: { kind: pvc, names: [data] }")];
    let Some(team) = Team::doing(&delete, "get, namespace").await else { return };
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec: { accessModes: [ReadWriteOnce], \
                 storageClassName: none, volumeName: VOLUME, resources: { requests: { storage: 1Gi } } }\n---\n\
                 apiVersion: v1\nkind: PersistentVolume\nmetadata: { name: VOLUME }\nspec: { accessModes: [ReadWriteOnce], \
                 storageClassName: none, capacity: { storage: 1Gi }, hostPath: { path: /nowhere } }\n";
    team.space.apply(&claim.replace("VOLUME", &team.space.name)).await;
    team.space.once("pvc/data", |claim| claim["status"]["phase"] == "Bound").await;
    let user = "apiVersion: v1\nkind: Pod\nmetadata: { name: db, labels: { run: db } }\nspec:\n  volumes: [{ name: data, \
                persistentVolumeClaim: { claimName: data } }]\n  containers: [{ name: db, image: \"example/db:1\" }]\n";
    team.space.apply(user).await;
    team.space.once("pod/db", |pod| pod["status"]["phase"] == "Running").await;
    let channel = team.asks_for(1, "clean").await;
    team.world.message(&channel, "data is used by db");
    team.space.kubectl(&["delete", "pod/db", "--now"]).await;
    let (channel, card) = team.planned(2, "clean").await;
    team.space.apply(user).await;
    team.space.once("pod/db", |pod| pod["status"]["phase"] == "Running").await;
    let late = team.approved(&channel, &card).await;
    assert!(late.contains("data is used by db"), "somebody began to use it after the plan: {late}");
    assert!(matches!(team.outcome(2).await, Outcome::Stale { step: 0, .. }), "{late}");
    team.space.kubectl(&["delete", "pod/db", "--now"]).await;
    let (plan, done) = team.through(3, "clean").await;
    assert!(plan.contains("what is stored there may be lost"), "{plan}");
    assert_eq!(team.outcome(3).await, Outcome::Done, "{done}");
    assert_eq!(team.space.writes(), [json!(["delete", "persistentvolumeclaims/data", 200])]);
    team.space.kubectl(&["delete", &format!("pv/{}", team.space.name), "--wait=false"]).await;
    team.close().await;
}

#[tokio::test]
async fn pods_are_made_anew_one_at_a_time() {
    let recreate = [("anew", "reversible", "recreate_pods: { selector: \"app=web\" }")];
    let Some(team) = Team::doing(&recreate, WEB).await else { return };
    team.space.deployed("web", &["example/web:1"], 2).await;
    let before = team.space.pods("app=web").await;
    let (plan, done) = team.through(1, "anew").await;
    assert!(plan.contains("Make 2 pods of app=web anew") && plan.contains("1 at a time: web-"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    let now = team.space.pods("app=web").await;
    assert!(before.iter().all(|former| !now.contains(former)), "{now:?} after {before:?}");
    let writes = team.space.writes();
    assert!(writes.len() == 2 && writes.iter().all(|write| write[0] == "create" && write[2] == 201), "{writes:?}");
    team.close().await;
}

/// K13 · What is not ready, or has ended, is no reason to wait for what never was.
#[tokio::test]
async fn pods_that_are_not_ready_are_made_anew_like_the_others_and_ended_ones_are_left_out() {
    let recreate = [("anew", "reversible", "recreate_pods: { selector: \"app=web\" }")];
    let setting = Setting { actions: &recreate, check: WEB, within: "20s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    team.space.deployed("web", &["example/web:1"], 3).await;
    team.space.kubectl(&["run", "old", "--image=example/web:1", "--restart=Never", "--labels=app=web"]).await;
    team.space.once("pod/old", |pod| pod["status"]["phase"] == "Succeeded").await;
    let before: Vec<String> = team.space.pods("app=web").await.into_iter().filter(|pod| pod != "pod/old").collect();
    for pod in before.iter().take(2) {
        team.space.kubectl(&["set", "image", pod, "web=example/web:1-unready"]).await;
        let is_not_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == false;
        team.space.once(pod, is_not_ready).await;
    }
    let (plan, done) = team.through(1, "anew").await;
    assert!(plan.contains("Make 3 pods") && plan.contains("left out, because they have ended: old"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    let after = team.space.pods("app=web").await;
    assert!(before.iter().all(|pod| !after.contains(pod)) && after.contains(&"pod/old".to_owned()), "{after:?}");
    team.close().await;
}

/// They belong to a workload that another run may be changing.
#[tokio::test]
async fn whoever_makes_pods_anew_or_deletes_them_holds_their_workload() {
    let actions = [
        ("anew", "reversible", "recreate_pods: { selector: \"app=web\" }"),
        ("kill", "destructive", "delete: { kind: pod, selector: \"app=web\" }"),
    ];
    let Some(team) = Team::doing(&actions, WEB).await else { return };
    team.space.deployed("web", &["example/web:1"], 1).await;
    for (incident, action) in [(1, "anew"), (2, "kill")] {
        team.planned(incident, action).await;
        let plan = team.run(incident).await.plan.expect("there is a plan");
        let web = format!("kubernetes/production/{}/deployment/web", team.space.name);
        assert!(plan.steps[0].locks().contains(&web), "{:?}", plan.steps[0].locks());
    }
    team.close().await;
}

#[tokio::test]
async fn a_disruption_budget_is_waited_for_and_named() {
    let recreate = [("anew", "reversible", "recreate_pods: { selector: \"app=web\" }")];
    let setting = Setting { actions: &recreate, check: WEB, within: "5s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    team.space.deployed("web", &["example/web:1"], 1).await;
    let budget = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: { name: all }\nspec: { minAvailable: 1, \
                  selector: { matchLabels: { app: web } } }\n";
    team.space.apply(budget).await;
    team.space.once("pdb/all", |budget| budget["status"]["currentHealthy"] == 1).await;
    let before = team.space.pods("app=web").await;
    let (_, done) = team.through(1, "anew").await;
    assert!(done.contains("a disruption budget does not let web-"), "{done}");
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }));
    assert_eq!(team.space.pods("app=web").await, before);
    team.close().await;
}

/// K13 · One budget lets a pod go later; two never do, and the server tells it as its own trouble.
#[tokio::test]
async fn pods_of_two_disruption_budgets_are_refused_at_the_plan() {
    let recreate = [("anew", "reversible", "recreate_pods: { selector: \"app=web\" }")];
    let Some(team) = Team::doing(&recreate, WEB).await else { return };
    team.space.deployed("web", &["example/web:1"], 2).await;
    for name in ["all", "too"] {
        let budget = format!(
            "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {{ name: {name} }}\nspec: {{ maxUnavailable: 1, \
             selector: {{ matchLabels: {{ app: web }} }} }}\n"
        );
        team.space.apply(&budget).await;
        team.space.once(&format!("pdb/{name}"), |budget| budget["status"]["currentHealthy"] == 2).await;
    }
    let channel = team.asks_for(1, "anew").await;
    team.world.message(&channel, "more than one disruption budget selects web-");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

#[tokio::test]
async fn a_job_runs_once_its_log_is_followed_and_it_is_tidied_up() {
    let run = [(
        "migrate",
        "destructive",
        "job: { image: \"example/task:1-slow\", command: [migrate, down], env: { STEP: seen-step }, secrets: { KEY: \
         \"${PHONES_SECRET}\" } }",
    )];
    let Some(team) = Team::doing(&run, "get, namespace").await else { return };
    let (channel, card) = team.planned(1, "migrate").await;
    let plan = shown(&card);
    for line in ["migrate down · example/task:1-slow", "variables besides: STEP=seen-step", "values are not shown: KEY"]
    {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert!(!plan.contains("practice-practice"), "{plan}");
    let done = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    let job = format!("vigie-{}", team.mark(1).await.replace('_', "-"));
    assert!(done.contains(&format!("{job} ended with 0")), "{done}");
    let edits = team.world.ws().calls_of("chat.update").into_iter().filter(|call| call.args["ts"] == card["ts"]);
    let followed = edits.map(|call| shown(&call.args)).filter(|text| text.contains("↳")).count();
    assert!(followed > 0, "a line of the log was on the card");
    let writes = [json!(["create", format!("jobs/{job}"), 201]), json!(["delete", format!("jobs/{job}"), 200])];
    assert_eq!(team.space.writes(), writes);
    none_left(&team.space, "pods", &format!("job-name={job}")).await;
    team.close().await;
}

#[tokio::test]
async fn a_job_that_fails_says_its_exit_code_and_its_last_lines_and_stays() {
    let run = [("migrate", "destructive", "job: { like: deployment/web, command: [migrate, down] }")];
    let Some(team) = Team::doing(&run, WEB).await else { return };
    team.space.deployed("web", &["example/web:1-fail"], 1).await;
    let (plan, done) = team.through(1, "migrate").await;
    assert!(plan.contains("with the environment and the volumes of deployment/web"), "{plan}");
    let name = format!("vigie-{}", team.mark(1).await.replace('_', "-"));
    assert!(done.contains(&format!("{name} ended with 3")) && done.contains("ERROR"), "{done}");
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }));
    let job = team.space.get(&format!("job/{name}")).await;
    let command = &job["spec"]["template"]["spec"]["containers"][0]["command"];
    assert_eq!(command, &json!(["migrate", "down"]));
    assert_eq!(team.space.writes(), [json!(["create", format!("jobs/{name}"), 201])]);
    team.close().await;
}

/// A Job that cannot begin is not left to begin when nobody expects it any more.
#[tokio::test]
async fn a_job_that_never_runs_is_stopped_at_the_deadline() {
    let run = [("migrate", "destructive", "job: { image: \"example/task:1-broken\", command: [migrate] }")];
    let setting = Setting { actions: &run, check: "get, namespace", within: "4s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    let (_, done) = team.through(1, "migrate").await;
    assert!(done.contains("ImagePullBackOff") || done.contains("at its deadline"), "{done}");
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "{done}");
    team.close().await;
}

#[tokio::test]
async fn the_quick_diagnostic_says_what_the_cluster_says() {
    let Some(space) = Namespace::open().await else { return };
    let looks = [
        ("roll-outs", "workloads: [deployment/web]"),
        ("pods", "pods: { selector: \"app=bad\", restarts: { fail_above: 100 } }"),
        ("service", "service: web"),
        ("events", "events: { within: 15m }"),
        ("errors", "logs: { selector: \"app=web\", filter: ERROR, within: 10m, limits: { warn_above: 1 } }"),
        ("nobody", "logs: { selector: \"app=wev\", filter: ERROR, within: 10m, limits: { warn_above: 1 } }"),
        ("unread", "logs: { selector: \"app=bad\", filter: ERROR, within: 10m, limits: { fail_above: 1 } }"),
        ("top", "top: { selector: \"app=web\", memory: { fail_above: 1000000 } }"),
    ];
    let setting = Setting { looks: &looks, ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1"], 2).await;
    team.space.kubectl(&["expose", "deployment/web", "--port=80"]).await;
    team.space.deployed("bad", &["example/web:1-broken"], 2).await;
    let filled = |endpoints: &Value| endpoints["subsets"][0]["addresses"].as_array().is_some_and(|all| all.len() == 2);
    team.space.once("endpoints/web", filled).await;
    let pulled = |pods: &Value| pods["items"].to_string().matches("ImagePullBackOff").count() >= 2;
    team.space.once("pods", pulled).await;
    team.space.once("events", |events| events["items"].to_string().contains("\"Warning\"")).await;
    team.world.types("U0ONCALL", "C0GENERAL", "start sev2 the web fails").await;
    let channel = team.world.channel(1).await;
    team.world.types("U0ONCALL", &channel, "diagnose web").await;
    let incident = team.world.incident(1).await;
    let (_, round) = incident.last_diagnostic().expect("the round ended");
    let results = round.results.as_ref().expect("the round ended");
    // That nobody said anything is no good sign where nobody was heard.
    let judged = |name: &str| results.iter().find(|result| result.check == name).map(|result| result.verdict);
    assert_eq!([judged("nobody"), judged("unread")], [Some(Verdict::Fail), Some(Verdict::Warn)], "{results:?}");
    let said = shown(&team.world.message(&channel, "sends to 2 pods"));
    for line in [
        "web: 2 of 2 updated, 2 available",
        "0 of 2 ready",
        "2 × ImagePullBackOff",
        "app=web: sends to 2 pods",
        "in 15 min",
        "lines with ERROR in 10 min",
        "there are no pods with app=wev",
        "2 logs not there",
        "MiB in 2 pods",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    // And line by line for whoever asks.
    let card = team.world.message(&channel, "sends to 2 pods");
    team.world.clicks("U0ONCALL", &channel, &ts(&card), "details").await;
    let details = team.world.told("U0ONCALL").pop().expect("the details are shown");
    for line in [" 0/1 ImagePullBackOff restarts=0 ", " web-", " ready", "Warning Failed Pod/bad-", "Mi"] {
        assert!(details.contains(line), "{line} is not in {details}");
    }
    team.close().await;
}

/// K16 · A Job's pod that is done, or one that was evicted, is no pod that is not ready. A workload without pods serves nobody.
#[tokio::test]
async fn pods_that_have_ended_are_named_and_what_is_scaled_to_none_is_worth_a_look() {
    let Some(space) = Namespace::open().await else { return };
    let looks = [
        ("pods", "pods: { selector: \"app=web\", restarts: { fail_above: 100 } }"),
        ("running", "workloads: [deployment/web]"),
        ("stopped", "workloads: [deployment/none]"),
    ];
    let setting = Setting { looks: &looks, ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1"], 2).await;
    team.space.deployed("none", &["example/web:1"], 0).await;
    for (name, image) in [("import", "example/task:1"), ("export", "example/task:1-fail")] {
        let image = format!("--image={image}");
        team.space.kubectl(&["run", name, &image, "--restart=Never", "--labels=app=web"]).await;
        let has_ended = |pod: &Value| pod["status"]["phase"] == "Succeeded" || pod["status"]["phase"] == "Failed";
        team.space.once(&format!("pod/{name}"), has_ended).await;
    }
    team.world.types("U0ONCALL", "C0GENERAL", "start sev2 the web fails").await;
    let channel = team.world.channel(1).await;
    team.world.types("U0ONCALL", &channel, "diagnose web").await;
    let incident = team.world.incident(1).await;
    let (_, round) = incident.last_diagnostic().expect("the round ended");
    let results = round.results.as_ref().expect("the round ended");
    let judged = |name: &str| results.iter().find(|result| result.check == name).map(|result| result.verdict);
    let verdicts = [judged("pods"), judged("running"), judged("stopped")];
    assert_eq!(verdicts, [Some(Verdict::Pass), Some(Verdict::Pass), Some(Verdict::Warn)], "{results:?}");
    let said = shown(&team.world.message(&channel, "2 of 2 ready"));
    assert!(said.contains("; ended: export and import") && said.contains("none is to have 0 pods"), "{said}");
    team.close().await;
}

/// The server says field by field what it does not like; that is what people read, and nothing else of its answer.
#[tokio::test]
async fn what_the_server_finds_wrong_with_a_field_is_said_with_the_field() {
    let run =
        [("migrate", "destructive", "job: { image: \"example/task:1\", command: [migrate], env: { \"A=B\": \"1\" } }")];
    let Some(team) = Team::doing(&run, "get, namespace").await else { return };
    let channel = team.asks_for(1, "migrate").await;
    let refused = shown(&team.world.message(&channel, "spec.template.spec.containers[0].env[0].name: Invalid value"));
    assert!(!refused.contains("is invalid: spec.template"), "{refused}");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

/// K10, K14 · A quota forbids with the code that roles forbid with. People read what it is about, and no word of a right that is
/// there.
#[tokio::test]
async fn what_a_quota_forbids_is_not_told_as_a_missing_right() {
    let actions = [
        ("migrate", "destructive", "job: { image: example/task:1, command: [migrate] }"),
        ("restore", "reversible", "put_secret_back: { name: app, from: app-saved, restart: [] }"),
    ];
    let Some(team) = Team::doing(&actions, "get, namespace").await else { return };
    for (name, value) in [("app", "hunter2-live"), ("app-saved", "hunter2-saved")] {
        let value = format!("--from-literal=password={value}");
        team.space.kubectl(&["create", "secret", "generic", name, &value]).await;
    }
    team.space.kubectl(&["create", "quota", "none", "--hard=count/jobs.batch=0,count/secrets=0"]).await;
    team.space.once("resourcequota/none", |quota| quota["status"]["used"].is_object()).await;
    for (incident, action, says) in [(1, "migrate", "exceeded quota: none"), (2, "restore", "(403 Forbidden)")] {
        let channel = team.asks_for(incident, action).await;
        let refused = shown(&team.world.message(&channel, says));
        assert!(refused.contains("the API server refuses it") && !refused.contains("no right"), "{refused}");
    }
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

/// Two roll-outs at once are one line on the card.
#[tokio::test]
async fn several_workloads_are_followed_on_one_line() {
    let Some(space) = Namespace::open().await else { return };
    let undo = [("undo", "reversible", "undo: { workloads: [deployment/web, deployment/api] }")];
    let setting = Setting { actions: &undo, check: WEB, ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    for name in ["web", "api"] {
        space.deployed(name, &["example/web:1-slow", "example/web:2"], 2).await;
    }
    let outside = Outside::open(&space, &setting).await;
    let bot = outside.town.start().await;
    outside.approves(1, "undo").await;
    let run = outside.ended(1).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    bot.stop().await;
    let shown = outside.town.ws().calls_of("chat.update");
    let both = |call: &str| call.contains("web: ") && call.contains("api: ") && call.contains('↳');
    assert!(shown.iter().any(|call| both(&call.args.to_string())), "no edit tells of both");
}
