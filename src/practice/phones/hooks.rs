//! The door for webhooks: `POST /hook/{name}` takes any JSON and keeps it under that name.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::LARGEST;
use super::record::{Arrival, DeliveryKind, Door, Fault, Record};

pub(super) fn routes(record: Arc<Record>) -> Router {
    Router::new().route("/hook/{name}", post(hook)).layer(DefaultBodyLimit::max(LARGEST)).with_state(record)
}

async fn hook(State(record): State<Arc<Record>>, Path(name): Path<String>, body: String) -> Response {
    let Ok(json) = serde_json::from_str::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "The body is not JSON.").into_response();
    };
    let fault = record.take_fault(Door::Hook);
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Unavailable) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::TooMany) => {
            return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "7")]).into_response();
        }
        Some(Fault::Refused) => return StatusCode::BAD_REQUEST.into_response(),
        Some(Fault::LostAnswer) | None => {}
    }
    if record.refuses(&name) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let delivery = record.add(arrival(name, &json, body));
    if fault == Some(Fault::LostAnswer) {
        std::future::pending::<()>().await;
    }
    axum::Json(json!({"ok": true, "id": delivery.id})).into_response()
}

/// A page shows who it is for and what it says; any other webhook shows its JSON.
fn arrival(name: String, json: &Value, raw: String) -> Arrival {
    let text = |names: &[&str]| names.iter().find_map(|n| json.get(n).and_then(Value::as_str)).map(str::to_owned);
    let subject = text(&["subject", "title", "summary"]).unwrap_or_default();
    let from = text(&["from", "source"]).unwrap_or_default();
    if name.starts_with("page") {
        let to = text(&["to", "user", "recipient"]).unwrap_or(name);
        let body = text(&["text", "message", "body", "description"]).unwrap_or_else(|| raw.clone());
        return Arrival { kind: DeliveryKind::Page, to, from, subject, body, status: "delivered", raw };
    }
    Arrival { kind: DeliveryKind::Webhook, to: name, from, subject, body: raw.clone(), status: "200 OK", raw }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{DeliveryKind, Door, Fault, Phones, PhonesOptions};

    fn client() -> reqwest::Client {
        rustls::crypto::ring::default_provider().install_default().ok();
        reqwest::Client::builder().no_proxy().build().expect("a client")
    }

    #[tokio::test]
    async fn a_webhook_is_kept_under_its_name_with_its_json() {
        let phones = Phones::start(PhonesOptions::new(|| 7)).await.expect("free ports");
        let url = format!("{}/hook/status-page", phones.http_url());
        let answer = client().post(url).json(&json!({"title": "Identified", "n": 1})).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let inbox = phones.deliveries();
        assert_eq!((inbox[0].kind, inbox[0].to.as_str(), inbox[0].at_ms), (DeliveryKind::Webhook, "status-page", 7));
        assert_eq!(inbox[0].subject, "Identified");
        let body: serde_json::Value = serde_json::from_str(&inbox[0].body).expect("JSON");
        assert_eq!(body, json!({"title": "Identified", "n": 1}));
    }

    #[tokio::test]
    async fn a_page_shows_whom_it_wakes_and_why() {
        let phones = Phones::start(PhonesOptions::new(|| 7)).await.expect("free ports");
        let body = json!({"to": "olivia@example.com", "title": "SEV2", "message": "checkout returns 500"});
        client().post(format!("{}/hook/pager", phones.http_url())).json(&body).send().await.expect("an answer");
        let page = phones.deliveries().remove(0);
        assert_eq!(
            (page.kind, page.to.as_str(), page.body.as_str()),
            (DeliveryKind::Page, "olivia@example.com", "checkout returns 500")
        );
    }

    #[tokio::test]
    async fn faults_come_once_each_and_in_order() {
        let phones = Phones::start(PhonesOptions::new(|| 7)).await.expect("free ports");
        phones.fail_next(Door::Hook, Fault::Unavailable, 1);
        phones.fail_next(Door::Hook, Fault::TooMany, 1);
        phones.fail_next(Door::Hook, Fault::Refused, 1);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let answer =
                client().post(format!("{}/hook/x", phones.http_url())).body("{}").send().await.expect("an answer");
            seen.push((answer.status().as_u16(), answer.headers().contains_key("retry-after")));
        }
        assert_eq!(seen, [(503, false), (429, true), (400, false), (200, false)]);
        assert_eq!(phones.deliveries().len(), 1);
    }

    #[tokio::test]
    async fn what_is_not_json_is_refused() {
        let phones = Phones::start(PhonesOptions::new(|| 7)).await.expect("free ports");
        let answer =
            client().post(format!("{}/hook/x", phones.http_url())).body("hello").send().await.expect("an answer");
        assert_eq!(answer.status(), 400);
    }
}
