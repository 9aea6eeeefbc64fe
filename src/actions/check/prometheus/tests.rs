//! A server that speaks Prometheus' HTTP API and is strict about what it is asked.

use super::*;
use crate::actions::toy::world;
use crate::english::english;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::collections::BTreeMap;

const NOW: f64 = 1_700_000_000.5;
const QUERY: &str = "sum(rate(errors[1m])) / sum(rate(requests[1m]))";

#[derive(Clone)]
struct Server {
    instant: Value,
    /// The figures of the last 20 steps, oldest first.
    range: Vec<f64>,
}

async fn instant(
    State(server): State<Server>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    if asked.get("query").map(String::as_str) != Some(QUERY) {
        let error = json!({"status": "error", "errorType": "bad_data", "error": "parse error at char 1"});
        return (StatusCode::BAD_REQUEST, Json(error));
    }
    (StatusCode::OK, Json(json!({"status": "success", "data": server.instant})))
}

async fn range(State(server): State<Server>, Query(asked): Query<BTreeMap<String, String>>) -> Json<Value> {
    let number = |name: &str| asked[name].parse::<f64>().unwrap();
    assert_eq!((asked["query"].as_str(), number("end")), (QUERY, NOW));
    let (start, step) = (number("start"), number("step"));
    let values: Vec<Value> = server
        .range
        .iter()
        .enumerate()
        .map(|(index, figure)| json!([start + step * index as f64, figure.to_string()]))
        .collect();
    let result = json!([{"metric": {}, "values": values}]);
    Json(json!({"status": "success", "data": {"resultType": "matrix", "result": result}}))
}

async fn serve(instant_data: Value, range_figures: &[f64]) -> String {
    let server = Server { instant: instant_data, range: range_figures.to_vec() };
    let routes =
        Router::new().route("/api/v1/query", get(instant)).route("/api/v1/query_range", get(range)).with_state(server);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

fn vector(figures: &[&str]) -> Value {
    let series: Vec<Value> =
        figures.iter().map(|figure| json!({"metric": {"pod": "a"}, "value": [NOW, figure]})).collect();
    json!({"resultType": "vector", "result": series})
}

async fn seen(url: &str, query: &str, lasting: Option<&str>) -> Seen {
    let mut config = json!({"url": url, "query": query, "limits": {"fail_above": 0.05, "percent": true}});
    if let Some(lasting) = lasting {
        config["for"] = lasting.into();
    }
    let check: PrometheusCheck = serde_json::from_value(config).unwrap();
    check.look(&world(), Duration::from_secs(5)).await
}

#[tokio::test]
async fn the_worst_series_is_held_against_the_limit() {
    let url = serve(vector(&["0.01", "0.12", "NaN"]), &[]).await;
    let seen = seen(&url, QUERY, None).await;
    assert_eq!(
        (seen.verdict, english(&seen.value).as_str(), seen.limit.as_ref().map(english).as_deref()),
        (Verdict::Fail, "12 %", Some("≤ 5 %"))
    );
    let scalar = serve(json!({"resultType": "scalar", "result": [NOW, "0.01"]}), &[]).await;
    assert_eq!(super::tests::seen(&scalar, QUERY, None).await.verdict, Verdict::Pass);
}

#[tokio::test]
async fn what_must_last_is_bad_only_when_it_has_been_bad_all_the_time() {
    let all_bad = serve(vector(&["0.12"]), &[0.2; 21]).await;
    let lasting = seen(&all_bad, QUERY, Some("5m")).await;
    assert_eq!((lasting.verdict, english(&lasting.value).as_str()), (Verdict::Fail, "12 %"));
    assert_eq!(lasting.limit.as_ref().map(english).as_deref(), Some("≤ 5 % for 5 min"));
    let mut figures = [0.2; 21];
    figures[3] = 0.01;
    let once_good = seen(&serve(vector(&["0.12"]), &figures).await, QUERY, Some("5m")).await;
    assert_eq!((once_good.verdict, english(&once_good.value).as_str()), (Verdict::Warn, "12 %, for less than 5 min"));
}

#[tokio::test]
async fn no_data_is_worth_a_look_and_a_refused_query_says_why() {
    let url = serve(vector(&[]), &[]).await;
    let empty = seen(&url, QUERY, None).await;
    assert_eq!((empty.verdict, english(&empty.value).as_str()), (Verdict::Warn, "no data"));
    assert_eq!(empty.limit.as_ref().map(english).as_deref(), Some("≤ 5 %"));
    let refused = seen(&url, "sum(", None).await;
    assert_eq!(refused.verdict, Verdict::Fail);
    assert_eq!(refused.value, "Prometheus answered 400: parse error at char 1");
}
