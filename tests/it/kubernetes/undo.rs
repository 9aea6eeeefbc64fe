//! What a roll-back does, and the server's traps that it does not fall into.

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;
use vigie::incident::timeline::Fact;

use super::plane::Namespace;
use super::team::{Setting, Team};
use crate::world::{shown, ts};

fn one_write(name: &str) -> Vec<Value> {
    vec![json!(["patch", format!("deployments/{name}"), 200])]
}

#[tokio::test]
async fn a_deployment_is_rolled_back_as_the_card_said() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 3).await;
    let before = team.space.get("deployment/web").await;
    let (channel, card) = team.planned(1, "undo-web").await;
    let holder = team.space.kubectl(&["get", "replicasets", "--output", "name"]).await;
    assert_eq!(holder.lines().count(), 2, "{holder}");
    let name = &team.space.name;
    let text = shown(&card);
    for line in [
        "*example/web:2 · revision 2 → example/web:1 · revision 1*",
        &format!("deployment/web ({name}, production)"),
        "Roll web back from example/web:2 · revision 2 to example/web:1 · revision 1",
        "web: example/web:2 → example/web:1",
        "as kept in web-",
        "*Rights needed, checked:*",
        &format!("patch deployments/web in {name}"),
        "*Checked afterwards:* Roll-out",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let now = team.space.get("deployment/web").await;
    assert_eq!(now["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"], "planning changes nothing");

    let done = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.image("web").await, "example/web:1");
    for line in
        ["now example/web:1 · revision 3", "web runs example/web:1 · revision 3, 3 of 3 available", "✅ *Roll-out:*"]
    {
        assert!(done.contains(line), "{line} is not in {done}");
    }
    let finished = shown(&team.world.message(&channel, "*Rolled back*"));
    assert!(finished.contains("serves example/web:1 · revision 3 again"), "{finished}");
    let live = team.world.setup.vigie.store.timeline("inc_1".parse().expect("an id")).await.expect("the store answers");
    let live = live.into_iter().find_map(|entry| match entry.fact {
        Fact::StepFinished { live, .. } => live,
        _ => None,
    });
    assert_eq!(live.as_deref(), Some("example/web:1 · revision 3"));
    let mark = &team.space.get("deployment/web").await["metadata"]["annotations"]["vigie/step"];
    assert_eq!(mark, &json!(team.mark(1).await));
    assert_eq!(team.space.writes(), one_write("web"));
    team.close().await;
}

/// K1 · What only prepares has an image of its own, and two revisions may differ in nothing else.
#[tokio::test]
async fn an_image_of_a_container_that_prepares_is_told_like_the_others() {
    let Some(team) = Team::open().await else { return };
    for image in ["example/prepare:1", "example/prepare:2"] {
        team.space
            .apply(&format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  selector: {{ matchLabels: {{ app: web }} }}\n  \
                 template:\n    metadata: {{ labels: {{ app: web }} }}\n    spec:\n      initContainers: [{{ name: prepare, image: \"{image}\" }}]\n      \
                 containers: [{{ name: web, image: \"example/web:5\" }}]\n"
            ))
            .await;
        team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    }
    let (plan, done) = team.through(1, "undo-web").await;
    assert!(plan.contains("prepare: example/prepare:2 → example/prepare:1"), "{plan}");
    assert!(!plan.contains("also different"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    team.close().await;
}

/// By a plan of its own, as everything else; and not where somebody else has changed it since.
#[tokio::test]
async fn what_was_done_is_taken_back_by_a_plan_of_its_own() {
    let actions = [
        ("undo-web", "reversible", "undo: { workloads: [deployment/web] }"),
        ("stop-web", "reversible", "scale: { workloads: [deployment/web], to: 0 }"),
    ];
    let Some(team) = Team::doing(&actions, "get, deployment/web").await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 2).await;
    for (incident, action, line) in [
        (1, "undo-web", "example/web:1 · revision 3 → example/web:2 · revision 2"),
        (2, "stop-web", "replicas=0 → replicas=2"),
    ] {
        team.through(incident, action).await;
        let channel = team.world.channel(incident).await;
        team.world.types("U0ONCALL", &channel, &format!("undo run_{incident}_1")).await;
        let card = team.world.message(&channel, &format!("approve run_{incident}_2"));
        assert!(shown(&card).contains(line), "{line} is not in {}", shown(&card));
        let done = team.approved(&channel, &card).await;
        let run = team.world.incident(incident).await.runs.into_values().next_back().expect("a run");
        assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{done}");
    }
    let web = team.space.get("deployment/web").await;
    assert_eq!((team.space.image("web").await.as_str(), &web["spec"]["replicas"]), ("example/web:2", &json!(2)));
    assert_eq!(team.space.writes().len(), 4);
    let (channel, card) = team.planned(3, "undo-web").await;
    team.approved(&channel, &card).await;
    team.space.set_image("web", "example/web:9").await;
    team.world.types("U0ONCALL", &channel, "undo run_3_1").await;
    team.world.message(&channel, "web was changed since the plan by kubectl-set");
    team.close().await;
}

/// By the name of the ReplicaSet that keeps it: numbers change with every roll-back.
#[tokio::test]
async fn the_history_is_offered_and_the_chosen_revision_is_what_runs() {
    let choose = [("web-to", "reversible", "undo: { workloads: [deployment/web], choose: true }")];
    let Some(team) = Team::doing(&choose, "rollout, status, deployment/web, --timeout=20s").await else { return };
    team.space.deployed("web", &["example/web:1"], 1).await;
    team.space.kubectl(&["annotate", "deployment/web", "kubernetes.io/change-cause=the first"]).await;
    team.space.set_image("web", "example/web:2").await;
    team.space.kubectl(&["annotate", "--overwrite", "deployment/web", "kubernetes.io/change-cause=the second"]).await;
    team.space.set_image("web", "example/web:3").await;
    team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let channel = team.asks_for(1, "web-to").await;
    let offer = team.world.whisper("U0ONCALL", "where to?");
    let text = shown(&offer);
    for line in ["example/web:2 · revision 2", "example/web:1 · revision 1", "(the first)"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(!text.contains("example/web:3"), "it is there already: {text}");
    let sets: Value =
        serde_json::from_str(&team.space.kubectl(&["get", "replicasets", "--output", "json"]).await).expect("JSON");
    let first = sets["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|set| set.to_string().contains("\"image\":\"example/web:1\""));
    let name = first.and_then(|set| set["metadata"]["name"].as_str()).expect("it is kept");
    team.world.clicks("U0ONCALL", &channel, &ts(&offer), &format!("run --in inc_1 web-to --to {name}")).await;
    let card = team.world.message(&channel, "approve run_1_1");
    assert!(shown(&card).contains("example/web:3 · revision 3 → example/web:1 · revision 1"), "{}", shown(&card));
    let done = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.image("web").await, "example/web:1");
    team.world.types("U0ONCALL", &channel, "run web-to --to 7").await;
    team.world.message(&channel, "web has no revision “7”; there are");
    assert_eq!(team.space.writes(), one_write("web"));
    team.close().await;
}

#[tokio::test]
async fn front_and_back_end_are_rolled_back_as_one_action() {
    let both = [("undo-web", "reversible", "undo: { workloads: [deployment/web, deployment/api] }")];
    let Some(team) = Team::doing(&both, "rollout, status, deployment/web, --timeout=20s").await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    team.space.deployed("api", &["example/api:7", "example/api:8"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(
        (team.space.image("web").await, team.space.image("api").await),
        ("example/web:1".into(), "example/api:7".into())
    );
    assert_eq!(team.space.writes(), [one_write("web"), one_write("api")].concat());
    team.close().await;
}

/// An undo renumbers, so “one back” done twice would go two back (or forth again).
#[tokio::test]
async fn two_roll_backs_each_go_where_their_plan_says() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2", "example/web:3"], 1).await;
    let (first, plan) = team.planned(1, "undo-web").await;
    let (second, same) = team.planned(2, "undo-web").await;
    team.approved(&first, &plan).await;
    assert_eq!(team.space.image("web").await, "example/web:2");
    team.approved(&second, &same).await;
    assert_eq!(team.outcome(2).await, Outcome::Done);
    assert_eq!(team.space.image("web").await, "example/web:2");
    assert_eq!(team.space.writes(), one_write("web"));
    team.close().await;
}

#[tokio::test]
async fn an_undo_leaves_the_deployment_as_kubectl_would_without_the_old_hash() {
    let Some(team) = Team::open().await else { return };
    for name in ["web", "twin"] {
        team.space.deployed(name, &["example/web:1"], 1).await;
        let of = format!("deployment/{name}");
        team.space.kubectl(&["annotate", &of, "kubernetes.io/change-cause=first", "team=shop"]).await;
        team.space.kubectl(&["set", "env", &of, "LEVEL=debug"]).await;
        team.space.kubectl(&["annotate", "--overwrite", &of, "kubernetes.io/change-cause=second"]).await;
        team.space.kubectl(&["rollout", "status", &of, "--timeout=60s"]).await;
    }
    let (channel, card) = team.planned(1, "undo-web").await;
    let text = shown(&card);
    assert!(text.contains("values not shown: spec.containers[web].env") && text.contains("(first)"), "{text}");
    assert!(!text.contains("debug"), "{text}");
    team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    team.space.kubectl(&["rollout", "undo", "deployment/twin"]).await;
    team.space.kubectl(&["rollout", "status", "deployment/twin", "--timeout=60s"]).await;
    let kept = async |name: &str| {
        let object = team.space.get(&format!("deployment/{name}")).await;
        let mut annotations = object["metadata"]["annotations"].clone();
        annotations.as_object_mut().expect("annotations").remove("vigie/step");
        let text = json!([annotations, object["spec"]]).to_string();
        text.replace("\"twin\"", "\"web\"")
    };
    let (ours, theirs) = (kept("web").await, kept("twin").await);
    assert_eq!(ours, theirs);
    assert!(!ours.contains("pod-template-hash"), "{ours}");
    team.close().await;
}

/// A Deployment whose pods crash moves its version all the time, and so do people with their notes.
#[tokio::test]
async fn a_status_that_moves_all_the_time_does_not_make_a_plan_stale() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2-crash"], 3).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    team.space.kubectl(&["annotate", "deployment/web", "seen-by=ana"]).await;
    team.space.kubectl(&["scale", "deployment/web", "--replicas=2"]).await;
    team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    assert_eq!(team.space.image("web").await, "example/web:1");
    assert_eq!(team.space.get("deployment/web").await["spec"]["replicas"], 2, "what was not planned is left alone");
    team.close().await;
}

/// kubectl refuses it, the server does not: it would say yes and do nothing.
#[tokio::test]
async fn a_paused_roll_out_is_refused_and_says_so() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    let paused = "the roll-out of web is paused, so nothing would happen; resume it first";
    let card = team.approved(&channel, &card).await;
    assert!(card.contains(paused), "{card}");
    assert!(matches!(team.outcome(1).await, Outcome::Stale { .. }));
    let second = team.asks_for(2, "undo-web").await;
    team.world.message(&second, paused);
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

#[tokio::test]
async fn what_cannot_go_back_is_said_before_anybody_is_asked() {
    let Some(team) = Team::open().await else { return };
    let channel = team.asks_for(1, "undo-web").await;
    team.world.message(&channel, &format!("there is no deployments/web in {}", team.space.name));
    team.space.deployed("web", &["example/web:1"], 1).await;
    let channel = team.asks_for(2, "undo-web").await;
    team.world.message(&channel, "web has no revision before example/web:1 · revision 1");
    team.close().await;
}

#[tokio::test]
async fn a_missing_right_is_named_before_anybody_is_asked() {
    let Some(space) = Namespace::open().await else { return };
    let (setting, log) = (Setting::default(), "    resources: [\"pods/log\"]\n    verbs: [\"get\"]\n");
    let roles = setting.roles(&space).replace(", \"patch\"", "").replace("[\"pods\"]", "[\"podtemplates\"]");
    assert!(roles.contains(log), "{roles}");
    space.grant(&roles).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let channel = team.asks_for(1, "undo-web").await;
    let name = &team.space.name;
    let refused = shown(&team.world.message(&channel, "Vigie has no right there to"));
    for right in [format!("patch deployments/web in {name}"), format!("list pods in {name}")] {
        assert!(refused.contains(&right), "{right} is not in {refused}");
    }
    assert!(!refused.contains("get deployments"), "{refused}");
    team.close().await;
}

/// P6 · The server rehearses all of it, and nothing of it stays.
#[tokio::test]
async fn a_dry_run_is_rehearsed_in_the_cluster_and_changes_nothing() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    let before = team.space.get("deployment/web").await["spec"].take();
    let channel = team.asks_for(1, "undo-web --dry-run").await;
    let card = team.world.message(&channel, "Dry run: Roll the web back");
    for line in ["example/web:2 · revision 2 → example/web:1 · revision 1", "Nothing was changed", "as kept in web-"]
    {
        assert!(shown(&card).contains(line), "{line} is not in {}", shown(&card));
    }
    team.world.joins("U0LEAD", &channel).await;
    team.world.types("U0LEAD", &channel, "approve run_1_1").await;
    team.world.whisper("U0LEAD", "This was a dry run");
    assert_eq!(team.run(1).await.phase, Phase::Rehearsed);
    assert!(team.space.requests("patch").iter().all(|uri| uri.contains("dryRun=All")), "it is rehearsed");
    assert_eq!((team.space.writes(), team.space.get("deployment/web").await["spec"].take()), (Vec::new(), before));
    team.close().await;
}
