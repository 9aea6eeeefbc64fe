//! Checks that hang for ever beside checks that answer.

use crate::actions::toy::{Shop, actions, refused_address, silent_address};
use crate::incident::approval::Verdict;
use crate::incident::time::Millis;

fn yaml(shop: &str, refused: &str, silent: &str) -> String {
    format!(
        r#"
limits: {{ diagnose_within: 600ms, why_within: 600ms }}
services:
  shop:
    - {{ key: health, title: Health, http: {{ url: "{shop}/health" }} }}
    - {{ key: silent, title: Partner, within: 10m, http: {{ url: "{silent}" }} }}
    - {{ key: stuck, title: Smoke test, within: 10m, command: {{ argv: [sleep, "600"] }} }}
    - {{ key: impatient, title: Impatient, within: 50ms, http: {{ url: "{silent}" }} }}
    - {{ key: gone, title: Database, tcp: {{ address: "{refused}" }} }}
"#
    )
}

#[tokio::test]
async fn whatever_hangs_the_round_ends_in_time_and_says_who_hung() {
    let shop = Shop::open().await;
    let refused = refused_address().await;
    let refused = refused.trim_start_matches("http://").trim_end_matches('/');
    let (silent, _listener) = silent_address().await;
    let actions = actions(&yaml(&shop.url, refused, &silent));
    let results = actions.diagnose("shop").await;
    let seen: Vec<(&str, Verdict)> = results.iter().map(|result| (result.check.as_str(), result.verdict)).collect();
    let hung = Verdict::Hung;
    assert_eq!(
        seen,
        [("silent", hung), ("stuck", hung), ("impatient", hung), ("gone", Verdict::Fail), ("health", Verdict::Pass)]
    );
    assert!(results.iter().all(|result| result.took < Millis::seconds(5)), "{results:?}");
    // Whether a check or the round notices first depends on how busy the machine is.
    let hung = |value: &crate::incident::words::Words| value.starts_with("no answer in") || *value == "did not end";
    assert!(results.iter().take(3).all(|result| hung(&result.value)), "{results:?}");
}

/// H7 · as it is shipped, with one check of every kind, none of which would ever end by itself.
#[tokio::test]
async fn within_fifteen_seconds_everything_that_hangs_is_said_to_hang() {
    let (silent, _listener) = silent_address().await;
    let base = silent.trim_end_matches('/');
    let port = base.rsplit(':').next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("shop.git").display().to_string();
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    let limits = "limits: { fail_above: 1 }";
    let yaml = format!(
        "databases: {{ shop: {{ host: 127.0.0.1, port: {port}, name: shop, user: vigie }} }}\nservices:\n  shop:\n    \
         - {{ key: http, within: 10m, http: {{ url: \"{silent}\" }} }}\n    \
         - {{ key: metrics, within: 10m, metrics: {{ url: \"{silent}\", metric: {{ name: orders }}, {limits} }} }}\n    \
         - {{ key: prometheus, within: 10m, prometheus: {{ url: \"{base}\", query: up, {limits} }} }}\n    \
         - {{ key: command, within: 10m, command: {{ argv: [sh, -c, \"{stubborn}\"] }} }}\n    \
         - {{ key: log, within: 10m, log: {{ command: {{ argv: [sh, -c, \"{stubborn}\"] }}, filter: E, {limits} }} }}\n    \
         - {{ key: sql, within: 10m, sql: {{ database: shop, query: SELECT 1, {limits} }} }}\n    \
         - {{ key: git, within: 10m, git: {{ repository: \"git://127.0.0.1:{port}/shop.git\", mirror: \"{mirror}\", branch: main }} }}\n    \
         - {{ key: vercel, within: 10m, vercel: {{ token: t, domain: shop.example.com, base_url: \"{base}\", filter: E, {limits} }} }}\n"
    );
    let actions = actions(&yaml);
    assert_eq!(actions.inner.config.limits.diagnose_within, Millis::seconds(15), "as it is shipped");
    let began = std::time::Instant::now();
    let results = actions.diagnose("shop").await;
    let took = began.elapsed();
    assert_eq!(results.len(), 8);
    assert!(results.iter().all(|result| result.verdict == Verdict::Hung), "{results:#?}");
    // A busy machine needs a moment to notice.
    assert!((13_000..30_000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_service_nobody_knows_has_no_results() {
    assert_eq!(actions("services: {}").diagnose("shop").await, []);
}
