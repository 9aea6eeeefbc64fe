//! Telephone calls through Twilio (`POST …/Calls.json` with TwiML).

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use super::settings::{is_phone_number, push};
use super::twilio::{self, Account, Fate, Twilio};
use super::{Delivery, Page, PagingChannel, PagingFault, PagingKind, Receipt, SettingFault, TOTAL_TIMEOUT};

const PLACE: &str = "paging.voice";
/// The most that is said; Twilio takes 4000 characters of TwiML.
const LONGEST: usize = 1000;

/// `paging.voice` in the settings.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoiceConfig {
    /// Twilio's account id, `AC…`.
    pub account_sid: String,
    /// Twilio's token for that account.
    #[schemars(with = "String")]
    pub auth_token: SecretString,
    /// The number that calls come from.
    pub from: String,
    /// How long the telephone rings, in seconds.
    #[serde(default = "default_ring_seconds")]
    pub ring_seconds: u16,
    /// The voice for each language, e.g. `fr: Polly.Lea`; Twilio's own where none is named.
    #[serde(default)]
    pub voices: BTreeMap<String, String>,
    /// Another address of the API, for tests and for Twilio's regions.
    #[serde(default = "twilio::default_base_url")]
    pub base_url: String,
}

const fn default_ring_seconds() -> u16 {
    30
}

impl VoiceConfig {
    /// Every fault, with its cure.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        self.account().validate(&mut faults);
        if !is_phone_number(&self.from) {
            push(&mut faults, "paging.voice.from", "this must be a number such as +15550100123");
        }
        if !(5..=600).contains(&self.ring_seconds) {
            push(&mut faults, "paging.voice.ring_seconds", "this must be between 5 and 600 seconds");
        }
        faults
    }

    fn account(&self) -> Account<'_> {
        Account { place: PLACE, account_sid: &self.account_sid, auth_token: &self.auth_token, base_url: &self.base_url }
    }
}

/// Calls people and reads a text to them, twice.
#[derive(Debug)]
pub struct VoiceChannel {
    twilio: Twilio,
    from: String,
    ring_seconds: String,
    voices: BTreeMap<String, String>,
}

impl VoiceChannel {
    /// Makes the channel.
    ///
    /// # Errors
    /// Every fault in the settings.
    pub fn new(config: &VoiceConfig) -> Result<Self, Vec<SettingFault>> {
        Self::with_timeout(config, TOTAL_TIMEOUT)
    }

    fn with_timeout(config: &VoiceConfig, timeout: Duration) -> Result<Self, Vec<SettingFault>> {
        let faults = config.validate();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            twilio: Twilio::new(&config.account(), timeout)?,
            from: config.from.clone(),
            ring_seconds: config.ring_seconds.to_string(),
            voices: config.voices.clone(),
        })
    }
}

#[async_trait]
impl PagingChannel for VoiceChannel {
    fn kind(&self) -> PagingKind {
        PagingKind::Voice
    }

    async fn page(&self, page: &Page) -> Result<Receipt, PagingFault> {
        let to = twilio::phone_number(&page.to)?;
        let voice = self.voices.get(&page.locale).map(String::as_str);
        let twiml = twiml(&page.spoken, &page.locale, voice);
        let form = [
            ("To", to),
            ("From", self.from.as_str()),
            ("Timeout", self.ring_seconds.as_str()),
            ("Twiml", twiml.as_str()),
        ];
        self.twilio.create("Calls", &form).await
    }

    async fn look_up(&self, provider_id: &str) -> Result<Delivery, PagingFault> {
        self.twilio.read("Calls", provider_id, fate).await
    }
}

/// Twilio's page “Call status values”.
fn fate(status: &str) -> Fate {
    match status {
        "in-progress" | "completed" => Fate::Reached,
        "busy" | "failed" | "no-answer" | "canceled" => Fate::Missed,
        _ => Fate::Underway,
    }
}

/// What the telephone says: the text twice, with a pause, for nobody catches it all the first time.
fn twiml(spoken: &str, locale: &str, voice: Option<&str>) -> String {
    let spoken: String = spoken.chars().take(LONGEST).collect();
    let language = match locale {
        "en" => "en-GB",
        "fr" => "fr-FR",
        other => other,
    };
    let voice = voice.map_or_else(String::new, |voice| format!(" voice=\"{}\"", xml(voice)));
    let say = format!("<Say language=\"{}\"{voice}>{}</Say>", xml(language), xml(&spoken));
    format!("<Response><Pause length=\"1\"/>{say}<Pause length=\"2\"/>{say}</Response>")
}

fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\r' | '\t' => safe.push(' '),
            // XML 1.0 has no way to write the other control characters.
            control if control.is_control() => {}
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::sample_page;
    use super::super::wire::{Peer, Reply};
    use super::*;
    use serde_json::json;

    const SID: &str = "AC0123456789abcdef0123456789abcdef";

    fn config(base_url: &str) -> VoiceConfig {
        VoiceConfig {
            account_sid: SID.to_owned(),
            auth_token: "token-of-the-account".into(),
            from: "+15550100001".to_owned(),
            ring_seconds: 25,
            voices: BTreeMap::from([("fr".to_owned(), "Polly.Lea".to_owned())]),
            base_url: base_url.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_call_says_the_text_twice_in_the_person_s_language() {
        let reply = Reply::json(201, json!({"sid": "CA1", "status": "queued"}));
        let peer = Peer::start(vec![reply]).await;
        let channel = VoiceChannel::new(&config(&peer.base_url())).unwrap();
        let mut page = sample_page("+15550100002");
        page.locale = "fr".to_owned();
        let receipt = channel.page(&page).await.unwrap();
        assert_eq!(receipt.provider_id.as_deref(), Some("CA1"));
        let request = peer.only_request();
        assert_eq!(request.path, format!("/2010-04-01/Accounts/{SID}/Calls.json"));
        let form = request.form();
        let say =
            "<Say language=\"fr-FR\" voice=\"Polly.Lea\">Incident in progress: checkout returns 500 &amp; more.</Say>";
        assert_eq!(
            form,
            [
                ("To", "+15550100002".to_owned()),
                ("From", "+15550100001".to_owned()),
                ("Timeout", "25".to_owned()),
                ("Twiml", format!("<Response><Pause length=\"1\"/>{say}<Pause length=\"2\"/>{say}</Response>")),
            ]
            .map(|(name, value)| (name.to_owned(), value))
        );
    }

    #[tokio::test]
    async fn a_call_nobody_answers_is_a_miss() {
        let peer = Peer::start(vec![Reply::json(200, json!({"status": "no-answer"}))]).await;
        let channel = VoiceChannel::new(&config(&peer.base_url())).unwrap();
        assert_eq!(channel.look_up("CA1").await, Ok(Delivery::Missed { why: "Twilio: no-answer".to_owned() }));
    }

    #[tokio::test]
    async fn a_lost_answer_to_a_question_is_asked_again() {
        let peer = Peer::start(vec![Reply::HangUp]).await;
        let channel = VoiceChannel::new(&config(&peer.base_url())).unwrap();
        let result = channel.look_up("CA1").await;
        assert!(matches!(result, Err(PagingFault::Retry { .. })), "{result:?}");
    }

    #[tokio::test]
    async fn a_lost_answer_to_a_call_is_unknown() {
        let peer = Peer::start(vec![Reply::HangUp]).await;
        let channel = VoiceChannel::new(&config(&peer.base_url())).unwrap();
        let result = channel.page(&sample_page("+15550100002")).await;
        assert!(matches!(result, Err(PagingFault::Unknown { .. })), "{result:?}");
    }

    #[test]
    fn what_is_said_cannot_become_markup() {
        let text = twiml("</Say><Hangup/>\u{7}\n\"x\"", "en", None);
        assert!(text.contains("&lt;/Say&gt;&lt;Hangup/&gt; &quot;x&quot;"), "{text}");
    }

    #[test]
    fn settings_are_checked() {
        let mut wrong = config("https://api.twilio.com");
        wrong.from = "Vigie".to_owned();
        wrong.ring_seconds = 2;
        assert_eq!(wrong.validate().len(), 2);
        assert!(config("https://api.twilio.com").validate().is_empty());
    }

    #[test]
    fn the_token_is_never_printed() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let config = config("https://api.twilio.com");
        let channel = VoiceChannel::new(&config).unwrap();
        let printed = format!("{config:?} {channel:?}");
        assert!(!printed.contains("token-of-the-account"), "{printed}");
    }
}
