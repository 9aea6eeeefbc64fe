//! PagerDuty's Events API v2 (`POST /v2/enqueue`). The page's id is the `dedup_key`, so a repeat changes
//! nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::http::HttpClient;
use super::settings::push;
use super::{
    Page, PagingChannel, PagingFault, PagingKind, Receipt, SettingFault, TOTAL_TIMEOUT, checked_url, required,
    url_setting,
};
use crate::incident::words::Words;

/// PagerDuty's limits for `payload.summary` and `dedup_key`.
const LONGEST_SUMMARY: usize = 1024;
const LONGEST_KEY: usize = 255;

/// `paging.pagerduty` in the settings.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerdutyConfig {
    /// Integration keys by the names that contacts use.
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub routing_keys: BTreeMap<String, SecretString>,
    /// What PagerDuty shows as the source.
    #[serde(default = "default_source")]
    pub source: String,
    /// Another address of the API: PagerDuty's European region, or a test.
    #[serde(default = "default_base_url")]
    pub base_url: String,
}

fn default_source() -> String {
    "vigie".to_owned()
}

fn default_base_url() -> String {
    "https://events.pagerduty.com".to_owned()
}

impl PagerdutyConfig {
    /// Every fault, with its cure.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        if self.routing_keys.is_empty() {
            push(
                &mut faults,
                "paging.pagerduty.routing_keys",
                "name at least one integration key, e.g. platform: ${PAGERDUTY_KEY}",
            );
        }
        for (name, key) in &self.routing_keys {
            required(&mut faults, &format!("paging.pagerduty.routing_keys.{name}"), key);
        }
        url_setting(&mut faults, "paging.pagerduty.base_url", &self.base_url);
        faults
    }
}

/// Triggers alerts in PagerDuty.
#[derive(Debug)]
pub struct PagerdutyChannel {
    http: HttpClient,
    enqueue: Url,
    routing_keys: BTreeMap<String, SecretString>,
    source: String,
}

/// PagerDuty's answer, good or bad.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    status: String,
    message: String,
    dedup_key: Option<String>,
    errors: Vec<String>,
}

impl PagerdutyChannel {
    /// Makes the channel.
    ///
    /// # Errors
    /// Every fault in the settings.
    pub fn new(config: &PagerdutyConfig) -> Result<Self, Vec<SettingFault>> {
        Self::with_timeout(config, TOTAL_TIMEOUT)
    }

    fn with_timeout(config: &PagerdutyConfig, timeout: Duration) -> Result<Self, Vec<SettingFault>> {
        let faults = config.validate();
        if !faults.is_empty() {
            return Err(faults);
        }
        let fault = |text: String| vec![SettingFault { setting: "paging.pagerduty.base_url".to_owned(), text }];
        let base = checked_url(&config.base_url, false).map_err(fault)?;
        let enqueue = base.join("/v2/enqueue").map_err(|reason| fault(reason.to_string()))?;
        Ok(Self {
            http: HttpClient::new("provider.pagerduty", &base, timeout).map_err(fault)?,
            enqueue,
            routing_keys: config.routing_keys.clone(),
            source: config.source.clone(),
        })
    }

    fn routing_key(&self, name: &str) -> Result<&SecretString, PagingFault> {
        self.routing_keys.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.routing_keys.keys().map(String::as_str).collect();
            let words = Words::new("paging_fault.no_routing_key").with("name", name);
            PagingFault::permanent(words.with("known", known.join(", ")))
        })
    }
}

#[async_trait]
impl PagingChannel for PagerdutyChannel {
    fn kind(&self) -> PagingKind {
        PagingKind::Pagerduty
    }

    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault> {
        let routing_key = self.routing_key(&page.to)?;
        let links: Vec<_> = page.link.iter().map(|link| json!({"href": link, "text": "Slack"})).collect();
        let body = json!({
            "routing_key": routing_key.expose_secret(),
            "event_action": "trigger",
            "dedup_key": first(&page.id, LONGEST_KEY),
            "client": "Vigie",
            "links": links,
            "payload": {
                "summary": first(&page.subject, LONGEST_SUMMARY),
                "source": self.source,
                "severity": "critical",
                "custom_details": {"text": page.text},
            },
        });
        let request = self.http.post(self.enqueue.clone()).json(&body);
        let answer = self.http.send(request).await?;
        let said: Body = answer.json().unwrap_or_default();
        if !answer.status.is_success() {
            let reason = match said.errors.is_empty() {
                true => said.message,
                false => format!("{} ({})", said.message, said.errors.join("; ")),
            };
            return Err(self.http.refused(&answer, &reason));
        }
        Ok(Receipt { provider_id: said.dedup_key, note: self.http.says("receipt.status").with("status", said.status) })
    }
}

fn first(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample_page;
    use super::super::wire::{Peer, Reply};
    use super::*;

    fn config(base_url: &str) -> PagerdutyConfig {
        PagerdutyConfig {
            routing_keys: BTreeMap::from([("platform".to_owned(), "0123456789abcdef0123456789abcdef".into())]),
            source: "vigie".to_owned(),
            base_url: base_url.to_owned(),
        }
    }

    async fn page_with(reply: Reply) -> (Result<Receipt, PagingFault>, Peer) {
        let peer = Peer::start(vec![reply]).await;
        let channel = PagerdutyChannel::new(&config(&peer.base_url())).unwrap();
        (channel.page(&sample_page("platform")).await, peer)
    }

    #[tokio::test]
    async fn an_alert_carries_the_page_s_id_as_its_dedup_key() {
        let accepted = json!({"status": "success", "message": "Event processed", "dedup_key": "pg_12"});
        let (result, peer) = page_with(Reply::json(202, accepted)).await;
        assert_eq!(
            result.unwrap(),
            Receipt {
                provider_id: Some("pg_12".to_owned()),
                note: Words::new("receipt.status")
                    .with("provider", Words::new("provider.pagerduty"))
                    .with("status", "success")
            }
        );
        let request = peer.only_request();
        assert_eq!(request.path, "/v2/enqueue");
        assert_eq!(
            request.json(),
            json!({
                "routing_key": "0123456789abcdef0123456789abcdef",
                "event_action": "trigger",
                "dedup_key": "pg_12",
                "client": "Vigie",
                "links": [{"href": "https://example.slack.com/archives/C0123ABC", "text": "Slack"}],
                "payload": {
                    "summary": "[SEV2] checkout returns 500",
                    "source": "vigie",
                    "severity": "critical",
                    "custom_details": {"text": "SEV2 inc_7: checkout returns 500."},
                },
            })
        );
    }

    #[tokio::test]
    async fn a_refusal_says_what_pagerduty_said() {
        let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": ["'routing_key' is invalid"]});
        let (result, _peer) = page_with(Reply::json(400, body)).await;
        let fault = result.unwrap_err();
        assert!(matches!(fault, PagingFault::Permanent { .. }), "{fault:?}");
        assert_eq!(*fault.why(), "PagerDuty answered 400: Event object is invalid ('routing_key' is invalid)");
    }

    #[tokio::test]
    async fn throttling_is_tried_again() {
        let (result, _peer) = page_with(Reply::text(429, "")).await;
        assert!(matches!(result, Err(PagingFault::Retry { .. })), "{result:?}");
    }

    #[tokio::test]
    async fn an_unknown_key_is_refused_with_the_known_ones_and_no_secret() {
        let peer = Peer::start(vec![]).await;
        let channel = PagerdutyChannel::new(&config(&peer.base_url())).unwrap();
        let fault = channel.page(&sample_page("plattform")).await.unwrap_err();
        assert_eq!(*fault.why(), "paging.pagerduty.routing_keys has no key named “plattform”; it has platform");
        assert!(peer.requests().is_empty());
        let printed = format!("{channel:?} {:?}", config("https://example.com"));
        assert!(!printed.contains("0123456789abcdef"), "{printed}");
    }
}
