//! Services that change colour, flags, and Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use super::plane::Namespace;
use super::process::Outside;
use super::team::{Setting, Team};

const SWITCH: &str = "select: { services: [web, api], label: version, among: [blue, green], settle: 5s }";

async fn selectors(space: &Namespace) -> [Value; 2] {
    let mut found = Vec::new();
    for name in ["web", "api"] {
        found.push(space.get(&format!("service/{name}")).await["spec"]["selector"].take());
    }
    found.try_into().expect("two")
}

#[tokio::test]
async fn both_services_change_colour_and_are_looked_at_afterwards() {
    let Some(team) = Team::doing(&[("switch", "reversible", SWITCH)], "get, service/web").await else { return };
    team.space.colours("example/web:1").await;
    let (plan, done) = team.through(1, "switch").await;
    for line in ["*version=green → version=blue*", "Switch web and api", "web: 2 ready pods are version=blue"] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert!(done.contains("web sends to 2 pods of version=blue"), "{done}");
    let blue = json!({"app": "web", "version": "blue"});
    assert_eq!(selectors(&team.space).await, [blue.clone(), blue]);
    assert_eq!(team.space.writes(), [json!(["patch", "services/web", 200]), json!(["patch", "services/api", 200])]);
    team.close().await;
}

#[tokio::test]
async fn a_colour_without_ready_pods_is_refused_before_and_after_the_plan() {
    let Some(team) = Team::doing(&[("switch", "reversible", SWITCH)], "get, service/web").await else { return };
    team.space.colours("example/web:1-broken").await;
    let channel = team.asks_for(1, "switch").await;
    team.world.message(&channel, "version=blue has 0 ready pods for the service web, and 1 is needed");
    team.space.kubectl(&["set", "image", "deployment/web-blue", "web=example/web:1"]).await;
    team.space.kubectl(&["rollout", "status", "deployment/web-blue", "--timeout=60s"]).await;
    let (channel, card) = team.planned(2, "switch").await;
    team.space.kubectl(&["scale", "deployment/web-blue", "--replicas=0"]).await;
    team.space.once("deployment/web-blue", |blue| blue["status"]["replicas"].is_null()).await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(2).await, Outcome::Stale { .. }), "{card}");
    let green = json!({"app": "web", "version": "green"});
    assert_eq!(selectors(&team.space).await, [green.clone(), green]);
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

/// Its right was taken away after the plan.
#[tokio::test]
async fn a_second_service_that_cannot_be_switched_puts_the_first_back() {
    let Some(team) = Team::doing(&[("switch", "reversible", SWITCH)], "get, service/web").await else { return };
    team.space.colours("example/web:1").await;
    let (channel, card) = team.planned(1, "switch").await;
    let roles = team.space.kubectl(&["get", "role/vigie", "--output", "json"]).await;
    let mut role: Value = serde_json::from_str(&roles).expect("JSON");
    for rule in role["rules"].as_array_mut().expect("rules") {
        if rule["resources"] == json!(["services"]) && rule["resourceNames"] == json!(["api"]) {
            rule["verbs"] = json!(["get"]);
        }
    }
    team.space.apply(&role.to_string()).await;
    team.space.until_denied("patch", "services/api").await;
    let card = team.approved(&channel, &card).await;
    for line in ["put back: web, because", "patch services/api"] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }));
    let green = json!({"app": "web", "version": "green"});
    assert_eq!(selectors(&team.space).await, [green.clone(), green]);
    let patched = |name: &str, code: u16| json!(["patch", format!("services/{name}"), code]);
    assert_eq!(team.space.writes(), [patched("web", 200), patched("api", 403), patched("web", 200)]);
    team.close().await;
}

#[tokio::test]
async fn services_that_do_not_agree_are_not_switched_to_and_fro() {
    let Some(team) = Team::doing(&[("switch", "reversible", SWITCH)], "get, service/web").await else { return };
    team.space.colours("example/web:1").await;
    let blue = "{\"spec\":{\"selector\":{\"version\":\"blue\"}}}";
    team.space.kubectl(&["patch", "service/api", "--patch", blue]).await;
    let channel = team.asks_for(1, "switch").await;
    team.world.message(&channel, "web version=green and api version=blue");
    team.close().await;
}

/// A Deployment that reads a ConfigMap or a Secret.
fn reader(name: &str, source: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name} }}\nspec:\n  selector: {{ matchLabels: {{ app: {name} }} }}\n  \
         template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    spec:\n      containers: [{{ name: {name}, image: \"example/{name}:1\", \
         envFrom: [{{ {source} }}] }}]\n"
    )
}

#[tokio::test]
async fn flags_are_put_back_and_their_readers_restarted() {
    let flags = "flags: { config_map: features, set: { checkout: \"off\" }, remove: [beta] }";
    let Some(team) = Team::doing(&[("flags", "reversible", flags)], "rollout, status, deployment/web").await else {
        return;
    };
    team.space
        .kubectl(&[
            "create",
            "configmap",
            "features",
            "--from-literal=checkout=on",
            "--from-literal=beta=yes",
            "--from-literal=other=1",
        ])
        .await;
    team.space.apply(&reader("web", "configMapRef: { name: features }")).await;
    team.space.apply(&reader("api", "configMapRef: { name: others, optional: true }")).await;
    team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let before = team.space.pods("app=web").await;
    let (plan, done) = team.through(1, "flags").await;
    for line in ["checkout: on → off", "beta: yes →", "restarted afterwards: web"] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert!(!plan.contains("api"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.get("configmap/features").await["data"], json!({"checkout": "off", "other": "1"}));
    team.space.once("pods", |pods| pods["items"].as_array().is_some_and(|all| all.len() == 2)).await;
    assert!(!team.space.pods("app=web").await.contains(&before[0]));
    assert_eq!(
        team.space.writes(),
        [json!(["patch", "configmaps/features", 200]), json!(["patch", "deployments/web", 200])]
    );
    team.close().await;
}

/// P1 · What a restart does needs no word of what the steps before it leave; what changes the template does.
#[tokio::test]
async fn a_restart_follows_an_earlier_step_on_the_same_workload_and_an_undo_does_not() {
    let Some(space) = Namespace::open().await else { return };
    let step = |what: &str| {
        format!(
            "\n      - within: 1m\n        kubernetes:\n          cluster: production\n          namespace: {}\n          {what}",
            space.name
        )
    };
    let (undo, flags) =
        ("undo: { workloads: [deployment/web] }", "flags: { config_map: features, set: { checkout: \"off\" } }");
    let (good, bad) = (format!("{undo}{}", step(flags)), format!("{flags}{}", step(undo)));
    let actions = [("back", "reversible", good.as_str()), ("wrong", "reversible", bad.as_str())];
    let setting = Setting { actions: &actions, check: "rollout, status, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.kubectl(&["create", "configmap", "features", "--from-literal=checkout=on"]).await;
    let web = reader("web", "configMapRef: { name: features }");
    for image in ["example/web:1", "example/web:2"] {
        team.space.apply(&web.replace("example/web:1", image)).await;
        team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    }
    let wrong = team.asks_for(1, "wrong").await;
    team.world.message(&wrong, "Two steps would change");
    let (plan, done) = team.through(2, "back").await;
    assert!(plan.contains("restarted afterwards: web"), "{plan}");
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    let web = team.space.get("deployment/web").await;
    let template = &web["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["image"], "example/web:1");
    assert!(template["metadata"]["annotations"]["vigie/restarted"].is_string(), "{template}");
    team.close().await;
}

/// Everything that the files of a folder hold.
fn kept_in(folder: &std::path::Path) -> String {
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let bytes = files.map(|file| std::fs::read(file.expect("a file").path()).expect("it can be read"));
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// Neither in the database nor in the log nor in anything that was sent to Slack.
#[tokio::test]
async fn a_secret_is_restored_and_its_values_are_nowhere() {
    let Some(space) = Namespace::open().await else { return };
    let restore = [("restore", "reversible", "put_secret_back: { name: app, from: app-saved }")];
    let setting = Setting { actions: &restore, check: "rollout, status, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let values = ["hunter2-live-password", "hunter2-saved-password", "hunter2-live-token"];
    let encoded = values.map(|value| STANDARD.encode(value));
    let literal = |key: &str, value: &str| format!("--from-literal={key}={value}");
    let live = [literal("password", values[0]), literal("token", values[2])];
    space.kubectl(&["create", "secret", "generic", "app", &live[0], &live[1]]).await;
    space.kubectl(&["create", "secret", "generic", "app-saved", &literal("password", values[1])]).await;
    space.apply(&reader("web", "secretRef: { name: app }")).await;
    space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;

    let folder = tempfile::tempdir().expect("a folder can be made");
    let database = folder.path().join("vigie.db");
    let outside = Outside::open_on(&format!("sqlite://{}", database.display()), &space, &setting).await;
    let bot = outside.talkative().await;
    outside.approves(1, "restore").await;
    let run = outside.ended(1).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    let log = bot.stop().await;
    assert_eq!(space.get("secret/app").await["data"], json!({"password": encoded[1]}));
    let copy = format!("app-vigie-run-1-1-step-1-{:x}", run.asked.at.0);
    let kept = space.get(&format!("secret/{copy}")).await["data"].take();
    assert_eq!(kept, json!({"password": encoded[0], "token": encoded[2]}));
    let patched = |name: &str| json!(["patch", name, 200]);
    let created = json!(["create", format!("secrets/{copy}"), 201]);
    assert_eq!(space.writes(), [created, patched("secrets/app"), patched("deployments/web")]);

    let calls = outside.town.ws().calls().iter().map(|call| call.args.to_string()).collect::<Vec<_>>().join("\n");
    let plan = calls.lines().find(|call| call.contains("Secret of its own")).expect("the plan was shown");
    for line in ["changed: password", "removed: token", "restarted afterwards: web"] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    for (place, said) in [("Slack", calls), ("the log", log), ("the database", kept_in(folder.path()))] {
        assert!(said.contains("run_1_1"), "{place} is not looked through");
        for value in values.iter().copied().chain(encoded.iter().map(String::as_str)) {
            assert!(!said.contains(value), "{place} holds {value}");
        }
    }
}

/// K10 · The server answers what it cannot take with the whole Secret, the live values included. So it is not asked about
/// what is no base64, and what it says of a Secret is never shown.
#[tokio::test]
async fn what_the_server_says_of_a_bad_copy_of_a_secret_is_nowhere() {
    let Some(space) = Namespace::open().await else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let saved = folder.path().join("saved.yaml");
    let step = |name: &str| format!("put_secret_back: {{ name: {name}, file: {}, restart: [] }}", saved.display());
    let (app, tls) = (step("app"), step("tls"));
    let actions = [("app", "reversible", app.as_str()), ("tls", "reversible", tls.as_str())];
    let setting = Setting { actions: &actions, check: "get, namespace", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let (live, key) = ("hunter2-live-password", "hunter2-live-key");
    space.kubectl(&["create", "secret", "generic", "app", &format!("--from-literal=password={live}")]).await;
    let (live, key) = (STANDARD.encode(live), STANDARD.encode(key));
    space
        .apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{ name: tls }}\ntype: kubernetes.io/tls\ndata: {{ tls.crt: {key}, tls.key: {key} }}\n"
        ))
        .await;

    let database = folder.path().join("vigie.db");
    let outside = Outside::open_on(&format!("sqlite://{}", database.display()), &space, &setting).await;
    let bot = outside.talkative().await;
    let bad = [
        ("app", "data: { password: hunter2-plain, port: 5432 }", "these are not: password and port"),
        ("app", "stringData: { port: 5432 }", "these are not: port"),
        ("app", "data: {}", "holds no values"),
        // Without its key the server refuses it, and says so with all that it holds.
        ("tls", "data: { tls.crt: aGVsbG8= }", "(422 Invalid)"),
    ];
    for (incident, (action, data, says)) in (1..).zip(bad) {
        std::fs::write(&saved, format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: {action} }}\n{data}\n"))
            .expect("it can be written");
        outside.asks(incident, action).await;
        let refused = async || {
            let calls = outside.town.ws().calls();
            calls.iter().any(|call| call.args.to_string().contains(says)).then_some(())
        };
        crate::faults::until(says, super::process::PATIENCE, refused).await;
    }
    let log = bot.stop().await;
    let calls = outside.town.ws().calls().iter().map(|call| call.args.to_string()).collect::<Vec<_>>().join("\n");
    for (place, said) in [("Slack", calls), ("the log", log), ("the database", kept_in(folder.path()))] {
        assert!(said.contains("the web fails"), "{place} is not looked through");
        for value in ["hunter2-plain", &live, &key] {
            assert!(!said.contains(value), "{place} holds {value}");
        }
    }
    assert_eq!(space.writes(), Vec::<Value>::new());
}

/// The server would refuse any change of it, and say so in the middle of the night.
#[tokio::test]
async fn what_is_immutable_is_refused_before_anybody_is_asked() {
    let flags = "flags: { config_map: features, set: { checkout: \"off\" } }";
    let restore = "put_secret_back: { name: app, from: app-saved, restart: [] }";
    let actions = [("flags", "reversible", flags), ("restore", "reversible", restore)];
    let Some(team) = Team::doing(&actions, "get, configmap/features").await else { return };
    let is_fixed = "{\"immutable\": true}";
    team.space.kubectl(&["create", "configmap", "features", "--from-literal=checkout=on"]).await;
    team.space.kubectl(&["create", "secret", "generic", "app", "--from-literal=password=hunter2-live"]).await;
    team.space.kubectl(&["create", "secret", "generic", "app-saved", "--from-literal=password=hunter2-saved"]).await;

    // Somebody fixes it between the plan and the approval.
    let (channel, card) = team.planned(1, "restore").await;
    team.space.kubectl(&["patch", "secret", "app", "-p", is_fixed]).await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Stale { .. }), "{card}");

    team.space.kubectl(&["patch", "configmap", "features", "-p", is_fixed]).await;
    for (incident, action, name) in [(2, "restore", "app"), (3, "flags", "features")] {
        let channel = team.asks_for(incident, action).await;
        team.world.message(&channel, &format!("{name} is immutable"));
    }
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}
