//! The dialog for a status update: the text for the team, the text for customers with a preview, the next promise.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Read;
use super::inputs::{Choice, Input, Memory, dialog};
use super::state::Filled;
use crate::incident::approval::Outcome;
use crate::incident::command::{Command, Line, Text, Update};
use crate::incident::id::{ChannelId, UserId};
use crate::incident::state::{Incident, Phase, Status};
use crate::incident::words::Words;
use crate::render::RenderFault;
use crate::slack::cards::blocks::{Button, Part};
use crate::slack::cards::markup::Mrkdwn;
use crate::slack::cards::pen::{Pen, headline, message_vars};
use crate::slack::scene::Scene;

pub(super) const CALLBACK: &str = "update";

/// The customer messages to begin from, by template (M2, M3, M5, M6).
const KINDS: [&str; 4] =
    ["customer_difficulties", "customer_notification", "customer_rollback_finished", "customer_resolved"];
/// Tell customers nothing.
const NOTHING: &str = "nothing";
/// Minutes until the next update that can be chosen.
const MINUTES: [i64; 6] = [10, 15, 30, 60, 120, 240];

/// What the dialog shows now.
struct Shown<'a> {
    kind: &'a str,
    /// Minutes until the next update, as typed.
    next: Option<u32>,
    preview: Option<String>,
    channel: Option<ChannelId>,
}

pub(super) fn draw(
    scene: &Scene<'_>,
    begun: &Update,
    user: &UserId,
    channel: Option<&ChannelId>,
) -> Result<Value, RenderFault> {
    let kind = scene.incident.map_or(NOTHING, likely_kind);
    build(scene, user, &Shown { kind, next: begun.next, preview: None, channel: channel.cloned() })
}

/// Another customer message was chosen, or the preview was asked for.
pub(super) fn changed(
    scene: &Scene<'_>,
    payload: &Value,
    filled: &Filled<'_>,
    user: &UserId,
) -> Result<Value, RenderFault> {
    let chosen = filled.choice("kind").unwrap_or(NOTHING);
    let kind = KINDS.into_iter().find(|kind| *kind == chosen).unwrap_or(NOTHING);
    let action = payload.get("actions").and_then(|actions| actions.get(0)).and_then(|action| action.get("action_id"));
    let asked = action.and_then(Value::as_str) == Some("preview");
    let preview = asked.then(|| filled.text("customer").unwrap_or_default());
    let next = filled.choice("next").and_then(|minutes| minutes.parse().ok());
    build(scene, user, &Shown { kind, next, preview, channel: filled.channel() })
}

/// What customers most likely need to hear: that it works again, once it does.
fn likely_kind(incident: &Incident) -> &'static str {
    let done = |run: &crate::incident::state::Run| {
        run.action.is_rollback && matches!(run.phase, Phase::Finished { outcome: Outcome::Done })
    };
    match incident.status {
        Status::Resolved => "customer_resolved",
        Status::Cancelled => NOTHING,
        _ if incident.runs.values().next_back().is_some_and(done) => "customer_rollback_finished",
        _ => NOTHING,
    }
}

fn build(scene: &Scene<'_>, user: &UserId, shown: &Shown<'_>) -> Result<Value, RenderFault> {
    let pen = Pen::for_user(scene, user);
    let Some(incident) = scene.incident else {
        let memory = Memory { channel: shown.channel.as_ref(), ..Memory::default() };
        return dialog(&pen, CALLBACK, &memory, vec![Part::Text(pen.say("refusal.no_incident", json!({}))?)]);
    };
    // What is written is read in the channel, so it begins in the channel's language.
    let channel_pen = Pen::for_channel(scene, incident);
    let vars = message_vars(&channel_pen, incident);
    let internal = pen.render.plain(channel_pen.locale, "internal_in_progress", &vars)?;
    let field = Input::new("internal", pen.word("view.update.internal")?).optional();
    let mut parts = vec![
        Part::Text(headline(&pen, incident)?),
        field.hint(pen.word("view.update.internal_hint")?).text(Some(&internal), true),
    ];
    if !scene.rules.audiences.customer.is_empty() {
        parts.extend(customers(&pen, &channel_pen, incident, shown)?);
    }
    parts.extend(next(&pen, incident, shown.next)?);
    let memory = Memory { incident: Some(incident.id), channel: shown.channel.as_ref(), ..Memory::default() };
    dialog(&pen, CALLBACK, &memory, parts)
}

/// The choice of a customer message, then its text, then how it will look.
fn customers(
    pen: &Pen<'_>,
    channel_pen: &Pen<'_>,
    incident: &Incident,
    shown: &Shown<'_>,
) -> Result<Vec<Part>, RenderFault> {
    let mut choices = Vec::new();
    for kind in std::iter::once(NOTHING).chain(KINDS) {
        let text = pen.word(&format!("view.update.kind.{kind}"))?;
        choices.push(Choice { text, value: kind.to_owned(), description: None });
    }
    let kind = Input::new("kind", pen.word("view.update.kind")?).optional().at_once();
    let mut parts: Vec<Part> = kind.one_of(choices, Some(shown.kind), None).into_iter().collect();
    if shown.kind == NOTHING {
        return Ok(parts);
    }
    let mut vars = message_vars(channel_pen, incident);
    complete(&mut vars, incident, channel_pen);
    let text = pen.render.plain(channel_pen.locale, shown.kind, &vars)?;
    // Slack keeps what was typed under the same block_id: another message needs another one.
    let field = Input::new(format!("customer:{}", shown.kind), pen.word("view.update.customer")?).optional();
    parts.push(field.hint(pen.word("view.update.customer_hint")?).text(Some(&text), true));
    parts.push(Part::Row(vec![Button::new("preview", pen.word("view.update.preview")?, "preview")], vec![]));
    if let Some(preview) = &shown.preview {
        let audiences = &pen.rules.audiences.customer;
        parts.push(Part::Text(pen.say("view.update.previewed", json!({"audiences": audiences}))?));
        parts.push(Part::Text(Mrkdwn::quote(preview)));
    }
    Ok(parts)
}

/// What the customer messages want beside the incident's own facts; what nobody has said yet stays open.
fn complete(vars: &mut Value, incident: &Incident, pen: &Pen<'_>) {
    let ended = incident.resolution.as_ref().map_or(pen.now, |resolution| resolution.mark.at);
    for name in [
        "maintenance",
        "customer_summary",
        "customer_impact",
        "customer_action",
        "customer_cause",
        "customer_prevention",
    ] {
        vars[name] = Value::Null;
    }
    vars["resolved_at"] = json!(ended.0);
    vars["lasted_ms"] = json!(ended.since(incident.declared.at).0);
}

/// When the next update is promised for; as often as the severity asks, unless somebody chooses otherwise.
fn next(pen: &Pen<'_>, incident: &Incident, typed: Option<u32>) -> Result<Option<Part>, RenderFault> {
    if !incident.status.is_open() {
        return Ok(None);
    }
    let usual = incident.severity.update_every.map(|every| every.whole_minutes()).filter(|usual| *usual > 0);
    let usual = typed.map(i64::from).filter(|typed| *typed > 0).or(usual);
    let mut minutes: Vec<i64> = MINUTES.into_iter().chain(usual).collect();
    minutes.sort_unstable();
    minutes.dedup();
    let mut choices = Vec::new();
    for minutes in minutes {
        let text = pen.plain("view.update.in_minutes", json!({"minutes_ms": minutes * 60_000}))?;
        choices.push(Choice { text, value: minutes.to_string(), description: None });
    }
    let usual = usual.map(|usual| usual.to_string());
    let next = Input::new("next", pen.word("view.update.next")?).optional();
    Ok(next.one_of(choices, usual.as_deref(), None))
}

pub(super) fn read(filled: &Filled<'_>) -> Result<Read, BTreeMap<String, Words>> {
    let (internal, customer) = (filled.text("internal"), filled.text("customer"));
    if internal.is_none() && customer.is_none() {
        return Err(BTreeMap::from([("internal".to_owned(), Words::new("refusal.empty_update"))]));
    }
    let block = if internal.is_some() { None } else { filled.block("customer") };
    let update = Update {
        customer,
        next: filled.choice("next").and_then(|minutes| minutes.parse().ok()),
        text: internal.map(|text| Text::of(&text)).unwrap_or_default(),
    };
    Ok(Read {
        line: Line { command: Command::Update(update), incident: filled.incident() },
        channel: filled.channel(),
        block: block.unwrap_or("internal").to_owned(),
    })
}
