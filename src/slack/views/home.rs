//! The Home tab: what waits for this person, which incidents are open, where to begin.

use serde_json::{Value, json};
use slack_morphism::prelude::{SlackHomeView, SlackView};

use super::inputs::as_json;
use crate::incident::id::UserId;
use crate::incident::state::{Incident, Run, StatusUpdate};
use crate::incident::waiting::{Waiting, waiting};
use crate::render::RenderFault;
use crate::slack::cards::blocks::{Button, Part, surface};
use crate::slack::cards::markup::Mrkdwn;
use crate::slack::cards::pen::{Pen, headline};
use crate::slack::cards::send_or_hold;
use crate::slack::cards::sheets::incident_line;
use crate::slack::scene::Scene;

/// Open incidents shown one by one.
const SHOWN: usize = 15;
/// Things that wait shown one by one.
const SHOWN_WAITING: usize = 20;

/// Home of one person, as Slack's `view`.
///
/// # Errors
/// When a label is missing or lacks a variable.
pub fn home(scene: &Scene<'_>, user: &UserId) -> Result<Value, RenderFault> {
    let pen = Pen::for_user(scene, user);
    let mut waiting = Vec::new();
    for incident in &scene.open.worst {
        waiting.extend(waits(&pen, incident, user)?);
    }
    // What waits longest is the next likely step.
    if let Some(Part::Beside(_, button)) = waiting.first_mut().and_then(|parts| parts.first_mut()) {
        **button = button.as_ref().clone().primary();
    }
    let start = Button::new("start", pen.word("button.start")?, "start");
    let start = if waiting.is_empty() { start.primary() } else { start };
    let mut parts = vec![Part::Row(vec![start], vec![])];
    if waiting.is_empty() && scene.open.count == 0 {
        parts.push(Part::Text(pen.say("home.empty", json!({}))?));
    } else {
        parts.push(Part::Header(pen.word("home.waiting")?));
        if waiting.is_empty() {
            parts.push(Part::Text(pen.say("home.nothing_waits", json!({}))?));
        }
        let hidden = waiting.len().saturating_sub(SHOWN_WAITING);
        parts.extend(waiting.into_iter().take(SHOWN_WAITING).flatten());
        if hidden > 0 {
            parts.push(Part::Text(pen.say("plan.more", json!({"more": hidden}))?));
        }
        parts.push(Part::Divider);
        parts.extend(open(scene, &pen)?);
    }
    as_json(&pen, "home", &SlackView::Home(SlackHomeView::new(surface(parts))))
}

fn open(scene: &Scene<'_>, pen: &Pen<'_>) -> Result<Vec<Part>, RenderFault> {
    let mut parts = vec![Part::Header(pen.plain("home.open", json!({"open": scene.open.count}))?)];
    for incident in scene.open.worst.iter().take(SHOWN) {
        let status = Button::new("status", pen.word("button.details")?, format!("status --in {}", incident.id));
        parts.push(Part::beside(incident_line(pen, incident)?, status));
    }
    if let Some(more) = scene.open.count.checked_sub(SHOWN).filter(|more| *more > 0) {
        parts.push(Part::Text(pen.say("plan.more", json!({"more": more}))?));
    }
    Ok(parts)
}

/// Everything in one incident that waits for this person, each with its parts.
fn waits(pen: &Pen<'_>, incident: &Incident, user: &UserId) -> Result<Vec<Vec<Part>>, RenderFault> {
    let mine = waiting(pen.rules, incident, pen.now).remove(user).unwrap_or_default();
    let parts = mine.iter().map(|what| match what {
        Waiting::Page => beside(pen, incident, pen.say("home.page", json!({}))?, "ack", "button.acknowledge").map(Some),
        Waiting::Call { by } => {
            let line = pen.say("home.call", json!({"who": pen.actor(by)}))?;
            beside(pen, incident, line, "ack", "button.acknowledge").map(Some)
        }
        Waiting::Plan(run) => match incident.runs.get(run) {
            Some(run) => plan(pen, incident, run).map(|line| Some(vec![Part::Text(line)])),
            None => Ok(None),
        },
        Waiting::Text(update) => match incident.updates.get(update) {
            Some(update) => text_to_check(pen, incident, update).map(Some),
            None => Ok(None),
        },
        Waiting::Update => {
            let promised = incident.update_due.promised;
            let line = pen.say("home.update", json!({"promised_at": promised.map(|at| at.0)}))?;
            beside(pen, incident, line, "update", "button.update").map(Some)
        }
    });
    parts.filter_map(Result::transpose).collect()
}

/// The line and the button that does it.
fn beside(
    pen: &Pen<'_>,
    incident: &Incident,
    line: Mrkdwn,
    command: &str,
    button: &str,
) -> Result<Vec<Part>, RenderFault> {
    let button = Button::new(command, pen.word(button)?, format!("{command} --in {}", incident.id));
    Ok(vec![Part::beside(with_place(pen, incident, line)?, button)])
}

/// The line, the incident it is about, and its channel.
fn with_place(pen: &Pen<'_>, incident: &Incident, line: Mrkdwn) -> Result<Mrkdwn, RenderFault> {
    let place = incident.usable_channel().map(|channel| Mrkdwn::channel(&channel.id)).unwrap_or_default();
    let about = Mrkdwn::join([headline(pen, incident)?.fit(400), place], " · ");
    Ok(Mrkdwn::join([line, about], "\n"))
}

/// A plan is approved where it is shown whole: in its channel.
fn plan(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Result<Mrkdwn, RenderFault> {
    let change = run.plan.as_ref().map(|plan| plan.from_to());
    let vars = json!({
        "title": run.plan.as_ref().map_or(&run.action.title, |plan| &plan.title),
        "from": change.and_then(|(from, _)| from),
        "to": change.map(|(_, to)| to).filter(|to| !to.is_empty()),
        "expires_at": run.expires_at.map(|at| at.0),
        "run": run.id.to_string(),
    });
    with_place(pen, incident, pen.say("home.plan", vars)?)
}

fn text_to_check(pen: &Pen<'_>, incident: &Incident, update: &StatusUpdate) -> Result<Vec<Part>, RenderFault> {
    let line = pen.say("home.text", json!({"who": pen.actor(&update.written.by)}))?;
    Ok(vec![
        Part::Text(with_place(pen, incident, line)?),
        Part::Text(Mrkdwn::quote(update.customer.as_deref().unwrap_or_default())),
        Part::Row(send_or_hold(pen, update)?, vec![]),
    ])
}
