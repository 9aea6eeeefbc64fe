//! Verification against a Prometheus server whose answers change from one look to the next.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::actions::toy::actions;
use crate::english::english;

const NOW: f64 = 1_700_000_000.0;

/// The figures it finds: each is given once, the last one for ever; `None` is no data.
#[derive(Clone)]
struct Server {
    figures: Arc<Mutex<Vec<Option<f64>>>>,
    looks: Arc<Mutex<usize>>,
}

async fn instant(State(server): State<Server>) -> Json<Value> {
    *server.looks.lock().unwrap() += 1;
    let mut figures = server.figures.lock().unwrap();
    let figure = if figures.len() > 1 { figures.remove(0) } else { figures[0] };
    let said = |figure: f64| if figure == f64::INFINITY { "+Inf".to_owned() } else { figure.to_string() };
    let series: Vec<Value> = figure.iter().map(|figure| json!({"value": [NOW, said(*figure)]})).collect();
    Json(json!({"status": "success", "data": {"resultType": "vector", "result": series}}))
}

/// All was well until a moment ago.
async fn range() -> Json<Value> {
    let values = [json!([NOW - 300.0, "0"]), json!([NOW - 15.0, "0"]), json!([NOW, "0.4"])];
    Json(json!({"status": "success", "data": {"resultType": "matrix", "result": [{"values": values}]}}))
}

/// What the verification came to, and after how many looks.
async fn verified(figures: &[Option<f64>]) -> (Verdict, String, usize) {
    let server = Server { figures: Arc::new(Mutex::new(figures.to_vec())), looks: Arc::default() };
    let routes = Router::new().route("/api/v1/query", get(instant)).route("/api/v1/query_range", get(range));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = routes.with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let actions = actions(&format!(
        "limits: {{ verify_within: 1s, verify_every: 10ms }}\nactions:\n  go:\n    title: Go\n    service: shop\n    \
         class: urgent\n    risk: reversible\n    expected: 1s\n    steps: [{{ command: {{ target: note, risk: \
         reversible, to: noted, argv: [\"true\"] }} }}]\n    verify: [errors]\nservices:\n  shop:\n    - {{ key: errors, \
         prometheus: {{ url: \"{url}\", query: errors, for: 5m, limits: {{ warn_above: 0.02, fail_above: 0.05, \
         percent: true }} }} }}\n"
    ));
    let plan = actions.make_plan("go", None).await.unwrap();
    // The plan looked once, to say why.
    *server.looks.lock().unwrap() = 0;
    *server.figures.lock().unwrap() = figures.to_vec();
    let [result] = actions.inner.verify(&plan).await.try_into().unwrap();
    let looks = *server.looks.lock().unwrap();
    (result.verdict, english(&result.value), looks)
}

#[tokio::test]
async fn what_has_just_become_bad_is_asked_again_and_is_bad_in_the_end() {
    let (verdict, value, looks) = verified(&[Some(0.4)]).await;
    assert_eq!((verdict, value.as_str()), (Verdict::Fail, "40 %, for less than 5 min"));
    assert!(looks > 2, "{looks} looks");
}

/// Errors by good requests, when nothing is good any more.
#[tokio::test]
async fn what_is_worse_than_any_figure_is_bad_in_the_end_as_well() {
    let (verdict, value, looks) = verified(&[Some(f64::INFINITY)]).await;
    assert_eq!((verdict, value.as_str()), (Verdict::Fail, "∞, for less than 5 min"));
    assert!(looks > 2, "{looks} looks");
    assert_eq!(verified(&[Some(f64::INFINITY), Some(0.01)]).await, (Verdict::Pass, "1 %".into(), 2));
}

#[tokio::test]
async fn what_was_bad_for_a_moment_passes_once_it_is_good() {
    assert_eq!(verified(&[Some(0.4), Some(0.4), Some(0.01)]).await, (Verdict::Pass, "1 %".into(), 3));
}

#[tokio::test]
async fn no_data_is_asked_again_and_stays_a_warning_when_none_comes() {
    assert_eq!(verified(&[None, Some(f64::NAN), Some(0.01)]).await, (Verdict::Pass, "1 %".into(), 3));
    let (verdict, value, looks) = verified(&[None]).await;
    assert_eq!((verdict, value.as_str()), (Verdict::Warn, "no data"));
    assert!(looks > 2, "{looks} looks");
}

#[tokio::test]
async fn a_figure_that_is_worth_a_look_is_good_enough_at_once() {
    assert_eq!(verified(&[Some(0.03)]).await, (Verdict::Warn, "3 %".into(), 1));
}
