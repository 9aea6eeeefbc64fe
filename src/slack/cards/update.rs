//! The card of a status update, and the reminder that one is due (M1–M3, M7).

use serde_json::json;

use super::blocks::{Button, Confirm, Part, told};
use super::markup::{Mrkdwn, fit};
use super::pen::{Pen, Said, headline};
use super::steps::{self, Step};
use crate::incident::state::{CustomerText, Incident, StatusUpdate};
use crate::incident::timeline::{Entry, Fact};
use crate::slack::scene::{Drawn, Scene};

/// Destinations named one by one; the rest is counted.
const SHOWN: usize = 10;

pub(super) fn draw(scene: &Scene<'_>, incident: &Incident, update: &StatusUpdate) -> Said<Drawn> {
    let pen = Pen::for_channel(scene, incident);
    let vars = json!({"who": pen.actor(&update.written.by), "at": update.written.at.0});
    let title = pen.say("update.title", vars)?;
    let mut parts = vec![Part::Text(title.clone())];
    parts.extend(update.internal.as_ref().map(|text| Part::Text(Mrkdwn::of(text))));
    if let Some(text) = &update.customer {
        parts.push(Part::Text(customer_state(&pen, update)?));
        parts.push(Part::Text(Mrkdwn::quote(text)));
    }
    parts.push(Part::Text(deliveries(&pen, update)?));
    if let Some(next_at) = update.next_at {
        parts.push(Part::Small(pen.say("update.next", json!({"next_at": next_at.0}))?));
    }
    if update.customer_state == Some(CustomerText::Pending) {
        let mut buttons = send_or_hold(&pen, update)?;
        if let Some(send) = buttons.first_mut() {
            *send = send.clone().primary();
        }
        parts.push(Part::Row(buttons, vec![]));
    }
    let told_text = update.internal.as_ref().or(update.customer.as_ref()).map(|text| Mrkdwn::of(text));
    Ok(told([headline(&pen, incident)?, title].into_iter().chain(told_text), parts))
}

/// Where the customer text is: waiting, on its way, held back.
fn customer_state(pen: &Pen<'_>, update: &StatusUpdate) -> Said {
    match &update.customer_state {
        None | Some(CustomerText::Pending) => {
            let by = &pen.rules.customer_approval.by;
            let vars = json!({"may": super::plan::may_approve(pen, by)?, "audiences": audiences(pen)});
            pen.say("update.customer.pending", vars)
        }
        Some(CustomerText::Approved { mark }) => {
            let vars = json!({"who": pen.actor(&mark.by), "at": mark.at.0, "audiences": audiences(pen)});
            pen.say("update.customer.approved", vars)
        }
        Some(CustomerText::Rejected { mark, reason }) => {
            let vars = json!({"who": pen.actor(&mark.by), "at": mark.at.0, "reason": reason});
            pen.say("update.customer.rejected", vars)
        }
    }
}

fn audiences(pen: &Pen<'_>) -> Vec<String> {
    pen.rules.audiences.customer.clone()
}

/// What arrived and what did not, destination by destination.
fn deliveries(pen: &Pen<'_>, update: &StatusUpdate) -> Said {
    let failed = update
        .failed
        .iter()
        .map(|missed| pen.say("update.failed", json!({"destination": missed.destination, "why": missed.why})));
    let delivered =
        update.delivered.iter().map(|arrived| pen.say("update.delivered", json!({"destination": arrived.destination})));
    let all = update.failed.len() + update.delivered.len();
    let mut lines = failed.chain(delivered).take(SHOWN).collect::<Said<Vec<_>>>()?;
    if let Some(more) = all.checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(pen.say("plan.more", json!({"more": more}))?);
    }
    Ok(Mrkdwn::join(lines, "\n"))
}

/// Let a customer text go out, or hold it back.
pub(in crate::slack) fn send_or_hold(pen: &Pen<'_>, update: &StatusUpdate) -> Said<Vec<Button>> {
    let text = update.customer.as_deref().unwrap_or_default();
    let confirm = Confirm {
        title: pen.word("confirm.send.title")?,
        text: pen.plain("confirm.send.text", json!({"audiences": audiences(pen), "text": fit(text, 150)}))?,
        yes: pen.word("button.send")?,
        no: pen.word("button.back")?,
        danger: false,
    };
    let send = Button::new("send", pen.word("button.send_to_customers")?, format!("send {}", update.id));
    let hold = Button::new("hold", pen.word("button.hold")?, format!("hold {}", update.id));
    Ok(vec![send.asking(confirm), hold])
}

/// The reminder number `n` of the incident; once an update was written it says so and asks for nothing.
pub(super) fn reminder(scene: &Scene<'_>, incident: &Incident, n: u32) -> Said<Option<Drawn>> {
    let pen = Pen::for_channel(scene, incident);
    let Some((place, entry)) = nth_reminder(scene.timeline, n) else {
        return Ok(None);
    };
    let Fact::UpdateReminded { who, .. } = &entry.fact else {
        return Ok(None);
    };
    let since = scene.timeline.get(place + 1..).unwrap_or_default();
    let written = since.iter().find(|entry| matches!(entry.fact, Fact::UpdatePosted { .. }));
    let snoozed = since.iter().rev().find_map(|entry| match entry.fact {
        Fact::ReminderSnoozed { until } => Some(until),
        _ => None,
    });
    let waits = written.is_none() && incident.status.is_open();
    let line = match (written, incident.status.is_open()) {
        (Some(written), _) => {
            pen.say("reminder.written", json!({"who": pen.actor(&written.by), "at": written.at.0}))?
        }
        (None, false) => pen.say("reminder.over", json!({}))?,
        (None, true) => {
            let people: Vec<_> = who.iter().map(|user| pen.person(user)).collect();
            let last = incident.last_update();
            let last = last.and_then(|update| update.internal.as_ref().or(update.customer.as_ref()));
            let vars = json!({
                "who": people,
                "promised_at": incident.update_due.promised.map(|at| at.0),
                "last": last,
                "snoozed_at": snoozed.map(|at| at.0),
            });
            pen.say("reminder.due", vars)?
        }
    };
    let row = if waits {
        steps::of_steps(&pen, incident.id, &[Step::Update, Step::Snooze], &[])?
    } else {
        Part::Row(vec![], vec![])
    };
    Ok(Some(told([headline(&pen, incident)?, line.clone()], vec![Part::Text(line), row])))
}

fn nth_reminder(timeline: &[Entry], n: u32) -> Option<(usize, &Entry)> {
    let mut reminders =
        timeline.iter().enumerate().filter(|(_, entry)| matches!(entry.fact, Fact::UpdateReminded { .. }));
    reminders.nth(usize::try_from(n).ok()?.checked_sub(1)?)
}
