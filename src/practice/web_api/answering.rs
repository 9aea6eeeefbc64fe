//! Answers, and the faults a test planned for them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::practice::faults::Trouble;
use crate::practice::wire::Wire;
use crate::practice::workspace::{CallRecord, Workspace};

/// An answer that is not written to the wire yet.
pub(crate) struct Answered {
    pub status: StatusCode,
    pub body: Value,
    pub retry_after_s: Option<u64>,
    /// What the caller's token may do, as Slack tells in `x-oauth-scopes`.
    pub scopes: Option<String>,
}

impl Answered {
    pub fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body, retry_after_s: None, scopes: None }
    }

    pub fn rate_limited(seconds: u64) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            body: json!({"ok": false, "error": "ratelimited"}),
            retry_after_s: Some(seconds),
            scopes: None,
        }
    }

    /// What is not Slack's own, or no answer at all.
    pub fn nothing(status: StatusCode) -> Self {
        Self { status, body: Value::Null, retry_after_s: None, scopes: None }
    }

    pub fn error(code: &str) -> Self {
        Self::ok(json!({"ok": false, "error": code}))
    }
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if let Some(scopes) = self.scopes.and_then(|scopes| HeaderValue::try_from(scopes).ok()) {
            headers.insert("x-oauth-scopes", scopes);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Runs `work` and answers, unless a planned fault says otherwise; writes the call down.
pub(crate) async fn with_faults(
    ws: &Workspace,
    wire: &Wire,
    method: &str,
    args: Value,
    work: impl FnOnce() -> Answered,
) -> Response {
    let note = |status: StatusCode, answer: Value| {
        let at_ms = ws.now_ms();
        let record =
            CallRecord { at_ms, method: method.to_owned(), args: args.clone(), status: status.as_u16(), answer };
        ws.with(|state| state.record(record));
    };
    let trouble = ws.faults().meet(method);
    let answered = match &trouble {
        None => work(),
        Some(Trouble::Slow(wait)) => {
            wait_really(*wait).await;
            work()
        }
        Some(Trouble::HangAfterWork | Trouble::CutAfter | Trouble::ServerErrorAfterWork) => work(),
        Some(Trouble::RateLimited { retry_after_s }) => Answered::rate_limited(*retry_after_s),
        Some(Trouble::Error(code)) => Answered::error(code),
        Some(Trouble::ServerError | Trouble::Hang | Trouble::CutBefore | Trouble::Garbage) => {
            Answered::nothing(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Some(Trouble::Between(status)) => {
            Answered::nothing(StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN))
        }
    };
    note(answered.status, answered.body.clone());
    match trouble {
        Some(Trouble::Hang | Trouble::HangAfterWork) => std::future::pending().await,
        Some(Trouble::CutBefore | Trouble::CutAfter) => {
            wire.cut();
            StatusCode::OK.into_response()
        }
        Some(Trouble::ServerError | Trouble::ServerErrorAfterWork) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "<html><body>Server Error</body></html>").into_response()
        }
        Some(Trouble::Between(_)) => {
            (answered.status, "<html><body>Access denied by the proxy</body></html>").into_response()
        }
        Some(Trouble::Garbage) => (StatusCode::OK, "<html>upstream connect error").into_response(),
        _ => answered.into_response(),
    }
}

/// Slowness on order is real: what is tried out is how the app bears it.
#[expect(clippy::disallowed_methods, reason = "a slow answer takes real time")]
async fn wait_really(length: std::time::Duration) {
    tokio::time::sleep(length).await;
}
