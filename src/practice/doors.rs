//! Delivery over HTTP: the three request URLs of an app, signed as Slack signs (docs: "Verifying requests from Slack").

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::mpsc;
use url::form_urlencoded;

use super::envelope::{Kind, Parcel};

/// Slack waits this long for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// What an app's door answered.
#[derive(Debug)]
pub(crate) enum DoorAnswer {
    Ok { payload: Option<Value> },
    Failed { reason: &'static str, no_retry: bool },
}

/// Sends signed requests.
pub(crate) struct Door {
    secret: String,
    client: reqwest::Client,
}

struct Request {
    url: String,
    body: String,
    content_type: &'static str,
    attempt: u32,
    reason: Option<&'static str>,
}

/// `v0=` and the HMAC-SHA256 of `v0:{timestamp}:{body}` in hexadecimal.
pub(crate) fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

impl Door {
    pub fn new(secret: &str) -> Self {
        // Only plain HTTP to loopback is spoken, but the client wants a TLS provider to exist.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(ANSWER_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without TLS settings of its own can be built");
        Self { secret: secret.to_owned(), client }
    }

    /// Sends a parcel and puts the answer into `results`.
    pub fn send(
        &self,
        base: &str,
        parcel: Parcel,
        timestamp: i64,
        results: mpsc::UnboundedSender<(Parcel, DoorAnswer, Duration)>,
    ) {
        let request = request(base, parcel.kind, &parcel.payload, parcel.attempt, parcel.retry_reason);
        let ready = self.prepare(request, timestamp);
        tokio::spawn(async move {
            let started = Instant::now();
            let answer = perform(ready).await;
            // The workspace may have been shut down meanwhile.
            let _ = results.send((parcel, answer, started.elapsed()));
        });
    }

    /// Sends the same once more; nobody waits for the answer.
    pub fn send_unanswered(&self, base: &str, kind: Kind, payload: &Value, timestamp: i64) {
        let ready = self.prepare(request(base, kind, payload, 0, None), timestamp);
        tokio::spawn(perform(ready));
    }

    /// Asks the events door to prove that it is there; true when it gives the challenge back.
    pub async fn verify_url(&self, base: &str, challenge: &str, timestamp: i64) -> bool {
        let body = serde_json::json!({"token": "practice", "challenge": challenge, "type": "url_verification"});
        let request = Request {
            url: format!("{}/slack/events", base.trim_end_matches('/')),
            body: body.to_string(),
            content_type: "application/json",
            attempt: 0,
            reason: None,
        };
        let Ok(response) = self.prepare(request, timestamp).send().await else {
            return false;
        };
        let is_ok = response.status().is_success();
        let Ok(text) = response.text().await else {
            return false;
        };
        let in_json = serde_json::from_str::<Value>(&text).is_ok_and(|json| json["challenge"] == challenge);
        let in_form =
            form_urlencoded::parse(text.as_bytes()).any(|(key, value)| key == "challenge" && value == challenge);
        is_ok && (text.trim() == challenge || in_json || in_form)
    }

    /// Asks the commands door whether it is there; true when it says 200.
    pub async fn check_ssl(&self, base: &str, timestamp: i64) -> bool {
        let request = Request {
            url: format!("{}/slack/commands", base.trim_end_matches('/')),
            body: "ssl_check=1&token=practice".to_owned(),
            content_type: "application/x-www-form-urlencoded",
            attempt: 0,
            reason: None,
        };
        self.prepare(request, timestamp).send().await.is_ok_and(|response| response.status() == 200)
    }

    fn prepare(&self, request: Request, timestamp: i64) -> reqwest::RequestBuilder {
        let signature = signature(&self.secret, timestamp, &request.body);
        let mut builder = self
            .client
            .post(request.url)
            .header("content-type", request.content_type)
            .header("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
            .header("x-slack-request-timestamp", timestamp.to_string())
            .header("x-slack-signature", signature)
            .body(request.body);
        if let Some(reason) = request.reason {
            builder =
                builder.header("x-slack-retry-num", request.attempt.to_string()).header("x-slack-retry-reason", reason);
        }
        builder
    }
}

fn request(base: &str, kind: Kind, payload: &Value, attempt: u32, reason: Option<&'static str>) -> Request {
    let base = base.trim_end_matches('/');
    let (path, body, content_type) = match kind {
        Kind::Command => ("commands", command_form(payload), "application/x-www-form-urlencoded"),
        Kind::Interaction => {
            let form =
                form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish();
            ("interactions", form, "application/x-www-form-urlencoded")
        }
        Kind::Event => ("events", payload.to_string(), "application/json"),
    };
    let reason = reason.map(|reason| if reason == "timeout" { "http_timeout" } else { reason });
    Request { url: format!("{base}/slack/{path}"), body, content_type, attempt, reason }
}

fn command_form(payload: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (key, value) in payload.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => form.append_pair(key, text),
            Value::Null => continue,
            other => form.append_pair(key, &other.to_string()),
        };
    }
    form.finish()
}

async fn perform(request: reqwest::RequestBuilder) -> DoorAnswer {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_timeout() => {
            return DoorAnswer::Failed { reason: "http_timeout", no_retry: false };
        }
        Err(_) => {
            return DoorAnswer::Failed { reason: "connection_failed", no_retry: false };
        }
    };
    let no_retry = response.headers().get("x-slack-no-retry").is_some_and(|value| value == "1");
    if !response.status().is_success() {
        let reason = if response.status().is_redirection() { "too_many_redirects" } else { "http_error" };
        return DoorAnswer::Failed { reason, no_retry };
    }
    match response.text().await {
        Ok(text) if text.trim().is_empty() => DoorAnswer::Ok { payload: None },
        Ok(text) => {
            let payload = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
            DoorAnswer::Ok { payload: payload.or_else(|| Some(serde_json::json!({"text": text}))) }
        }
        Err(error) if error.is_timeout() => DoorAnswer::Failed { reason: "http_timeout", no_retry: false },
        Err(_) => DoorAnswer::Failed { reason: "connection_failed", no_retry: false },
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn the_signature_is_the_one_of_slacks_own_example() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
                    &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
                    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
                    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        assert_eq!(
            signature("8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618, body),
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        );
    }
}
