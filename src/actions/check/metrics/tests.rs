//! A real metrics page that changes between two readings.

use super::*;
use crate::actions::toy::world;
use crate::english::english;
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Serves the pages one after another, the last one for ever.
async fn page(pages: &[&str]) -> String {
    let pages: Vec<String> = pages.iter().rev().map(|page| (*page).to_owned()).collect();
    let pages = Arc::new(Mutex::new(pages));
    let next = move || {
        let mut pages = pages.lock().unwrap();
        let page = if pages.len() > 1 { pages.pop() } else { pages.last().cloned() };
        async move { page.unwrap() }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let routes = Router::new().route("/metrics", get(next));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

async fn seen(url: &str, more: Value) -> Seen {
    let mut config = json!({
        "url": url,
        "metric": {"name": "requests_total", "labels": {"code": "~5.."}},
        "per": {"name": "requests_total"},
        "limits": {"fail_above": 0.05, "percent": true},
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    let check: MetricsCheck = serde_json::from_value(config).unwrap();
    check.look(&world(), Duration::from_secs(5)).await
}

const BAD_MORNING: &str = "requests_total{code=\"200\"} 600\nrequests_total{code=\"500\"} 400\n";
const GOOD_NOW: &str = "requests_total{code=\"200\"} 700\nrequests_total{code=\"500\"} 401\n";

#[tokio::test]
async fn a_ratio_is_held_against_its_limit() {
    let seen = seen(&page(&[BAD_MORNING]).await, json!({})).await;
    assert_eq!(
        (seen.verdict, english(&seen.value).as_str(), seen.limit.as_ref().map(english).as_deref()),
        (Verdict::Fail, "40 %", Some("≤ 5 %"))
    );
}

#[tokio::test]
async fn with_a_span_only_what_happened_in_it_counts() {
    let url = page(&[BAD_MORNING, GOOD_NOW]).await;
    let seen = seen(&url, json!({"over": "100ms"})).await;
    assert_eq!((seen.verdict, english(&seen.value).as_str()), (Verdict::Pass, "0.99 %"));
}

#[tokio::test]
async fn a_restarted_counter_counts_from_nothing_and_a_quiet_one_is_worth_a_look() {
    let restarted = "requests_total{code=\"200\"} 3\nrequests_total{code=\"500\"} 1\n";
    let url = page(&[BAD_MORNING, restarted]).await;
    assert_eq!(seen(&url, json!({"over": "100ms"})).await.value, "25 %");
    let quiet = seen(&page(&[BAD_MORNING]).await, json!({"over": "100ms"})).await;
    assert_eq!((quiet.verdict, english(&quiet.value).as_str()), (Verdict::Warn, "requests_total counted nothing"));
}

#[tokio::test]
async fn a_metric_that_is_not_there_never_passes_for_a_good_one() {
    let url = page(&["other 1\n"]).await;
    let gone = seen(&url, json!({"per": null, "limits": {"fail_above": 1}})).await;
    assert_eq!(
        (gone.verdict, english(&gone.value).as_str()),
        (Verdict::Warn, "requests_total is not on the metrics page")
    );
    let html = seen(&page(&["<html>\n"]).await, json!({})).await;
    assert_eq!((html.verdict, html.value), (Verdict::Fail, Words::new("look.metrics_garbled").with("line", 1)));
}

#[tokio::test]
async fn a_ratio_of_a_metric_that_nobody_knows_is_worth_a_look_and_one_that_counted_nothing_passes() {
    let misspelt = json!({"metric": {"name": "request_total", "labels": {"code": "~5.."}}});
    let mut spanning = misspelt.clone();
    spanning["over"] = "100ms".into();
    for more in [misspelt, spanning] {
        let gone = seen(&page(&[BAD_MORNING, GOOD_NOW]).await, more).await;
        assert_eq!(
            (gone.verdict, english(&gone.value).as_str()),
            (Verdict::Warn, "request_total is not on the metrics page")
        );
    }
    let all_well = "requests_total{code=\"200\"} 600\n";
    assert_eq!(seen(&page(&[all_well]).await, json!({})).await.verdict, Verdict::Pass);
    let declared = format!("# TYPE failures_total counter\n{all_well}");
    let failures = json!({"metric": {"name": "failures_total"}});
    assert_eq!(seen(&page(&[&declared]).await, failures.clone()).await.verdict, Verdict::Pass);
    assert_eq!(seen(&page(&[all_well]).await, failures).await.verdict, Verdict::Warn);
}
