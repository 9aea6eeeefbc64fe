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

#[tokio::test]
async fn a_service_nobody_knows_has_no_results() {
    assert_eq!(actions("services: {}").diagnose("shop").await, []);
}
