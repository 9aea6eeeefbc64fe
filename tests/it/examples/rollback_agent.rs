//! `rollback-agent`: a real git, Vercel's simulator, a real Kubernetes, programs of the team's own.

use serde_json::json;
use tempfile::TempDir;
use vigie::incident::approval::{Outcome, Verdict};
use vigie::incident::state::Phase;

use super::site::{ROLE_TOKEN, Site};
use super::{Example, Variables, allowed, npm_scripts, program, reaching, variables};
use crate::kubernetes::plane::Namespace;
use crate::platforms::ecs::{Ecs, KEY};
use crate::platforms::vercel::{DOMAIN, PROJECT, Vercel};
use crate::platforms::{Desk, Trouble, Which};
use crate::postgres::shop::Shop;
use crate::providers::compose;
use crate::providers::git::Remote;
use crate::world::shown;

const NAME: &str = "rollback-agent";

/// Everything that the agent works on.
struct Peers {
    space: Namespace,
    vercel: Desk<Vercel>,
    paris: Desk<Ecs>,
    frankfurt: Desk<Ecs>,
    git: Remote,
    shop: Shop,
    folder: TempDir,
}

/// The shop is well when it does not show the newest deployment.
async fn opened() -> Option<(Example, Peers)> {
    opened_with(Variables::new()).await
}

/// The same with more that is known.
async fn opened_with(more: Variables) -> Option<(Example, Peers)> {
    let space = Namespace::open().await?;
    space.deployed("worker", &["example/worker:1", "example/worker:2"], 2).await;
    let vercel = Desk::open(Vercel::new()).await;
    let (paris, frankfurt) = (Desk::open(Ecs::new("eu-west-3")).await, Desk::open(Ecs::new("eu-central-1")).await);
    let (git, folder) = (Remote::open(), tempfile::tempdir().expect("a folder can be made"));
    let shop = Shop::open().await;
    let cache = "if [ \"$1\" = --was-done ]; then [ ! -e cache ]; else rm -f cache && echo emptied; fi\n";
    program(&folder.path().join("bin/empty-cache"), cache);
    std::fs::write(folder.path().join("cache"), "a page").expect("it can be written");
    std::fs::write(folder.path().join("shop.log"), "2026-11-20T01:59:00Z ERROR no cart\n").expect("it can be written");
    let shown = vercel.clone();
    let site = Site::open(move || shown.with(|vercel| vercel.live() != "dpl_3")).await;
    npm_scripts(folder.path(), &site.url);
    let smoke = format!("curl --silent --show-error --fail --max-time 5 {}/health && echo '1 test passed'\n", site.url);
    program(&folder.path().join("bin/smoke"), &smoke);
    let (token, team) = vercel.with(|vercel| (vercel.token.clone(), vercel.team.clone()));
    let mut open = variables([
        ("SHOP_URL", &site.url),
        ("SHOP_FOLDER", &folder.path().display().to_string()),
        ("VERCEL_API", &vercel.url),
        ("VERCEL_PROJECT", PROJECT),
        ("VERCEL_TEAM", &team),
        ("VERCEL_TOKEN", &token),
        ("AWS_KEY_ID", KEY),
        ("AWS_KEY", "ecs-secret-for-tests"),
        ("ECS_PARIS", &paris.url),
        ("ECS_FRANKFURT", &frankfurt.url),
        ("STS_PARIS", &format!("{}/sts", site.url)),
        ("GIT_REPOSITORY", &git.bare().display().to_string()),
        ("GIT_MIRROR", &git.mirror().display().to_string()),
    ]);
    open.extend(more);
    open.extend(reaching(&shop));
    let open = allowed(&space, NAME, &open).await;
    let example = Example::open(NAME, open, "sev2 the shop answers with errors").await;
    Some((example, Peers { space, vercel, paris, frankfurt, git, shop, folder }))
}

/// G1, V1, K1, X3, H1, H5, H6, H7, P1, P2, P3, P4, P5, P6 · four systems under one approval, from the declaration to the
/// post-mortem.
#[tokio::test]
async fn the_emergency_plan_of_the_rollback_agent_is_run_from_end_to_end() {
    let Some((example, peers)) = opened().await else { return };
    let document = example.lives_through("everything-back", "shop", &["health"]).await;
    let card = shown(&example.world.message(&example.channel, "What customers still see of it"));
    for (phase, budget) in
        [("The program", "7 min"), ("The workers", "5 min"), ("What customers still see of it", "1 min")]
    {
        let line = card.lines().find(|line| line.contains(phase)).unwrap_or_else(|| panic!("{phase} is not in {card}"));
        assert!(line.contains(&format!(" of {budget}")), "the time used of the budget: {line}");
    }
    assert_eq!(peers.git.file("price"), "10");
    assert_eq!(peers.vercel.with(|vercel| vercel.live().to_owned()), "dpl_2");
    assert_eq!(peers.space.image("worker").await, "example/worker:1");
    assert!(!peers.folder.path().join("cache").exists());
    assert!(document.contains("Take everything back"), "{document}");
    example.close().await;
}

/// P7 · the second of four systems refuses: what was done and what was not is said, and once it is tried again the rest
/// follows.
#[tokio::test]
async fn a_step_that_fails_stops_the_rest_until_it_is_tried_again() {
    let Some((example, peers)) = opened().await else { return };
    let (run, card) = example.planned("run everything-back").await;
    let refusal = json!({"error": {"code": "plan_limit", "message": "Pay first"}});
    peers.vercel.next(Which::Write, Trouble::Says(402, refusal));
    example.approves(&run, &card).await;
    let stopped = shown(&example.world.message(&example.channel, "Rollback stopped"));
    for said in ["Pay first", "retry run_1_1", "skip run_1_1"] {
        assert!(stopped.contains(said), "{said} is not in {stopped}");
    }
    assert_eq!(
        (peers.git.file("price").as_str(), peers.space.image("worker").await.as_str()),
        ("10", "example/worker:2")
    );
    example.world.types("U0LEAD", &example.channel, "retry run_1_1").await;
    let run = example.world.incident(1).await.runs.into_values().next().expect("there is a run");
    assert_eq!(
        run.phase,
        Phase::Finished { outcome: Outcome::Done },
        "{}",
        shown(&example.world.again(&example.channel, &card))
    );
    assert_eq!(peers.space.image("worker").await, "example/worker:1");
    example.close().await;
}

/// P1, P7 · what four systems did is taken back, the last one first; what nobody can take back is named.
#[tokio::test]
async fn what_four_systems_did_is_taken_back_the_last_first() {
    let Some((example, peers)) = opened().await else { return };
    // The shop is well before and afterwards, so that the checks say yes to both ways.
    peers.vercel.with(|vercel| vercel.domains.insert(DOMAIN.to_owned(), "dpl_2".to_owned()));
    let state = async || {
        let live = peers.vercel.with(|vercel| vercel.live().to_owned());
        (peers.git.file("price"), live, peers.space.image("worker").await)
    };
    let of = |all: [&str; 3]| (all[0].to_owned(), all[1].to_owned(), all[2].to_owned());
    example.runs("everything-back").await;
    assert_eq!(state().await, of(["10", "dpl_1", "example/worker:1"]));

    let (run, card) = example.planned("undo run_1_1").await;
    let steps = &run.plan.as_ref().expect("there is a plan").steps;
    let providers: Vec<&str> = steps.iter().map(|step| step.provider.as_str()).collect();
    assert_eq!(providers, ["kubernetes", "vercel", "git"]);
    assert!(shown(&card).contains("page cache"), "what stays done is named: {}", shown(&card));
    example.approves(&run, &card).await;
    assert_eq!(
        state().await,
        of(["20", "dpl_2", "example/worker:2"]),
        "{}",
        shown(&example.world.again(&example.channel, &card))
    );
    example.close().await;
}

/// G1, V1, V3, K1, A1, X3, D4, D5, H3, P4 · each of its parts alone.
#[tokio::test]
async fn each_part_of_the_rollback_agent_goes_back_by_itself() {
    let Some((example, peers)) = opened().await else { return };
    let seen = example.diagnoses("shop").await;
    for well in ["web-log", "waiting", "commits", "orders", "workers"] {
        assert_eq!(seen[well], Verdict::Pass, "{well}: {seen:?}");
    }
    assert_eq!(seen["smoke"], Verdict::Fail, "the smoke tests ask the shop itself: {seen:?}");
    example.runs("vercel-back").await;
    assert_eq!(peers.vercel.with(|vercel| vercel.live().to_owned()), "dpl_2");
    example.runs_to("vercel-back", "dpl_1").await;
    assert_eq!(peers.vercel.with(|vercel| vercel.live().to_owned()), "dpl_1");
    assert_eq!(example.diagnoses("shop").await["smoke"], Verdict::Pass);
    example.runs("payments-back").await;
    for region in [&peers.paris, &peers.frankfurt] {
        assert_eq!(region.with(|ecs| ecs.runs()), "web:9");
    }
    // One region, as another role of the team's, to the revision that somebody says.
    example.runs_to("payments-paris-to", "web:8").await;
    let runs = (peers.paris.with(|ecs| ecs.runs()), peers.frankfurt.with(|ecs| ecs.runs()));
    assert_eq!(runs, ("web:8".to_owned(), "web:9".to_owned()));
    let last = peers.paris.calls().pop().expect("it was asked");
    assert_eq!(last.header("x-amz-security-token"), Some(ROLE_TOKEN), "it was asked as the role");
    example.runs("workers-back").await;
    assert_eq!(peers.space.image("worker").await, "example/worker:1");
    example.runs("migration-back").await;
    assert_eq!(peers.shop.count("SELECT max(version)::bigint FROM migrations").await, 41);
    example.runs("empty-cache").await;
    assert!(!peers.folder.path().join("cache").exists());

    let git = &peers.git;
    let head = git.at("main");
    example.runs("checkpoint").await;
    assert_eq!(git.git(&git.bare(), &["tag", "--points-at", &head]).lines().count(), 1);
    example.runs("revert-commit").await;
    assert_eq!((git.file("price").as_str(), git.at("main~1")), ("10", head));
    git.git(&git.clone(), &["pull", "--quiet", "origin", "main"]);
    git.merges();
    example.runs("revert-merge").await;
    let files = git.git(&git.bare(), &["ls-tree", "--name-only", "main"]);
    assert_eq!(files, "price", "the merged file is gone again");
    git.git(&git.clone(), &["push", "--quiet", "origin", "HEAD:preview"]);
    example.runs("reset-preview").await;
    assert_eq!(git.at("preview"), git.at("main"));
    example.close().await;
}

/// C1, P4 · a service of Docker Compose runs on the image before, on a real engine.
#[tokio::test]
async fn the_reports_of_the_rollback_agent_run_on_the_image_before() {
    let Some(reports) = compose::Shop::open() else { return };
    let folder = reports.folder.path();
    let engine = reports.engine.display();
    let docker = format!(
        "if [ \"$1\" = compose ]; then shift; exec {engine}/docker-compose \"$@\"; fi\nexec {engine}/docker \"$@\"\n"
    );
    program(&folder.join("bin/docker"), &docker);
    let more = variables([
        ("COMPOSE_PROJECT", &reports.name),
        ("COMPOSE_FOLDER", &folder.display().to_string()),
        ("COMPOSE_HOST", &reports.host()),
        ("DOCKER", &folder.join("bin/docker").display().to_string()),
    ]);
    let Some((example, peers)) = opened_with(more).await else { return };
    // The smoke tests ask the shop, which must be well for it.
    peers.vercel.with(|vercel| vercel.domains.insert(DOMAIN.to_owned(), "dpl_2".to_owned()));
    let env_of_two = std::fs::read_to_string(folder.join(".env")).expect("it can be read");
    example.runs("reports-back").await;
    assert_eq!(reports.tags("web"), ["1"]);
    std::fs::write(folder.join(".env"), env_of_two).expect("it can be written");
    reports.up();
    example.runs_to("reports-back", "1").await;
    assert_eq!(reports.tags("web"), ["1"]);

    std::fs::write(folder.join("deployments.log"), "2026-11-18 ana 1\n2026-11-19 ben 2\n").expect("it can be written");
    example.runs("reports-worker-back").await;
    assert_eq!((reports.tags("worker"), reports.tags("web")), (vec!["1".to_owned()], vec!["1".to_owned()]));
    let written = std::fs::read_to_string(folder.join("compose.vigie.yml")).expect("it is there");
    assert!(written.contains("worker") && !written.contains("  web:"), "{written}");
    example.close().await;
}
