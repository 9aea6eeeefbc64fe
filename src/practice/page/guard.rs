//! Keeps other web pages out. The server listens on loopback, but so does every page's browser: a foreign page
//! could send requests here (cross-site request) or make its own name point here (DNS rebinding).

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use url::{Host, Url};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Refuses strangers, and adds the headers that keep the page what it is.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let refused = refusal(request.method(), request.headers());
    let mut response = match refused {
        Some(sentence) => (StatusCode::FORBIDDEN, axum::Json(json!({"ok": false, "error": sentence}))).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let here = text(header::HOST).and_then(|host| Url::parse(&format!("http://{host}/")).ok());
    let Some(here) = here.filter(is_loopback) else {
        return Some("The practice page answers only at 127.0.0.1, [::1] or localhost.");
    };
    if method == Method::GET || method == Method::HEAD {
        return None;
    }
    let from = text(header::ORIGIN).and_then(|origin| Url::parse(origin).ok());
    if from.is_some_and(|from| from.origin() == here.origin()) {
        None
    } else {
        Some("Only the practice page itself may do this.")
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
