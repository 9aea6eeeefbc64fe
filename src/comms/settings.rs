//! `comms:` in the settings, and what can be wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::status_page::{StatusPage, StatusPageConfig};
use super::{Audience, AudienceKind, Comms, Destination, Outlet, Senders};
use crate::paging::email::EmailChannel;
use crate::paging::sms::SmsChannel;
use crate::paging::webhook::{WebhookChannel, WebhookConfig};
use crate::paging::whatsapp::WhatsappChannel;
use crate::paging::{PagingConfig, SettingFault, TOTAL_TIMEOUT, is_email_address, is_phone_number, push};

/// `comms:` in the settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommsConfig {
    /// Audiences by name, e.g. `customers`, `management`.
    pub audiences: BTreeMap<String, AudienceConfig>,
}

/// One audience in the settings.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AudienceConfig {
    /// `customer` or `internal`.
    pub kind: AudienceKind,
    /// The language of its messages, `en` or `fr`; when it is not said, the team's.
    pub locale: Option<String>,
    /// Who its e-mails come from, if not the usual sender.
    pub from: Option<String>,
    /// Where it reads.
    pub destinations: Vec<DestinationConfig>,
}

fn english() -> String {
    "en".to_owned()
}

/// One destination in the settings: a name and exactly one place.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// Unique in its audience; part of the ids that go to providers.
    pub name: String,
    /// A Slack channel's id.
    pub slack: Option<String>,
    /// E-mail addresses.
    pub email: Option<Vec<String>>,
    /// Telephone numbers for SMS.
    pub sms: Option<Vec<String>>,
    /// Telephone numbers for WhatsApp.
    pub whatsapp: Option<Vec<String>>,
    /// A signed webhook.
    pub webhook: Option<WebhookConfig>,
    /// A status page.
    pub status_page: Option<StatusPageConfig>,
}

impl CommsConfig {
    /// Makes every audience; e-mail, SMS and WhatsApp use the settings in `paging`.
    ///
    /// # Errors
    /// Every fault found, those of the ways in `paging` that audiences use among them.
    pub fn build(&self, paging: &PagingConfig) -> Result<Comms, Vec<SettingFault>> {
        self.with_timeout(paging, TOTAL_TIMEOUT)
    }

    pub(super) fn with_timeout(&self, paging: &PagingConfig, timeout: Duration) -> Result<Comms, Vec<SettingFault>> {
        let mut faults = Vec::new();
        let mut audiences = BTreeMap::new();
        for (name, config) in &self.audiences {
            let audience = audience(name, config, paging, timeout, &mut faults);
            audiences.insert(name.clone(), audience);
        }
        let senders = Senders {
            email: kept(paging.email.as_ref().map(EmailChannel::new), &mut faults),
            sms: kept(paging.sms.as_ref().map(SmsChannel::new), &mut faults),
            whatsapp: kept(paging.whatsapp.as_ref().map(WhatsappChannel::new), &mut faults),
        };
        if faults.is_empty() { Ok(Comms { audiences, senders }) } else { Err(faults) }
    }
}

fn kept<T>(built: Option<Result<T, Vec<SettingFault>>>, faults: &mut Vec<SettingFault>) -> Option<T> {
    match built? {
        Ok(made) => Some(made),
        Err(found) => {
            faults.extend(found);
            None
        }
    }
}

fn audience(
    name: &str,
    config: &AudienceConfig,
    paging: &PagingConfig,
    timeout: Duration,
    faults: &mut Vec<SettingFault>,
) -> Audience {
    let place = format!("comms.audiences.{name}");
    if config.destinations.is_empty() {
        let text = "an audience needs at least one destination";
        push(faults, &format!("{place}.destinations"), text);
    }
    if let Some(from) = config.from.as_deref().filter(|from| !is_email_address(from)) {
        let text = format!("“{from}” is no address; write Support <support@example.com>");
        push(faults, &format!("{place}.from"), text);
    }
    let locale = config.locale.clone().unwrap_or_else(english);
    if !["en", "fr"].contains(&locale.as_str()) {
        let text = format!("“{locale}” is not a language Vigie speaks; use en or fr");
        push(faults, &format!("{place}.locale"), text);
    }
    let mut seen = BTreeSet::new();
    let mut destinations = Vec::new();
    for (index, each) in config.destinations.iter().enumerate() {
        let place = format!("{place}.destinations[{index}]");
        if !is_name(&each.name) {
            let text = "a name has small letters, digits, - and _ only";
            push(faults, &format!("{place}.name"), text);
        }
        if !seen.insert(each.name.as_str()) {
            let text = format!("“{}” is there twice in this audience", each.name);
            push(faults, &format!("{place}.name"), text);
        }
        let outlet = outlet(each, config, paging, &place, timeout, faults);
        destinations.extend(outlet.map(|outlet| Destination { name: each.name.clone(), outlet }));
    }
    Audience { name: name.to_owned(), kind: config.kind, locale, destinations }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// The one place a destination names, or nothing and a fault.
fn outlet(
    config: &DestinationConfig,
    audience: &AudienceConfig,
    paging: &PagingConfig,
    place: &str,
    timeout: Duration,
    faults: &mut Vec<SettingFault>,
) -> Option<Outlet> {
    let mut outlets = Vec::new();
    if let Some(channel) = &config.slack {
        if !is_channel_id(channel) {
            let text = "this must be a channel's id such as C0123ABC (in Slack: channel details, at the bottom)";
            push(faults, &format!("{place}.slack"), text);
        }
        outlets.push(Some(Outlet::Slack(channel.clone())));
    }
    let mut list = |way: &str, to: &Option<Vec<String>>, set_up: bool, valid: fn(&str) -> bool| {
        to.as_ref().map(|to| {
            check_list(faults, &format!("{place}.{way}"), way, to, set_up, valid);
            to.clone()
        })
    };
    let email = list("email", &config.email, paging.email.is_some(), is_email_address);
    let sms = list("sms", &config.sms, paging.sms.is_some(), is_phone_number);
    let whatsapp = list("whatsapp", &config.whatsapp, paging.whatsapp.is_some(), is_phone_number);
    outlets.extend(email.map(|to| {
        let from = audience.from.clone();
        Some(Outlet::Email { to, from })
    }));
    outlets.extend(sms.map(|to| Some(Outlet::Sms(to))));
    outlets.extend(whatsapp.map(|to| Some(Outlet::Whatsapp(to))));
    if let Some(hook) = &config.webhook {
        let made = WebhookChannel::with_timeout(hook, &format!("{place}.webhook"), timeout);
        outlets.push(kept(Some(made), faults).map(Outlet::Webhook));
    }
    if let Some(page) = &config.status_page {
        let made = StatusPage::new(page, &format!("{place}.status_page"), timeout);
        outlets.push(kept(Some(made), faults).map(|page| Outlet::StatusPage(Box::new(page))));
    }
    if outlets.len() != 1 {
        let text = "a destination has exactly one of slack, email, sms, whatsapp, webhook, status_page";
        push(faults, place, text);
    }
    outlets.into_iter().next().flatten()
}

fn is_channel_id(text: &str) -> bool {
    text.starts_with(['C', 'G'])
        && text.len() >= 7
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

fn check_list(
    faults: &mut Vec<SettingFault>,
    place: &str,
    way: &str,
    to: &[String],
    set_up: bool,
    valid: fn(&str) -> bool,
) {
    if !set_up {
        let text = format!("set up paging.{way} first; this list is sent through it");
        push(faults, place, text);
    }
    if to.is_empty() {
        push(faults, place, "this list is empty");
    }
    for each in to.iter().filter(|each| !valid(each)) {
        let text = match way {
            "email" => format!("“{each}” is no e-mail address"),
            _ => format!("“{each}” is no telephone number such as +15550100123"),
        };
        push(faults, place, text);
    }
}
