//! Roll-outs that stand still: nobody waits for one, and there is a way back that never lets the bad version go on.

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;

use super::plane::Namespace;
use super::team::{Setting, Team};
use crate::world::shown;

/// K3, K4 · Its end would never come. Where an earlier step of the plan lets it go on, it does.
#[tokio::test]
async fn a_roll_out_that_stands_still_is_not_waited_for_unless_the_plan_lets_it_go_on() {
    let Some(space) = Namespace::open().await else { return };
    let both = format!(
        "resume: {{ workloads: [deployment/web] }}\n      - within: 1m\n        kubernetes:\n          cluster: production\n          \
         namespace: {}\n          wait: {{ workloads: [deployment/web] }}",
        space.name
    );
    let actions = [("wait", "reversible", "wait: { workloads: [deployment/web] }"), ("both", "reversible", &both)];
    let looks = [("rollouts", "workloads: [deployment/web]")];
    let setting = Setting { actions: &actions, looks: &looks, check: "get, namespace", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1"], 2).await;
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    let (_, done) = team.through(1, "wait").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "there is nothing to be waited for: {done}");

    team.space.set_image("web", "example/web:2").await;
    let seen = |web: &Value| web["status"]["observedGeneration"] == web["metadata"]["generation"];
    team.space.once("deployment/web", seen).await;
    let channel = team.asks_for(2, "wait").await;
    team.world.message(&channel, "the roll-out of web is paused, so nothing would happen; resume it first");
    team.world.types("U0ONCALL", &channel, "diagnose web").await;
    let said = shown(&team.world.message(&channel, "web: 0 of 2 updated"));
    assert!(said.contains("the roll-out is paused"), "{said}");
    assert_eq!(team.space.writes(), Vec::<Value>::new());

    let (_, done) = team.through(3, "both").await;
    assert_eq!(team.outcome(3).await, Outcome::Done, "{done}");
    assert!(done.contains("web runs example/web:2"), "{done}");
    team.close().await;
}

/// K1, K4, K6 · What was paused in haste goes back, and goes on only with what is good.
#[tokio::test]
async fn what_was_paused_goes_back_and_goes_on_in_one_change() {
    let actions = [
        ("pause", "reversible", "pause: { workloads: [deployment/web] }"),
        ("undo", "reversible", "undo: { workloads: [deployment/web] }"),
        ("undo-resume", "reversible", "undo: { workloads: [deployment/web], resume: true }"),
        (
            "set",
            "reversible",
            "set_image: { workload: deployment/web, images: { web: \"example/web:1\" }, resume: true }",
        ),
    ];
    let Some(team) = Team::doing(&actions, "rollout, status, deployment/web, --timeout=20s").await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2-broken"], 2).await;
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    let channel = team.asks_for(1, "undo").await;
    team.world.message(&channel, "the roll-out of web is paused");
    for (incident, action) in [(2, "undo-resume"), (3, "set")] {
        let (plan, done) = team.through(incident, action).await;
        assert!(plan.contains("web is paused, and goes on with it"), "{plan}");
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        let web = team.space.get("deployment/web").await;
        assert!(web["spec"]["paused"].is_null(), "{web}");
        assert_eq!(team.space.image("web").await, "example/web:1");
        team.space.set_image("web", "example/web:2-broken").await;
        team.space.once("deployment/web", |web| web["status"]["updatedReplicas"] == 1).await;
        team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    }
    let patch = json!(["patch", "deployments/web", 200]);
    assert_eq!(team.space.writes(), [patch.clone(), patch]);
    team.close().await;
}

/// K1 · What nobody saw paused when they approved is not let go on.
#[tokio::test]
async fn what_is_paused_after_the_plan_is_stale() {
    let undo = [("undo", "reversible", "undo: { workloads: [deployment/web], resume: true }")];
    let Some(team) = Team::doing(&undo, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo").await;
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Stale { step: 0, .. }), "{card}");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

/// K1, K3, K4, K5, K9 · It was paused in haste, and one plan does all the rest.
#[tokio::test]
async fn what_an_undo_lets_go_on_is_waited_for_and_restarted_in_the_same_plan() {
    let Some(space) = Namespace::open().await else { return };
    let step = |what: &str| {
        format!(
            "\n      - within: 1m\n        kubernetes:\n          cluster: production\n          namespace: {}\n          {what}",
            space.name
        )
    };
    let (wait, restart) = (
        step("wait: { workloads: [deployment/web] }"),
        step("flags: { config_map: features, set: { checkout: \"off\" }, restart: [deployment/web] }"),
    );
    let undo = format!("undo: {{ workloads: [deployment/web], resume: true }}{wait}{restart}");
    let set =
        format!("set_image: {{ workload: deployment/web, images: {{ web: \"example/web:3\" }}, resume: true }}{wait}");
    let actions = [("undo", "reversible", undo.as_str()), ("set", "reversible", set.as_str())];
    let setting = Setting { actions: &actions, check: "rollout, status, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.kubectl(&["create", "configmap", "features", "--from-literal=checkout=on"]).await;
    team.space.deployed("web", &["example/web:1", "example/web:2-broken"], 2).await;
    for (incident, action, to) in [(1, "undo", "example/web:1 · revision 1"), (2, "set", "example/web:3")] {
        team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
        let (plan, done) = team.through(incident, action).await;
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        // What is waited for is what the step before brings, and not what is there now.
        assert!(plan.contains(&format!("2. Wait for the roll-out of web · → {to} · ")), "{plan}");
        assert!(team.space.get("deployment/web").await["spec"]["paused"].is_null(), "{done}");
    }
    let template = team.space.get("deployment/web").await["spec"]["template"].take();
    assert!(template["metadata"]["annotations"]["vigie/restarted"].is_string(), "{template}");
    team.close().await;
}
