//! A cluster that falls silent, answers slowly, forgets who we are or goes away: what is told, and what is not done twice.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vigie::clock::Clock;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use super::plane::{Namespace, Plane};
use super::process::{Outside, PATIENCE};
use super::relay::Relay;
use super::team::{Setting, Team};
use crate::bot::Bot;
use crate::faults::until;
use crate::world::shown;

async fn a_card_says(outside: &Outside, text: &str) {
    let said = async || {
        let calls = outside.town.ws().calls_of("chat.update");
        calls.iter().any(|call| shown(&call.args).contains(text)).then_some(())
    };
    until("a card says that the cluster is silent", PATIENCE, said).await;
}

/// A roll-back that is approved while the server stands still.
async fn allowed_in_silence(plane: &Plane, space: &Namespace, setting: &Setting<'_>) -> (Outside, Bot) {
    space.grant(&setting.roles(space)).await;
    space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let outside = Outside::open(space, setting).await;
    let bot = outside.town.start().await;
    outside.planned(1, "undo-web").await;
    plane.freeze().await;
    outside.allowed(1).await;
    (outside, bot)
}

/// The server stands still after the change, longer than any request waits.
#[tokio::test]
async fn an_api_server_silent_for_20_s_in_the_middle_of_a_roll_out_is_waited_for() {
    let Some(plane) = Plane::own().await else { return };
    let space = plane.namespace().await;
    let setting = Setting { within: "90s", ..Setting::default() };
    let (outside, bot) = Outside::in_mid_roll_out(&space, &setting).await;
    plane.freeze().await;
    a_card_says(&outside, "the cluster production does not answer").await;
    let began = Clock::system().now();
    let passed = async || (Clock::system().now().since(began).0 >= 20_000).then_some(());
    until("twenty seconds have passed", PATIENCE, passed).await;
    plane.thaw().await;
    let run = outside.ended(1).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);
    bot.stop().await;
    drop(plane);
}

/// P3 · Somebody looks at the card and waits: what it is that does not come is told before anything was changed as well.
#[tokio::test]
async fn an_api_server_that_is_silent_before_the_first_change_is_told_to_be() {
    let Some(plane) = Plane::own().await else { return };
    let space = plane.namespace().await;
    let setting = Setting { within: "60s", reached: "answers_within: 1s", ..Setting::default() };
    let (outside, bot) = allowed_in_silence(&plane, &space, &setting).await;
    a_card_says(&outside, "↳ the cluster production does not answer").await;
    plane.thaw().await;
    let run = outside.ended(1).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);
    bot.stop().await;
    drop(plane);
}

/// Nothing comes of a reading, whatever becomes of its answer: nobody is asked to look for what was never sent.
#[tokio::test]
async fn an_api_server_that_is_never_reached_again_after_the_approval_has_changed_nothing() {
    let Some(plane) = Plane::own().await else { return };
    let space = plane.namespace().await;
    let setting = Setting { within: "6s", reached: "answers_within: 1s", ..Setting::default() };
    let (outside, bot) = allowed_in_silence(&plane, &space, &setting).await;
    let run = outside.ended(1).await;
    plane.thaw().await;
    let Phase::Finished { outcome: Outcome::Failed { step: Some(0), why } } = &run.phase else { panic!("{run:?}") };
    assert_eq!(why.key, "step.unchanged", "{why}");
    assert_eq!(run.goes_on_with(), Some(0), "it can be tried again");
    assert_eq!(space.writes(), Vec::<Value>::new());
    bot.stop().await;
    drop(plane);
}

/// Whoever reads that the cluster does not answer mends the network: once it answers, how things are is told again.
#[tokio::test]
async fn that_a_cluster_was_silent_is_no_longer_told_once_it_answers() {
    let Some(plane) = Plane::own().await else { return };
    let space = plane.namespace().await;
    let setting = Setting { within: "5m", reached: "answers_within: 1s", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    space.deployed("web", &["example/web:1-broken", "example/web:2"], 1).await;
    let outside = Outside::open(&space, &setting).await;
    let bot = outside.town.start().await;
    outside.approves(1, "undo-web").await;
    let newest_says = async |text: &str| {
        let says = async || {
            let edits = outside.town.ws().calls_of("chat.update");
            let progress = edits.iter().map(|call| shown(&call.args)).rfind(|card| card.contains('↳'));
            progress.is_some_and(|card| card.contains(text)).then_some(())
        };
        tokio::select! {
            () = until(text, PATIENCE, says) => {}
            run = outside.ended(1) => panic!("it ended before the card said “{text}”: {run:?}"),
        }
    };
    newest_says("↳ web: 1 of 1 updated").await;
    plane.freeze().await;
    newest_says("↳ the cluster production does not answer").await;
    plane.thaw().await;
    newest_says("↳ web: 1 of 1 updated").await;
    bot.stop().await;
    drop(plane);
}

/// Nobody knows what became of it: the workload stays locked and a person is asked.
#[tokio::test]
async fn an_api_server_silent_beyond_the_deadline_leaves_the_run_unknown() {
    let Some(plane) = Plane::own().await else { return };
    let space = plane.namespace().await;
    let setting = Setting { within: "8s", ..Setting::default() };
    let (outside, bot) = Outside::in_mid_roll_out(&space, &setting).await;
    plane.freeze().await;
    let run = outside.ended(1).await;
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Unknown { step: 0, .. } }), "{run:?}");
    plane.thaw().await;
    assert_eq!(space.writes(), [json!(["patch", "deployments/web", 200])]);
    bot.stop().await;
    drop(plane);
}

#[tokio::test]
async fn a_right_lost_after_the_approval_is_named() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    team.space.kubectl(&["delete", "rolebinding/vigie"]).await;
    team.space.until_denied("patch", "deployments/web").await;
    let card = team.approved(&channel, &card).await;
    assert!(card.contains("Vigie has no right there to"), "{card}");
    assert!(matches!(team.outcome(1).await, Outcome::Failed { step: Some(0), .. }), "{card}");
    assert_eq!(team.space.image("web").await, "example/web:2");
    team.close().await;
}

/// Its roles are still there, held by somebody's finalizer, so that it is the end of the namespace that counts: whatever is
/// made in it is refused for that, and what was in it is gone.
#[tokio::test]
async fn a_namespace_that_ends_is_said_to_end() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let features = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: features }\ndata: { checkout: \"off\" }\n";
    std::fs::write(folder.path().join("features.yaml"), features).expect("it can be written");
    let apply = format!("apply: {{ folder: {} }}", folder.path().display());
    let actions = [
        ("undo", "reversible", "undo: { workloads: [deployment/web] }"),
        ("migrate", "destructive", "job: { image: \"example/task:1\", command: [migrate] }"),
        ("apply", "destructive", apply.as_str()),
    ];
    let Some(team) = Team::doing(&actions, "get, namespace").await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let mut planned = Vec::new();
    for (incident, action) in [(1, "undo"), (2, "migrate"), (3, "apply")] {
        planned.push(team.planned(incident, action).await);
    }
    for role in ["role/vigie", "rolebinding/vigie"] {
        let held = "{\"metadata\":{\"finalizers\":[\"example.com/held\"]}}";
        team.space.kubectl(&["patch", role, "--type=merge", "--patch", held]).await;
    }
    team.space.kubectl(&["delete", "namespace", &team.space.name, "--wait=false"]).await;
    let gone =
        async || team.space.kubectl(&["get", "deployments", "--output", "name"]).await.trim().is_empty().then_some(());
    until("the workloads are gone", PATIENCE, gone).await;
    let ends = format!("the namespace {} is being deleted", team.space.name);
    for ((incident, says), (channel, card)) in
        [(1, "web is no longer there"), (2, ends.as_str()), (3, ends.as_str())].into_iter().zip(planned)
    {
        let card = team.approved(&channel, &card).await;
        let outcome = team.outcome(incident).await;
        assert!(
            matches!(outcome, Outcome::Stale { step: 0, .. } | Outcome::Failed { step: Some(0), .. }),
            "{outcome:?}"
        );
        assert!(card.contains(says), "{says} is not in {card}");
    }
    assert!(team.space.writes().iter().all(|write| write[2] == 403), "{:?}", team.space.writes());
    for role in ["rolebinding/vigie", "role/vigie"] {
        let free = "{\"metadata\":{\"finalizers\":null}}";
        team.space.kubectl(&["patch", role, "--type=merge", "--patch", free]).await;
    }
    team.close().await;
}

/// A team whose cluster is reached through a relay that can be late or lose answers.
async fn behind_a_relay() -> Option<(Team, Relay)> {
    let space = Namespace::open().await?;
    let setting = Setting::default();
    space.grant(&setting.roles(&space)).await;
    space.deployed("web", &["example/web:1", "example/web:2"], 2).await;
    let relay = Relay::open(space.server()).await;
    Some((Team::on(space.through(relay.address()), setting).await, relay))
}

/// Every byte comes late, both ways.
#[tokio::test]
async fn a_cluster_that_answers_slowly_is_slow_and_nothing_else() {
    let Some((team, relay)) = behind_a_relay().await else { return };
    relay.delay(Duration::from_millis(300));
    let (_, done) = team.through(1, "undo-web").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.image("web").await, "example/web:1");
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/web", 200])]);
    team.close().await;
}

/// The answer to the change is lost on its way: it was done, and is not done again.
#[tokio::test]
async fn a_change_whose_answer_is_lost_is_not_made_twice() {
    let Some((team, relay)) = behind_a_relay().await else { return };
    let (channel, card) = team.planned(1, "undo-web").await;
    // It looks at the Deployment and at the ReplicaSet, and then sends the change.
    relay.lose_the_answer_after(2);
    let done = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!((relay.lost(), team.space.image("web").await.as_str()), (1, "example/web:1"));
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/web", 200])]);
    team.close().await;
}

/// The answer is lost, and somebody else changes it before anybody can look: that nothing was done is not said.
#[tokio::test]
async fn a_change_whose_answer_is_lost_before_somebody_elses_is_not_told_as_none() {
    let Some((team, relay)) = behind_a_relay().await else { return };
    let (channel, card) = team.planned(1, "undo-web").await;
    // It looks at the Deployment and at the ReplicaSet, and then sends the change.
    relay.stand_still_after(2);
    let deploys = async {
        let lost = async || (relay.lost() == 1).then_some(());
        until("the answer is lost", PATIENCE, lost).await;
        team.space.set_image("web", "example/web:3").await;
        relay.go_on();
    };
    let (done, ()) = tokio::join!(team.approved(&channel, &card), deploys);
    let outcome = team.outcome(1).await;
    assert!(matches!(outcome, Outcome::Unknown { step: 0, .. }), "{outcome:?}: {done}");
    assert_eq!(team.world.incident(1).await.runs.len(), 1, "nothing is planned anew by itself");
    team.close().await;
}

/// A kubeconfig with other credentials.
fn with_user(good: &str, user: &str) -> String {
    let lines = good.lines().filter(|line| !line.contains("client-key-data"));
    let other = lines
        .map(|line| if line.contains("client-certificate-data") { format!("    {user}") } else { line.to_owned() });
    other.collect::<Vec<_>>().join("\n")
}

/// Certificates are renewed while Vigie runs: the file is read again, and no word of it is told.
#[tokio::test]
async fn wrong_credentials_are_said_so_and_new_ones_are_read() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting::default();
    space.grant(&setting.roles(&space)).await;
    space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let good = std::fs::read_to_string(space.kubeconfig("bot")).expect("it is there");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, with_user(&good, "token: hunter2-hunter2-hunter2")).expect("it can be written");
    let team = Team::on(space.with_kubeconfig(&file), setting).await;
    let channel = team.asks_for(1, "undo-web").await;
    let refused = shown(&team.world.message(&channel, "the cluster production does not know Vigie"));
    assert!(!refused.contains("hunter2"), "{refused}");
    std::fs::write(&file, &good).expect("it can be written");
    let (_, done) = team.through(2, "undo-web").await;
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    team.close().await;
}

/// Whoever vouches for the API server is renewed, too.
#[tokio::test]
async fn who_vouches_for_the_api_server_is_read_anew_when_it_is_not_trusted() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting::default();
    space.grant(&setting.roles(&space)).await;
    space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let good = std::fs::read_to_string(space.kubeconfig("bot")).expect("it is there");
    let key = rcgen::KeyPair::generate().expect("a key can be made");
    let mut other = rcgen::CertificateParams::default();
    other.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let other = STANDARD.encode(other.self_signed(&key).expect("it can be signed").der());
    let other = STANDARD.encode(format!("-----BEGIN CERTIFICATE-----\n{other}\n-----END CERTIFICATE-----\n"));
    let line = |line: &str| match line.trim_start().starts_with("certificate-authority-data:") {
        true => format!("    certificate-authority-data: {other}"),
        false => line.to_owned(),
    };
    let untrusted = good.lines().map(line).collect::<Vec<_>>().join("\n");
    assert_ne!(untrusted, good.trim_end(), "it says who vouches");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, untrusted).expect("it can be written");
    let team = Team::on(space.with_kubeconfig(&file), setting).await;
    let channel = team.asks_for(1, "undo-web").await;
    team.world.message(&channel, "invalid peer certificate");
    std::fs::write(&file, &good).expect("it can be written");
    let (_, done) = team.through(2, "undo-web").await;
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    team.close().await;
}

/// A program that fetches credentials sees none of ours, and what it prints is told to nobody.
#[tokio::test]
async fn a_program_for_credentials_sees_none_of_our_secrets_and_its_output_is_nowhere() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting::default();
    space.grant(&setting.roles(&space)).await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (plugin, seen, file) =
        (folder.path().join("plugin"), folder.path().join("seen"), folder.path().join("kubeconfig"));
    let script = format!(
        "#!/bin/sh\nenv > {}\necho token-hunter2-hunter2\necho token-hunter2-hunter2 >&2\nexit 3\n",
        seen.display()
    );
    std::fs::write(&plugin, script).expect("it can be written");
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).expect("it can run");
    let good = std::fs::read_to_string(space.kubeconfig("bot")).expect("it is there");
    let exec = format!(
        "exec: {{ apiVersion: client.authentication.k8s.io/v1beta1, command: {}, args: [] }}",
        plugin.display()
    );
    std::fs::write(&file, with_user(&good, &exec)).expect("it can be written");
    let outside = Outside::open(&space.with_kubeconfig(&file), &setting).await;
    let bot = outside.talkative().await;
    outside.asks(1, "undo-web").await;
    let said = async || {
        let calls = outside.town.ws().calls();
        calls.iter().any(|call| call.args.to_string().contains("ended with 3")).then_some(())
    };
    until("the failure is told", PATIENCE, said).await;
    let log = bot.stop().await;
    let environment = std::fs::read_to_string(&seen).expect("the program ran");
    for ours in ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "DATABASE_URL", "PHONES_SECRET"] {
        assert!(!environment.contains(ours), "{ours} is in {environment}");
    }
    assert!(environment.contains("PATH="), "{environment}");
    let told: String = outside.town.ws().calls().iter().map(|call| call.args.to_string()).collect();
    assert!(!log.contains("hunter2") && !told.contains("hunter2"), "what the program printed is told");
}

/// Vigie's own account may do everything here; what counts is who it says it is.
#[tokio::test]
async fn an_impersonated_account_has_its_own_rights() {
    let Some(space) = Namespace::open().await else { return };
    let setting =
        Setting { reached: "impersonate: { user: vigie, groups: [\"system:authenticated\"] }", ..Setting::default() };
    space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let roles = setting.roles(&space);
    let admin = space.kubeconfig("admin");
    let team = Team::on(space.with_kubeconfig(&admin), setting).await;
    let channel = team.asks_for(1, "undo-web").await;
    team.world.message(&channel, "Vigie has no right there to");
    team.space.grant(&roles).await;
    let (_, done) = team.through(2, "undo-web").await;
    assert_eq!(team.outcome(2).await, Outcome::Done, "{done}");
    assert_eq!(team.space.image("web").await, "example/web:1");
    team.close().await;
}

/// In a pod the account lies in files at a place that is always the same; here that place is the process's own.
#[tokio::test]
async fn in_the_cluster_itself_the_bot_is_its_service_account() {
    let apart = ["--map-root-user", "--mount"];
    let may = tokio::process::Command::new("unshare").args(apart).arg("true").status().await;
    if !may.is_ok_and(|status| status.success()) {
        return crate::faults::skip(
            "a service account of a pod needs a place of its own (unshare --mount), which is refused",
        );
    }
    let Some(space) = Namespace::open().await else { return };
    let account = format!("--serviceaccount={}:default", space.name);
    space.kubectl(&["create", "rolebinding", "vigie", "--clusterrole=admin", &account]).await;
    space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let secrets = space.get("secrets").await;
    let of_account = |secret: &&Value| secret["type"] == "kubernetes.io/service-account-token";
    let secret = secrets["items"].as_array().and_then(|all| all.iter().find(of_account)).expect("it has a token");
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (file, key) in [("token", "token"), ("ca.crt", "ca.crt"), ("namespace", "namespace")] {
        let bytes = STANDARD.decode(secret["data"][key].as_str().expect("it is there")).expect("it is base64");
        std::fs::write(folder.path().join(file), bytes).expect("it can be written");
    }
    let setting = Setting::default();
    let config = setting.configuration(&space);
    let kubeconfig = format!("kubeconfig: \"{}\"", space.of_the_bot().display());
    assert!(config.contains(&kubeconfig), "{config}");
    let outside = Outside::saying(&config.replace(&kubeconfig, "in_cluster: true")).await;
    let (host, port) = (
        format!("KUBERNETES_SERVICE_HOST={}", space.server().ip()),
        format!("KUBERNETES_SERVICE_PORT={}", space.server().port()),
    );
    let place = "/var/run/secrets/kubernetes.io";
    let script = format!(
        "mount -t tmpfs none /var/run && mkdir -p {place} && cp -r {} {place}/serviceaccount && exec \"$@\"",
        folder.path().display()
    );
    let words = ["env", &host, &port, "unshare", apart[0], apart[1], "sh", "-c", &script, "sh"];
    let bot = outside.begun_by(&words).await;
    outside.approves(1, "undo-web").await;
    let run = outside.ended(1).await;
    assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:?}");
    bot.stop().await;
    assert_eq!(space.image("web").await, "example/web:1");
}
