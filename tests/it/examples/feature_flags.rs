//! `kubernetes-feature-flags`, in a real Kubernetes.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;
use vigie::incident::approval::Verdict;

use super::site::Site;
use super::{Example, allowed, npm_scripts, variables};
use crate::french::is_french;
use crate::kubernetes::plane::Namespace;

const NAME: &str = "kubernetes-feature-flags";
/// What stands in the Secret now, and in its saved copy.
const VALUES: [&str; 2] = ["live-9f2c-4b11-password", "saved-77aa-0c3d-password"];

/// What was saved on the last good day.
const MANIFEST: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: drapeaux }\ndata: { paiement-rapide: \"off\" }\n";

/// The web, its API and a cache, flags that are on, a Secret with its copy, and an import that hangs about.
async fn shop(space: &Namespace) {
    space.deployed("web", &["example/web:1", "example/web:2"], 2).await;
    space.deployed("api", &["example/api:1", "example/api:2"], 2).await;
    space.deployed("cache", &["example/cache:1"], 1).await;
    let flags = ["--from-literal=paiement-rapide=on", "--from-literal=essai-panier=yes"];
    space.kubectl(&[&["create", "configmap", "drapeaux"], &flags[..]].concat()).await;
    for (name, value) in ["boutique", "boutique-sauvegarde"].into_iter().zip(VALUES) {
        space.kubectl(&["create", "secret", "generic", name, &format!("--from-literal=password={value}")]).await;
    }
    space
        .apply(
            "apiVersion: batch/v1\nkind: Job\nmetadata: { name: import, labels: { app: import } }\nspec:\n  template:\n    \
             spec:\n      restartPolicy: Never\n      containers: [{ name: task, image: \"example/task:1\" }]\n",
        )
        .await;
}

/// The shop is well when the fast payment is off.
async fn opened() -> Option<(Example, Namespace, TempDir)> {
    let space = Namespace::open().await?;
    shop(&space).await;
    let flag = space.question(&["get", "configmap/drapeaux", "--output", "jsonpath={.data.paiement-rapide}"]);
    let site = Site::open(move || flag() == "off").await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    npm_scripts(folder.path(), &site.url);
    let manifests = folder.path().join("manifests");
    std::fs::create_dir(&manifests).expect("it can be made");
    std::fs::write(manifests.join("drapeaux.yml"), MANIFEST).expect("it can be written");
    let saved = space.kubectl(&["get", "deployments", "--output", "yaml"]).await;
    std::fs::write(manifests.join("deployments.yml"), saved).expect("it can be written");
    let text = |path: &Path| path.display().to_string();
    let open = variables([
        ("SHOP_URL", &site.url),
        ("SHOP_FOLDER", &text(folder.path())),
        ("MANIFESTS_FOLDER", &text(&manifests)),
    ]);
    let open = allowed(&space, NAME, &open).await;
    let example = Example::open(NAME, open, "p2 le paiement rapide échoue").await;
    Some((example, space, folder))
}

/// K4, K9, K16, H1, H5, H6, H7, P1, P2, P3, P4, P6 · a novelty is switched off and its roll-out stopped within two minutes,
/// in French, from the declaration to the post-mortem.
#[tokio::test]
async fn the_emergency_plan_of_a_shop_with_flags_is_run_from_end_to_end() {
    let Some((example, space, _folder)) = opened().await else { return };
    space.set_image("web", "example/web:3-slow").await;
    let document = example.lives_through("rapide-2min", "boutique", &["sante"]).await;
    assert_eq!(space.get("configmap/drapeaux").await["data"], json!({"paiement-rapide": "off"}));
    assert_eq!(space.get("deployment/web").await["spec"]["paused"], true);
    assert!(document.contains("paiement-rapide"), "{document}");
    is_french(&example.world);

    example.close().await;
}

/// K1, K4 · What the quickest has stopped, the next one takes back without letting the bad version go on.
#[tokio::test]
async fn a_roll_out_that_was_stopped_in_haste_goes_back() {
    let Some((example, space, _folder)) = opened().await else { return };
    space.set_image("web", "example/web:3-broken").await;
    space.set_image("api", "example/api:3").await;
    space.once("deployment/web", |web| web["status"]["updatedReplicas"] == 1).await;
    example.runs("rapide-2min").await;
    assert_eq!(space.get("deployment/web").await["spec"]["paused"], true);
    let ended = example.runs("rapide-5min").await;
    assert!(ended.plan.contains("web est en pause, et reprend avec"), "{}", ended.plan);
    let web = space.get("deployment/web").await;
    assert!(web["spec"]["paused"].is_null(), "{web}");
    assert_eq!(space.image("web").await, "example/web:2");
    example.close().await;
}

/// K1, K5, K9, K10, K11, K12, K13, K14, D4, P5, P6 · the slower ones: the revision before; the migration, the secrets and
/// the flags; the saved manifests and whatever is in the way.
#[tokio::test]
async fn the_slower_ways_back_of_a_shop_with_flags_lead_back_too() {
    let Some((mut example, space, _folder)) = opened().await else { return };
    for value in VALUES {
        example.keeps_secret(value);
        example.keeps_secret(&STANDARD.encode(value));
    }
    example.runs("rapide-2min").await;
    space.set_image("web", "example/web:3").await;
    example.runs("reprendre").await;
    assert!(space.get("deployment/web").await["spec"]["paused"].is_null());
    // A restart makes a revision, too: what goes back has to have been changed since.
    space.set_image("api", "example/api:3").await;
    space.kubectl(&["rollout", "status", "deployment/api", "--timeout=60s"]).await;
    example.runs("rapide-5min").await;
    assert_eq!(
        (space.image("web").await.as_str(), space.image("api").await.as_str()),
        ("example/web:2", "example/api:2")
    );

    space.kubectl(&["patch", "configmap/drapeaux", "--patch", "{\"data\":{\"paiement-rapide\":\"on\"}}"]).await;
    let ended = example.runs("complet-15min").await;
    assert_eq!(ended.run.approvals.len(), 2);
    assert!(ended.card.contains("npm run migrate:down"), "{}", ended.card);
    assert_eq!(space.get("secret/boutique").await["data"], json!({"password": STANDARD.encode(VALUES[1])}));

    let before = space.pods("app=api").await;
    space.set_image("cache", "example/cache:9").await;
    space.kubectl(&["patch", "configmap/drapeaux", "--patch", "{\"data\":{\"paiement-rapide\":\"on\"}}"]).await;
    example.runs("prudent-30min").await;
    assert_eq!(space.get("configmap/drapeaux").await["data"], json!({"paiement-rapide": "off"}));
    assert_eq!(space.kubectl(&["get", "jobs", "--selector", "app=import", "--output", "name"]).await, "");
    assert!(space.pods("app=api").await.iter().all(|pod| !before.contains(pod)), "they were made anew");
    let cache = space.get("deployment/cache").await;
    let template = &cache["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["image"], "example/cache:1");
    assert!(template["metadata"]["annotations"]["vigie/restarted"].is_string(), "restarted after it was applied");

    // Once more: there is no import to be deleted, the manifests are applied, and the pods are made anew all the same.
    let before = space.pods("app=api").await;
    let again = example.runs("prudent-30min").await;
    assert!(again.plan.contains("Rien à faire"), "{}", again.plan);
    assert!(space.pods("app=api").await.iter().all(|pod| !before.contains(pod)), "they were made anew once more");
    let mut seen = example.diagnoses("boutique").await;
    // It warns of an answer that took half a second, which a busy machine may need.
    assert!(seen.remove("sante").is_some_and(|verdict| verdict < Verdict::Fail), "the shop is well");
    assert!(seen.values().all(|verdict| *verdict == Verdict::Pass), "{seen:?}");
    example.close().await;
}
