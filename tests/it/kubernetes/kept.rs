//! The state before is kept, and readable after everything has changed (K15); and what `vigie doctor` says of a cluster.

use serde_json::{Value, json};
use vigie::app::doctor::{Patient, State, examine};
use vigie::clock::Clock;
use vigie::config::Env;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Run;
use vigie::incident::timeline::Fact;

use super::plane::Namespace;
use super::team::{Setting, Team};
use crate::world::{shown, ts};

/// A role that lets the bot list Secrets, which it does not ask for.
const SECRETS: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: more }\nrules: [{ apiGroups: [\"\"], \
                       resources: [secrets], verbs: [list] }]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
                       metadata: { name: more }\nsubjects: [{ kind: User, name: vigie, apiGroup: rbac.authorization.k8s.io }]\n\
                       roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: more }\n";

/// What the bot has shared, by name.
fn shared(team: &Team) -> Vec<(String, String)> {
    let files = team.world.ws().files();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    files.iter().map(|file| (file.name.clone(), text(&file.bytes))).collect()
}

async fn times_kept(team: &Team) -> usize {
    let entries =
        team.world.setup.vigie.store.timeline(team.world.incident(1).await.id).await.expect("the store answers");
    entries.iter().filter(|entry| matches!(entry.fact, Fact::StateKept { .. })).count()
}

#[tokio::test]
async fn the_state_before_is_kept_and_readable_after_the_roll_back() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting::default();
    space.grant(&setting.roles(&space)).await;
    space.apply(SECRETS).await;
    space.kubectl(&["create", "secret", "generic", "app", "--from-literal=password=hunter2-password"]).await;
    let annotation = "kapp.k14s.io/original={\"data\":{\"password\":\"hunter2-annotation\"}}";
    space.kubectl(&["annotate", "secret/app", annotation]).await;
    space
        .kubectl(&[
            "create",
            "configmap",
            "app",
            "--from-literal=api_key=hunter2-api-key",
            "--from-literal=colour=blue",
        ])
        .await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1", "example/web:2-chatty"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    let card = team.world.again(&channel, &card);
    assert!(shown(&card).contains("*State before:* 3 files ("), "{}", shown(&card));
    team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(times_kept(&team).await, 1, "it was fresh when somebody approved");

    team.world.clicks("U0ONCALL", &channel, &ts(&card), "files").await;
    team.world.whisper("U0ONCALL", "3 files of run_1_1 will come into the channel");
    let (name, files) = (&team.space.name, shared(&team));
    let file = |what: &str| {
        let wanted = format!("run_1_1-production-{name}-{what}");
        let found = files.iter().find(|(name, _)| *name == wanted);
        found
            .map(|(_, text)| text.clone())
            .unwrap_or_else(|| panic!("{wanted} is not among {:?}", files.iter().map(|f| &f.0)))
    };
    let objects = file("objects.yaml");
    for line in
        ["example/web:2-chatty", "kind: Deployment", "colour: blue", "name: app", "# v1 secrets", "kind: ReplicaSet"]
    {
        assert!(objects.contains(line), "{line} is not in {objects}");
    }
    assert!(!objects.contains("managedFields"), "{objects}");
    assert!(file("events.txt").contains("Deployment/web: Scaled up replica set"), "{}", file("events.txt"));
    let log = file("logs-deployment-web.txt");
    assert!(
        log.starts_with("==> web-") && (900..1_100).contains(&log.lines().count()),
        "{} lines",
        log.lines().count()
    );
    for secret in ["hunter2-password", "hunter2-api-key", "aHVudGVyMi1wYXNzd29yZA", "hunter2-annotation"] {
        assert!(files.iter().all(|(_, text)| !text.contains(secret)), "{secret} was kept");
    }
    // Each file is shared once.
    team.world.types("U0LEAD", &channel, "files run_1_1").await;
    team.world.whisper("U0LEAD", "The files of run_1_1 are in the channel already");
    assert_eq!(shared(&team).len(), files.len());
    let timeline = team.world.timeline("U0LEAD", 1).await;
    assert!(timeline.contains("State before Roll the web back (run_1_1) kept: production-"), "{timeline}");
    assert_eq!(team.space.writes(), [json!(["patch", "deployments/web", 200])]);
    team.close().await;
}

#[tokio::test]
async fn state_that_is_old_when_somebody_approves_is_kept_anew_before_anything_changes() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    team.world.pass(6).await;
    team.space.kubectl(&["create", "configmap", "since"]).await;
    team.world.clicks("U0LEAD", &channel, &ts(&card), "approve").await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(times_kept(&team).await, 2);
    let run: Run = team.run(1).await;
    let file = run.kept.expect("it is kept").files.into_iter().find(|file| file.name.ends_with("objects.yaml"));
    let file = file.expect("the objects are kept");
    let kept = team.world.setup.vigie.store.kept_file(run.id, &file.sha256).await.expect("the store answers");
    let kept = kept.expect("it is there");
    assert!(kept.contains("name: since") && kept.contains("image: example/web:2"), "{kept}");
    assert_eq!(u64::try_from(kept.len()), Ok(file.bytes));
    team.close().await;
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_no_more() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting::default();
    let roles =
        setting.roles(&space).replace("\"configmaps\"", "\"podtemplates\"").replace("\"events\"", "\"podtemplates\"");
    space.grant(&roles).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    let card = shown(&team.world.again(&channel, &card));
    assert!(card.contains("*State before:* 2 files (") && card.contains("not allowed: configmaps, "), "{card}");
    assert!(card.contains("not allowed: events"), "{card}");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

/// The newest lines are those that people look for. What is cut, and the logs of which pods are not kept at all, is said.
#[tokio::test]
async fn long_logs_keep_their_newest_lines_and_those_of_init_containers_are_kept_too() {
    let restart = [
        ("anew", "reversible", "restart: { workloads: [deployment/web] }"),
        ("many", "reversible", "restart: { workloads: [deployment/many] }"),
    ];
    let looks = [("errors", "logs: { selector: \"app=web\", filter: ERROR, within: 10m, limits: { warn_above: 10 } }")];
    let setting = Setting { actions: &restart, looks: &looks, ..Setting::default() };
    let Some(team) = Team::having(setting).await else { return };
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  selector: { matchLabels: { app: web } }\n  \
               template:\n    metadata: { labels: { app: web } }\n    spec:\n      initContainers: [{ name: prepare, image: \
               example/prepare:1 }]\n      containers: [{ name: web, image: example/web:1-wordy }]\n";
    team.space.apply(web).await;
    team.space.deployed("many", &["example/web:1"], 52).await;
    team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let (channel, card) = team.planned(1, "anew").await;
    let said = shown(&team.world.again(&channel, &card));
    assert!(said.contains("only the end is kept of web-"), "{said}");
    // What was counted is the newest part, and no figure for the whole.
    let counted = "2 lines with ERROR in 10 min, of 1 log only the end";
    assert!(said.contains(counted), "{said}");
    team.world.clicks("U0ONCALL", &channel, &ts(&card), "files").await;
    let files = shared(&team);
    let log = files.iter().find(|(name, _)| name.ends_with("logs-deployment-web.txt"));
    let log = &log.expect("the log is kept").1;
    assert!(log.contains("connection reset") && log.contains("… cut here"), "{} bytes", log.len());
    assert!(log.contains("/prepare <==") && log.contains("INFO done, exit code 0"), "{} bytes", log.len());

    let (channel, card) = team.planned(2, "many").await;
    let said = shown(&team.world.again(&channel, &card));
    assert!(said.contains("app=many: the logs of 2 more pods"), "{said}");
    // Others need the node.
    team.space.kubectl(&["scale", "deployment/many", "--replicas=0"]).await;
    team.close().await;
}

/// What `vigie doctor` says of the cluster.
pub async fn examined(setting: &Setting<'_>, space: &Namespace) -> Vec<(State, String)> {
    let nothing = |_: &str| None;
    let no_files = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let patient = Patient {
        name: "vigie.yml".to_owned(),
        config: Ok(setting.config(space)),
        env: Env::read(&nothing, &no_files),
        database: Ok("sqlite:///nowhere/vigie.db".into()),
    };
    let findings = examine(&patient, Clock::system()).await;
    let of_clusters = findings.into_iter().filter(|finding| finding.subject == "clusters");
    of_clusters.map(|finding| (finding.state, format!("{} · {}", finding.said, finding.cure))).collect()
}

#[tokio::test]
async fn the_doctor_says_of_each_cluster_whether_it_answers_and_what_is_not_allowed_there() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting::default();
    space.grant(&setting.roles(&space).replace(", \"patch\"", "")).await;
    let lacking = examined(&setting, &space).await;
    let right = format!("production: Vigie has no right there to patch deployments/web in {}", space.name);
    assert!(matches!(lacking.as_slice(), [(State::Bad, said)] if said.starts_with(&right)), "{lacking:?}");
    assert!(lacking[0].1.ends_with("vigie action rbac --cluster production | kubectl apply -f -"), "{lacking:?}");
    space.grant(&setting.roles(&space)).await;
    let good = examined(&setting, &space).await;
    let wanted = "production answers (v1.";
    assert!(matches!(good.as_slice(), [(State::Good, said)] if said.starts_with(wanted)), "{good:?}");
    let elsewhere = space.through("127.0.0.1:9".parse().expect("an address"));
    let silent = examined(&setting, &elsewhere).await;
    assert!(matches!(silent.as_slice(), [(State::Bad, said)] if said.contains("production")), "{silent:?}");
}

/// Who is nobody there may not even ask what is allowed. That is no good news.
#[tokio::test]
async fn the_doctor_says_where_a_cluster_does_not_say_what_is_allowed() {
    let Some(space) = Namespace::open().await else { return };
    let setting = Setting { reached: "impersonate: { user: \"system:anonymous\" }", ..Setting::default() };
    let found = examined(&setting, &space.with_kubeconfig(&space.kubeconfig("admin"))).await;
    let wanted = format!("production does not say what Vigie may do in {}", space.name);
    assert!(matches!(found.as_slice(), [(State::Odd, said)] if said.starts_with(&wanted)), "{found:?}");
}
