//! People: who acts, who can be reached and how, who holds which role (field procedures E3, E4, E6).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::UserId;

/// Who caused something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person in Slack.
    Person(UserId),
    /// A person at a terminal, by the account's name.
    Terminal(String),
    /// Vigie itself: a timer, a result that came back.
    Vigie,
}

impl Actor {
    /// The Slack person behind it, if there is one.
    pub fn person(&self) -> Option<&UserId> {
        match self {
            Actor::Person(user) => Some(user),
            Actor::Terminal(_) | Actor::Vigie => None,
        }
    }
}

/// A way to reach a person (field procedure E4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// A direct message in Slack with an Acknowledge button.
    Slack,
    /// An e-mail.
    Email,
    /// A text message.
    Sms,
    /// A phone call that reads the page out.
    Voice,
    /// A WhatsApp message.
    Whatsapp,
    /// A PagerDuty event.
    Pagerduty,
    /// An HTTP POST to the team's own endpoint.
    Webhook,
}

impl Way {
    /// The word used in configuration, labels and the timeline.
    pub const fn word(self) -> &'static str {
        match self {
            Way::Slack => "slack",
            Way::Email => "email",
            Way::Sms => "sms",
            Way::Voice => "voice",
            Way::Whatsapp => "whatsapp",
            Way::Pagerduty => "pagerduty",
            Way::Webhook => "webhook",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A person of the emergency plan, as configured (E3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The short name used in the configuration and in `/incident page <person>`.
    pub key: String,
    /// How people know them: a role or a name.
    pub name: String,
    /// Their Slack id.
    pub slack: Option<UserId>,
    /// Their address.
    pub email: Option<String>,
    /// Their number in E.164 form.
    pub phone: Option<String>,
    /// PagerDuty routing key's name, webhook name … for the ways that need something else than the above.
    pub other: std::collections::BTreeMap<Way, String>,
    /// The language they are paged in; the workspace's when absent.
    pub locale: Option<String>,
    /// IANA time zone, for times in e-mails and text messages.
    pub zone: Option<String>,
    /// The ways used together, at once, when they are paged.
    pub page_with: Vec<Way>,
    /// The ways tried next, one after another, when one of the first fails (E4).
    pub fall_over: Vec<Way>,
}

impl Contact {
    /// Where `way` reaches this person, if it does.
    pub fn address(&self, way: Way) -> Option<String> {
        match way {
            Way::Slack => self.slack.as_ref().map(|user| user.0.clone()),
            Way::Email => self.email.clone(),
            Way::Sms | Way::Voice => self.phone.clone(),
            Way::Whatsapp => self.other.get(&way).or(self.phone.as_ref()).cloned(),
            Way::Pagerduty | Way::Webhook => self.other.get(&way).cloned(),
        }
    }
}

/// What a responder is there for (E6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Leads the response and decides.
    Commander,
    /// Does or directs the technical work.
    Operations,
    /// Speaks to customers and to the rest of the company.
    Communications,
    /// Keeps the record.
    Scribe,
}

impl Role {
    /// Every role, in the order in which cards show them.
    pub const ALL: [Role; 4] = [Role::Commander, Role::Operations, Role::Communications, Role::Scribe];

    /// The word used in commands and label keys.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Commander => "commander",
            Role::Operations => "operations",
            Role::Communications => "communications",
            Role::Scribe => "scribe",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = ();
    /// Takes the word and what people say instead, in either language: `ic`, `ops`, `comms`, `rapporteur`.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_lowercase().as_str() {
            "commander" | "ic" | "incident-commander" | "responsable" => Ok(Role::Commander),
            "operations" | "ops" | "operations-lead" | "opérations" => Ok(Role::Operations),
            "communications" | "comms" | "communication" | "communications-lead" => Ok(Role::Communications),
            "scribe" | "rapporteur" => Ok(Role::Scribe),
            _ => Err(()),
        }
    }
}
