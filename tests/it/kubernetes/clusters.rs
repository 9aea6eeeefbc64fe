//! Several clusters in one configuration: each is reached, locked and examined by itself.

use serde_json::json;
use vigie::app::doctor::State;
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Run};

use super::kept::examined;
use super::plane::{Namespace, Plane};
use super::process::{Outside, PATIENCE};
use super::team::Setting;
use crate::faults::until;

/// What a run keeps others off.
fn locks(run: &Run) -> &[String] {
    run.plan.as_ref().expect("it was planned").steps[0].locks()
}

/// K1, K3 · The same workload in namespaces of one name. The API server of one cluster is killed and started anew some
/// seconds later; meanwhile an action goes through in the other.
#[tokio::test]
async fn an_api_server_killed_in_the_middle_of_a_roll_out_is_waited_for_and_another_cluster_goes_on() {
    let Some(staging) = Namespace::open().await else { return };
    let Some(plane) = Plane::of_envtest().await else { return };
    let production = plane.namesake(&staging).await;
    let setting = Setting { within: "90s", staging: Some(&staging), ..Setting::default() };
    staging.grant(&setting.roles_in("staging", &production)).await;
    staging.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let (outside, bot) = Outside::in_mid_roll_out(&production, &setting).await;
    outside.planned(2, "undo-web-staging").await;

    plane.kill().await;
    let found = examined(&setting, &production).await;
    let cluster = |name: &str| found.iter().find(|(_, said)| said.starts_with(name)).expect("it is told");
    assert_eq!(cluster("production").0, State::Bad, "{found:?}");
    assert!(cluster("production").1.contains("the cluster production does not answer"), "{found:?}");
    assert_eq!(cluster("staging").0, State::Good, "{found:?}");
    outside.allowed(2).await;
    let there = outside.ended(2).await;
    assert_eq!(there.phase, Phase::Finished { outcome: Outcome::Done }, "{there:?}");
    assert_eq!(staging.image("web").await, "example/web:1");

    let here = outside.run(1).await.expect("there is a run");
    assert!(matches!(here.phase, Phase::Running), "it waits: {here:?}");
    let at = |cluster: &str| format!("kubernetes/{cluster}/{}/deployment/web", staging.name);
    assert_eq!((locks(&here), locks(&there)), ([at("production")].as_slice(), [at("staging")].as_slice()));
    let silent = async || {
        let calls = outside.town.ws().calls_of("chat.update");
        let says = |text: &str| text.contains("the cluster production does not answer");
        calls.iter().any(|call| says(&call.args.to_string())).then_some(())
    };
    until("the card says that the cluster is silent", PATIENCE, silent).await;
    plane.revive().await;
    let run = outside.ended(1).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    bot.stop().await;
    for space in [&production, &staging] {
        assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);
    }
    // envtest has no controller manager and no scheduler: without the tests' own nothing of this would have happened.
    let assets = plane.assets().expect("it was given some");
    assert_eq!(plane.lacks(), "");
    assert!(
        plane.program("kube-apiserver").starts_with(assets) && !plane.program("kube-scheduler").starts_with(assets)
    );
}
