//! Status updates: written, checked by a second pair of eyes, delivered (section 8 of the field procedures).

use std::collections::BTreeSet;

use super::decision::{Context, Effect};
use super::draft::Draft;
use super::id::{UpdateId, UserId};
use super::run::{approvers, must_be_named};
use super::state::{CustomerText, Incident, StatusUpdate};
use super::time::{Instant, Millis};
use super::timeline::{Card, Fact};
use super::words::Refusal;

impl Draft<'_> {
    /// Takes an update in: the internal text goes out at once, the customer text waits for its approval.
    pub fn post_update(&mut self, internal: Option<String>, customer: Option<String>, next: Option<Millis>) {
        let update = self.next_update();
        let next_at: Option<Instant> = next.map(|next| self.context.now + next);
        let (tell_inside, to_check) = (internal.is_some(), customer.is_some());
        let asking = self.incident.asking_reminders();
        self.fact(Fact::UpdatePosted { update, internal, customer, next_at });
        if to_check {
            self.invite_readers();
        }
        self.show(Card::Update(update));
        for reminder in asking {
            self.show(Card::Reminder(reminder));
        }
        if tell_inside {
            self.deliver(update, false);
        }
        self.refresh();
    }

    /// Asks those who may let a customer text go out into the channel, where its card names them; not its author.
    fn invite_readers(&mut self) {
        let readers = approvers(&self.incident, &self.context.rules.customer_approval.by);
        let author = self.context.by.person().cloned();
        self.invite(readers.into_iter().filter(|reader| Some(reader) != author.as_ref()));
    }

    /// Sends the customer text to its destinations.
    pub fn send_customer_text(&mut self, update: UpdateId) {
        self.fact(Fact::CustomerTextApproved { update });
        self.deliver(update, true);
        self.show(Card::Update(update)).refresh();
    }

    fn deliver(&mut self, update: UpdateId, customer: bool) {
        let audiences = &self.context.rules.audiences;
        let names = if customer { &audiences.customer } else { &audiences.internal };
        for destination in names.clone() {
            self.effect(Effect::Deliver { update, destination, customer, only: BTreeSet::new() });
        }
    }
}

/// The update of this name.
///
/// # Errors
/// A refusal when there is none.
pub fn find(incident: &Incident, update: UpdateId) -> Result<&StatusUpdate, Refusal> {
    incident
        .updates
        .get(&update)
        .ok_or_else(|| Refusal::new("refusal.no_such_update").with("update", update.to_string()))
}

/// Checks that `user` may let customer texts go out: one of those named, else anybody.
///
/// # Errors
/// A refusal that names them.
pub fn must_be_reader(context: Context<'_>, incident: &Incident, user: &UserId) -> Result<(), Refusal> {
    let by = &context.rules.customer_approval.by;
    if by.is_empty() { Ok(()) } else { must_be_named(context, incident, by, user) }
}

/// The customer text must still wait for a decision.
///
/// # Errors
/// A refusal that says what became of it.
pub fn must_be_pending(update: &StatusUpdate) -> Result<(), Refusal> {
    match &update.customer_state {
        Some(CustomerText::Pending) => Ok(()),
        None => Err(Refusal::new("refusal.no_customer_text")),
        Some(CustomerText::Approved { mark }) => Err(decided("refusal.text_already_sent", mark)),
        Some(CustomerText::Rejected { mark, .. }) => Err(decided("refusal.text_already_held", mark)),
    }
}

fn decided(key: &'static str, mark: &super::state::Mark) -> Refusal {
    let who = mark.by.person().map(ToString::to_string);
    Refusal::new(key).with("user", who).with("decided_at", mark.at.0)
}
