//! Promises of the toy shop, each asked over real HTTP.

use serde_json::{Value, json};

use super::Shop;

const NOW: i64 = 1_795_160_000_000;

async fn shop() -> Shop {
    rustls::crypto::ring::default_provider().install_default().ok();
    Shop::start(|| NOW).await.expect("the shop opens")
}

async fn get(shop: &Shop, path: &str) -> (u16, String) {
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .get(format!("{}{path}", shop.url()))
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

async fn get_json(shop: &Shop, path: &str) -> (u16, Value) {
    let (status, text) = get(shop, path).await;
    (status, serde_json::from_str(&text).expect("JSON"))
}

async fn put_switch(shop: &Shop, to: &str, expected: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client
        .put(format!("{}/switch", shop.url()))
        .json(&json!({"to": to, "expected": expected}))
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn the_new_version_serves_and_sells_when_the_shop_opens() {
    let shop = shop().await;
    assert_eq!(shop.buy().await.expect("an answer"), 200);
    let health = json!({"status": "ok", "version": "1.3.0", "checks": {"catalogue": "ok", "payments": "ok"}});
    assert_eq!(get_json(&shop, "/health").await, (200, health));
    let state = shop.state();
    assert_eq!((state.status, state.requests, state.errors, state.recent.len()), ("ok", 2, 0, 1));
}

#[tokio::test]
async fn a_broken_shop_refuses_payments_and_says_so_in_its_health() {
    let shop = shop().await;
    shop.break_it();
    assert_eq!(shop.buy().await.expect("an answer"), 500);
    let (status, health) = get_json(&shop, "/health").await;
    assert_eq!((status, &health["status"]), (503, &json!("failing")));
    assert_eq!((shop.state().status, shop.state().errors), ("failing", 2));
}

#[tokio::test]
async fn going_back_to_the_old_version_lets_customers_pay_again() {
    let shop = shop().await;
    shop.break_it();
    let (status, switch) = put_switch(&shop, "v1", "v2").await;
    let expected = json!({
        "active": "v1", "previous": "v2", "changed_at_ms": NOW,
        "versions": [{"name": "v1", "label": "1.2.3", "healthy": true}, {"name": "v2", "label": "1.3.0", "healthy": false}],
    });
    assert_eq!((status, switch), (200, expected));
    assert_eq!(shop.buy().await.expect("an answer"), 200);
    assert_eq!(shop.state().recent[0].version, "1.2.3");
}

#[tokio::test]
async fn a_switch_that_moved_meanwhile_is_a_conflict_and_stays_where_it_is() {
    let shop = shop().await;
    let (status, switch) = put_switch(&shop, "v2", "v1").await;
    assert_eq!((status, &switch["active"]), (409, &json!("v2")));
    assert_eq!(put_switch(&shop, "v9", "v2").await.0, 422);
    assert_eq!(get_json(&shop, "/switch").await.1["active"], "v2");
}

#[tokio::test]
async fn breaking_it_again_ships_the_bad_version_again() {
    let shop = shop().await;
    put_switch(&shop, "v1", "v2").await;
    shop.break_it();
    let state = shop.state();
    assert_eq!((state.status, state.switch.active.as_str(), state.switch.previous.as_str()), ("failing", "v2", "v1"));
    shop.mend();
    assert_eq!((shop.state().status, shop.buy().await.expect("an answer")), ("ok", 200));
}

#[tokio::test]
async fn the_metrics_are_the_requests_that_really_came() {
    let shop = shop().await;
    shop.buy().await.expect("an answer");
    shop.break_it();
    shop.buy().await.expect("an answer");
    let (_, text) = get(&shop, "/metrics").await;
    for line in [
        "shop_requests_total{version=\"1.3.0\",path=\"/checkout\",code=\"200\"} 1",
        "shop_requests_total{version=\"1.3.0\",path=\"/checkout\",code=\"500\"} 1",
        "shop_errors_total{version=\"1.3.0\"} 1",
        "shop_request_duration_seconds_count{version=\"1.3.0\"} 2",
        "shop_recent_error_ratio 0.500",
        "shop_version_info{version=\"1.3.0\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_the_customers_fault_not_the_shops() {
    let shop = shop().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer =
        client.post(format!("{}/checkout", shop.url())).json(&json!({"quantity": -1})).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), shop.state().errors), (422, 0));
}

#[tokio::test]
async fn whoever_watches_hears_of_each_change() {
    let shop = shop().await;
    let mut changes = shop.changes();
    changes.mark_unchanged();
    shop.break_it();
    assert!(changes.has_changed().expect("the shop is there"));
}

#[tokio::test]
async fn a_closed_shop_lets_go_of_its_port() {
    let shop = shop().await;
    let port = shop.url().rsplit(':').next().and_then(|p| p.parse::<u16>().ok()).expect("a port");
    drop(shop);
    // The listener is dropped by its own coroutine: binding succeeds as soon as that one has run.
    while tokio::net::TcpListener::bind(("127.0.0.1", port)).await.is_err() {
        tokio::task::yield_now().await;
    }
}
