//! What the configuration allows, in the core's own words. Compiled once from the files; read-only afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::approval::{ApprovalRule, Approver, CheckItem, Choosing, Class, KeepState, Risk};
use super::id::{ChannelId, UserId};
use super::people::Contact;
use super::severity::Severity;
use super::state::Incident;
use super::time::Millis;
use super::window::Window;

/// Everything `decide` needs to know about the team.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rules {
    /// The severities, worst first; never empty.
    pub severities: Vec<Severity>,
    /// The severity of an incident declared without one.
    pub default_severity: String,
    /// Everybody of the emergency plan, by key.
    pub contacts: BTreeMap<String, Contact>,
    /// Who types at a terminal, by the name of their account there.
    #[serde(default)]
    pub accounts: BTreeMap<String, UserId>,
    /// The services, by key.
    pub services: BTreeMap<String, Service>,
    /// The runbook actions, by key.
    pub actions: BTreeMap<String, RunbookAction>,
    /// Where incidents are announced.
    pub announce_in: Option<ChannelId>,
    /// The workspace's language: `en` or `fr`.
    pub locale: String,
    /// The team's IANA time zone, for documents and text messages.
    pub zone: String,
    /// Incident channels' names start with this.
    pub channel_prefix: String,
    /// Incident channels are private.
    pub private_channels: bool,
    /// Who must approve a customer text.
    pub customer_approval: CustomerApproval,
    /// Where customer texts and internal texts go, as `<audience>/<destination>`.
    pub audiences: Audiences,
    /// People who are invited to each incident beside those who were paged.
    pub invite_always: Vec<UserId>,
    /// How long a snoozed reminder stays quiet.
    pub snooze: Millis,
    /// Public status page, named in customer texts.
    pub status_page: Option<String>,
    /// Contact named in customer texts.
    pub customer_contact: Option<String>,
    /// The name under which customers know the team, for the subject and the end of what they read.
    pub company: Option<String>,
}

/// Where texts go (section 8 of the field procedures).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audiences {
    /// For internal texts, beside the incident's channel.
    pub internal: Vec<String>,
    /// For customer texts.
    pub customer: Vec<String>,
}

/// The second pair of eyes on customer texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerApproval {
    /// Who may approve; anybody but the author when empty.
    pub by: Vec<super::approval::Approver>,
}

/// Something the team runs and can look at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its key in the configuration.
    pub key: String,
    /// Its name for people.
    pub title: String,
    /// Its checks, by key, with their titles (H7).
    pub checks: Vec<super::approval::Verification>,
    /// Other words that point to it in an incident's title.
    pub aliases: Vec<String>,
}

/// An action people may run, as far as the rules are concerned; how it is done is the provider's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunbookAction {
    /// Its key in the configuration.
    pub key: String,
    /// Its title for people.
    pub title: String,
    /// The service it belongs to.
    pub service: Option<String>,
    /// It takes the service back to an earlier state: offered by `/incident rollback`.
    pub is_rollback: bool,
    /// Urgent, planned or preventive (P4).
    pub class: Class,
    /// The most it may do; a plan that would do more is refused.
    pub risk: Risk,
    /// Who may approve.
    pub approval: ApprovalRule,
    /// What is ticked first (P5).
    pub checklist: Vec<CheckItem>,
    /// Whether a person may or must say where it goes.
    #[serde(default, skip_serializing_if = "Choosing::is_nothing")]
    pub choosing: Choosing,
    /// Who may approve in a drill, where that is another rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<ApprovalRule>,
    /// Who may approve alone in an emergency, for everybody to see; nobody when it is not configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Vec<Approver>>,
    /// When it may be approved (P8); always when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Whether the state is kept before it changes anything; off where no step can keep any.
    #[serde(default = "KeepState::off", skip_serializing_if = "KeepState::is_off")]
    pub keep_state: KeepState,
}

impl RunbookAction {
    /// The action with the rules that hold in this incident: a drill may have its own.
    pub fn in_incident(&self, drill: bool) -> Self {
        let approval = self.drill.as_ref().filter(|_| drill).unwrap_or(&self.approval).clone();
        Self { approval, ..self.clone() }
    }
}

impl Rules {
    /// The actions that the incident's severity proposes, in its order, without those of another service.
    pub fn proposed(&self, incident: &Incident) -> Vec<&RunbookAction> {
        let fits = |action: &&RunbookAction| {
            action.service.is_none() || incident.service.is_none() || action.service == incident.service
        };
        incident.severity.propose.iter().filter_map(|key| self.actions.get(key)).filter(fits).collect()
    }

    /// The severity a word means: its key, its label or one of its aliases, whatever the case.
    pub fn severity(&self, word: &str) -> Option<&Severity> {
        let same = |other: &str| other.to_lowercase() == word.to_lowercase();
        self.severities.iter().find(|s| same(&s.key) || same(&s.label) || s.aliases.iter().any(|a| same(a)))
    }

    /// The service a word means.
    pub fn service(&self, word: &str) -> Option<&Service> {
        let same = |other: &str| other.to_lowercase() == word.to_lowercase();
        self.services.values().find(|s| same(&s.key) || same(&s.title) || s.aliases.iter().any(|a| same(a)))
    }

    /// The service that a title speaks of: the first whose key, name or alias stands in it as a word; the only
    /// service when there is just one.
    pub fn service_in(&self, title: &str) -> Option<&Service> {
        if let (1, Some(only)) = (self.services.len(), self.services.values().next()) {
            return Some(only);
        }
        title.split(|c: char| !c.is_alphanumeric() && c != '-').find_map(|word| self.service(word))
    }

    /// The contact who has this Slack id.
    pub fn contact_of(&self, user: &UserId) -> Option<&Contact> {
        self.contacts.values().find(|contact| contact.slack.as_ref() == Some(user))
    }
}
