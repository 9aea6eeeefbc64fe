//! AWS ECS (A1): a service goes back to the revision before and is followed until it is steady; what fails, what ECS takes
//! back by itself, what was lost. `moto` tries signatures and names of errors.

use serde_json::json;
use vigie::actions::ActionsConfig;
use vigie::incident::approval::{Outcome, Risk};

use crate::french::is_french;
use crate::platforms::ecs::{Ecs, End, KEY};
use crate::platforms::{Desk, Trouble, Which};
use crate::room::Room;
use crate::runbook::{self, Runbook};
use crate::world::{shown, ts};

const REGION: &str = "eu-west-3";
const SECRET: &str = "ecs-secret-for-tests";

fn step(desk: &Desk<Ecs>, region: &str, operation: &str, secret: &str) -> String {
    format!(
        "ecs: {{ region: {region}, cluster: shop, service: web, keys: {{ id: {KEY}, secret: \"{secret}\" }}, endpoint: \"{}\", \
         settle: 200ms, {operation} }}",
        desk.url
    )
}

async fn scene(operation: &str) -> (Desk<Ecs>, Room) {
    let desk = Desk::open(Ecs::new(REGION)).await;
    let room = Room::with_step(&format!("within: 3s\n{}", step(&desk, REGION, operation, SECRET)));
    (desk, room)
}

fn runs(desk: &Desk<Ecs>) -> String {
    desk.with(|ecs| ecs.runs())
}

/// A1, P7 · one revision back, by number and within its own family, once, until it is steady; and forth again.
#[tokio::test]
async fn a_service_goes_back_one_revision_and_is_followed_until_it_is_steady() {
    let (desk, room) = scene("back: {}").await;
    assert_eq!(room.choices().await, ["web:9", "web:8"]);
    let plan = room.planned().await;
    let step = &plan.steps[0];
    assert_eq!((step.from.as_deref(), step.to.as_str(), step.risk), (Some("web:10"), "web:9", Risk::Reversible));
    let lines: Vec<&str> = step.diff.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(
        (lines.as_slice(), &step.diff[1].vars["names"]),
        (&["ecs.image", "ecs.variables"][..], &json!(["MODE"]))
    );
    assert!(!format!("{plan:?}").contains("mode-") && desk.writes().is_empty(), "{plan:?}");

    desk.with(|ecs| ecs.readings = 4);
    let ran = room.run(&plan).await;
    assert_eq!((ran.line().as_str(), runs(&desk).as_str()), ("done", "web:9"), "{}", ran.everything());
    let writes: Vec<_> = desk.calls().into_iter().filter(|call| call.is_write()).collect();
    let arn = "arn:aws:ecs:eu-west-3:123456789012:task-definition/web:9";
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].body, json!({"cluster": "shop", "service": "web", "taskDefinition": arn}));
    assert!(!format!("{plan:?} {}", ran.everything()).contains(SECRET));

    let back = room.planned_back(&plan).await;
    assert_eq!(room.run(&back).await.line(), "done");
    assert_eq!(runs(&desk), "web:10");
    let chosen = room.planned_to("web:8").await;
    assert_eq!(room.run(&chosen).await.line(), "done");
    assert_eq!(runs(&desk), "web:8");
    assert!(room.refusal().await.contains("ecs.no_earlier"));
}

#[tokio::test]
async fn a_roll_out_that_fails_says_ecss_own_reason() {
    let (desk, room) = scene("back: {}").await;
    desk.with(|ecs| ecs.end = End::Fails);
    let plan = room.planned().await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: ecs.failed") && line.contains("tasks failed to start"), "{line}");
    // Whoever takes it up after a crash sees the same, and starts nothing.
    let line = room.taken_up(&plan).await.line();
    assert!(line.starts_with("failed: ecs.failed"), "{line}");
    assert_eq!(desk.writes().len(), 1);
}

#[tokio::test]
async fn what_ecs_takes_back_by_itself_is_a_failure() {
    let (desk, room) = scene("back: {}").await;
    desk.with(|ecs| ecs.end = End::GoesBack);
    let plan = room.planned().await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: ecs.went_back") && line.contains("circuit breaker"), "{line}");
    assert_eq!((runs(&desk).as_str(), desk.writes().len()), ("web:10", 1));
    // Once more, and it is told of this failure.
    let line = room.tried_again(&plan).await.line();
    assert!(line.starts_with("failed: ecs.went_back"), "{line}");
    assert_eq!((runs(&desk).as_str(), desk.writes().len()), ("web:10", 2));
    // A failure of long ago is none of this run's.
    desk.with(|ecs| ecs.end = End::Well);
    let ran = room.goes().await;
    assert_eq!((ran.line().as_str(), runs(&desk).as_str()), ("done", "web:9"), "{}", ran.everything());
}

/// A1, P7 · the cause is mended: what failed before is not told as what comes of trying again.
#[tokio::test]
async fn what_failed_before_is_history_when_it_is_tried_again() {
    for (end, failure) in [(End::GoesBack, "failed: ecs.went_back"), (End::Fails, "failed: ecs.failed")] {
        let (desk, room) = scene("back: {}").await;
        desk.with(|ecs| ecs.end = end);
        let plan = room.planned().await;
        let line = room.run(&plan).await.line();
        assert!(line.starts_with(failure), "{line}");
        desk.with(|ecs| ecs.end = End::Well);
        let ran = room.tried_again(&plan).await;
        assert_eq!((ran.line().as_str(), runs(&desk).as_str()), ("done", "web:9"), "{}", ran.everything());
        assert_eq!(desk.writes().len(), 2, "{end:?}");
    }
}

/// A roll-out of somebody else's that fails meanwhile is not begun again by us.
#[tokio::test]
async fn a_roll_out_that_is_under_way_already_is_followed_and_not_begun_again() {
    let (desk, room) = scene("back: {}").await;
    let plan = room.planned().await;
    desk.with(|ecs| {
        ecs.end = End::Fails;
        ecs.deploys("web:9");
    });
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: ecs.failed"), "{line}");
    assert!(desk.writes().is_empty());
}

/// The same names at another address are another service.
#[tokio::test]
async fn a_plan_for_one_place_is_not_carried_out_at_another() {
    let (desk, room) = scene("back: {}").await;
    let plan = room.planned().await;
    let (other, elsewhere) = scene("back: {}").await;
    let line = elsewhere.run(&plan).await.line();
    assert!(line.starts_with("stale: step.reconfigured"), "{line}");
    let profile = step(&desk, REGION, "back: {}, profile: other", SECRET);
    let keys = format!("keys: {{ id: {KEY}, secret: \"{SECRET}\" }}, ");
    let line = Room::with_step(&profile.replace(&keys, "")).run(&plan).await.line();
    assert!(line.starts_with("stale: step.reconfigured"), "{line}");
    assert!(desk.writes().is_empty() && other.writes().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_what_runs() {
    for (trouble, wanted, at) in [
        (Trouble::LosesAnswer, "done", "web:9"),
        (Trouble::LosesRequest, "failed: step.both", "web:10"),
        (Trouble::Silent, "failed: step.both", "web:10"),
        (Trouble::Says(500, json!({"__type": "ServerException", "message": "broken"})), "failed: step.both", "web:10"),
    ] {
        let (desk, room) = scene("back: {}").await;
        let told = format!("{trouble:?}");
        desk.next(Which::Write, trouble);
        let ran = room.goes().await;
        assert!(ran.line().starts_with(wanted), "{told}: {}", ran.everything());
        assert_eq!((runs(&desk).as_str(), desk.writes().len()), (at, 1), "{told}");
    }
    let (desk, room) = scene("back: {}").await;
    desk.with(|ecs| ecs.readings = 10_000);
    let plan = room.planned().await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("unknown:") && line.contains("lever."), "a roll-out without end: {line}");
    desk.with(|ecs| ecs.deploys("web:8"));
    let line = room.taken_up(&plan).await.line();
    assert!(line.starts_with("unknown:") && line.contains("step.elsewhere"), "{line}");
}

#[tokio::test]
async fn somebody_elses_deployment_since_the_plan_is_stale() {
    let (desk, room) = scene("back: {}").await;
    let plan = room.planned().await;
    desk.with(|ecs| ecs.deploys("web:11"));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: step.is_at") && line.contains("web:11"), "{line}");
    assert!(desk.writes().is_empty());
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_its_name() {
    let (desk, room) = scene("back: {}").await;
    for (controller, wanted) in [("CODE_DEPLOY", "ecs.codedeploy"), ("EXTERNAL", "ecs.external")] {
        desk.with(|ecs| ecs.controller = controller);
        assert!(room.refusal().await.contains(wanted));
    }
    desk.with(|ecs| (ecs.controller, ecs.status) = ("ECS", "DRAINING"));
    assert!(room.refusal().await.contains("ecs.inactive"));
    desk.with(|ecs| ecs.status = "ACTIVE");
    desk.with(|ecs| ecs.definition("web:9").is_active = false);
    assert_eq!(room.planned().await.steps[0].to, "web:8", "a revision that was taken out of use is passed over");
    let fixed = |operation: &str| Room::with_step(&step(&desk, REGION, operation, SECRET));
    assert!(fixed("back: { to: \"web:9\" }").refusal().await.contains("ecs.deregistered"));
    assert!(fixed("back: { to: \"web:99\" }").refusal().await.contains("Unable to describe task definition"));
    assert!(fixed("back: { to: \"web:10\" }").refusal().await.contains("plan_fault.already_there"));
    let other = |from: &str, to: &str| Room::with_step(&step(&desk, REGION, "back: {}", SECRET).replace(from, to));
    let absent = other("service: web", "service: wob").refusal().await;
    assert!(absent.contains("ecs.absent") && absent.contains("MISSING") && absent.contains("wob"), "{absent}");
    assert!(other("cluster: shop", "cluster: shed").refusal().await.contains("ClusterNotFoundException"));
    assert!(other(KEY, "somebody-else").refusal().await.contains("ecs.unknown_us"));
    assert!(other(REGION, "eu-west-1").refusal().await.contains("ecs.unknown_us"));
    assert!(desk.writes().is_empty());
}

#[tokio::test]
async fn what_ecs_refuses_is_said_in_its_own_way_and_what_is_too_much_is_tried_again() {
    for (name, wanted) in [
        ("AccessDeniedException", "ecs.denied"),
        ("ServiceNotFoundException", "ecs.absent"),
        ("ExpiredTokenException", "ecs.unknown_us"),
        ("PlatformTaskDefinitionIncompatibilityException", "ecs.refused"),
    ] {
        let (desk, room) = scene("back: {}").await;
        desk.next(Which::Write, Trouble::Says(400, json!({"__type": name, "message": "no, because of it"})));
        let line = room.goes().await.line();
        assert!(line.starts_with("failed: step.unchanged") && line.contains(wanted), "{name}: {line}");
        assert_eq!((runs(&desk).as_str(), desk.writes().len()), ("web:10", 1));
    }
    let (desk, room) = scene("back: {}").await;
    desk.next(Which::Any, Trouble::Says(400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})));
    desk.next(Which::Any, Trouble::Says(503, json!({})));
    let plan = room.planned().await;
    desk.next(Which::Write, Trouble::Says(400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})));
    assert_eq!(room.run(&plan).await.line(), "done");
    assert_eq!(desk.writes().len(), 2, "what was turned away is sent again");
    for trouble in [Trouble::Garbled, Trouble::Flood(100 << 20)] {
        let (desk, room) = scene("back: {}").await;
        desk.next(Which::Any, trouble);
        assert!(room.refusal().await.contains("api.garbled"));
    }
}

/// A1 · another number of tasks, counted until they run.
#[tokio::test]
async fn the_number_of_tasks_is_set_and_counted() {
    let (desk, room) = scene("scale: { to: 5 }").await;
    let plan = room.planned().await;
    assert_eq!((plan.steps[0].from.as_deref(), plan.steps[0].to.as_str()), (Some("desired=2"), "desired=5"));
    assert_eq!(room.run(&plan).await.line(), "done");
    assert_eq!(desk.with(|ecs| (ecs.desired, ecs.running)), (5, 5));
    assert!(room.refusal().await.contains("plan_fault.already_there"));
    let back = room.planned_back(&plan).await;
    assert_eq!(room.run(&back).await.line(), "done");
    assert_eq!(desk.with(|ecs| (ecs.desired, ecs.running)), (2, 2));
    desk.with(|ecs| ecs.desired = 7);
    assert!(room.run(&plan).await.line().starts_with("stale: step.is_at"));
}

/// D3 · none while the work is done, and as many as before whatever becomes of it.
#[tokio::test]
async fn tasks_stop_for_the_work_and_run_again_whatever_becomes_of_it() {
    for (program, outcome) in [("true", "done"), ("false", "failed:")] {
        let desk = Desk::open(Ecs::new(REGION)).await;
        let (stop, start) = ("scale: { to: 0 }", "scale: { to: 2 }");
        let room = Room::open(&format!(
            "limits: {{ verify_within: 1s }}\nactions:\n  go:\n    title: Go\n    service: shop\n    class: urgent\n    risk: \
             reversible\n    expected: 30s\n    verify: [there]\n    steps:\n    - within: 3s\n      {}\n    - command: {{ \
             target: orders, risk: reversible, to: repaired, argv: [\"{program}\"] }}\n    - within: 3s\n      always: \
             true\n      {}\nservices:\n  shop:\n    - {{ key: there, command: {{ argv: [\"true\"] }} }}\n",
            step(&desk, REGION, stop, SECRET),
            step(&desk, REGION, start, SECRET),
        ));
        let plan = room.planned().await;
        assert_eq!((plan.steps[2].from.as_deref(), plan.steps[2].to.as_str()), (Some("desired=0"), "desired=2"));
        let ran = room.run(&plan).await;
        assert!(ran.line().starts_with(outcome), "{}", ran.everything());
        let counts: Vec<_> = desk.calls().into_iter().filter(|call| call.is_write()).map(|call| call.body).collect();
        let wanted = [0, 2].map(|count| json!({"cluster": "shop", "service": "web", "desiredCount": count}));
        assert_eq!((counts.as_slice(), desk.with(|ecs| ecs.running)), (&wanted[..], 2));
    }
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused() {
    for (change, wanted) in [
        (("back: {}", "back: {}, scale: { to: 1 }"), "in exactly one way: back or scale"),
        (("eu-west-3", "paris"), "this is no region"),
        (("back: {}", "back: { to: web }"), "the family and the revision"),
        (("back: {}", "back: {}, role: { arn: vigie }"), "the role's whole name"),
        (("back: {}", "back: {}, profile: x"), "two ways of one thing"),
        (("cluster: shop", "cluster: \"arn:aws:ecs:x:cluster/shop\""), "without arn: before it"),
    ] {
        let step = "ecs: { region: eu-west-3, cluster: shop, service: web, keys: { id: k, secret: s3cr3t-of-tests }, back: {} }";
        let step = step.replace(change.0, change.1);
        let yaml = format!(
            "actions:\n  go:\n    title: Go\n    class: urgent\n    risk: reversible\n    expected: 1m\n    verify: []\n    \
             steps:\n    - {step}\n"
        );
        let config: ActionsConfig = serde_saphyr::from_str(&yaml).unwrap_or_else(|fault| panic!("{fault}\n{yaml}"));
        let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted}: {faults:?}");
    }
}

/// A1, P1, P3, P7 · two regions under one approval, and both back again, in both languages.
#[tokio::test]
async fn two_regions_go_back_under_one_approval() {
    for (locale, title) in [
        ("en", "Take web (shop, eu-west-3) from web:10 to web:9"),
        ("fr", "Faire passer web (shop, eu-west-3) de web:10 à web:9"),
    ] {
        let regions = ["eu-west-3", "eu-central-1"];
        let paris = Desk::open(Ecs::new(regions[0])).await;
        let frankfurt = Desk::open(Ecs::new(regions[1])).await;
        let steps: String = [(&paris, regions[0]), (&frankfurt, regions[1])]
            .map(|(desk, region)| format!("- within: 20s\n  {}\n", step(desk, region, "back: {}", runbook::TOKEN)))
            .concat();
        let runbook = Runbook::open(locale, "command: { argv: [\"true\"] }", &steps).await;
        let (channel, card) = runbook.planned().await;
        for text in [title, regions[0], regions[1], "registry.example.com/web:9"] {
            assert!(shown(&card).contains(text), "{text} is not in {}", shown(&card));
        }
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!((runs(&paris), runs(&frankfurt)), ("web:9".to_owned(), "web:9".to_owned()));
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains("web:9") && timeline.contains(regions[1]), "{timeline}");

        runbook.world.types("U0ONCALL", &channel, "undo run_1_1").await;
        let back = runbook.world.message(&channel, "approve run_1_2");
        runbook.world.clicks("U0LEAD", &channel, &ts(&back), "approve").await;
        assert_eq!((runs(&paris), runs(&frankfurt)), ("web:10".to_owned(), "web:10".to_owned()));
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}
