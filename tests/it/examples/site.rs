//! The team's own site with its Prometheus, and the third parties around it: the site is as well as what it runs on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::platforms::ecs::KEY;

/// Whether what the site runs on is in order.
type IsWell = Arc<dyn Fn() -> bool + Send + Sync>;

/// What third parties want to see from whoever asks.
pub const THIRD_PARTY: &str = "third-party-token-for-tests";

/// What the site's own maintenance page wants to see.
pub const TEAM: &str = "shop-token-for-tests";

/// What whoever has taken a role on shows to AWS beside the key.
pub const ROLE_TOKEN: &str = "role-token-for-tests";

/// A site on loopback.
pub struct Site {
    pub url: String,
}

#[derive(Clone)]
struct Behind {
    is_well: IsWell,
    /// The page that says so is up.
    is_maintained: Arc<AtomicBool>,
}

impl Behind {
    async fn is_well(&self) -> bool {
        let is_well = Arc::clone(&self.is_well);
        tokio::task::spawn_blocking(move || is_well()).await.expect("the look ends")
    }
}

impl Site {
    /// A site whose health is asked for anew each time.
    pub async fn open(is_well: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let behind = Behind { is_well: Arc::new(is_well), is_maintained: Arc::default() };
        let routes = Router::new()
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .route("/maintenance", get(maintenance).put(maintained))
            .route("/api/v1/{what}", get(prometheus))
            .route("/graph/{number}", get(third))
            .route("/wave/balance", get(third))
            .route("/sentry/organizations/{organisation}/stats_v2/", get(third))
            .route("/sts", post(role))
            .route("/sts/", post(role))
            .with_state(behind);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url }
    }
}

async fn health(State(behind): State<Behind>) -> Response {
    let (status, word) =
        if behind.is_well().await { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "failing") };
    (status, axum::Json(json!({"status": word}))).into_response()
}

/// Orders wait in the same number whatever happens; they are not what is ill.
async fn metrics() -> &'static str {
    "# TYPE orders_waiting gauge\norders_waiting 7\n# TYPE commandes_en_attente gauge\ncommandes_en_attente 7\n"
}

async fn maintenance(State(behind): State<Behind>) -> axum::Json<Value> {
    axum::Json(json!({"on": behind.is_maintained.load(Ordering::SeqCst)}))
}

async fn maintained(State(behind): State<Behind>, headers: HeaderMap, body: axum::Json<Value>) -> Response {
    if bearer(&headers) != Some(TEAM) {
        return (StatusCode::UNAUTHORIZED, axum::Json(json!({"error": "unknown token"}))).into_response();
    }
    behind.is_maintained.store(body["on"] == true, Ordering::SeqCst);
    maintenance(State(behind)).await.into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The share of failing requests, or how long the slowest of twenty takes, now or for so long a time.
async fn prometheus(
    State(behind): State<Behind>,
    Path(what): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
) -> axum::Json<Value> {
    let is_slow = asked["query"].contains("quantile");
    let figure = match (behind.is_well().await, is_slow) {
        (true, false) => "0.002",
        (true, true) => "0.31",
        (false, false) => "0.27",
        (false, true) => "4.2",
    };
    let now = 1_795_140_000.0;
    let data = if what == "query_range" {
        let seconds = |name: &str| asked[name].parse::<f64>().expect("a number of seconds");
        let (start, step) = (seconds("start"), seconds("step"));
        let values: Vec<Value> = (0..=20).map(|n| json!([start + f64::from(n) * step, figure])).collect();
        json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
    } else {
        json!({"resultType": "vector", "result": [{"metric": {}, "value": [now, figure]}]})
    };
    axum::Json(json!({"status": "success", "data": data}))
}

/// A third party that knows who asks.
async fn third(address: Uri, headers: HeaderMap) -> Response {
    if bearer(&headers) != Some(THIRD_PARTY) {
        return (StatusCode::UNAUTHORIZED, axum::Json(json!({"error": "unknown token"}))).into_response();
    }
    let asked: HashMap<String, String> =
        url::form_urlencoded::parse(address.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asks = |name: &str| asked.get(name).map(String::as_str);
    let hour = || {
        let is_hour = (asks("statsPeriod"), asks("interval")) == (Some("1h"), Some("1h"));
        let is_errors = (asks("category"), asks("outcome")) == (Some("error"), Some("accepted"));
        (is_hour && is_errors && asks("field") == Some("sum(quantity)") && asks("project") == Some("1")).then(|| {
            let of = |count: Value| json!({"sum(quantity)": count});
            json!({
                "start": "2026-11-20T11:00:00Z",
                "end": "2026-11-20T12:00:00Z",
                "intervals": ["2026-11-20T11:00:00Z"],
                "groups": [{"by": {"outcome": "accepted"}, "totals": of(json!(1)), "series": of(json!([1]))}],
            })
        })
    };
    let said = match address.path().split('/').nth(1) {
        Some("graph") if asks("fields") == Some("quality_rating") => {
            Some(json!({"id": "100000000000001", "quality_rating": "GREEN"}))
        }
        Some("wave") if asked.is_empty() => Some(json!({"amount": "125000", "currency": "XOF"})),
        Some("sentry") => hour(),
        _ => None,
    };
    match said {
        Some(said) => axum::Json(said).into_response(),
        None => {
            (StatusCode::BAD_REQUEST, axum::Json(json!({"error": "this is not what may be asked"}))).into_response()
        }
    }
}

/// AWS lets the role be taken on by whoever signs as Vigie.
async fn role(headers: HeaderMap, body: String) -> Response {
    let asked: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known =
        signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY}/")) && signed.contains("/sts/aws4_request");
    let role = asked.get("RoleArn").map(String::as_str);
    if !is_known || asked["Action"] != "AssumeRole" || role != Some("arn:aws:iam::123456789012:role/vigie") {
        return (StatusCode::FORBIDDEN, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
            .into_response();
    }
    let answer = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <AssumedRoleId>AROA:vigie</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/vigie/vigie</Arn>\
         </AssumedRoleUser><Credentials><AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>secret-of-the-role</SecretAccessKey>\
         <SessionToken>{ROLE_TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    );
    ([(header::CONTENT_TYPE, "text/xml")], answer).into_response()
}
