//! The page in a direct message, and the announcement in the general incident channel.

use serde_json::{Value, json};

use super::blocks::{Button, Part, told};
use super::incident::state;
use super::markup::Mrkdwn;
use super::pen::{Pen, Said, elapsed_ms, headline, plain_headline};
use super::steps::Step;
use crate::incident::people::Role;
use crate::incident::state::{Incident, PageState, Status};
use crate::incident::timeline::PageWhy;
use crate::slack::fault;
use crate::slack::scene::{Drawn, Scene};

/// `🔴 SEV2 · checkout returns 500 · 14 min · you are paged (level 1 of 3)`, and Acknowledge.
pub(super) fn draw(scene: &Scene<'_>, incident: &Incident, page: &PageState) -> Said<Drawn> {
    let pen = Pen::for_contact(scene, &page.contact);
    let why = why(&pen, incident, page)?;
    let elapsed = pen.say("page.elapsed", json!({"elapsed_ms": elapsed_ms(&pen, incident)}))?;
    let answered = page.contact.slack.as_ref().is_some_and(|user| incident.acknowledged_by.contains(user));
    let mut lines = vec![why.capital()];
    if let Some(text) = &page.message {
        lines.push(Mrkdwn::quote(text).fit(1_500));
    }
    lines.push(state(&pen, incident)?);
    lines.push(place(&pen, incident)?);
    lines.push(lost(&pen, incident)?);
    if answered {
        lines.push(pen.say("page.answered_by_you", json!({}))?);
    }
    let mut parts = vec![Part::Header(plain_headline(&pen, incident)?), Part::Text(Mrkdwn::join(lines, "\n"))];
    if incident.status.is_open() {
        parts.push(row(&pen, incident, answered)?);
    }
    Ok(told([headline(&pen, incident)?, elapsed, why], parts))
}

/// Why this person is paged.
fn why(pen: &Pen<'_>, incident: &Incident, page: &PageState) -> Said {
    let (key, vars) = reason(pen, incident, page);
    pen.say(key, vars)
}

/// Why this person is paged, for the ways that are not Slack.
///
/// # Errors
/// When the label is missing.
pub fn page_why(pen: &Pen<'_>, incident: &Incident, page: &PageState) -> Said<String> {
    let (key, vars) = reason(pen, incident, page);
    pen.plain(key, vars)
}

fn reason(pen: &Pen<'_>, incident: &Incident, page: &PageState) -> (&'static str, Value) {
    match page.why {
        PageWhy::Level { level, round } => {
            let levels = incident.severity.policy.levels.len().max(level + 1);
            ("page.why.level", json!({"level": level + 1, "levels": levels, "again": round > 0}))
        }
        PageWhy::ByHand => ("page.why.by_hand", json!({"who": pen.actor(&page.mark.by)})),
        PageWhy::HandedOver => ("page.why.handed_over", json!({"who": pen.actor(&page.mark.by)})),
        PageWhy::Worse => ("page.why.worse", json!({"severity": incident.severity.label})),
        PageWhy::Fallback => ("page.why.fallback", json!({})),
        PageWhy::UpdateOverdue => ("page.why.update_overdue", json!({})),
    }
}

/// Where the work happens.
fn place(pen: &Pen<'_>, incident: &Incident) -> Said {
    match incident.usable_channel() {
        Some(channel) => {
            let head = pen.say("page.channel", json!({}))?;
            Ok(Mrkdwn::join([head, Mrkdwn::channel(&channel.id)], " "))
        }
        None => match &incident.channel_refused {
            Some(why) => pen.say("page.no_channel", json!({"why": why})),
            None if incident.channel.is_some() => Ok(Mrkdwn::default()),
            None => pen.say("page.channel_to_come", json!({})),
        },
    }
}

fn row(pen: &Pen<'_>, incident: &Incident, answered: bool) -> Said<Part> {
    let mut buttons = Vec::new();
    if !answered {
        let button = Step::Acknowledge.button(pen, incident.id)?;
        buttons.push(if incident.acknowledged.is_none() { button.primary() } else { button });
    }
    buttons.push(Step::Status.button(pen, incident.id)?);
    let call = incident.severity.call_link.as_ref();
    let join = pen.word("button.join")?;
    buttons.extend(call.and_then(|address| Button::link("call", join, address)));
    Ok(Part::Row(buttons, vec![]))
}

/// What the rest of the company sees: how it stands and where to go.
pub(super) fn announcement(scene: &Scene<'_>, incident: &Incident) -> Said<Drawn> {
    let pen = Pen::for_channel(scene, incident);
    let commander = incident.roles.get(&Role::Commander).map(|user| pen.person(user));
    let vars = json!({
        "role": pen.word("role.commander")?,
        "who": commander.unwrap_or(Value::Null),
    });
    let lines = vec![
        pen.say("announcement.title", json!({"headline": plain_headline(&pen, incident)?}))?,
        state(&pen, incident)?,
        pen.say("incident.role", vars)?,
        place(&pen, incident)?,
        lost(&pen, incident)?,
    ];
    let open = incident.status != Status::Cancelled && incident.status.is_open();
    let row = if open { vec![Step::Status.button(&pen, incident.id)?] } else { vec![] };
    let parts = vec![Part::Text(Mrkdwn::join(lines, "\n")), Part::Row(row, vec![])];
    Ok(told([super::incident::first_line(&pen, incident)?], parts))
}

/// When the channel is gone, this is where it can still be said.
fn lost(pen: &Pen<'_>, incident: &Incident) -> Said {
    match incident.channel.as_ref().and_then(|channel| channel.lost.as_ref()) {
        Some(code) => pen.say("incident.channel_lost", json!({"why": fault::reason(code)})),
        None => Ok(Mrkdwn::default()),
    }
}
