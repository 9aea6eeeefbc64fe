//! A signed HTTP request to an address of the team's own.
//!
//! `POST` with a JSON body `{id, kind: "page", at, to, subject, text, link, locale}`,
//! `X-Vigie-Signature: sha256=<hex of HMAC-SHA256 over the body>` and `Idempotency-Key: <page id>`.

use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use url::Url;

use super::http::HttpClient;
use super::settings::push;
use super::{Page, PagingChannel, PagingFault, PagingKind, Receipt, SettingFault, TOTAL_TIMEOUT, checked_url};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-vigie-signature";
const SHORTEST_SECRET: usize = 16;

/// `paging.webhook` in the settings, and each webhook an audience has.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where the request goes.
    pub url: String,
    /// The key of the signature, at least 16 characters.
    #[schemars(with = "String")]
    pub secret: SecretString,
    /// Sent as `Authorization: Bearer …` where the receiver wants it.
    #[schemars(with = "Option<String>")]
    pub bearer: Option<SecretString>,
    /// Allows `http://` to another machine, e.g. inside a cluster.
    #[serde(default)]
    pub plain_http: bool,
}

impl WebhookConfig {
    /// Every fault, with its cure.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingFault> {
        self.validate_at("paging.webhook")
    }

    /// As [`WebhookConfig::validate`], for a webhook that stands elsewhere in the settings.
    #[must_use]
    pub fn validate_at(&self, place: &str) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        if let Err(text) = checked_url(&self.url, self.plain_http) {
            push(&mut faults, &format!("{place}.url"), text);
        }
        if self.plain_http && self.bearer.is_some() {
            push(&mut faults, &format!("{place}.bearer"), "a bearer token must not travel over plain http; use https");
        }
        if self.secret.expose_secret().len() < SHORTEST_SECRET {
            push(&mut faults, &format!("{place}.secret"), "this must have at least 16 characters");
        }
        faults
    }
}

/// Posts signed JSON.
#[derive(Debug)]
pub struct WebhookChannel {
    http: HttpClient,
    url: Url,
    secret: SecretString,
    bearer: Option<SecretString>,
}

#[derive(Serialize)]
struct PageBody<'a> {
    id: &'a str,
    kind: &'static str,
    at: i64,
    to: &'a str,
    subject: &'a str,
    text: &'a str,
    link: Option<&'a str>,
    locale: &'a str,
}

impl WebhookChannel {
    /// Makes the channel.
    ///
    /// # Errors
    /// Every fault in the settings.
    pub fn new(config: &WebhookConfig) -> Result<Self, Vec<SettingFault>> {
        Self::with_timeout(config, "paging.webhook", TOTAL_TIMEOUT)
    }

    pub(crate) fn with_timeout(
        config: &WebhookConfig,
        place: &str,
        timeout: Duration,
    ) -> Result<Self, Vec<SettingFault>> {
        let faults = config.validate_at(place);
        if !faults.is_empty() {
            return Err(faults);
        }
        let fault = |text: String| vec![SettingFault { setting: format!("{place}.url"), text }];
        let url = checked_url(&config.url, config.plain_http).map_err(fault)?;
        let http = HttpClient::new("provider.webhook", &url, timeout).map_err(fault)?;
        Ok(Self { http, url, secret: config.secret.clone(), bearer: config.bearer.clone() })
    }

    /// Posts `body`, signed, under the idempotency key `id`.
    pub(crate) async fn post(&self, id: &str, body: &impl Serialize) -> Result<Receipt, PagingFault> {
        let body = serde_json::to_vec(body).map_err(|fault| self.unwritten(&fault))?;
        let mut request = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", header_safe(id))
            .header(SIGNATURE_HEADER, self.signature(&body)?);
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose_secret());
        }
        let answer = self.http.send(request.body(body)).await?;
        let status = answer.status.as_u16();
        if !answer.status.is_success() {
            return Err(self.http.refused(&answer, &answer.words()));
        }
        Ok(Receipt { provider_id: None, note: self.http.says("receipt.answered").with("status", status) })
    }

    fn unwritten(&self, why: &dyn std::fmt::Display) -> PagingFault {
        PagingFault::permanent(self.http.says("paging_fault.no_request").with("why", why.to_string()))
    }

    fn signature(&self, body: &[u8]) -> Result<String, PagingFault> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .map_err(|_| self.unwritten(&"HMAC"))?;
        mac.update(body);
        Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
    }
}

/// Ids are ours and plain; anything else in one would make the request impossible.
pub(crate) fn header_safe(id: &str) -> String {
    id.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '-' }).collect()
}

#[async_trait]
impl PagingChannel for WebhookChannel {
    fn kind(&self) -> PagingKind {
        PagingKind::Webhook
    }

    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault> {
        let body = PageBody {
            id: &page.id,
            kind: "page",
            at: page.at,
            to: &page.to,
            subject: &page.subject,
            text: &page.text,
            link: page.link.as_deref(),
            locale: &page.locale,
        };
        self.post(&page.id, &body).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample_page;
    use super::super::wire::{Peer, Reply};
    use super::*;
    use serde_json::json;

    fn config(base_url: &str) -> WebhookConfig {
        WebhookConfig {
            url: format!("{base_url}/hooks/secret-path"),
            secret: "key-of-the-signature".into(),
            bearer: Some("bearer-of-the-hook".into()),
            plain_http: false,
        }
    }

    #[tokio::test]
    async fn a_receiver_can_check_who_sent_the_page_and_drop_a_repeat() {
        let peer = Peer::start(vec![Reply::text(204, "")]).await;
        let channel = WebhookChannel::new(&config(&peer.base_url())).unwrap();
        let receipt = channel.page(&sample_page("On-call lead")).await.unwrap();
        assert_eq!(receipt.note, "the webhook answered 204");
        let request = peer.only_request();
        assert_eq!(request.header("idempotency-key"), "pg_12");
        assert_eq!(request.header("authorization"), "Bearer bearer-of-the-hook");
        assert_eq!(
            request.json(),
            json!({
                "id": "pg_12",
                "kind": "page",
                "at": 1_795_181_400_000_i64,
                "to": "On-call lead",
                "subject": "[SEV2] checkout returns 500",
                "text": "SEV2 inc_7: checkout returns 500.",
                "link": "https://example.slack.com/archives/C0123ABC",
                "locale": "en",
            })
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key-of-the-signature").unwrap();
        mac.update(&request.body);
        let sent = request.header(SIGNATURE_HEADER).strip_prefix("sha256=").unwrap();
        mac.verify_slice(&hex::decode(sent).unwrap()).unwrap();
    }

    async fn outcome(reply: Reply) -> PagingFault {
        let peer = Peer::start(vec![reply]).await;
        let channel = WebhookChannel::new(&config(&peer.base_url())).unwrap();
        channel.page(&sample_page("x")).await.unwrap_err()
    }

    #[tokio::test]
    async fn each_failure_is_told_apart() {
        assert!(matches!(
            outcome(Reply::text(404, "no such hook")).await,
            PagingFault::Permanent { why } if why == "the webhook answered 404: no such hook"
        ));
        assert!(matches!(outcome(Reply::text(502, "")).await, PagingFault::Retry { .. }));
        assert!(matches!(outcome(Reply::HangUp).await, PagingFault::Unknown { .. }));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed_with_the_credentials() {
        let reply = Reply::text(302, "").header("location", "http://127.0.0.1:9/elsewhere");
        let fault = outcome(reply).await;
        assert!(matches!(fault, PagingFault::Permanent { .. }), "{fault:?}");
    }

    #[tokio::test]
    async fn neither_secret_nor_address_shows_in_a_failure() {
        let channel = WebhookChannel::new(&config(&Peer::nobody().await)).unwrap();
        let fault = channel.page(&sample_page("x")).await.unwrap_err();
        assert!(matches!(fault, PagingFault::Retry { .. }));
        let printed = format!("{fault} {fault:?}");
        assert!(!printed.contains("secret-path"), "{printed}");
        let printed = format!("{channel:?} {:?}", config("https://example.com"));
        assert!(!printed.contains("key-of-the-signature"), "{printed}");
        assert!(!printed.contains("bearer-of-the-hook"), "{printed}");
    }

    #[test]
    fn a_bearer_never_travels_in_the_clear() {
        let mut config = config("http://relay.example.com");
        config.plain_http = true;
        let faults = config.validate();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].setting, "paging.webhook.bearer");
    }
}
