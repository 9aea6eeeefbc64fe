//! The dialog that asks to whom a run is given.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Read;
use super::inputs::{Choice, Input, Memory, dialog};
use super::state::Filled;
use crate::incident::command::{Command, Handover, Line, Text};
use crate::incident::id::{ChannelId, RunId, UserId};
use crate::incident::words::Words;
use crate::render::RenderFault;
use crate::slack::cards::blocks::Part;
use crate::slack::cards::pen::Pen;
use crate::slack::scene::Scene;

pub(super) const CALLBACK: &str = "hand_over";

/// The dialog about a run of the scene's incident.
///
/// # Errors
/// When a label is missing or lacks a variable.
pub fn hand_over(
    scene: &Scene<'_>,
    run: RunId,
    user: &UserId,
    channel: Option<&ChannelId>,
) -> Result<Value, RenderFault> {
    let pen = Pen::for_user(scene, user);
    let known = scene.incident.and_then(|incident| incident.runs.get(&run));
    let title = known.map(|run| run.plan.as_ref().map_or(&run.action.title, |plan| &plan.title));
    let vars = json!({"run": run.to_string(), "title": title});
    let contacts = scene.rules.contacts.values();
    let choice = |key: &str, name: &str| Choice { text: name.to_owned(), value: key.to_owned(), description: None };
    let people = contacts.map(|contact| choice(&contact.key, &contact.name)).collect();
    let whom = Input::new("whom", pen.word("view.hand_over.whom")?).one_of(people, None, None);
    let message = Input::new("message", pen.word("view.hand_over.message")?).optional();
    let parts = vec![Some(Part::Text(pen.say("view.reject.what", vars)?)), whom, Some(message.text(None, true))];
    let memory = Memory { incident: Some(run.incident), run: Some(run), channel };
    dialog(&pen, CALLBACK, &memory, parts.into_iter().flatten().collect())
}

pub(super) fn read(filled: &Filled<'_>) -> Result<Read, BTreeMap<String, Words>> {
    let Some(run) = filled.run() else {
        return Err(BTreeMap::from([("whom".to_owned(), Words::new("refusal.no_plan"))]));
    };
    let message = filled.text("message").map(|message| Text::of(&message)).unwrap_or_default();
    let whom = filled.choice("whom").map(str::to_owned);
    Ok(Read {
        line: Line { command: Command::Handover(Handover { run, whom, message }), incident: Some(run.incident) },
        channel: filled.channel(),
        block: "whom".to_owned(),
    })
}
