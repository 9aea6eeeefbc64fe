//! The dialog that ends an incident.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Read;
use super::inputs::{Input, Memory, dialog};
use super::state::Filled;
use crate::incident::command::{Command, Line, Resolve, Text};
use crate::incident::id::{ChannelId, UserId};
use crate::incident::words::Words;
use crate::render::RenderFault;
use crate::slack::cards::blocks::Part;
use crate::slack::cards::pen::{Pen, headline};
use crate::slack::scene::Scene;

pub(super) const CALLBACK: &str = "resolve";

pub(super) fn draw(
    scene: &Scene<'_>,
    begun: &Resolve,
    user: &UserId,
    channel: Option<&ChannelId>,
) -> Result<Value, RenderFault> {
    let pen = Pen::for_user(scene, user);
    let mut parts = Vec::new();
    if let Some(incident) = scene.incident {
        parts.push(Part::Text(headline(&pen, incident)?));
    }
    let done = scene.incident.and_then(|incident| incident.mitigated.as_ref());
    let done = done.and_then(|(_, text)| text.as_deref());
    let summary = Input::new("summary", pen.word("view.resolve.summary")?);
    let impact = Input::new("impact", pen.word("view.resolve.impact")?).optional();
    let cause = Input::new("cause", pen.word("view.resolve.cause")?).optional();
    parts.push(summary.hint(pen.word("view.resolve.summary_hint")?).text(done, true));
    parts.push(impact.hint(pen.word("view.resolve.impact_hint")?).text(begun.impact.as_deref(), true));
    parts.push(cause.hint(pen.word("view.resolve.cause_hint")?).text(begun.cause.as_deref(), true));
    if scene.incident.is_some_and(|incident| incident.severity.postmortem_required) {
        parts.push(Part::Small(pen.say("notice.postmortem_required", json!({}))?));
    }
    let incident = scene.incident.map(|incident| incident.id);
    dialog(&pen, CALLBACK, &Memory { incident, channel, ..Memory::default() }, parts)
}

pub(super) fn read(filled: &Filled<'_>) -> Result<Read, BTreeMap<String, Words>> {
    let Some(summary) = filled.text("summary") else {
        return Err(BTreeMap::from([("summary".to_owned(), Words::new("refusal.no_summary"))]));
    };
    let resolve = Resolve { impact: filled.text("impact"), cause: filled.text("cause"), summary: Text::of(&summary) };
    Ok(Read {
        line: Line { command: Command::Resolve(resolve), incident: filled.incident() },
        channel: filled.channel(),
        block: "summary".to_owned(),
    })
}
