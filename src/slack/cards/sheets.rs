//! Answers longer than a sentence, seen by the one person who asked.

use serde_json::json;

use super::blocks::{Button, MESSAGE_TEXT, Part, lines, told};
use super::facts::{self, Medium};
use super::markup::Mrkdwn;
use super::pen::{Pen, Said, headline};
use super::{diagnostic, incident as card, plan};
use crate::incident::approval::Choice;
use crate::incident::command::{CommandHelp, all_help, quote};
use crate::incident::decision::Sheet;
use crate::incident::id::{DiagnosticId, RunId};
use crate::incident::rules::RunbookAction;
use crate::incident::state::Incident;
use crate::incident::time::Millis;
use crate::incident::timeline::Entry;
use crate::render::Locale;
use crate::slack::scene::{Drawn, Scene};

/// Timeline entries shown; the post-mortem has all.
pub(super) const SHOWN_ENTRIES: usize = 40;
/// Incidents and actions shown.
pub(super) const SHOWN: usize = 30;
/// One line of the timeline.
const ENTRY_LENGTH: usize = 260;

/// The answer in the reader's language. A sheet about an incident needs one in the scene.
///
/// # Errors
/// When a label is missing or lacks a variable.
pub fn draw(scene: &Scene<'_>, sheet: &Sheet, locale: Locale) -> Said<Drawn> {
    let pen = Pen::new(scene, locale);
    let (title, parts) = match (sheet, scene.incident) {
        (Sheet::List, _) => list(scene, &pen)?,
        (Sheet::Help { topic }, _) => help(&pen, topic.as_deref())?,
        (Sheet::Status, Some(incident)) => (card::first_line(&pen, incident)?, card::body(&pen, incident)?),
        (Sheet::Timeline, Some(incident)) => timeline(scene, &pen, incident)?,
        (Sheet::Details { diagnostic }, Some(incident)) => details(&pen, incident, *diagnostic)?,
        (Sheet::Plan { run }, Some(incident)) => whole_plan(&pen, incident, *run)?,
        (Sheet::Actions { rollbacks }, Some(incident)) => actions(&pen, incident, *rollbacks)?,
        (Sheet::Choices { action, dry_run, choices }, Some(incident)) => {
            to_choose(&pen, incident, action, *dry_run, choices)?
        }
        (_, None) => {
            let said = pen.say("refusal.no_incident", json!({}))?;
            (said.clone(), vec![Part::Text(said)])
        }
    };
    Ok(told([title], parts))
}

type Page = (Mrkdwn, Vec<Part>);

/// What each check of a round saw, where there is more than its value.
fn details(pen: &Pen<'_>, incident: &Incident, id: DiagnosticId) -> Said<Page> {
    let title = pen.say("diagnostic.details", json!({"diagnostic": id.to_string()}))?;
    let mut parts = vec![Part::Text(title.clone())];
    let round = incident.diagnostics.get(&id);
    for result in round.and_then(|round| round.results.as_ref()).into_iter().flatten() {
        if let Some(details) = &result.details {
            parts.push(Part::Text(diagnostic::line(pen, result)?));
            parts.push(Part::Output(details.clone()));
        }
    }
    Ok((title, parts))
}

/// A plan without anything left out, as far as one message goes; what does not fit is counted.
fn whole_plan(pen: &Pen<'_>, incident: &Incident, id: RunId) -> Said<Page> {
    let run = incident.runs.get(&id);
    let digest = run.and_then(|run| run.digest.as_ref()).map(|digest| digest.short());
    let title = pen.say("plan.whole", json!({"run": id.to_string(), "digest": digest}))?;
    let mut all = vec![title.clone()];
    all.extend(run.map(|run| plan::whole(pen, run)).transpose()?.unwrap_or_default());
    let mut size = 0;
    let is_room = |line: &&Mrkdwn| {
        size += line.size() + 1;
        // The line that counts the rest has to fit too.
        size < MESSAGE_TEXT - 200
    };
    let fits = all.iter().take_while(is_room).count();
    if let Some(more) = all.len().checked_sub(fits).filter(|more| *more > 0) {
        all.truncate(fits);
        all.push(pen.say("plan.more", json!({"more": more}))?);
    }
    Ok((title, lines(all)))
}

fn list(scene: &Scene<'_>, pen: &Pen<'_>) -> Said<Page> {
    let title = pen.say("list.title", json!({"open": scene.open.count}))?;
    let mut all = vec![title.clone()];
    for incident in scene.open.worst.iter().take(SHOWN) {
        all.push(incident_line(pen, incident)?);
    }
    if let Some(more) = scene.open.count.checked_sub(SHOWN).filter(|more| *more > 0) {
        all.push(pen.say("plan.more", json!({"more": more}))?);
    }
    Ok((title, lines(all)))
}

/// One open incident: `🔴 SEV2 · checkout returns 500 · 14 min · acknowledged · inc_7 #inc-7-checkout`.
pub fn incident_line(pen: &Pen<'_>, incident: &Incident) -> Said {
    let line = card::first_line(pen, incident)?.fit(400);
    let id = Mrkdwn::of(&incident.id.to_string());
    let place = incident.usable_channel().map(|channel| Mrkdwn::channel(&channel.id)).unwrap_or_default();
    Ok(Mrkdwn::join([line, id, place], " · "))
}

/// The newest entries, newest last.
fn timeline(scene: &Scene<'_>, pen: &Pen<'_>, incident: &Incident) -> Said<Page> {
    let told: Vec<&Entry> = scene.timeline.iter().filter(|entry| !facts::is_detail(&entry.fact)).collect();
    let left_out = told.len().saturating_sub(SHOWN_ENTRIES);
    let vars = json!({"incident": incident.id.to_string(), "all": told.len(), "left_out": left_out});
    let title = pen.say("timeline.title", vars)?;
    let days = incident.duration(pen.now) > Millis::minutes(24 * 60);
    let mut all = vec![title.clone()];
    for entry in told.into_iter().skip(left_out) {
        let at = pen.say(if days { "timeline.day" } else { "timeline.at" }, json!({"at": entry.at.0}))?;
        let line = facts::line(scene, pen.locale, entry, Medium::Slack)?;
        all.push(Mrkdwn::join([at, Mrkdwn::made(line).fit(ENTRY_LENGTH)], " · "));
    }
    Ok((Mrkdwn::join([headline(pen, incident)?.fit(1_000), title], " · "), lines(all)))
}

fn help(pen: &Pen<'_>, topic: Option<&str>) -> Said<Page> {
    let all = all_help();
    let asked = topic.map(|topic| topic.trim_start_matches('/').to_lowercase());
    let about =
        |help: &&CommandHelp| asked.as_ref().is_some_and(|asked| &help.name == asked || help.aliases.contains(asked));
    let found = all.iter().find(about);
    let title = match (&asked, found) {
        (Some(asked), None) => pen.say("help.unknown", json!({"found": asked}))?,
        _ => pen.say("help.title", json!({}))?,
    };
    let mut text = vec![title.clone()];
    for command in all.iter().filter(|help| found.is_none_or(|found| found.name == help.name)) {
        let vars = json!({
            "usage": command.usage,
            "sentence": pen.word(&format!("help.{}", command.name))?,
            "aliases": command.aliases,
        });
        text.push(pen.say(if found.is_some() { "help.one" } else { "help.line" }, vars)?);
    }
    if found.is_none() {
        text.push(pen.say("help.more", json!({}))?);
    }
    Ok((title, lines(text)))
}

/// What can be run here, the service's own first; each button asks for a plan and changes nothing.
fn actions(pen: &Pen<'_>, incident: &Incident, rollbacks: bool) -> Said<Page> {
    let mut offered: Vec<&RunbookAction> =
        pen.rules.actions.values().filter(|action| action.is_rollback || !rollbacks).collect();
    offered.sort_by_key(|action| action.service != incident.service);
    let key = match (offered.is_empty(), rollbacks) {
        (true, _) => "actions.none",
        (false, true) => "actions.rollbacks",
        (false, false) => "actions.title",
    };
    let title = pen.say(key, json!({}))?;
    let mut parts = vec![Part::Text(title.clone())];
    for action in offered.iter().take(SHOWN) {
        parts.push(action_line(pen, incident, action)?);
    }
    if let Some(more) = offered.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        parts.push(Part::Text(pen.say("actions.more", json!({"more": more}))?));
    }
    Ok((title, parts))
}

/// Where an action can go; each button asks for a plan and changes nothing.
fn to_choose(pen: &Pen<'_>, incident: &Incident, action: &str, dry_run: bool, choices: &[Choice]) -> Said<Page> {
    let title = pen.rules.actions.get(action).map_or(action, |action| action.title.as_str());
    let head = pen.say("choices.title", json!({"title": title}))?;
    let mut parts = vec![Part::Text(head.clone())];
    for choice in choices.iter().take(SHOWN) {
        let dry = if dry_run { " --dry-run" } else { "" };
        let line = format!("run --in {} {action} --to {}{dry}", incident.id, quote(&choice.value));
        let button = Button::new("plan", pen.word("button.plan")?, line);
        parts.push(Part::beside(pen.say("choices.line", json!({"name": choice.label}))?, button));
    }
    if let Some(more) = choices.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        parts.push(Part::Text(pen.say("choices.more", json!({"more": more, "action": action}))?));
    }
    Ok((head, parts))
}

pub(super) fn action_line(pen: &Pen<'_>, incident: &Incident, action: &RunbookAction) -> Said<Part> {
    let vars = json!({
        "title": action.title,
        "service": action.service.as_deref().map(|key| pen.service(key)),
        "risk": pen.word(&format!("risk.{}", action.risk.word()))?,
        "class": pen.word(&format!("class_limit.{}", plan::class_word(action.class)))?,
    });
    let line = format!("run --in {} {}", incident.id, action.key);
    let button = Button::new("plan", pen.word("button.plan")?, line);
    Ok(Part::beside(pen.say("actions.line", vars)?, button))
}
