//! What was done is taken back by a plan of its own (P7), whatever it was.

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;

use super::plane::Namespace;
use super::team::{Setting, Team};

/// K4, K6, K8, K9, P7 · One after the other, each from how the cluster is by then.
#[tokio::test]
async fn a_switch_flags_an_image_and_a_pause_are_taken_back() {
    let actions = [
        ("switch", "reversible", "select: { services: [web, api], label: version, among: [blue, green] }"),
        (
            "flags",
            "reversible",
            "flags: { config_map: features, set: { checkout: \"off\" }, remove: [beta], restart: [deployment/web-blue] }",
        ),
        ("image", "reversible", "set_image: { workload: deployment/web-green, images: { web: \"example/web:3\" } }"),
        ("pause", "reversible", "pause: { workloads: [deployment/web-green] }"),
    ];
    let Some(team) = Team::doing(&actions, "get, service/web").await else { return };
    let space = &team.space;
    space.colours("example/web:1").await;
    let flags = ["--from-literal=checkout=on", "--from-literal=beta=yes", "--from-literal=other=1"];
    space.kubectl(&[["create", "configmap", "features"].as_slice(), flags.as_slice()].concat()).await;
    let state = async || {
        let (web, api) = (space.get("service/web").await, space.get("service/api").await);
        let (flags, green) = (space.get("configmap/features").await, space.get("deployment/web-green").await);
        let image = green.pointer("/spec/template/spec/containers/0/image").cloned();
        json!([web["spec"]["selector"], api["spec"]["selector"], flags["data"], image, green["spec"]["paused"]])
    };
    let before = state().await;
    for (incident, action, back) in [
        (1, "switch", "version=blue → version=green"),
        (2, "flags", "beta, checkout=off → beta=yes, checkout=on"),
        (3, "image", "example/web:3 · revision 2 → example/web:2 · revision 1"),
        (4, "pause", "paused=true → paused=false"),
    ] {
        let (_, done) = team.through(incident, action).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        assert_ne!(state().await, before, "{action} changes something");
        let (plan, _) = team.taken_back(incident).await;
        assert!(plan.contains(back), "{back} is not in {plan}");
        assert_eq!(state().await, before, "{action} is taken back");
    }
    let patched = |what: &str| json!(["patch", what, 200]);
    let of = |what: &[&str]| what.iter().map(|one| patched(one)).collect::<Vec<Value>>();
    let services = ["services/web", "services/api"];
    let flags = ["configmaps/features", "deployments/web-blue"];
    let (green, twice) = (of(&["deployments/web-green"; 4]), [of(&services), of(&services), of(&flags), of(&flags)]);
    assert_eq!(space.writes(), [twice.concat(), green].concat());
    team.close().await;
}

/// K5, P7 · Pods that are gone do not come back.
#[tokio::test]
async fn a_restart_has_no_way_back_and_says_so() {
    let restart = [("restart", "reversible", "restart: { workloads: [deployment/web] }")];
    let Some(team) = Team::doing(&restart, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1"], 1).await;
    team.through(1, "restart").await;
    let channel = team.world.channel(1).await;
    team.world.types("U0ONCALL", &channel, "undo run_1_1").await;
    team.world.message(&channel, "there is no way back");
    assert_eq!(team.space.writes().len(), 1);
    team.close().await;
}

/// K8, P7 · The way back leads to pods too, and they may be gone by then.
#[tokio::test]
async fn a_switch_is_not_taken_back_to_a_colour_without_ready_pods() {
    let switch = [("switch", "reversible", "select: { services: [web, api], label: version, among: [blue, green] }")];
    let Some(team) = Team::doing(&switch, "get, service/web").await else { return };
    team.space.colours("example/web:1").await;
    team.through(1, "switch").await;
    team.space.kubectl(&["scale", "deployment/web-green", "--replicas=0"]).await;
    team.space.once("deployment/web-green", |green| green["status"]["replicas"].is_null()).await;
    let channel = team.world.channel(1).await;
    team.world.types("U0ONCALL", &channel, "undo run_1_1").await;
    team.world.message(&channel, "version=green has 0 ready pods for the service web, and 1 is needed");
    assert_eq!(team.space.writes().len(), 2);
    team.close().await;
}

/// K8, P7 · A patch lays keys over a selector, so one that was not there has to be taken out of it: left alone, the Service
/// would go on sending to one colour.
#[tokio::test]
async fn a_selector_that_had_no_colour_has_none_again() {
    let switch = [("switch", "reversible", "select: { services: [web], label: version, value: blue }")];
    let Some(team) = Team::doing(&switch, "get, service/web").await else { return };
    team.space.colours("example/web:1").await;
    let without = "[{\"op\": \"remove\", \"path\": \"/spec/selector/version\"}]";
    team.space.kubectl(&["patch", "service/web", "--type=json", "--patch", without]).await;
    let all = |endpoints: &Value| endpoints["subsets"][0]["addresses"].as_array().is_some_and(|all| all.len() == 4);
    team.space.once("endpoints/web", all).await;
    let (plan, done) = team.through(1, "switch").await;
    assert!(plan.contains("version=* → version=blue"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    let (plan, done) = team.taken_back(1).await;
    assert!(plan.contains("version=blue → version=*"), "{plan}");
    assert!(done.contains("web sends to 4 pods of version=*"), "{done}");
    assert_eq!(team.space.get("service/web").await["spec"]["selector"], json!({"app": "web"}));
    team.close().await;
}

/// One more step of an action.
fn then(space: &Namespace, what: &str) -> String {
    let more = "\n      - within: 1m\n        kubernetes:\n          cluster: production\n          namespace: ";
    format!("{more}{}\n          {what}", space.name)
}

/// K1, K3, K5, K9, P7 · Only what brings an earlier step back, as a number of pods does, leaves nothing of it to take back. A
/// restart of the same plan is none of somebody else's changes.
#[tokio::test]
async fn what_was_waited_for_or_restarted_after_it_was_rolled_back_is_taken_back() {
    let Some(space) = Namespace::open().await else { return };
    let flags = "flags: { config_map: features, set: { checkout: \"off\" }, restart: [deployment/web] }";
    let web = "undo: { workloads: [deployment/web] }";
    let wait = format!("{web}{}", then(&space, "wait: { workloads: [deployment/web] }"));
    let restart = format!("{web}{}", then(&space, "restart: { workloads: [deployment/web] }"));
    let both = format!("undo: {{ workloads: [deployment/web, deployment/api] }}{}", then(&space, flags));
    let actions =
        [("wait", "reversible", wait.as_str()), ("restart", "reversible", &restart), ("both", "reversible", &both)];
    let setting = Setting { actions: &actions, check: "rollout, status, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    let space = &team.space;
    space.kubectl(&["create", "configmap", "features", "--from-literal=checkout=on"]).await;
    space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    space.deployed("api", &["example/api:1", "example/api:2"], 1).await;
    let state = async || {
        let flags = space.get("configmap/features").await["data"].take();
        (space.image("web").await, space.image("api").await, flags)
    };
    let before = state().await;
    for (incident, action) in [(1, "wait"), (2, "restart"), (3, "both")] {
        let (_, done) = team.through(incident, action).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        assert_eq!(space.image("web").await, "example/web:1", "{action}");
        let (plan, done) = team.taken_back(incident).await;
        assert!(plan.contains("example/web:2"), "{plan}");
        assert_eq!(plan.contains("Cannot be taken back"), action == "restart", "{plan}");
        assert_eq!(state().await, before, "{action} is taken back: {done}");
    }
    team.close().await;
}

/// K1, P7 · What somebody else has changed since, or has put back already, stands in nobody's way.
#[tokio::test]
async fn what_can_be_taken_back_is_although_the_rest_cannot() {
    let Some(space) = Namespace::open().await else { return };
    let one =
        format!("undo: {{ workloads: [deployment/web] }}{}", then(&space, "undo: { workloads: [deployment/api] }"));
    let actions = [
        ("each", "reversible", one.as_str()),
        ("both", "reversible", "undo: { workloads: [deployment/web, deployment/api] }"),
    ];
    let setting = Setting { actions: &actions, check: "get, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    let space = &team.space;
    space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    space.deployed("api", &["example/api:1", "example/api:2"], 1).await;
    team.through(1, "each").await;
    space.set_image("api", "example/api:3").await;
    let (plan, _) = team.taken_back(1).await;
    assert!(plan.contains("Cannot be taken back") && plan.contains("api was changed since the plan"), "{plan}");
    assert_eq!((space.image("web").await, space.image("api").await), ("example/web:2".into(), "example/api:3".into()));

    team.through(2, "both").await;
    space.kubectl(&["rollout", "undo", "deployment/api"]).await;
    assert_eq!(space.image("api").await, "example/api:3");
    team.taken_back(2).await;
    assert_eq!((space.image("web").await, space.image("api").await), ("example/web:2".into(), "example/api:3".into()));

    // Nothing is left of either.
    let channel = team.world.channel(2).await;
    team.world.types("U0ONCALL", &channel, "undo run_2_1").await;
    team.world.message(&channel, "is already at ");
    team.close().await;
}
