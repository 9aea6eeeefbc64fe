//! `go-live`: a real Kubernetes, the simulators of Cloudflare and GitHub, a maintenance page.

use serde_json::json;

use super::site::{Site, TEAM, THIRD_PARTY};
use super::{Example, Variables, allowed, variables};
use crate::kubernetes::plane::Namespace;
use crate::platforms::Desk;
use crate::platforms::cloudflare::{Cloudflare, RECORD, ZONE};
use crate::platforms::github::Github;
use crate::world::{shown, ts};

const NAME: &str = "go-live";
/// From the Friday night on which every test begins to Tuesday, 09:30 in Paris.
const TO_TUESDAY: i64 = 4 * 24 * 60 + 6 * 60 + 30;
const FOUR_WEEKS: i64 = 28 * 24 * 60;

struct Peers {
    space: Namespace,
    cloudflare: Desk<Cloudflare>,
    github: Desk<Github>,
    open: Variables,
}

/// The shop is well when this says so of the colour that it shows.
async fn peers(is_well: impl Fn(&str) -> bool + Send + Sync + 'static) -> Option<Peers> {
    let space = Namespace::open().await?;
    space.colours("example/web:1").await;
    let colour = space.question(&["get", "service/web", "--output", "jsonpath={.spec.selector.version}"]);
    let site = Site::open(move || is_well(&colour())).await;
    let (cloudflare, github) = (Desk::open(Cloudflare::new()).await, Desk::open(Github::new()).await);
    let (to_cloudflare, to_github) =
        (cloudflare.with(|cloudflare| cloudflare.token.clone()), github.with(|github| github.token.clone()));
    let open = variables([
        ("SHOP_URL", &site.url),
        ("SHOP_TOKEN", TEAM),
        ("PROMETHEUS_URL", &site.url),
        ("PAYMENTS_API", &format!("{}/wave", site.url)),
        ("PAYMENTS_TOKEN", THIRD_PARTY),
        ("CLOUDFLARE_API", &cloudflare.url),
        ("CLOUDFLARE_ZONE", ZONE),
        ("CLOUDFLARE_RECORD", RECORD),
        ("CLOUDFLARE_TOKEN", &to_cloudflare),
        ("GITHUB_API", &github.url),
        ("GITHUB_TOKEN", &to_github),
    ]);
    let open = allowed(&space, NAME, &open).await;
    Some(Peers { space, cloudflare, github, open })
}

/// K8, K16, H1, H2, H7, P2, P3, P4, P6, P8 · on a Friday night the shop goes back to the colour before, outside the window
/// and with a reason, from the declaration to the post-mortem.
#[tokio::test]
async fn the_emergency_plan_of_a_go_live_is_run_from_end_to_end() {
    let Some(peers) = peers(|colour| colour == "blue").await else { return };
    let example = Example::open(NAME, peers.open, "important requests fail since the go-live").await;
    let document = example.lives_through("services-back", "shop", &["health", "errors", "latency"]).await;
    assert_eq!(peers.space.get("service/api").await["spec"]["selector"], json!({"app": "web", "version": "blue"}));
    assert!(document.contains("nobody can buy"), "the reason stands in it: {document}");
    example.close().await;
}

/// K8, P4, P5, P6, P8 · what was planned waits for its window.
#[tokio::test]
async fn a_go_live_happens_in_its_window_and_not_on_a_friday_night() {
    let Some(peers) = peers(|_| true).await else { return };
    let example = Example::open(NAME, peers.open.clone(), "informative tonight's go-live").await;
    let (run, card) = example.planned("run services-live").await;
    for item in ["smoke", "told"] {
        example.world.clicks("U0LEAD", &example.channel, &ts(&card), &format!("tick {} {item}", run.id)).await;
    }
    example.world.clicks("U0LEAD", &example.channel, &ts(&card), &format!("approve {}", run.id)).await;
    let said = shown(&example.world.whisper("U0LEAD", "go-lives"));
    assert!(said.contains("09:00"), "{said}");
    assert_eq!(peers.space.writes(), Vec::<serde_json::Value>::new());
    example.close().await;

    // A Tuesday in the window, but between the years.
    let example =
        Example::open_after(TO_TUESDAY + FOUR_WEEKS, NAME, peers.open.clone(), "informative a late go-live").await;
    let (run, card) = example.planned("run services-live").await;
    for item in ["smoke", "told"] {
        example.world.clicks("U0LEAD", &example.channel, &ts(&card), &format!("tick {} {item}", run.id)).await;
    }
    example.world.clicks("U0LEAD", &example.channel, &ts(&card), &format!("approve {}", run.id)).await;
    let said = shown(&example.world.whisper("U0LEAD", "End of the year"));
    assert!(said.contains("go-lives"), "{said}");
    assert_eq!(peers.space.writes(), Vec::<serde_json::Value>::new());
    example.close().await;

    let example = Example::open_after(TO_TUESDAY, NAME, peers.open, "informative today's go-live").await;
    example.runs("services-live").await;
    assert_eq!(peers.space.get("service/web").await["spec"]["selector"]["version"], "blue");
    example.close().await;
}

/// X1, X3, G2, H4, P6 · by DNS, by the team's own workflow, and behind a maintenance page.
#[tokio::test]
async fn traffic_workflow_and_maintenance_page_of_a_go_live_are_moved() {
    let Some(peers) = peers(|_| true).await else { return };
    let example = Example::open(NAME, peers.open, "important traffic goes to the wrong side").await;
    let seen = example.diagnoses("shop").await;
    assert_eq!(seen["payments"], vigie::incident::approval::Verdict::Pass, "{seen:?}");
    example.runs("traffic-over").await;
    assert_eq!(peers.cloudflare.with(|cloudflare| cloudflare.leads_to().to_owned()), "green.example.net");
    let ended = example.runs("workflow-back").await;
    assert!(ended.card.contains("/actions/runs/9002"), "{}", ended.card);
    assert_eq!(peers.github.writes().len(), 1);
    example.runs("page-up").await;
    example.runs("page-down").await;
    example.close().await;
}
