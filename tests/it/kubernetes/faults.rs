//! Roll-outs that hang, other people's changes, and a bot that is killed in the middle.

use std::time::Duration;

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use super::plane::Namespace;
use super::process::{Outside, PATIENCE};
use super::team::{Setting, Team};
use crate::faults::{pass, until};
use crate::world::{shown, ts};

#[tokio::test]
async fn a_roll_out_that_hangs_fails_at_its_deadline_with_the_pods_reasons() {
    let Some(team) = Team::having(Setting { within: "6s", ..Setting::default() }).await else { return };
    team.space.deployed("web", &["example/web:1-broken", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }));
    for words in ["web was not ready after 6 s", "1 × ImagePullBackOff (example/web:1-broken)"] {
        assert!(card.contains(words), "{words} is not in {card}");
    }
    assert_eq!(team.space.writes().len(), 1);
    team.close().await;
}

#[tokio::test]
async fn a_roll_out_that_crashes_fails_with_its_last_log_lines() {
    let Some(team) = Team::having(Setting { within: "8s", ..Setting::default() }).await else { return };
    team.space.deployed("web", &["example/web:1-crash", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    let card = team.approved(&channel, &card).await;
    for words in ["1 × CrashLoopBackOff, exit 1", "ERROR"] {
        assert!(card.contains(words), "{words} is not in {card}");
    }
    team.close().await;
}

/// No node is as the pods want it, and the scheduler says so itself.
#[tokio::test]
async fn a_roll_out_that_no_node_takes_fails_with_what_the_scheduler_says() {
    let Some(team) = Team::having(Setting { within: "6s", ..Setting::default() }).await else { return };
    team.space.deployed("web", &["example/web:1"], 1).await;
    for (image, selector) in [("example/web:2", "{\"disk\":\"fast\"}"), ("example/web:3", "null")] {
        let container = format!("[{{\"name\":\"web\",\"image\":\"{image}\"}}]");
        let spec = format!("{{\"nodeSelector\":{selector},\"containers\":{container}}}");
        let patch = format!("{{\"spec\":{{\"template\":{{\"spec\":{spec}}}}}}}");
        team.space.kubectl(&["patch", "deployment/web", "--type=merge", "--patch", &patch]).await;
        let is_seen = |web: &Value| web["status"]["observedGeneration"] == web["metadata"]["generation"];
        team.space.once("deployment/web", is_seen).await;
    }
    team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "{card}");
    assert!(card.contains("1 × Unschedulable (0/1 nodes are available: 1 node(s) didn't match"), "{card}");
    team.close().await;
}

#[tokio::test]
async fn somebody_elses_deploy_between_plan_and_approval_is_stale() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    // The server keeps to the second who changed something when, and of who only sets a field anew not every server does.
    pass(Duration::from_millis(1_100)).await;
    let other =
        "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"example/web:3\"}]}}}}";
    team.space.kubectl(&["patch", "deployment/web", "--patch", other]).await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Stale { step: 0, .. }));
    assert!(card.contains("web was changed since the plan by kubectl-patch: it is at example/web:3"), "{card}");
    assert_eq!(team.space.image("web").await, "example/web:3");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

#[tokio::test]
async fn two_runs_on_one_workload_are_refused_whatever_the_action() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1-slow", "example/web:2"], 2).await;
    let (first, plan) = team.planned(1, "undo-web").await;
    let (second, other) = team.planned(2, "undo-web-too").await;
    team.world.ws().person("U0LEAD").click(&first, &ts(&plan), "approve").await.expect("there is a button");
    let begun = async || (team.space.image("web").await == "example/web:1-slow").then_some(());
    until("the first run changes the image", PATIENCE, begun).await;
    team.world.clicks("U0DBA", &second, &ts(&other), "approve").await;
    let refused = shown(&team.world.whisper("U0DBA", "Another run (run_1_1) holds"));
    assert!(refused.contains(&format!("kubernetes/production/{}/deployment/web", team.space.name)), "{refused}");
    assert!(matches!(team.run(2).await.phase, Phase::Pending), "the plan still waits");
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/web", 200])]);
    team.close().await;
}

/// Two keys under `clusters` may lead to one API server, with other rights or another context.
#[tokio::test]
async fn two_runs_on_one_workload_are_refused_whatever_the_cluster_is_called() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting { staging: Some(&space), ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space.clone(), setting).await;
    team.space.deployed("web", &["example/web:1-slow", "example/web:2"], 2).await;
    let (first, plan) = team.planned(1, "undo-web").await;
    let (second, other) = team.planned(2, "undo-web-staging").await;
    team.world.ws().person("U0LEAD").click(&first, &ts(&plan), "approve").await.expect("there is a button");
    let begun = async || (team.space.image("web").await == "example/web:1-slow").then_some(());
    until("the first run changes the image", PATIENCE, begun).await;
    team.world.clicks("U0DBA", &second, &ts(&other), "approve").await;
    team.world.whisper("U0DBA", "Another run (run_1_1) holds");
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/web", 200])]);
    team.close().await;
}

/// The next process takes the roll-out up where it is, and changes nothing twice.
#[tokio::test]
async fn a_bot_killed_in_the_middle_of_a_roll_out_takes_it_up_and_writes_nothing_twice() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting { within: "90s", ..Setting::default() };
    let (outside, bot) = Outside::in_mid_roll_out(&space, &setting).await;
    bot.kill().await;
    let rolling = space.get("deployment/web").await;
    assert_ne!(rolling["status"]["updatedReplicas"], 4, "it is in the middle: {rolling}");

    let bot = outside.town.start().await;
    let run = outside.ended(1).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    // Where its lease had to end first, the roll-out was over by the time somebody looked.
    assert!(run.live().is_some_and(|live| live.starts_with("example/web:1-slow · revision")), "{run:?}");
    assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);
    bot.stop().await;
}
