//! Ways to reach a person who is on call: one file per way, all behind [`PagingChannel`].
//!
//! A channel takes one [`Page`] to one address and says what became of it. It never retries, never
//! chooses another way, never waits for an answer to the page, and knows nothing of incidents: the outbox
//! does all that. The page's id goes to the provider wherever that helps against sending twice
//! (durability rule 5). A new way is a new file and a line in [`build`].
//!
//! Of ours it uses only the core's words for sentences. It reads no clock and no environment. It talks only to the provider that its settings name.

pub mod email;
#[cfg(test)]
mod email_promises;
mod fault;
mod heartbeat;
mod http;
pub mod pagerduty;
mod settings;
pub mod sms;
mod smtp;
mod twilio;
pub mod voice;
pub mod webhook;
pub mod whatsapp;

#[cfg(test)]
pub(crate) mod smtp_peer;
#[cfg(test)]
pub(crate) mod wire;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::incident::words::Words;

pub(crate) use email::is_email_address;
pub use fault::PagingFault;
pub use heartbeat::Heartbeat;
pub(crate) use http::HttpClient;
pub use settings::{PagingConfig, SettingFault};
pub(crate) use settings::{checked_url, is_phone_number, push, required, url_setting};

/// The longest a single attempt may take, from the first packet to the last.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A way to reach somebody (field-procedure row E4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PagingKind {
    /// A direct message in Slack; sent by the Slack room, not by this one.
    Slack,
    /// E-mail over SMTP.
    Email,
    /// A text message through Twilio.
    Sms,
    /// A telephone call through Twilio.
    Voice,
    /// PagerDuty's Events API v2.
    Pagerduty,
    /// WhatsApp's Cloud API.
    Whatsapp,
    /// A signed HTTP request to an address of the team's own.
    Webhook,
}

impl PagingKind {
    /// Every kind, in the order in which they are listed to people.
    pub const ALL: [Self; 7] =
        [Self::Slack, Self::Email, Self::Sms, Self::Voice, Self::Pagerduty, Self::Whatsapp, Self::Webhook];

    /// The word used in settings, in the store and as the label `paging.<word>`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::Pagerduty => "pagerduty",
            Self::Whatsapp => "whatsapp",
            Self::Webhook => "webhook",
        }
    }

    /// Whether the receiving side drops a second delivery of the same page id, so that a page whose fate
    /// is unknown can be sent again without the person noticing. An SMS or a call twice is heard twice,
    /// and is still better than never.
    #[must_use]
    pub const fn drops_repeats(self) -> bool {
        match self {
            Self::Pagerduty | Self::Webhook | Self::Email => true,
            Self::Slack | Self::Sms | Self::Voice | Self::Whatsapp => false,
        }
    }
}

impl fmt::Display for PagingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no way to reach somebody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{asked}” is no way to reach somebody; use slack, email, sms, voice, pagerduty, whatsapp or webhook")]
pub struct UnknownPagingKind {
    asked: String,
}

impl FromStr for PagingKind {
    type Err = UnknownPagingKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownPagingKind { asked: text.to_owned() })
    }
}

/// One page to one person by one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Stable across attempts; what the provider uses to drop a repeat.
    pub id: String,
    /// When the page was made, milliseconds UTC. Stays the same across attempts.
    pub at: i64,
    /// The address, in the form of its kind: an e-mail address, a telephone number as `+15550100`, the
    /// name of a PagerDuty routing key, or the contact's name for a webhook.
    pub to: String,
    /// One line.
    pub subject: String,
    /// What is read.
    pub text: String,
    /// What is said on the telephone.
    pub spoken: String,
    /// Where the incident can be seen.
    pub link: Option<String>,
    /// The person's language, `en` or `fr`.
    pub locale: String,
}

impl Page {
    /// The text, with the link below it unless the text has it already.
    pub(crate) fn text_and_link(&self) -> String {
        match &self.link {
            Some(link) if !self.text.contains(link.as_str()) => {
                format!("{}\n\n{link}", self.text.trim_end())
            }
            _ => self.text.clone(),
        }
    }
}

/// The provider took the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's own id, to ask about it later.
    pub provider_id: Option<String>,
    /// What the provider said, in a few words, for the timeline.
    pub note: Words,
}

/// What became of an accepted page, as far as the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// On its way, or the provider does not tell.
    Underway {
        /// The provider's word.
        note: String,
    },
    /// It reached the person's device, or the call was answered.
    Reached {
        /// The provider's word.
        note: String,
    },
    /// It did not reach anybody: the next way is due at once (E4).
    Missed {
        /// Why, for the timeline.
        why: String,
    },
}

/// One way to reach a person.
#[async_trait]
pub trait PagingChannel: Send + Sync + fmt::Debug {
    /// Which way this is.
    fn kind(&self) -> PagingKind;

    /// Hands the page to the provider, within [`TOTAL_TIMEOUT`].
    ///
    /// # Errors
    /// [`PagingFault::Retry`] when nothing was sent and another attempt may work,
    /// [`PagingFault::Permanent`] when it will not, [`PagingFault::Unknown`] when the page may or may not
    /// have been taken.
    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault>;

    /// Asks the provider what became of a page it took. Ways whose provider does not tell say
    /// [`Delivery::Underway`].
    ///
    /// # Errors
    /// As [`PagingChannel::page`]; never [`PagingFault::Unknown`], for asking changes nothing.
    async fn look_up(&self, provider_id: &str) -> Result<Delivery, PagingFault> {
        Ok(Delivery::Underway { note: format!("{} does not report deliveries ({provider_id})", self.kind()) })
    }
}

/// The ways that are set up, in the order of [`PagingKind::ALL`].
///
/// # Errors
/// Every fault found in the settings.
pub fn build(config: &PagingConfig) -> Result<Vec<Arc<dyn PagingChannel>>, Vec<SettingFault>> {
    let mut channels: Vec<Arc<dyn PagingChannel>> = Vec::new();
    let mut faults = Vec::new();
    let built = [
        config.email.as_ref().map(|it| arc(email::EmailChannel::new(it))),
        config.sms.as_ref().map(|it| arc(sms::SmsChannel::new(it))),
        config.voice.as_ref().map(|it| arc(voice::VoiceChannel::new(it))),
        config.pagerduty.as_ref().map(|it| arc(pagerduty::PagerdutyChannel::new(it))),
        config.whatsapp.as_ref().map(|it| arc(whatsapp::WhatsappChannel::new(it))),
        config.webhook.as_ref().map(|it| arc(webhook::WebhookChannel::new(it))),
    ];
    for channel in built.into_iter().flatten() {
        match channel {
            Ok(channel) => channels.push(channel),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(channels) } else { Err(faults) }
}

type Built = Result<Arc<dyn PagingChannel>, Vec<SettingFault>>;

fn arc<T: PagingChannel + 'static>(channel: Result<T, Vec<SettingFault>>) -> Built {
    channel.map(|channel| Arc::new(channel) as Arc<dyn PagingChannel>)
}

#[cfg(test)]
pub(crate) fn sample_page(to: &str) -> Page {
    Page {
        id: "pg_12".to_owned(),
        at: 1_795_181_400_000,
        to: to.to_owned(),
        subject: "[SEV2] checkout returns 500".to_owned(),
        text: "SEV2 inc_7: checkout returns 500.".to_owned(),
        spoken: "Incident in progress: checkout returns 500 & more.".to_owned(),
        link: Some("https://example.slack.com/archives/C0123ABC".to_owned()),
        locale: "en".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_reads_back_what_it_prints() {
        for kind in PagingKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
        }
        assert!("pager".parse::<PagingKind>().is_err());
    }

    #[test]
    fn the_link_is_written_once() {
        let mut page = sample_page("x");
        assert!(page.text_and_link().ends_with("archives/C0123ABC"));
        page.text = page.text_and_link();
        assert_eq!(page.text_and_link(), page.text);
        page.link = None;
        assert_eq!(page.text_and_link(), page.text);
    }

    #[test]
    fn only_what_is_set_up_is_built() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let config: PagingConfig = serde_saphyr::from_str(
            "webhook:\n  url: https://pager.example.com/vigie\n  secret: 0123456789abcdef\n\
             pagerduty:\n  routing_keys: {platform: 0123456789abcdef0123456789abcdef}\n",
        )
        .unwrap();
        let channels = build(&config).unwrap();
        let kinds: Vec<PagingKind> = channels.iter().map(|channel| channel.kind()).collect();
        assert_eq!(kinds, [PagingKind::Pagerduty, PagingKind::Webhook]);
    }

    #[test]
    fn every_fault_of_every_way_is_told_at_once() {
        let config: PagingConfig = serde_saphyr::from_str(
            "webhook:\n  url: http://pager.example.com\n  secret: short\n\
             sms:\n  account_sid: XX\n  auth_token: ''\n  from: '0033'\n",
        )
        .unwrap();
        let faults = build(&config).unwrap_err();
        let settings: Vec<&str> = faults.iter().map(|fault| fault.setting.as_str()).collect();
        assert_eq!(
            settings,
            [
                "paging.sms.account_sid",
                "paging.sms.auth_token",
                "paging.sms.from",
                "paging.webhook.url",
                "paging.webhook.secret",
            ]
        );
    }

    #[test]
    fn a_setting_nobody_knows_is_refused() {
        let fault = serde_saphyr::from_str::<PagingConfig>("smms: {}").unwrap_err();
        assert!(fault.to_string().contains("smms"), "{fault}");
    }
}
