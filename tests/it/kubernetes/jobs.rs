//! Jobs whose pods are not theirs alone, whose logs are long, whose configuration moves, and that nobody may make.

use serde_json::json;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use super::injector::Injector;
use super::plane::Namespace;
use super::process::Outside;
use super::team::{Setting, Team};
use crate::world::shown;

/// K14 · A mesh puts its proxy into every pod. The exit code and the log are those of what was run, and a proxy that never ends
/// holds up nobody.
#[tokio::test]
async fn what_a_webhook_puts_beside_a_job_decides_nothing() {
    let run = [
        ("migrate", "destructive", "job: { image: \"example/task:1-slow\", command: [migrate] }"),
        ("fail", "destructive", "job: { image: \"example/task:1-fail\", command: [migrate] }"),
    ];
    let Some(team) = Team::doing(&run, "get, namespace").await else { return };
    let injector = Injector::open(&team.space, "example/proxy:1-stays").await;
    let (channel, card) = team.planned(1, "migrate").await;
    let done = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert!(done.contains("ended with 0; beside it, proxy still runs"), "{done}");
    let edits = team.world.ws().calls_of("chat.update").into_iter().filter(|call| call.args["ts"] == card["ts"]);
    let followed = edits.map(|call| shown(&call.args)).filter(|text| text.contains("INFO step")).count();
    assert!(followed > 0, "a line of its own log was on the card");
    let jobs = ["get", "jobs", "--output", "name"];
    let gone = async || team.space.kubectl(&jobs).await.trim().is_empty().then_some(());
    crate::faults::until("the Job went with its proxy", super::process::PATIENCE, gone).await;

    injector.puts("example/proxy:1-fail");
    let (_, done) = team.through(2, "migrate").await;
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    assert!(done.contains("ended with 0; beside it, proxy ended with 3"), "{done}");

    injector.puts("example/proxy:1");
    let (_, failed) = team.through(3, "fail").await;
    assert!(matches!(team.outcome(3).await, Outcome::Failed { step: Some(0), .. }), "{failed}");
    assert!(failed.contains("ended with 3") && failed.contains("ERROR failed, exit code 3"), "{failed}");
    injector.close(&team.space).await;
    team.close().await;
}

/// K14 · Why it failed stands in its newest lines.
#[tokio::test]
async fn of_a_long_log_the_newest_lines_are_shown() {
    let run = [("migrate", "destructive", "job: { image: \"example/task:1-wordy-fail\", command: [migrate] }")];
    let Some(team) = Team::doing(&run, "get, namespace").await else { return };
    let (_, failed) = team.through(1, "migrate").await;
    assert!(failed.contains("ended with 3") && failed.contains("ERROR failed, exit code 3"), "{failed}");
    team.close().await;
}

/// K14 · What was approved ran with these variables. Others came with a restart, and nobody has approved those.
#[tokio::test]
async fn a_job_whose_variables_are_others_since_the_plan_is_stale() {
    let Some(space) = Namespace::open().await else { return };
    let run = [(
        "migrate",
        "destructive",
        "job: { image: \"example/task:1\", command: [migrate], env: { STEP: down }, secrets: { KEY: \"${PHONES_SECRET}\" } }",
    )];
    let setting = Setting { actions: &run, check: "get, namespace", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let outside = Outside::open(&space, &setting).await;
    let bot = outside.town.start().await;
    outside.planned(1, "migrate").await;
    bot.stop().await;
    let file = outside.town.path().join("vigie.yml");
    let config = std::fs::read_to_string(&file).expect("it is there");
    assert!(config.contains("STEP: down"), "{config}");
    std::fs::write(&file, config.replace("STEP: down", "STEP: up")).expect("it can be written");
    let bot = outside.town.start().await;
    outside.hears().await;
    outside.allowed(1).await;
    let run = outside.ended(1).await;
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Stale { step: 0, .. } }), "{run:?}");
    bot.stop().await;
    assert_eq!(space.kubectl(&["get", "jobs", "--output", "name"]).await.trim(), "");
}

/// K14 · A Job that gets no pod says what the cluster has against it.
#[tokio::test]
async fn a_job_that_gets_no_pod_says_why() {
    let run = [("migrate", "destructive", "job: { image: \"example/task:1\", command: [migrate] }")];
    let setting = Setting { actions: &run, check: "get, namespace", within: "6s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    team.space.kubectl(&["create", "quota", "none", "--hard=pods=0"]).await;
    team.space.once("resourcequota/none", |quota| quota["status"]["used"].is_object()).await;
    let (channel, card) = team.planned(1, "migrate").await;
    let failed = team.approved(&channel, &card).await;
    let edits = team.world.ws().calls_of("chat.update").into_iter().filter(|call| call.args["ts"] == card["ts"]);
    let told = edits.map(|call| shown(&call.args)).filter(|text| text.contains("↳ the cluster makes no pods")).count();
    assert!(told > 0, "it was on the card before the deadline");
    assert!(failed.contains("the cluster makes no pods") && failed.contains("exceeded quota: none"), "{failed}");
    let job = format!("vigie-{}", team.mark(1).await.replace('_', "-"));
    let writes = [json!(["create", format!("jobs/{job}"), 201]), json!(["delete", format!("jobs/{job}"), 200])];
    assert_eq!(team.space.writes(), writes);
    team.close().await;
}
