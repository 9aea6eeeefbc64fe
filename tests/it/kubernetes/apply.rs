//! Folders of saved manifests, and what the server would do with them if nobody looked.

use std::path::Path;

use serde_json::{Value, json};
use vigie::incident::approval::Outcome;

use super::plane::Namespace;
use super::team::{Setting, Team};
use crate::world::shown;

const WEB: &str = "rollout, status, deployment/web, --timeout=20s";

/// A team that applies this folder, which holds these files already.
async fn applying(folder: &Path, files: &[(&str, &str)], more: &str) -> Option<Team> {
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("it can be written");
    }
    let space = Namespace::open().await?;
    let step = format!("apply: {{ folder: {}{more} }}", folder.display());
    let actions = [("apply", "destructive", step.as_str())];
    let setting = Setting { actions: &actions, check: WEB, ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    Some(Team::on(space, setting).await)
}

fn deployment(image: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  replicas: 2\n  {more}\n  selector: {{ \
         matchLabels: {{ app: web }} }}\n  template:\n    metadata: {{ labels: {{ app: web }} }}\n    spec:\n      \
         containers: [{{ name: web, image: \"{image}\" }}]\n"
    )
}

const FEATURES: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: features }\ndata: { checkout: \"off\" }\n";

/// A backup as `kubectl get --output yaml` writes it holds what the server refuses: versions, uids, managed fields.
#[tokio::test]
async fn a_raw_backup_is_applied_cleaned_and_a_missing_object_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let Some(space) = Namespace::open().await else { return };
    space.apply(&deployment("example/web:1", "")).await;
    space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let saved = space.kubectl(&["get", "deployment/web", "--output", "yaml"]).await;
    for word in ["resourceVersion", "uid", "managedFields", "status"] {
        assert!(saved.contains(word), "{word} is not in {saved}");
    }
    std::fs::write(folder.path().join("web.yaml"), saved).expect("it can be written");
    std::fs::write(folder.path().join("features.yml"), FEATURES).expect("it can be written");
    let step = format!("apply: {{ folder: {}, force: true }}", folder.path().display());
    let actions = [("apply", "destructive", step.as_str())];
    let setting = Setting { actions: &actions, check: WEB, ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.set_image("web", "example/web:2").await;
    let (plan, done) = team.through(1, "apply").await;
    for line in ["Apply 2 saved manifests", "made anew: configmap/features", "deployment/web · "] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    assert!(plan.contains("spec.template.spec.containers[web].image: example/web:2 → example/web:1"), "{plan}");
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert_eq!(team.space.image("web").await, "example/web:1");
    assert_eq!(team.space.get("configmap/features").await["data"], json!({"checkout": "off"}));
    let managers = team.space.get("configmap/features").await["metadata"]["managedFields"].to_string();
    assert!(managers.contains("\"manager\":\"vigie\"") && managers.contains("\"Apply\""), "{managers}");
    let writes = [json!(["patch", "configmaps/features", 201]), json!(["patch", "deployments/web", 200])];
    assert_eq!(team.space.writes(), writes);
    let again = team.asks_for(2, "apply").await;
    team.world.message(&again, "is already at");
    team.close().await;
}

/// Other kinds of changes are answered with 200, and such a field is lost without a word.
#[tokio::test]
async fn a_misspelt_field_of_a_manifest_is_named_and_not_lost() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let web = deployment("example/web:1", "replica: 5");
    let Some(team) = applying(folder.path(), &[("web.yaml", &web)], "").await else { return };
    let channel = team.asks_for(1, "apply").await;
    let refused = shown(&team.world.message(&channel, "deployment/web has a field that the cluster does not know"));
    assert!(refused.contains("spec.replica:"), "{refused}");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

#[tokio::test]
async fn what_others_own_is_not_taken_from_them_without_being_told_to() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let web = deployment("example/web:1", "");
    let Some(team) = applying(folder.path(), &[("web.yaml", &web)], "").await else { return };
    team.space.apply(&deployment("example/web:2", "")).await;
    let channel = team.asks_for(1, "apply").await;
    let refused = shown(&team.world.message(&channel, "others own fields of deployment/web"));
    assert!(refused.contains(".spec.template.spec.containers") && refused.contains("force: true"), "{refused}");
    assert_eq!(team.space.image("web").await, "example/web:2");
    team.close().await;
}

#[tokio::test]
async fn files_that_change_after_the_plan_are_not_applied() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let web = deployment("example/web:1", "");
    let Some(team) = applying(folder.path(), &[("web.yaml", &web)], "").await else { return };
    let (channel, card) = team.planned(1, "apply").await;
    std::fs::write(folder.path().join("web.yaml"), deployment("example/web:9", "")).expect("it can be written");
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Stale { .. }), "{card}");
    assert!(card.contains("have changed since the plan"), "{card}");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

/// The same fields would be overwritten, but not with what they held when somebody approved.
#[tokio::test]
async fn what_somebody_changed_after_the_plan_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let web = deployment("example/web:1", "");
    let Some(team) = applying(folder.path(), &[("web.yaml", &web)], ", force: true").await else { return };
    team.space.apply(&deployment("example/web:2", "")).await;
    let (channel, card) = team.planned(1, "apply").await;
    team.space.set_image("web", "example/web:3").await;
    let card = team.approved(&channel, &card).await;
    assert!(matches!(team.outcome(1).await, Outcome::Stale { step: 0, .. }), "{card}");
    assert!(card.contains("deployment/web has changed since the plan"), "{card}");
    assert_eq!(team.space.image("web").await, "example/web:3");
    let (channel, card) = team.planned(2, "apply").await;
    team.space.kubectl(&["label", "deployment/web", "team=shop"]).await;
    let card = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(2).await, Outcome::Done, "what it does not touch may change: {card}");
    assert_eq!(team.space.get("deployment/web").await["metadata"]["labels"]["team"], "shop");
    team.close().await;
}

#[tokio::test]
async fn a_folder_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let good = deployment("example/web:1", "");
    let Some(team) = applying(folder.path(), &[("web.yaml", &good)], "").await else { return };
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: app }\nstringData: { password: hunter2-hunter2 }\n";
    let elsewhere = good.replace("{ name: web }", "{ name: web, namespace: other }");
    let wrong = [
        (secret.to_owned(), "secret/app is a Secret"),
        (elsewhere, "deployment/web belongs to the namespace other"),
        (deployment("example/web:2", ""), "deployment/web is in the folder twice"),
        ("a: [".to_owned(), "neither YAML nor JSON"),
    ];
    for (incident, (text, says)) in (1..).zip(wrong) {
        std::fs::write(folder.path().join("wrong.yaml"), text).expect("it can be written");
        let channel = team.asks_for(incident, "apply").await;
        let refused = shown(&team.world.message(&channel, says));
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    team.close().await;
}

/// K11 · The server would answer each of these with 422 and a message of half a page; people read the field and what is wrong
/// with it, before anybody is asked.
#[tokio::test]
async fn what_the_server_would_not_take_is_named_with_its_field_before_anybody_is_asked() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let few = deployment("example/web:1", "").replace("replicas: 2", "replicas: -1");
    let Some(team) = applying(folder.path(), &[("web.yaml", &few)], ", force: true").await else { return };
    let write = |text: &str| std::fs::write(folder.path().join("web.yaml"), text).expect("it can be written");
    let channel = team.asks_for(1, "apply").await;
    let refused = shown(&team.world.message(&channel, "spec.replicas: Invalid value: -1"));
    assert!(!refused.contains("is invalid: spec.replicas"), "{refused}");
    team.space.apply(&deployment("example/web:1", "")).await;
    write(&deployment("example/web:1", "").replace("app: web }", "app: shop }"));
    let channel = team.asks_for(2, "apply").await;
    let refused = shown(&team.world.message(&channel, "spec.selector: Invalid value"));
    assert!(refused.contains("field is immutable"), "{refused}");
    assert_eq!(team.space.writes(), Vec::<Value>::new());
    team.close().await;
}

/// K11 · A backup names the object that was there when it was made. Another one of that name is no reason to refuse it: what
/// the server says of objects is left out.
#[tokio::test]
async fn a_backup_of_an_object_that_was_made_anew_since_is_applied_to_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let Some(team) = applying(folder.path(), &[("features.yml", FEATURES)], ", force: true").await else { return };
    team.space.apply(FEATURES).await;
    let saved = team.space.kubectl(&["get", "configmap/features", "--output", "json"]).await;
    let former: Value = serde_json::from_str(&saved).expect("JSON");
    std::fs::remove_file(folder.path().join("features.yml")).expect("it is there");
    std::fs::write(folder.path().join("features.json"), saved).expect("it can be written");
    team.space.kubectl(&["delete", "configmap/features"]).await;
    team.space.deployed("web", &["example/web:1"], 1).await;
    team.space.apply(&FEATURES.replace("\"off\"", "\"on\"")).await;
    let (_, done) = team.through(1, "apply").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    let now = team.space.get("configmap/features").await;
    assert_eq!(now["data"], json!({"checkout": "off"}));
    assert_ne!(now["metadata"]["uid"], former["metadata"]["uid"]);
    assert_eq!(team.space.writes(), [json!(["patch", "configmaps/features", 200])]);
    // A server of today drops a misspelt field unless it is told to be strict, and so it is told each time.
    assert!(team.space.requests("patch").iter().all(|uri| uri.contains("fieldValidation=Strict")));
    team.close().await;
}

/// K11 · A backup of a namespace holds more kinds than Vigie knows, and an autoscaler whose state moves all the time. Neither is a
/// reason to put nothing back; what is left out is said.
#[tokio::test]
async fn what_vigie_does_not_apply_is_left_out_and_an_autoscaler_may_move_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let widget = "kind: Widget\napiVersion: example.com/v1\nmetadata: { name: shop }\n";
    let Some(space) = Namespace::open().await else { return };
    space.deployed("web", &["example/web:1"], 2).await;
    space.kubectl(&["autoscale", "deployment/web", "--min=2", "--max=4"]).await;
    let state = "autoscaling.alpha.kubernetes.io/conditions";
    let tells = |all: &Value| all["items"][0]["metadata"]["annotations"][state].is_string();
    space.once("horizontalpodautoscalers.v1.autoscaling", tells).await;
    let saved = space.kubectl(&["get", "horizontalpodautoscalers.v1.autoscaling", "--output", "yaml"]).await;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it can be written");
    write("web.yaml", &saved);
    write("more.yaml", &format!("{widget}---\n{FEATURES}"));
    let step = format!("apply: {{ folder: {}, force: true }}", folder.path().display());
    let actions = [("apply", "destructive", step.as_str())];
    let setting = Setting { actions: &actions, check: WEB, ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    let (channel, card) = team.planned(1, "apply").await;
    let plan = shown(&card);
    assert!(plan.contains("left out, because Vigie does not apply their kinds: widget/shop"), "{plan}");
    assert!(plan.contains("1 object stays as it is"), "{plan}");
    // What its controller does all the time, and a second later looks otherwise.
    team.space
        .kubectl(&["annotate", "--overwrite", "horizontalpodautoscalers.v1.autoscaling/web", &format!("{state}=[]")])
        .await;
    let card = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{card}");
    assert_eq!(team.space.get("configmap/features").await["data"], json!({"checkout": "off"}));

    write("web.yaml", widget);
    std::fs::remove_file(folder.path().join("more.yaml")).expect("it is there");
    let channel = team.asks_for(2, "apply").await;
    team.world.message(&channel, "Vigie applies none of these kinds: widget/shop");
    team.close().await;
}

/// K11 · Whoever approves reads which image and how many pods, and from whom fields are taken. What may be a secret is named
/// without its value, and nothing is left out of the whole plan.
#[tokio::test]
async fn a_plan_of_saved_manifests_says_from_what_to_what_and_from_whom_it_takes_fields() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let with = |image: &str, level: &str| {
        let env = format!("env: [{{ name: TOKEN, value: hunter2-{level} }}], image: ");
        deployment(image, "minReadySeconds: 0").replace("image: ", &env)
    };
    let labels: Vec<String> = (10..35).map(|number| format!("label-{number}")).collect();
    let labelled = |web: &str, value: &str| {
        let labels = labels.iter().map(|one| format!("{one}: {value}")).collect::<Vec<_>>().join(", ");
        web.replace("{ name: web }\nspec", &format!("{{ name: web, labels: {{ {labels} }} }}\nspec"))
    };
    let (web, live) =
        (labelled(&with("example/web:1", "saved"), "old"), labelled(&with("example/web:2", "live"), "new"));
    let files = [("web.yaml", web.as_str()), ("features.yml", FEATURES)];
    let Some(team) = applying(folder.path(), &files, ", force: true").await else { return };
    team.space.apply(&live.replace("replicas: 2", "replicas: 3")).await;
    team.space.apply(&FEATURES.replace("off", "hunter2-on")).await;
    team.space.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    let (channel, card) = team.planned(1, "apply").await;
    let plan = shown(&card);
    for line in [
        "deployment/web · spec.replicas: 3 → 2",
        "deployment/web · spec.template.spec.containers[web].image: example/web:2 → example/web:1",
        "force: fields that others own are taken from them: configmap/features and deployment/web",
    ] {
        assert!(plan.contains(line), "{line} is not in {plan}");
    }
    team.world.clicks("U0LEAD", &channel, &crate::world::ts(&card), "Whole plan").await;
    let whole = team.world.told("U0LEAD").pop().expect("the plan is shown");
    let named = [
        "configmap/features, values not shown: data.checkout",
        "containers[web].env[TOKEN].value",
        "deployment/web, taken from others: .spec.replicas (conflict with \"kubectl",
    ];
    for line in named.into_iter().chain(labels.iter().map(String::as_str)) {
        assert!(whole.contains(line), "{line} is not in {whole}");
    }
    let kept = serde_json::to_string(&team.run(1).await.plan).expect("JSON");
    for told in [&plan, &whole, &kept] {
        assert!(!told.contains("hunter2"), "{told}");
    }
    let done = team.approved(&channel, &card).await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    team.close().await;
}

/// K3, K4, K7, K11 · What was paused in haste gets its saved manifests and goes on with those; a number of pods that both say is
/// refused, for one of the two would be lost.
#[tokio::test]
async fn later_steps_go_on_from_what_saved_manifests_leave_or_refuse_it_before_anybody_is_asked() {
    let Some(space) = Namespace::open().await else { return };
    let folders = [deployment("example/web:1", ""), deployment("example/web:1", "").replace("  replicas: 2\n", "")]
        .map(|web| {
            let folder = tempfile::tempdir().expect("a folder can be made");
            std::fs::write(folder.path().join("web.yaml"), web).expect("it can be written");
            folder
        });
    let step = |what: &str| {
        let begin = "\n      - within: 1m\n        kubernetes:\n          cluster: production\n          namespace: ";
        format!("{begin}{}\n          {what}: {{ workloads: [deployment/web] }}", space.name)
    };
    let apply = |folder: usize| format!("apply: {{ folder: {}, force: true }}", folders[folder].path().display());
    let resume = format!("{}{}{}", apply(1), step("resume"), step("wait"));
    let (number, others) =
        (format!("{}{}", apply(0), step("scale_back")), format!("{}{}", apply(1), step("scale_back")));
    let actions = [
        ("resume", "destructive", resume.as_str()),
        ("number", "destructive", &number),
        ("others", "destructive", &others),
        ("none", "reversible", "scale: { workloads: [deployment/web], to: 0 }"),
    ];
    let setting = Setting { actions: &actions, check: "get, deployment/web", ..Setting::default() };
    space.grant(&setting.roles(&space)).await;
    let team = Team::on(space, setting).await;
    team.space.deployed("web", &["example/web:1", "example/web:2"], 1).await;
    team.space.kubectl(&["rollout", "pause", "deployment/web"]).await;
    let (plan, done) = team.through(1, "resume").await;
    assert_eq!(team.outcome(1).await, Outcome::Done, "{done}");
    assert!(plan.contains("3. Wait for the roll-out of web · → complete"), "{plan}");
    let web = team.space.get("deployment/web").await;
    assert!(web["spec"]["paused"].is_null() && done.contains("web runs example/web:1"), "{done}");
    assert_eq!(
        (team.space.image("web").await.as_str(), web["status"]["updatedReplicas"].clone()),
        ("example/web:1", json!(1))
    );

    team.through(2, "none").await;
    team.space.set_image("web", "example/web:2").await;
    let channel = team.asks_for(3, "number").await;
    team.world.message(&channel, "applies another number of pods of web");
    let (_, done) = team.through(4, "others").await;
    assert_eq!(team.outcome(4).await, Outcome::Done, "{done}");
    assert_eq!(team.space.get("deployment/web").await["spec"]["replicas"], 1);
    team.close().await;
}
