//! `update`, `send`, `hold`, `snooze`: telling people how it stands (section 8 of the field procedures, M7).

use serde::{Deserialize, Serialize};

use super::tokens::plain_word;
use super::{Text, must_be_open};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::id::UpdateId;
use crate::incident::state::Incident;
use crate::incident::time::Millis;
use crate::incident::timeline::{Card, Fact};
use crate::incident::update;
use crate::incident::words::{Refusal, Words};

/// The furthest that the next update can be promised for, in minutes: a day.
const FURTHEST: u32 = 24 * 60;

/// Write a status update.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Update {
    /// The text for customers, which somebody else must approve.
    #[arg(long, value_name = "text", value_parser = plain_word)]
    pub customer: Option<String>,
    /// Minutes until the next update.
    #[arg(long, value_name = "minutes")]
    pub next: Option<u32>,
    /// The text for the team.
    #[command(flatten)]
    pub text: Text,
}

/// Send the customer text of an update.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Send {
    /// The update.
    pub update: UpdateId,
}

/// Hold back the customer text of an update.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Hold {
    /// The update.
    pub update: UpdateId,
    /// Why.
    #[command(flatten)]
    pub reason: Text,
}

/// Put the update reminder off.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Snooze {}

impl Update {
    pub(super) fn is_bare(&self) -> bool {
        self.text.text().is_empty() && self.customer.is_none()
    }

    /// Updates may be written after the end as well: customers want to know that it is over.
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let internal = self.text.optional();
        let customer = self.customer.clone().filter(|text| !text.trim().is_empty());
        if internal.is_none() && customer.is_none() {
            return Err(Refusal::new("refusal.empty_update"));
        }
        if customer.is_some() && context.rules.audiences.customer.is_empty() {
            return Err(Refusal::new("refusal.no_customer_audience"));
        }
        if self.next.is_some_and(|minutes| minutes == 0 || minutes > FURTHEST) {
            return Err(Refusal::new("refusal.next_update").with("furthest", FURTHEST));
        }
        // After the end nothing more is promised.
        let next = self.next.filter(|_| incident.status.is_open());
        let next = next.map(|minutes| Millis::minutes(i64::from(minutes)));
        let mut draft = Draft::of(context, incident);
        draft.post_update(internal, customer, next);
        draft.reply(Words::new("reply.updated").with("incident", incident.id.to_string()));
        Ok(draft.finish())
    }
}

impl Send {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let written = update::find(incident, self.update)?;
        update::must_be_pending(written)?;
        let user = context.by.person().ok_or_else(|| Refusal::new("refusal.needs_person"))?;
        if &written.written.by == context.by {
            return Err(Refusal::new("refusal.author"));
        }
        update::must_be_reader(context, incident, user)?;
        let mut draft = Draft::of(context, incident);
        draft.send_customer_text(self.update);
        Ok(draft.finish())
    }
}

impl Hold {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let written = update::find(incident, self.update)?;
        update::must_be_pending(written)?;
        let user = context.by.person().ok_or_else(|| Refusal::new("refusal.needs_person"))?;
        if &written.written.by != context.by {
            update::must_be_reader(context, incident, user)?;
        }
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::CustomerTextRejected { update: self.update, reason: self.reason.optional() });
        draft.show(Card::Update(self.update)).refresh();
        Ok(draft.finish())
    }
}

impl Snooze {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        let due = incident.update_due.at.ok_or_else(|| Refusal::new("refusal.no_reminder"))?;
        // Later than it was, never earlier.
        let until = due.max(context.now + context.rules.snooze);
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::ReminderSnoozed { until });
        if incident.reminders > 0 {
            draft.show(Card::Reminder(incident.reminders));
        }
        draft.refresh();
        draft.reply(Words::new("reply.snoozed").with("until_at", until.0));
        Ok(draft.finish())
    }
}
