//! A bot that is killed in the middle of a step: the next one takes up what was begun, and does nothing twice.

use std::time::Duration;

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;
use vigie::incident::state::{Phase, Run};

use super::plane::Namespace;
use super::process::{Outside, PATIENCE};
use super::relay::Relay;
use super::team::{Setting, Team};
use crate::bot::Bot;
use crate::faults::until;

const DONE: Phase = Phase::Finished { outcome: Outcome::Done };

/// Kills the bot of a step once it has begun, and lets another one go on: how the run ends.
async fn killed_in(space: &Namespace, step: &str, begun: impl AsyncFn() -> bool) -> Run {
    let actions = [("act", "destructive", step)];
    let setting = Setting { actions: &actions, check: "get, deployment/web", within: "90s", ..Setting::default() };
    space.grant(&setting.roles(space)).await;
    let outside = Outside::open(space, &setting).await;
    let bot = outside.town.start().await;
    outside.approves(1, "act").await;
    resumed(&outside, bot, begun, async || {}).await
}

/// The same for a bot that runs already. Something else happens before the next one is started.
async fn resumed(outside: &Outside, bot: Bot, begun: impl AsyncFn() -> bool, meanwhile: impl AsyncFnOnce()) -> Run {
    until("the step has begun", PATIENCE, async || begun().await.then_some(())).await;
    bot.kill().await;
    let run = outside.run(1).await.expect("there is a run");
    assert!(matches!(run.phase, Phase::Running), "it is in the middle: {run:?}");
    meanwhile().await;
    let bot = outside.town.start().await;
    let run = outside.ended(1).await;
    bot.stop().await;
    run
}

/// K7 · Three more pods, each of which takes its time.
#[tokio::test]
async fn a_bot_killed_while_it_scales_scales_once() {
    let Some(space) = Namespace::open().await else { return };
    space.deployed("web", &["example/web:1-slow"], 1).await;
    let begun = async || space.get("deployment/web").await["spec"]["replicas"] == 4;
    let run = killed_in(&space, "scale: { workloads: [deployment/web], to: 4 }", begun).await;
    assert_eq!(run.phase, DONE, "{run:?}");
    let web = space.get("deployment/web").await;
    assert_eq!(web["status"]["availableReplicas"], 4);
    assert_eq!(web["metadata"]["annotations"]["vigie/replicas"], "1", "what is remembered is from before");
    assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);
}

/// K5 · A second mark in the template would be a second roll-out.
#[tokio::test]
async fn a_bot_killed_while_it_restarts_restarts_once() {
    let Some(space) = Namespace::open().await else { return };
    space.deployed("web", &["example/web:1-slow"], 2).await;
    let before = space.pods("app=web").await;
    let begun = async || space.get("deployment/web").await["metadata"]["generation"] == 2;
    let run = killed_in(&space, "restart: { workloads: [deployment/web] }", begun).await;
    assert_eq!(run.phase, DONE, "{run:?}");
    assert_eq!(space.get("deployment/web").await["metadata"]["generation"], 2);
    space.once("pods", |pods| pods["items"].as_array().is_some_and(|items| items.len() == 2)).await;
    let now = space.pods("app=web").await;
    assert!(before.iter().all(|former| !now.contains(former)), "{now:?} after {before:?}");
    assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);
}

/// K14 · A migration that ran twice would be worse than none.
#[tokio::test]
async fn a_bot_killed_while_its_job_runs_follows_the_same_job_to_its_end() {
    let Some(space) = Namespace::open().await else { return };
    space.deployed("web", &["example/web:1"], 1).await;
    let begun = async || space.get("jobs").await["items"][0]["status"]["active"] == 1;
    let run = killed_in(&space, "job: { image: \"example/task:1-slow\", command: [migrate, down] }", begun).await;
    assert_eq!(run.phase, DONE, "{run:?}");
    let job = format!("jobs/vigie-run-1-1-step-1-{:x}", run.asked.at.0);
    assert_eq!(space.writes(), [json!(["create", job, 201]), json!(["delete", job, 200])]);
}

/// K13 · One pod is gone and the other is not; what was made anew is left alone.
#[tokio::test]
async fn a_bot_killed_between_two_pods_makes_each_anew_once() {
    let Some(space) = Namespace::open().await else { return };
    space.deployed("web", &["example/web:1-slow"], 2).await;
    let before = space.pods("app=web").await;
    let begun = async || !space.writes().is_empty();
    let run = killed_in(&space, "recreate_pods: { selector: \"app=web\" }", begun).await;
    assert_eq!(run.phase, DONE, "{run:?}");
    let now = space.pods("app=web").await;
    assert!(now.len() == 2 && before.iter().all(|former| !now.contains(former)), "{now:?} after {before:?}");
    // A pod that is gone already is asked to go once more, and is not there.
    let gone: Vec<Value> = space.writes().into_iter().filter(|write| write[2] != 404).collect();
    let wanted = before.iter().map(|pod| json!(["create", pod.replacen("pod/", "pods/", 1), 201]));
    for pod in wanted {
        assert_eq!(gone.iter().filter(|write| **write == pod).count(), 1, "{pod} in {gone:?}");
    }
    assert_eq!(gone.len(), 2, "{gone:?}");
}

const SWITCH: &str = "select: { services: [web, api], label: version, among: [blue, green], settle: 5s }";

/// The colours that both Services send to.
async fn colours(space: &Namespace) -> [Value; 2] {
    let of = async |name: &str| space.get(&format!("service/{name}")).await["spec"]["selector"]["version"].take();
    [of("web").await, of("api").await]
}

/// A bot that is so far from its cluster that there is time to kill it between two requests, once a Service is switched.
async fn killed_when_switched(space: &Namespace, last: &str, meanwhile: impl AsyncFnOnce()) -> Run {
    let actions = [("switch", "reversible", SWITCH)];
    let setting = Setting { actions: &actions, check: "get, service/web", within: "90s", ..Setting::default() };
    space.grant(&setting.roles(space)).await;
    space.colours("example/web:1").await;
    let relay = Relay::open(space.server()).await;
    let far = space.through(relay.address());
    let outside = Outside::open(&far, &setting).await;
    let bot = outside.town.start().await;
    outside.planned(1, "switch").await;
    relay.delay(Duration::from_millis(500));
    outside.allowed(1).await;
    let service = format!("service/{last}");
    let switched = async || space.get(&service).await["spec"]["selector"]["version"] == "blue";
    let near_again = async || {
        relay.delay(Duration::ZERO);
        meanwhile().await;
    };
    resumed(&outside, bot, switched, near_again).await
}

/// K8 · Never half.
#[tokio::test]
async fn a_bot_killed_between_two_services_switches_the_other_too() {
    let Some(space) = Namespace::open().await else { return };
    let half = async || assert_eq!(colours(&space).await, ["blue", "green"], "it is in the middle");
    let run = killed_when_switched(&space, "web", half).await;
    assert_eq!(run.phase, DONE, "{run:?}");
    assert_eq!(colours(&space).await, ["blue", "blue"]);
    assert_eq!(space.writes(), [json!(["patch", "services/web", 200]), json!(["patch", "services/api", 200])]);
}

/// K8 · Switched is not the end of it: the next bot looks where the Services really send to.
#[tokio::test]
async fn a_switch_that_nobody_has_looked_at_is_looked_at_after_a_crash_and_put_back() {
    let Some(space) = Namespace::open().await else { return };
    let dies = async || {
        space.kubectl(&["scale", "deployment/web-blue", "--replicas=0"]).await;
        space.once("deployment/web-blue", |blue| blue["status"]["replicas"].is_null()).await;
    };
    let run = killed_when_switched(&space, "api", dies).await;
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Failed { step: Some(0), .. } }), "{run:?}");
    assert_eq!(colours(&space).await, ["green", "green"]);
    let (web, api) = (json!(["patch", "services/web", 200]), json!(["patch", "services/api", 200]));
    assert_eq!(space.writes(), [web.clone(), api.clone(), api, web]);
}

/// A switch whose second change is the first request that is not answered as it should be: both Services are looked at; then each
/// is looked at with its pods, and once more, and changed, which makes it the tenth. How the card reads in the end.
async fn switched_without_a_word(unanswered: impl Fn(&Relay)) -> Option<(Namespace, Outcome, String)> {
    let space = Namespace::open().await?;
    let actions = [("switch", "reversible", SWITCH)];
    let setting = Setting { actions: &actions, check: "get, service/web", within: "8s", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    space.colours("example/web:1").await;
    let relay = Relay::open(space.server()).await;
    let team = Team::on(space.through(relay.address()), setting).await;
    let (channel, card) = team.planned(1, "switch").await;
    unanswered(&relay);
    let card = team.approved(&channel, &card).await;
    assert!(relay.lost() > 0, "{card}");
    let outcome = team.outcome(1).await;
    team.close().await;
    Some((space, outcome, card))
}

/// K8 · The second Service is switched, and nobody hears of it before the time is over: it goes back with the first.
#[tokio::test]
async fn a_service_of_which_nobody_knows_whether_it_was_switched_goes_back_with_the_other() {
    let ended = switched_without_a_word(|relay| relay.hold_the_answer_after(9)).await;
    let Some((space, outcome, card)) = ended else { return };
    assert!(matches!(outcome, Outcome::Failed { step: Some(0), .. }), "{card}");
    assert!(card.contains("put back: web and api"), "{card}");
    assert_eq!(colours(&space).await, ["green", "green"]);
    let (web, api) = (json!(["patch", "services/web", 200]), json!(["patch", "services/api", 200]));
    assert_eq!(space.writes(), [web.clone(), api.clone(), api, web]);
}

/// K8 · Where they cannot be put back either, nobody is told that nothing was changed.
#[tokio::test]
async fn services_that_nobody_can_put_back_leave_the_run_unknown() {
    let ended = switched_without_a_word(|relay| relay.fall_silent_after(9)).await;
    let Some((space, outcome, card)) = ended else { return };
    assert!(matches!(outcome, Outcome::Unknown { step: 0, .. }), "{outcome:?}: {card}");
    assert_eq!(colours(&space).await, ["blue", "blue"]);
}
