//! WhatsApp's Cloud API (`POST /<version>/<phone number id>/messages`).
//!
//! Outside the 24 hours after somebody wrote to the business, WhatsApp delivers only approved templates;
//! a page is such a message, so `template` should be set. The page's id travels as
//! `biz_opaque_callback_data` and comes back with the delivery notices.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::http::{Answer, HttpClient};
use super::settings::{is_phone_number, push};
use super::{
    Page, PagingChannel, PagingFault, PagingKind, Receipt, SettingFault, TOTAL_TIMEOUT, checked_url, required,
    url_setting,
};
use crate::incident::words::Words;

/// WhatsApp's limits: a template's parameter, and the text of a message.
const LONGEST_PARAMETER: usize = 1024;
const LONGEST_TEXT: usize = 4096;

/// `paging.whatsapp` in the settings.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatsappConfig {
    /// The business telephone number's id (not the number).
    pub phone_number_id: String,
    /// A system user's access token.
    #[schemars(with = "String")]
    pub access_token: SecretString,
    /// An approved template with one body variable, which becomes the page's text.
    pub template: Option<String>,
    /// The template's language for each of ours, e.g. `en: en_US`; our own code where none is named.
    #[serde(default)]
    pub languages: BTreeMap<String, String>,
    /// The version of the Graph API.
    #[serde(default = "default_version")]
    pub version: String,
    /// Another address of the API, for tests.
    #[serde(default = "default_base_url")]
    pub base_url: String,
}

fn default_version() -> String {
    "v23.0".to_owned()
}

fn default_base_url() -> String {
    "https://graph.facebook.com".to_owned()
}

impl WhatsappConfig {
    /// Every fault, with its cure.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        if !digits(&self.phone_number_id) {
            push(
                &mut faults,
                "paging.whatsapp.phone_number_id",
                "this must be the number's id (digits only), not the number itself",
            );
        }
        required(&mut faults, "paging.whatsapp.access_token", &self.access_token);
        let version = self.version.strip_prefix('v').and_then(|it| it.split_once('.'));
        if !version.is_some_and(|(major, minor)| digits(major) && digits(minor)) {
            push(&mut faults, "paging.whatsapp.version", "this must look like v23.0");
        }
        url_setting(&mut faults, "paging.whatsapp.base_url", &self.base_url);
        faults
    }
}

/// Sends WhatsApp messages.
#[derive(Debug)]
pub struct WhatsappChannel {
    http: HttpClient,
    messages: Url,
    access_token: SecretString,
    template: Option<String>,
    languages: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    messages: Vec<Accepted>,
    error: Option<Refused>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Accepted {
    id: Option<String>,
    message_status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refused {
    code: i64,
    message: String,
    error_data: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    details: String,
}

impl WhatsappChannel {
    /// Makes the channel.
    ///
    /// # Errors
    /// Every fault in the settings.
    pub fn new(config: &WhatsappConfig) -> Result<Self, Vec<SettingFault>> {
        Self::with_timeout(config, TOTAL_TIMEOUT)
    }

    fn with_timeout(config: &WhatsappConfig, timeout: Duration) -> Result<Self, Vec<SettingFault>> {
        let faults = config.validate();
        if !faults.is_empty() {
            return Err(faults);
        }
        let fault = |text: String| vec![SettingFault { setting: "paging.whatsapp.base_url".to_owned(), text }];
        let base = checked_url(&config.base_url, false).map_err(fault)?;
        let path = format!("/{}/{}/messages", config.version, config.phone_number_id);
        Ok(Self {
            http: HttpClient::new("provider.whatsapp", &base, timeout).map_err(fault)?,
            messages: base.join(&path).map_err(|reason| fault(reason.to_string()))?,
            access_token: config.access_token.clone(),
            template: config.template.clone(),
            languages: config.languages.clone(),
        })
    }

    /// Sends `text` to one number under the id `id`.
    pub(crate) async fn text(&self, id: &str, to: &str, text: &str, locale: &str) -> Result<Receipt, PagingFault> {
        if !is_phone_number(to) {
            return Err(PagingFault::permanent(Words::new("paging_fault.no_number").with("to", to)));
        }
        let mut body = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": to,
            "biz_opaque_callback_data": id.chars().take(512).collect::<String>(),
        });
        for (name, value) in self.content(text, locale) {
            body[name] = value;
        }
        let request = self.http.post(self.messages.clone()).bearer_auth(self.access_token.expose_secret()).json(&body);
        let answer = self.http.send(request).await?;
        let said: Body = answer.json().unwrap_or_default();
        if !answer.status.is_success() {
            return Err(self.refused(&answer, said.error.unwrap_or_default()));
        }
        let accepted = said.messages.into_iter().next().unwrap_or_default();
        let status = accepted.message_status.unwrap_or_else(|| "accepted".to_owned());
        Ok(Receipt { provider_id: accepted.id, note: self.http.says("receipt.status").with("status", status) })
    }

    fn content(&self, text: &str, locale: &str) -> [(&'static str, Value); 2] {
        let Some(template) = &self.template else {
            let text: String = text.chars().take(LONGEST_TEXT).collect();
            return [("type", json!("text")), ("text", json!({"preview_url": false, "body": text}))];
        };
        // A parameter may hold no line break, no tab and no four blanks in a row.
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let parameter: String = line.chars().take(LONGEST_PARAMETER).collect();
        let language = self.languages.get(locale).map_or(locale, String::as_str);
        let components = json!([{
            "type": "body",
            "parameters": [{"type": "text", "text": parameter}],
        }]);
        [
            ("type", json!("template")),
            ("template", json!({"name": template, "language": {"code": language}, "components": components})),
        ]
    }

    /// Meta's page “Cloud API error codes”: throttling comes as 400 too, so the code decides.
    fn refused(&self, answer: &Answer, refused: Refused) -> PagingFault {
        let details = match refused.error_data.details.is_empty() {
            true => String::new(),
            false => format!(": {}", refused.error_data.details),
        };
        let reason = match refused.code {
            0 => answer.words(),
            code => format!("{}{details} (WhatsApp code {code})", refused.message),
        };
        match (answer.status.as_u16(), refused.code) {
            (401, _) | (_, 190) => {
                let words = self.http.says("paging_fault.credentials").with("said", reason);
                PagingFault::permanent(words.with("settings", "paging.whatsapp.access_token"))
            }
            (_, 131_047) => PagingFault::permanent(Words::new("paging_fault.needs_template").with("said", reason)),
            (_, 1 | 2 | 4 | 80_007 | 130_429 | 131_000 | 131_016 | 131_048 | 131_056) => {
                let why = self.http.says("paging_fault.asks_to_wait").with("said", reason);
                PagingFault::Retry { after: answer.retry_after, why }
            }
            _ => self.http.refused(answer, &reason),
        }
    }
}

#[async_trait]
impl PagingChannel for WhatsappChannel {
    fn kind(&self) -> PagingKind {
        PagingKind::Whatsapp
    }

    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault> {
        self.text(&page.id, &page.to, &page.text_and_link(), &page.locale).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample_page;
    use super::super::wire::{Peer, Reply};
    use super::*;

    fn config(base_url: &str) -> WhatsappConfig {
        WhatsappConfig {
            phone_number_id: "106540352242922".to_owned(),
            access_token: "token-of-the-system-user".into(),
            template: Some("page".to_owned()),
            languages: BTreeMap::from([("en".to_owned(), "en_US".to_owned())]),
            version: "v23.0".to_owned(),
            base_url: base_url.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_page_goes_out_as_an_approved_template_on_one_line() {
        let accepted = json!({"messages": [{"id": "wamid.1", "message_status": "accepted"}]});
        let peer = Peer::start(vec![Reply::json(200, accepted)]).await;
        let channel = WhatsappChannel::new(&config(&peer.base_url())).unwrap();
        let receipt = channel.page(&sample_page("+15550100002")).await.unwrap();
        assert_eq!(receipt.provider_id.as_deref(), Some("wamid.1"));
        let request = peer.only_request();
        assert_eq!(request.path, "/v23.0/106540352242922/messages");
        assert_eq!(request.header("authorization"), "Bearer token-of-the-system-user");
        assert_eq!(
            request.json(),
            json!({
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": "+15550100002",
                "biz_opaque_callback_data": "pg_12",
                "type": "template",
                "template": {
                    "name": "page",
                    "language": {"code": "en_US"},
                    "components": [{"type": "body", "parameters": [{
                        "type": "text",
                        "text": "SEV2 inc_7: checkout returns 500. https://example.slack.com/archives/C0123ABC",
                    }]}],
                },
            })
        );
    }

    #[tokio::test]
    async fn without_a_template_it_is_a_plain_text() {
        let peer = Peer::start(vec![Reply::json(200, json!({"messages": [{"id": "wamid.1"}]}))]).await;
        let mut config = config(&peer.base_url());
        config.template = None;
        let channel = WhatsappChannel::new(&config).unwrap();
        channel.page(&sample_page("+15550100002")).await.unwrap();
        let body = peer.only_request().json();
        assert_eq!(body["type"], "text");
        assert_eq!(body["text"]["preview_url"], false);
    }

    async fn refusal(status: u16, code: i64) -> PagingFault {
        let body = json!({"error": {"message": "(#x) No", "code": code, "error_data": {"details": "why"}}});
        let peer = Peer::start(vec![Reply::json(status, body)]).await;
        let channel = WhatsappChannel::new(&config(&peer.base_url())).unwrap();
        channel.page(&sample_page("+15550100002")).await.unwrap_err()
    }

    #[tokio::test]
    async fn each_refusal_is_told_apart_by_its_code() {
        assert!(matches!(refusal(400, 130_429).await, PagingFault::Retry { .. }));
        assert!(matches!(refusal(500, 131_000).await, PagingFault::Retry { .. }));
        let fault = refusal(400, 131_026).await;
        assert!(matches!(fault, PagingFault::Permanent { .. }));
        assert_eq!(*fault.why(), "WhatsApp answered 400: (#x) No: why (WhatsApp code 131026)");
        let fault = refusal(400, 131_047).await;
        assert!(fault.why().contains("paging.whatsapp.template"), "{fault}");
        let fault = refusal(401, 190).await;
        assert!(fault.why().contains("paging.whatsapp.access_token"), "{fault}");
        assert!(!format!("{fault:?}").contains("token-of-the-system-user"), "{fault:?}");
    }

    #[test]
    fn settings_are_checked_and_the_token_is_never_printed() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut wrong = config("https://graph.facebook.com");
        wrong.phone_number_id = "+15550100002".to_owned();
        wrong.version = "23".to_owned();
        assert_eq!(wrong.validate().len(), 2);
        let right = config("https://graph.facebook.com");
        let channel = WhatsappChannel::new(&right).unwrap();
        let printed = format!("{right:?} {channel:?}");
        assert!(!printed.contains("token-of-the-system-user"), "{printed}");
    }
}
