//! The settings of this room and what can be wrong with them.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use super::{email, pagerduty, sms, voice, webhook, whatsapp};

/// `paging:` in the settings: each way that is set up.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PagingConfig {
    /// E-mail over SMTP.
    pub email: Option<email::EmailConfig>,
    /// Text messages through Twilio.
    pub sms: Option<sms::SmsConfig>,
    /// Telephone calls through Twilio.
    pub voice: Option<voice::VoiceConfig>,
    /// PagerDuty's Events API v2.
    pub pagerduty: Option<pagerduty::PagerdutyConfig>,
    /// WhatsApp's Cloud API.
    pub whatsapp: Option<whatsapp::WhatsappConfig>,
    /// A signed HTTP request.
    pub webhook: Option<webhook::WebhookConfig>,
}

impl PagingConfig {
    /// Every fault in the settings, without building anything.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        faults.extend(self.email.iter().flat_map(email::EmailConfig::validate));
        faults.extend(self.sms.iter().flat_map(sms::SmsConfig::validate));
        faults.extend(self.voice.iter().flat_map(voice::VoiceConfig::validate));
        faults.extend(self.pagerduty.iter().flat_map(pagerduty::PagerdutyConfig::validate));
        faults.extend(self.whatsapp.iter().flat_map(whatsapp::WhatsappConfig::validate));
        faults.extend(self.webhook.iter().flat_map(webhook::WebhookConfig::validate));
        faults
    }
}

/// One fault in the settings: which one, and the sentence with the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    /// The dotted path, e.g. `paging.sms.auth_token`.
    pub setting: String,
    /// What is wrong and what to write instead. Never a secret's value.
    pub text: String,
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.text)
    }
}

pub(crate) fn push(faults: &mut Vec<SettingFault>, setting: &str, text: impl Into<String>) {
    faults.push(SettingFault { setting: setting.to_owned(), text: text.into() });
}

/// A secret that must not be blank.
pub(crate) fn required(faults: &mut Vec<SettingFault>, setting: &str, secret: &SecretString) {
    if secret.expose_secret().trim().is_empty() {
        push(faults, setting, "this must not be empty");
    }
}

/// An address that credentials or signed texts are sent to: https, or http on this very machine.
pub(crate) fn url_setting(faults: &mut Vec<SettingFault>, setting: &str, address: &str) {
    if let Err(text) = checked_url(address, false) {
        push(faults, setting, text);
    }
}

/// Reads an address and refuses what would send secrets in the clear.
pub(crate) fn checked_url(address: &str, plain_http: bool) -> Result<Url, String> {
    let url = Url::parse(address)
        .map_err(|fault| format!("this must be a whole address such as https://api.example.com ({fault})"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("this must not carry a user or password; use the settings for them".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_http || is_loopback(&url) => Ok(url),
        "http" => Err("this must begin with https://, for http is not encrypted".to_owned()),
        other => Err(format!("this must begin with https://, not {other}://")),
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A telephone number in the international form that providers want (E.164).
pub(crate) fn is_phone_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.chars().all(|digit| digit.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_travel_only_encrypted_or_on_this_machine() {
        for good in ["https://api.example.com", "http://127.0.0.1:8025", "http://[::1]/", "http://localhost/x"] {
            assert!(checked_url(good, false).is_ok(), "{good}");
        }
        for bad in ["http://api.example.com", "ftp://example.com", "api.example.com", "https://u:p@example.com"] {
            assert!(checked_url(bad, false).is_err(), "{bad}");
        }
        assert!(checked_url("http://relay.example.com", true).is_ok());
    }

    #[test]
    fn telephone_numbers_are_international() {
        assert!(is_phone_number("+15550100123"));
        for bad in ["15550100123", "+0155501001", "+1 555 0100", "+123456", "0155"] {
            assert!(!is_phone_number(bad), "{bad}");
        }
    }
}
