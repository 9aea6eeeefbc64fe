//! A real shop with a version switch that misbehaves in every way that matters.

use super::*;
use crate::actions::toy::{Manner, Shop, plain, plainly, refused_address, world, world_with};
use crate::incident::time::Instant;
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(60);

fn switch(shop: &Shop) -> HttpSwitch {
    switch_at(&shop.url, json!({}))
}

fn switch_at(url: &str, more: Value) -> HttpSwitch {
    let mut config = json!({
        "target": "shop version",
        "read": {"url": format!("{url}/version"), "current": "/current", "previous": "/previous"},
        "set": {
            "url": format!("{url}/version"),
            "headers": {"Authorization": "Bearer sh0p-admin-key"},
            "body": {"version": "{{to}}", "expected": "{{from}}"},
        },
        "settle": "500ms",
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

async fn plan_in(switch: &HttpSwitch, world: &World) -> Result<PlannedStep, PlanFault> {
    switch.plan(&PlanContext { world, within: WITHIN, wanted: None, earlier: &[], done_by: None }).await
}

async fn planned(switch: &HttpSwitch) -> Result<PlannedStep, PlanFault> {
    plan_in(switch, &world()).await
}

fn context(world: &World) -> StepContext<'_> {
    let run = "run_7_1".parse().unwrap();
    StepContext {
        world,
        run,
        asked_at: Instant(0),
        step: 0,
        fence: 42,
        attempt: 42,
        begun: false,
        within: WITHIN,
        progress: &|_| {},
        in_use: &crate::actions::toy::NothingElse,
    }
}

async fn executed(switch: &HttpSwitch, step: &PlannedStep) -> StepResult {
    plain(switch.execute(step, &context(&world())).await)
}

async fn looked(switch: &HttpSwitch, step: &PlannedStep) -> Happened {
    plainly(switch.check(step, &context(&world())).await)
}

#[tokio::test]
async fn the_plan_says_exactly_what_will_be_sent_and_holds_no_secret() {
    let shop = Shop::open().await;
    let step = planned(&switch(&shop)).await.unwrap();
    assert_eq!(step.title, "Switch shop version from 1.3.0 to 1.2.3");
    assert_eq!((step.from.as_deref(), step.to.as_str(), step.risk), (Some("1.3.0"), "1.2.3", Risk::Reversible));
    let request = format!("PUT {}/version {{\"expected\":\"1.3.0\",\"version\":\"1.2.3\"}}", shop.url);
    assert_eq!(step.diff, ["shop version: 1.3.0 → 1.2.3".to_owned(), request]);
    assert!(!serde_json::to_string(&step).unwrap().contains("sh0p-admin-key"));
    assert_eq!(shop.with(|shop| shop.sets.len()), 0);
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anybody_is_asked() {
    let shop = Shop::open().await;
    shop.with(|shop| shop.previous = None);
    let fault = planned(&switch(&shop)).await.unwrap_err();
    assert_eq!(fault.words(), "There is nothing to go back to: shop version has no version before 1.3.0.");
    shop.with(|shop| shop.previous = Some("1.3.0".into()));
    assert_eq!(planned(&switch(&shop)).await.unwrap_err().words(), "shop version is already at 1.3.0.");
}

#[tokio::test]
async fn a_system_that_cannot_be_read_is_refused_with_what_it_said() {
    let shop = Shop::open().await;
    let cases = [
        (200, "<html>maintenance</html>", "the answer is not JSON"),
        (500, "stack trace with sh0p-admin-key", "it answered 500: stack trace with [redacted]"),
        (200, "{\"current\": null}", "the answer does not say where it stands (/current is missing)"),
    ];
    for (status, body, why) in cases {
        shop.with(|shop| shop.reading = Some((status, body.to_owned())));
        let fault = plan_in(&switch(&shop), &world_with(&["Bearer sh0p-admin-key"])).await.unwrap_err();
        let PlanFault::Unreadable { target, why: found } = fault else { panic!("{fault}") };
        assert_eq!(target, "shop version");
        assert_eq!(found, why);
    }
    let gone = switch_at(refused_address().await.trim_end_matches('/'), json!({}));
    assert!(matches!(planned(&gone).await, Err(PlanFault::Unreadable { why, .. }) if why.contains("refused")));
}

#[tokio::test]
async fn of_a_list_the_newest_good_one_after_the_current_is_chosen_and_shown_by_name() {
    let shop = Shop::open().await;
    shop.with(|shop| shop.current = "d3".into());
    let read = json!({
        "url": format!("{}/version", shop.url),
        "current": "/current",
        "choices": {
            "list": "/history", "value": "/id", "label": "/version",
            "only": [{"field": "/state", "equals": "READY"}],
        },
    });
    let step = planned(&switch_at(&shop.url, json!({"read": read}))).await.unwrap();
    assert_eq!((step.from.as_deref(), step.to.as_str()), (Some("d3"), "1.2.3 (d1)"));
    assert_eq!(step.spec["request"]["body"]["version"], "d1");
    shop.with(|shop| shop.current = "d1".into());
    let fault = planned(&switch_at(&shop.url, json!({"read": read}))).await.unwrap_err();
    let PlanFault::NothingToGoBackTo(why) = fault else { panic!("{fault}") };
    assert_eq!(why, "shop version has no other version to choose than d1");
}

#[tokio::test]
async fn a_person_chooses_by_value_or_by_a_name_that_only_one_has() {
    let shop = Shop::open().await;
    shop.with(|shop| shop.current = "d3".into());
    let read = |pick: &str| {
        json!({
            "url": format!("{}/version", shop.url),
            "current": "/current",
            "choices": {"list": "/history", "value": "/id", "label": "/version", "pick": pick},
        })
    };
    let (must, may) = (json!({"read": read("ask")}), json!({"read": read("after_current")}));
    let (must, may) = (switch_at(&shop.url, must), switch_at(&shop.url, may));
    assert_eq!((must.choosing(), may.choosing()), (Choosing::Must, Choosing::May));
    assert_eq!(switch(&shop).choosing(), Choosing::Nothing);
    let world = world();
    let context = |wanted| PlanContext { world: &world, within: WITHIN, wanted, earlier: &[], done_by: None };
    let choices = must.choices(&context(None)).await.unwrap();
    let shown: Vec<(&str, String)> = choices.iter().map(|one| (one.value.as_str(), one.label.to_string())).collect();
    assert_eq!(shown, [("d2", "1.2.9 (d2)".to_owned()), ("d1", "1.2.3 (d1)".to_owned())]);
    for (switch, wanted, to) in [(&must, "d1", "d1"), (&must, "1.2.9", "d2"), (&may, "1.2.3", "d1")] {
        let step = switch.plan(&context(Some(wanted))).await.unwrap();
        assert_eq!(step.spec["to"], to, "{wanted}");
    }
    for wanted in ["d3", "d9"] {
        let fault = must.plan(&context(Some(wanted))).await.unwrap_err();
        assert!(matches!(fault, PlanFault::Refused { .. }), "{fault}");
    }
}

#[tokio::test]
async fn switching_sends_one_request_with_the_runs_key_and_believes_only_what_it_reads() {
    let shop = Shop::open().await;
    let switch = switch(&shop);
    let step = planned(&switch).await.unwrap();
    assert_eq!(executed(&switch, &step).await, StepResult::done("shop version is at 1.2.3".into()));
    let sets = shop.with(|shop| std::mem::take(&mut shop.sets));
    let [(headers, body)] = sets.as_slice() else { panic!("{sets:?}") };
    assert_eq!(headers["idempotency-key"], "run_7_1-step-1-0");
    assert_eq!(headers["vigie-fence"], "42");
    assert_eq!(headers["authorization"], "Bearer sh0p-admin-key");
    assert_eq!(*body, json!({"version": "1.2.3", "expected": "1.3.0"}));
    assert_eq!(executed(&switch, &step).await, StepResult::done("shop version already was at 1.2.3".into()));
    assert_eq!(shop.with(|shop| shop.sets.len()), 0);
}

#[tokio::test]
async fn a_world_that_moved_since_the_plan_is_left_alone() {
    let shop = Shop::open().await;
    let switch = switch(&shop);
    let step = planned(&switch).await.unwrap();
    shop.with(|shop| shop.current = "1.3.1".into());
    assert_eq!(executed(&switch, &step).await, StepResult::stale("shop version is at 1.3.1".into()));
    assert_eq!(shop.with(|shop| shop.sets.len()), 0);
}

#[tokio::test]
async fn a_configuration_that_would_send_something_else_than_approved_sends_nothing() {
    let shop = Shop::open().await;
    let step = planned(&switch(&shop)).await.unwrap();
    let mut edited = switch(&shop);
    edited.set.body = Some(json!({"version": "0.0.1"}));
    assert_eq!(executed(&edited, &step).await, plain(StepResult::stale(reconfigured())));
    assert_eq!(shop.with(|shop| shop.sets.len()), 0);
}

/// A result in one line.
fn said(result: StepResult) -> String {
    match result {
        StepResult::Done { note, .. } => format!("Done: {note}"),
        StepResult::Stale { found } => format!("Stale: {found}"),
        StepResult::Failed { why, .. } => format!("Failed: {why}"),
        StepResult::Unknown { why, .. } => format!("Unknown: {why}"),
    }
}

#[tokio::test]
async fn each_way_of_misbehaving_gives_its_own_result() {
    let lost = "Unknown: the answer of shop version was lost";
    let cases = [
        (Manner::Lies, "Unknown: shop version said yes, but it still is at 1.3.0 after 500 ms"),
        (Manner::SwitchesAndSays(303), "Unknown: shop version answered 303: elsewhere"),
        (Manner::SwitchesAndSays(503), "Unknown: shop version answered 503: elsewhere"),
        (Manner::Forbids, "Failed: shop version answered 403: {\"error\":\"read-only key\"}"),
        (Manner::Breaks, "Unknown: shop version answered 500: <h1>oops</h1>"),
        (
            Manner::Conflicts,
            "Stale: shop version is at 1.4.0 (shop version answered 409: {\"error\":\"version changed\"})",
        ),
        (Manner::LosesAnswer, lost),
        (Manner::LosesRequest, lost),
    ];
    for (manner, wanted) in cases {
        let shop = Shop::open().await;
        let switch = switch(&shop);
        let step = planned(&switch).await.unwrap();
        shop.behaves(manner);
        let said = said(executed(&switch, &step).await);
        assert!(said.starts_with(wanted), "{manner:?}: {said}");
        assert_eq!(shop.with(|shop| shop.sets.len()), 1, "{manner:?}");
    }
}

#[tokio::test]
async fn a_look_after_a_lost_answer_tells_whether_it_happened() {
    let cases = [
        (Manner::LosesAnswer, Happened::Yes { note: "shop version is at 1.2.3".into(), live: None }),
        (Manner::LosesRequest, Happened::No { note: "shop version still is at 1.3.0".into() }),
        (Manner::SwitchesAndSays(503), Happened::Yes { note: "shop version is at 1.2.3".into(), live: None }),
        (Manner::SwitchesAndSays(302), Happened::Yes { note: "shop version is at 1.2.3".into(), live: None }),
    ];
    for (manner, wanted) in cases {
        let shop = Shop::open().await;
        let switch = switch(&shop);
        let step = planned(&switch).await.unwrap();
        shop.behaves(manner);
        assert!(matches!(executed(&switch, &step).await, StepResult::Unknown { .. }), "{manner:?}");
        assert_eq!(looked(&switch, &step).await, wanted, "{manner:?}");
        assert_eq!(shop.with(|shop| shop.sets.len()), 1, "looking must not switch");
    }
}

#[tokio::test]
async fn what_comes_true_a_little_later_is_waited_for() {
    let there = || Happened::Yes { note: "shop version is at 1.2.3".into(), live: None };
    let patient = |shop: &Shop| switch_at(&shop.url, json!({"settle": "60s"}));

    let shop = Shop::open().await;
    let switch = patient(&shop);
    let step = planned(&switch).await.unwrap();
    shop.behaves(Manner::Slow(3));
    assert_eq!(said(executed(&switch, &step).await), "Done: shop version is at 1.2.3");

    let shop = Shop::open().await;
    let switch = patient(&shop);
    let step = planned(&switch).await.unwrap();
    shop.behaves(Manner::LosesAnswerAndIsSlow(3));
    assert!(matches!(executed(&switch, &step).await, StepResult::Unknown { .. }));
    assert_eq!(looked(&switch, &step).await, there());

    // Its yes came, and what it promised only after the time that it may take.
    let shop = Shop::open().await;
    let switch = patient(&shop);
    let step = planned(&switch).await.unwrap();
    shop.behaves(Manner::Lies);
    let hasty = switch_at(&shop.url, json!({}));
    assert!(matches!(executed(&hasty, &step).await, StepResult::Unknown { .. }));
    shop.switches_at_look("1.2.3", 3);
    assert_eq!(looked(&switch, &step).await, there());
    assert_eq!(shop.with(|shop| shop.sets.len()), 1, "looking must not switch");
}

#[tokio::test]
async fn a_look_that_finds_a_third_version_or_nothing_leaves_it_to_a_person() {
    let shop = Shop::open().await;
    let switch = switch(&shop);
    let step = planned(&switch).await.unwrap();
    shop.with(|shop| shop.current = "1.5.0".into());
    let why = "shop version is at 1.5.0, neither where it was nor where it should be".into();
    assert_eq!(looked(&switch, &step).await, Happened::CannotTell { why });
    shop.with(|shop| shop.reading = Some((503, "busy".into())));
    let why = "shop version could not be read: it answered 503: busy".into();
    assert_eq!(looked(&switch, &step).await, Happened::CannotTell { why });
}

#[tokio::test]
async fn a_request_that_hangs_ends_at_the_steps_deadline_as_unknown() {
    let shop = Shop::open().await;
    let switch = switch(&shop);
    let step = planned(&switch).await.unwrap();
    shop.behaves(Manner::Hangs);
    let world = world();
    let cx = StepContext { within: Duration::from_secs(2), ..context(&world) };
    let wanted = StepResult::unknown("the answer of shop version was lost: no answer in time".into());
    assert_eq!(plain(switch.execute(&step, &cx).await), wanted);
}

#[tokio::test]
async fn only_the_statuses_that_are_named_mean_yes_or_that_somebody_else_was_first() {
    for (more, manner, wanted) in [
        (json!({"expect": [418]}), Manner::SwitchesAndSays(418), "Done: shop version is at 1.2.3"),
        (json!({"expect": [418]}), Manner::Good, "Failed: shop version answered 200: {\"ok\":true}"),
        (json!({"conflict": [418]}), Manner::SwitchesAndSays(418), "Done: shop version already was at 1.2.3"),
        (
            json!({"conflict": [418]}),
            Manner::Conflicts,
            "Failed: shop version answered 409: {\"error\":\"version changed\"}",
        ),
    ] {
        let shop = Shop::open().await;
        let mut set = json!({"url": format!("{}/version", shop.url), "body": {"version": "{{to}}"}});
        for (name, value) in more.as_object().unwrap() {
            set[name] = value.clone();
        }
        let switch = switch_at(&shop.url, json!({"set": set}));
        let step = planned(&switch).await.unwrap();
        shop.behaves(manner);
        let said = said(executed(&switch, &step).await);
        assert_eq!(said, wanted, "{more} {manner:?}");
    }
}
