//! One request to a real server, with and without a probe.

use super::*;
use crate::actions::toy::{Manner, Shop, plain, plainly, world};
use crate::incident::time::Instant;
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(60);

fn call(shop: &Shop, probe: bool) -> HttpCall {
    let mut config = json!({
        "target": "maintenance page",
        "to": "on",
        "method": "PUT",
        "url": format!("{}/version", shop.url),
        "body": {"version": "{{to}}"},
        "fields": [{"field": "/ok", "equals": true}],
    });
    if probe {
        config["probe"] =
            json!({"url": format!("{}/version", shop.url), "field": "/current", "equals": "on", "settle": "200ms"});
    }
    serde_json::from_value(config).unwrap()
}

fn context(world: &World) -> StepContext<'_> {
    let run = "run_7_1".parse().unwrap();
    StepContext {
        world,
        run,
        asked_at: Instant(0),
        step: 1,
        fence: 42,
        attempt: 42,
        begun: false,
        within: WITHIN,
        progress: &|_| {},
        in_use: &crate::actions::toy::NothingElse,
    }
}

async fn planned(call: &HttpCall) -> Result<PlannedStep, PlanFault> {
    call.plan(&PlanContext { world: &world(), within: WITHIN, wanted: None, earlier: &[], done_by: None }).await
}

#[tokio::test]
async fn a_call_counts_as_destructive_until_somebody_says_otherwise() {
    let shop = Shop::open().await;
    let step = planned(&call(&shop, false)).await.unwrap();
    assert_eq!((step.risk, step.from, step.to.as_str()), (Risk::Destructive, None, "on"));
    assert_eq!(step.diff, [format!("PUT {}/version {{\"version\":\"on\"}}", shop.url)]);
}

#[tokio::test]
async fn a_call_with_a_probe_knows_where_it_stands_and_when_it_is_done() {
    let shop = Shop::open().await;
    let call = call(&shop, true);
    let step = planned(&call).await.unwrap();
    assert_eq!(step.from.as_deref(), Some("1.3.0"));
    let world = world();
    let cx = context(&world);
    assert_eq!(plain(call.execute(&step, &cx).await), StepResult::done("maintenance page: on".into()));
    assert_eq!(shop.with(|shop| shop.sets[0].0["idempotency-key"].clone()), "run_7_1-step-2-0");
    assert_eq!(plain(call.execute(&step, &cx).await), StepResult::done("maintenance page already was so: on".into()));
    assert_eq!(shop.with(|shop| shop.sets.len()), 1);
    assert_eq!(planned(&call).await.unwrap_err().words(), "maintenance page is already at on.");
}

#[tokio::test]
async fn a_call_whose_probe_shows_something_else_than_planned_is_stale() {
    let shop = Shop::open().await;
    let call = call(&shop, true);
    let step = planned(&call).await.unwrap();
    shop.with(|shop| shop.current = "half".into());
    let result = call.execute(&step, &context(&world())).await;
    assert_eq!(plain(result), StepResult::stale("maintenance page is at half".into()));
    assert_eq!(shop.with(|shop| shop.sets.len()), 0);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_probe_and_by_nobody_without_one() {
    for (probe, manner, wanted) in [
        (true, Manner::LosesAnswer, Happened::Yes { note: "maintenance page is at on".into(), live: None }),
        (true, Manner::SwitchesAndSays(303), Happened::Yes { note: "maintenance page is at on".into(), live: None }),
        (true, Manner::SwitchesAndSays(503), Happened::Yes { note: "maintenance page is at on".into(), live: None }),
        (true, Manner::Lies, Happened::No { note: "maintenance page still is at 1.3.0".into() }),
        (true, Manner::LosesRequest, Happened::No { note: "maintenance page still is at 1.3.0".into() }),
        (
            false,
            Manner::LosesAnswer,
            Happened::CannotTell {
                why: "maintenance page has no probe that could tell whether the request was carried out".into(),
            },
        ),
    ] {
        let shop = Shop::open().await;
        let call = call(&shop, probe);
        let step = planned(&call).await.unwrap();
        shop.behaves(manner);
        let world = world();
        let cx = context(&world);
        assert!(matches!(call.execute(&step, &cx).await, StepResult::Unknown { .. }), "{manner:?}");
        assert_eq!(plainly(call.check(&step, &cx).await), wanted);
        assert_eq!(shop.with(|shop| shop.sets.len()), 1);
    }
}

#[tokio::test]
async fn a_yes_that_comes_true_after_its_time_is_found_by_the_probe() {
    let shop = Shop::open().await;
    let mut call = call(&shop, true);
    let step = planned(&call).await.unwrap();
    let world = world();
    shop.behaves(Manner::Lies);
    assert!(matches!(call.execute(&step, &context(&world)).await, StepResult::Unknown { .. }));
    shop.switches_at_look("on", 2);
    call.probe.as_mut().unwrap().settle = Some(Millis::seconds(60));
    let found = plainly(call.check(&step, &context(&world)).await);
    assert_eq!(found, Happened::Yes { note: "maintenance page is at on".into(), live: None });
    assert_eq!(shop.with(|shop| shop.sets.len()), 1);
}

#[tokio::test]
async fn a_yes_whose_fields_say_no_is_a_failure() {
    let shop = Shop::open().await;
    let mut call = call(&shop, false);
    call.fields = vec![serde_json::from_value(json!({"field": "/ok", "equals": "later"})).unwrap()];
    let step = planned(&call).await.unwrap();
    let result = call.execute(&step, &context(&world())).await;
    assert_eq!(plain(result), StepResult::failed("maintenance page said yes, but /ok is true, not later".into()));
}

#[tokio::test]
async fn a_clear_no_is_a_failure_and_a_broken_server_is_unknown() {
    let shop = Shop::open().await;
    let call = call(&shop, false);
    let step = planned(&call).await.unwrap();
    shop.behaves(Manner::Forbids);
    let forbidden = call.execute(&step, &context(&world())).await;
    assert_eq!(
        plain(forbidden),
        StepResult::failed("maintenance page answered 403: {\"error\":\"read-only key\"}".into())
    );
    shop.behaves(Manner::Breaks);
    let broken = call.execute(&step, &context(&world())).await;
    assert_eq!(plain(broken), StepResult::unknown("maintenance page answered 500: <h1>oops</h1>".into()));
}

#[tokio::test]
async fn only_the_statuses_that_are_named_mean_yes() {
    for (manner, wanted) in [
        (Manner::SwitchesAndSays(418), StepResult::done("maintenance page answered 418".into())),
        (Manner::Good, StepResult::failed("maintenance page answered 200: {\"ok\":true}".into())),
    ] {
        let shop = Shop::open().await;
        let mut call = call(&shop, false);
        (call.expect, call.fields) = (vec![418], Vec::new());
        let step = planned(&call).await.unwrap();
        shop.behaves(manner);
        assert_eq!(plain(call.execute(&step, &context(&world())).await), wanted);
    }
}
