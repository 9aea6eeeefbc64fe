//! Jobs whose pods are not theirs alone, whose logs are long, whose configuration moves, and that nobody may make.

use serde_json::json;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use super::injector::Injector;
use super::plane::Namespace;
use super::process::Outside;
use super::relay::Relay;
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

/// K14, P7 · Whoever has mended what made it fail wants it to run again, and not to read again how it failed.
#[tokio::test]
async fn a_job_that_failed_and_is_tried_again_runs_again() {
    let run = [("migrate", "destructive", "job: { image: \"example/task:1\", command: [migrate, down] }")];
    let Some(team) = Team::doing(&run, "get, namespace").await else { return };
    let injector = Injector::replacing(&team.space, "example/task:1-fail").await;
    let (channel, card) = team.planned(1, "migrate").await;
    let failed = team.approved(&channel, &card).await;
    assert!(failed.contains("ended with 3"), "{failed}");
    let name = format!("vigie-{}", team.mark(1).await.replace('_', "-"));
    let first = team.space.get(&format!("job/{name}")).await["metadata"]["uid"].take();

    team.world.types("U0LEAD", &channel, "retry run_1_1").await;
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "it fails again");
    assert_ne!(team.space.get(&format!("job/{name}")).await["metadata"]["uid"], first, "by a second Job");

    injector.puts("example/task:1");
    team.world.types("U0LEAD", &channel, "retry run_1_1").await;
    let done = shown(&team.world.again(&channel, &card));
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    let (made, gone) = (json!(["create", format!("jobs/{name}"), 201]), json!(["delete", format!("jobs/{name}"), 200]));
    let once = [made, gone];
    assert_eq!(team.space.writes(), [once.clone(), once.clone(), once].concat());
    injector.close(&team.space).await;
    team.close().await;
}

/// K14 · It was stopped at its deadline, and its pod still ends when somebody tries again: two never run at once.
#[tokio::test]
async fn a_job_that_is_tried_again_waits_for_the_pod_of_the_one_before() {
    let run = [("migrate", "destructive", "job: { image: \"example/task:1-slow-clings\", command: [migrate] }")];
    let setting = Setting { actions: &run, check: "get, namespace", within: "2s", ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    let (channel, card) = team.planned(1, "migrate").await;
    let failed = team.approved(&channel, &card).await;
    let says = ["did not end in time and was stopped", "was ended by the cluster at its deadline"];
    assert!(says.iter().any(|says| failed.contains(says)), "{failed}");
    let name = format!("vigie-{}", team.mark(1).await.replace('_', "-"));
    team.world.types("U0LEAD", &channel, "retry run_1_1").await;
    let told = shown(&team.world.again(&channel, &card));
    assert!(told.contains("has not ended in time and may still write; nothing was changed"), "{told}");
    let writes = [json!(["create", format!("jobs/{name}"), 201]), json!(["delete", format!("jobs/{name}"), 200])];
    assert_eq!(team.space.writes(), writes);
    team.close().await;
}

/// K1, K6, K11, K14 · A complete roll-back: the program first, and then the migration as the version has it that was gone back to.
#[tokio::test]
async fn a_job_is_like_the_workload_that_earlier_steps_of_its_plan_leave() {
    let Some(space) = Namespace::open().await else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let step = |what: &str| {
        format!(
            "\n      - within: 1m\n        kubernetes:\n          cluster: production\n          namespace: {}\n          {what}",
            space.name
        )
    };
    let job = "job: { like: deployment/web, command: [migrate, down], keep: true }";
    let back = format!("undo: {{ workloads: [deployment/web] }}{}", step(job));
    let set = format!(
        "set_image: {{ workload: deployment/web, images: {{ web: \"example/web:3\" }} }}{}{}",
        step("restart: { workloads: [deployment/web] }"),
        step(job)
    );
    let saved = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec: { replicas: 1 }\n";
    std::fs::write(folder.path().join("web.yaml"), saved).expect("it can be written");
    let apply = format!("apply: {{ folder: {}, force: true }}{}", folder.path().display(), step(job));
    let actions = [
        ("back", "destructive", back.as_str()),
        ("set", "destructive", set.as_str()),
        ("apply", "destructive", apply.as_str()),
    ];
    let setting = Setting { actions: &actions, check: "get, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1", "example/web:2"], 2).await;

    for (incident, action, image, place) in [(1, "back", "example/web:1", 2), (2, "set", "example/web:3", 3)] {
        let (plan, done) = team.through(incident, action).await;
        assert!(plan.contains(&format!("migrate down · {image}")), "{plan}");
        assert_eq!(team.outcome(incident).await, Outcome::Done, "{done}");
        let mark = team.mark(incident).await.replace("-step-1-", &format!("-step-{place}-")).replace('_', "-");
        let job = team.space.get(&format!("job/vigie-{mark}")).await;
        assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["image"], image);
    }
    // What an apply leaves of it is known only afterwards.
    let channel = team.asks_for(3, "apply").await;
    team.world.message(&channel, "deployment/web is changed by an earlier step of this plan");
    team.close().await;
}

/// K14 · Nothing of a Job with an image of its own lies in the cluster when it is approved, so the cluster itself is held to.
#[tokio::test]
async fn a_job_that_was_approved_for_one_cluster_runs_in_no_other() {
    let Some(space) = Namespace::open().await else { return };
    let relay = Relay::open(space.server()).await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("kubeconfig");
    let here = std::fs::read_to_string(space.of_the_bot()).expect("it is there");
    let there = here.replace(&space.server().to_string(), &relay.address().to_string());
    assert_ne!(here, there, "the address is in the file");
    std::fs::write(&file, &here).expect("it can be written");
    let run = [("migrate", "destructive", "job: { image: \"example/task:1\", command: [migrate] }")];
    let setting = Setting { actions: &run, check: "get, namespace", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let outside = Outside::open(&space.with_kubeconfig(&file), &setting).await;
    let bot = outside.town.start().await;
    outside.planned(1, "migrate").await;
    bot.stop().await;
    std::fs::write(&file, there).expect("it can be written");
    let bot = outside.town.start().await;
    outside.hears().await;
    outside.allowed(1).await;
    let run = outside.ended(1).await;
    let Phase::Finished { outcome: Outcome::Stale { step: 0, found } } = &run.phase else { panic!("{run:?}") };
    assert_eq!(found.key, "kubernetes.other_cluster");
    bot.stop().await;
    assert_eq!(space.kubectl(&["get", "jobs", "--output", "name"]).await.trim(), "");
}
