//! `page`: reach a person or a whole level now, whatever the ladder says.

use serde::{Deserialize, Serialize};

use super::{Text, Who, must_be_open, unknown_person};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::id::UserId;
use crate::incident::people::Contact;
use crate::incident::state::Incident;
use crate::incident::timeline::PageWhy;
use crate::incident::words::{Refusal, Words};

/// Page a person or a level now: `page lead`, `page @lead`, `page level 2`, `page 2`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Page {
    /// A contact, a mention, or a level's number.
    #[arg(value_name = "person|level")]
    pub whom: String,
    /// What to tell them.
    #[command(flatten)]
    pub message: Text,
}

impl Page {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        let (contacts, message) = self.whom(context, incident)?;
        let mut draft = Draft::of(context, incident);
        for contact in &contacts {
            draft.page(contact, PageWhy::ByHand, message.clone());
        }
        draft.refresh();
        let names: Vec<serde_json::Value> = contacts.iter().map(|contact| contact.name.as_str().into()).collect();
        draft.reply(Words::new("reply.paged").with("names", names));
        Ok(draft.finish())
    }

    fn whom(&self, context: Context<'_>, incident: &Incident) -> Result<(Vec<Contact>, Option<String>), Refusal> {
        let text = self.message.text();
        let (level, message) = if matches!(self.whom.to_lowercase().as_str(), "level" | "niveau") {
            let (number, rest) = text.split_once(char::is_whitespace).unwrap_or((text.as_str(), ""));
            let number = number.parse::<usize>().map_err(|_| {
                Refusal::new("refusal.which_level").with("levels", incident.severity.policy.levels.len())
            })?;
            (Some(number), rest.trim().to_owned())
        } else {
            (self.whom.parse::<usize>().ok(), text.clone())
        };
        let message = Some(message).filter(|message| !message.is_empty());
        if let Some(number) = level {
            return Ok((level_contacts(incident, number)?, message));
        }
        Ok((vec![person(context, &self.whom)?], message))
    }
}

fn level_contacts(incident: &Incident, number: usize) -> Result<Vec<Contact>, Refusal> {
    let levels = &incident.severity.policy.levels;
    let level = number.checked_sub(1).and_then(|index| levels.get(index));
    let refusal = || Refusal::new("refusal.no_such_level").with("found", number).with("levels", levels.len());
    level.map(|level| level.contacts.clone()).ok_or_else(refusal)
}

/// Somebody whom Slack knows and the plan does not: nobody has said how to reach them.
fn not_a_contact(context: Context<'_>, user: &UserId) -> Refusal {
    let known: Vec<serde_json::Value> = context.rules.contacts.keys().map(|key| key.as_str().into()).collect();
    Refusal::new("refusal.not_a_contact").with("user", user.to_string()).with("known", known)
}

/// The contact that a key or a mention means.
///
/// # Errors
/// A refusal that names those there are.
pub(super) fn person(context: Context<'_>, word: &str) -> Result<Contact, Refusal> {
    // Parsing a person cannot fail; only knowing them can.
    let who: Who = word.parse().unwrap_or(Who::Me);
    match &who {
        Who::Key(key) => context.rules.contacts.get(key).cloned().ok_or_else(|| unknown_person(context, key)),
        Who::Me | Who::User(_) => {
            let user = who.user(context)?;
            context.rules.contact_of(&user).cloned().ok_or_else(|| not_a_contact(context, &user))
        }
    }
}
