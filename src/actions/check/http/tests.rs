//! Real answers: good, wrong, slow, none.

use super::*;
use crate::actions::toy::{Shop, refused_address, silent_address, world};
use crate::english::english;
use serde_json::{Value, json};
use std::time::Duration;

fn check(url: &str, more: Value) -> HttpCheck {
    let mut config = json!({"url": url});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

async fn seen(check: &HttpCheck) -> Seen {
    check.look(&world(), Duration::from_secs(5)).await
}

#[tokio::test]
async fn a_healthy_answer_passes_with_its_status_and_its_time() {
    let shop = Shop::open().await;
    let check = check(&format!("{}/health", shop.url), json!({"fields": [{"field": "/status", "equals": "ok"}]}));
    let seen = seen(&check).await;
    assert_eq!(seen.verdict, Verdict::Pass);
    assert!(seen.value.starts_with("200 in ") && seen.value.ends_with("ms"), "{seen:?}");
}

#[tokio::test]
async fn a_wrong_status_or_field_fails_and_says_what_was_wanted() {
    let shop = Shop::open().await;
    shop.with(|shop| shop.health = vec![(503, json!({})), (200, json!({"status": "degraded"}))]);
    let check = check(&format!("{}/health", shop.url), json!({"fields": [{"field": "/status", "equals": "ok"}]}));
    let first = seen(&check).await;
    assert_eq!((first.verdict, first.limit.as_ref().map(english).as_deref()), (Verdict::Fail, Some("200")));
    assert!(first.value.starts_with("503 in "), "{first:?}");
    let second = seen(&check).await;
    assert_eq!(second.verdict, Verdict::Fail);
    assert!(second.value.ends_with(", /status is degraded, not ok"), "{second:?}");
}

#[tokio::test]
async fn an_answer_too_long_to_be_read_whole_is_said_to_be_that() {
    let shop = Shop::open().await;
    shop.with(|shop| shop.health = vec![(200, json!({"filling": "x".repeat(2 * 1024 * 1024), "status": "ok"}))]);
    let check = check(&format!("{}/health", shop.url), json!({"fields": [{"field": "/status", "equals": "ok"}]}));
    let seen = seen(&check).await;
    assert_eq!(seen.verdict, Verdict::Fail);
    assert!(english(&seen.value).contains("longer than 1024 KiB"), "{seen:?}");
}

#[test]
fn a_slow_answer_is_worth_a_look_and_a_very_slow_one_is_bad() {
    let check = check("http://shop.example.com", json!({"warn_after": "200ms", "fail_after": "2s"}));
    let verdicts = [150, 900, 2_400].map(|ms| {
        let seen = check.judged_by_latency("200".into(), Millis(ms));
        assert_eq!(seen.limit.as_ref().map(english).as_deref(), Some("≤ 2 s"));
        seen.verdict
    });
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Warn, Verdict::Fail]);
}

#[tokio::test]
async fn nobody_there_fails_and_nobody_answering_hangs() {
    let refused = seen(&check(&refused_address().await, json!({}))).await;
    assert_eq!(refused.verdict, Verdict::Fail);
    assert!(refused.value.contains("refused"), "{refused:?}");
    let (url, _listener) = silent_address().await;
    let silent = check(&url, json!({})).look(&world(), Duration::from_millis(100)).await;
    assert_eq!(silent, Seen::hung(Words::new("reason.no_answer")));
}
