//! The dialog that declares an incident.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Read;
use super::inputs::{Choice, Input, Memory, dialog};
use super::state::Filled;
use crate::incident::command::{Command, Line, Start, Text};
use crate::incident::id::{ChannelId, UserId};
use crate::incident::words::Words;
use crate::render::RenderFault;
use crate::slack::cards::pen::{Pen, emoji};
use crate::slack::scene::Scene;

pub(super) const CALLBACK: &str = "start";

pub(super) fn draw(
    scene: &Scene<'_>,
    begun: &Start,
    user: &UserId,
    channel: Option<&ChannelId>,
) -> Result<Value, RenderFault> {
    let pen = Pen::for_user(scene, user);
    let rules = scene.rules;
    let chosen = begun.severity.as_deref().and_then(|word| rules.severity(word));
    let chosen = chosen.map_or(&rules.default_severity, |severity| &severity.key);
    let concerned = begun.service.as_deref().and_then(|word| rules.service(word)).map(|service| service.key.as_str());
    let severities = rules.severities.iter().map(|severity| Choice {
        text: format!("{} {}", emoji(severity.rank), severity.label),
        value: severity.key.clone(),
        description: Some(severity.criteria.clone()),
    });
    let services = rules.services.values().map(|service| Choice {
        text: service.title.clone(),
        value: service.key.clone(),
        description: None,
    });
    let title = Input::new("title", pen.word("view.start.what")?).hint(pen.word("view.start.what_hint")?);
    let severity = Input::new("severity", pen.word("view.start.severity")?);
    let service = Input::new("service", pen.word("view.start.service")?).optional();
    let drill = Input::new("drill", pen.word("view.start.drill")?).optional();
    let unknown = pen.word("view.start.service_unknown")?;
    let mut parts = vec![title.text(None, false)];
    parts.extend(severity.one_of(severities.collect(), Some(chosen), None));
    parts.extend(service.one_of(services.collect(), concerned, Some(unknown)));
    parts.push(drill.tick("drill", &pen.word("view.start.drill_tick")?, begun.drill));
    dialog(&pen, CALLBACK, &Memory { channel, ..Memory::default() }, parts)
}

pub(super) fn read(filled: &Filled<'_>) -> Result<Read, BTreeMap<String, Words>> {
    let Some(title) = filled.text("title") else {
        return Err(BTreeMap::from([("title".to_owned(), Words::new("refusal.no_title"))]));
    };
    let start = Start {
        service: filled.choice("service").map(str::to_owned),
        drill: filled.is_ticked("drill"),
        severity: filled.choice("severity").map(str::to_owned),
        text: Text::of(&title),
    };
    Ok(Read {
        line: Line { command: Command::Start(start), incident: None },
        channel: filled.channel(),
        block: "title".to_owned(),
    })
}
