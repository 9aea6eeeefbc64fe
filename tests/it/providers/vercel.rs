//! Vercel (V1): production goes back, forth and elsewhere, and what Vercel says no to.

use serde_json::json;
use vigie::incident::approval::Outcome;
use vigie::incident::decision::Report;

use crate::french::is_french;
use crate::platforms::vercel::{DOMAIN, Vercel};
use crate::platforms::{Desk, Trouble, Which};
use crate::room::Room;
use crate::runbook::{self, Runbook};
use crate::world::shown;

const TOKEN: &str = "vercel-token-for-tests";

/// A step with this operation; `more` stands beside `vercel`.
fn step(desk: &Desk<Vercel>, operation: &str, more: &str, token: &str) -> String {
    format!(
        "{more}vercel: {{ project: prj_shop1, team: team_shop1, token: \"{token}\", domain: {DOMAIN}, base_url: \"{}\", \
         settle: 200ms, {operation} }}",
        desk.url
    )
}

struct Scene {
    desk: Desk<Vercel>,
    room: Room,
}

impl Scene {
    async fn open(operation: &str) -> Self {
        Self::open_with(operation, "within: 2s\n").await
    }

    async fn open_with(operation: &str, more: &str) -> Self {
        let desk = Desk::open(Vercel::new()).await;
        let room = Room::with_step(&step(&desk, operation, more, TOKEN));
        Self { desk, room }
    }

    fn live(&self) -> String {
        self.desk.with(|vercel| vercel.live().to_owned())
    }

    fn looks_gone_wrong(&self, status: u16, message: &str) {
        self.desk.next(Which::Write, Trouble::Says(status, json!({"error": {"code": "x", "message": message}})));
    }
}

#[tokio::test]
async fn the_plan_names_the_deployment_before_and_what_vercel_stops_doing() {
    let scene = Scene::open("rollback: {}").await;
    let plan = scene.room.planned().await;
    let step = &plan.steps[0];
    let before = "2222222 “Fix the cart” (dpl_2)";
    assert_eq!(step.from.as_deref(), Some("3333333 “New checkout” (dpl_3)"));
    assert_eq!(step.to, before);
    assert_eq!(step.target, "shop.example.com (Vercel, prj_shop1)");
    assert_eq!(step.locks, ["vercel/team_shop1/prj_shop1/domains"]);
    let lines: Vec<&str> = step.diff.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(lines, ["vercel.deployment", "vercel.no_auto_assign", "vercel.variables_stay"]);
    assert_eq!(step.diff[0].vars["url"], "dpl_2.vercel.app");
    assert!(scene.desk.writes().is_empty(), "planning changes nothing");
    assert!(!format!("{plan:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_deployment_that_is_no_candidate_is_passed_over() {
    let scene = Scene::open("rollback: {}").await;
    scene.desk.with(|vercel| vercel.deployment("dpl_2").is_candidate = false);
    assert!(scene.room.planned().await.steps[0].to.contains("dpl_1"));
    scene.desk.with(|vercel| vercel.deployment("dpl_1").is_deleted = true);
    let refusal = scene.room.refusal().await;
    assert!(refusal.contains("plan_fault.nothing_to_go_back_to") && refusal.contains("vercel.no_earlier"), "{refusal}");
}

#[tokio::test]
async fn a_rollback_is_done_only_when_the_domain_shows_it() {
    let scene = Scene::open("rollback: {}").await;
    scene.desk.with(|vercel| vercel.readings = 5);
    let ran = scene.room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(scene.live(), "dpl_2");
    assert_eq!(scene.desk.writes(), ["POST /v1/projects/prj_shop1/rollback/dpl_2"]);
    assert_eq!(
        scene.desk.calls().iter().find(|call| call.is_write()).expect("one write").query["description"],
        "Vigie run_7_1-step-1-0"
    );
    scene.desk.with(|vercel| {
        vercel.built("Not yet");
        assert_eq!(vercel.live(), "dpl_2", "nothing goes live by itself any more");
    });
}

/// Its deployments go on telling the name that it had when they were built.
#[tokio::test]
async fn a_project_that_was_renamed_is_known_by_its_name_of_today() {
    let desk = Desk::open(Vercel::new()).await;
    desk.with(|vercel| vercel.name = "boutique");
    let room = |name: &str| Room::with_step(&step(&desk, "rollback: {}", "", TOKEN).replace("prj_shop1", name));
    let refusal = room("shop").refusal().await;
    assert!(refusal.contains("vercel.no_domain"), "{refusal}");
    let ran = room("boutique").goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(desk.with(|vercel| vercel.live().to_owned()), "dpl_2");
}

#[tokio::test]
async fn a_promotion_puts_the_newest_live_and_lets_new_ones_go_live_again() {
    let scene = Scene::open("promote: {}").await;
    scene.desk.with(|vercel| {
        vercel.auto_assign = false;
        vercel.built("Repaired");
    });
    let ran = scene.room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!((scene.live().as_str(), scene.desk.with(|vercel| vercel.auto_assign)), ("dpl_4", true));
    assert_eq!(scene.desk.writes(), ["POST /v10/projects/prj_shop1/promote/dpl_4"]);
    let refusal = scene.room.refusal().await;
    assert!(refusal.contains("plan_fault.already_there"), "{refusal}");
}

#[tokio::test]
async fn a_person_chooses_among_what_production_can_go_back_to_and_can_take_it_back() {
    let scene = Scene::open("rollback: {}").await;
    scene.desk.with(|vercel| {
        vercel.built("Even newer");
        vercel.deployment("dpl_2").is_candidate = false;
    });
    assert_eq!(scene.room.choices().await, ["dpl_3", "dpl_1"]);
    let plan = scene.room.planned_to("dpl_1").await;
    assert_eq!(scene.room.run(&plan).await.line(), "done");
    assert_eq!((scene.live().as_str(), scene.desk.with(|vercel| vercel.auto_assign)), ("dpl_1", false));

    let back = scene.room.planned_back(&plan).await;
    assert_eq!(
        (back.steps[0].title.key.as_str(), back.steps[0].diff[1].key.as_str()),
        ("vercel.title_promote", "vercel.auto_assign")
    );
    let ran = scene.room.run(&back).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!((scene.live().as_str(), scene.desk.with(|vercel| vercel.auto_assign)), ("dpl_4", true));
    assert_eq!(scene.desk.writes().len(), 2);
}

#[tokio::test]
async fn a_preview_is_not_promoted_because_it_would_be_built_anew() {
    let scene = Scene::open("promote: { to: dpl_2 }").await;
    scene.desk.with(|vercel| vercel.deployment("dpl_2").is_production = false);
    assert!(scene.room.refusal().await.contains("vercel.preview"));
    scene.desk.with(|vercel| {
        vercel.deployment("dpl_2").is_production = true;
        vercel.deployment("dpl_2").state = "BUILDING";
    });
    assert!(scene.room.refusal().await.contains("vercel.not_ready"));
}

#[tokio::test]
async fn domains_are_pointed_together_and_a_half_is_taken_up() {
    let scene = Scene::open("alias: { domains: [www.shop.example.com, old.shop.example.com] }").await;
    scene.desk.with(|vercel| vercel.domains.insert("www.shop.example.com".into(), "dpl_1".into()));
    let plan = scene.room.planned().await;
    assert_eq!(
        plan.steps[0].from.as_deref(),
        Some("www.shop.example.com: 1111111 “Add the cart” (dpl_1), old.shop.example.com: –")
    );
    // The answer to the first is nonsense: nobody may take that for “nothing was changed”, and what is left is done.
    scene.desk.next(Which::Write, Trouble::Garbled);
    let ran = scene.room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(scene.desk.writes().len(), 2, "the first is not pointed again");
    let domains = scene.desk.with(|vercel| vercel.domains.clone());
    assert!(domains.values().all(|id| id == "dpl_3"), "{domains:?}");
}

/// The second request is refused, and then nothing can be read any more.
#[tokio::test]
async fn domains_of_which_the_first_is_pointed_are_never_told_as_unchanged() {
    let scene = Scene::open("alias: { domains: [www.shop.example.com, old.shop.example.com] }").await;
    let plan = scene.room.planned().await;
    scene.desk.with(|vercel| vercel.changes_left = Some(1));
    let line = scene.room.run(&plan).await.line();
    assert!(line.starts_with("unknown: ") && line.contains("lever.begun"), "{line}");
    assert!(line.contains("api.unknown_us") && !line.contains("step.unchanged"), "{line}");
    assert_eq!(scene.desk.writes().len(), 2);
    assert!(scene.desk.with(|vercel| vercel.domains.contains_key("www.shop.example.com")), "half of it is done");
}

/// Whoever reads one project of a team reads the deployments of all.
#[tokio::test]
async fn a_deployment_of_another_project_is_refused_by_its_name() {
    for operation in ["rollback: {}", "rollback: { to: dpl_1 }", "promote: {}"] {
        let scene = Scene::open(operation).await;
        scene.desk.with(|vercel| vercel.deployment("dpl_1").project = "prj_billing");
        let refusal = scene.room.refusal_to("dpl_1").await;
        assert!(refusal.contains("vercel.other_project") && refusal.contains("dpl_1"), "{operation}: {refusal}");
        scene.desk.with(|vercel| vercel.deployment("dpl_1").project = crate::platforms::vercel::PROJECT);
        assert!(scene.room.planned_to("dpl_1").await.steps[0].to.contains("dpl_1"), "{operation}");
        assert!(scene.desk.writes().is_empty());
    }
}

#[tokio::test]
async fn somebody_elses_deployment_between_plan_and_approval_is_stale() {
    let scene = Scene::open("rollback: {}").await;
    let plan = scene.room.planned().await;
    scene.desk.with(|vercel| vercel.built("A hot fix"));
    let ran = scene.room.run(&plan).await;
    assert!(ran.line().starts_with("stale: step.is_at") && ran.line().contains("dpl_4"), "{}", ran.line());
    assert!(scene.desk.writes().is_empty());
}

#[tokio::test]
async fn a_promotion_that_takes_too_long_is_not_taken_for_a_failure() {
    let scene = Scene::open_with("rollback: {}", "within: 400ms\n").await;
    scene.desk.with(|vercel| vercel.readings = 1_000_000);
    let ran = scene.room.goes().await;
    assert!(ran.line().starts_with("unknown: ") && ran.line().contains("lever.not_there_yet"), "{}", ran.line());
    assert_eq!((scene.desk.writes().len(), scene.live().as_str()), (1, "dpl_3"));
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_domain() {
    let scene = Scene::open("rollback: {}").await;
    scene.desk.with(|vercel| vercel.readings = 0);
    scene.desk.next(Which::Write, Trouble::LosesAnswer);
    let ran = scene.room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(scene.live(), "dpl_2");

    let scene = Scene::open("rollback: {}").await;
    scene.desk.next(Which::Write, Trouble::LosesRequest);
    let ran = scene.room.goes().await;
    assert!(ran.line().starts_with("failed: ") && ran.line().contains("step.still_at"), "{}", ran.line());
    assert_eq!((scene.desk.writes().len(), scene.live().as_str()), (1, "dpl_3"));
}

#[tokio::test]
async fn a_rollback_that_was_under_way_when_the_bot_died_is_followed_and_not_sent_again() {
    let scene = Scene::open("rollback: {}").await;
    let plan = scene.room.planned().await;
    scene.desk.with(|vercel| vercel.begins("dpl_2", 3));
    let ran = scene.room.taken_up(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert!(scene.desk.writes().is_empty());
}

/// Its own promotion is not over in time: nobody may be told that nothing was changed.
#[tokio::test]
async fn a_rollback_that_is_taken_up_and_not_seen_to_its_end_is_not_taken_for_a_failure() {
    let scene = Scene::open_with("rollback: {}", "within: 400ms\n").await;
    let plan = scene.room.planned().await;
    scene.desk.with(|vercel| vercel.begins("dpl_2", 1_000_000));
    let ran = scene.room.taken_up(&plan).await;
    assert!(ran.line().starts_with("unknown: ") && ran.line().contains("lever.not_there_yet"), "{}", ran.line());
    assert!(scene.desk.writes().is_empty());
}

/// The bot died after the change and before its end was kept: the look afterwards tells what is live.
#[tokio::test]
async fn what_is_live_in_the_end_is_told_although_only_a_look_has_seen_it() {
    let scene = Scene::open("rollback: {}").await;
    let plan = scene.room.planned().await;
    assert_eq!(scene.room.run(&plan).await.line(), "done");
    let ran = scene.room.taken_up(&plan).await;
    let live = ran.reports.iter().find_map(|report| match report {
        Report::StepFinished { live, .. } => live.clone(),
        _ => None,
    });
    assert!(live.as_ref().is_some_and(|live| live.contains("dpl_2")), "{live:?}: {}", ran.everything());
    assert_eq!(scene.desk.writes().len(), 1);
}

#[tokio::test]
async fn what_vercel_refuses_is_said_in_its_own_way() {
    for (status, wanted) in [
        (400, "api.refused"),
        (401, "api.unknown_us"),
        (402, "api.payment"),
        (403, "api.denied"),
        (404, "api.absent"),
        (409, "api.conflict"),
        (410, "api.gone"),
        (422, "vercel.no_candidate"),
    ] {
        let scene = Scene::open("rollback: {}").await;
        scene.looks_gone_wrong(status, "no, because of it");
        let ran = scene.room.goes().await;
        let line = ran.line();
        assert!(line.starts_with("failed: step.unchanged") && line.contains(wanted), "{status}: {line}");
        assert_eq!((scene.desk.writes().len(), scene.live().as_str()), (1, "dpl_3"));
    }
    // Only a rollback goes back.
    let scene = Scene::open("promote: {}").await;
    scene.desk.with(|vercel| {
        vercel.auto_assign = false;
        vercel.built("Repaired");
    });
    scene.looks_gone_wrong(422, "no, because of it");
    let line = scene.room.goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("api.refused"), "{line}");
}

#[tokio::test]
async fn vercels_own_rules_are_found_out_by_asking() {
    let scene = Scene::open("rollback: { to: dpl_1 }").await;
    scene.desk.with(|vercel| vercel.is_hobby = true);
    let line = scene.room.goes().await.line();
    assert!(
        line.contains("api.payment") && line.contains("Your plan goes back to the deployment before only"),
        "{line}"
    );

    let scene = Scene::open("rollback: {}").await;
    scene.desk.with(|vercel| vercel.begins("dpl_1", 1_000));
    assert!(scene.room.refusal().await.contains("vercel.busy"));
    scene.desk.with(|vercel| vercel.token = "another-token-altogether".into());
    assert!(scene.room.refusal().await.contains("api.unknown_us"));

    let scene = Scene::open("rollback: { to: dpl_9 }").await;
    assert!(scene.room.refusal().await.contains("api.absent"));
    scene.desk.with(|vercel| vercel.team = "team_other1".into());
    assert!(scene.room.refusal().await.contains("api.denied"));
}

#[tokio::test]
async fn too_many_requests_are_waited_for_and_a_broken_vendor_is_not_asked_twice_to_change() {
    let scene = Scene::open("rollback: {}").await;
    scene.desk.next(Which::Write, Trouble::TooMany { retry_after_s: 1 });
    let ran = scene.room.goes().await;
    assert_eq!((ran.line().as_str(), scene.desk.writes().len()), ("done", 2));

    let scene = Scene::open("rollback: {}").await;
    scene.desk.next(Which::Write, Trouble::TooMany { retry_after_s: 600 });
    let line = scene.room.goes().await.line();
    assert!(line.contains("step.unchanged") && line.contains("api.too_many") && line.contains("600000"), "{line}");

    let scene = Scene::open("rollback: {}").await;
    scene.looks_gone_wrong(500, "oops");
    let line = scene.room.goes().await.line();
    assert!(line.starts_with("failed: step.both") && line.contains("step.still_at"), "{line}");
    assert_eq!(scene.desk.writes().len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_or_never_ends_leaves_nothing_behind() {
    for trouble in [Trouble::Silent, Trouble::Flood(100 << 20), Trouble::Garbled] {
        let scene = Scene::open_with("rollback: {}", "within: 1s\n").await;
        scene.desk.with(|vercel| vercel.readings = 0);
        scene.desk.next(Which::Write, trouble.clone());
        let ran = scene.room.goes().await;
        let is_done = !matches!(trouble, Trouble::Silent);
        assert_eq!(scene.live(), if is_done { "dpl_2" } else { "dpl_3" });
        assert_eq!(ran.line() == "done", is_done, "{trouble:?}: {}", ran.line());
        assert!(!ran.everything().contains(TOKEN));
    }
    // A reading that floods or breaks once is repeated or told; nothing is changed.
    let scene = Scene::open("rollback: {}").await;
    scene.desk.next(Which::Any, Trouble::LosesRequest);
    scene.room.planned().await;
    scene.desk.next(Which::Any, Trouble::Flood(2 << 20));
    assert!(scene.room.refusal().await.contains("api.garbled"));
}

fn check(desk: &Desk<Vercel>) -> String {
    format!(
        "http:\n  url: {}/v13/deployments/dpl_2?teamId=team_shop1\n  headers: {{ Authorization: \"Bearer {}\" }}\n  \
         fields: [{{ field: /readyState, equals: READY }}]\n",
        desk.url,
        runbook::TOKEN
    )
}

/// The whole bot with this operation, and Vercel that knows its token.
async fn whole_bot(locale: &str, desk: &Desk<Vercel>, operation: &str) -> Runbook {
    let step = format!("- {}", step(desk, operation, "", runbook::TOKEN));
    let runbook = Runbook::open(locale, &check(desk), &step).await;
    desk.with(|vercel| vercel.token = runbook.token());
    runbook
}

/// V1, P3, P6 · from the slash command to the timeline.
#[tokio::test]
async fn production_goes_back_to_the_deployment_before() {
    let desk = Desk::open(Vercel::new()).await;
    let runbook = whole_bot("en", &desk, "rollback: {}").await;
    let (channel, card) = runbook.planned().await;
    let text = shown(&card);
    for line in [
        "Roll shop.example.com back from 3333333 “New checkout” (dpl_3) to 2222222 “Fix the cart” (dpl_2)",
        "shop.example.com (Vercel, prj_shop1)",
        "new deployments do not go live by themselves until one is promoted",
        "environment variables stay as they were when it was built",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(desk.writes().is_empty(), "planning changes nothing");

    let done = runbook.approved(&channel, &card).await;
    assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
    assert_eq!(desk.with(|vercel| vercel.live().to_owned()), "dpl_2");
    assert_eq!(desk.writes(), ["POST /v1/projects/prj_shop1/rollback/dpl_2"]);
    assert!(done.contains("shop.example.com (Vercel, prj_shop1) is at 2222222 “Fix the cart” (dpl_2)"), "{done}");
    let timeline = runbook.world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("2222222 “Fix the cart” (dpl_2)"), "{timeline}");
    runbook.close_without(&[]).await;
}

/// V1 · in French.
#[tokio::test]
async fn a_french_team_goes_back_in_french() {
    let desk = Desk::open(Vercel::new()).await;
    desk.with(|vercel| vercel.deployment("dpl_2").message = "Panier".into());
    desk.with(|vercel| vercel.deployment("dpl_3").message = "Paiement".into());
    let runbook = whole_bot("fr", &desk, "rollback: {}").await;
    let (channel, card) = runbook.planned().await;
    let done = runbook.approved(&channel, &card).await;
    assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
    assert!(
        shown(&card).contains("les nouveaux déploiements ne passent plus en ligne d’eux-mêmes"),
        "{}",
        shown(&card)
    );
    is_french(&runbook.world);
    runbook.close_without(&[]).await;
}
