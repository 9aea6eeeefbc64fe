//! `severity`: it is worse, or less bad, than was thought.

use serde::{Deserialize, Serialize};

use super::{Text, must_be_open};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::people::Contact;
use crate::incident::rules::Rules;
use crate::incident::state::{Incident, Status};
use crate::incident::timeline::{Fact, PageWhy};
use crate::incident::words::{Refusal, Words};

/// Change the severity.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct SeverityCommand {
    /// The severity.
    pub severity: String,
    /// Why.
    #[command(flatten)]
    pub reason: Text,
}

impl SeverityCommand {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        let severity = context.rules.severity(&self.severity).ok_or_else(|| unknown(context.rules, &self.severity))?;
        if severity.key == incident.severity.key {
            return Err(Refusal::new("refusal.same_severity").with("severity", severity.label.as_str()));
        }
        let other_policy = severity.policy.name != incident.severity.policy.name;
        let worse = severity.rank < incident.severity.rank;
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::SeverityChanged { severity: Box::new(severity.clone()), reason: self.reason.optional() });
        draft.notice();
        if other_policy && incident.status == Status::Triggered {
            draft.page_level(0, 0, false);
        } else if worse && incident.status == Status::Acknowledged {
            tell_new_first_level(&mut draft);
        }
        draft.refresh().refresh_pages();
        draft.reply(Words::new("reply.severity").with("severity", severity.label.as_str()));
        Ok(draft.finish())
    }
}

/// Somebody is on it already, so nothing climbs; but whoever is first for the worse severity is told now.
fn tell_new_first_level(draft: &mut Draft<'_>) {
    let first = draft.incident.severity.policy.levels.first().map(|level| level.contacts.clone()).unwrap_or_default();
    let paged = |contact: &Contact| draft.incident.pages.values().any(|page| page.contact.key == contact.key);
    let new: Vec<Contact> = first.into_iter().filter(|contact| !paged(contact)).collect();
    for contact in &new {
        draft.page(contact, PageWhy::Worse, None);
    }
}

pub(super) fn unknown(rules: &Rules, word: &str) -> Refusal {
    let known: Vec<serde_json::Value> = rules.severities.iter().map(|severity| severity.key.as_str().into()).collect();
    Refusal::new("refusal.unknown_severity").with("found", word).with("known", known)
}
