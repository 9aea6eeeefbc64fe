//! Telling many people: audiences, and the places each of them reads (field-procedure rows M1–M8).
//!
//! A message comes in already written and approved; it goes to every destination of an audience, and each
//! destination reports for itself, so that the outbox can hold one row per destination and send again only
//! where something was missed. E-mail, SMS and WhatsApp use the senders of `paging`; Slack channels are
//! delivered by the Slack room, and only named here.
//!
//! This room writes no text, decides nothing about who may speak to customers, and reads no clock.

mod settings;
mod status_page;

#[cfg(test)]
mod promises;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::incident::words::Words;
use crate::paging::PagingFault;
use crate::paging::Receipt;
use crate::paging::email::{EmailChannel, Letter};
use crate::paging::sms::SmsChannel;
use crate::paging::webhook::WebhookChannel;
use crate::paging::whatsapp::WhatsappChannel;

pub use settings::{AudienceConfig, CommsConfig, DestinationConfig};
pub use status_page::{RequestConfig, StatusPageConfig};

use status_page::StatusPage;

/// How many numbers of a list are written to at the same time; providers throttle more.
const SIDE_BY_SIDE: usize = 4;

/// Whether a message may name what only the team should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AudienceKind {
    /// Customers: every message is previewed and approved first.
    Customer,
    /// The team and its management.
    Internal,
}

/// Which part of the story a message tells; a status page is opened, updated, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The first word about the incident.
    Open,
    /// Every word in between.
    Update,
    /// The last word.
    Resolved,
}

impl Phase {
    /// The word used in settings, in bodies and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Resolved => "resolved",
        }
    }
}

/// People who are told the same things, in the same language.
#[derive(Debug)]
pub struct Audience {
    /// Its name in the settings.
    pub name: String,
    /// Customers or the team.
    pub kind: AudienceKind,
    /// The language its messages are written in, `en` or `fr`.
    pub locale: String,
    /// Where they read, in the order of the settings.
    pub destinations: Vec<Destination>,
}

/// One place an audience reads.
#[derive(Debug)]
pub struct Destination {
    /// Its name in the settings, unique in its audience.
    pub name: String,
    outlet: Outlet,
}

enum Outlet {
    Slack(String),
    Email { to: Vec<String>, from: Option<String> },
    Sms(Vec<String>),
    Whatsapp(Vec<String>),
    Webhook(WebhookChannel),
    StatusPage(Box<StatusPage>),
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Outlet {
    const fn word(&self) -> &'static str {
        match self {
            Self::Slack(_) => "slack",
            Self::Email { .. } => "email",
            Self::Sms(_) => "sms",
            Self::Whatsapp(_) => "whatsapp",
            Self::Webhook(_) => "webhook",
            Self::StatusPage(_) => "status_page",
        }
    }
}

impl Destination {
    /// What kind of place it is: `slack`, `email`, `sms`, `whatsapp`, `webhook` or `status_page`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.outlet.word()
    }

    /// The Slack channel, where this is one.
    #[must_use]
    pub fn slack_channel(&self) -> Option<&str> {
        match &self.outlet {
            Outlet::Slack(channel) => Some(channel),
            _ => None,
        }
    }

    /// How many people or systems it stands for, for the preview (“e-mail to 42 addresses”).
    #[must_use]
    pub fn reach(&self) -> usize {
        match &self.outlet {
            Outlet::Email { to, .. } | Outlet::Sms(to) | Outlet::Whatsapp(to) => to.len(),
            Outlet::Slack(_) | Outlet::Webhook(_) | Outlet::StatusPage(_) => 1,
        }
    }
}

/// A message, written in the audience's language and approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Stable across attempts.
    pub id: String,
    /// When it was approved, milliseconds UTC.
    pub at: i64,
    /// Which part of the story it tells.
    pub phase: Phase,
    /// One line.
    pub subject: String,
    /// The whole text.
    pub text: String,
    /// The text for SMS.
    pub short: String,
    /// Where more can be read.
    pub link: Option<String>,
}

impl Message {
    /// The id under which the message goes to one destination: `<message id>/<destination>`.
    #[must_use]
    pub fn id_for(&self, destination: &str) -> String {
        format!("{}/{destination}", self.id)
    }
}

/// What a delivery needs to know of earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// The status page's own id of this incident, from the receipt of an earlier message.
    pub remote_id: Option<String>,
    /// Only these addresses of a list, where an earlier attempt missed them; empty means all.
    pub only: BTreeSet<String>,
}

/// An address, or the destination itself, that took the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The address, or the destination's name where it has no list.
    pub to: String,
    /// The provider's receipt; a status page's own id is its `provider_id`.
    pub receipt: Receipt,
}

/// An address, or the destination itself, that did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The address, or the destination's name where it has no list.
    pub to: String,
    /// Why, and whether another attempt is worth it.
    pub fault: PagingFault,
}

/// What became of a message at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The destination's name.
    pub destination: String,
    /// The id under which it was sent.
    pub id: String,
    /// What happened.
    pub result: Sent,
}

/// What happened at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A Slack channel: the Slack room posts it.
    BySlackRoom {
        /// The channel.
        channel: String,
    },
    /// Everything else: who got it and who did not.
    Here {
        /// Who took it.
        taken: Vec<Taken>,
        /// Who did not, and why.
        missed: Vec<Missed>,
    },
}

impl Outcome {
    /// Whether nobody was missed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missed().is_empty()
    }

    /// Who was missed.
    #[must_use]
    pub fn missed(&self) -> &[Missed] {
        match &self.result {
            Sent::Here { missed, .. } => missed,
            Sent::BySlackRoom { .. } => &[],
        }
    }

    /// The addresses that another attempt may reach; give them as [`Earlier::only`].
    #[must_use]
    pub fn worth_retrying(&self) -> BTreeSet<String> {
        self.missed()
            .iter()
            .filter(|missed| matches!(missed.fault, PagingFault::Retry { .. }))
            .map(|missed| missed.to.clone())
            .collect()
    }
}

/// The name in an order is none that the settings know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownPlace(pub Words);

#[derive(Debug, Default)]
struct Senders {
    email: Option<EmailChannel>,
    sms: Option<SmsChannel>,
    whatsapp: Option<WhatsappChannel>,
}

/// Every audience and the means to reach it. Made by [`CommsConfig::build`].
#[derive(Debug)]
pub struct Comms {
    audiences: BTreeMap<String, Audience>,
    senders: Senders,
}

impl Comms {
    /// Every audience, by name.
    pub fn audiences(&self) -> impl Iterator<Item = &Audience> {
        self.audiences.values()
    }

    /// One audience.
    ///
    /// # Errors
    /// [`UnknownPlace`] with the names there are.
    pub fn audience(&self, name: &str) -> Result<&Audience, UnknownPlace> {
        self.audiences.get(name).ok_or_else(|| {
            let known = names(self.audiences.keys().map(String::as_str));
            UnknownPlace(Words::new("paging_fault.no_audience").with("audience", name).with("known", known))
        })
    }

    /// Sends to one destination.
    ///
    /// # Errors
    /// [`UnknownPlace`] when the settings have changed since the order was given; failures of the
    /// destination are in the outcome.
    pub async fn deliver(
        &self,
        audience: &str,
        destination: &str,
        message: &Message,
        earlier: &Earlier,
    ) -> Result<Outcome, UnknownPlace> {
        let audience = self.audience(audience)?;
        let destination = audience.destinations.iter().find(|it| it.name == destination).ok_or_else(|| {
            let known = names(audience.destinations.iter().map(|it| it.name.as_str()));
            let words = Words::new("paging_fault.no_destination").with("audience", audience.name.as_str());
            UnknownPlace(words.with("destination", destination).with("known", known))
        })?;
        Ok(self.send(audience, destination, message, earlier).await)
    }

    async fn send(
        &self,
        audience: &Audience,
        destination: &Destination,
        message: &Message,
        earlier: &Earlier,
    ) -> Outcome {
        let id = message.id_for(&destination.name);
        let result = match &destination.outlet {
            Outlet::Slack(channel) => Sent::BySlackRoom { channel: channel.clone() },
            Outlet::Email { to, from } => {
                let to = chosen(to, earlier);
                self.email(&id, &to, from.as_deref(), message).await
            }
            Outlet::Sms(to) => self.sms(&chosen(to, earlier), message).await,
            Outlet::Whatsapp(to) => {
                let to = chosen(to, earlier);
                self.whatsapp(&id, &to, message, &audience.locale).await
            }
            Outlet::Webhook(hook) => {
                let body = HookBody::new(&id, audience, message);
                one(&destination.name, hook.post(&id, &body).await)
            }
            Outlet::StatusPage(page) => {
                let sent = page.post(&id, message, earlier.remote_id.as_deref(), &audience.locale);
                one(&destination.name, sent.await)
            }
        };
        Outcome { destination: destination.name.clone(), id, result }
    }

    async fn email(&self, id: &str, to: &[String], from: Option<&str>, message: &Message) -> Sent {
        let Some(sender) = &self.senders.email else {
            return nobody_got_it(to, &not_set_up("email"));
        };
        let letter =
            Letter { id, at: message.at, to, from, subject: &message.subject, text: &message.text, urgent: false };
        match sender.post(letter).await {
            Err(fault) => nobody_got_it(to, &fault),
            Ok(posted) => {
                let refused: BTreeSet<&str> = posted.refused.iter().map(|(to, _)| to.as_str()).collect();
                let taken = to
                    .iter()
                    .filter(|to| !refused.contains(to.as_str()))
                    .map(|to| Taken { to: to.clone(), receipt: posted.receipt.clone() })
                    .collect();
                let missed = posted.refused.into_iter();
                let missed = missed.map(|(to, fault)| Missed { to, fault }).collect();
                Sent::Here { taken, missed }
            }
        }
    }

    async fn sms(&self, to: &[String], message: &Message) -> Sent {
        let Some(sender) = &self.senders.sms else {
            return nobody_got_it(to, &not_set_up("sms"));
        };
        let sends = to.iter().cloned().map(|to| async move {
            let result = sender.text(&to, &message.short).await;
            (to, result)
        });
        gathered(stream::iter(sends).buffered(SIDE_BY_SIDE).collect().await)
    }

    async fn whatsapp(&self, id: &str, to: &[String], message: &Message, locale: &str) -> Sent {
        let Some(sender) = &self.senders.whatsapp else {
            return nobody_got_it(to, &not_set_up("whatsapp"));
        };
        let sends = to.iter().cloned().map(|to| async move {
            let own_id = format!("{id}/{to}");
            let result = sender.text(&own_id, &to, &message.short, locale).await;
            (to, result)
        });
        gathered(stream::iter(sends).buffered(SIDE_BY_SIDE).collect().await)
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn not_set_up(way: &str) -> PagingFault {
    PagingFault::Permanent { why: Words::new("paging_fault.not_set_up").with("setting", format!("paging.{way}")) }
}

/// The addresses of the list that this attempt is for.
fn chosen(to: &[String], earlier: &Earlier) -> Vec<String> {
    to.iter().filter(|to| earlier.only.is_empty() || earlier.only.contains(*to)).cloned().collect()
}

fn one(destination: &str, result: Result<Receipt, PagingFault>) -> Sent {
    let to = destination.to_owned();
    gathered(vec![(to, result)])
}

fn nobody_got_it(to: &[String], fault: &PagingFault) -> Sent {
    let all = to.iter().map(|to| (to.clone(), Err(fault.clone()))).collect();
    gathered(all)
}

fn gathered(results: Vec<(String, Result<Receipt, PagingFault>)>) -> Sent {
    let mut taken = Vec::new();
    let mut missed = Vec::new();
    for (to, result) in results {
        match result {
            Ok(receipt) => taken.push(Taken { to, receipt }),
            Err(fault) => missed.push(Missed { to, fault }),
        }
    }
    Sent::Here { taken, missed }
}

/// What a webhook of an audience receives.
#[derive(Serialize)]
struct HookBody<'a> {
    id: &'a str,
    kind: &'static str,
    at: i64,
    audience: &'a str,
    audience_kind: AudienceKind,
    phase: Phase,
    subject: &'a str,
    text: &'a str,
    link: Option<&'a str>,
    locale: &'a str,
}

impl<'a> HookBody<'a> {
    fn new(id: &'a str, audience: &'a Audience, message: &'a Message) -> Self {
        Self {
            id,
            kind: "message",
            at: message.at,
            audience: &audience.name,
            audience_kind: audience.kind,
            phase: message.phase,
            subject: &message.subject,
            text: &message.text,
            link: message.link.as_deref(),
            locale: &audience.locale,
        }
    }
}
