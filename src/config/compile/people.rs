//! Contacts and the ways that reach them (E3, E4).

use std::collections::BTreeMap;

use super::{Contacts, Sources};
use crate::config::fault::Findings;
use crate::config::file;
use crate::config::near;
use crate::config::words::{At, Name};
use crate::incident::id::UserId;
use crate::incident::people::{Contact, Way};

impl Sources<'_> {
    /// Every contact, with what cannot reach them noted.
    pub fn contacts(&self, findings: &mut Findings<'_>) -> Contacts {
        let mut contacts = BTreeMap::new();
        for (key, written) in &self.file.contacts.0 {
            let contact = contact(&key.0, written);
            for way in written.page_with.iter().flatten().chain(&written.fall_over) {
                self.check_way(key, &contact, way, findings);
            }
            for again in repeated(written) {
                let what = format!("“{}” is told twice by {}", key.0, again.value);
                findings.warning(Some(again.place), what, "name each way once, in page_with or in fall_over");
            }
            self.check_routing(written, findings);
            contacts.insert(key.0.clone(), contact);
        }
        self.check_slack_ids(findings);
        contacts
    }

    /// Whose each account of a terminal is. They are known to the rules by their Slack IDs, as everywhere.
    pub fn accounts(&self, findings: &mut Findings<'_>) -> BTreeMap<String, UserId> {
        let mut accounts: BTreeMap<String, UserId> = BTreeMap::new();
        for (key, written) in &self.file.contacts.0 {
            let Some(account) = &written.account else { continue };
            let Some(slack) = &written.slack else {
                let what = format!("“{}” has an account and no Slack ID, by which approvers are known", key.0);
                findings.fault(Some(account.place), what, format!("add “slack: U012AB3CD” to “{}”", key.0));
                continue;
            };
            if accounts.insert(account.value.clone(), UserId(slack.value.0.clone())).is_some() {
                let what = format!("two contacts have the account “{}”", account.value);
                findings.fault(Some(account.place), what, "give each person their own");
            }
        }
        accounts
    }

    fn check_way(&self, key: &At<Name>, contact: &Contact, way: &At<Way>, findings: &mut Findings<'_>) {
        let (missing, field, example) = match way.value {
            Way::Slack => ("Slack ID", "slack", "U012AB3CD"),
            Way::Email => ("e-mail address", "email", "lead@example.com"),
            Way::Sms | Way::Voice => ("phone number", "phone", "+15550100123"),
            Way::Whatsapp => ("phone number", "whatsapp", "+15550100123"),
            Way::Pagerduty => ("routing key", "pagerduty", "name-of-the-key"),
            Way::Webhook => ("address", "webhook", "true"),
        };
        let is_noted = self.is_broken(&format!("contacts.{}.{field}", key.0));
        if contact.address(way.value).is_none() && !is_noted {
            let what = format!("“{}” is to be reached by {}, but has no {missing}", key.0, way.value);
            findings.fault(
                Some(way.place),
                what,
                format!("add “{field}: {example}” to “{}”, or take {} away", key.0, way.value),
            );
        }
        if !self.is_set_up(way.value) && !self.is_broken(&format!("paging.{}", way.value)) {
            let what = format!("{} is not set up in this file", way.value);
            findings.fault(
                Some(way.place),
                what,
                format!("add “{0}:” under “paging:”, or take {0} away here", way.value),
            );
        }
    }

    fn check_routing(&self, written: &file::Contact, findings: &mut Findings<'_>) {
        let (Some(name), Some(pagerduty)) = (&written.pagerduty, &self.file.paging.pagerduty) else { return };
        if !pagerduty.routing_keys.contains_key(&name.value) && !self.has_faults("paging") {
            let what = format!("there is no routing key “{}” under paging.pagerduty.routing_keys", name.value);
            let cure = near::cure(&name.value, pagerduty.routing_keys.keys().map(String::as_str));
            findings.fault(Some(name.place), what, cure);
        }
    }

    fn check_slack_ids(&self, findings: &mut Findings<'_>) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, contact) in &self.file.contacts.0 {
            let Some(slack) = &contact.slack else { continue };
            if let Some(other) = seen.insert(slack.value.0.as_str(), &key.0) {
                let what = format!("“{other}” and “{}” are the same person in Slack", key.0);
                findings.fault(Some(slack.place), what, "keep one of them, or put the right ID");
            }
        }
    }

    fn is_set_up(&self, way: Way) -> bool {
        let paging = &self.file.paging;
        match way {
            Way::Slack => true,
            Way::Email => paging.email.is_some(),
            Way::Sms => paging.sms.is_some(),
            Way::Voice => paging.voice.is_some(),
            Way::Whatsapp => paging.whatsapp.is_some(),
            Way::Pagerduty => paging.pagerduty.is_some(),
            Way::Webhook => paging.webhook.is_some(),
        }
    }
}

fn contact(key: &str, written: &file::Contact) -> Contact {
    let ways = |ways: &[At<Way>]| {
        let mut distinct: Vec<Way> = Vec::new();
        for way in ways {
            if !distinct.contains(&way.value) {
                distinct.push(way.value);
            }
        }
        distinct
    };
    let mut other = BTreeMap::new();
    if let Some(phone) = &written.whatsapp {
        other.insert(Way::Whatsapp, phone.0.clone());
    }
    if let Some(name) = &written.pagerduty {
        other.insert(Way::Pagerduty, name.value.clone());
    }
    // The team's own endpoint is told whom a page is for by the contact's key.
    other.insert(Way::Webhook, key.to_owned());
    let page_with = match &written.page_with {
        Some(named) => ways(named),
        None if written.slack.is_some() => vec![Way::Slack],
        None => Vec::new(),
    };
    Contact {
        key: key.to_owned(),
        name: written.name.clone(),
        slack: written.slack.as_ref().map(|slack| UserId(slack.value.0.clone())),
        email: written.email.as_ref().map(|email| email.0.clone()),
        phone: written.phone.as_ref().map(|phone| phone.0.clone()),
        other,
        locale: written.locale.as_ref().map(|locale| locale.0.clone()),
        zone: written.zone.as_ref().map(|zone| zone.0.clone()),
        fall_over: ways(&written.fall_over).into_iter().filter(|way| !page_with.contains(way)).collect(),
        page_with,
    }
}

/// Ways that were named before.
fn repeated(written: &file::Contact) -> Vec<&At<Way>> {
    let named: Vec<&At<Way>> = written.page_with.iter().flatten().chain(&written.fall_over).collect();
    let earlier = |n: usize, way: Way| named.iter().take(n).any(|other| other.value == way);
    named.iter().enumerate().filter(|(n, way)| earlier(*n, way.value)).map(|(_, way)| *way).collect()
}
