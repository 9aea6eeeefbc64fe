//! The incident card, pinned in its channel: how it stands, and the next step.

use serde_json::json;

use super::blocks::{Button, Part, told};
use super::diagnostic;
use super::markup::Mrkdwn;
use super::pen::{Pen, Said, elapsed_ms, plain_headline};
use super::steps;
use crate::incident::id::UserId;
use crate::incident::people::{Contact, Role};
use crate::incident::state::{Incident, PageOutcome, PageState, Phase, Run, Status};
use crate::slack::scene::{Drawn, Scene};

/// People shown one by one on the paging line; the rest is counted.
const SHOWN_CONTACTS: usize = 5;

pub(super) fn draw(scene: &Scene<'_>, incident: &Incident) -> Said<Drawn> {
    let pen = Pen::for_channel(scene, incident);
    let mut parts = body(&pen, incident)?;
    parts.push(steps::row(&pen, incident)?);
    Ok(told([first_line(&pen, incident)?], parts))
}

/// `🔴 SEV2 · checkout returns 500 · 14 min · acknowledged`.
pub(super) fn first_line(pen: &Pen<'_>, incident: &Incident) -> Said {
    let vars = json!({
        "elapsed_ms": elapsed_ms(pen, incident),
        "status": pen.word(&format!("status.{}", incident.status.word()))?,
    });
    let tail = pen.say("incident.first_line_end", vars)?;
    let head = super::pen::headline(pen, incident)?.fit(400);
    Ok(Mrkdwn::join([head, tail], " · "))
}

/// Everything but the buttons; `/incident status` shows the same.
pub(super) fn body(pen: &Pen<'_>, incident: &Incident) -> Said<Vec<Part>> {
    let mut lines = vec![state(pen, incident)?];
    lines.extend(service(pen, incident)?);
    lines.push(roles(pen, incident)?);
    if incident.status.is_open() {
        lines.extend(paging(pen, incident)?);
        lines.extend(next_update(pen, incident)?);
    }
    lines.extend(last_update(pen, incident)?);
    lines.extend(last_diagnostic(pen, incident)?);
    lines.extend(runs(pen, incident)?);
    lines.extend(ending(pen, incident)?);
    lines.extend(links(pen, incident)?);
    lines.extend(channel_lost(pen, incident)?);
    let text = Mrkdwn::join(lines, "\n");
    let main = if incident.status.is_open() && !incident.roles.contains_key(&Role::Commander) {
        let line = format!("role commander --in {}", incident.id);
        Part::beside(text, Button::new("take", pen.word("button.take_it")?, line))
    } else {
        Part::Text(text)
    };
    Ok(vec![Part::Header(plain_headline(pen, incident)?), main])
}

/// Who did the last thing that mattered, and when.
pub(super) fn state(pen: &Pen<'_>, incident: &Incident) -> Said {
    let declared = &incident.declared;
    let mark = match incident.status {
        Status::Triggered => None,
        Status::Acknowledged => incident.acknowledged.as_ref(),
        Status::Mitigated => incident.mitigated.as_ref().map(|(mark, _)| mark),
        Status::Resolved => incident.resolution.as_ref().map(|resolution| &resolution.mark),
        Status::Cancelled => incident.cancelled.as_ref().map(|(mark, _)| mark),
    };
    let mark = mark.unwrap_or(declared);
    let vars = json!({
        "who": pen.actor(&mark.by),
        "at": mark.at.0,
        "after_ms": mark.at.since(declared.at).0,
        "by": pen.actor(&declared.by),
        "declared_at": declared.at.0,
        "incident": incident.id.to_string(),
    });
    pen.say(&format!("incident.state.{}", incident.status.word()), vars)
}

fn service(pen: &Pen<'_>, incident: &Incident) -> Said<Option<Mrkdwn>> {
    let Some(key) = &incident.service else {
        return Ok(None);
    };
    let line = pen.say("incident.service", json!({"service": pen.service(key)}))?;
    Ok(Some(line))
}

/// The commander always, the other roles when somebody holds them.
fn roles(pen: &Pen<'_>, incident: &Incident) -> Said {
    let mut held = Vec::new();
    for role in Role::ALL {
        let who = incident.roles.get(&role);
        if who.is_none() && role != Role::Commander {
            continue;
        }
        let vars = json!({
            "role": pen.word(&format!("role.{role}"))?,
            "who": who.map(|user| pen.person(user)),
        });
        held.push(pen.say("incident.role", vars)?);
    }
    Ok(Mrkdwn::join(held, " · "))
}

/// Where the climb is, and what became of each page.
fn paging(pen: &Pen<'_>, incident: &Incident) -> Said<Option<Mrkdwn>> {
    if incident.pages.is_empty() {
        return Ok(None);
    }
    let vars = json!({
        "level": incident.ladder.level + 1,
        "levels": incident.severity.policy.levels.len(),
        "round": incident.ladder.round + 1,
        "again": incident.ladder.round > 0,
        "exhausted": incident.ladder.exhausted,
        "next_at": incident.ladder.next_at.map(|at| at.0),
    });
    let mut line = vec![pen.say("incident.paging", vars)?];
    let contacts = contacts(incident);
    for contact in contacts.iter().rev().take(SHOWN_CONTACTS) {
        line.push(paged(pen, incident, contact)?);
    }
    if let Some(more) = contacts.len().checked_sub(SHOWN_CONTACTS).filter(|more| *more > 0) {
        line.push(pen.say("incident.paged.more", json!({"more": more}))?);
    }
    Ok(Some(Mrkdwn::join(line, " · ")))
}

/// Everybody paged, each once, in order.
fn contacts(incident: &Incident) -> Vec<&Contact> {
    let mut contacts: Vec<&Contact> = Vec::new();
    for page in incident.pages.values() {
        contacts.retain(|known| known.key != page.contact.key);
        contacts.push(&page.contact);
    }
    contacts
}

fn paged(pen: &Pen<'_>, incident: &Incident, contact: &Contact) -> Said {
    let answered = |user: &UserId| incident.acknowledged_by.contains(user);
    let pages: Vec<&PageState> = incident.pages.values().filter(|page| page.contact.key == contact.key).collect();
    let delivered = |page: &&&PageState| matches!(page.outcome, PageOutcome::Delivered { .. });
    let failed = |page: &&PageState| matches!(page.outcome, PageOutcome::Failed { .. });
    let key = if contact.slack.as_ref().is_some_and(answered) {
        "incident.paged.answered"
    } else if pages.iter().any(|page| delivered(&page)) {
        "incident.paged.delivered"
    } else if pages.iter().all(failed) {
        "incident.paged.failed"
    } else {
        "incident.paged.sending"
    };
    let mut ways = Vec::new();
    for page in pages.iter().filter(|page| key != "incident.paged.delivered" || delivered(page)) {
        let way = pen.word(&format!("paging.{}", page.way))?;
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    pen.say(key, json!({"who": Pen::contact(contact), "ways": ways}))
}

fn next_update(pen: &Pen<'_>, incident: &Incident) -> Said<Option<Mrkdwn>> {
    let Some(promised) = incident.update_due.promised else {
        return Ok(None);
    };
    let vars = json!({"promised_at": promised.0, "late": promised < pen.now});
    pen.say("incident.next_update", vars).map(Some)
}

fn last_update(pen: &Pen<'_>, incident: &Incident) -> Said<Option<Mrkdwn>> {
    let Some(update) = incident.last_update() else {
        return Ok(None);
    };
    let vars = json!({
        "at": update.written.at.0,
        "who": pen.actor(&update.written.by),
        "text": update.internal.as_ref().or(update.customer.as_ref()),
    });
    pen.say("incident.last_update", vars).map(Some)
}

fn last_diagnostic(pen: &Pen<'_>, incident: &Incident) -> Said<Option<Mrkdwn>> {
    let Some((_, round)) = incident.last_diagnostic() else {
        return Ok(None);
    };
    let results = round.results.as_deref().unwrap_or_default();
    let Some(worst) = diagnostic::worst(results) else {
        return Ok(None);
    };
    let bad = results.iter().filter(|result| diagnostic::is_bad(result)).count();
    let vars = json!({"at": round.asked.at.0, "bad": bad, "all": results.len()});
    let head = pen.say("incident.diagnostic", vars)?;
    Ok(Some(Mrkdwn::join([head, diagnostic::line(pen, worst)?], " · ")))
}

/// Every plan and run that waits for somebody or does something, else the last that ended.
fn runs(pen: &Pen<'_>, incident: &Incident) -> Said<Vec<Mrkdwn>> {
    let live: Vec<&Run> = incident.runs.values().filter(|run| run.is_live()).collect();
    let last = incident.runs.values().next_back().filter(|_| live.is_empty());
    live.into_iter().chain(last).map(|run| run_line(pen, run)).collect()
}

fn run_line(pen: &Pen<'_>, run: &Run) -> Said {
    let (from, to) = run.plan.as_ref().map(|plan| plan.from_to()).unzip();
    let vars = json!({
        "title": super::run::title(run),
        "from": from.flatten(),
        "to": to.filter(|to| !to.is_empty()),
        "state": pen.word(&format!("run.state.{}", super::run::phase_word(run)))?,
        "missing": if run.phase == Phase::Pending { run.missing_approvals() } else { 0 },
        "run": run.id.to_string(),
    });
    pen.say("incident.run", vars)
}

/// How it ended, in the words of whoever ended it.
fn ending(pen: &Pen<'_>, incident: &Incident) -> Said<Vec<Mrkdwn>> {
    let mut lines = Vec::new();
    let mut line = |key: &str, text: Option<&String>| -> Said<()> {
        if let Some(text) = text {
            lines.push(pen.say(key, json!({"text": text}))?);
        }
        Ok(())
    };
    if let Some(resolution) = &incident.resolution {
        line("incident.summary", Some(&resolution.summary))?;
        line("incident.impact", resolution.impact.as_ref())?;
        line("incident.cause", resolution.cause.as_ref())?;
    }
    if let Some((_, reason)) = &incident.cancelled {
        line("incident.reason", reason.as_ref())?;
    }
    if let Some((_, text)) = incident.mitigated.as_ref().filter(|_| incident.resolution.is_none()) {
        line("incident.summary", text.as_ref())?;
    }
    Ok(lines)
}

fn links(pen: &Pen<'_>, incident: &Incident) -> Said<Option<Mrkdwn>> {
    let call = incident.severity.call_link.as_ref().filter(|_| incident.status.is_open());
    let mut links = Vec::new();
    for (key, address) in [("link.call", call), ("link.status_page", pen.rules.status_page.as_ref())] {
        if let Some(address) = address {
            links.push(pen.say(key, json!({"address": address}))?);
        }
    }
    Ok(Some(Mrkdwn::join(links, " · ")))
}

fn channel_lost(pen: &Pen<'_>, incident: &Incident) -> Said<Option<Mrkdwn>> {
    match incident.channel.as_ref().and_then(|channel| channel.lost.as_ref()) {
        Some(why) => pen.say("incident.channel_lost", json!({"why": why})).map(Some),
        None => Ok(None),
    }
}
