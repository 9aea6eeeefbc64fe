//! The HTTP door: Slack's three request addresses, for teams that cannot use Socket Mode.
//!
//! A body is read up to a limit, its signature is checked, and only then is it looked at (docs: “Verifying requests from
//! Slack”).

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::health::Health;
use super::inbound::{Ack, Delivery, Inbound, Kind};
use crate::incident::time::Instant;

/// Slack's own payloads are far smaller; a dialog may have 250 kB.
const LONGEST_BODY: usize = 1_000_000;
/// A request signed longer ago, or that far in the future, is refused (docs: “Verifying requests from Slack”).
const SIGNED_WITHIN_S: i64 = 300;

#[derive(Clone)]
struct Door {
    inbound: Inbound,
    secret: SecretString,
    health: Health,
}

/// The routes `/slack/commands`, `/slack/interactions` and `/slack/events`.
pub fn routes(inbound: Inbound, signing_secret: SecretString, health: Health) -> Router {
    let door = Door { inbound, secret: signing_secret, health };
    Router::new()
        .route("/slack/commands", post(commands))
        .route("/slack/interactions", post(interactions))
        .route("/slack/events", post(events))
        .with_state(door)
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Rejected {
    #[error("the body is larger than Slack's ever are")]
    TooLarge,
    #[error("the request is not signed by Slack with this app's SLACK_SIGNING_SECRET")]
    NotSigned,
    #[error("the request was signed more than five minutes from now; check this machine's clock")]
    Stale,
    #[error("the body cannot be read")]
    Unreadable,
}

impl IntoResponse for Rejected {
    fn into_response(self) -> Response {
        let status = match self {
            Rejected::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Rejected::NotSigned | Rejected::Stale => StatusCode::UNAUTHORIZED,
            Rejected::Unreadable => StatusCode::BAD_REQUEST,
        };
        tracing::warn!(status = status.as_u16(), "a request at Slack's door was turned away: {self}");
        status.into_response()
    }
}

async fn commands(State(door): State<Door>, request: Request) -> Result<Response, Rejected> {
    let signed = door.signed(request).await;
    // Slack probes the certificate now and then, and wants 200; nothing is done, whoever asks.
    if let Ok(body) | Err((_, Some(body))) = &signed
        && form(body).get("ssl_check").is_some_and(|check| check == "1")
    {
        return Ok(StatusCode::OK.into_response());
    }
    let body = signed.map_err(|(rejected, _)| rejected)?;
    let payload = Value::Object(form(&body));
    Ok(door.take(Kind::Command, payload).await)
}

async fn interactions(State(door): State<Door>, request: Request) -> Result<Response, Rejected> {
    let body = door.signed(request).await.map_err(|(rejected, _)| rejected)?;
    let form = form(&body);
    let payload = form.get("payload").and_then(Value::as_str).ok_or(Rejected::Unreadable)?;
    let payload = serde_json::from_str(payload).map_err(|_| Rejected::Unreadable)?;
    Ok(door.take(Kind::Interaction, payload).await)
}

async fn events(State(door): State<Door>, request: Request) -> Result<Response, Rejected> {
    let body = door.signed(request).await.map_err(|(rejected, _)| rejected)?;
    let payload: Value = serde_json::from_slice(&body).map_err(|_| Rejected::Unreadable)?;
    if payload.get("type").and_then(Value::as_str) == Some("url_verification") {
        let challenge = super::client::text(&payload, "/challenge");
        return Ok(challenge.into_response());
    }
    Ok(door.take(Kind::Event, payload).await)
}

impl Door {
    /// The body, once it is known to be Slack's; a body that was read and is not Slack's comes beside the reason.
    async fn signed(&self, request: Request<Body>) -> Result<Bytes, (Rejected, Option<Bytes>)> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| (Rejected::TooLarge, None))?;
        let now = self.inbound.clock().now();
        if let Err(rejected) = check(&self.secret, &head.headers, &body, now) {
            return Err((rejected, Some(body)));
        }
        self.health.heard(now);
        if let Some(attempt) = header(&head.headers, "x-slack-retry-num") {
            let reason = header(&head.headers, "x-slack-retry-reason").unwrap_or_default();
            tracing::warn!(attempt, reason, path = head.uri.path(), "Slack delivers again");
        }
        Ok(body)
    }

    async fn take(&self, kind: Kind, payload: Value) -> Response {
        let id = uuid::Uuid::new_v4().to_string();
        match self.inbound.take(Delivery { kind, payload, id }).await {
            Ack::Taken(None) => StatusCode::OK.into_response(),
            Ack::Taken(Some(answer)) => axum::Json(answer).into_response(),
            Ack::Again => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// `v0=` and the HMAC-SHA256 of `v0:{timestamp}:{body}`, compared in constant time; the timestamp must be of now.
fn check(secret: &SecretString, headers: &HeaderMap, body: &[u8], now: Instant) -> Result<(), Rejected> {
    let signature = header(headers, "x-slack-signature").ok_or(Rejected::NotSigned)?;
    let timestamp = header(headers, "x-slack-request-timestamp").ok_or(Rejected::NotSigned)?;
    let seconds: i64 = timestamp.parse().map_err(|_| Rejected::NotSigned)?;
    let secret = secret.expose_secret();
    if secret.is_empty() {
        return Err(Rejected::NotSigned);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| Rejected::NotSigned)?;
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    let expected = format!("v0={}", hex::encode(mac.finalize().into_bytes()));
    if !bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
        return Err(Rejected::NotSigned);
    }
    if (now.0 / 1000).saturating_sub(seconds).saturating_abs() > SIGNED_WITHIN_S {
        return Err(Rejected::Stale);
    }
    Ok(())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A form as JSON strings, as Socket Mode would have sent it.
fn form(body: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(body).map(|(key, value)| (key.into_owned(), Value::from(value.into_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slack's own example (docs: “Verifying requests from Slack”).
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const SIGNED_AT: i64 = 1_531_420_618;
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

    fn verdict(body: &str, signature: &str, now_s: i64) -> Result<(), Rejected> {
        let mut headers = HeaderMap::new();
        headers.insert("x-slack-signature", signature.parse().expect("a header of the test"));
        headers.insert("x-slack-request-timestamp", SIGNED_AT.to_string().parse().expect("digits"));
        check(&SECRET.into(), &headers, body.as_bytes(), Instant(now_s * 1000))
    }

    #[test]
    fn slacks_own_example_is_accepted() {
        assert_eq!(verdict(BODY, SIGNATURE, SIGNED_AT + 2), Ok(()));
    }

    #[test]
    fn a_changed_body_or_signature_is_refused() {
        assert_eq!(verdict(&format!("{BODY}&x=1"), SIGNATURE, SIGNED_AT), Err(Rejected::NotSigned));
        assert_eq!(verdict(BODY, &SIGNATURE.replace('2', "3"), SIGNED_AT), Err(Rejected::NotSigned));
        assert_eq!(verdict(BODY, "v0=", SIGNED_AT), Err(Rejected::NotSigned));
        assert_eq!(check(&SECRET.into(), &HeaderMap::new(), b"", Instant(0)), Err(Rejected::NotSigned));
    }

    #[test]
    fn a_request_of_another_time_is_refused_either_way() {
        assert_eq!(verdict(BODY, SIGNATURE, SIGNED_AT + 300), Ok(()));
        assert_eq!(verdict(BODY, SIGNATURE, SIGNED_AT + 301), Err(Rejected::Stale));
        assert_eq!(verdict(BODY, SIGNATURE, SIGNED_AT - 301), Err(Rejected::Stale));
    }

    #[test]
    fn a_form_is_read_as_socket_mode_would_send_it() {
        let form = form(BODY.as_bytes());
        assert_eq!(form.get("command"), Some(&Value::from("/webhook-collect")));
        assert_eq!(form.get("text"), Some(&Value::from("")));
    }
}
