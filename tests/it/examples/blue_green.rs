//! `kubernetes-blue-green`, in a real Kubernetes.

use serde_json::json;
use vigie::incident::approval::Verdict;

use super::site::Site;
use super::{Example, allowed, reaching, variables};
use crate::french::is_french;
use crate::kubernetes::plane::Namespace;
use crate::postgres::shop::Shop;

const NAME: &str = "kubernetes-blue-green";

/// The shop is well when it is blue.
async fn opened() -> Option<(Example, Namespace, Shop)> {
    let space = Namespace::open().await?;
    space.colours("example/web:1").await;
    space.deployed("worker", &["example/worker:1", "example/worker:2"], 2).await;
    let colour = space.question(&["get", "service/web", "--output", "jsonpath={.spec.selector.version}"]);
    let site = Site::open(move || colour() == "blue").await;
    let shop = Shop::open().await;
    let mut open = variables([
        ("SHOP_URL", &site.url),
        ("PROMETHEUS_URL", &site.url),
        ("WORKER_IMAGE", "example/worker:1-stable"),
    ]);
    open.extend(reaching(&shop));
    let open = allowed(&space, NAME, &open).await;
    let example = Example::open(NAME, open, "majeur la boutique répond par des erreurs 503").await;
    Some((example, space, shop))
}

/// K8, K15, K16, H1, H2, H7, P2, P3, P4, P5, P6 · a bad version is left for the other colour, in French, from the declaration to
/// the post-mortem.
#[tokio::test]
async fn the_emergency_plan_of_a_blue_and_green_shop_is_run_from_end_to_end() {
    let Some((example, space, _shop)) = opened().await else { return };
    let document = example.lives_through("bascule", "boutique", &["sante", "erreurs", "lenteur"]).await;
    for service in ["web", "api"] {
        let now = space.get(&format!("service/{service}")).await;
        assert_eq!(now["spec"]["selector"], json!({"app": "web", "version": "blue"}));
    }
    let kept = example.newest_run().await.kept.expect("the state before is kept");
    assert!(kept.files.iter().any(|file| file.name.ends_with("objects.yaml")), "{kept:?}");
    assert_eq!(space.writes(), [json!(["patch", "services/web", 200]), json!(["patch", "services/api", 200])]);
    assert!(document.contains("version=green → version=blue"), "{document}");
    is_french(&example.world);
    example.close().await;
}

/// K1, K2, K3, K6, K7 · whatever handles the orders goes back, to what somebody chose, to a known version, and stands still
/// while nobody may write.
#[tokio::test]
async fn the_worker_of_a_blue_and_green_shop_goes_back_and_stands_still() {
    let Some((example, space, _shop)) = opened().await else { return };
    let ended = example.runs("revenir").await;
    assert!(ended.plan.contains("example/worker:2 → example/worker:1"), "{}", ended.plan);
    assert_eq!(space.image("worker").await, "example/worker:1");

    space.set_image("worker", "example/worker:3-slow").await;
    assert!(example.runs("attendre").await.card.contains("example/worker:3-slow"));
    example.runs_to("choisir", "2").await;
    assert_eq!(space.image("worker").await, "example/worker:2");
    example.runs("version-connue").await;
    assert_eq!(space.image("worker").await, "example/worker:1-stable");

    example.runs("arreter-ecritures").await;
    space.once("deployment/worker", |worker| worker["status"]["replicas"].is_null()).await;
    example.runs("reprendre-ecritures").await;
    let seen = example.diagnoses("boutique").await;
    assert_eq!((seen["deploiements"], seen["file"]), (Verdict::Pass, Verdict::Pass), "{seen:?}");
    example.close().await;
}

/// D1, D2, D3, D5, K7, H3, P1, P6 · a backup takes the place of the database while all who write stand still, the two colours
/// as well as the worker, and they work again afterwards.
#[tokio::test]
async fn the_database_of_a_blue_and_green_shop_is_restored_while_nobody_writes() {
    let Some((example, space, shop)) = opened().await else { return };
    example.runs("sauver").await;
    let [first] = dumps(&shop, ".dump").try_into().expect("there is one backup");
    example.runs("sauver-script").await;
    assert_eq!(dumps(&shop, ".sql").len(), 1);
    shop.sql("INSERT INTO orders SELECT n, 1 FROM generate_series(101, 155) AS n; DELETE FROM users WHERE id = 2")
        .await;
    let ended = example.runs("restaurer").await;
    assert_eq!(ended.run.approvals.len(), 2);
    assert!(ended.plan.contains("155") && ended.plan.contains("55 de moins"), "{}", ended.plan);
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 100);
    assert_eq!(shop.count("SELECT count(*) FROM users").await, 3);
    let writers = ["deployments/worker", "deployments/web-blue", "deployments/web-green"];
    for writer in writers {
        let writer = space.get(&writer.replace("deployments", "deployment")).await;
        assert_eq!((&writer["spec"]["replicas"], &writer["status"]["readyReplicas"]), (&json!(2), &json!(2)));
    }
    let writes: Vec<String> =
        space.writes().iter().map(|write| write[1].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(writes.len(), 6, "each is stopped once and started once: {writes:?}");
    for half in writes.chunks(3) {
        assert!(writers.iter().all(|writer| half.iter().any(|write| write.starts_with(writer))), "{writes:?}");
    }
    // A person says which one.
    shop.sql("DELETE FROM orders").await;
    example.runs_to("restaurer", &first).await;
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 100);
    let seen = example.diagnoses("boutique").await;
    assert_eq!((seen["base"], seen["connexions"]), (Verdict::Pass, Verdict::Pass), "{seen:?}");
    example.close().await;
}

/// The backups of this ending.
fn dumps(shop: &Shop, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(shop.backups()).expect("the folder can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(ending)).collect()
}
